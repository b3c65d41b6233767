"""The recipe that makes synthetic images: a folder that the dataset reads, whole files only, and a run that can go on."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from signlang_hf.data.keypoint_folder import read_keypoint_folder
from signlang_hf.landmarks.layout import get_layout

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "render_keypoint_images.py"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("render_keypoint_images", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FLAT = ["--renderer", "flat", "--size", "64"]


def test_the_dataset_reads_what_the_recipe_writes(recipe, tmp_path, capsys):
    out = tmp_path / "synthetic"
    recipe.main(["--out", str(out), "--split", "train=4,validation=1,test=2", *FLAT])
    assert "7 images in" in (said := capsys.readouterr().out) and "images a minute" in said
    splits, faults = read_keypoint_folder(out, whole=True)
    assert faults == []
    assert {split: len(labels) for split, labels in splits.items()} == {"train": 4, "validation": 1, "test": 2}
    sources = [label.source for labels in splits.values() for label in labels]
    assert len(set(sources)) == 7 and all(source.startswith("synthetic-") for source in sources)
    for path in out.rglob("labels/*.json"):
        label = json.loads(path.read_text())
        assert [point["name"] for point in label["keypoints"]] == list(get_layout("signlang-64").points)
        with Image.open(path.parent.parent / "images" / label["image"]) as image:
            assert image.size == (label["width"], label["height"]) and image.format == "JPEG"


def test_without_a_split_the_folder_is_one(recipe, tmp_path):
    recipe.main(["--out", str(tmp_path), "--count", "2", "--seed", "3", *FLAT])
    assert sorted(files(tmp_path)) == [
        f"{kind}/0300000{i}.{suffix}" for kind, suffix in (("images", "jpg"), ("labels", "json")) for i in range(2)
    ]


def test_close_ups_show_a_hand(recipe, tmp_path):
    recipe.main(["--out", str(tmp_path), "--count", "6", "--look_at", "hand", *FLAT])
    splits, faults = read_keypoint_folder(tmp_path, whole=True)
    assert faults == []
    layout = get_layout("signlang-64")
    hands = [list(layout.parts[f"{side}_hand"]) for side in ("left", "right")]
    for label in splits[None]:
        assert label.size == (64, 64)
        hand = max(hands, key=lambda hand: label.visible[hand].sum())
        seen = label.keypoints[hand][label.visible[hand]]
        assert len(seen) > 10
        assert 0.15 * 64 < (seen.max(axis=0) - seen.min(axis=0)).max() < 64


def test_a_folder_made_with_another_split_is_not_mixed_up(recipe, tmp_path):
    recipe.main(["--out", str(tmp_path), "--split", "train=2,test=2", *FLAT])
    before = files(tmp_path)
    with pytest.raises(SystemExit, match=r"another --split: 1 of its pictures would now belong to another one"):
        recipe.main(["--out", str(tmp_path), "--split", "train=3,test=2", *FLAT])
    assert files(tmp_path) == before


def test_a_run_goes_on_where_it_was_stopped(recipe, tmp_path, monkeypatch, capsys):
    command = ["--out", str(tmp_path / "a"), "--count", "4", *FLAT]
    recipe.main(["--out", str(tmp_path / "whole"), *command[2:]])
    drawn = []
    original = recipe.finish

    def stopped(picture, scene):
        drawn.append(scene.seed)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return original(picture, scene)

    monkeypatch.setattr(recipe, "finish", stopped)
    with pytest.raises(KeyboardInterrupt):
        recipe.main(command)
    assert len(files(tmp_path / "a")) == 4
    label = next((tmp_path / "a" / "labels").iterdir())
    label.unlink()  # a picture without its label is not complete
    recipe.main(command)
    assert drawn == [0, 1, 2, int(label.stem), 2, 3] or drawn == [0, 1, 2, 2, 3, int(label.stem)]
    assert files(tmp_path / "a") == files(tmp_path / "whole")
    capsys.readouterr()
    recipe.main(command)
    assert len(drawn) == 6 and "All 4 pictures are in" in capsys.readouterr().out


def test_a_write_that_fails_leaves_no_piece(recipe, tmp_path, monkeypatch):
    def broken(scene, image):
        raise OSError("disk full")

    monkeypatch.setattr(recipe.Scene, "label", broken)
    with pytest.raises(OSError, match="disk full"):
        recipe.main(["--out", str(tmp_path), "--count", "1", *FLAT])
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.tmp"))


def test_all_splits_grow_alike_and_share_no_seed(recipe):
    jobs = recipe.jobs(Path("x"), {"train": 80, "test": 20}, 5)
    assert len({seed for _, seed in jobs}) == 100 and all(seed // 1_000_000 == 5 for _, seed in jobs)
    assert 8 <= sum(folder.name == "test" for folder, _ in jobs[:50]) <= 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "--count is 0; it must be at least 1."),
        (["--size", "10"], "--size is 10; it must be at least 64."),
        (["--samples", "0"], "--samples is 0"),
        (["--threads", "-1"], "--threads is -1"),
        (["--seed", "-1"], "--seed is -1"),
        (["--split", "train=ten"], "--split has 'train=ten'; write it like train=2600"),
        (["--split", "train=1,train=2"], "--split has 'train=2'"),
        (["--split", "../up=1"], "--split has '../up=1'"),
        (["--split", "train=2", "--count", "3"], "--count is 3, but --split adds up to 2"),
        (["--count", "2000000"], "use several seeds"),
        (["--renderer", "crayon"], "invalid choice"),
    ],
)
def test_bad_arguments_are_said_in_a_sentence(recipe, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        recipe.main(["--out", str(tmp_path / "out"), *arguments])
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder(recipe, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    with pytest.raises(SystemExit):
        recipe.main(["--out", str(tmp_path / "out")])
    assert "which is a file; name a folder." in capsys.readouterr().err


def test_without_bpy_the_command_names_the_extra(tmp_path):
    code = (
        "import runpy, sys; sys.modules['bpy'] = None; "
        f"sys.argv = ['render', '--out', {str(tmp_path / 'out')!r}]; runpy.run_path({str(RECIPE)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=RECIPE.parents[1], capture_output=True, text=True)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert done.stderr.strip().count("\n") == 0 and 'pip install "signlang-hf[blender]"' in done.stderr
