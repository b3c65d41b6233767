"""The common checks on the video language model, on a tiny base; what is its own is in ``test_internvl.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from common import TOLERANCE, SignModelTests
from tiny_internvl import SIZE, TOKENS_A_FRAME, save_tiny_internvl

from signlang_hf.models.internvl import (
    SignInternVLConfig,
    SignInternVLForConditionalGeneration,
    SignInternVLProcessor,
)

pytest.importorskip("peft")
LABELS = ("hello", "house", "doctor")


class TestSignInternVL(SignModelTests):
    config_class = SignInternVLConfig
    model_class = SignInternVLForConditionalGeneration
    auto_class = "AutoModelForImageTextToText"
    pipeline_task = "sign-recognition"
    weights_file = "adapter/adapter_model.safetensors"
    exemptions: ClassVar[dict[str, str]] = {
        "test_base_model_loads_from_the_same_folder": "the base is not in the folder, which names it",
        "test_remote_code_without_the_library": "it has no AutoModel; the rest of the check is in its own test file",
        "test_padded_equals_alone": "prompts are padded on the left; scores of a batch against single ones are in its own test file",
        "test_loss_is_finite_and_every_parameter_learns": "only the adapter learns; which weights that are is in its own test file",
        "test_unknown_label_raises": "what it learns from are tokens, which the processor makes",
        "test_onnx_equals_torch_at_another_size": "merged, it is an InternVL of transformers and not ours to export",
    }

    @pytest.fixture(autouse=True)
    def _base(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.getbasetemp() / "internvl-base"
        self.base = folder if folder.is_dir() else save_tiny_internvl(folder)

    def config(self, hidden_dropout: float = 0.0, **changes: Any) -> SignInternVLConfig:
        lora = {"r": 4, "lora_alpha": 8, "lora_dropout": hidden_dropout}
        names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: index for index, name in enumerate(LABELS)}}
        return SignInternVLConfig(base=str(self.base), lora=lora, **names, **changes)

    def model(self, **changes: Any) -> SignInternVLForConditionalGeneration:
        torch.manual_seed(0)
        model = self.model_class.from_base(self.config(**changes)).eval()
        for name, weights in model.named_parameters():
            if "lora_B" in name:  # a fresh adapter does nothing yet
                torch.nn.init.normal_(weights, std=0.3)
        return model

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        """Pictures of one frame, and ``frames`` tokens of which some are the picture's."""
        generator = torch.Generator().manual_seed(batch * frames)
        words = torch.randint(10, 200, (batch, frames), generator=generator)
        picture = self.model_class.from_base(self.config()).base.config.image_token_id
        words[:, :TOKENS_A_FRAME] = picture
        return {"input_ids": words, "pixel_values": torch.rand(batch, 3, SIZE, SIZE, generator=generator)}

    def labels(self, batch: int = 3) -> torch.Tensor:
        labels = self.inputs(batch)["input_ids"].clone()
        labels[:, :TOKENS_A_FRAME] = -100
        return labels

    def save_with_processor(self, model: Any, folder: Path) -> list[Any]:
        model.save_pretrained(folder)
        SignInternVLProcessor.for_model(model).save_pretrained(folder)
        rng = np.random.default_rng(0)
        return [rng.integers(0, 255, (length, 40, 30, 3), np.uint8) for length in (9, 12, 8)]


def test_the_hubs_copy_needs_no_library(tmp_path: Path) -> None:
    """An adapter's folder brings its code: torch, transformers and PEFT are enough, and the base where it lies."""
    tests = TestSignInternVL()
    tests.base = save_tiny_internvl(tmp_path / "base")
    model, inputs = tests.model(), tests.inputs()
    model.save_pretrained(tmp_path / "repo")
    np.savez(tmp_path / "inputs.npz", **{name: value.numpy() for name, value in inputs.items()})
    script = """
import sys; sys.modules["signlang_hf"] = None
import numpy as np, torch, transformers
inputs = {name: torch.from_numpy(value) for name, value in np.load("inputs.npz").items()}
model = transformers.AutoModelForImageTextToText.from_pretrained("repo", trust_remote_code=True, dtype=torch.float32)
with torch.no_grad():
    np.savez("outputs.npz", logits=model(**inputs).logits.numpy())
model.save_pretrained("again")
"""
    environment = {**os.environ, "PYTHONPATH": "", "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        expected = model(**inputs).logits.numpy()
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npz")["logits"], expected, atol=TOLERANCE)
    assert list((tmp_path / "again").glob("modeling_internvl*.py")) and (tmp_path / "again/adapter").is_dir()
