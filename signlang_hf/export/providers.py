"""Execution providers of onnxruntime by short names, and sessions that run on the one that was asked for.

Design decisions:

* onnxruntime falls back to the CPU in silence when a provider's libraries are missing. Here that is an error: who asks for a GPU
  wants to know. Only ``auto`` goes on to the next one.
* TensorRT is never chosen by ``auto``: building its engines takes minutes. They are kept in a cache, and are half precision.
* A session takes as many threads as torch does. At our sizes one is often the fastest, and workers do not fight over cores.
* Graphs in half precision are opened without the last level of optimisation, of memory layouts: with it onnxruntime 1.31 crashes on
  the CPU, and the process with it, where there are convolutions over time.
* What has run is read from onnxruntime's own profile (:func:`ran_on`), not from what was asked for.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch


@dataclass(frozen=True)
class Provider:
    """A provider: onnxruntime's name for it, the package that brings it, and those that take what it cannot run."""

    name: str
    package: str
    behind: tuple[str, ...] = ("cpu",)


PROVIDERS: dict[str, Provider] = {
    "cpu": Provider("CPUExecutionProvider", "onnxruntime", ()),
    "cuda": Provider("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": Provider("TensorrtExecutionProvider", "onnxruntime-gpu and tensorrt", ("cuda", "cpu")),
    "directml": Provider("DmlExecutionProvider", "onnxruntime-directml (Windows)"),
    "coreml": Provider("CoreMLExecutionProvider", "onnxruntime (macOS)"),
}
AUTO = "auto"
_AUTO_ORDER = ("cuda", "directml", "coreml", "cpu")
_SHORT = {provider.name: short for short, provider in PROVIDERS.items()}


def available_providers() -> list[str]:
    """Short names of the providers that this onnxruntime was built with. That one starts is another matter."""
    built = ort.get_available_providers()
    return [short for short, provider in PROVIDERS.items() if provider.name in built]


def check_provider(provider: str) -> None:
    """Raise ValueError unless a provider is known and this onnxruntime was built with it."""
    if provider == AUTO:
        return
    if provider not in PROVIDERS:
        raise ValueError(f"There is no provider {provider!r}; choose {', '.join(PROVIDERS)} or auto.")
    if provider not in available_providers():
        raise ValueError(
            f"This onnxruntime has no provider '{provider}' (it has {', '.join(available_providers())}); "
            f"{PROVIDERS[provider].package} brings it."
        )


def open_session(
    path: str | os.PathLike[str],
    provider: str = "cpu",
    *,
    num_threads: int | None = None,
    session_options: ort.SessionOptions | None = None,
    engine_cache: str | os.PathLike[str] | None = None,
    half: bool = False,
) -> ort.InferenceSession:
    """A session on a graph.

    Args:
        path: ONNX file.
        provider: a name of :data:`PROVIDERS`, or ``auto`` for the best that starts.
        num_threads: within an operator; default: as many as torch has.
        session_options: onnxruntime's own, in place of ours.
        engine_cache: folder for TensorRT's engines; default ``signlang_hf/tensorrt`` in the user's cache.
        half: the graph is in half precision.

    Raises:
        ValueError: no such provider, one that does not start here, or a file that is no ONNX model.
    """
    check_provider(provider)
    options = session_options or _options(provider, num_threads, half)
    if provider != AUTO:
        return _open(path, provider, options, engine_cache)
    for candidate in (name for name in _AUTO_ORDER if name in available_providers()):
        try:
            return _open(path, candidate, options, engine_cache)
        except ValueError:
            if candidate == "cpu":
                raise
    raise ValueError(f"This onnxruntime has none of the providers {', '.join(_AUTO_ORDER)}.")


def provider_of(session: ort.InferenceSession) -> str:
    """Short name of a session's first provider."""
    name = session.get_providers()[0]
    return _SHORT.get(name, name)


def ran_on(
    path: str | os.PathLike[str],
    provider: str = "cpu",
    feeds: Mapping[str, np.ndarray] | None = None,
    *,
    half: bool = False,
) -> dict[str, int]:
    """Providers that really run a graph → how many of its operators each of them takes.

    Args:
        path: ONNX file.
        provider, half: as for :func:`open_session`.
        feeds: inputs of one run; default: ones, two of everything whose number is free.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = _options(provider, None, half)
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(folder, "profile")
        session = open_session(path, provider, session_options=options)
        session.run(None, _ones(session) if feeds is None else dict(feeds))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    seen = {
        (event["name"], event["args"]["provider"])
        for event in events
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return dict(Counter(_SHORT.get(name, name) for _, name in seen))


def _ones(session: ort.InferenceSession) -> dict[str, np.ndarray]:
    kinds = {"tensor(int64)": np.int64, "tensor(float16)": np.float16}
    return {
        one.name: np.ones([size if isinstance(size, int) else 2 for size in one.shape], kinds.get(one.type, np.float32))
        for one in session.get_inputs()
    }


def _options(provider: str, num_threads: int | None, half: bool) -> ort.SessionOptions:
    options = ort.SessionOptions()
    if half:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = torch.get_num_threads() if num_threads is None else num_threads
    options.log_severity_level = 3  # warnings about single operators are for those who build onnxruntime
    if provider == "directml":  # as onnxruntime's documentation demands
        options.enable_mem_pattern = False
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    return options


def _open(path: Any, provider: str, options: ort.SessionOptions, engine_cache: Any) -> ort.InferenceSession:
    wanted = [provider, *PROVIDERS[provider].behind]
    own = {"tensorrt": _engines(engine_cache)} if provider == "tensorrt" else {}
    names = [
        (PROVIDERS[name].name, own.get(name, {})) for name in wanted if PROVIDERS[name].name in ort.get_available_providers()
    ]  # fmt: skip
    try:
        session = ort.InferenceSession(os.fspath(path), sess_options=options, providers=names)
    except Exception as error:  # onnxruntime's errors share no base class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{os.fspath(path)} cannot be run on '{provider}': {reason}") from error
    if provider_of(session) != provider:
        raise ValueError(
            f"Provider '{provider}' did not start here: its libraries or its device are missing; choose another, or auto."
        )
    return session


def _engines(folder: Any) -> dict[str, Any]:
    """Options of TensorRT: half precision, and engines that are built once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(folder) if folder is not None else cache / "signlang_hf" / "tensorrt"
    path.mkdir(parents=True, exist_ok=True)
    return {"trt_fp16_enable": True, "trt_engine_cache_enable": True, "trt_engine_cache_path": str(path)}


__all__ = [
    "AUTO",
    "PROVIDERS",
    "Provider",
    "available_providers",
    "check_provider",
    "open_session",
    "provider_of",
    "ran_on",
]
