"""``recipes/train_detector.py`` from end to end: what it writes, that it learns, resumes and holds sources out, and what it refuses."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_pictures import NAMES, dotted, write_pictures
from tiny_signs import ROOT
from transformers import AutoImageProcessor, AutoModelForKeypointDetection

from signlang_hf.data import load_dataset
from signlang_hf.data.leaks import LeakError
from signlang_hf.landmarks import get_layout
from signlang_hf.metrics.keypoints.keypoints import keypoint_metrics
from signlang_hf.training.detection import METRICS, load_pictures, references_of
from signlang_hf.training.detector_arguments import parse_detector
from signlang_hf.training.image_augment import ImageAugmenter
from signlang_hf.training.keypoint_views import KeypointViews, collate, keypoint_digest
from signlang_hf.training.results import load_results

CONFIGURATIONS = sorted((ROOT / "recipes/configs").glob("detector_*.yaml"))
WRITTEN = {
    "config.json", "model.safetensors", "preprocessor_config.json", "modeling_detector.py", "README.md", "results.json",
    "learning_curve.png", "examples.png", "validation.png", "trainer_state.json",
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_precision(monkeypatch):
    """TrainingArguments with bf16 leave a variable behind that every later Trainer of the process would follow."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")


@pytest.fixture
def load(tiny_pictures):
    """``load(**flags)``: the splits that a run with these flags uses."""

    def splits(**flags):
        _, data_args, _ = parse_detector(tiny_pictures.arguments("unused", **flags))
        return load_pictures(data_args, seed=0)

    return splits


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_builds_a_model_that_trains(path, tmp_path):
    flags = ["--use_cpu", "true", "--report_to", "none", "--data_dir", str(tmp_path)]
    model_args, data_args, args = parse_detector(["--config", str(path), *flags])
    from signlang_hf.models.detector import SignDetectorConfig, SignDetectorProcessor

    layout = get_layout("right-hand-21" if data_args.look_at == "hand" else "signlang-64")
    config = SignDetectorConfig(**{"keypoints": layout.points} | model_args.model)
    processor = SignDetectorProcessor.for_model(config, **{"layout": layout.name} | model_args.processor)
    augmenter = ImageAugmenter(data_args.image_augment, processor.layout, processor.image_size, data_args.padding)
    image, points = dotted(0)
    points, count = points[-len(layout) :], len(layout)
    view = augmenter(image, points, np.ones(count, bool), np.array([0.0, 0.0, *image.size]), np.random.default_rng(0))
    pixels = torch.from_numpy(view.pixels.transpose(2, 0, 1) / np.float32(255))[None].repeat(2, 1, 1, 1)
    labels = torch.from_numpy(np.column_stack([view.points, view.weights]))[None].repeat(2, 1, 1)
    loss = AutoModelForKeypointDetection.from_config(config).train()(pixel_values=pixels, labels=labels).loss
    loss.backward()
    assert torch.isfinite(loss) and loss > 0
    assert data_args.dataset == "keypoint_images" and args.channels_last


def test_the_recipe_leaves_what_it_promises(trained_detector):
    folder = trained_detector.folder
    assert {path.name for path in folder.iterdir()} >= WRITTEN
    results = json.loads((folder / "results.json").read_text())
    assert results["metrics"] == trained_detector.metrics and set(METRICS) <= set(results["metrics"])
    card = (folder / "README.md").read_text()
    index = yaml.safe_load(card.split("---\n")[1])["model-index"][0]
    measured = {one["name"]: one["value"] for entry in index["results"] for one in entry["metrics"]}
    assert measured["pck@0.1"] == trained_detector.metrics["pck@0.1"] and "oks_ap" in measured
    assert (
        "AutoModelForKeypointDetection" in card and "sign-keypoint-detection" in card and "24 training pictures" in card
    )
    for name in ("learning_curve.png", "examples.png", "validation.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200


def test_what_was_measured_is_what_the_saved_model_finds(trained_detector, tiny_pictures):
    """The same by another road: picture, processor, model and post-processing by hand, in pixels of the pictures."""
    folder = trained_detector.folder
    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForKeypointDetection.from_pretrained(folder, dtype=torch.float32).eval()
    found, truth = [], []
    for number in range(30, 36):
        image, points = dotted(number)
        points = np.float32(points)
        box = [*points.min(axis=0), *points.max(axis=0)]
        middle, half = (np.add(box[:2], box[2:])) / 2, 1.25 * np.subtract(box[2:], box[:2]).max() / 2  # a square
        inputs = processor(image, boxes=[[*(middle - half), *(middle + half)]], return_tensors="pt")
        with torch.no_grad():
            outputs = model(pixel_values=inputs["pixel_values"])
        (answer,) = processor.post_process_keypoint_detection(outputs, inputs["crops"], threshold=0.0)
        found.append(answer["keypoints"])
        truth.append(points)
    again = keypoint_metrics(np.stack(found), np.stack(truth))
    for name in METRICS:
        assert again[name] == pytest.approx(trained_detector.metrics[name], abs=0.011), name  # 4 of 384 points


def test_it_learns_what_it_is_shown(tiny_pictures, tmp_path):
    flags = {"overfit": 8, "num_train_epochs": 60, "learning_rate": 0.01, "save_strategy": "no"}
    result = tiny_pictures.train(tmp_path / "run", **flags)
    assert result.metrics["n"] == 8 and result.metrics["pck@0.1"] > 0.4  # a guess in the middle reaches 0.04
    assert "validation" not in (path.stem for path in result.folder.iterdir())


def test_a_run_that_was_killed_goes_on_exactly(tiny_pictures, tmp_path):
    whole = tiny_pictures.train(tmp_path / "whole", ema_decay=0.9)
    first = tmp_path / "again"
    tiny_pictures.train(first, ema_decay=0.9)
    for name in ("results.json", "model.safetensors", "README.md"):
        (first / name).unlink()
    last = max(first.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.rmtree(last)
    resumed = tiny_pictures.train(first, ema_decay=0.9)
    assert resumed.metrics == whole.metrics
    assert (first / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()
    assert tiny_pictures.train(first, ema_decay=0.9).metrics == whole.metrics  # finished: it is read
    with pytest.raises(ValueError, match=r"other settings .*padding was 1\.25, is 1.5"):
        tiny_pictures.train(first, ema_decay=0.9, padding=1.5)


def test_fine_tuning_keeps_the_weights_and_the_processor(trained_detector, tiny_pictures, tmp_path):
    flags = {"model_name_or_path": trained_detector.folder, "num_train_epochs": 1, "learning_rate": 0, "model": "{}"}
    tuned = tiny_pictures.train(tmp_path / "tuned", **flags)
    assert tuned.trainer.processing_class.to_dict() == trained_detector.trainer.processing_class.to_dict()
    before, after = (dict(run.trainer.model.named_parameters()) for run in (trained_detector, tuned))
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ValueError, match="keeps its processor"):
        tiny_pictures.train(tmp_path / "other", **flags, processor='{"decoding": "quarter"}')


def test_sources_are_held_out_of_training_and_validation(load):
    splits = load(test_sources=["video-2", "video-8"])
    assert set(splits["test"]["source"]) == {"video-2", "video-8"} and len(splits["test"]) == 6
    assert "video-2" not in splits["train"]["source"] and "video-8" not in splits["validation"]["source"]
    with pytest.raises(ValueError, match="No picture is of video-99; the sources are video-0, video-1"):
        load(test_sources=["video-99"])


def test_more_folders_are_learned_and_leaks_are_refused(load, tmp_path):
    more = write_pictures(tmp_path / "more" / "train", range(40, 44), source="elsewhere").parent
    assert len(load(more_data_dirs=[more])["train"]) == 28
    assert len(load(more_data_dirs=[more], more_pictures=3)["train"]) == 27
    leaking = write_pictures(tmp_path / "leaking" / "train", range(50, 52), source="video-10").parent
    with pytest.raises(LeakError, match=r"train / test .*pictures of 'video-10'"):
        load(more_data_dirs=[leaking])
    with pytest.warns(UserWarning, match="pictures of 'video-10'"):
        load(more_data_dirs=[leaking], allow_leaks=True)


def test_hands_are_learned_each_as_a_picture_of_its_own(tiny_pictures, tmp_path):
    result = tiny_pictures.train(tmp_path / "run", look_at="hand", num_train_epochs=1)
    processor = AutoImageProcessor.from_pretrained(result.folder)
    model = AutoModelForKeypointDetection.from_pretrained(result.folder)
    assert processor.layout == "right-hand-21" and model.config.num_keypoints == 21
    metrics = result.metrics
    assert metrics["n"] == 12 and metrics["n_points-hands"] == metrics["n_points"] == 12 * 21
    assert np.isfinite(metrics["pck@0.1-hands"]) and np.isnan(metrics["pck@0.1-body"])
    again = tiny_pictures.train(
        tmp_path / "again", look_at="hand", num_train_epochs=1, model_name_or_path=result.folder, model="{}"
    )
    assert again.trainer.model.config.num_keypoints == 21
    with pytest.raises(ValueError, match="'right-hand-21', these pictures have those of 'signlang-64': --look_at hand"):
        tiny_pictures.train(tmp_path / "people", model_name_or_path=result.folder, model="{}")


def test_pictures_without_hands_teach_no_hands(tmp_path):
    hands = [name for name in NAMES if "_hand_" in name]
    folder = write_pictures(tmp_path / "people" / "train", range(3), hidden=hands).parent
    _, data_args, _ = parse_detector(
        ["--data_dir", str(folder), "--look_at", "hand", "--use_cpu", "true", "--report_to", "none"]
    )
    with pytest.raises(ValueError, match="No hand is to be seen well enough in the 3 pictures of the split 'train'"):
        load_pictures(data_args, seed=0)


def test_a_trained_model_goes_on_at_another_size(tiny_pictures, trained_detector, tmp_path):
    flags = {"model_name_or_path": trained_detector.folder, "num_train_epochs": 1, "model": '{"image_size": 96}'}
    folder = tiny_pictures.train(tmp_path / "run", **flags).folder
    assert AutoImageProcessor.from_pretrained(folder).image_size == 96
    assert AutoModelForKeypointDetection.from_pretrained(folder).config.image_size == 96


def test_views_are_drawn_anew_each_epoch_and_the_same_again(load, trained_detector):
    rows, processor = load()["train"], trained_detector.trainer.processing_class
    _, data_args, _ = parse_detector(["--use_cpu", "true", "--report_to", "none"])
    views = KeypointViews(rows, processor, ImageAugmenter(data_args.image_augment, processor.layout, 64))
    first = views[3]
    views.set_epoch(1)
    assert not np.array_equal(views[3]["pixel_values"], first["pixel_values"])
    views.set_epoch(0)
    assert np.array_equal(views[3]["pixel_values"], first["pixel_values"])
    plain = KeypointViews(rows, processor, look_at="image")[3]
    image, points = dotted(3)
    scale = max(image.size) / 64
    offsets = plain["labels"][:, :2] - points / scale
    assert np.ptp(offsets, axis=0) == pytest.approx([0, 0], abs=1e-3)
    assert offsets[0] == pytest.approx((64 - np.array(image.size) / scale) / 2, abs=0.5)  # letterboxed in whole pixels
    batch = collate([first, first])
    assert batch["pixel_values"].shape == (2, 3, 64, 64) and batch["labels"].shape == (2, 64, 3)


def test_rows_are_told_apart_by_their_points(tmp_path):
    write_pictures(tmp_path / "a" / "train", range(3))
    write_pictures(tmp_path / "b" / "train", range(3), hidden=["nose"])
    one, other = (load_dataset("keypoint_images", tmp_path / name)["train"] for name in "ab")
    assert keypoint_digest(one) == keypoint_digest(one) != keypoint_digest(other)
    hidden = np.array(other[0]["keypoints"])[NAMES.index("nose")]
    assert np.isnan(hidden).all() and not other[0]["visible"][NAMES.index("nose")]


@pytest.mark.parametrize("overfit, split, count", ((0, "test", 6), (4, "4 pictures learned by heart", 4)))
def test_a_benchmark_is_written_with_its_command(tiny_pictures, tmp_path, monkeypatch, overfit, split, count):
    monkeypatch.chdir(tmp_path)
    result = tiny_pictures.train(tmp_path / "run", benchmark="detector-synthetic", num_train_epochs=1, overfit=overfit)
    rows = {row.metric: row for row in load_results("detector-synthetic", folder=tmp_path / "hub_cards/results")}
    assert rows["pck@0.05-hands"].value == result.metrics["pck@0.05-hands"]
    assert rows["pck@0.05"].command.startswith("accelerate launch recipes/train_detector.py")
    assert rows["pck@0.05"].model == "mobilenetv3_small_100, 64 px"
    assert (rows["pck@0.05"].split, rows["pck@0.05"].n) == (split, count)


@pytest.mark.parametrize(
    "flags, reason",
    (
        ({"look_at": "face"}, "look_at is 'face'"),
        ({"padding": 0.5}, "padding is 0.5"),
        ({"more_pictures": 0}, "more_pictures is 0"),
        ({"cross_validate": "signer"}, "held out by their source"),
        ({"augment": '{"flipp": 1}'}, "Unknown augmentation setting flipp"),
        ({"augment": '{"enabled": 3}'}, "must be true or false"),
        ({"model_type": "signlang_ctc"}, "Unknown model_type 'signlang_ctc'; known are signlang_detector"),
        ({"model": '{"backbones": "resnet18"}'}, "Unknown model setting backbones"),
        ({"model": '{"backbone": "resnet19"}'}, "backbone 'resnet19'"),
        ({"processor": '{"decodings": "dark"}'}, "Unknown processor setting decodings"),
        ({"metric_for_best_model": "accuracy"}, "validation measures pck@0.05"),
        ({"data_dir": "nowhere"}, "nowhere"),
        ({"model_name_or_path": "nowhere/at/all"}, "nowhere/at/all"),
    ),
)
def test_what_cannot_be_is_one_sentence(tiny_pictures, tmp_path, flags, reason):
    with pytest.raises((ValueError, FileNotFoundError), match=reason) as caught:
        tiny_pictures.train(tmp_path / "run", **flags)
    assert str(caught.value).count("\n") == 0


def test_references_are_what_is_to_be_seen():
    labels = np.array([[[1.0, 2.0, 1.0], [3.0, 4.0, 0.0]]])
    assert references_of(labels)[0, 0].tolist() == [1, 2] and np.isnan(references_of(labels)[0, 1]).all()
