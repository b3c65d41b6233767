"""``MP_Data`` folders: one array a frame, zeros for what was not found, frames in the order of their numbers."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.data import load_dataset, to_sequence
from signlang_hf.data.mp_data import read_sequence
from signlang_hf.landmarks import get_layout


def frame(seed, numbers=1662):
    """One frame as the tutorial's ``extract_keypoints`` gives it."""
    rng = np.random.default_rng(seed)
    pose = np.concatenate([rng.random((33, 3)), np.full((33, 1), 0.75)], axis=1).ravel()
    face, left, right = (rng.random(count * 3) for count in (468, 21, 21))
    parts = {1662: [pose, face, left, right], 258: [pose, left, right], 126: [left, right]}
    return np.concatenate(parts[numbers])


def write_sequence(folder, seed, frames=12, numbers=1662):
    folder.mkdir(parents=True)
    for number in range(frames):
        values = frame(100 * seed + number, numbers)
        if number == 10:
            values[-63:] = 0  # no right hand
        np.save(folder / f"{number}.npy", values)


@pytest.fixture
def mp_data(tmp_path):
    folder = tmp_path / "MP_Data"
    for seed, (word, sequence) in enumerate((w, s) for w in ("hello", "thanks") for s in (0, 2, 10)):
        write_sequence(folder / word / str(sequence), seed)
    return folder


def test_sequences_become_rows(mp_data, cache_folder):
    split = load_dataset("mp_data", mp_data, split="train", cache_dir=cache_folder)
    assert list(split["id"]) == [f"{word}/{number}" for word in ("hello", "thanks") for number in (0, 2, 10)]
    assert split.features["label"].names == ["hello", "thanks"] and list(split["label"]) == [0] * 3 + [1] * 3
    sequence = to_sequence(split[1])
    assert (sequence.layout, sequence.units, sequence.fps, len(sequence)) == (
        "mediapipe-holistic-face468", "unknown", 30.0, 12,
    )  # fmt: skip
    spec = get_layout(sequence.layout)
    for number in (0, 2, 11):  # 10.npy comes after 9.npy
        values = frame(100 + number)
        np.testing.assert_allclose(
            sequence.data[number, list(spec.parts["pose"])], values[:132].reshape(33, 4)[:, :3], rtol=1e-6
        )
        np.testing.assert_allclose(sequence.data[number, list(spec.parts["face"])].ravel(), values[132:1536], rtol=1e-6)
        np.testing.assert_allclose(
            sequence.data[number, list(spec.parts["left_hand"])].ravel(), values[1536:1599], rtol=1e-6
        )
        np.testing.assert_allclose(
            sequence.data[number, list(spec.parts["right_hand"])].ravel(), values[1599:], rtol=1e-6
        )
    assert sequence.part_seen("right_hand").tolist() == [True] * 10 + [False, True]
    np.testing.assert_allclose(sequence.visibility[0, list(spec.parts["pose"])], 0.75)
    assert (sequence.visibility[0, list(spec.parts["left_hand"])] == 1).all()


@pytest.mark.parametrize(("numbers", "layout"), [(258, "mediapipe-holistic"), (126, "hands-42")])
def test_variants_without_a_face_are_read(numbers, layout, tmp_path, cache_folder):
    write_sequence(tmp_path / "MP_Data/hello/0", 0, numbers=numbers)
    np.save(tmp_path / "MP_Data/hello/1.npy", np.stack([frame(seed, numbers) for seed in range(7)]))
    split = load_dataset("mp_data", tmp_path, split="train", cache_dir=cache_folder)
    assert [(row["id"], row["layout"], len(row["landmarks"])) for row in split] == [
        ("hello/0", layout, 12), ("hello/1", layout, 7),
    ]  # fmt: skip


def test_layout_rate_and_size_can_be_given(mp_data, cache_folder):
    options = {"layout": "isl-48", "source_fps": 15, "size": (640, 480)}
    sequence = to_sequence(load_dataset("mp_data", mp_data, split="train", cache_dir=cache_folder, **options)[0])
    assert (sequence.layout, sequence.fps, sequence.size, sequence.units) == ("isl-48", 15.0, (640, 480), "image")


def test_broken_sequences_are_named_or_left_out(mp_data, cache_folder):
    np.save(mp_data / "hello/2/5.npy", np.zeros(258))
    with pytest.raises(ValueError, match="hello/2: the frames hold different numbers of numbers"):
        load_dataset("mp_data", mp_data, cache_dir=cache_folder)
    assert len(load_dataset("mp_data", mp_data, split="train", cache_dir=cache_folder, on_error="skip")) == 5
    np.save(mp_data / "hello/2/5.npy", np.array([{}], dtype=object), allow_pickle=True)  # what an attacker would send
    with pytest.raises(ValueError, match="hello/2: a frame is no file of a plain array"):
        read_sequence(mp_data / "hello/2")
    np.save(mp_data / "one.npy", np.zeros((3, 1000)))
    with pytest.raises(ValueError, match="a frame holds 1000 numbers; known are 1662, 258, 126"):
        read_sequence(mp_data / "one.npy")
    for number in range(12):
        np.save(mp_data / f"hello/2/{number}.npy", np.zeros(1662))
    with pytest.raises(ValueError, match="hello/2: no point was seen in any frame"):
        load_dataset("mp_data", mp_data, cache_dir=cache_folder)


def test_a_frame_that_is_written_anew_is_read_anew(mp_data, cache_folder):
    def first():
        return to_sequence(load_dataset("mp_data", mp_data, split="train", cache_dir=cache_folder)[0]).data[0, 0, 0]

    before = first()
    values = frame(0)
    values[0] = 0.25
    np.save(mp_data / "hello/0/0.npy", values)
    assert first() == 0.25 != before


def test_a_wrong_folder_says_what_is_expected(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"holds no <word>/<sequence>/<frame>\.npy; it should be the folder MP_Data"
    ):
        load_dataset("mp_data", tmp_path)
