"""What every test needs: no Hub, one thread a process, and the real data where it is there."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def signlang_data() -> Path:
    """Folder with the real development data (environment variable SIGNLANG_DATA, default ../shared/data)."""
    folder = Path(os.environ.get("SIGNLANG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} (set SIGNLANG_DATA)")
    return folder


@pytest.fixture(scope="session")
def clips(signlang_data: Path) -> Path:
    """Folder with the seven real sign videos."""
    return signlang_data / "clips"
