"""Folders of numbered pictures: their order, their clock, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.video import iter_pictures

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the test pictures")


@pytest.fixture
def folder(tmp_path):
    """Twelve grey pictures, each as bright as its number says, and files that are none."""
    for number in range(12):
        Image.fromarray(np.full((8, 10, 3), 20 * number, np.uint8)).save(tmp_path / f"frame_{number}.png")
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".frame_99.png").touch()
    return tmp_path


def read(folder, rate=30.0, **options):
    chunks = list(iter_pictures(folder, rate, **options))
    return np.concatenate([chunk.frames for chunk in chunks]), np.concatenate([chunk.timestamps for chunk in chunks])


def test_numbers_in_names_count_as_numbers(folder):
    frames, times = read(folder)
    assert frames.shape == (12, 8, 10, 3) and frames.dtype == np.uint8
    assert frames[:, 0, 0, 0].tolist() == [20 * number for number in range(12)]
    np.testing.assert_allclose(times, np.arange(12) / 30)


def test_chunks_hold_what_was_asked_for(folder):
    assert [len(chunk.frames) for chunk in iter_pictures(folder, 30, chunk=5)] == [5, 5, 2]


def test_frames_are_left_out_by_time(folder):
    frames, times = read(folder, fps=10)
    assert frames[:, 0, 0, 0].tolist() == [0, 60, 120, 180]
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3])
    assert len(read(folder, fps=60)[0]) == 12


def test_faults_are_named(folder, tmp_path):
    Image.fromarray(np.zeros((9, 10, 3), np.uint8)).save(folder / "frame_7.png")
    with pytest.raises(ValueError, match=r"frame_7\.png is of another size"):
        read(folder)
    (folder / "frame_7.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"frame_7\.png is not a picture"):
        read(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"holds no picture \(\.jpg"):
        read(tmp_path / "none")
