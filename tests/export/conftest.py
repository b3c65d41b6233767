"""Tiny models of every family, each exported once a run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_exports import TinyExports

# Without Optimum (transformers 5) there is TFLite alone; tests/test_optional_onnx.py says how the rest ends.
_HERE = Path(__file__).parent
collect_ignore = [
    path.name for path in _HERE.glob("test_*.py") if find_spec("optimum") is None and "tflite" not in path.name
]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyExports:
    """``tiny.source("ctc")`` is a folder for torch, ``tiny.export("ctc")`` its export."""
    return TinyExports(tmp_path_factory.mktemp("exports"))


@pytest.fixture(autouse=True)
def quiet_transformers():
    """Loading by folders turns transformers' messages off for its process; a test's process goes on."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    logging.set_verbosity(verbosity)
    if bars:
        logging.enable_progress_bar()
