"""The HTTP routes. Each checks who asks, takes the input, and waits for worker processes and models within its time.

A client that goes away is not worked for any longer: what waits for it is cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from starlette.concurrency import run_in_threadpool

from .. import __version__
from .access import KEY_HEADER
from .answers import (
    GestureAnswer,
    HealthAnswer,
    ModelAnswer,
    ReadyAnswer,
    SentenceAnswer,
    documented,
    gesture_answer,
    sentence_answer,
)
from .errors import ServingError
from .landmarks_in import read_landmarks
from .metrics import CONTENT_TYPE
from .models import TOP_K
from .service import Service
from .uploads import FIELD, read_body, uploaded

Result = TypeVar("Result")

_SHORTEST = 3  # frames that show a movement
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {"type": "string", "format": "binary", "description": "A video or a picture."}
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_POINTS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "array",
        "description": "A frame: a point of the layout each, in its order; null where it was not seen.",
        "items": {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3},
                {"type": "null"},
            ]
        },
    },
}
_LANDMARKS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["points", "size"],
                    "additionalProperties": False,
                    "properties": {
                        "points": _POINTS,
                        "size": {
                            "type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2,
                            "description": "Width and height of the picture in pixels.",
                        },
                        "layout": {"type": "string", "default": "mediapipe-holistic"},
                        "units": {"type": "string", "enum": ["image", "pose", "pixel", "metre", "unknown"], "default": "image"},
                        "fps": {"type": "number", "minimum": 0.01, "maximum": 1000},
                        "timestamps": {"type": "array", "items": {"type": "number"}, "description": "Seconds, one a frame."},
                        "visibility": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                    },
                }
            },
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "description": "A file .npz as the library writes it."}
            },
        },
    }
}  # fmt: skip

TopK = Annotated[int, Query(ge=1, le=TOP_K, description="How many labels to return.")]
ModelName = Annotated[
    str | None, Query(max_length=200, description="Name of a model from /models; default: the first.")
]


def service_of(request: Request) -> Service:
    """The service behind an app."""
    return request.app.state.service


async def _let_in(request: Request, _: str | None = Depends(APIKeyHeader(name=KEY_HEADER, auto_error=False))) -> None:
    service = service_of(request)
    client = service.gate.identify(request)
    request.scope["signlang_client"] = client.shown
    await service.gate.count("http", client)


open_routes = APIRouter()
routes = APIRouter(dependencies=[Depends(_let_in)])


@routes.post(
    "/predict",
    response_model=GestureAnswer,
    response_model_exclude_none=False,
    openapi_extra=_UPLOAD,
    responses=documented(401, 413, 415, 422, 429, 503, 504),
)
async def predict(request: Request, top_k: TopK = 5, model: ModelName = None) -> dict[str, Any]:
    """Which sign a video shows, or a picture: a sign that does not move, such as a letter of a finger alphabet."""
    service, timings, began = service_of(request), {}, time.perf_counter()
    engine = service.engine("signs", model)

    async def work() -> dict[str, Any]:
        found = await _landmarks_of_upload(request, service, timings)
        deadline = time.monotonic() + service.settings.request_timeout
        predictions = await service.predict(engine, found.sequence, deadline, timings)
        frames, warnings = len(found.sequence), list(found.warnings)
        if frames < _SHORTEST and predictions[0]["label"] is not None:
            warnings.append("A picture shows no movement; the answer rests on the shape and place of the hands alone.")
        return {**gesture_answer(predictions, top_k), "frames": frames, "warnings": warnings}

    return _finished(await _unless_gone(request, work()), engine.model.name, timings, began)


@routes.post(
    "/predict/landmarks",
    response_model=GestureAnswer,
    openapi_extra=_LANDMARKS,
    responses=documented(401, 413, 422, 429, 503, 504),
)
async def predict_landmarks(request: Request, top_k: TopK = 5, model: ModelName = None) -> dict[str, Any]:
    """Which sign landmarks show: JSON, or a file .npz as the body."""
    service, timings, began = service_of(request), {}, time.perf_counter()
    engine, settings = service.engine("signs", model), service.settings
    with service.metrics.stage("upload", timings):
        body = await read_body(request, settings.max_landmarks, settings.upload_timeout)
    sequence = await run_in_threadpool(read_landmarks, body, settings)
    deadline = time.monotonic() + settings.request_timeout
    predictions = await _unless_gone(request, service.predict(engine, sequence, deadline, timings), read=True)
    answer = {**gesture_answer(predictions, top_k), "frames": len(sequence), "warnings": []}
    return _finished(answer, engine.model.name, timings, began)


@routes.post(
    "/translate",
    response_model=SentenceAnswer,
    openapi_extra=_UPLOAD,
    responses=documented(401, 413, 415, 422, 429, 503, 504),
)
async def translate(request: Request, model: ModelName = None) -> dict[str, Any]:
    """What a video says: its glosses with their times, and the sentence where the server has a translator."""
    service, timings, began = service_of(request), {}, time.perf_counter()
    engine = service.engine("sentences", model)

    async def work() -> dict[str, Any]:
        found = await _landmarks_of_upload(request, service, timings)
        if found.kind == "image":
            raise ServingError("bad_input", "A picture is no sentence; send a video, or the picture to /predict.")
        deadline = time.monotonic() + service.settings.request_timeout
        answer = await service.predict(engine, found.sequence, deadline, timings)
        return {**sentence_answer(answer), "frames": len(found.sequence), "warnings": found.warnings}

    return _finished(await _unless_gone(request, work()), engine.model.name, timings, began)


@routes.get("/models", response_model=list[ModelAnswer], responses=documented(401, 429, 503))
async def models(request: Request) -> list[dict[str, Any]]:
    """The models of this server, and what they know."""
    service = service_of(request)
    service.engine("signs")  # says if they are not loaded yet
    first = {mode: service.models(mode)[0].name for mode in ("signs", "sentences") if service.models(mode)}
    return [one.facts() | {"default": first[one.mode] == one.name} for one in service.models()]


@open_routes.get("/health", response_model=HealthAnswer, responses=documented())
async def health() -> dict[str, str]:
    """Whether the process lives."""
    return {"status": "ok", "version": __version__}


@open_routes.get("/ready", response_model=ReadyAnswer, responses=documented(503))
async def ready(request: Request) -> dict[str, str]:
    """Whether models are loaded and worker processes are up."""
    service = service_of(request)
    if not service.ready:
        raise ServingError("unavailable", service.state, 2)
    return {"status": "ready"}


@open_routes.get("/metrics", response_class=Response, responses=documented(401))
async def metrics(request: Request) -> Response:
    """What the server counts, for Prometheus."""
    service = service_of(request)
    if service.settings.metrics_need_key:
        service.gate.identify(request)
    return Response(service.metrics.render(), media_type=CONTENT_TYPE)


async def _landmarks_of_upload(request: Request, service: Service, timings: dict[str, float]) -> Any:
    settings = service.settings
    assert service.spool is not None
    started = time.perf_counter()
    async with uploaded(request, service.spool, settings.max_upload, settings.upload_timeout) as path:
        service.metrics.took("upload", time.perf_counter() - started, timings)
        request.scope["signlang_body_read"].set()
        found = await service.landmarks(path, time.monotonic() + settings.request_timeout)
    timings |= found.timings
    return found


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result], *, read: bool = False) -> Result:
    """The result of ``work``, which is cancelled if the client goes away once its body is ``read``."""
    body_read = request.scope["signlang_body_read"] = asyncio.Event()
    if read:
        body_read.set()

    async def gone() -> None:
        await body_read.wait()
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ServingError("unavailable", "The client has gone away.")
        return task.result()
    finally:
        for one in (task, watch):
            one.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


def _finished(answer: dict[str, Any], model: str, timings: dict[str, float], began: float) -> dict[str, Any]:
    total = {"total": round(1000 * (time.perf_counter() - began), 3)}
    return {"message": None, **answer, "model": model, "timings": timings | total}


def error_response(error: ServingError) -> JSONResponse:
    """An error as HTTP has it."""
    return JSONResponse(error.body, error.status, error.headers)
