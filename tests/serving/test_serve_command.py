"""``signlang serve`` as a person runs it: a process, its words, its end, and what it leaves behind (nothing)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_server import START, closed, messages_of, signed, talk, until
from typer.testing import CliRunner
from websockets.sync.client import connect

from signlang_hf.cli import app
from signlang_hf.serving.access import hash_of
from signlang_hf.serving.app import create_app
from signlang_hf.serving.server import make_server
from signlang_hf.serving.settings import ServerSettings
from signlang_hf.serving.uploads import Spool, sweep
from signlang_hf.video import write_video

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*words: str, **environment: str):
    result = CliRunner().invoke(app, ["serve", *words], env=environment)
    return result.exit_code, " ".join(result.output.split())


class Process:
    """The command in a process of its own."""

    def __init__(self, tiny_models: dict[str, str], temporary: Path, **environment: str) -> None:
        paths = [str(ROOT), str(ROOT / "tests")]
        known = {
            "SIGNLANG_MODEL": tiny_models["signs"], "SIGNLANG_SENTENCE_MODEL": "", "SIGNLANG_TEMP_DIR": str(temporary),
            "SIGNLANG_ESTIMATOR": "grey_pose:Grey", "SIGNLANG_ESTIMATOR_OPTIONS": '{"pause": 0.1}', "SIGNLANG_PORT": "0",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "signlang_hf.cli", "serve"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **known, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=temporary,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found is not None, line + self.process.stderr.read()
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        end = time.monotonic() + 60
        while httpx.get(f"{self.url}/ready").status_code != 200:
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.05)

    def children(self) -> list[str]:
        """Processes that it has started."""
        found = {
            entry.parent.name: _stat(entry).rpartition(")")[2].split()[1:2]
            for entry in Path("/proc").glob("[0-9]*/stat")
        }
        return [pid for pid, parent in found.items() if parent == [str(self.process.pid)]]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, list[dict]]:
        """The exit code, and the log."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.fixture
def process(tiny_models, tmp_path):
    found = Process(tiny_models, tmp_path)
    yield found
    if found.process.poll() is None:
        found.process.kill()
        found.process.communicate()


def _stat(entry: Path) -> str:
    try:
        return entry.read_text()
    except OSError:  # it has ended
        return ""


def wait_until(true) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_on_sigterm_streams_say_their_last_and_requests_are_finished(process, tmp_path):
    video = write_video(tmp_path / "grey.mp4", np.full((12, 32, 32, 3), 60, np.uint8), 25).read_bytes()
    with ThreadPoolExecutor() as pool, connect(f"ws://127.0.0.1:{process.port}/ws", proxy=None) as ws:
        assert talk(ws, START)["type"] == "ready"
        for one in messages_of(signed(seconds=2.2)):
            ws.send(json.dumps(one))
        assert until(ws, "sign_started")
        asked = pool.submit(httpx.post, f"{process.url}/predict", content=video, timeout=30)
        folder = next(tmp_path.glob("signlang-serve-*"))
        wait_until(lambda: any(one.name != "lock" for one in folder.iterdir()))
        children = process.children()
        assert len(children) == 1  # the estimator's
        ended = pool.submit(process.end)
        code, said = closed(ws)
        assert code == 1001 and [one["type"] for one in said if one["type"] != "partial"] == ["sign", "idle", "stopped"]
        assert said[-1]["counts"]["frames"] == 66
        assert asked.result(30).status_code == 200 and asked.result().json()["frames"] == 12
        code, log = ended.result(30)
    assert code == 0 and list(tmp_path.glob("signlang-serve-*")) == []
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{process.url}/health")
    requests = [(one["route"], one["status"]) for one in log if one["message"] == "request"]
    assert ("/predict", 200) in requests and ("/ws", 101) in requests
    assert not [one for one in log if one["level"] == "ERROR"]


def test_the_second_ctrl_c_does_not_wait(tiny_models, tmp_path):
    settings = ServerSettings(_env_file=None, model=tiny_models["signs"], temp_dir=str(tmp_path))
    server = make_server(create_app(settings), settings)
    server.handle_exit(signal.SIGINT, None)
    assert server.should_exit and not server.force_exit
    server.handle_exit(signal.SIGINT, None)
    assert server.force_exit


def test_what_a_killed_server_left_is_swept_by_the_next_one(tmp_path):
    code = f"from signlang_hf.serving.uploads import Spool; one = Spool({str(tmp_path)!r}); print(one.folder, flush=True); input()"
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert owner.stdout is not None
    left = Path(owner.stdout.readline().strip())
    (left / "1.upload").write_bytes(b"half a video")
    (living := Spool(str(tmp_path))).new().write_bytes(b"of another server that lives")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "signlang-serve-link"
    link.symlink_to(tmp_path / "elsewhere")
    assert left.exists() and sweep(tmp_path) == []  # its owner lives
    owner.kill()
    owner.communicate()
    assert sweep(tmp_path) == [left]
    assert not left.exists() and living.folder.exists() and link.is_symlink() and (tmp_path / "elsewhere").exists()
    living.close()
    assert not living.folder.exists()


def test_a_busy_port_is_said_at_once(tiny_models):
    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, said = run("--model", tiny_models["signs"], "--sentence-model", "", "--port", str(port))
    assert code == 1 and "Traceback" not in said
    assert f"Cannot listen on 127.0.0.1:{port} (address already in use)" in said and "--port" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "/not/there"], "Model folder not found: /not/there"),
        (["--model", "sentences"], "is a model for continuous-sign-recognition; give one for sign-recognition"),
        (["--sentence-model", "dgs30"], "is a model for sign-recognition; give one for sentences"),
        (["--sentence-model", "", "--translator", "x"], "A translator needs glosses"),
        (["--more-models", "spelling"], "is a model for sign-translation; give one for sign-recognition"),
        (["--runtime", "ort"], "dgs30 has no ONNX model"),
        (["--device", "gpu"], "SIGNLANG_DEVICE (--device) cannot be used"),
        (["--host", "192.0.2.1", "--sentence-model", ""], "Cannot listen on 192.0.2.1:8000"),
        (["--port", "99999"], "65535"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(words, said):
    code, found = run(*words)
    assert code in (1, 2) and said in found and "Traceback" not in found


def test_two_models_of_one_name_are_refused(tiny_models, tmp_path):
    import shutil

    twin = shutil.copytree(tiny_models["signs"], tmp_path / "signs")
    code, said = run("--model", tiny_models["signs"], "--more-models", str(twin), "--sentence-model", "")
    assert code == 1 and "Two models are called 'signs'" in said


def test_an_estimator_that_is_not_installed_ends_the_command(tiny_models, tmp_path):
    kept = {name: logging.getLogger(name).handlers for name in ("signlang_hf.serving", "uvicorn", "uvicorn.error")}
    try:
        code, said = run(
            *("--model", tiny_models["signs"], "--sentence-model", "", "--port", "0", "--estimator", "grey_pose:Grey"),
            SIGNLANG_ESTIMATOR_OPTIONS='{"missing": "mediapipe"}',
            SIGNLANG_TEMP_DIR=str(tmp_path),
            SIGNLANG_PORTS="1",
        )
    finally:
        for name, handlers in kept.items():
            logging.getLogger(name).handlers = handlers
    assert code == 1 and said.endswith("signlang: mediapipe is not installed") and "Traceback" not in said
    assert "SIGNLANG_PORTS is no setting of the server; is it misspelt?" in said
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, said = run("--new-key")
    assert code == 1 and said == 'signlang: The server needs uvicorn: pip install "signlang-hf[serve]"'


def test_a_new_key_is_printed_with_its_hash():
    code, said = run("--new-key", "--json")
    found = json.loads(said)
    assert code == 0 and hash_of(found["key"]) == found["hash"]
    code, said = run("--new-key")
    assert code == 0 and "SIGNLANG_KEY_HASHES" in said and "key: sl-" in said
