"""pipeline("gloss-translation"): sentences of glosses in every form, scores, searches, and what cannot be used."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model
from tiny_translation import save_tiny_recognizer, save_tiny_translator
from transformers import AutoFeatureExtractor, AutoModelForSeq2SeqLM, pipeline

from signlang_hf import GlossTranslationPipeline, SignTranslatorProcessor, pretrained
from signlang_hf.models.translator import SignTranslatorConfig, SignTranslatorForConditionalGeneration

TASK = "gloss-translation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_translator(tmp_path_factory.mktemp("translator") / "tiny")


@pytest.fixture(scope="module")
def pipe(folder) -> GlossTranslationPipeline:
    return pipeline(TASK, model=str(folder))


@pytest.fixture(scope="module")
def expected(folder):
    """``expected(glosses, **search)``: text and score, word by word from the model."""
    model, processor = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoFeatureExtractor.from_pretrained(folder)

    def answer(glosses: list[str], **search: object) -> dict:
        inputs = processor(glosses, return_tensors="pt")
        ids = model.generate(**inputs, **search)
        logs = []
        for end in range(1, ids.shape[1]):
            with torch.no_grad():
                logits = model(**inputs, decoder_input_ids=ids[:, :end]).logits[0, -1]
            logs.append(float(logits.log_softmax(-1)[ids[0, end]]))
            if ids[0, end] == model.config.eos_token_id:
                break
        return {"text": processor.decode(ids[0]), "score": float(np.exp(np.mean(logs)))}

    return answer


def same(one: dict, other: dict) -> None:
    assert one["text"] == other["text"] and one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.parametrize(
    "search", [{}, {"num_beams": 3}, {"num_beams": 4, "length_penalty": -2.0}, {"max_new_tokens": 3}]
)
def test_text_and_score_are_those_of_the_model(pipe, expected, search):
    for glosses in (["HELLO", "DOCTOR"], ["RAIN"], ["YES", "TODAY", "THANKS", "RAIN"]):
        answer = pipe(glosses, copy_unknown=False, **search)
        same(answer, expected(glosses, **search))
        assert answer["text"] and 0 < answer["score"] <= 1
        assert json.loads(json.dumps(answer)) == answer and list(answer) == ["text", "score"]


def test_every_way_to_say_one_sentence(pipe):
    one = pipe("HELLO DOCTOR")
    for other in (["HELLO", "DOCTOR"], ("HELLO", "DOCTOR"), "  hello   Doctor ", {"glosses": ["HELLO", "DOCTOR"]}):
        assert pipe(other) == one


def test_one_list_batch_and_dataset_agree(pipe):
    import datasets

    sentences = ["HELLO DOCTOR", "RAIN", "YES TODAY THANKS RAIN TODAY"]
    lists = [sentence.split() for sentence in sentences]
    alone = [pipe(sentence) for sentence in sentences]
    rows = datasets.Dataset.from_dict({"glosses": lists, "text": ["", "", ""]})
    several = (
        pipe(sentences), pipe(lists), pipe(lists, batch_size=3), pipe(sentences, batch_size=2, num_beams=1), pipe(rows),
        pipe(rows["glosses"]), list(pipe(one for one in lists)), pipe([{"glosses": one} for one in lists]),
    )  # fmt: skip
    for answers in several:
        assert len(answers) == 3
        for one, other in zip(alone, answers):
            same(one, other)
    for one, other in zip((pipe(one, num_beams=3) for one in lists), pipe(lists, num_beams=3, batch_size=3)):
        same(one, other)


def test_an_unknown_gloss_is_named_and_the_rest_is_translated(pipe):
    with pytest.warns(UserWarning, match="does not know ELEPHANT"):
        answer = pipe("HELLO ELEPHANT")
    assert set(answer) == {"text", "score"} and answer["text"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe("hello doctor")


def test_a_word_without_a_name_is_copied_from_the_gloss_looked_at(folder):
    pipe = pipeline(TASK, model=str(folder))
    with torch.no_grad():
        pipe.model.lm_head.bias[3] += 1000  # says <unk> and nothing else
    with pytest.warns(UserWarning, match="ELEPHANT"):
        answer = pipe("ELEPHANT HELLO", max_new_tokens=2)
    assert {*answer["text"].split()} <= {"elephant", "hello"} and len(answer["text"].split()) == 2
    with pytest.warns(UserWarning, match="ELEPHANT"):
        assert pipe("ELEPHANT HELLO", max_new_tokens=2, copy_unknown=False)["text"] == ""


def test_where_no_gloss_is_known_the_glosses_are_the_answer(pipe):
    message = "The translator knows none of these glosses; they stand in place of a text."
    with pytest.warns(UserWarning, match="does not know ELEPHANT, ZEBRA"):
        answers = pipe([["ELEPHANT", "ZEBRA"], ["HELLO", "ZEBRA"], ["Zebra"]], batch_size=2)
    assert answers[0] == {"text": "elephant zebra", "score": 0.0, "message": message}
    assert set(answers[1]) == {"text", "score"} and answers[1]["score"] > 0
    assert answers[2] == {"text": "zebra", "score": 0.0, "message": message}
    with pytest.warns(UserWarning, match="ELEPHANT"):  # on request what the model writes of nothing
        assert set(pipe("ELEPHANT", copy_unknown=False)) == {"text", "score"}


def speller(text: str) -> GlossTranslationPipeline:
    """A translator letter by letter that writes ``text`` whatever it reads."""
    processor = SignTranslatorProcessor.train([[*"ABC"]], ["abc", "cab"], level="bpe", vocabulary_size=8)
    ids = processor.encode_text(text)
    assert processor.spells and len(ids) == len(text) + 2  # the mark of a word, and the end
    config = SignTranslatorConfig(
        source_vocab_size=7, vocab_size=8, embedding_size=4, hidden_size=4, tie_word_embeddings=False
    )
    model = SignTranslatorForConditionalGeneration(config).eval()
    steps = iter(ids)

    def next_letter(inputs: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(scores, -1e9)
        forced[:, next(steps)] = 0.0
        return forced

    search = {"logits_processor": [next_letter]}
    return pipeline(TASK, model=model, feature_extractor=processor, generate_kwargs=search)


@pytest.mark.parametrize(
    ("written", "spelled", "text", "lost"),
    [
        ("abc", "ABCABCABC", "abcabcabc", "lost 6 of 9 letters"),
        ("abc", "ABCCC", "abccc", "lost 2 of 5 letters"),
        ("abc", "ABCC", "abc", None),  # one may be an error of the recogniser
        ("abcc", "ABC", "abcc", None),
    ],
)
def test_a_speller_that_lost_its_place_leaves_the_letters(written, spelled, text, lost):
    answer = speller(written)([*spelled])
    assert answer["text"] == text
    if lost is None:
        assert set(answer) == {"text", "score"}
    else:
        assert lost in answer["message"] and answer["score"] == 0.0


def test_what_the_caller_cuts_off_is_cut_off():
    answer = speller("abcabcabc")([*"ABCABCABC"], max_new_tokens=3)
    assert answer["text"] == "ab" and "message" not in answer


def test_without_a_model_the_bundled_speller_answers():
    if pretrained.SPELLING not in pretrained.names():
        pytest.skip("the weights are not in this checkout")
    pipe = pipeline(TASK)
    assert pipe(list("ANNA"))["text"] == "anna" and pipe.feature_extractor.spells


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "no gloss to translate"),
        ("   ", "no gloss to translate"),
        ([], "no gloss to translate"),
        ([["HELLO"], []], "no gloss to translate"),
        (["HELLO", ""], "A gloss must be a word; ''"),
        (["HELLO", None], "Cannot translate NoneType"),
        ([["HELLO", 3]], r"3 in \['HELLO', 3\] is none"),
        (3, "Cannot translate int; give glosses as a string"),
        (b"HELLO", "Cannot translate bytes"),
        ({"text": "hello"}, "needs 'glosses'; it has text"),
    ],
)
def test_glosses_that_cannot_be_used(pipe, source, message):
    with pytest.raises(ValueError, match=message) as caught:
        pipe(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"num_beams": 0}, ValueError, "num_beams is 0; it must be a whole number of at least 1"),
        ({"max_new_tokens": 1.5}, ValueError, "max_new_tokens is 1.5"),
        ({"generate_kwargs": 3}, ValueError, "must be a dictionary"),
        ({"length_penalty": "long"}, ValueError, "length_penalty is 'long'; it must be a number"),
        ({"num_beams": 2, "generate_kwargs": {"num_beams": 3}}, ValueError, "num_beams is said twice"),
        (
            {"num_beams": 2, "generate_kwargs": {"num_return_sequences": 2}},
            ValueError,
            "leave num_return_sequences out",
        ),
        ({"top_k": 1}, TypeError, "gloss-translation does not know top_k; it takes num_beams"),
    ],
)
def test_arguments_that_cannot_be_used(pipe, arguments, kind, message):
    with pytest.raises(kind, match=message):
        pipe("HELLO", **arguments)


def test_saving_and_folders_that_do_not_fit(pipe, folder, tmp_path):
    pipe.save_pretrained(tmp_path / "saved")
    assert pipeline(TASK, model=str(tmp_path / "saved"))("RAIN TODAY") == pipe("RAIN TODAY")
    processor = AutoFeatureExtractor.from_pretrained(save_tiny_recognizer(tmp_path / "ctc"))
    with pytest.raises(ValueError, match="needs a SignTranslatorProcessor as feature_extractor; got SignCTCProcessor"):
        pipeline(TASK, model=pipe.model, feature_extractor=processor)
    other = SignTranslatorProcessor.train([["HELLO"]], ["hello"])
    with pytest.raises(ValueError, match=r"model has \d+ glosses, the processor 5; they were not saved together"):
        pipeline(TASK, model=pipe.model, feature_extractor=other)
    with pytest.raises((OSError, ValueError), match=r"signlang_transformer|Could not load model"):
        pipeline(TASK, model=str(save_tiny_model(tmp_path / "isolated", layout="isl-48")))
