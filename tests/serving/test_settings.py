"""Settings from options, the environment and files, and the file that lists them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from signlang_hf.serving.settings import ServerSettings, load_settings, unknown_names

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / ".env.example"


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No settings of the person who runs the tests."""
    for name in os.environ:
        if name.startswith("SIGNLANG_") and name != "SIGNLANG_DATA":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def rows() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_example_names_every_setting_and_nothing_else():
    assert list(rows()) == [f"SIGNLANG_{name.upper()}" for name in ServerSettings.model_fields]


def test_the_example_holds_the_defaults_and_says_what_each_is(tmp_path):
    (tmp_path / ".env").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_settings() == ServerSettings(_env_file=None)
    text = " ".join(re.sub(r"^# ?", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE).split())
    for name, field in ServerSettings.model_fields.items():
        assert field.description and " ".join(field.description.split()) in text, name


def test_options_go_before_the_environment_and_that_before_the_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("SIGNLANG_PORT=1\nSIGNLANG_HOST=::1\nSIGNLANG_WORKERS=3\n")
    monkeypatch.setenv("SIGNLANG_PORT", "2")
    monkeypatch.setenv("SIGNLANG_HOST", "0.0.0.0")
    found = load_settings(port=3, host=None)
    assert (found.port, found.host, found.workers) == (3, "0.0.0.0", 3)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("port", "many", "integer"),
        ("port", "70000", "65535"),
        ("workers", "0", "greater than or equal to 1"),
        ("max_upload_mb", "-1", "greater than 0"),
        ("key_hashes", "secret", "64 hexadecimal digits"),
        ("rate_limit", "often", "no rate"),
        ("estimator_options", "[1]", "JSON object"),
        ("runtime", "tflite", "none of auto, torch, ort"),
        ("device", "gpu", "none of auto, cpu"),
        ("log_level", "loud", "none of debug"),
        ("browser_landmarks", "/not/there", "no folder"),
        ("allowed_origins", "example.org", "no origin"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_name(monkeypatch, name, value, words):
    monkeypatch.setenv(f"SIGNLANG_{name.upper()}", value)
    with pytest.raises(ValueError) as wrong:
        load_settings()
    said = str(wrong.value)
    assert said.startswith(f"SIGNLANG_{name.upper()} (--{name.replace('_', '-')}) cannot be used: ") and words in said
    assert "\n" not in said and said.endswith(".")


def test_misspelt_names_are_found(tmp_path):
    (tmp_path / ".env").write_text("# SIGNLANG_NOT=1\nSIGNLANG_MAX_UPLOD_MB=1\nexport SIGNLANG_PORT=1\nOTHER=2\n")
    environment = {"SIGNLANG_DATA": "x", "SIGNLANG_HAND_LANDMARKER": "x", "SIGNLANG_WORKER": "2", "PATH": "/"}
    assert unknown_names(environment) == ["SIGNLANG_MAX_UPLOD_MB", "SIGNLANG_WORKER"]


def test_lists_are_written_with_commas():
    found = ServerSettings(_env_file=None, model="a", more_models=" b ,, c,a", allowed_origins="*")
    assert found.sign_models == ["a", "b", "c"] and found.origins == ["*"]
    assert ServerSettings(_env_file=None, sentence_model="").sentences is None
