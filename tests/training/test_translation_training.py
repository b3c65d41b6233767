"""A run on pairs of glosses and text: resuming exactly, teacher forcing, how writing is chosen, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from tiny_sentences import WORDS, sentence_of
from transformers import AutoModelForSeq2SeqLM, TrainerCallback

from signlang_hf.models.translator import SignTranslatorProcessor
from signlang_hf.training import fitting, translation
from signlang_hf.training.building import saved_processor
from signlang_hf.training.retrieval import nearest_texts
from signlang_hf.training.sentence_arguments import parse_translation
from signlang_hf.training.sentences import TextDataset, misread, read_predictions
from signlang_hf.training.translation import TeacherForcing, choose_decoding, scores, translate

EVERYTHING = {"ema_decay": 0.9, "gloss_noise": 0.2, "num_train_epochs": 3, "logging_strategy": "steps"}
EVERYTHING |= {"logging_steps": 1, "keep_best": False}


class Stop(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def losses(result) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in result.trainer.state.log_history if "loss" in row]


@pytest.fixture(scope="module")
def uninterrupted(tiny_sentences):
    return tiny_sentences.translator(tiny_sentences.folder / "translator-uninterrupted", **EVERYTHING)


@pytest.mark.parametrize(("step", "changes"), [(4, {}), (8, {"save_strategy": "steps", "save_steps": 5})])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    tiny_sentences, uninterrupted, tmp_path, monkeypatch, step, changes
):
    real = fitting.callbacks_of
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "callbacks_of", lambda *args: [*real(*args), Stop(step)])
        with pytest.raises(KeyboardInterrupt):
            tiny_sentences.translator(tmp_path, **{**EVERYTHING, **changes})
    result = tiny_sentences.translator(tmp_path, **{**EVERYTHING, **changes})
    assert [one for one, _ in losses(result)] == list(range(1, 10))
    assert losses(result) == losses(uninterrupted)
    ours = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    theirs = AutoModelForSeq2SeqLM.from_pretrained(uninterrupted.folder, dtype=torch.float32).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert result.metrics == uninterrupted.metrics


def test_what_is_reported_is_what_the_saved_files_say(trained_translator):
    """The saved model writes as its own generation settings say, one sentence at a time, and SacreBLEU is asked itself."""
    from sacrebleu.metrics import BLEU

    folder = trained_translator.folder
    processor = saved_processor(str(folder))
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    chosen = trained_translator.decoding["generate"]
    assert model.generation_config.num_beams == chosen["num_beams"]
    rows = read_predictions(folder / "predictions.jsonl")
    for row in rows:
        glosses = sentence_of(int(row["id"].removesuffix(".npz").rsplit("-", 1)[-1]) + 200)
        assert row["reference"] == " ".join(WORDS[gloss] for gloss in glosses)
        ids = model.generate(**processor([glosses], return_tensors="pt"))
        assert processor.batch_decode(ids.numpy())[0] == row["hypothesis"]
    bleu = BLEU(lowercase=True).corpus_score([row["hypothesis"] for row in rows], [[row["reference"] for row in rows]])
    assert trained_translator.metrics["bleu"] == pytest.approx(bleu.score)
    assert trained_translator.metrics["bleu"] > trained_translator.baselines["glosses as text"]["bleu"]
    assert "case:lc" in trained_translator.signatures["bleu"]
    assert (
        max(trained_translator.decoding["chosen_by"].values())
        >= max(row.get("eval_bleu", 0) for row in trained_translator.trainer.state.log_history) - 1e-3
    )


def test_a_finished_run_is_read(tiny_sentences, trained_translator, monkeypatch):
    monkeypatch.setattr(translation.TranslationTrainer, "train", lambda *args, **kwargs: pytest.fail("trained again"))
    again = tiny_sentences.translator(trained_translator.folder, num_train_epochs=15)
    assert again.metrics == trained_translator.metrics and again.baselines == trained_translator.baselines


@pytest.mark.parametrize(("epoch", "ratio"), [(0, 1.0), (1, 0.875), (3.5, 0.625), (4, 0.5), (9, 0.5)])
def test_teacher_forcing_falls_in_a_straight_line(epoch, ratio):
    model = SimpleNamespace(config=SimpleNamespace(teacher_forcing_ratio=0.5), teacher_forcing_ratio=None)
    TeacherForcing(1.0, 4.0).on_epoch_begin(None, SimpleNamespace(epoch=epoch), None, model=model)
    assert model.teacher_forcing_ratio == pytest.approx(ratio)
    TeacherForcing(1.0, 0.0).on_epoch_begin(None, SimpleNamespace(epoch=0), None, model=model)
    assert model.teacher_forcing_ratio == 0.5


def test_the_way_of_writing_with_the_highest_bleu_is_chosen(monkeypatch):
    said = {(1, 1.0): "a b c d", (4, 0.5): "a b c d e f", (4, 1.0): "a b"}
    asked = []

    def stand_in(model, processor, glosses, *, batch_size, num_beams, length_penalty, max_new_tokens):
        asked.append((num_beams, length_penalty))
        return [said.get((num_beams, length_penalty), "")] * len(glosses)

    monkeypatch.setattr(translation, "translate", stand_in)
    rows = Dataset.from_dict({"glosses": [["A"]], "text": ["a b c d e f"]})
    args = SimpleNamespace(per_device_eval_batch_size=2, disable_tqdm=True)
    settings = {"num_beams": [1, 4], "length_penalty": [0.5, 1.0], "max_new_tokens": 9}
    found = choose_decoding(None, None, settings, rows, args)
    assert found["generate"] == {"max_new_tokens": 9, "num_beams": 4, "length_penalty": 0.5}
    assert asked == [(1, 0.5), (4, 0.5), (4, 1.0)]  # one way without beams is enough
    assert choose_decoding(None, None, settings, None, args)["generate"] == {"max_new_tokens": 9, "num_beams": 1}


def test_translations_come_back_in_the_order_of_the_glosses(trained_translator):
    model, processor = trained_translator.trainer.model, trained_translator.trainer.processing_class
    glosses = [sentence_of(number) for number in range(7)]
    together = translate(model, processor, glosses, batch_size=3, max_new_tokens=8)
    assert together == [translate(model, processor, [one], max_new_tokens=8)[0] for one in glosses]
    assert len(set(together)) > 1


def test_the_nearest_training_sentence_shares_the_rarest_glosses():
    train = Dataset.from_dict({"glosses": [["A", "B"], ["A", "C"], ["A", "A", "D"]], "text": ["ab", "ac", "aad"]})
    assert nearest_texts(train, [["c", "X"], ["D", "A"], ["Q"], ["B"]]) == ["ac", "aad", "ab", "ab"]


def test_noise_is_that_of_a_recogniser():
    rng = np.random.default_rng(0)
    glosses = [f"G{number % 50}" for number in range(30_000)]
    known = [f"H{number}" for number in range(9)]
    said = misread(glosses, 0.3, known, rng)
    foreign = sum(gloss.startswith("H") for gloss in said)
    assert foreign / len(glosses) == pytest.approx(0.2, abs=0.01)  # replaced and inserted
    assert len(said) / len(glosses) == pytest.approx(1.0, abs=0.01)  # as many left out as inserted
    assert misread(["A"], 0.999, known, np.random.default_rng(3)) != []
    assert misread(glosses, 0.0, known, rng) == glosses
    twice = ["A", "A", "B"] * 5000
    assert misread(twice, 0.0, known, rng) == twice
    assert (len(twice) - len(misread(twice, 1e-9, known, rng))) / 5000 == pytest.approx(0.3, abs=0.03)


def test_noise_is_drawn_from_seed_epoch_and_row():
    rows = Dataset.from_dict({"glosses": [list("ABCDEFGH")] * 20, "text": ["a b"] * 20})
    processor = SignTranslatorProcessor.train(rows["glosses"], rows["text"])

    def epoch(number: int, seed: int = 0) -> list[list[int]]:
        data = TextDataset(rows, processor, 0.0, 0.3, seed)
        data.set_epoch(number)
        return [data[row]["input_ids"] for row in range(20)]

    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(2) and epoch(1) != epoch(1, seed=5)
    assert len({tuple(row) for row in epoch(1)}) > 10


def test_whole_sentences_are_counted():
    found = scores(["Der  Hund .", "die katze"], ["der hund .", "Die Katzen"], lowercase=True)
    assert found["sentence_accuracy"] == 0.5
    assert scores(["Der Hund ."], ["der hund ."], lowercase=False)["sentence_accuracy"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"processor": '{"levle": "word"}'}, "Unknown processor setting levle; known are level, vocabulary_size"),
        ({"processor": '{"level": "letters"}'}, "level is 'letters'; it must be 'word' or 'bpe'"),
        ({"bpe_dropout": 0.1}, "bpe_dropout needs word pieces"),
        ({"gloss_noise": 1.0}, r"gloss_noise is 1.0; it must be in \[0, 1\)"),
        ({"model_type": "signlang_ctc"}, "'signlang_ctc' does not translate glosses; signlang_translator does"),
        ({"model": '{"hiden_size": 3}'}, "Unknown model setting hiden_size"),
        ({"decoding": '{"num_beams": []}'}, r"num_beams is \[\]; give a number or a list"),
        ({"decoding": '{"num_beams": [1, -3]}'}, "num_beams is -3; it must be a whole number from 1"),
        ({"decoding": '{"max_new_tokens": "many"}'}, "max_new_tokens is 'many'; it must be a whole number from 1"),
        ({"teacher_forcing_start": 2}, r"teacher_forcing_start is 2.0; it must be in \[0, 1\]"),
    ],
)
def test_mistakes_are_one_sentence(tiny_sentences, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said) as refused:
        tiny_sentences.translator(tmp_path, **changes)
    assert "\n" not in str(refused.value)


def test_a_row_without_text_is_named(tmp_path):
    features = Features({"id": Value("string"), "glosses": List(Value("string")), "text": Value("string")})
    split = Dataset.from_dict({"id": ["x", "y"], "glosses": [["A"], ["B"]], "text": ["a", " "]}, features=features)
    groups = parse_translation(["--output_dir", str(tmp_path), "--report_to", "none", "--use_cpu", "true"])
    with pytest.raises(ValueError, match=r"Row 1 \('y'\) has no text; leave it out"):
        translation.train_translation(*groups, DatasetDict(train=split))
