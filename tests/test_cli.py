"""``signlang``: every command, what it prints where, and how mistakes end."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cheap_pose import CheapEstimator, tiny_frames
from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here
from tiny_model import save_tiny_model, tiny_clip
from typer.testing import CliRunner, Result

from signlang_hf import __version__, list_layouts, load_landmarks
from signlang_hf.cli import app
from signlang_hf.landmarks.normalize import mirror
from signlang_hf.video import read_video, write_video

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def quiet_transformers():
    """The command line turns transformers' messages off for its process; a test's process goes on."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    logging.set_verbosity(verbosity)
    if bars:
        logging.enable_progress_bar()


def signlang(*words: object) -> Result:
    """Run a command in this process. Whatever goes wrong must end as an exit code, never as an exception."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    return result


def refused(result: Result, *said: str) -> None:
    """Assert one sentence on the error stream, nothing on the other, and exit code 1."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("signlang: ")
    for words in said:
        assert words in line


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("cli") / "tiny", layout="isl-48")


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    folder = tmp_path / "landmarks"
    for name, seed in (("b", 1), ("a", 0), ("sub/c", 2)):
        tiny_clip(12, seed).save(folder / f"{name}.npz")
    return folder


# --------------------------------------------------------------------------------------------------------------- in general


def test_version_and_help():
    assert signlang("--version").stdout == f"{__version__}\n"
    listed = signlang("--help")
    assert listed.exit_code == 0
    for command in (
        "extract",
        "detect",
        "recognize",
        "translate",
        "evaluate",
        "validate",
        "layouts",
        "models",
        "push",
        "wlasl",
    ):
        assert command in listed.stdout
        assert signlang(command, "--help").exit_code == 0
    bare = signlang()
    assert "Usage" in bare.output and "recognize" in bare.output


@pytest.mark.parametrize(
    "words", [["translate"], ["recognize"], ["recognize", "x.mp4", "--webcam"], ["layouts", "--nope"], ["recognize", "x", "--model", "m", "--top-k", "0"]]
)  # fmt: skip
def test_a_wrong_command_line_has_exit_code_2(words):
    result = signlang(*words)
    assert result.exit_code == 2 and "Usage" in result.stderr and result.stdout == ""


def test_the_command_as_a_process(model, landmarks, tmp_path):
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "signlang_hf.cli", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=120)

    done = run("recognize", landmarks / "a.npz", "--model", model, "--json")
    assert done.returncode == 0 and done.stderr == ""
    (row,) = map(json.loads, done.stdout.splitlines())
    assert len(row["predictions"]) == 5
    failed = run("layouts", "nope")
    assert failed.returncode == 1 and failed.stdout == ""
    assert failed.stderr.startswith("signlang: Unknown layout 'nope'") and failed.stderr.count("\n") == 1


def test_the_command_line_starts_without_torch_and_transformers():
    code = "import sys, signlang_hf.cli\nprint(*{n.partition('.')[0] for n in sys.modules} & {'torch', 'transformers', 'datasets'})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "" and done.returncode == 0


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (PermissionError, 1), (ImportError, 1)])
def test_interruption_and_other_errors_are_one_sentence(monkeypatch, error, code):
    def stop(*_):
        raise error("what happened")

    monkeypatch.setattr("signlang_hf.landmarks.list_layouts", stop)
    result = signlang("layouts")
    assert result.exit_code == code and result.stdout == ""
    assert result.stderr.startswith("signlang: ") and result.stderr.count("\n") == 1
    assert ("interrupted" if error is KeyboardInterrupt else "what happened") in result.stderr


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def break_down(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("signlang_hf.landmarks.list_layouts", break_down)
    assert isinstance(CliRunner().invoke(app, ["layouts"]).exception, ZeroDivisionError)


# ----------------------------------------------------------------------------------------------------------------- layouts


def test_layouts():
    table = signlang("layouts").stdout
    assert "isl-48" in table and "pose 6, left_hand 21, right_hand 21" in table
    known = json.loads(signlang("layouts", "--json").stdout)
    assert set(known) == set(list_layouts())
    assert known["isl-48"] == {"pose": 6, "left_hand": 21, "right_hand": 21}
    points = json.loads(signlang("layouts", "boston-3", "--json").stdout)
    assert points == ["left_hand", "right_hand", "nose"] == signlang("layouts", "boston-3").stdout.split()
    refused(signlang("layouts", "mine"), "Unknown layout 'mine'", "isl-48")


# --------------------------------------------------------------------------------------------------------------- recognize


def test_recognize_one_file(model, landmarks):
    result = signlang("recognize", landmarks / "a.npz", "--model", model, "--top-k", 2)
    assert result.exit_code == 0 and result.stderr == ""
    assert "a.npz" in result.stdout.replace("\n", "") and result.stdout.count(" %") == 2
    (row,) = map(json.loads, signlang("recognize", landmarks / "a.npz", "--model", model, "--json").stdout.splitlines())
    assert row["file"] == str(landmarks / "a.npz") and [*row["predictions"][0]] == ["label", "score"]
    assert row["predictions"][0]["label"] in result.stdout


def test_recognize_reads_mirror_images_when_asked(model, tmp_path):
    clips = [tiny_clip(20, seed) for seed in range(4)]
    files = [[clip.save(tmp_path / f"{side}-{seed}.npz") for seed, clip in enumerate(each)] for side, each in (
        ("clip", clips), ("image", [mirror(clip) for clip in clips]),
    )]  # fmt: skip

    def scores(paths, *options):
        lines = signlang("recognize", *paths, "--model", model, "--json", *options).stdout.splitlines()
        return [json.loads(line)["predictions"][0]["score"] for line in lines]

    assert scores(files[0]) != pytest.approx(scores(files[1]), abs=1e-3)
    assert scores(files[0], "--mirror-margin", 0) == pytest.approx(scores(files[1], "--mirror-margin", 0), abs=1e-5)
    assert signlang("recognize", files[0][0], "--model", model, "--mirror-margin", -1).exit_code == 2


def test_recognize_folders_and_files_in_order(model, landmarks, tmp_path):
    (landmarks / "notes.txt").write_text("not a clip")
    shutil.copy(landmarks / "a.npz", landmarks / "._a.npz")  # what macOS leaves behind
    (landmarks / "folder.mp4").mkdir()
    other = tiny_clip(9, 5).save(tmp_path / "other.pose")
    result = signlang("recognize", landmarks, other, "--model", model, "--json", "--top-k", 1)
    files = [json.loads(line)["file"] for line in result.stdout.splitlines()]
    assert files == [str(landmarks / name) for name in ("a.npz", "b.npz", "sub/c.npz")] + [str(other)]
    assert result.exit_code == 0 and result.stderr == ""


def test_recognize_reports_a_bad_file_and_goes_on(model, landmarks, monkeypatch):
    monkeypatch.setattr("signlang_hf.pipelines.clip_pipeline.default_estimator", CheapEstimator)
    (landmarks / "ab.npz").write_text("no landmarks")
    words = ["recognize", landmarks, landmarks / "missing.mp4", "--model", model]
    result = signlang(*words)
    assert result.exit_code == 0
    assert result.stdout.count(" %") == 15
    bad, missing, total = result.stderr.splitlines()
    assert bad.startswith(f"signlang: {landmarks / 'ab.npz'}: ")
    assert missing == f"signlang: Video file not found: {landmarks / 'missing.mp4'}"
    assert total == "signlang: 2 of 5 clips could not be read."
    assert signlang(*words, "--strict").exit_code == 1
    lines = [json.loads(line) for line in signlang(*words, "--json").stdout.splitlines()]
    assert [("error" in line, "predictions" in line) for line in lines].count((True, False)) == 2
    assert len(lines) == 5 and "not found" in lines[-1]["error"]


def test_recognize_fails_if_every_clip_does(model, tmp_path, monkeypatch):
    monkeypatch.setattr("signlang_hf.pipelines.clip_pipeline.default_estimator", CheapEstimator)
    (tmp_path / "bad.npz").write_text("no landmarks")
    refused(signlang("recognize", tmp_path / "bad.npz", "--model", model), "bad.npz: ")
    result = signlang("recognize", tmp_path / "bad.npz", tmp_path / "none.mp4", "--model", model, "--json")
    assert result.exit_code == 1 and len(result.stdout.splitlines()) == 2


def test_recognize_says_that_nobody_was_found(model, tmp_path):
    empty = tiny_clip(5)
    empty.replace(data=np.full_like(empty.data, np.nan), visibility=None).save(tmp_path / "nobody.npz")
    result = signlang("recognize", tmp_path / "nobody.npz", "--model", model)
    assert result.exit_code == 0
    assert result.stderr == f"signlang: {tmp_path / 'nobody.npz'}: Nobody was found in this clip.\n"
    row = json.loads(signlang("recognize", tmp_path / "nobody.npz", "--model", model, "--json").stdout)
    assert row["predictions"][0]["label"] is None


def test_recognize_prints_a_warning_as_one_line(model, tmp_path, monkeypatch):
    monkeypatch.setattr("signlang_hf.pipelines.clip_pipeline.default_estimator", CheapEstimator)
    dark = write_video(tmp_path / "dark.mp4", np.zeros((4, 48, 64, 3), np.uint8))
    result = signlang("recognize", dark, "--model", model)
    assert result.exit_code == 0
    warning, verdict = result.stderr.splitlines()
    assert warning.startswith("signlang: No person was found in any of the 4 frames of") and "dark.mp4" in warning
    assert verdict.endswith("dark.mp4: Nobody was found in this clip.")


# ----------------------------------------------------------------------------------------------------- models that are wrong


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.json", "is not a model folder: it has no config.json"),
        ("preprocessor_config.json", "has no processor; save it there with processor.save_pretrained()"),
        ("model.safetensors", "has no weights (*.safetensors)"),
    ],
)
def test_model_folder_that_lacks_a_file(model, landmarks, tmp_path, name, said):
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / name).unlink()
    for words in (
        ["recognize", landmarks, "--model", tmp_path / "broken"],
        ["evaluate", tmp_path / "broken", "--dataset", "x"],
    ):
        refused(signlang(*words), "broken", said)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{", "cannot be loaded: It looks like the config file at"),
        ("config.json", '{"model_type": "no_such_model"}', "no_such_model"),
        ("config.json", '{"model_type": "bert"}', "cannot be loaded: "),
        ("preprocessor_config.json", "{", "cannot be loaded: It looks like the config file at"),
        ("preprocessor_config.json", '{"feature_extractor_type": "SignKeypointProcessor"}', "they were not saved together"),
        ("preprocessor_config.json", '{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}', "got Wav2Vec2FeatureExtractor"),
        ("model.safetensors", "cut", "cannot be loaded: "),
    ],
)  # fmt: skip
def test_model_folder_with_a_broken_file(model, landmarks, tmp_path, name, content, said):
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / name).write_text(content)
    refused(signlang("recognize", landmarks, "--model", tmp_path / "broken"), "broken", said)


def test_model_that_is_nowhere(landmarks, tmp_path):
    for name in (tmp_path / "none", "./none", "a/b/c"):
        refused(signlang("recognize", landmarks, "--model", name), "Model folder not found")
    refused(signlang("recognize", landmarks, "--model", "outputs/none"), "outputs/none is not a folder here")


def test_folder_without_clips(model, tmp_path):
    refused(signlang("recognize", tmp_path, "--model", model), "There is no video or landmark file in")


# ---------------------------------------------------------------------------------------------------------------- evaluate


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages of the real fingerspelling lexicon."""
    pytest.importorskip("spoken_to_signed", reason="spoken-to-signed is not installed")
    from signlang_hf.data.fingerspelling import read_lexicon

    folder = tmp_path_factory.mktemp("lexicon")
    rows = [row for row in read_lexicon() if row["language"] in ("ase", "gsg")]
    with (folder / "index.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "signed_language", "words"])
        for row in rows:
            name = f"{row['language']}-{row['letter']}.pose"
            shutil.copy(row["file"], folder / name)
            writer.writerow([name, row["language"], row["letter"]])
    return folder


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = tuple("ZYXWVUTSRQPONMLKJIHGFEDCBA")  # another order than the dataset's
    return save_tiny_model(
        tmp_path_factory.mktemp("letters") / "tiny", labels, layout="hands-42", normalization="centroid"
    )


@pytest.fixture
def datasets_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def test_evaluate(letters, lexicon, datasets_cache):
    words = ["evaluate", letters, "--dataset", "fingerspelling", "--data-dir", lexicon]
    result = signlang(*words, "--json")
    assert result.exit_code == 0, result.output
    metrics = json.loads(result.stdout)
    assert metrics["model"] == str(letters) and metrics["dataset"] == "fingerspelling" and metrics["split"] == "test"
    assert metrics["n"] == 26
    for name in ("accuracy", "top5_accuracy", "macro_f1"):
        assert 0 <= metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"] <= 1
    # The same by hand: the clips through the pipeline, by name.
    from transformers import pipeline

    from signlang_hf import load_dataset

    rows = load_dataset("fingerspelling", lexicon, split="test")
    names = rows.features["label"].names
    predicted = [result[0]["label"] for result in pipeline("sign-recognition", model=str(letters))(rows)]
    right = sum(label == names[row["label"]] for label, row in zip(predicted, rows, strict=True))
    assert metrics["accuracy"] == pytest.approx(right / 26)

    table = signlang(*words, "--batch-size", 5).stdout
    assert (
        "accuracy" in table and f"{100 * metrics['accuracy']:.1f} %" in table and "26 clips" in " ".join(table.split())
    )
    held = signlang(*words, "--json", "--split", "train", "--options", '{"hold_out": "gsg"}')
    assert json.loads(held.stdout)["split"] == "train" and json.loads(held.stdout)["n"] == 26


def test_evaluate_with_labels_that_disagree(model, lexicon, datasets_cache):
    result = signlang("evaluate", model, "--dataset", "fingerspelling", "--data-dir", lexicon)
    refused(result, "The model does not know 26 of the dataset's 26 labels (A, B, C, D, E …)")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dataset", "no-such"], "Unknown dataset 'no-such'; known are "),
        (["--dataset", "fingerspelling", "--split", "exam"], "exam"),
        (["--dataset", "fingerspelling", "--options", "{"], "--options is not valid JSON"),
        (["--dataset", "fingerspelling", "--options", "[1]"], '--options must be a JSON object such as \'{"hold_out": "ase"}\'; got [1]'),
        (["--dataset", "fingerspelling", "--options", '{"holdout": 1}'], "no option holdout; it has"),
        (["--dataset", "fingerspelling", "--options", '{"hold_out": "xyz"}'], "unknown language xyz"),
    ],
)  # fmt: skip
def test_evaluate_on_what_is_not_there(letters, lexicon, datasets_cache, options, said):
    refused(signlang("evaluate", letters, "--data-dir", lexicon, *options), said)


def test_evaluate_on_folders_that_are_wrong(letters, landmarks, tmp_path, datasets_cache):
    refused(signlang("evaluate", letters, "--dataset", "fingerspelling", "--data-dir", tmp_path), "has no index.csv")
    refused(signlang("evaluate", letters, "--dataset", landmarks), "holds neither Parquet files")
    result = signlang("evaluate", letters, "--dataset", "landmark_folder", "--data-dir", landmarks)
    assert result.exit_code == 1 and result.stdout == "" and "metadata.csv" in result.stderr


# ---------------------------------------------------------------------------------------------------------------- validate


def test_validate_a_good_folder(landmarks):
    (landmarks / "metadata.csv").write_text("file_name,label\na.npz,yes\nb.npz,yes\nsub/c.npz,no\n")
    result = signlang("validate", landmarks)
    assert result.exit_code == 0 and "3 clips" in result.stdout and "36 frames" in result.stdout
    report = json.loads(signlang("validate", landmarks, "--json").stdout)
    assert report["ok"] is True and report["classes"] == 2 and report["layouts"] == {"isl-48": 3}


def test_validate_lists_all_faults_in_one_run(landmarks):
    (landmarks / "bad.npz").write_text("no landmarks")
    lines = [
        "a.npz,yes,anna,train",
        "missing.npz,yes,anna,train",
        "bad.npz,no,ben,train",
        "b.npz,,ben,train",
        "sub/c.npz,no,anna,test",
    ]
    (landmarks / "metadata.csv").write_text("\n".join(["file_name,label,signer,split", *lines]) + "\n")
    result = signlang("validate", landmarks)
    assert result.exit_code == 1
    for said in ("missing.npz", "bad.npz", "label", "anna"):
        assert said in result.stdout
    errors = [line for line in result.stdout.splitlines() if line.startswith("error")]
    assert len(errors) >= 3
    report = json.loads(signlang("validate", landmarks, "--json").stdout)
    assert report["ok"] is False and len([fault for fault in report["faults"] if fault["severity"] == "error"]) == len(
        errors
    )
    strict = json.loads(signlang("validate", landmarks, "--json", "--signer-independent").stdout)
    assert len([fault for fault in strict["faults"] if fault["severity"] == "error"]) == len(errors) + 1


def test_validate_arrays_by_their_layout(tmp_path):
    np.save(tmp_path / "clip.npy", tiny_clip(5).data)
    assert signlang("validate", tmp_path).exit_code == 1
    assert signlang("validate", tmp_path, "--file-layout", "isl-48").exit_code == 0
    wrong = signlang("validate", tmp_path, "--file-layout", "hands-42")
    assert wrong.exit_code == 1 and "48 points" in wrong.stdout
    refused(signlang("validate", tmp_path / "none"), "Folder not found")


# ----------------------------------------------------------------------------------------------------------------- extract


@pytest.fixture
def cheap_extraction(monkeypatch):
    """Extraction with an estimator that costs nothing, in the worker processes as well."""
    import signlang_hf.pose

    real = signlang_hf.pose.extract_folder

    def extract(*words, **options):
        return real(*words, **options | {"estimator": "cheap_pose:cheap_estimator", "progress": False})

    monkeypatch.setattr("signlang_hf.pose.extract_folder", extract)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    write_video(folder / "a.mp4", tiny_frames(6))
    write_video(folder / "sub" / "b.mp4", tiny_frames(4, 1))
    (folder / "bad.mp4").write_text("no video")
    return folder


def test_extract_reports_failures_and_resumes(cheap_extraction, videos, tmp_path):
    words = ["extract", videos, "--out", tmp_path / "out", "--json"]
    first = signlang(*words)
    assert first.exit_code == 0 and first.stderr == ""
    report = json.loads(first.stdout)
    assert report["extracted"] == 3 and report["skipped"] == 0
    assert len(load_landmarks(tmp_path / "out" / "a.npz")) == 6 and len(load_landmarks(tmp_path / "out/sub/b.npz")) == 4
    manifest = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [row["error"] is None for row in manifest] == [True, False, True]

    second = json.loads(signlang(*words).stdout)
    assert second["extracted"] == 1 and second["skipped"] == 2  # the bad one is tried again
    assert json.loads(signlang(*words, "--no-resume").stdout)["extracted"] == 3
    strict = signlang(*words[:-1], "--strict")
    assert strict.exit_code == 1 and strict.stdout == ""
    assert "1 failed" in strict.stderr and "bad.mp4" in strict.stderr


def test_extract_to_pose_files_with_settings(cheap_extraction, videos, tmp_path):
    (videos / "bad.mp4").unlink()
    words = ["extract", videos, "--out", tmp_path / "out"]
    result = signlang(*words, "--format", "pose", "--fps", 12.5, "--num-workers", 2, "--strict")
    assert result.exit_code == 0 and result.stdout == "" and "2 videos" in result.stderr
    assert len(load_landmarks(tmp_path / "out" / "a.pose")) == 3
    refused(signlang(*words, "--format", "npz"), "was extracted with other settings")


def test_extract_hands_its_options_on_to_ray(monkeypatch, videos, tmp_path):
    asked = []

    def extract(source, out, **options):
        asked.append(options | {"source": source, "out": out})
        raise ValueError("that is all")

    monkeypatch.setattr("signlang_hf.data.ray_extraction.extract_with_ray", extract)
    words = ["extract", videos, "--out", tmp_path / "out", "--engine", "ray"]
    more = ["--address", "auto", "--fps", 10, "--estimator", "heatmap", "--device", "cuda", "--gpus-per-worker", 0.25]
    for options in ([], more):
        refused(signlang(*words, *options), "that is all")
    common = {"source": videos, "out": tmp_path / "out", "resume": True}
    assert asked[0] == common | {
        "address": None, "num_workers": 1, "gpus_per_worker": 0, "fps": None, "estimator": "mediapipe",
        "estimator_options": {"face": False, "world": False, "backend": "auto"},
    }  # fmt: skip
    assert asked[1] == common | {
        "address": "auto", "num_workers": None, "gpus_per_worker": 0.25, "fps": 10.0, "estimator": "heatmap",
        "estimator_options": {"model": None, "device": "cuda"},
    }  # fmt: skip


def test_extract_hands_its_options_on(monkeypatch, videos, tmp_path):
    asked = {}

    def extract(source, out, **options):
        asked.update(options, source=source, out=out)
        raise ValueError("that is all")

    monkeypatch.setattr("signlang_hf.pose.extract_folder", extract)
    options = [
        "--num-workers",
        "3",
        "--format",
        "pose",
        "--fps",
        "10",
        "--face",
        "--world",
        "--backend",
        "tasks",
        "--no-resume",
    ]
    refused(signlang("extract", videos, "--out", tmp_path / "out", *options), "that is all")
    assert asked == {
        "source": videos, "out": tmp_path / "out", "num_workers": 3, "format": "pose", "fps": 10.0, "resume": False,
        "estimator": "mediapipe",
        "estimator_options": {"face": True, "world": True, "backend": "tasks"},
    }  # fmt: skip


def test_extract_mistakes(videos, tmp_path):
    out = ["--out", tmp_path / "out"]
    refused(signlang("extract", tmp_path / "none", *out), "Folder of videos not found")
    refused(signlang("extract", videos, *out, "--format", "csv"), "Unknown landmark format 'csv'")
    refused(signlang("extract", videos, *out, "--fps", 0), "fps is 0")
    (tmp_path / "empty").mkdir()
    refused(signlang("extract", tmp_path / "empty", *out), "No videos in")
    assert signlang("extract", videos, *out, "--num-workers", 0).exit_code == 2
    for words, said in (
        (["--address", "auto"], "go with --engine ray"),
        (["--gpus-per-worker", "0.5"], "go with --engine ray"),
        (["--engine", "spark"], "neither processes nor ray"),
        (["--engine", "ray", "--format", "npz"], "--engine ray writes parquet"),
    ):
        result = signlang("extract", videos, *out, *words)
        assert result.exit_code == 2 and said in " ".join(result.stderr.replace("│", " ").split())
    refused(signlang("extract", videos, *out, "--engine", "ray", "--world"), "rows hold no metric points")


def test_extract_without_a_cluster(videos, tmp_path, monkeypatch):
    words = ["extract", videos, "--out", tmp_path / "out", "--engine", "ray"]
    monkeypatch.setitem(sys.modules, "ray", None)
    refused(signlang(*words), "needs Ray", 'pip install "signlang-hf[ray]"')
    monkeypatch.undo()
    pytest.importorskip("ray", reason='needs Ray: pip install "signlang-hf[ray]"')
    refused(signlang(*words, "--address", "127.0.0.1:9"), "No Ray cluster answers at 127.0.0.1:9", "check the address")
    refused(signlang(*words, "--address", "head"), "it must be auto or host:port")


def test_extract_and_recognize_a_real_clip(clips, signlang_data, model, tmp_path, monkeypatch):
    pytest.importorskip("mediapipe")
    monkeypatch.setenv("SIGNLANG_MEDIAPIPE_TASKS", str(signlang_data / "mediapipe-tasks"))
    short = read_video(clips / "isl_are_you_free_today.mp4", fps=8)
    write_video(tmp_path / "videos" / "clip.mp4", short.frames, fps=8)
    result = signlang("extract", tmp_path / "videos", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    (row,) = map(json.loads, (tmp_path / "out" / "manifest.jsonl").read_text().splitlines())
    assert row["pose"] > 0.8 and row["frames"] == len(short)
    rows = signlang("recognize", tmp_path / "out", tmp_path / "videos", "--model", model, "--json", "--strict")
    assert rows.exit_code == 0, rows.output
    from_landmarks, from_video = (json.loads(line)["predictions"] for line in rows.stdout.splitlines())
    assert [row["label"] for row in from_landmarks] == [row["label"] for row in from_video]
    np.testing.assert_allclose([r["score"] for r in from_landmarks], [r["score"] for r in from_video], atol=0.02)


# -------------------------------------------------------------------------------------------------------------------- push


def test_push_and_a_bad_token(model, stub_hub, tmp_path):
    from signlang_hf.hub import save_model_card

    shutil.copytree(model, tmp_path / "tiny")
    save_model_card(tmp_path / "tiny")
    code = "import sys; from signlang_hf.cli import main; sys.argv[1:] = {}; main()"
    words = ["push", str(tmp_path / "tiny"), "org/tiny"]
    bad = stub_hub.run(code.format(words), tmp_path, HF_TOKEN="hf_wrong")
    assert bad.returncode == 1 and bad.stdout == ""
    assert bad.stderr == "signlang: The Hub does not accept this token; run 'hf auth login' or pass another.\n"
    assert "org/tiny" not in stub_hub.repos
    done = stub_hub.run(code.format([*words, "--private", "--revision", "trial"]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{stub_hub.endpoint}/org/tiny/commit/")
    repo = stub_hub.repos["org/tiny"]
    assert repo.private and "config.json" not in repo.files("main")
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"} <= set(repo.files("trial"))


def test_push_mistakes(model, tmp_path):
    refused(signlang("push", tmp_path / "none", "org/x"), "older not found")
    refused(signlang("push", model, "org/x"), "lacks a card")
