"""Where the video language model computes, and in which precision. Self-contained: it travels to the Hub beside the adapter."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

DEVICES = ("auto", "cuda", "dml", "mps", "cpu")
_DIRECTML = "torch_directml"
# It misses a kernel for the layout that keep_layout avoids, and says so whenever PEFT is imported.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device of that name; "auto" takes the first that is there of CUDA, DirectML, MPS and the CPU.

    Args:
        device: "auto", "cuda" (also "cuda:1"), "dml" (DirectML, by the module torch-directml), "mps", "cpu" or a torch device; None is the
            CPU, as in transformers.

    Raises:
        ValueError: a device that is not known, or is not there.
    """
    if device is None:
        return torch.device("cpu")
    if isinstance(device, torch.device):
        return device
    kind = device.partition(":")[0]
    if kind == "privateuseone":  # what torch calls DirectML
        kind = "dml"
    if kind not in DEVICES:
        raise ValueError(f"device is {device!r}; it must be one of {', '.join(DEVICES)}.")
    if kind == "auto":
        kind = next(name for name in ("cuda", "dml", "mps", "cpu") if _is_there(name))
        device = kind
    elif not _is_there(kind):
        raise ValueError(f"There is no {device} here; device='auto' takes what there is.")
    return _directml().device() if kind == "dml" else torch.device(device)


def best_dtype(device: torch.device | None) -> torch.dtype:
    """bfloat16 on a GPU that computes in it, float16 on others and on Apple's, float32 on the CPU and with DirectML."""
    if device is None or device.type == "cuda":
        if not torch.cuda.is_available():
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def require_4bit(device: torch.device | None) -> None:
    """Raise where weights of 4 bits cannot be had.

    Raises:
        ImportError: bitsandbytes is not installed.
        ValueError: a device on which it does not run.
    """
    if device is not None and device.type not in ("cuda", "cpu", "xpu"):
        raise ValueError(
            f"4 bits are for CUDA and the CPU, not for {device.type}; load with quantization=None, or with fewer frames."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ImportError('4 bits need bitsandbytes: pip install "signlang-hf[vlm]".')


def keep_layout(model: nn.Module) -> None:
    """Keep bitsandbytes from laying the weights of 4 bits out anew for a CPU with bfloat16 at their first use: they could not be trained on
    after that, and a training is evaluated in between."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def advice_on_memory() -> Iterator[None]:
    """Say what helps where a device's memory is not enough.

    Raises:
        MemoryError: in the place of torch's error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            "There is not enough memory on the device: a smaller batch, fewer frames (the processor's num_frames) or "
            "quantization='4bit' need less."
        ) from error


def _is_there(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "dml":
        return importlib.util.find_spec(_DIRECTML) is not None and _directml().is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return True


def _directml() -> Any:
    return importlib.import_module(_DIRECTML)


__all__ = ["DEVICES", "advice_on_memory", "best_dtype", "choose_device", "keep_layout", "require_4bit"]
