"""Everything that a server holds while it runs: models and their threads, worker processes, counters, the folder for uploads.

It is up in steps, in the background: the server answers ``/health`` from the start, and everything else says ``unavailable`` until models
and processes are there. It goes down in the reverse order, and what runs is finished first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from ..landmarks import LandmarkSequence
from .access import Gatekeeper
from .engine import Engine
from .errors import ServingError, busy, one_line
from .estimators import Estimated, EstimatorPool
from .metrics import ServerMetrics
from .models import ServedModel, load_models
from .settings import ServerSettings
from .uploads import Spool

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Service:
    """The parts of a server.

    Args:
        settings: of the server.

    Raises:
        ValueError: settings that cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = ServerMetrics()
        self.gate = Gatekeeper(settings)
        self.engines: dict[str, Engine] = {}
        self.failure: str | None = None
        """Why the server cannot come up."""
        self.draining = asyncio.Event()
        """Set when the server stops: streams say what they have to say, and end."""
        self.on_failure: Callable[[], None] = lambda: None
        self.open_sockets = 0
        """WebSockets that are still being talked to."""
        self.pool: EstimatorPool | None = None
        self.spool: Spool | None = None
        self._loading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Load models and start processes, in the background."""
        self.spool = Spool(self.settings.temp_dir or None)
        self.pool = EstimatorPool(self.settings, self.metrics)
        self.pool.start()
        self._loading = asyncio.create_task(self._load())

    async def stop(self) -> None:
        """Stop all of it."""
        self.draining.set()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        loop = asyncio.get_running_loop()
        if self.pool is not None:
            await loop.run_in_executor(None, self.pool.close)
        for engine in self.engines.values():
            await loop.run_in_executor(None, engine.close)
        if self.spool is not None:
            self.spool.close()

    @property
    def ready(self) -> bool:
        """Whether it can answer."""
        return bool(self.engines) and self.pool is not None and self.pool.ready and not self.draining.is_set()

    @property
    def state(self) -> str:
        """In a word or a sentence, for ``/ready``."""
        if self.failure is not None:
            return self.failure
        if self.draining.is_set():
            return "The server is shutting down."
        if not self.engines:
            return "The models are being loaded."
        return "ready" if self.ready else "Worker processes are being started."

    def models(self, mode: str | None = None) -> list[ServedModel]:
        """The models that are loaded, the default of each mode first."""
        return [engine.model for engine in self.engines.values() if mode in (None, engine.model.mode)]

    def engine(self, mode: str, name: str | None = None) -> Engine:
        """The thread of a model.

        Raises:
            ServingError: ``unavailable`` while models are loaded, ``bad_input`` for a name or mode that is not there.
        """
        if not self.engines or self.draining.is_set():
            raise busy(self.state)
        known = {one.name: one for one in self.models(mode)}
        if not known:
            raise ServingError("bad_input", f"This server has no model for {mode}.")
        if name is None:
            name = next(iter(known))
        if name not in known:
            raise ServingError("bad_input", f"There is no model {name[:60]!r} for {mode}; choose {', '.join(known)}.")
        return self.engines[name]

    async def landmarks(self, path: Path, deadline: float) -> Estimated:
        """Landmarks of an uploaded file, by ``deadline`` (``time.monotonic``)."""
        assert self.pool is not None
        return await self._wait(self.pool.clip(str(path), deadline - time.monotonic()), deadline + 1)

    async def predict(
        self, engine: Engine, sequence: LandmarkSequence, deadline: float, timings: dict[str, float]
    ) -> Any:
        """A model's answer to a clip; what it took is noted in ``timings``, in milliseconds."""
        found = await self._wait(engine.predict(sequence), deadline)
        timings |= {"features": found.features, "model": found.model}
        return found.answer

    async def _wait(self, future: Future[Answer], deadline: float) -> Answer:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), max(deadline - time.monotonic(), 0.001))
        except (asyncio.TimeoutError, TimeoutError):  # two classes before Python 3.11
            seconds = self.settings.request_timeout
            raise ServingError("timeout", f"The answer took longer than {seconds:g} s; send a shorter clip.") from None

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            models = await loop.run_in_executor(None, load_models, self.settings)
        except Exception as error:  # one sentence for whoever started the server
            self._failed(one_line(error))
            return
        engines = {}
        for model in models:
            engines[model.name] = Engine(
                model,
                self.metrics,
                max_batch=self.settings.max_batch,
                max_wait_ms=self.settings.max_wait_ms,
                queue_size=self.settings.model_queue_size,
            )
            engines[model.name].start()
        self.engines = engines
        assert self.pool is not None
        while not self.pool.ready:
            if self.pool.failure is not None:
                self._failed(self.pool.failure)
                return
            await asyncio.sleep(0.05)
        logger.info("ready", extra={"models": list(engines), "workers": self.settings.workers})

    def _failed(self, reason: str) -> None:
        self.failure = reason
        logger.error("the server cannot come up", extra={"reason": reason})
        self.on_failure()


__all__ = ["Service"]
