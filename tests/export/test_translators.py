"""Translators in onnxruntime write the same sentences as in torch, however they are searched for; and composites around them."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from tiny_model import tiny_clip
from tiny_translation import SENTENCES
from transformers import AutoFeatureExtractor, AutoModelForSeq2SeqLM, pipeline

from signlang_hf.export import (
    ORTModelForSignTranslation,
    ORTModelForSignTranslator,
    load_ort_model,
    load_ort_pipeline,
    load_ort_translation,
)

pytestmark = pytest.mark.optimum

TRANSLATORS = ["translator", "translator-deep", "translator-unfed", "translator-ensemble"]
SEARCHES = {
    "greedy": {},
    "beams": {"num_beams": 4},
    "n-best": {"num_beams": 5, "num_return_sequences": 3, "length_penalty": 0.6},
    "groups": {"num_beams": 3, "early_stopping": True, "no_repeat_ngram_size": 2},
    "sampling": {"do_sample": True, "top_k": 5},
    "without cache": {"use_cache": False},
}


def pair(tiny, name):
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny.source(name), dtype=torch.float32).eval()
    processor = AutoFeatureExtractor.from_pretrained(tiny.source(name))
    batch = processor([key.split() for key in (*SENTENCES, "RAIN HELLO YES TODAY")], return_tensors="pt")
    return model, ORTModelForSignTranslator.from_pretrained(tiny.export(name)), batch


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", TRANSLATORS)
def test_the_same_sentences(tiny, name, search):
    model, graph, batch = pair(tiny, name)
    settings = SEARCHES[search]
    if "num_return_sequences" in settings or settings.get("num_beams"):
        settings = {**settings, "output_scores": True, "return_dict_in_generate": True}
    written = []
    for one in (model, graph):
        torch.manual_seed(0)
        written.append(one.generate(**batch, max_new_tokens=10, **settings))
    if isinstance(written[0], torch.Tensor):
        assert torch.equal(*written)
    else:
        assert torch.equal(written[0].sequences, written[1].sequences)
        torch.testing.assert_close(written[0].sequences_scores, written[1].sequences_scores, atol=1e-4, rtol=0)
    assert len({tuple(row) for row in getattr(written[0], "sequences", written[0]).tolist()}) > 1


@pytest.mark.parametrize("name", TRANSLATORS)
def test_the_same_scores_and_attention(tiny, name):
    model, graph, batch = pair(tiny, name)
    sequences = model.generate(**batch)
    one, other = model.score(sequences, **batch), graph.score(sequences, **batch)
    torch.testing.assert_close(one.log_probs, other.log_probs, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.attentions, other.attentions, atol=1e-4, rtol=0)


def test_the_search_settings_travel(tiny):
    graph = load_ort_model(tiny.export("translator"))
    assert graph.generation_config.max_new_tokens == 12
    assert graph.config.use_cache is True  # Optimum switches it off while it traces


def test_pipeline(tiny):
    pipe = load_ort_pipeline("gloss-translation", str(tiny.export("translator")))
    expected = pipeline("gloss-translation", model=str(tiny.source("translator")))
    for glosses in SENTENCES:
        one, other = pipe(glosses, num_beams=3), expected(glosses, num_beams=3)
        assert one["text"] == other["text"] and one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_what_a_translator_refuses(tiny):
    model, graph, batch = pair(tiny, "translator")
    with pytest.raises(ValueError, match="Source tokens run from 0 to 99"):
        graph.generate(torch.tensor([[0, 99]]))
    with pytest.raises(ValueError, match="nothing to read"):
        graph(**batch)
    with pytest.raises(ValueError, match="computes no loss"):
        graph(**batch, labels=torch.tensor([[2]]))
    with pytest.raises(ValueError, match="torch's say too little"):
        outputs = model.get_encoder()(**batch)
        graph(decoder_input_ids=torch.ones(4, 1, dtype=torch.long), encoder_outputs=outputs)


def test_a_translator_of_another_vocabulary_than_its_processor(tiny, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(tiny.export("translator"), folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 50}))
    with pytest.raises(ValueError, match=r"knows \d+ words and the configuration beside it says 50"):
        load_ort_model(folder)


def test_recogniser_and_translator_as_one(tiny):
    folder = str(tiny.export("composite"))
    model = ORTModelForSignTranslation.from_pretrained(folder)
    pipe = pipeline("sign-translation", model=model, feature_extractor=folder)
    expected = pipeline("sign-translation", model=str(tiny.source("composite")))
    clip = tiny_clip(60, layout="mediapipe-holistic")
    one, other = pipe(clip, num_beams=2), expected(clip, num_beams=2)
    assert other["glosses"] and one["text"] == other["text"]
    assert [sign["gloss"] for sign in one["glosses"]] == [sign["gloss"] for sign in other["glosses"]]
    assert one["score"] == pytest.approx(other["score"], abs=1e-4)
    inputs = AutoFeatureExtractor.from_pretrained(folder)(clip, return_tensors="pt")
    assert torch.equal(model.generate(**inputs), expected.model.generate(**inputs))


def test_members_open_by_themselves_and_make_a_pair(tiny):
    folder = tiny.export("composite")
    pipe = load_ort_translation(str(folder / "recognizer"), str(folder / "translator"))
    whole = load_ort_pipeline("sign-translation", str(folder))
    clip = tiny_clip(60, layout="mediapipe-holistic")
    assert pipe(clip) == whole(clip)


def test_a_composite_saves_itself_as_its_folder(tiny, tmp_path):
    load_ort_model(tiny.export("composite")).save_pretrained(tmp_path / "copy")
    clip = tiny_clip(60, layout="mediapipe-holistic")
    again = load_ort_pipeline("sign-translation", str(tmp_path / "copy"))
    assert again(clip) == load_ort_pipeline("sign-translation", str(tiny.export("composite")))(clip)
