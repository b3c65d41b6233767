"""``sign-keypoint-detection``: pictures of every kind, boxes, thresholds, saving, and checkpoints that do not belong to their processor."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import pipeline

from signlang_hf import SignDetectorConfig, SignDetectorForKeypointDetection, SignDetectorProcessor
from signlang_hf.hub import CardInfo, model_card
from signlang_hf.landmarks import get_layout
from signlang_hf.models.detector import SignDetectorOutput
from signlang_hf.pipelines.loading import load_pipeline, task_of
from signlang_hf.video import Video

pytest.importorskip("timm", reason="the backbones are timm's")
Image = pytest.importorskip("PIL.Image", reason="Pillow makes the test pictures")

NAMES = list(get_layout("signlang-64").points)
SIZE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = SignDetectorForKeypointDetection(
        SignDetectorConfig(backbone="test_efficientnet", image_size=SIZE, deconv_width=8)
    )
    with torch.no_grad():  # answers that differ
        for name, weights in model.named_parameters():
            if name.endswith("weight") and any(part in name for part in ("deconvolution.", "lateral", "head")):
                weights.normal_(std=0.3)
    folder = tmp_path_factory.mktemp("detector")
    model.save_pretrained(folder)
    SignDetectorProcessor.for_model(model.config).save_pretrained(folder)
    return folder


@pytest.fixture
def pipe(folder: Path) -> Any:
    return pipeline("sign-keypoint-detection", model=str(folder))


class Brightest(torch.nn.Module):
    """In the place of a network: every point is where the picture is brightest, more or less surely."""

    def forward(self, pixel_values: torch.Tensor) -> SignDetectorOutput:
        light = torch.nn.functional.avg_pool2d(pixel_values.amin(dim=1, keepdim=True), 2)
        light = light.masked_fill((light - 0.5).abs() < 0.01, 0.0)
        return SignDetectorOutput(heatmaps=light * torch.linspace(0.1, 1, 64).view(1, -1, 1, 1))


@pytest.fixture
def seeing(pipe: Any) -> Any:
    """The pipeline with a network that finds what is to be found."""
    net, pipe.model = pipe.model, Brightest()
    pipe.model.config, pipe.model.device = net.config, net.device
    return pipe


def spot(height: int, width: int, x: float, y: float, deviation: float = 4.0) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] + 0.5
    light = 225 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * deviation**2))
    noise = np.random.default_rng(height).integers(0, 20, (height, width, 3))  # lest two cells be equal
    return (np.round(light)[..., None] + noise).astype(np.uint8)


PICTURES = [spot(90, 160, 100.3, 40.7), spot(128, 128, 60.0, 90.0), spot(120, 80, 30.5, 50.5)]


def same(one: Any, other: Any) -> None:
    assert [row["name"] for row in one["keypoints"]] == [row["name"] for row in other["keypoints"]]
    for first, second in zip(one["keypoints"], other["keypoints"]):
        assert all(first[name] == pytest.approx(second[name], abs=1e-3) for name in ("x", "y", "score"))


def test_all_points_by_name_in_plain_numbers(pipe: Any) -> None:
    answer = pipe(PICTURES[0], threshold=0)
    assert set(answer) == {"keypoints", "score"}
    assert [row["name"] for row in answer["keypoints"]] == NAMES
    assert all(type(row[name]) is float for row in answer["keypoints"] for name in ("x", "y", "score"))
    scores = [row["score"] for row in answer["keypoints"]]
    assert min(scores) >= 0 and max(scores) <= 1 and answer["score"] == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("decoding", ["dark", "soft-argmax", "quarter"])
def test_points_are_in_pixels_of_the_picture(seeing: Any, decoding: str) -> None:
    for picture, (x, y) in zip(PICTURES, ((100.3, 40.7), (60.0, 90.0), (30.5, 50.5))):
        for row in seeing(picture, decoding=decoding)["keypoints"]:
            assert row["x"] == pytest.approx(x, abs=1.5) and row["y"] == pytest.approx(y, abs=1.5)


def test_points_below_the_threshold_are_left_out(seeing: Any) -> None:
    everything = seeing(PICTURES[1])["keypoints"]
    answer = seeing(PICTURES[1], threshold=0.5)
    assert answer["keypoints"] == [row for row in everything if row["score"] >= 0.5]
    assert 10 < len(answer["keypoints"]) < 64
    assert answer["score"] == pytest.approx(np.mean([row["score"] for row in answer["keypoints"]]))
    assert seeing(np.zeros((20, 20, 3), np.uint8), threshold=0.5) == {"keypoints": [], "score": 0.0}
    seeing.image_processor.keypoint_threshold = 0.5
    assert seeing(PICTURES[1]) == answer
    assert len(seeing(PICTURES[1], threshold=0)["keypoints"]) == 64


def test_a_box_shows_one_of_two_people(seeing: Any) -> None:
    both = np.concatenate([spot(100, 100, 40.0, 55.0), spot(100, 100, 70.0, 45.0)], axis=1)
    boxes = [[0, 0, 100, 100], [100, 0, 200, 100], [-40, 10, 100, 100]]
    answers = seeing(both, boxes=boxes)
    for answer, (x, y) in zip(answers, ((40, 55), (170, 45), (40, 55)), strict=True):
        assert answer["keypoints"][-1]["x"] == pytest.approx(x, abs=1.5)
        assert answer["keypoints"][-1]["y"] == pytest.approx(y, abs=1.5)
    same(seeing(both, boxes=np.array(boxes[1])), answers[1])
    for answer, again in zip(answers, seeing([both] * 3, boxes=torch.tensor(boxes), batch_size=2), strict=True):
        same(answer, again)
    for answer, again in zip(answers, seeing((picture for picture in [both] * 3), boxes=boxes), strict=True):
        same(answer, again)
    whole = seeing([both, both], boxes=[None, boxes[1]])
    same(whole[1], answers[1])
    same(whole[0], seeing(both))


def test_every_way_to_give_pictures_gives_the_same(pipe: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, picture in zip(paths, PICTURES):
        Image.fromarray(picture).save(path)
    stream = io.BytesIO()
    Image.fromarray(PICTURES[0]).save(stream, "PNG")
    alone = [pipe(picture) for picture in PICTURES]
    for given in (
        str(paths[0]), paths[0], stream.getvalue(), Image.fromarray(PICTURES[0]), {"image": PICTURES[0], "id": "a"},
        {"image": {"bytes": None, "path": str(paths[0])}}, {"bytes": stream.getvalue(), "path": None},
    ):  # fmt: skip
        same(pipe(given), alone[0])
    rows = datasets.Dataset.from_dict({"image": [str(path) for path in paths]}).cast_column("image", datasets.Image())
    for several in (PICTURES, tuple(PICTURES), [str(path) for path in paths], rows, rows["image"]):
        for batch_size in (1, 2):
            answers = pipe(several, batch_size=batch_size)
            assert len(answers) == 3
            for one, other in zip(alone, answers):
                same(one, other)
    assert pipe([]) == [] and len(list(pipe(picture for picture in PICTURES))) == 3


def test_frames_of_a_video_are_pictures(pipe: Any) -> None:
    frames = np.stack([PICTURES[0], PICTURES[0][:, ::-1]])
    expected = [pipe(frame) for frame in frames]
    for given in (frames, Video(frames, np.arange(2) / 25, 25.0)):
        answers = pipe(given, batch_size=2)
        assert len(answers) == 2
        for one, other in zip(expected, answers):
            same(one, other)


def test_it_saves_and_loads_as_a_folder(pipe: Any, folder: Path, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    same(pipeline("sign-keypoint-detection", model=str(tmp_path))(PICTURES[0]), pipe(PICTURES[0]))
    assert task_of(str(folder)) == "sign-keypoint-detection"
    same(load_pipeline("sign-keypoint-detection", str(folder))(PICTURES[0]), pipe(PICTURES[0]))
    with pytest.raises(ValueError, match="is a model for sign-keypoint-detection; give one for sign-recognition"):
        load_pipeline("sign-recognition", str(folder))


def test_half_precision_weights(folder: Path, tmp_path: Path, pipe: Any) -> None:
    model = SignDetectorForKeypointDetection.from_pretrained(folder, dtype=torch.float16)
    model.save_pretrained(tmp_path)
    pipe.image_processor.save_pretrained(tmp_path)
    half = pipeline("sign-keypoint-detection", model=str(tmp_path), dtype="auto", device="cpu")
    assert half.model.dtype == torch.float32, "computed in single precision, which is faster there"
    scores = [[row["score"] for row in p(PICTURES[0], threshold=0)["keypoints"]] for p in (half, pipe)]
    np.testing.assert_allclose(*scores, atol=0.01)


def test_a_checkpoint_of_another_point_count_is_refused_when_the_pipeline_is_made(folder: Path, tmp_path: Path) -> None:
    model = SignDetectorForKeypointDetection.from_pretrained(folder)
    model.save_pretrained(tmp_path)
    SignDetectorProcessor(image_size=SIZE, layout="hands-42").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="The model finds 64 points, but the processor's layout 'hands-42' has 42"):
        pipeline("sign-keypoint-detection", model=str(tmp_path))
    with pytest.raises(ValueError, match="needs a SignDetectorProcessor as image_processor; got none"):
        from signlang_hf import SignKeypointDetectionPipeline

        SignKeypointDetectionPipeline(model=model)


@pytest.mark.parametrize(
    ("given", "arguments", "error", "message"),
    [
        (PICTURES[0], {"treshold": 0.5}, TypeError, "does not know treshold; it takes threshold, decoding, hands and"),
        (PICTURES[0], {"threshold": 2}, ValueError, "threshold is 2; it must be a number in"),
        (PICTURES[0], {"threshold": "high"}, ValueError, "threshold is 'high'"),
        (PICTURES[0], {"decoding": "best"}, ValueError, "decoding is 'best'; choose one of dark"),
        (PICTURES, {"boxes": [None]}, ValueError, "There are 1 boxes for 3 pictures"),
        (PICTURES[0], {"boxes": [[5, 5, 1, 1]]}, ValueError, "The box 5, 5, 1, 1 is none"),
        ({"label": 3}, {}, ValueError, "needs an 'image', or its 'bytes' or 'path'; it has label"),
        ("no/such.png", {}, FileNotFoundError, "such.png"),
        (b"\x00\x00", {}, ValueError, "the given bytes"),
        (np.zeros((5, 5, 3)), {}, ValueError, "array of uint8 or uint16"),
        (7, {}, ValueError, "A picture is a file"),
    ],
)
def test_bad_input_says_what_is_wrong(
    pipe: Any, given: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pipe(given, **arguments)


def test_the_card_of_a_folder_says_what_it_is_for(folder: Path) -> None:
    info = CardInfo.from_folder(folder)
    assert (info.task, info.pipeline_tag) == ("sign-keypoint-detection", "keypoint-detection")
    assert info.auto_class == "AutoModelForKeypointDetection" and info.labels == NAMES
    text = str(model_card(info))
    assert "## What it finds" in text and "64 points: nose, left_eye" in text
    assert 'pipe("photo.jpg")' in text and "vocabulary" not in text and "| `decoding` | `dark` |" in text
