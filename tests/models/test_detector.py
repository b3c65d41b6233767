"""signlang_detector: the common checks, its losses in numbers, backbones, and what cannot work."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import transformers
from common import TOLERANCE, SignModelTests

from signlang_hf import SignDetectorConfig, SignDetectorForKeypointDetection, SignDetectorModel, SignDetectorProcessor
from signlang_hf.landmarks import get_layout
from signlang_hf.models.detector import KEYPOINTS
from signlang_hf.models.detector.modeling_detector_losses import counting_points, heatmap_loss, simcc_loss

timm = pytest.importorskip("timm", reason="the backbones are timm's")

SIZE = 64
POINTS = ("left_hand", "right_hand", "nose")  # the layout boston-3
EXEMPTIONS = {
    "test_padded_equals_alone": "pictures have one size, there is no time to pad",
    "test_eager_equals_sdpa": "there is no attention in it",
    "test_generation_with_cache_equals_without": "points are found, nothing is generated",
    "test_gradient_accumulation_equals_one_batch": (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    "test_gradient_checkpointing_changes_nothing": "batch norm would count every picture twice, so it is not offered",
}
SAME_FILES = {
    "test_remote_code_without_the_library": "its files are those of TestSignDetector, and the check takes long"
}


class DetectorModelTests(SignModelTests):
    config_class = SignDetectorConfig
    model_class = SignDetectorForKeypointDetection
    base_class = SignDetectorModel
    auto_class = "AutoModelForKeypointDetection"
    pipeline_task = "sign-keypoint-detection"
    answer = "heatmaps"
    exemptions: ClassVar[dict[str, str]] = EXEMPTIONS
    settings: ClassVar[dict[str, Any]] = {}

    def config(self, **changes: Any) -> SignDetectorConfig:
        tiny = {"keypoints": POINTS, "backbone": "test_resnet", "image_size": SIZE, "deconv_width": 8}
        return SignDetectorConfig(**{**tiny, **self.settings, **changes})

    def model(self, **changes: Any) -> Any:
        net = super().model(**changes)
        for name, module in net.named_modules():
            # timm begins with residual branches that are 0, and so are the gradients in them.
            if name.startswith("detector.backbone.") and isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.ones_(module.weight)
        return net

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.rand(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(frames))}

    def labels(self, batch: int = 3) -> torch.Tensor:
        labels = torch.rand(batch, 3, 3, generator=torch.Generator().manual_seed(5)) * SIZE
        labels[..., 2] = 1
        labels[0, 1] = torch.tensor([math.nan, math.nan, 0.0])
        return labels

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return torch.ones(batch, 4, 3)

    def logits(self, model: Any, **inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model(**inputs)[self.answer]

    def save_with_processor(self, model: Any, folder: Path) -> list[Any]:
        with torch.no_grad():  # answers that differ
            for name, weights in model.head.named_parameters():
                weights.normal_(std=0.5, generator=torch.Generator().manual_seed(len(name)))
        model.save_pretrained(folder)
        SignDetectorProcessor.for_model(model.config, "boston-3").save_pretrained(folder)
        rng = np.random.default_rng(0)
        return [rng.integers(0, 256, (height, width, 3), np.uint8) for height, width in ((40, 80), (64, 64), (90, 30))]

    def answer_is_sound(self, answer: Any) -> bool:
        return [row["name"] for row in answer["keypoints"]] == list(POINTS) and 0 <= answer["score"] <= 1

    def same_answers(self, one: Any, other: Any) -> None:
        assert one["score"] == pytest.approx(other["score"], abs=TOLERANCE)
        for first, second in zip(one["keypoints"], other["keypoints"], strict=True):
            assert first["name"] == second["name"]
            for name in ("x", "y", "score"):
                assert first[name] == pytest.approx(second[name], abs=1e-3)

    def test_remote_code_without_the_library(self, tmp_path: Path) -> None:
        model, inputs = self.model(), self.inputs()
        model.save_pretrained(tmp_path / "repo")
        np.save(tmp_path / "inputs.npy", inputs["pixel_values"].numpy())
        script = f"""
import sys
sys.modules["signlang_hf"] = None
import numpy as np, torch, transformers
pixels = torch.from_numpy(np.load(sys.argv[2]))
model = transformers.{self.auto_class}.from_pretrained(sys.argv[1], trust_remote_code=True, dtype=torch.float32).eval()
base = transformers.AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True, dtype=torch.float32).eval()
with torch.no_grad():
    np.savez(sys.argv[3], answer=model(pixels).{self.answer}.numpy(), hidden=base(pixels).last_hidden_state.numpy())
model.save_pretrained(sys.argv[4])
del sys.modules["signlang_hf"]
assert not any(name.split(".")[0] == "signlang_hf" for name in sys.modules), "the library was imported"
"""
        environment = os.environ | {
            "PYTHONPATH": "", "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"
        }  # fmt: skip
        arguments = [str(tmp_path / name) for name in ("repo", "inputs.npy", "outputs.npz", "again")]
        finished = subprocess.run(
            [sys.executable, "-P", "-c", script, *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr[-2000:]
        outputs = np.load(tmp_path / "outputs.npz")
        np.testing.assert_allclose(outputs["answer"], self.logits(model, **inputs).numpy(), atol=TOLERANCE)
        with torch.no_grad():
            hidden = model.detector(**inputs).last_hidden_state.numpy()
        np.testing.assert_allclose(outputs["hidden"], hidden, atol=TOLERANCE)
        files = {path.name for path in (tmp_path / "again").glob("*.py")}
        assert files >= {"configuration_detector.py", "modeling_detector.py", "modeling_detector_losses.py"}

    def test_onnx_equals_torch_at_another_size(self, tmp_path: Path) -> None:
        ort = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
        model = self.model()
        names = ["simcc_x", "simcc_y"] if self.answer == "simcc_x" else ["heatmaps"]

        class Answer(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
                output = self.model(pixel_values=pixel_values)
                return tuple(output[name] for name in names)

        path = tmp_path / "model.onnx"
        torch.onnx.export(
            Answer().eval(), (self.inputs(1)["pixel_values"],), str(path), dynamo=False, opset_version=18,
            input_names=["pixel_values"], output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ("pixel_values", *names)},
        )  # fmt: skip
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for batch in (1, 3):
            pixels = self.inputs(batch, 4)["pixel_values"]
            with torch.no_grad():
                expected = model(pixel_values=pixels)
            for name, got in zip(names, session.run(names, {"pixel_values": pixels.numpy()})):
                np.testing.assert_allclose(got, expected[name].numpy(), atol=1e-4)


class TestSignDetector(DetectorModelTests):
    def test_shapes(self) -> None:
        model = self.model()
        with torch.no_grad():
            output = model(**self.inputs(), output_hidden_states=True)
        assert output.heatmaps.shape == (3, 3, SIZE // 4, SIZE // 4)
        assert output.simcc_x is None and output.loss is None
        sizes = [hidden.shape[-1] for hidden in output.hidden_states]
        assert sizes == [16, 8, 4, 2, 4, 8, 16]

    def test_heatmaps_of_another_size_and_of_an_oblong_picture(self) -> None:
        with torch.no_grad():
            assert self.model()(torch.rand(1, 3, 96, 32)).heatmaps.shape == (1, 3, 24, 8)


class TestSignDetectorSimCC(DetectorModelTests):
    answer = "simcc_x"
    exemptions: ClassVar[dict[str, str]] = {**EXEMPTIONS, **SAME_FILES}
    settings: ClassVar[dict[str, Any]] = {"head": "simcc", "simcc_ratio": 1.5}

    def test_shapes(self) -> None:
        with torch.no_grad():
            output = self.model()(**self.inputs())
        assert output.heatmaps is None and output.simcc_x.shape == output.simcc_y.shape == (3, 3, 96)
        assert len(self.model().detector.deconvolutions) == 0


class TestSignDetectorFocal(DetectorModelTests):
    exemptions: ClassVar[dict[str, str]] = {**EXEMPTIONS, **SAME_FILES}
    settings: ClassVar[dict[str, Any]] = {"loss": "focal", "lateral_connections": False, "output_stride": 8}

    def test_heatmaps_are_probabilities_that_begin_at_a_tenth(self) -> None:
        heatmaps = self.logits(self.model(), **self.inputs())
        assert heatmaps.shape[-1] == SIZE // 8
        assert heatmaps.mean().item() == pytest.approx(0.1, abs=0.02)


def model(**changes: Any) -> SignDetectorForKeypointDetection:
    return TestSignDetector().model(**changes)


PIXELS = TestSignDetector().inputs()["pixel_values"]
LABELS = TestSignDetector().labels()


# ---------------------------------------------------------------------------------------------------------- configuration


def test_the_points_are_those_of_the_layout() -> None:
    assert tuple(SignDetectorConfig().keypoints) == KEYPOINTS == get_layout("signlang-64").points
    assert SignDetectorConfig().num_keypoints == 64


def test_mobilenets_other_name() -> None:
    assert SignDetectorConfig(backbone="mobilenet_v3_small").backbone == "mobilenetv3_small_100"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keypoints": []}, "at least one name"),
        ({"keypoints": ["nose", "nose"]}, "names these points twice: nose"),
        ({"head": "vector"}, "head is 'vector'; choose one of heatmap, simcc"),
        ({"loss": "l1"}, "loss is 'l1'; choose one of mse, ohkm, focal"),
        ({"image_size": 0}, "image_size is 0"),
        ({"image_size": 256.0}, "image_size is 256.0; it must be a whole number"),
        ({"output_stride": 3}, "output_stride is 3; it must be a power of two"),
        ({"image_size": 66}, "image_size 66 is no multiple of output_stride 4"),
        ({"deconv_width": -1}, "deconv_width is -1"),
        ({"ohkm_top": 0}, "ohkm_top is 0"),
        ({"sigma": 0}, "sigma is 0; it must be positive"),
        ({"simcc_ratio": -2}, "simcc_ratio is -2"),
        ({"hidden_weight": -0.5}, "hidden_weight is -0.5"),
        ({"image_mean": [0.5]}, "image_mean has 1 values; RGB has 3"),
        ({"image_std": [0.0, 1, 1]}, "must be positive"),
    ],
)
def test_settings_that_cannot_work_say_why(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SignDetectorConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "no_such_net"}, "backbone 'no_such_net' cannot be used: it must be a model of timm"),
        ({"image_size": 72}, "image_size 72 is no multiple of 32, by which test_resnet divides"),
        ({"output_stride": 64, "image_size": 128}, "output_stride 64 cannot be reached from 32"),
    ],
)
def test_backbones_that_do_not_go_with_the_sizes_say_so(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**settings)


def test_pictures_and_labels_of_another_shape_say_so() -> None:
    net = model()
    for shape in ((3, SIZE, SIZE), (1, 1, SIZE, SIZE), (1, 3, 50, SIZE), (0, 3, SIZE, SIZE)):
        with pytest.raises(ValueError, match="multiples of 32"):
            net(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"A SimCC model of this size takes pictures \(N, 3, 64, 64\)"):
        model(head="simcc")(torch.zeros(1, 3, 96, 96))
    with pytest.raises(ValueError, match=r"labels have shape \(3, 64, 3\); they must be \(3, 3, 3\)"):
        net(PIXELS, labels=torch.zeros(3, 64, 3))


# --------------------------------------------------------------------------------------------------------------- backbones


@pytest.mark.parametrize(
    ("backbone", "size", "stride", "deconvolutions", "laterals"),
    [
        ("test_efficientnet", 64, 4, 3, 3),
        ("test_convnext", 64, 4, 3, 3),  # has no features of stride 2
        ("test_convnext", 64, 2, 4, 3),
        ("test_vit", 160, 4, 2, 0),  # has one stride, 16
        ("test_resnet", 64, 32, 0, 0),
    ],
)
def test_deconvolutions_follow_from_the_backbones_strides(
    backbone: str, size: int, stride: int, deconvolutions: int, laterals: int
) -> None:
    net = model(backbone=backbone, image_size=size, output_stride=stride).train()
    assert len(net.detector.deconvolutions) == deconvolutions
    assert sum(layer.lateral is not None for layer in net.detector.deconvolutions) == laterals
    output = net(torch.rand(2, 3, size, size), labels=LABELS[:2])
    assert output.heatmaps.shape == (2, 3, size // stride, size // stride)
    output.loss.backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


def test_lateral_connections_can_be_left_out() -> None:
    assert all(layer.lateral is None for layer in model(lateral_connections=False).detector.deconvolutions)


def test_a_mobilenet_of_width_64_is_small() -> None:
    net = SignDetectorForKeypointDetection(
        SignDetectorConfig(backbone="mobilenet_v3_small", deconv_width=64, image_size=256)
    )
    half = 2 * sum(parameter.numel() for parameter in net.parameters())
    assert 3e6 < half < 5e6, "bytes of its weights in half precision"


def test_batch_norm_keeps_its_statistics_exactly(tmp_path: Path) -> None:
    net = model().train()
    with torch.no_grad():
        net(PIXELS)  # measures
    statistics = {name: value.clone() for name, value in net.named_buffers()}
    assert any(name.endswith("running_var") for name in statistics)
    assert statistics["detector.backbone._backbone.bn1.running_mean"].abs().sum() > 0
    net.save_pretrained(tmp_path)
    again = SignDetectorForKeypointDetection.from_pretrained(tmp_path, dtype=torch.float32)
    for name, value in again.named_buffers():
        assert torch.equal(value, statistics[name]), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("head", ["heatmap", "simcc"])
def test_half_precision_weights(tmp_path: Path, dtype: torch.dtype, head: str) -> None:
    net = model(head=head).to(dtype)
    net.save_pretrained(tmp_path)
    again = SignDetectorForKeypointDetection.from_pretrained(tmp_path, dtype=dtype).eval()
    assert again.dtype == dtype
    name = "heatmaps" if head == "heatmap" else "simcc_y"
    with torch.no_grad():
        half, single = again(PIXELS)[name], again.float()(PIXELS)[name]
    assert half.dtype == torch.float32 and torch.isfinite(half).all()
    torch.testing.assert_close(half, single, atol=0.05 * single.abs().max().item(), rtol=0)


def _timm_weights(monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> list[torch.nn.Module]:
    """Let timm give weights that are all 0.5 instead of asking the Hub; returns what was made."""
    made: list[torch.nn.Module] = []
    create = timm.create_model

    def pretrained(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        if pretrained and fails is not None:
            raise fails
        net = create(name, pretrained=False, **options)
        if pretrained:
            made.append(net)
            with torch.no_grad():
                for value in (*net.parameters(), *net.buffers()):
                    value.fill_(0.5 if value.is_floating_point() else 1)
        return net

    monkeypatch.setattr(timm, "create_model", pretrained)
    return made


def test_pretrained_weights_come_into_new_models_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    made = _timm_weights(monkeypatch)
    config = TestSignDetector().config(use_pretrained_backbone=True)
    net = SignDetectorForKeypointDetection(config)
    assert len(made) == 1
    for value in (*net.detector.backbone.parameters(), *net.detector.backbone.buffers()):
        assert (value == (0.5 if value.is_floating_point() else 1)).all()
    assert net.head.points.weight.std().item() == pytest.approx(0.001, rel=0.5)
    with torch.no_grad():
        net.detector.backbone._backbone.conv1[0].weight.fill_(0.25)
    net.save_pretrained(tmp_path)
    assert config.use_pretrained_backbone, "the next model of this configuration begins like this one"
    for wish in ({}, {"use_pretrained_backbone": True}):
        again = SignDetectorForKeypointDetection.from_pretrained(tmp_path, **wish)
        assert len(made) == 1 and (again.detector.backbone._backbone.conv1[0].weight == 0.25).all()


def test_weights_that_cannot_be_had_are_random_ones_and_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _timm_weights(monkeypatch, OSError("We couldn't connect to the Hub.\nMore."))
    transformers.utils.logging.enable_propagation()
    with caplog.at_level("WARNING"):
        net = model(use_pretrained_backbone=True)
    transformers.utils.logging.disable_propagation()
    assert (
        "No pretrained weights for test_resnet, it begins with random ones: We couldn't connect to the Hub."
        in caplog.text
    )
    assert torch.equal(net(PIXELS).heatmaps, model()(PIXELS).heatmaps)


def test_offline_nobody_is_asked_for_weights_that_are_not_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(
        "timm.models.get_pretrained_cfg", lambda name: timm.models.PretrainedCfg(url="https://example.invalid/net.pth")
    )
    made = _timm_weights(monkeypatch)
    assert torch.equal(model(use_pretrained_backbone=True)(PIXELS).heatmaps, model()(PIXELS).heatmaps)
    assert made == []


# ------------------------------------------------------------------------------------------------------------------ losses


def test_the_squared_error_is_that_of_gaussians_about_the_points_themselves() -> None:
    torch.manual_seed(1)
    scores = torch.rand(2, 3, 12, 10)
    points = torch.tensor([[[3.2, 4.9], [7.75, 1.5], [5.0, 5.0]], [[0.1, 11.9], [9.5, 0.5], [2.0, 2.0]]])
    weights = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    total = 0.0
    for n, k in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x, y = points[n, k].tolist()
        for row in range(12):
            for column in range(10):
                target = math.exp(-((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2) / (2 * 1.5**2))
                total += (scores[n, k, row, column].item() - target) ** 2
    options = {"sigma": 1.5, "ohkm_top": 1}
    loss = heatmap_loss(scores, points, weights, kind="mse", **options)
    assert loss.item() == pytest.approx(total / 4 / (math.pi * 1.5**2), rel=1e-5)


def test_an_empty_map_costs_one_whatever_its_size() -> None:
    for size in (16, 64):
        points = torch.full((2, 3, 2), size / 2 + 0.3)
        loss = heatmap_loss(torch.zeros(2, 3, size, size), points, torch.ones(2, 3), kind="mse", sigma=2.0, ohkm_top=1)
        assert loss.item() == pytest.approx(1, abs=1e-3)


def test_the_hardest_points_of_each_picture_count() -> None:
    torch.manual_seed(2)
    scores, points = torch.rand(2, 4, 8, 8), torch.rand(2, 4, 2) * 8
    weights = torch.tensor([[1.0, 1, 1, 1], [0, 0, 1, 0]])

    def each(n: int, k: int) -> float:
        chosen = torch.zeros(2, 4)
        chosen[n, k] = 1
        return heatmap_loss(scores, points, chosen, kind="mse", sigma=1.0, ohkm_top=1).item()

    first = sorted((each(0, k) for k in range(4)), reverse=True)
    expected = (first[0] + first[1] + each(1, 2)) / 3
    loss = heatmap_loss(scores, points, weights, kind="ohkm", sigma=1.0, ohkm_top=2)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    everything = heatmap_loss(scores, points, weights, kind="ohkm", sigma=1.0, ohkm_top=9)
    assert everything.item() == pytest.approx(
        heatmap_loss(scores, points, weights, kind="mse", sigma=1.0, ohkm_top=1).item()
    )


def test_the_focal_loss_is_cornernets() -> None:
    torch.manual_seed(3)
    scores, (x, y), total = torch.randn(1, 1, 6, 7), (3.7, 2.2), 0.0
    for row in range(6):
        for column in range(7):
            p = torch.sigmoid(scores[0, 0, row, column]).item()
            target = math.exp(-((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2) / (2 * 1.2**2))
            if (row, column) == (2, 3):
                total -= (1 - p) ** 2 * math.log(p)
            else:
                total -= (1 - target) ** 4 * p**2 * math.log(1 - p)
    loss = heatmap_loss(scores, torch.tensor([[[x, y]]]), torch.ones(1, 1), kind="focal", sigma=1.2, ohkm_top=1)
    assert loss.item() == pytest.approx(total, rel=1e-5)


def test_simccs_loss_is_the_divergence_from_gaussians() -> None:
    torch.manual_seed(4)
    scores = torch.randn(2, 1, 1, 20)
    total = 0.0
    for axis, centre in enumerate((6.3, 13.9)):
        target = [math.exp(-((i + 0.5 - centre) ** 2) / (2 * 2.0**2)) for i in range(20)]
        answer = scores[axis].softmax(-1).flatten().tolist()
        total += sum(t / sum(target) * math.log(t / sum(target) / q) for t, q in zip(target, answer))
    loss = simcc_loss(scores[0], scores[1], torch.tensor([[[6.3, 13.9]]]), torch.ones(1, 1), 2.0)
    assert loss.item() == pytest.approx(total / 2, rel=1e-5)


def test_which_points_count() -> None:
    labels = torch.tensor(
        [
            [0.0, 0.0, 1.0], [9.99, 4.99, 1.0], [3.0, 3.0, 0.5],  # count
            [3.0, 3.0, 0.0], [3.0, 3.0, -1.0], [math.nan, 3.0, 1.0], [3.0, math.inf, 1.0], [3.0, 3.0, math.nan],
            [-0.01, 3.0, 1.0], [10.0, 3.0, 1.0], [3.0, 5.0, 1.0],
        ]
    )  # fmt: skip
    points, weights = counting_points(labels[None], height=5, width=10)
    assert weights[0].tolist() == [1.0, 1.0, 0.5] + [0.0] * 8
    assert torch.isfinite(points).all()


@pytest.mark.parametrize("settings", [{}, {"loss": "ohkm", "ohkm_top": 2}, {"loss": "focal"}, {"head": "simcc"}])
def test_points_that_do_not_count_change_nothing(settings: dict[str, Any]) -> None:
    net = model(**settings)
    labels = LABELS.clone()
    expected = net(PIXELS, labels=labels).loss
    labels[0, 1] = torch.tensor([SIZE + 3.0, 5.0, 1.0])  # outside instead of weight 0
    torch.testing.assert_close(net(PIXELS, labels=labels).loss, expected)
    with_more = torch.cat([labels, torch.full((1, 3, 3), math.nan)])
    torch.testing.assert_close(net(torch.cat([PIXELS, PIXELS[:1]]), labels=with_more).loss, expected)


@pytest.mark.parametrize("settings", [{}, {"loss": "ohkm"}, {"loss": "focal"}, {"head": "simcc"}])
def test_a_batch_without_a_point_to_be_seen_changes_nothing(settings: dict[str, Any]) -> None:
    net = model(**settings).train()
    labels = torch.full((3, 3, 3), math.nan)
    labels[..., 2] = 0
    loss = net(PIXELS, labels=labels).loss
    loss.backward()
    assert loss.item() == 0
    assert all((parameter.grad == 0).all() for parameter in net.parameters())


@pytest.mark.parametrize("kind", ["mse", "focal", "ohkm"])
def test_hidden_points_can_be_asked_for_empty_maps(kind: str) -> None:
    scores = torch.full((1, 2, 8, 8), 0.5, requires_grad=True)
    points, weights = torch.full((1, 2, 2), 4.0), torch.tensor([[1.0, 0.0]])
    options = {"kind": kind, "sigma": 1.0, "ohkm_top": 2}
    (without,) = torch.autograd.grad(heatmap_loss(scores, points, weights, **options), scores)
    (gradient,) = torch.autograd.grad(heatmap_loss(scores, points, weights, hidden_weight=0.5, **options), scores)
    assert (without[0, 1] == 0).all() and (gradient[0, 1] > 0).all()
    assert gradient[0, 0, 4, 4] < 0


@pytest.mark.parametrize(
    ("settings", "steps", "pixels"),
    [
        ({"sigma": 1.0}, 60, 0.5),
        (
            {"sigma": 1.0, "loss": "focal"},
            60,
            3.0,
        ),  # knows the cell and not the place in it: half its diagonal is 2.8 pixels
        ({"head": "simcc", "simcc_sigma": 3.0}, 100, 2.0),
    ],
)
def test_a_few_pictures_are_learned_by_heart(settings: dict[str, Any], steps: int, pixels: float) -> None:
    """With AdamW at 1e-3; a cell is 4 pixels."""
    net = model(backbone="test_resnet" if "head" in settings else "test_efficientnet", **settings).train()
    labels = torch.rand(3, 3, 3, generator=torch.Generator().manual_seed(7)) * 44 + 10
    labels[..., 2] = 1
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(steps):
        output = net(PIXELS, labels=labels)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    points, scores = SignDetectorProcessor.for_model(net.config, "boston-3").decode(output)
    assert (points - labels[..., :2]).norm(dim=-1).max() < pixels
    assert scores.min() > 0.5
