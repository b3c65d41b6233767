"""A run on sentences: resuming exactly, what is left out, what the decoder is chosen by, and what is refused."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_sentences import GLOSSES, sentence_clip, sentence_of, write_tiny_sentences
from transformers import AutoModelForCTC, TrainerCallback

from signlang_hf.data.rows import landmark_features
from signlang_hf.landmarks.rows import to_row
from signlang_hf.models.ctc import SignCTCConfig, SignCTCProcessor, SignForCTC
from signlang_hf.models.translator import SignTranslatorProcessor
from signlang_hf.training import continuous, fitting
from signlang_hf.training.building import saved_processor
from signlang_hf.training.recognition import fit_decoder, glosses_of, load_decoder, log_probabilities
from signlang_hf.training.sentences import (
    SimilarLengths,
    frame_counts,
    read_predictions,
    require_columns,
    tell_unknown,
    trainable,
    write_predictions,
)

EVERYTHING = {"ema_decay": 0.9, "feature_dropout": 0.2, "num_train_epochs": 3, "logging_strategy": "steps"}
EVERYTHING |= {
    "logging_steps": 1,
    "keep_best": False,
    "processor": '{"features": ["position", "velocity"], "target_fps": 25}',
}


class Stop(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def losses(result) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in result.trainer.state.log_history if "loss" in row]


def rows_of(count: int = 4, frames: int = 8, glosses=None) -> Dataset:
    rows = []
    for number in range(count):
        said = sentence_of(number) if glosses is None else glosses[number]
        clip = sentence_clip([gloss for gloss in said if gloss in GLOSSES] or ["BOOK"], 0, number, frames)
        rows.append(to_row(clip, id=str(number), signer="anna") | {"glosses": said})
    return Dataset.from_list(rows, features=landmark_features("hands-42", glosses=True))


@pytest.fixture(scope="module")
def uninterrupted(tiny_sentences):
    return tiny_sentences.ctc(tiny_sentences.folder / "ctc-uninterrupted", **EVERYTHING)


@pytest.mark.parametrize(("step", "changes"), [(4, {}), (8, {"save_strategy": "steps", "save_steps": 5})])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    tiny_sentences, uninterrupted, tmp_path, monkeypatch, step, changes
):
    real = fitting.callbacks_of
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "callbacks_of", lambda *args: [*real(*args), Stop(step)])
        with pytest.raises(KeyboardInterrupt):
            tiny_sentences.ctc(tmp_path, **{**EVERYTHING, **changes})
    assert not (tmp_path / "results.json").exists()
    result = tiny_sentences.ctc(tmp_path, **{**EVERYTHING, **changes})
    assert [one for one, _ in losses(result)] == list(range(1, 10))
    assert losses(result) == losses(uninterrupted)
    ours = AutoModelForCTC.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    theirs = AutoModelForCTC.from_pretrained(uninterrupted.folder, dtype=torch.float32).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert result.metrics == uninterrupted.metrics


def test_a_finished_run_is_read(tiny_sentences, trained_ctc, monkeypatch):
    monkeypatch.setattr(continuous.Trainer, "train", lambda *args, **kwargs: pytest.fail("it was trained again"))
    again = tiny_sentences.ctc(trained_ctc.folder, num_train_epochs=25)
    assert again.metrics == trained_ctc.metrics and again.decoding == trained_ctc.decoding
    with pytest.raises(ValueError, match=r"holds a run with other settings \(decoding.order was 2, is 0\)"):
        tiny_sentences.ctc(
            trained_ctc.folder,
            num_train_epochs=25,
            decoding='{"order": 0, "insertion_bonus": 0.0, "lm_weight": [0.2, 0.3], "beam_size": 4}',
        )


def test_what_is_reported_is_what_the_saved_files_say(trained_ctc):
    """The model, its decoder and its language model are loaded from the folder and read one clip at a time."""
    folder = trained_ctc.folder
    processor = saved_processor(str(folder))
    model = AutoModelForCTC.from_pretrained(folder, dtype=torch.float32).eval()
    decoder = load_decoder(processor, json.loads((folder / "decoder.json").read_text()), folder)
    wrong = total = 0
    for row in read_predictions(folder / "predictions.jsonl"):
        number = int(row["id"].removesuffix(".npz").rsplit("-", 1)[-1])
        assert row["reference"] == sentence_of(number + 200)
        with torch.no_grad():
            output = model(**processor(sentence_clip(row["reference"], 2, number), return_tensors="pt"))
        assert processor.decode(decoder(output.logits[0].numpy()).ids) == row["hypothesis"]
        wrong, total = wrong + edits(row["hypothesis"], row["reference"]), total + len(row["reference"])
    assert trained_ctc.metrics["wer"] == pytest.approx(wrong / total) and total == trained_ctc.metrics["n_words"]
    assert trained_ctc.metrics["wer"] < 0.4
    assert trained_ctc.left_out == {"too_short": 0, "too_long": 0}
    assert (folder / "language_model.arpa").read_text().startswith("\\data\\")


def edits(one: list[str], other: list[str]) -> int:
    """Levenshtein distance, by recursion."""
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return edits(one[1:], other[1:])
    return 1 + min(edits(one[1:], other), edits(one, other[1:]), edits(one[1:], other[1:]))


def test_clips_that_ctc_cannot_learn_from_are_left_out_and_counted(tiny_sentences, tmp_path, caplog):
    data = write_tiny_sentences(tmp_path / "data", count=8, short=2)
    changes = {"processor": '{"features": ["position"], "target_fps": 25, "max_frames": 28}', "num_train_epochs": 1}
    with caplog.at_level(logging.WARNING):
        logging.getLogger("transformers").propagate = True
        result = tiny_sentences.ctc(tmp_path / "run", data_dir=data, validation_size=0, **changes)
    long = sum(len(sentence_of(number + 100 * signer)) == 4 for signer in (0, 1) for number in range(8))
    assert result.left_out["too_short"] == 2 and long - 2 <= result.left_out["too_long"] <= long
    assert "2 (" in caplog.text and "fewer output frames than their glosses need" in caplog.text
    assert result.metrics["n"] == 8  # of a test nothing is left out


def test_glosses_that_training_lacks_are_named_for_recognisers_and_translators(caplog):
    splits = {"train": {"glosses": [["FROG"]]}, "test": {"glosses": [["BOOK", "FROG"], ["book", "TOAD"]]}}
    for processor in (SignCTCProcessor(["BOOK"]), SignTranslatorProcessor.train([["BOOK"]], ["a book"])):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            tell_unknown(splits, processor)
        (record,) = caplog.records
        assert "lacks 2 of the 4 glosses of the test split" in record.message and "FROG, TOAD." in record.message


def test_a_target_needs_a_blank_between_equal_glosses():
    rows = rows_of(2, frames=1, glosses=[["BOOK", "BOOK"], ["BOOK", "DRINK"]])
    processor = SignCTCProcessor(
        GLOSSES, layout="hands-42", features=["position"], target_fps=25, normalization="centroid"
    )
    model = SignForCTC(SignCTCConfig(input_size=processor.feature_size, vocab_size=6, hidden_size=8))
    assert frame_counts(rows, 25).tolist() == [2, 2]
    kept, lengths, left_out = trainable(rows, processor, model)
    assert kept["id"] == ["1"] and lengths.tolist() == [2] and left_out == {"too_short": 1, "too_long": 0}
    with pytest.raises(ValueError, match="No training clip can be used: 1 are too short"):
        trainable(rows.select([0]), processor, model)


def test_frame_counts_are_those_of_the_processor():
    rows = rows_of(5)
    for fps in (None, 25.0, 40.0, 12.0):
        processor = SignCTCProcessor(layout="hands-42", features=["position"], target_fps=fps, normalization="centroid")
        assert frame_counts(rows, fps).tolist() == [len(processor.extract(row)) for row in rows]


@pytest.mark.parametrize("causal", [False, True])
def test_long_clips_are_read_in_windows_in_any_batch_and_whole_by_a_causal_model(causal):
    rows = rows_of(5)
    processor = SignCTCProcessor(
        GLOSSES, layout="hands-42", features=["position"], target_fps=25, normalization="centroid", max_frames=12
    )
    torch.manual_seed(0)
    config = SignCTCConfig(
        input_size=processor.feature_size, vocab_size=6, hidden_size=8, temporal_stride=2, causal=causal
    )
    model = SignForCTC(config).eval()
    found = list(log_probabilities(model, processor, rows, batch_size=3, progress=False))
    for row, log_probs in zip(rows, found, strict=True):
        features = processor.extract(row)
        windows = [(0, len(features))] if causal else processor.windows(len(features))
        with torch.no_grad():
            parts = [model(torch.from_numpy(features[None, start:end])).logits[0].numpy() for start, end in windows]
        np.testing.assert_allclose(log_probs, processor.merge(parts, windows, 2), atol=1e-5)
    assert max(map(len, found)) > 12 // 2


def test_the_decoder_with_the_fewest_errors_on_validation_is_taken(tmp_path):
    """Only with a language model of weight 1 is the second sign DRINK: the network says HOUSE a little louder."""
    processor = SignCTCProcessor(GLOSSES)
    log_probs = np.full((6, 6), -9.0)
    for frame, columns in enumerate([(0,), (2,), (0,), (4, 3), (0,), (0,)]):
        for rank, column in enumerate(columns):
            log_probs[frame, column] = -0.1 - 0.3 * rank
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    settings = {"method": "beam", "beam_size": 8, "order": 2, "lm_weight": [0.0, 1.0], "insertion_bonus": [0.0]}
    settings |= {"engine": "numpy", "chosen_on": 5}
    train = [["BOOK", "DRINK"]] * 30 + [["HOUSE", "BOOK"], ["THANKS", "HOUSE"]]
    chosen = fit_decoder(processor, settings, train, ([log_probs], [["book", "drink"]]), tmp_path)
    assert chosen["lm_weight"] == 1.0 and chosen["chosen_on"] == {"clips": 1, "errors": 0}
    assert glosses_of(processor, load_decoder(processor, chosen, tmp_path), [log_probs]) == [["BOOK", "DRINK"]]
    assert chosen["language_model"] == "language_model.arpa" and (tmp_path / "language_model.arpa").is_file()
    other = fit_decoder(processor, settings, train, ([log_probs], [["BOOK", "HOUSE"]]), tmp_path)
    assert other["lm_weight"] == 0.0 and other["language_model"] is None
    assert not (tmp_path / "language_model.arpa").exists()  # what counts nothing is not carried
    assert json.loads((tmp_path / "decoder.json").read_text()) == other
    assert glosses_of(processor, load_decoder(processor, other, tmp_path), [log_probs]) == [["BOOK", "HOUSE"]]
    assert fit_decoder(processor, settings, train, None, tmp_path)["lm_weight"] == 0.0


def test_batches_hold_clips_of_similar_length_in_an_order_of_the_epoch():
    class Rows:
        lengths, epoch = np.random.default_rng(0).integers(10, 100, 400), 0

        def __len__(self):
            return 400

    rows = Rows()
    first = list(SimilarLengths(rows, 4, seed=1))
    assert sorted(first) == list(range(400)) and first == list(SimilarLengths(rows, 4, seed=1))
    spread = np.mean([np.ptp(rows.lengths[first[at : at + 4]]) for at in range(0, 400, 4)])
    assert spread < 0.2 * np.mean([np.ptp(rows.lengths[at : at + 4]) for at in range(0, 400, 4)])
    rows.epoch = 1
    assert list(SimilarLengths(rows, 4, seed=1)) != first != list(SimilarLengths(rows, 4, seed=2))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"augment": '{"crop_time": 0.5}'}, "crop_time would cut signs off that the glosses still name; set it to 0"),
        ({"decoding": '{"beam": 3}'}, "Unknown decoding setting beam; known are method, beam_size"),
        ({"decoding": '{"lm_weight": "much"}'}, "lm_weight is 'much'; give a number or a list of numbers"),
        ({"decoding": '{"lm_weight": [0.5, -1]}'}, "lm_weight is -1; it must be at least 0"),
        ({"decoding": '{"engine": "steam"}'}, "Unknown engine 'steam'; known are auto, numpy, flashlight"),
        ({"decoding": '{"method": "magic"}'}, "decoding method is 'magic'; choose 'greedy' or 'beam'"),
        ({"model": '{"hiden_size": 8}'}, "Unknown model setting hiden_size"),
        ({"processor": '{"num_frames": 8}'}, "A clip of several signs keeps its length; leave out num_frames"),
        ({"model_type": "signlang_conv"}, "'signlang_conv' does not read sentences of glosses; signlang_ctc does"),
        ({"minimum_count": 999}, "No gloss occurs 999 times in training; lower --minimum_count"),
        ({"metric_for_best_model": "accuracy"}, "validation measures wer, sentence_accuracy, loss"),
        ({"error_rate": "cer"}, "error_rate is 'cer'; choose 'wer' or 'letter_error_rate'"),
        ({"validation_by": "clip"}, "carved out by sentence or by signer"),
    ],
)
def test_mistakes_are_one_sentence(tiny_sentences, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said) as refused:
        tiny_sentences.ctc(tmp_path, **changes)
    assert "\n" not in str(refused.value)


def test_a_model_of_another_kind_is_not_fine_tuned(tiny_sentences, trained_ctc, trained_translator, tmp_path):
    no_settings = {"model": None, "processor": None}
    with pytest.raises(ValueError, match="translator: model_type 'signlang_translator' does not read sentences"):
        tiny_sentences.ctc(tmp_path, model_name_or_path=trained_translator.folder, **no_settings)
    with pytest.raises(ValueError, match="ctc: model_type 'signlang_ctc' does not translate glosses"):
        tiny_sentences.translator(tmp_path, model_name_or_path=trained_ctc.folder, **no_settings)


def test_rows_without_glosses_are_named():
    rows = rows_of(3, glosses=[["BOOK"], [], ["DRINK"]])
    with pytest.raises(ValueError, match=r"Row 1 \('1'\) has no glosses; leave it out"):
        require_columns(rows, ("glosses",), "Continuous recognition")
    with pytest.raises(ValueError, match=r"Row 2 \('2'\) has an empty gloss"):
        require_columns(rows_of(3, glosses=[["A"], ["B"], ["C", " "]]), ("glosses",), "Continuous recognition")
    with pytest.raises(ValueError, match="Continuous recognition needs rows with glosses; these have id"):
        require_columns(rows.remove_columns("glosses"), ("glosses",), "Continuous recognition")


def test_predictions_are_written_as_they_are_read(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, ["ä", "b"], [["A"], ["B", "C"]], [[], ["B"]], {"greedy": [["X"], []]})
    assert read_predictions(path) == [
        {"id": "ä", "reference": ["A"], "hypothesis": [], "greedy": ["X"]},
        {"id": "b", "reference": ["B", "C"], "hypothesis": ["B"], "greedy": []},
    ]
    path.write_text('{"id": 3}\n')
    with pytest.raises(ValueError, match="holds no predictions"):
        read_predictions(path)
    with pytest.raises(FileNotFoundError, match="is missing"):
        read_predictions(tmp_path / "no.jsonl")
