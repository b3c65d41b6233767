"""What a server counts, in a registry of its own: two servers may live in one process.

Labels only take values from fixed sets (routes of the app, methods, codes, stages), so no client can make the number of series grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STAGES = ("upload", "queue", "decode", "pose", "features", "model")
"""The body comes in; it waits; the video is decoded; landmarks are found; inputs of the model are made; the model and what follows."""
CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "WS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


class ServerMetrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "signlang_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "signlang_request_seconds",
            "From the first byte to the last.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "signlang_stage_seconds", "Seconds that a stage took.", ("stage",), buckets=_SECONDS, registry=registry
        )
        self.batch_size = Histogram(
            "signlang_batch_size", "Clips and windows of a forward pass.", buckets=_BATCHES, registry=registry
        )
        self.frames = Counter("signlang_frames", "Frames of streams.", ("outcome",), registry=registry)
        self.errors = Counter("signlang_errors", "Errors that clients were told.", ("code",), registry=registry)
        self.restarts = Counter(
            "signlang_worker_restarts", "Worker processes started again after they ended.", registry=registry
        )
        self.streams = Gauge("signlang_streams", "Streams that are open.", registry=registry)
        self.websockets = Gauge("signlang_websockets", "WebSocket connections that are open.", registry=registry)
        self.queue_depth = Gauge("signlang_queue_depth", "What waits.", ("queue",), registry=registry)
        self.workers = Gauge("signlang_workers", "Worker processes that are up.", registry=registry)
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        for outcome in ("used", "dropped", "late"):
            self.frames.labels(outcome)

    def watch_queue(self, name: str, depth: Callable[[], int]) -> None:
        """Read the depth of a queue whenever somebody asks."""
        self.queue_depth.labels(name).set_function(lambda: float(depth()))

    @contextmanager
    def stage(self, name: str, timings: dict[str, float] | None = None) -> Iterator[None]:
        """Time a stage, and note it in ``timings`` (milliseconds) as well."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.took(name, time.perf_counter() - start, timings)

    def took(self, name: str, seconds: float, timings: dict[str, float] | None = None) -> None:
        """A stage took so long."""
        self.stage_seconds.labels(name).observe(seconds)
        if timings is not None:
            timings[name] = round(timings.get(name, 0.0) + 1000 * seconds, 3)

    def render(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self.registry)
