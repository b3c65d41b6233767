"""SignDetectorProcessor: where a picture's pixels go and how points come back, odd pictures, the JSON file, and what cannot work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoProcessor, BatchFeature

from signlang_hf import SignDetectorConfig, SignDetectorProcessor, list_layouts, register_layout
from signlang_hf.models.detector import DECODINGS, SignDetectorOutput

Image = pytest.importorskip("PIL.Image", reason="Pillow makes the test pictures")

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = 64
PICTURES = [(48, 120), (120, 48), (64, 64), (97, 101), (720, 31), (3, 5), (1, 1), (1, 90)]  # height, width
BOXES = [None, (10, 5, 40, 45), (0.5, 0.25, 7.75, 30), (-20, -30, 60, 20), (40, 30, 200, 90), (-50, -50, 250, 150)]


def processor(**settings: Any) -> SignDetectorProcessor:
    return SignDetectorProcessor(**{"image_size": SIZE, **settings})


def spot(height: int, width: int, x: float, y: float, deviation: float) -> np.ndarray:
    """A white spot on black about a place between pixels, as an 8-bit picture."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    light = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * deviation**2))
    return np.repeat(np.round(light).astype(np.uint8)[..., None], 3, axis=2)


def centre_of_mass(pixels: np.ndarray, near: np.ndarray, reach: float) -> np.ndarray:
    """(x, y) of the light within ``reach`` pixels of a place."""
    rows, columns = np.mgrid[: len(pixels), : pixels.shape[1]] + 0.5
    mass = pixels * ((np.abs(rows - near[1]) < reach) & (np.abs(columns - near[0]) < reach))
    return np.array([(mass * columns).sum(), (mass * rows).sum()]) / mass.sum()


# ------------------------------------------------------------------------------------------------------------ coordinates


@pytest.mark.parametrize(("x", "y"), [(40.0, 30.0), (51.3, 22.8), (33.33, 41.1)])
@pytest.mark.parametrize("box", [None, (20, 10, 80, 60), (21.4, 9.6, 77.2, 61.3), (-40, -10, 90, 70), (0, 0, 100, 400)])
def test_a_spot_is_found_where_crops_say_it_is(x: float, y: float, box: Any) -> None:
    net = processor()
    batch = net(spot(75, 100, x, y, 2.5), boxes=None if box is None else [box], return_tensors="np")
    left, top, scale = batch["crops"][0]
    expected = np.array([(x - left) / scale, (y - top) / scale])
    found = centre_of_mass(batch["pixel_values"][0, 0], expected, reach=10 / scale + 1)
    assert np.abs(found - expected).max() < 0.02, "pixels of the model"
    np.testing.assert_allclose(net.to_image(found[None, None], batch["crops"])[0, 0], [x, y], atol=0.02 * scale)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", PICTURES)
def test_there_and_back(size: tuple[int, int], box: Any) -> None:
    """Letterbox → the model's heatmaps → pixels of the picture, whatever the picture's form and wherever the box."""
    height, width = size
    region = np.array((0, 0, width, height) if box is None else box, float)
    net = processor()
    batch = net(np.zeros((height, width, 3), np.uint8), boxes=[box], return_tensors="np")
    share = np.random.default_rng(0).random((1, 64, 2))
    true = region[:2] + share * (region[2:] - region[:2])
    seen = net.to_model(true, batch["crops"])
    assert seen.min() >= -1e-3 and seen.max() <= SIZE + 1e-3, "all of the region is in the square"
    np.testing.assert_allclose(net.to_image(seen, batch["crops"]), true, atol=1e-3)
    cells = np.arange(SIZE // 2) + 0.5
    gauss = [np.exp(-((cells - seen[..., axis, None] / 2) ** 2) / 8) for axis in (0, 1)]
    heatmaps = gauss[1][..., :, None] * gauss[0][..., None, :]
    inside = ((seen > 8) & (seen < SIZE - 8)).all(axis=-1)[0]
    scale = batch["crops"][0, 2]
    (found,) = net.post_process_keypoint_detection({"heatmaps": heatmaps}, batch["crops"])
    assert found["keypoints"].dtype == found["scores"].dtype == np.float32
    error = np.abs(found["keypoints"] - true[0])[inside]
    assert error.size == 0 or error.max() < 0.05 * 2 * scale, "a twentieth of a cell"


def test_the_longer_side_fills_the_square_and_the_rest_is_grey() -> None:
    picture = np.full((30, 60, 3), 255, np.uint8)
    batch = processor()(picture, return_tensors="np")
    pixels = batch["pixel_values"][0]
    assert pixels.shape == (3, SIZE, SIZE) and pixels.dtype == np.float32
    assert (pixels[:, 16:48] == 1).all() and (pixels[:, :16] == 0.5).all() and (pixels[:, 48:] == 0.5).all()
    assert batch["crops"].tolist() == [[0.0, -15.0, 0.9375]] and batch["crops"].dtype == np.float32


def test_beyond_the_picture_and_beyond_the_box_it_is_grey() -> None:
    picture = np.full((40, 40, 3), 255, np.uint8)
    batch = processor()(picture, boxes=[(-32, 0, 32, 32)], return_tensors="np")
    pixels = batch["pixel_values"][0]
    assert batch["crops"].tolist() == [[-32.0, -16.0, 1.0]]
    assert (pixels[:, 16:48, 32:] == 1).all(), "half of the box is picture"
    assert (pixels[:, :, :32] == 0.5).all() and (pixels[:, :16] == 0.5).all() and (pixels[:, 48:] == 0.5).all()
    beyond = processor()(picture, boxes=[(50, 50, 90, 90)], return_tensors="np")
    assert (beyond["pixel_values"] == 0.5).all()


def test_shrinking_looks_at_every_pixel() -> None:
    lines = np.zeros((640, 640, 3), np.uint8)
    lines[::2] = 255
    pixels = processor()(lines, return_tensors="np")["pixel_values"][0]
    assert np.abs(pixels - 0.5).max() < 0.02
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (128, 128, 3), np.uint8)
    ours = processor()(noise, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    theirs = np.asarray(Image.fromarray(noise).resize((SIZE, SIZE), Image.Resampling.BILINEAR)) / 255
    assert np.abs(ours - theirs).max() < 2.1 / 255


def test_a_batch_is_what_its_pictures_are_alone() -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (height, width, 3), np.uint8) for height, width in PICTURES]
    boxes = [None, (1, 2, 30, 40), *[None] * (len(pictures) - 2)]
    batch = processor()(pictures, boxes=boxes, return_tensors="pt")
    assert isinstance(batch, BatchFeature) and set(batch) == {"pixel_values", "crops"}
    assert batch["pixel_values"].shape == (len(pictures), 3, SIZE, SIZE) and batch["crops"].shape == (len(pictures), 3)
    for i, (picture, box) in enumerate(zip(pictures, boxes)):
        alone = processor()(picture, boxes=[box], return_tensors="pt")
        assert torch.equal(alone["pixel_values"][0], batch["pixel_values"][i])
        assert torch.equal(alone["crops"][0], batch["crops"][i])
    frames = np.stack([pictures[0]] * 3)
    assert processor()(frames)["pixel_values"].shape[0] == 3
    four = processor()(pictures[0], boxes=torch.tensor([1.0, 2.0, 30.0, 40.0]))["crops"]
    assert np.array_equal(four, processor()(pictures[0], boxes=np.array([[1, 2, 30, 40]]))["crops"])


# --------------------------------------------------------------------------------------------------------------- pictures


def encoded(picture: Any, format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def test_every_way_to_give_a_picture_gives_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 256, (50, 70, 3), np.uint8)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "picture.png")
    expected = processor()(array)["pixel_values"]
    read_only = array.copy()
    read_only.flags.writeable = False
    for given in (
        picture, str(tmp_path / "picture.png"), tmp_path / "picture.png", encoded(picture), read_only, array[::-1][::-1],
        torch.from_numpy(array), np.dstack([array, np.full((50, 70), 9, np.uint8)]), Image.open(tmp_path / "picture.png"),
    ):  # fmt: skip
        assert np.array_equal(processor()(given)["pixel_values"], expected), type(given)


def test_grey_pictures_of_8_and_16_bits() -> None:
    grey = np.random.default_rng(3).integers(0, 256, (40, 40), np.uint8)
    expected = processor()(np.repeat(grey[..., None], 3, axis=2))["pixel_values"]
    deep = grey.astype(np.uint16) * 256 + 77
    for given in (
        grey, grey[..., None], Image.fromarray(grey), deep, Image.fromarray(deep), encoded(Image.fromarray(deep)),
        Image.fromarray(deep.astype(np.int32)), encoded(Image.fromarray(deep), "TIFF"),
    ):  # fmt: skip
        assert np.array_equal(processor()(given)["pixel_values"], expected)


def test_transparent_and_palette_pictures() -> None:
    rng = np.random.default_rng(4)
    clear = np.dstack([rng.integers(0, 256, (30, 30, 3), np.uint8), rng.integers(0, 256, (30, 30), np.uint8)])
    expected = processor()(clear[..., :3])["pixel_values"]
    for given in (clear, Image.fromarray(clear), encoded(Image.fromarray(clear))):
        assert np.array_equal(processor()(given)["pixel_values"], expected)
    colours = Image.fromarray(clear[..., :3]).convert("P")
    assert np.array_equal(
        processor()(colours)["pixel_values"], processor()(np.array(colours.convert("RGB")))["pixel_values"]
    )
    for mode in ("1", "L", "LA", "CMYK", "YCbCr"):
        assert processor()(Image.fromarray(clear[..., :3]).convert(mode))["pixel_values"].shape == (1, 3, SIZE, SIZE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_upright(orientation: int) -> None:
    upright = np.random.default_rng(5).integers(0, 256, (20, 44, 3), np.uint8)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, 3),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    expected = processor()(upright)
    for given in (data, Image.open(io.BytesIO(data))):
        batch = processor()(given)
        assert np.array_equal(batch["pixel_values"], expected["pixel_values"])
        assert np.array_equal(batch["crops"], expected["crops"])


def test_a_picture_of_one_pixel() -> None:
    batch = processor()(np.full((1, 1, 3), 51, np.uint8))
    assert np.allclose(batch["pixel_values"], 0.2) and batch["crops"].tolist() == [[0.0, 0.0, 1 / SIZE]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no picture in the batch"),
        (None, "got NoneType"),
        (3.5, "got float of float64|got float"),
        (np.zeros((4, 4, 3), np.float32), "array of uint8 or uint16; got ndarray of float32"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\) is no picture"),
        (np.zeros(4, np.uint8), r"shape \(4,\) is no picture"),
        (np.zeros((0, 7, 3), np.uint8), "7 × 0 pixels has none"),
        ([[1, 2], [3]], "got"),
        (b"no picture at all", "the given bytes is not a picture that can be read"),
        ({"pixels": 1}, "got dict"),
    ],
)
def test_what_is_no_picture_says_so(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        processor()(given)


def test_broken_and_missing_files_say_so(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(6).integers(0, 256, (60, 60, 3), np.uint8))
    (tmp_path / "half.png").write_bytes(encoded(picture)[:3000])
    with pytest.raises(ValueError, match=r"half\.png is cut off"):
        processor()(tmp_path / "half.png")
    with pytest.raises(ValueError, match="cannot be read"):  # Pillow finds out when it decodes
        processor()(Image.open(tmp_path / "half.png"))
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        processor()(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([(0, 0, 1, 1)] * 3, "3 boxes for 2 pictures"),
        ((0, 0, 5, 5), "4 boxes for 2 pictures"),
        ([(0, 0, 5), None], "The box 0, 0, 5 is none: give x0, y0, x1, y1"),
        ([(5, 0, 5, 9), None], "The box 5, 0, 5, 9 is none"),
        ([(0, 9, 5, 3), None], "y1 beyond y0"),
        ([(0, 0, np.nan, 9), None], "The box 0, 0, nan, 9 is none"),
        ([(0, 0, np.inf, 9), None], "The box 0, 0, inf, 9 is none"),
        ([None, "box"], "The box 'box' is none"),
        ([(-1e5, 0, 1e5, 1e5), None], "pixels large, of a picture of 8 × 8"),
    ],
)
def test_boxes_that_are_none_say_so(boxes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        processor()([np.zeros((8, 8, 3), np.uint8)] * 2, boxes=boxes)


# ----------------------------------------------------------------------------------------------------------------- points


def peaks(pictures: int = 2) -> torch.Tensor:
    """Random peaks with heights from 0.1 to 1, (N, 64, 16, 16)."""
    random = torch.Generator().manual_seed(0)
    cells = torch.arange(16) + 0.5
    places = 4 + 8 * torch.rand(pictures, 64, 2, generator=random)
    x, y = (torch.exp(-((cells - places[..., axis, None]) ** 2) / 8) for axis in (0, 1))
    heights = 0.1 + 0.9 * torch.rand(pictures, 64, 1, 1, generator=random)
    return heights * y[..., :, None] * x[..., None, :]


CROPS = np.array([[10.0, -20.0, 2.0], [0.0, 0.0, 0.5]], np.float32)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_outputs_of_every_kind_give_the_same_points(decoding: str) -> None:
    net, maps = processor(decoding=decoding), peaks()
    expected, scores = net.decode(SignDetectorOutput(heatmaps=maps))
    assert expected.shape == (2, 64, 2) and scores.shape == (2, 64)
    for outputs in ({"heatmaps": maps.numpy()}, (maps,), [maps.numpy()], {"heatmaps": maps}):
        points, _ = processor().decode(outputs, decoding)
        assert torch.equal(points, expected)
    found = net.post_process_keypoint_detection({"heatmaps": maps}, torch.from_numpy(CROPS))
    for n, one in enumerate(found):
        np.testing.assert_allclose(one["keypoints"], CROPS[n, :2] + CROPS[n, 2] * expected[n].numpy(), rtol=1e-6)
        np.testing.assert_allclose(one["scores"], scores[n].numpy())
        np.testing.assert_allclose(one["scores"], maps[n].amax(dim=(-2, -1)).numpy())


def test_simcc_outputs() -> None:
    bins = torch.arange(2 * SIZE) + 0.5
    places = 20.5 + torch.arange(64)
    scores = -((bins - places[:, None]) ** 2) / 72
    output = SignDetectorOutput(simcc_x=scores[None], simcc_y=scores.flip(0)[None])
    for outputs in (output, output.to_tuple(), dict(output)):
        points, sure = processor().decode(outputs)
        torch.testing.assert_close(points[0], torch.stack([places, places.flip(0)], dim=-1) / 2)
        torch.testing.assert_close(sure, torch.ones(1, 64), atol=1e-2, rtol=0)


def test_points_below_the_threshold_are_not_given() -> None:
    maps = peaks()
    heights = maps.amax(dim=(-2, -1)).numpy()
    for net, threshold in ((processor(keypoint_threshold=0.5), None), (processor(), 0.5)):
        found = net.post_process_keypoint_detection({"heatmaps": maps}, CROPS, threshold=threshold)
        for n, one in enumerate(found):
            assert np.array_equal(np.isnan(one["keypoints"]).all(axis=1), heights[n] < 0.5)
            assert np.array_equal(one["scores"], heights[n])
    everything = processor(keypoint_threshold=0.5).post_process_keypoint_detection((maps,), CROPS, threshold=0)
    assert all(np.isfinite(one["keypoints"]).all() for one in everything)


@pytest.mark.parametrize(
    ("outputs", "crops", "message"),
    [
        ({"logits": 1}, CROPS, "neither heatmaps nor simcc_x and simcc_y"),
        ({"heatmaps": np.zeros((2, 42, 8, 8))}, CROPS, "42 points, the processor's layout 'signlang-64' has 64"),
        ({"heatmaps": np.zeros((2, 64, 8, 8))}, CROPS[:1], r"crops have shape \(1, 3\); they must be \(2, 3\)"),
        ({"heatmaps": np.zeros((64, 8, 8))}, CROPS, r"must be \(N, K, H, W\)"),
    ],
)
def test_outputs_that_are_none_say_so(outputs: Any, crops: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        processor().post_process_keypoint_detection(outputs, crops)


# ------------------------------------------------------------------------------------------------------ JSON and the model


def test_the_file_is_plain_json_and_comes_back(tmp_path: Path) -> None:
    net = processor(decoding="quarter", keypoint_threshold=0.25, sigma=1.5)
    net.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved["image_size"] == SIZE and saved["layout"] == "signlang-64" and saved["decoding"] == "quarter"
    for loader in (SignDetectorProcessor, AutoImageProcessor):
        again = loader.from_pretrained(tmp_path)
        assert type(again) is SignDetectorProcessor
        assert {**again.to_dict(), "auto_map": 0} == {**net.to_dict(), "auto_map": 0}
    SignDetectorConfig(image_size=SIZE).save_pretrained(tmp_path)
    assert type(AutoProcessor.from_pretrained(tmp_path)) is SignDetectorProcessor


def test_a_file_of_the_other_transformers_generation_loads(tmp_path: Path) -> None:
    # 4.57 leaves out what is None, 5 leaves out nothing; both read both.
    text = """{
      "auto_map": {"AutoImageProcessor": "processing_detector.SignDetectorProcessor"}, "decoding": "dark",
      "image_processor_type": "SignDetectorProcessor", "image_size": 256, "keypoint_threshold": 0.1, "layout": "hands-42",
      "layout_points": null, "sigma": 2.0, "simcc_sigma": 6.0
    }"""
    (tmp_path / "preprocessor_config.json").write_text(text)
    again = AutoImageProcessor.from_pretrained(tmp_path)
    assert (again.image_size, again.layout, again.keypoint_threshold) == (256, "hands-42", 0.1)


def test_a_users_layout_travels_to_a_process_that_never_heard_of_it(tmp_path: Path) -> None:
    register_layout("test-triangle", ["nose", "left_wrist", "right_wrist"])
    processor(layout="test-triangle").save_pretrained(tmp_path)
    script = """
import sys, signlang_hf
assert "test-triangle" not in signlang_hf.list_layouts()
processor = signlang_hf.SignDetectorProcessor.from_pretrained(sys.argv[1])
print(*processor.keypoints)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["nose", "left_wrist", "right_wrist"] and "test-triangle" in list_layouts()


def test_it_takes_from_a_models_configuration_what_belongs_to_both() -> None:
    config = SignDetectorConfig(image_size=192, sigma=1.25, simcc_sigma=4.0)
    net = SignDetectorProcessor.for_model(config, decoding="quarter")
    assert (net.image_size, net.sigma, net.simcc_sigma, net.decoding) == (192, 1.25, 4.0, "quarter")
    net.require_model(config)


def test_a_model_of_other_points_is_refused() -> None:
    net = processor()
    with pytest.raises(ValueError, match="The model finds 2 points, but the processor's layout 'signlang-64' has 64"):
        net.require_model(SignDetectorConfig(keypoints=["nose", "chin"]))
    other = list(SignDetectorConfig().keypoints)
    other[9], other[10] = other[10], other[9]
    with pytest.raises(
        ValueError, match=r"Point 9 of the model is right_wrist, of the processor's layout .* left_wrist"
    ):
        net.require_model(SignDetectorConfig(keypoints=other))
    with pytest.raises(ValueError, match="takes pictures of 128 pixels, the processor makes them 64 wide"):
        net.require_model(SignDetectorConfig(head="simcc", image_size=128))
    net.require_model(SignDetectorConfig(image_size=128))  # whose heatmaps have any size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 0}, "image_size is 0"),
        ({"image_size": "large"}, "image_size is 'large'"),
        ({"layout": "no-such"}, "Unknown layout 'no-such'"),
        ({"decoding": "best"}, "decoding is 'best'; choose one of dark, quarter, soft-argmax"),
        ({"keypoint_threshold": 1.5}, "keypoint_threshold is 1.5"),
        ({"sigma": 0}, "sigma is 0; it must be positive"),
    ],
)
def test_settings_that_cannot_work_say_why(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SignDetectorProcessor(**settings)


def test_the_library_works_without_pillow_until_a_file_is_to_be_read(tmp_path: Path) -> None:
    script = """
import importlib.abc, importlib.util, sys
class NoPillow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "PIL":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, NoPillow())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.partition(".")[0] == "PIL" else find(name, *rest)
for name in ("torchvision", "timm"):
    sys.modules[name] = None
import signlang_hf
from transformers import AutoModelForKeypointDetection
import numpy as np
processor = signlang_hf.SignDetectorProcessor(image_size=32)
assert processor(np.zeros((4, 4, 3), np.uint8))["pixel_values"].shape == (1, 3, 32, 32)
for make in (lambda: processor(b"1234"), lambda: AutoModelForKeypointDetection.from_config(signlang_hf.SignDetectorConfig())):
    try:
        make()
    except ImportError as error:
        print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'Pictures need Pillow: pip install "signlang-hf[' in done.stdout
    assert 'The keypoint detector needs timm: pip install "signlang-hf[detector]"' in done.stdout
