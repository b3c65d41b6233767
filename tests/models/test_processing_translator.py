"""SignTranslatorProcessor: glosses and sentences to ids and back, its one JSON file, and what it cannot read."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoFeatureExtractor, AutoProcessor

from signlang_hf import SignTranslatorConfig, SignTranslatorForConditionalGeneration, SignTranslatorProcessor
from signlang_hf.models.translator.processing_translator import SPECIAL_TOKENS

GLOSSES = [["MORGEN", "REGEN"], ["HEUTE", "neg-REGEN", "SONNE"], ["MORGEN", "SONNE", "NORD+WEST"]]
TEXTS = ["morgen regnet es .", "Heute kein Regen, nur Sonne!", "morgen ist's im nord-westen sonnig"]
PHOENIX = Path(os.environ.get("SIGNLANG_DATA", "../shared/data")) / "phoenix14t-gloss-text" / "train.tsv"


@pytest.fixture(params=["word", "bpe"])
def processor(request: pytest.FixtureRequest) -> SignTranslatorProcessor:
    return SignTranslatorProcessor.train(GLOSSES, TEXTS, level=request.param)


def test_ids_go_there_and_back(processor):
    batch = processor(GLOSSES, TEXTS, return_tensors="pt")
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 4)
    assert batch["attention_mask"].sum(1).tolist() == [3, 4, 4]
    named = [[processor.source_vocabulary[one] for one in row] for row in batch["input_ids"].tolist()]
    assert named[0] == ["MORGEN", "REGEN", "</s>", "<pad>"] and named[1] == ["HEUTE", "neg-REGEN", "SONNE", "</s>"]
    assert (batch["labels"] == 2).sum(1).tolist() == [1, 1, 1] and (
        batch["labels"] < processor.target_vocabulary_size
    ).all()
    assert processor.batch_decode(batch["labels"]) == [text.lower() for text in TEXTS]
    started = torch.cat([torch.ones(3, 1, dtype=torch.long), batch["labels"].clamp(min=0)], dim=1)
    assert processor.batch_decode(started) == [text.lower() for text in TEXTS]
    assert processor.decode([1, 2, 9, 9]) == ""  # nothing counts after the end


def test_one_sentence_may_be_a_string_or_a_list(processor):
    expected = processor([["morgen", "Regen"]])["input_ids"]
    assert processor("Morgen  REGEN")["input_ids"] == processor(["MORGEN", "", "REGEN"])["input_ids"] == expected


def test_vocabularies_count(processor):
    counted = SignTranslatorProcessor.train(
        [["A", "b"], ["B"], ["B", "A"], ["C"]], ["x y", "x z", "x y"], minimum_count=2
    )
    assert counted.source_vocabulary == [*SPECIAL_TOKENS, "A", "B"]
    assert counted.encode_text("y x z") == [5, 4, 3, 2] and counted.target_vocabulary_size == 6
    assert counted.unknown(["a", "C", "b", "D", "C"]) == ["C", "D"]
    assert SignTranslatorProcessor.train(GLOSSES, TEXTS, vocabulary_size=6).target_vocabulary_size == 6
    pieces = SignTranslatorProcessor.train(GLOSSES, TEXTS, level="bpe", vocabulary_size=40)
    assert pieces.target_vocabulary_size == 40
    # A word that was never seen, from letters that were.
    assert pieces.decode(pieces.encode_text("sonnenregen")) == "sonnenregen"


def test_case_is_kept_where_it_is_wanted():
    kept = SignTranslatorProcessor.train(GLOSSES, TEXTS, lowercase=False)
    assert kept.decode(kept.encode_text(TEXTS[1])) == TEXTS[1]


def test_an_unknown_gloss_is_taken_apart_and_copied_back_as_one():
    processor = SignTranslatorProcessor.train(GLOSSES, TEXTS, split_glosses="-+")
    vocabulary = processor.source_vocabulary
    parts = processor.encode_glosses(["HEUTE", "SONNE-REGEN", "neg-REGEN", "QUATSCH-UNSINN"])
    assert [vocabulary[one] for one in parts] == ["HEUTE", "SONNE", "REGEN", "neg-REGEN", "<unk>", "</s>"]
    assert processor.unknown(["SONNE-REGEN", "QUATSCH-UNSINN", "SONNE-UNSINN"]) == ["QUATSCH-UNSINN", "SONNE-UNSINN"]
    assert "HEUTE" not in processor.unknown(["heute"])
    look = np.array([[0.2, 0.25, 0.25, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.1, 0.9]])
    assert processor.aligned(["HEUTE", "SONNE-REGEN", "neg-REGEN", "X"], look) == ["SONNE-REGEN", "X"]
    rare = SignTranslatorProcessor.train([["A-B"], ["A-C"], ["B"]], ["x"] * 3, minimum_count=2, split_glosses="-")
    assert rare.source_vocabulary[4:] == ["A", "B"]


def test_an_unknown_word_is_copied_from_the_gloss_it_looked_at():
    processor = SignTranslatorProcessor.train(GLOSSES, TEXTS)
    ids = [1, *processor.encode_text("morgen wolken im kasachstan")]
    glosses = ["MORGEN", "WOLKEN", "KASACHSTAN"]
    look = np.eye(5, 4)
    look[3] = [0, 0, 0.1, 0.9]  # mostly at the end of the source, which is no gloss
    assert processor.decode(ids) == "morgen im"
    assert processor.decode(ids, glosses, look) == "morgen wolken im kasachstan"
    assert processor.decode(ids[1:], glosses, look) == "morgen wolken im kasachstan"
    assert processor.batch_decode([ids, ids], [glosses, glosses], [look, look[:, [1, 0, 2, 3]]]) == [
        "morgen wolken im kasachstan",
        "morgen morgen im kasachstan",
    ]


def test_copying_works_on_what_a_model_gives():
    processor = SignTranslatorProcessor.train(GLOSSES, TEXTS)
    torch.manual_seed(0)
    config = SignTranslatorConfig(len(processor.source_vocabulary), processor.target_vocabulary_size, 8, 8)
    model = SignTranslatorForConditionalGeneration(config).eval()
    model.lm_head.bias.data[3] = 20  # it can say nothing but <unk>
    inputs = processor(GLOSSES[:2], return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=3)
    scores = model.score(written, **inputs)
    texts = processor.batch_decode(written, GLOSSES[:2], scores.attentions)
    for text, glosses in zip(texts, GLOSSES):
        assert len(text.split()) == 3 and set(text.split()) <= {gloss.lower() for gloss in glosses}


def test_dropped_merges_spell_the_same_text_in_other_pieces():
    processor = SignTranslatorProcessor.train(GLOSSES, TEXTS, level="bpe", vocabulary_size=80)
    plain = processor.encode_text(TEXTS[0])
    drawn = {tuple(processor.encode_text(TEXTS[0], bpe_dropout=0.5)) for _ in range(20)}
    assert len(drawn) > 5 and {processor.decode(ids) for ids in drawn} == {TEXTS[0]}
    assert min(map(len, drawn)) >= len(plain)
    assert processor.encode_text(TEXTS[0]) == plain  # and no dropout is left behind


def test_rows_are_padded_as_a_collator_wants_them(processor):
    rows = [{**processor.encode(one, text), "id": "x"} for one, text in zip(GLOSSES, TEXTS)]
    batch = processor.pad(rows)
    direct = processor(GLOSSES, TEXTS, return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert all(torch.equal(batch[name], direct[name]) for name in batch)
    assert "labels" not in processor.pad([processor.encode(GLOSSES[0])])
    assert (batch["labels"] == -100).sum() == sum(batch["labels"].shape[1] - len(row["labels"]) for row in rows)


# ------------------------------------------------------------------------------------------------------------------ JSON


def test_everything_is_in_one_file(tmp_path, processor):
    processor.split_glosses = "-"
    processor.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.json")] == ["preprocessor_config.json"]
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert Tokenizer.from_str(saved["target_tokenizer"]).get_vocab_size() == processor.target_vocabulary_size
    config = SignTranslatorConfig(len(processor.source_vocabulary), processor.target_vocabulary_size)
    config.save_pretrained(tmp_path)
    for auto in (AutoFeatureExtractor, AutoProcessor):
        again = auto.from_pretrained(tmp_path)
        assert type(again) is SignTranslatorProcessor and again.to_dict() == processor.to_dict()
        assert again(GLOSSES, TEXTS).data == processor(GLOSSES, TEXTS).data
    assert (again.pad_token_id, again.bos_token_id, again.eos_token_id, again.unk_token_id) == (0, 1, 2, 3)


def test_files_of_either_generation_load(tmp_path):
    # What transformers 4.57 with tokenizers 0.22 and 5 with 0.23 write alike.
    rules = (
        '"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]},'
        '"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},'
        '{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},'
        '{"type":"Split","pattern":{"Regex":"▁?[\\\\w\'’\\\\-]+|▁?[^\\\\w▁]"},"behavior":"Isolated","invert":false}]}'
    )
    tokenizer = (
        '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],'
        + rules
        + ',"post_processor":null,"decoder":null,'
        '"model":{"type":"WordLevel","vocab":{"<pad>":0,"<s>":1,"</s>":2,"<unk>":3,"▁gut":4,"!":5},"unk_token":"<unk>"}}'
    )
    values = {
        "feature_extractor_type": "SignTranslatorProcessor", "lowercase": True, "padding_side": "right", "padding_value": 0,
        "source_vocabulary": [*SPECIAL_TOKENS, "GUT"], "split_glosses": "", "target_tokenizer": tokenizer,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    processor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert processor.encode("gut", "Gut!") == {"input_ids": [4, 2], "labels": [4, 5, 2]}
    assert processor.decode([4, 5, 2]) == "gut!"
    trained = SignTranslatorProcessor.train([["GUT"]], ["gut!"], vocabulary_size=6)
    own, given = (json.loads(one.target_tokenizer) for one in (trained, processor))
    assert {**own, "model": None} == {**given, "model": None}


# ------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p([[]]), "without glosses"),
        (lambda p: p([["A"], ["", " "]]), "without glosses"),
        (lambda p: p([["A"], ["B"]], ["a"]), "2 sentences of glosses and 1 texts"),
        (lambda p: p([["A"], ["B"]], ["a", None]), "Sentence 1 has no text"),
        (lambda p: p([["A"]], ["  "]), "without text"),
        (lambda p: p.train([["A"]], ["a"], level="letter"), "'word' or 'bpe'"),
        (lambda p: p.train([[]], ["a"]), "no gloss to learn"),
        (lambda p: p.train([["A"]], [""]), "no sentence to learn"),
        (lambda p: p.train([["A"]], ["a"], vocabulary_size=4), "vocabulary_size is 4"),
        (lambda p: SignTranslatorProcessor(["A", "B", "a"]), "'a' is twice"),
        (lambda p: SignTranslatorProcessor(["A"], "{}"), "not the JSON text"),
        (lambda p: SignTranslatorProcessor(["A"], Tokenizer(WordLevel({"a": 0})).to_str()), "must be <pad>"),
    ],
)
def test_what_cannot_work_says_so(call, message):
    with pytest.raises(ValueError, match=message):
        call(SignTranslatorProcessor.train([["A"], ["B"]], ["a", "b"]))


# ------------------------------------------------------------------------------------------------------------- real data


@pytest.mark.skipif(not PHOENIX.is_file(), reason="SIGNLANG_DATA has no phoenix14t-gloss-text")
def test_phoenix_goes_there_and_back():
    with PHOENIX.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    glosses, texts = [row["gloss"].split() for row in rows], [row["text"].strip() for row in rows]
    processor = SignTranslatorProcessor.train(glosses, texts)
    words = Counter(word for text in texts for word in text.split())
    assert processor.target_vocabulary_size == len(words) + 4
    assert len(processor.source_vocabulary) == len({gloss.upper() for row in glosses for gloss in row}) + 4
    assert [processor.decode(processor.encode_text(text)) for text in texts[:500]] == [
        " ".join(t.split()) for t in texts[:500]
    ]
    assert not processor.unknown(gloss for row in glosses for gloss in row)
