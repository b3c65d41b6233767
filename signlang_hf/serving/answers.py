"""The shapes of the answers, for the OpenAPI document and for whoever writes a client."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ErrorAnswer(BaseModel):
    """What every error says."""

    detail: str = Field(description="One sentence: what is wrong, and what to do.")
    code: str = Field(
        description="bad_input, unauthorized, forbidden, too_large, unsupported, too_many, internal, unavailable or timeout."
    )


class Prediction(BaseModel):
    """A label and how probable it is."""

    label: str
    score: float


class GestureAnswer(BaseModel):
    """Which sign a clip shows."""

    gesture: str | None = Field(description="The sign; null where none was recognised, and message says why.")
    score: float = Field(description="How probable it is; 0 where there is none.")
    top: list[Prediction] = Field(
        description="The best labels; the first is 'unknown' where the clip shows none of the model's signs."
    )
    message: str | None = Field(None, description="Why there is no gesture.")
    warnings: list[str] = Field(default_factory=list, description="What to know about the clip.")
    model: str
    frames: int
    timings: dict[str, float] = Field(
        description="Milliseconds of each stage; features and model are those of the batch."
    )


class SignedGloss(BaseModel):
    """A sign of a sentence, with its time in seconds."""

    gloss: str
    score: float
    start: float
    end: float


class SentenceAnswer(BaseModel):
    """What a clip says."""

    glosses: list[SignedGloss]
    text: str | None = Field(description="The sentence; null where the server has no translator.")
    score: float
    message: str | None = Field(None, description="Why there is nothing, or what is amiss with the text.")
    warnings: list[str] = Field(default_factory=list, description="What to know about the clip.")
    model: str
    frames: int
    timings: dict[str, float]


class ModelAnswer(BaseModel):
    """A model of the server."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    mode: str = Field(description="signs or sentences.")
    task: str
    runtime: str
    labels: list[str]
    layout: str = Field(description="Landmarks that it reads; others are converted by the names of their points.")
    fps: float | None
    languages: list[str] = Field(description="Sign languages (ISO 639-3), where the model's card says them.")
    default: bool


class HealthAnswer(BaseModel):
    """The process lives."""

    status: str
    version: str


class ReadyAnswer(BaseModel):
    """Models are loaded and worker processes are up."""

    status: str


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Errors of a route, for its documentation."""
    why = {
        401: "No API key, or one that is not known.",
        403: "A page or a host name that is not allowed.",
        413: "Too many bytes, pixels, frames or seconds.",
        415: "Neither a video nor a picture.",
        422: "Input that cannot be used.",
        429: "Too many requests; see Retry-After.",
        500: "A fault of the server.",
        503: "Not up yet, or all queues are full; see Retry-After.",
        504: "The body or the answer took too long.",
    }
    return {code: {"model": ErrorAnswer, "description": why[code]} for code in (*codes, 403, 500)}


def gesture_answer(predictions: list[dict[str, Any]], top_k: int) -> dict[str, Any]:
    """What the pipeline answers, as clients get it."""
    best = predictions[0]
    top = [] if best["label"] is None else predictions[:top_k]
    if best["label"] is None:
        return {"gesture": None, "score": 0.0, "top": top, "message": best["message"]}
    if best["label"] == "unknown":
        message = "The clip shows none of the signs that the model knows."
        return {"gesture": None, "score": 0.0, "top": top, "message": message}
    return {"gesture": best["label"], "score": best["score"], "top": top}


def sentence_answer(found: dict[str, Any]) -> dict[str, Any]:
    """What the pipeline answers, as clients get it."""
    known = {"text": None} | {name: found[name] for name in ("glosses", "text", "score", "message") if name in found}
    glosses = [{name: sign[name] for name in ("gloss", "score", "start", "end")} for sign in known["glosses"]]
    return known | {"glosses": glosses}
