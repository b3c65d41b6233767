"""SignCTCProcessor: glosses ↔ columns, clips that keep their length, windows that fade into each other."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moving_signer import clip, motion
from transformers import AutoFeatureExtractor, AutoProcessor

from signlang_hf import SignCTCConfig, SignCTCProcessor, SignKeypointProcessor, register_layout
from signlang_hf.models.ctc import gloss_vocabulary

GLOSSES = ["HAUS", "ich", "GEHEN", "Tür"]


def processor(**changes: Any) -> SignCTCProcessor:
    return SignCTCProcessor(**{"vocabulary": GLOSSES, **changes})


# --------------------------------------------------------------------------------------------------------------- glosses


def test_columns_start_after_blank_and_unknown_and_case_does_not_matter() -> None:
    made = processor()
    assert made.vocabulary == ["<blank>", "<unk>", *GLOSSES] and made.glosses == GLOSSES
    assert (made.blank_token_id, made.unk_token_id) == (0, 1)
    # Lower case, capitals, spaces, and ü as one character or as two.
    assert made.encode(["haus", "ICH", " Gehen ", "TU\u0308R", "BAUM"]) == [2, 3, 4, 5, 1]
    assert made.decode([2, 0, 5, -100, 1]) == ["HAUS", "Tür", "<unk>"]
    assert made.unknown(["BAUM", "ich", "baum", "BAUM", "See"]) == ["BAUM", "baum", "See"]
    assert made.decode(made.encode(GLOSSES)) == GLOSSES


def test_a_vocabulary_from_sentences_takes_the_frequent_spelling() -> None:
    sentences = [["Haus", "ICH"], ["HAUS", "ich"], ["HAUS"], ["SEE"]]
    assert gloss_vocabulary(sentences) == ["HAUS", "ICH", "SEE"]
    assert gloss_vocabulary(sentences[::-1]) == ["HAUS", "ICH", "SEE"]
    assert gloss_vocabulary(sentences, minimum_count=2) == ["HAUS", "ICH"]


def test_everything_is_in_the_file(tmp_path: Path) -> None:
    register_layout("ctc-three", ["nose", "left_shoulder", "right_shoulder"])
    made = processor(layout="ctc-three", overlap=0.25, max_frames=40, target_fps=20, mean=[0.5] * 27, std=[2.0] * 27)
    made.save_pretrained(tmp_path)
    SignCTCConfig().save_pretrained(tmp_path)  # what AutoProcessor asks
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved["vocabulary"] == made.vocabulary and saved["feature_extractor_type"] == "SignCTCProcessor"
    for auto in (SignCTCProcessor, AutoFeatureExtractor, AutoProcessor):
        again = auto.from_pretrained(tmp_path)
        assert type(again) is SignCTCProcessor and again.to_dict() == made.to_dict()
        assert again.encode(["tür"]) == [5] and again.windows(100) == made.windows(100)
        np.testing.assert_array_equal(again.extract(clip(30)), made.extract(clip(30)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocabulary": ["A", "B", "a"]}, "names the gloss 'a' twice, as entries 2 and 4"),
        ({"vocabulary": ["A", "<UNK>"]}, "'<UNK>' twice"),
        ({"vocabulary": ["A", "  "]}, "Gloss 1 of .* is '  '"),
        ({"vocabulary": ["A", 3]}, "a gloss is a string that is not empty"),
        ({"vocabulary": "A B"}, "are a list of strings; got 'A B'"),
        ({"num_frames": 32}, "leave out num_frames"),
        ({"overlap": 1.0}, r"overlap is 1.0; it must be in \[0, 1\)"),
        ({"max_frames": 3}, "a window must have at least 4 frames"),
        ({"normalization": "hip"}, "normalization is 'hip'"),
    ],
)
def test_settings_that_cannot_work_say_so(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        processor(**changes)


# ----------------------------------------------------------------------------------------------------------------- clips


def test_the_default_sees_432_values_a_frame_on_a_clock_of_30() -> None:
    made = SignCTCProcessor()
    assert made.feature_size == SignCTCConfig().input_size == 432
    assert made.extract(clip(51, fps=25)).shape == (61, 432)  # two seconds
    np.testing.assert_allclose(made.seconds(np.array([0, 15]), 4), [0, 2])
    assert processor(target_fps=None).seconds(50, 2, fps=25) == 4
    with pytest.raises(ValueError, match="say its rate with fps="):
        processor(target_fps=None).seconds(50, 2)


def test_a_long_clip_keeps_every_frame_where_an_isolated_sign_is_squeezed() -> None:
    long = clip(400, fps=25)
    settings = {"layout": "isl-48", "features": ("position", "velocity"), "target_fps": 25, "normalization": "none"}
    squeezed = SignKeypointProcessor(**settings, max_frames=64)
    assert squeezed.extract(long).shape[0] == 64
    features = processor(**settings, max_frames=64).extract(long)
    np.testing.assert_array_equal(features, SignKeypointProcessor(**settings, max_frames=400).extract(long))


def test_fit_standardises_whole_clips() -> None:
    made = processor(target_fps=25, max_frames=8).fit([clip(50), clip(30)])
    values = np.concatenate([made.extract(clip(50)), made.extract(clip(30))])
    moving = values.std(0) > 0
    np.testing.assert_allclose(values[:, moving].mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(values[:, moving].std(0), 1, atol=1e-3)


def test_a_batch_has_labels_that_are_filled_up() -> None:
    made = processor(target_fps=25)
    batch = made([clip(20), clip(9)], [["ich", "HAUS"], ["BAUM"]], return_tensors="pt")
    assert batch["input_values"].shape == (2, 20, 432) and batch["attention_mask"].sum(1).tolist() == [20, 9]
    assert batch["labels"].tolist() == [[3, 2], [1, -100]] and batch["labels"].dtype == torch.int64
    one = made(clip(9), ["ich", "HAUS"], return_tensors="np")
    assert one["labels"].tolist() == [[3, 2]]
    assert made([clip(9)], [[]], return_tensors="pt")["labels"].tolist() == [[-100]]  # a clip in which nobody signs
    assert "labels" not in made(clip(9))
    with pytest.raises(ValueError, match="There are 2 clips and 1 lists of glosses"):
        made([clip(9), clip(9)], [["ich"]])
    with pytest.raises(ValueError, match="Split a sentence first"):
        made(clip(9), "ich gehen")
    with pytest.raises(ValueError, match="Split a sentence first"):
        made([clip(9)], ["ich"])


def test_padding_rows_gives_what_the_call_gives() -> None:
    made = processor(target_fps=25)
    clips, glosses = [clip(20), clip(9)], [["ich", "HAUS"], ["BAUM"]]
    rows = [{"input_values": made.extract(one), "labels": made.encode(words)} for one, words in zip(clips, glosses)]
    padded, called = made.pad(rows, return_tensors="pt"), made(clips, glosses, return_tensors="pt")
    assert set(padded) == set(called)
    for name, value in called.items():
        assert torch.equal(padded[name].to(value.dtype), value), name
    assert "labels" not in made.pad([{"input_values": rows[0]["input_values"]}], return_tensors="np")


# --------------------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("longest", [4, 30, 64])
def test_windows_cover_every_frame_and_begin_where_any_stride_does(overlap: float, longest: int) -> None:
    made = processor(max_frames=longest, overlap=overlap)
    for frames in (1, longest - 1, longest, longest + 1, 3 * longest, 1000):
        windows = made.windows(frames)
        assert windows[0][0] == 0 and windows[-1][1] == frames
        assert (
            all(stop - start == longest for start, stop in windows[:-1])
            and 0 < windows[-1][1] - windows[-1][0] <= longest
        )
        assert all(start % 4 == 0 for start, _ in windows)
        assert all(after[0] <= before[1] for before, after in itertools.pairwise(windows))
        assert len(windows) == 1 or frames > longest
        # A stream knows where windows begin before it knows how long it is.
        assert [start for start, _ in windows] == [start for start, _ in made.windows(5000)][: len(windows)]


def test_windows_overlap_by_the_share_that_was_asked_for() -> None:
    assert SignCTCProcessor().windows(301) == [(0, 300), (152, 301)]
    assert SignCTCProcessor(overlap=0.2).windows(540) == [(0, 300), (240, 540)]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_merging_windows_of_one_output_gives_it_back(stride: int) -> None:
    made = processor(max_frames=32, overlap=0.4)
    frames = 101
    whole = torch.randn(-(-frames // stride), 6, generator=torch.Generator().manual_seed(0)).log_softmax(-1).numpy()
    windows = made.windows(frames)
    parts = [whole[start // stride : -(-stop // stride)] for start, stop in windows]
    np.testing.assert_allclose(made.merge(parts, windows, stride), whole, atol=1e-5)


def test_one_window_fades_into_the_next() -> None:
    made = processor(max_frames=12, overlap=0.34)  # four frames are read twice
    windows = made.windows(20)
    assert windows == [(0, 12), (8, 20)]
    first, second = (np.log(np.tile(shares, (12, 1))) for shares in ([0.9, 0.1], [0.1, 0.9]))
    merged = np.exp(made.merge([first, second], windows))
    np.testing.assert_allclose(merged.sum(1), 1, atol=1e-6)
    weight = np.array([4, 3, 2, 1]) / 5  # of the first in the frames that both have
    np.testing.assert_allclose(merged[:, 0], [*[0.9] * 8, *(0.1 + 0.8 * weight), *[0.1] * 8], atol=1e-6)


def test_merging_takes_certain_outputs_and_says_what_does_not_fit() -> None:
    made = processor(max_frames=8)
    never = np.array([[0.0, -1e4]] * 8, np.float32)
    merged = made.merge([never, never], [(0, 8), (4, 12)])
    np.testing.assert_array_equal(merged, np.array([[0.0, -1e4]] * 12, np.float32))
    with pytest.raises(ValueError, match="outputs of 1 windows for 2 ranges"):
        made.merge([never], [(0, 8), (4, 12)])
    with pytest.raises(ValueError, match=r"frames 0 to 8 has 8 output frames; with stride 2 it must .* and have 4"):
        made.merge([never], [(0, 8)], stride=2)


def test_a_clip_at_any_rate_means_the_same() -> None:
    made = processor()
    slow, fast = (made.extract(motion(np.arange(0, 3, 1 / fps))) for fps in (30, 60))
    np.testing.assert_allclose(slow[5:-5, :144], fast[5 : len(slow) - 5, :144], atol=0.02)
