"""Uploads and landmarks for a server, by as many users as one likes: for people who know Locust, and for its charts.

    pip install "signlang-hf[dev]" && signlang serve --rate-limit ""
    locust -f recipes/locustfile.py --host http://127.0.0.1:8000 --clips path/to/videos
    locust -f recipes/locustfile.py --host http://127.0.0.1:8000 --clips path/to/videos --headless -u 20 -r 5 -t 60s

Each user uploads videos, sends landmarks and looks at the state, with a second between two requests. An answer must be 200 and hold what such an
answer holds; 429 and 503 with ``Retry-After`` count as failures by their own name, as they say that there is too much load. Streams and right
answers are the matter of ``benchmark_load.py``. Point it at your own server only.
"""

from __future__ import annotations

import json
import random
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from locust import HttpUser, between, events, task
from locust.exception import StopUser

SUFFIXES = (".mp4", ".mov", ".webm", ".avi")


@events.init_command_line_parser.add_listener
def add_arguments(parser: ArgumentParser) -> None:
    """Beside Locust's own."""
    parser.add_argument("--clips", default="", help="Folder of videos; without it only landmarks are sent")
    parser.add_argument("--api-key", default="", is_secret=True, help="Key of the server, if it wants one")


def made_up_landmarks(frames: int = 45) -> bytes:
    """JSON of somebody whose right hand goes up and down; not a sign of any language."""
    rng = random.Random(0)
    body = [[rng.uniform(0.35, 0.65), rng.uniform(0.2, 0.9), 0.0] for _ in range(33)]
    hand = [[rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04), 0.0] for _ in range(21)]
    points = []
    for frame in range(frames):
        height = 0.5 + 0.3 * abs(frame - frames / 2) / frames
        moved = [[0.4 + x, height + y, z] for x, y, z in hand]
        points.append([*body, *[None] * 21, *moved])
    return json.dumps({"points": points, "size": [640, 480], "fps": 30, "layout": "mediapipe-holistic"}).encode()


class Visitor(HttpUser):
    """One client of the HTTP part."""

    wait_time = between(0.5, 1.5)
    landmarks = made_up_landmarks()

    def on_start(self) -> None:
        options = self.environment.parsed_options
        folder = Path(options.clips) if options.clips else None
        self.clips = (
            [] if folder is None else sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        )
        if folder is not None and not self.clips:
            print(f"locustfile: there are no videos in {folder}; name another folder with --clips.")
            raise StopUser
        if options.api_key:
            self.client.headers["X-API-Key"] = options.api_key

    @task(3)
    def upload(self) -> None:
        """A video to /predict."""
        if self.clips:
            clip = random.choice(self.clips)
            self._post("/predict", "gesture", files={"video": (clip.name, clip.read_bytes())})

    @task(3)
    def send_landmarks(self) -> None:
        """Landmarks to /predict/landmarks."""
        self._post("/predict/landmarks", "gesture", data=self.landmarks, headers={"Content-Type": "application/json"})

    @task(1)
    def look(self) -> None:
        """At the state."""
        self.client.get("/ready")

    def _post(self, path: str, field: str, **body: Any) -> None:
        with self.client.post(path, catch_response=True, **body) as response:
            if response.status_code in (429, 503):
                response.failure(
                    f"too much load: {response.status_code}, again in {response.headers.get('Retry-After', '?')} s"
                )
            elif response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text[:200]}")
            elif field not in response.json():
                response.failure(f"an answer without {field}")
