"""The load recipes on a real server with a tiny model: all answers checked, a worker killed, and rows that can be compared."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from cheap_pose import tiny_frames
from tiny_model import save_tiny_model
from tiny_signs import ROOT, SIGNERS, WORDS, tiny_clip

from signlang_hf.training.results import load_results
from signlang_hf.video import write_video

for needed in ("uvicorn", "websockets", "prometheus_client", "av"):
    pytest.importorskip(needed, reason="the extras serve and pose are not installed")
from signlang_hf.serving.landmarks_in import read_landmarks  # noqa: E402
from signlang_hf.serving.settings import ServerSettings  # noqa: E402


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    sys.path.insert(0, str(ROOT / "recipes"))
    try:
        spec = importlib.util.spec_from_file_location("benchmark_load", ROOT / "recipes" / "benchmark_load.py")
        module = sys.modules["benchmark_load"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(ROOT / "recipes"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model, signs of a second and more for streams, and videos of one colour a frame."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("model", "signs", "clips")}
    save_tiny_model(made["model"], labels=WORDS, layout="hands-42", normalization="centroid")
    with (made["signs"] / "metadata.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file_name", "label"])
        for number, word in enumerate(WORDS):
            for signer in range(len(SIGNERS)):
                tiny_clip(number, signer, 0, frames=40).save(made["signs"] / f"{word}-{signer}.npz")
                table.writerow([f"{word}-{signer}.npz", word])
    for seed in range(3):
        write_video(made["clips"] / f"{seed}.mp4", tiny_frames(20, seed), 25)
    return made


def flags(folders: dict[str, Path], out: Path, **changes: Any) -> list[str]:
    wanted = {
        "model": folders["model"], "data_dir": folders["signs"], "clips": folders["clips"], "dataset": "landmark_folder",
        "estimator": "slow_pose:slow_estimator", "clients": 3, "seconds": 4, "uploads": 12, "upload_clients": 4, "distinct": 6,
        "frames": 10, "kill_uploads": 16, "kill_streams": 2, "results": out, "out": out,
    }  # fmt: skip
    return [word for name, value in (wanted | changes).items() for word in (f"--{name}", str(value))]


def test_every_answer_is_right_and_a_killed_worker_takes_only_its_own(recipe, folders, tmp_path, capsys):
    recipe.main(flags(folders, tmp_path))
    rows = {(row.split.split(" ")[1], row.metric): row for row in load_results("load", folder=tmp_path)}
    assert {metric: rows["landmark", metric].value for metric in ("right_answers", "lost_frames_count")} == {
        "right_answers": 1.0,
        "lost_frames_count": 0.0,
    }
    assert rows["landmark", "right_answers"].n > 3  # events: the streams are not silent
    assert rows["landmark", "sign_latency_p50_ms"].value > rows["landmark", "event_latency_p50_ms"].value > 0
    assert rows["landmark", "memory_mb"].value > 100 and rows["landmark", "memory_mb"].ratio > 0.5
    uploads = next(row for (_, metric), row in rows.items() if metric == "videos_per_second")
    assert uploads.n == 12 and "12 videos of 10 frames by 4 clients" in uploads.split
    failed = next(row for (_, metric), row in rows.items() if metric == "failed_requests_count")
    assert failed.value == 1 and failed.n == 16
    assert next(row for (_, metric), row in rows.items() if metric == "right_answers_of_streams").value == 1
    assert (tmp_path / "load.png").stat().st_size > 10_000
    assert "late by" in capsys.readouterr().out


def test_wrong_answers_are_not_passed_over(recipe):
    good, bad = recipe.Upload(0, 1, True, 200), recipe.Upload(0, 1, False, 200)
    told = recipe.Upload(0, 3, False, 503, {"code": "unavailable", "detail": "The process died."})
    recipe._judge([recipe.Heard(right=3)], [good], [good, told], [], 2.0, [good])
    for wrong in (
        ([recipe.Heard(wrong=1)], [good], [], [], 2.0, []),
        ([recipe.Heard(lost_frames=1)], [good], [], [], 2.0, []),
        ([], [good, bad], [], [], 2.0, []),
        ([], [], [told], [], 9.0, []),  # it was not at work when the worker was killed
        ([], [], [recipe.Upload(0, 3, False, 500, {"code": "internal", "detail": "Oh."})], [], 2.0, []),
        ([], [], [], [], 2.0, [told]),
    ):
        with pytest.raises(RuntimeError):
            recipe._judge(*wrong)


def test_events_are_compared_by_all_that_matters(recipe):
    event = {"kind": "sign", "label": "ich", "start": 1.0, "end": 2.0, "score": 0.5}
    key = recipe._key(event, "kind")
    assert recipe._same(key, recipe._key(event | {"score": 0.5005}, "kind"))
    for change in ({"label": "du"}, {"start": 1.1}, {"end": 2.1}, {"score": 0.6}, {"score": None}):
        assert not recipe._same(key, recipe._key(event | change, "kind"))
    assert recipe._key(event | {"kind": "partial"}, "kind") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clients": 5000}, r"--clients is 5000; it must be between 1 and 200"),
        ({"distinct": 2}, r"--distinct is 2; each of the 4 upload clients needs a video of its own"),
        ({"workers": 1}, r"--workers must be at least 2"),
    ],
)
def test_what_would_be_too_much_or_too_little_is_said(recipe, folders, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        recipe.main(flags(folders, tmp_path, **change))


def test_what_is_missing_is_said_before_anything_is_computed(recipe, folders, tmp_path):
    with pytest.raises(FileNotFoundError, match="There are no videos in"):
        recipe.main(flags(folders, tmp_path, clips=tmp_path, data_dir=tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        recipe.main(flags(folders, tmp_path, clips=tmp_path / "none"))


class Server(BaseHTTPRequestHandler):
    """Reads landmarks as the real one does; every second video is too much for it."""

    seen: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, {"status": "ready"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.path)
        if self.path == "/predict/landmarks":
            sequence = read_landmarks(body, ServerSettings(_env_file=None))
            assert len(sequence) == 45 and sequence.layout == "mediapipe-holistic"
        else:
            assert b'name="video"; filename="' in body and self.headers["X-API-Key"] == "secret"
            if self.seen.count("/predict") % 2 == 0:
                self._answer(503, {"detail": "Come back.", "code": "unavailable"})
                return
        self._answer(200, {"gesture": "ich"})

    def _answer(self, status: int, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Length", str(len(body))),
            ("Content-Type", "application/json"),
            ("Retry-After", "7"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="Locust is not installed")
def test_locust_sends_what_the_server_reads_and_counts_what_it_refuses(folders, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [
                sys.executable, "-m", "locust", "-f", str(ROOT / "recipes" / "locustfile.py"), "--clips", str(folders["clips"]),
                "--host", f"http://127.0.0.1:{server.server_port}", "--api-key", "secret", "--headless", "-u", "6", "-r", "6", "-t", "4s",
                "--json", "--loglevel", "ERROR",
            ],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        server.shutdown()
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["/predict/landmarks"]["num_requests"] > 0 == found["/predict/landmarks"]["num_failures"], done.stderr
    assert 0 < found["/predict"]["num_failures"] < found["/predict"]["num_requests"]
    assert "too much load: 503, again in 7 s" in done.stderr and done.returncode == 1
