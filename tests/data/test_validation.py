"""``validate_folder``: all faults of a folder in one run, with file and row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from signlang_hf.data import load_dataset, validate_folder
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.video import write_video


def test_a_faultless_folder_has_no_faults_and_loads(landmark_folder, cache_folder):
    report = validate_folder(landmark_folder)
    assert report.faults == [] and report.ok
    assert (report.clips, report.frames, report.classes, report.signers) == (12, 240, 3, 4)
    assert report.splits == {"train": 9, "test": 3} and report.layouts == {"hands-42": 12}
    assert str(report) == (
        f"{landmark_folder}: 12 clips · 240 frames · 3 classes · 4 signers · train 9, test 3 · hands-42: no faults."
    )
    assert (
        len(load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder))
        == report.splits["train"]
    )


@pytest.fixture
def broken_folder(landmark_folder, clip, folder_rows, write_table):
    """A folder with a fault of every kind that lies in files or between them."""
    (landmark_folder / "anna/hello.npz").unlink()
    (landmark_folder / "anna/house.npz").write_bytes(b"not an archive")
    fields = dict(np.load(landmark_folder / "anna/thanks.npz"))
    np.savez(landmark_folder / "anna/thanks.npz", **fields | {"data": np.zeros((5, 41, 3), "f4")})
    clip(3).frames(slice(0, 0)).save(landmark_folder / "ben/hello.npz")
    clip(4).replace(data=np.full((20, 42, 3), np.nan, "f4")).save(landmark_folder / "ben/house.npz")
    body = clip(5, layout="mediapipe-holistic", points=75)
    body.replace(data=np.where(np.arange(75)[:, None] < 33, body.data, np.nan)).save(landmark_folder / "ben/thanks.npz")
    clip(9).save(landmark_folder / "dan/house.npz")
    clip(9).save(landmark_folder / "extra/old.npz")
    folder_rows[11]["signer"] = "ben"
    write_table(landmark_folder, [*folder_rows, folder_rows[6]])
    return landmark_folder


def test_all_faults_are_found_in_one_run(broken_folder):
    report = validate_folder(broken_folder)
    found = {(fault.severity, fault.kind, fault.file, fault.row): fault.message for fault in report.faults}
    expected = {
        ("error", "missing-file", "anna/hello.npz", 2): "does not exist",
        ("error", "unreadable", "anna/house.npz", 3): "",
        ("error", "unreadable", "anna/thanks.npz", 4): "41 points; the layout has 42",
        ("error", "unreadable", "ben/hello.npz", 5): "the clip has no frames",
        ("error", "unreadable", "ben/house.npz", 6): "NaN everywhere",
        ("warning", "no-hands", "ben/thanks.npz", 7): "no hand was seen",
        ("error", "duplicate-row", "cleo/hello.npz", 14): "listed twice, first in row 8",
        ("warning", "same-content", "dan/house.npz", 12): "the same landmarks as dan/hello.npz (row 11)",
        ("warning", "signer-in-two-splits", None, None): "the signer 'ben' is in the splits train and test",
        ("warning", "unlisted-file", None, None): "1 files are not in metadata.csv: extra/old.npz",
        ("warning", "mixed-layouts", None, None): "mediapipe-holistic (1), hands-42 (6)",
    }
    assert set(found) == set(expected)
    for key, part in expected.items():
        assert part in found[key]
    assert not report.ok and len(report.errors) == 6 and len(report.warnings) == 5


def test_the_text_lists_errors_with_their_place(broken_folder):
    lines = str(validate_folder(broken_folder)).splitlines()
    assert lines[0] == "error    row 2, anna/hello.npz: the file does not exist."
    assert all(line.startswith("error") for line in lines[:6]) and all(
        line.startswith("warning") for line in lines[6:-1]
    )
    assert lines[-1].endswith(": 6 errors, 5 warnings.")
    assert not any(str(broken_folder) in line for line in lines[:-1]), "a fault repeats the folder's path"


def test_the_report_is_plain_json(broken_folder):
    content = json.loads(json.dumps(validate_folder(broken_folder).to_dict()))
    assert (
        content["ok"] is False
        and content["clips"] == 11
        and content["layouts"] == {"mediapipe-holistic": 1, "hands-42": 6}
    )
    assert {"severity", "kind", "message", "file", "row"} == set(content["faults"][0])


def test_the_same_content_in_two_splits_is_an_error(landmark_folder, clip):
    clip(0).save(landmark_folder / "dan/hello.npz")
    (fault,) = validate_folder(landmark_folder).faults
    assert (fault.severity, fault.kind, fault.row) == ("error", "same-content", 11)
    assert fault.message == "the same landmarks as anna/hello.npz (row 2), which is in the train split."


def test_a_shared_signer_is_an_error_where_independence_is_claimed(landmark_folder, folder_rows, write_table):
    folder_rows[11]["signer"] = "ben"
    write_table(landmark_folder, folder_rows)
    assert validate_folder(landmark_folder).ok
    report = validate_folder(landmark_folder, signer_independent=True)
    assert [fault.kind for fault in report.errors] == ["signer-in-two-splits"]


def test_a_folder_of_bare_files_is_checked_without_a_table(landmark_folder, clip):
    (landmark_folder / "metadata.csv").unlink()
    (landmark_folder / "ben/house.npz").write_bytes(b"")
    (landmark_folder / ".hidden").mkdir()
    (landmark_folder / ".hidden/x.npz").write_bytes(b"")
    np.save(landmark_folder / "bare.npy", clip(40).data)
    report = validate_folder(landmark_folder)
    assert [(fault.severity, fault.kind, fault.file, fault.row) for fault in report.faults] == [
        ("warning", "no-metadata", None, None),
        ("error", "unreadable", "bare.npy", None),
        ("error", "unreadable", "ben/house.npz", None),
    ]
    assert "pass file_layout=" in report.faults[1].message
    assert [fault.file for fault in validate_folder(landmark_folder, layout="hands-42").errors] == ["ben/house.npz"]


def test_a_layout_that_does_not_fit_is_a_fault_of_each_file(landmark_folder):
    report = validate_folder(landmark_folder, layout="kinect-20")
    assert len(report.errors) == 12
    assert "Layout 'hands-42' shares no point with layout 'kinect-20'" in report.errors[0].message


def test_videos_are_opened(tmp_path, write_table):
    pytest.importorskip("av")
    frames = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "good.mp4", frames, fps=25)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is no video at all" * 10)
    write_table(tmp_path, [{"file_name": f"{name}.mp4", "label": name[0]} for name in ("good", "empty", "text")])
    report = validate_folder(tmp_path)
    errors = {fault.file: fault.message for fault in report.errors}
    assert set(errors) == {"empty.mp4", "text.mp4"} and report.frames == 12
    assert "empty" in errors["empty.mp4"] and str(tmp_path) not in errors["text.mp4"]


def test_an_empty_and_a_missing_folder(tmp_path):
    (fault,) = validate_folder(tmp_path).faults
    assert fault.severity == "error" and "no clip" in fault.message
    with pytest.raises(FileNotFoundError, match="Folder not found"):
        validate_folder(tmp_path / "nowhere")


def test_progress_is_shown_when_asked(landmark_folder, capsys):
    validate_folder(landmark_folder, progress=True)
    assert "Checking clips" in capsys.readouterr().err
    validate_folder(landmark_folder)
    assert capsys.readouterr().err == ""


def test_every_error_of_a_file_keeps_the_dataset_from_loading(landmark_folder, cache_folder):
    """Validation and builder agree: what one calls an error, the other raises with the same words."""
    clip = LandmarkSequence.load(landmark_folder / "cleo/hello.npz")
    clip.replace(data=np.full_like(clip.data, np.nan)).save(landmark_folder / "cleo/hello.npz")
    (fault,) = validate_folder(landmark_folder).errors
    with pytest.raises(ValueError) as caught:
        load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    assert str(caught.value) == f"{landmark_folder / 'cleo/hello.npz'}: {fault.message}"
