"""How much memory one training step of a recogniser of sentences takes: ``python recipes/benchmark_sentences.py --memory``.

Design decisions:

* Measured in a process of its own: what other work has left behind in this one would count.
* Two steps are made, because Adam's averages are there from the end of the first one on.
* On a CPU it is the highest resident set of the process (``VmHWM``), with Python, torch and transformers in it: what a machine needs. What
  was there before the model is told apart. On a GPU it is what torch had allocated at most, without the driver's own share.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from ..models.ctc import SignCTCConfig, SignForCTC
from ..models.ctc.processing_ctc import SignCTCProcessor
from .building import checked, new_processor
from .sentence_arguments import parse_continuous

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class StepMemory:
    """Memory of one training step.

    Args:
        peak_mb: highest during two steps, everything included, in MB (10⁶ bytes).
        start_mb: before the model was built.
        parameters: of the model.
        device: ``cpu``, or the name of the GPU.
    """

    peak_mb: float
    start_mb: float
    parameters: int
    device: str


def training_step_memory(
    config: Path, *, frames: int, batch_size: int | None = None, device: str = "cpu"
) -> StepMemory:
    """Peak of a training step of a configuration of ``train_ctc``, on random clips, in a process of its own.

    Args:
        config: YAML file; its model, processor, batch size, precision and gradient checkpointing count.
        frames: length of each clip.
        batch_size: clips at once; default: the configuration's.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: settings that do not fit, no such device or no way to measure it; or the step failed, with its last line.
    """
    if not Path(config).is_file():
        raise FileNotFoundError(f"There is no configuration file {config}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("There is no GPU here; measure with device='cpu'.")
    if device == "cpu" and not can_measure():
        raise ValueError("The resident set is read from /proc, which Linux alone has.")
    given = json.dumps(_settings(str(config), frames, batch_size, device))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", __name__, given], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise ValueError(f"The training step failed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return StepMemory(**json.loads(done.stdout.strip().splitlines()[-1]))


def can_measure() -> bool:
    """Whether the system tells how much memory a process has; Linux does."""
    return _STATUS.is_file()


def resident_mb(highest: bool) -> float:
    """Resident set of this process in MB (10⁶ bytes): now, or the highest so far."""
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM" if highest else "VmRSS"].split()[0]) * 1024 / 1e6


def _settings(config: str, frames: int, batch_size: int | None, device: str) -> dict[str, Any]:
    """What the process of its own has to know; it reads no YAML, because that takes memory too."""
    model_args, _, args = parse_continuous(
        ["--config", config, "--report_to", "none", "--bf16", "false", "--fp16", "false", "--use_cpu", "true"]
    )
    given = yaml.safe_load(Path(config).read_text(encoding="utf-8"))  # half precision may be the GPU's alone
    rows = [{"layout": "isl-48"}]  # for a configuration that takes the layout of its data
    processor = new_processor(
        model_args, rows, SignCTCProcessor, vocabulary=[f"gloss {number}" for number in range(100)]
    )
    sizes = {"input_size": processor.feature_size, "vocab_size": len(processor.vocabulary)}
    settings = {**model_args.model, **sizes}
    checked("model", lambda: SignCTCConfig(**settings))
    return {
        "model": settings,
        "frames": frames,
        "batch_size": batch_size or args.per_device_train_batch_size,
        "precision": "bfloat16" if given.get("bf16") else "float16" if given.get("fp16") else None,
        "checkpointing": args.gradient_checkpointing,
        "device": device,
    }


def _measure(given: dict[str, Any]) -> StepMemory:
    size, frames, device = given["batch_size"], given["frames"], given["device"]
    config = SignCTCConfig(**given["model"])
    cpu = device == "cpu"
    start = resident_mb(highest=False) if cpu else 0.0
    model = SignForCTC(config).to(device).train()
    if given["checkpointing"]:
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters())
    # A CPU computes in bfloat16 or in single precision.
    precision = torch.float16 if given["precision"] == "float16" and not cpu else torch.bfloat16
    for _ in range(2):
        values = torch.randn(size, frames, config.input_size, device=device)
        labels = torch.randint(2, config.vocab_size, (size, max(1, frames // 30)), device=device)
        with torch.autocast(device, dtype=precision, enabled=given["precision"] is not None):
            loss = model(input_values=values, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    peak = resident_mb(highest=True) if cpu else torch.cuda.max_memory_allocated() / 1e6
    return StepMemory(peak, start, model.num_parameters(), "cpu" if cpu else torch.cuda.get_device_name())


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(json.loads(sys.argv[1])))))
