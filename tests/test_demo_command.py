"""``signlang demo``: which Spaces there are, what it starts, and what a mistake says."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signlang_hf import pretrained
from signlang_hf.cli import app

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["compare-models", "keypoint-detector", "live-signs", "sign-recognition", "sign-translation"]


def run(*arguments: str):
    return CliRunner().invoke(app, ["demo", *arguments])


@pytest.fixture
def launched(monkeypatch):
    """What would be served: the page's title and the options of the launch, with the settings at that moment."""
    pytest.importorskip("gradio", reason="the Spaces need Gradio")
    from signlang_hf.demo import models, page

    started: list[dict] = []

    def launch(blocks, **options):
        settings = {name: os.environ.get(f"SIGNLANG_{name}") for name in ("MODEL", "LOCAL_MODELS")}
        started.append({"title": blocks.title, **options, **settings})

    for name in ("SIGNLANG_MODEL", "SIGNLANG_LOCAL_MODELS"):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr(page, "launch", launch)
    monkeypatch.setattr(models, "warm", lambda *tasks: None)
    return started


def test_alone_it_lists_the_spaces():
    done = run()
    assert done.exit_code == 0
    assert all(name in done.output for name in NAMES)
    assert "Signs from your webcam" in done.output


def test_a_space_that_is_not_there():
    done = run("dance")
    assert done.exit_code == 1
    assert "signlang: There is no Space 'dance'; choose one of compare-models, " in done.output


def test_without_gradio_one_sentence_says_what_to_install(monkeypatch):
    from signlang_hf.demo import catalogue

    monkeypatch.setattr(catalogue.importlib.util, "find_spec", lambda name: None)
    done = run("live-signs")
    assert done.exit_code == 1
    assert done.output.strip() == 'signlang: The Spaces need Gradio: pip install "signlang-hf[demo]"'


def test_on_ones_own_machine_folders_may_be_named(launched, tmp_path, monkeypatch):
    folder = shutil.copytree(pretrained.path("dgs30"), tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    done = run("sign-recognition", "--model", "runs/mine", "--port", "7999", "--mcp")
    assert done.exit_code == 0, done.output
    (one,) = launched
    assert one["title"] == "Which sign is it?" and one["MODEL"] == str(folder.resolve())
    assert one["LOCAL_MODELS"] == "1"
    assert (one["server_name"], one["server_port"], one["mcp_server"], one["share"]) == ("127.0.0.1", 7999, True, False)


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--share",), ("--host", "signs.example")])
def test_whoever_else_can_reach_it_names_no_folders(launched, options):
    done = run("sign-recognition", *options)
    assert done.exit_code == 0, done.output
    assert launched[0]["LOCAL_MODELS"] is None and launched[0]["mcp_server"] is False


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("no/such/folder", "Model folder not found: no/such/folder; give a folder, an id on the Hub"),
        ("nothing", "Model folder not found: nothing"),
        (".", "is not a model folder: it has no config.json"),
    ],
)
def test_a_model_that_is_not_there_is_said_at_once(launched, tmp_path, monkeypatch, model, said):
    monkeypatch.chdir(tmp_path)
    done = run("sign-recognition", "--model", model)
    assert done.exit_code == 1 and said in done.output and launched == []


def test_names_of_models_stay_as_they_are(launched):
    for model in ("fingerspelling", "org/model"):
        assert run("sign-recognition", "--model", model).exit_code == 0
    assert [one["MODEL"] for one in launched] == ["fingerspelling", "org/model"]


def test_a_taken_port_is_said(launched, monkeypatch):
    from signlang_hf.demo import page

    def refuse(blocks, **options):
        raise OSError("Cannot find empty port in range: 7999-7999.")

    monkeypatch.setattr(page, "launch", refuse)
    done = run("keypoint-detector", "--port", "7999")
    assert done.exit_code == 1
    assert "Nothing can listen on 127.0.0.1, port 7999: Cannot find empty port" in done.output


def test_it_serves_a_space_from_any_folder(tmp_path):
    """The real command in a process of its own, in an empty folder, without the network."""
    pytest.importorskip("gradio", reason="the Spaces need Gradio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "signlang_hf.cli", "demo", "keypoint-detector", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=stream, stderr=subprocess.STDOUT)
        try:
            page = _page(f"http://127.0.0.1:{port}/", process, log)
            assert "Where are the hands?" in page
            # Nothing that a page without a network would wait for: no font and no style of somebody else.
            assert not re.findall(r'<link[^>]+href="https?://(?!127\.0\.0\.1)[^"]*(?:css|font)[^"]*"', page)
        finally:
            process.terminate()
            process.wait(20)
    assert "Where are the hands? opens in a moment; Ctrl-C ends it." in log.read_text()


def _page(url: str, process: subprocess.Popen, log: Path) -> str:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"nothing answers at {url}: {log.read_text()}")
