"""The checks that every model of the library passes, written once.

A model's test file subclasses :class:`SignModelTests`, says how to build a tiny configuration and inputs, and declares which
checks cannot apply to it (``exemptions``: name of the check → reason). ``tests/test_exemptions.py`` asserts that table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

TOLERANCE = 1e-5


class SignModelTests:
    """Subclass as ``class TestMyModel(SignModelTests)``."""

    config_class: type[PretrainedConfig]
    model_class: type[PreTrainedModel]
    base_class: type[PreTrainedModel]
    auto_class: str
    """Name of the transformers Auto class that loads ``model_class``."""
    pipeline_task: str | None = None
    logits_axes: ClassVar[dict[int, str]] = {0: "batch"}
    """Axes of the logits whose length is free in ONNX."""
    weights_file = "model.safetensors"
    """Where a saved model's weights are."""
    exemptions: ClassVar[dict[str, str]] = {}

    # ---------------------------------------------------------------------------------- what a subclass provides

    def config(self, **changes: Any) -> PretrainedConfig:
        """A tiny configuration without dropout."""
        raise NotImplementedError

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        """Random inputs without padding, without labels."""
        raise NotImplementedError

    def labels(self, batch: int = 3) -> torch.Tensor:
        raise NotImplementedError

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        """Labels that the model does not have."""
        raise NotImplementedError

    def save_with_processor(self, model: PreTrainedModel, folder: Path) -> list[Any]:
        """Save model and processor; return three inputs for the pipeline."""
        raise NotImplementedError

    def without_padding(self, logits: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
        """What a padded clip's ``logits`` have to say about the clip itself; ``alone`` are those without padding."""
        return logits

    def answer_is_sound(self, answer: Any) -> bool:
        """Whether the pipeline's answer about one input has the right form."""
        return isinstance(answer, list) and set(answer[0]) == {"label", "score"}

    def same_answers(self, one: Any, other: Any) -> None:
        """Assert that two answers of the pipeline say the same."""
        assert [row["label"] for row in one] == [row["label"] for row in other]
        np.testing.assert_allclose([r["score"] for r in one], [r["score"] for r in other], atol=TOLERANCE)

    # ------------------------------------------------------------------------------------------------- machinery

    @pytest.fixture(autouse=True)
    def _skip_exempt(self, request: pytest.FixtureRequest) -> None:
        reason = self.exemptions.get(request.node.originalname)
        if reason:
            pytest.skip(reason)

    def model(self, **changes: Any) -> PreTrainedModel:
        torch.manual_seed(0)
        return self.model_class(self.config(**changes)).eval()

    def logits(self, model: PreTrainedModel, **inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model(**inputs).logits

    # ---------------------------------------------------------------------------------------------------- checks

    def test_config_round_trip(self, tmp_path: Path) -> None:
        config = self.config()
        config.save_pretrained(tmp_path)
        again = AutoConfig.from_pretrained(tmp_path)
        assert type(again) is self.config_class
        volatile = ("transformers_version", "_name_or_path", "auto_map")
        before, after = ({k: v for k, v in c.to_dict().items() if k not in volatile} for c in (config, again))
        assert json.loads(json.dumps(before)) == json.loads(json.dumps(after))

    def test_save_and_load_exact(self, tmp_path: Path) -> None:
        model, inputs = self.model(), self.inputs()
        expected = self.logits(model, **inputs)
        model.save_pretrained(tmp_path)
        assert not list(tmp_path.glob("*.bin")) and (tmp_path / self.weights_file).is_file()
        auto = getattr(transformers, self.auto_class)
        for cls in (self.model_class, auto):
            again = cls.from_pretrained(tmp_path, dtype=torch.float32)
            assert type(again) is self.model_class
            assert torch.equal(self.logits(again, **inputs), expected)

    def test_base_model_loads_from_the_same_folder(self, tmp_path: Path) -> None:
        model, inputs = self.model(), self.inputs()
        model.save_pretrained(tmp_path)
        base = transformers.AutoModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
        assert type(base) is self.base_class
        with torch.no_grad():
            own = getattr(model, model.base_model_prefix)(**inputs).last_hidden_state
            assert torch.equal(base(**inputs).last_hidden_state, own)

    def test_remote_code_without_the_library(self, tmp_path: Path) -> None:
        model, inputs = self.model(), self.inputs()
        model.save_pretrained(tmp_path / "repo")
        np.savez(tmp_path / "inputs.npz", **{name: value.numpy() for name, value in inputs.items()})
        script = f"""
import sys, numpy as np, torch, transformers
inputs = {{k: torch.from_numpy(v) for k, v in np.load(sys.argv[2]).items()}}
model = transformers.{self.auto_class}.from_pretrained(sys.argv[1], trust_remote_code=True, dtype=torch.float32).eval()
base = transformers.AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True, dtype=torch.float32).eval()
with torch.no_grad():
    np.savez(sys.argv[3], logits=model(**inputs).logits.numpy(), hidden=base(**inputs).last_hidden_state.numpy())
model.save_pretrained(sys.argv[4])
assert not any(name.split(".")[0] == "signlang_hf" for name in sys.modules), "the library was imported"
"""
        # -P and an empty PYTHONPATH hide a source checkout, blocking the name hides an installed library.
        block = "import sys; sys.modules['signlang_hf'] = None\n"
        script = block + script.replace("assert not any", "del sys.modules['signlang_hf']\nassert not any")
        environment = {
            **os.environ,
            "PYTHONPATH": "",
            "HF_MODULES_CACHE": str(tmp_path / "modules"),
            "HF_HUB_OFFLINE": "1",
        }
        arguments = [str(tmp_path / name) for name in ("repo", "inputs.npz", "outputs.npz", "again")]
        finished = subprocess.run(
            [sys.executable, "-P", "-c", script, *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr[-2000:]
        outputs = np.load(tmp_path / "outputs.npz")
        np.testing.assert_allclose(outputs["logits"], self.logits(model, **inputs).numpy(), atol=TOLERANCE)
        assert (tmp_path / "again" / "config.json").is_file() and list((tmp_path / "again").glob("modeling_*.py"))

    def test_buffers_and_parameters_finite_after_load(self, tmp_path: Path) -> None:
        self.model().save_pretrained(tmp_path)
        again = self.model_class.from_pretrained(tmp_path)
        for name, tensor in (*again.named_parameters(), *again.named_buffers()):
            assert tensor.device.type != "meta", name
            assert torch.isfinite(tensor).all(), name

    def test_padded_equals_alone(self) -> None:
        model = self.model()
        long, short = self.inputs(1, 11), self.inputs(1, 6)
        batch = {
            name: torch.cat([long[name], torch.nn.functional.pad(short[name], (0, 0, 0, 5), value=3.0)])
            for name in long
            if name != "attention_mask"
        }
        mask = torch.ones(2, 11, dtype=torch.long)
        mask[1, 6:] = 0
        together = self.logits(model, **batch, attention_mask=mask)
        for row, clip in enumerate((long, short)):
            alone = self.logits(model, **clip)
            padded = self.without_padding(together[row : row + 1], alone)
            torch.testing.assert_close(padded, alone, atol=TOLERANCE, rtol=0)

    def test_eval_is_deterministic(self) -> None:
        model, inputs = self.model(hidden_dropout=0.5), self.inputs()
        assert torch.equal(self.logits(model, **inputs), self.logits(model, **inputs))

    def test_loss_is_finite_and_every_parameter_learns(self) -> None:
        model = self.model().train()
        model(**self.inputs(), labels=self.labels()).loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_unknown_label_raises(self) -> None:
        with pytest.raises(ValueError, match="label"):
            self.model()(**self.inputs(), labels=self.bad_labels())

    def test_gradient_accumulation_equals_one_batch(self, tmp_path: Path) -> None:
        inputs, labels = self.inputs(8), self.labels(8)
        rows = [{**{name: value[i] for name, value in inputs.items()}, "labels": labels[i]} for i in range(8)]

        def weights(batch: int, accumulate: int) -> tuple[float, dict[str, torch.Tensor]]:
            arguments = TrainingArguments(
                output_dir=str(tmp_path), per_device_train_batch_size=batch, gradient_accumulation_steps=accumulate,
                max_steps=1, learning_rate=0.1, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0, report_to="none",
                save_strategy="no", logging_steps=1, use_cpu=True, disable_tqdm=True,
            )  # fmt: skip
            trainer = Trainer(model=self.model(), args=arguments, train_dataset=rows)
            trainer.train()
            loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
            return loss, trainer.model.state_dict()

        (loss_one, one), (loss_four, four) = weights(8, 1), weights(2, 4)
        assert loss_four == pytest.approx(loss_one, abs=1e-4)
        for name, value in one.items():
            torch.testing.assert_close(four[name], value, atol=TOLERANCE, rtol=1e-4, msg=name)

    def test_gradient_checkpointing_changes_nothing(self) -> None:
        def gradients(checkpointing: bool) -> dict[str, torch.Tensor]:
            model = self.model().train()
            if checkpointing:
                model.gradient_checkpointing_enable({"use_reentrant": False})
            torch.manual_seed(1)
            model(**self.inputs(), labels=self.labels()).loss.backward()
            return {name: parameter.grad for name, parameter in model.named_parameters()}

        plain, checkpointed = gradients(False), gradients(True)
        for name, gradient in plain.items():
            torch.testing.assert_close(checkpointed[name], gradient, atol=1e-6, rtol=0, msg=name)

    def test_eager_equals_sdpa(self, tmp_path: Path) -> None:
        self.model().save_pretrained(tmp_path)
        inputs = self.inputs()
        inputs["attention_mask"] = torch.tensor([[1] * 9, [1] * 5 + [0] * 4, [1] * 2 + [0] * 7])
        eager, fused = (
            self.model_class.from_pretrained(tmp_path, attn_implementation=name, dtype=torch.float32).eval()
            for name in ("eager", "sdpa")
        )
        torch.testing.assert_close(self.logits(eager, **inputs), self.logits(fused, **inputs), atol=TOLERANCE, rtol=0)

    def test_tuple_equals_dict_output(self) -> None:
        model, inputs = self.model(), self.inputs()
        with torch.no_grad():
            named = model(**inputs, labels=self.labels())
            plain = model(**inputs, labels=self.labels(), return_dict=False)
        assert isinstance(plain, tuple) and len(plain) == len(named.to_tuple())
        for a, b in zip(plain, named.to_tuple()):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else type(a) is type(b)  # a cache is no tensor

    def test_onnx_equals_torch_at_another_size(self, tmp_path: Path) -> None:
        ort = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
        model = self.model()

        class Logits(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
                return self.model(input_values=input_values, attention_mask=attention_mask).logits

        def example(batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
            mask = torch.ones(batch, frames, dtype=torch.long)
            mask[-1, frames - 2 :] = 0
            return self.inputs(batch, frames)["input_values"], mask

        path = tmp_path / "model.onnx"
        axes = {
            "input_values": {0: "batch", 1: "time"},
            "attention_mask": {0: "batch", 1: "time"},
            "logits": self.logits_axes,
        }
        torch.onnx.export(
            Logits().eval(), example(2, 7), str(path), dynamo=False, opset_version=18,
            input_names=["input_values", "attention_mask"], output_names=["logits"], dynamic_axes=axes,
        )  # fmt: skip
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for size in ((1, 5), (3, 37)):
            values, mask = example(*size)
            got = session.run(None, {"input_values": values.numpy(), "attention_mask": mask.numpy()})[0]
            expected = self.logits(model, input_values=values, attention_mask=mask)
            np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)

    def test_pipeline_on_one_a_list_and_a_batch(self, tmp_path: Path) -> None:
        clips = self.save_with_processor(self.model(), tmp_path)
        pipe = transformers.pipeline(self.pipeline_task, model=str(tmp_path))
        alone = [pipe(clip) for clip in clips]
        assert self.answer_is_sound(alone[0])
        for batch_size in (1, 3):
            answers = pipe(clips, batch_size=batch_size)
            assert len(answers) == len(alone)
            for one, other in zip(alone, answers):
                self.same_answers(one, other)

    def test_generation_with_cache_equals_without(self) -> None:
        model, inputs = self.model(), self.inputs()
        with_cache = model.generate(**inputs, max_new_tokens=8, use_cache=True, do_sample=False)
        without = model.generate(**inputs, max_new_tokens=8, use_cache=False, do_sample=False)
        assert torch.equal(with_cache, without)
