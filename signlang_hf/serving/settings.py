"""What a server can be told, by environment variables (``SIGNLANG_PORT=9000``), a file ``.env``, or the options of ``signlang serve``.

Design decisions:

* Options go before the environment, the environment before ``.env``, ``.env`` before the defaults.
* A list is written with commas. Every limit has a default that a small machine can bear.
* A key itself is never kept: the settings hold its SHA-256 hash, which ``signlang serve --new-key`` prints with a fresh key.
* Whatever is wrong is said before anything is loaded, in one sentence that names the variable.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .. import pretrained

PREFIX = "SIGNLANG_"
_ELSEWHERE = frozenset(
    f"{PREFIX}{name}" for name in ("DATA", "POSE_LANDMARKER", "HAND_LANDMARKER", "MEDIAPIPE_TASKS")
)  # read by other parts of the library
_HASH = re.compile(r"[0-9a-f]{64}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class ServerSettings(BaseSettings):
    """Settings of a server. The environment variable of each is its name in capitals after ``SIGNLANG_``."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        protected_namespaces=(),
        frozen=True,
    )

    model: str = Field(
        pretrained.DEFAULT,
        description="Model for signs: a folder, a Hub id or a name from signlang models. The first one answers by default.",
    )
    more_models: str = Field("", description="More models for signs, by commas; a request chooses one by its name.")
    sentence_model: str = Field(
        pretrained.SPELLING,
        description="Model for sentences, a recogniser of glosses or a recogniser with its translator; empty: none.",
    )
    translator: str = Field("", description="Translator of the glosses, for a sentence model that has none of its own.")
    device: str = Field("auto", description="What runs models of torch: auto, cpu, cuda, cuda:1 or mps.")
    runtime: str = Field(
        "auto", description="torch, ort (onnxruntime, for exported folders), or auto, by what a folder holds."
    )
    provider: str = Field("", description="Of onnxruntime: cpu, cuda, tensorrt, directml, coreml or auto.")
    threads: int = Field(0, ge=0, le=1024, description="Threads of torch; 0 leaves it to torch.")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all of the machine.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes any that is free.")
    allowed_origins: str = Field(
        "",
        description="Web pages of other origins that may use the server, by commas, such as https://example.org; * for all.",
    )
    allowed_hosts: str = Field(
        "",
        description="Host names under which the server may be called, by commas. Empty: those of this machine while it listens on "
        "a loopback address (which keeps other pages' names from being pointed at it), else any.",
    )
    trusted_proxies: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded-For is believed, by commas; * for all."
    )
    key_hashes: str = Field(
        "", description="SHA-256 hashes of the API keys that are let in, by commas; empty: everybody is."
    )
    metrics_need_key: bool = Field(False, description="Whether /metrics asks for a key too.")
    rate_limit: str = Field(
        "120/minute",
        description="Requests that a key, or an address without one, may make; such as 10/second;120/minute. Empty: any.",
    )
    websocket_rate_limit: str = Field(
        "30/minute", description="WebSocket connections and streams that a key, or an address, may open. Empty: any."
    )
    rate_limit_storage: str = Field(
        "memory://",
        description="Where the rates are counted: memory://, or what the limits package knows, such as redis://host:6379.",
    )

    max_upload_mb: float = Field(100.0, gt=0, le=10_000, description="Largest video, in megabytes.")
    max_landmarks_mb: float = Field(
        16.0, gt=0, le=1_000, description="Largest body of landmarks, in megabytes, also unpacked."
    )
    max_frame_kb: float = Field(1024.0, gt=0, le=65_536, description="Largest message of a WebSocket, in kilobytes.")
    max_seconds: float = Field(120.0, gt=0, le=36_000, description="Longest clip, in seconds.")
    max_frames: int = Field(7200, ge=1, description="Most frames of a clip.")
    max_pixels: int = Field(
        8_847_360, ge=1, description="Most pixels of a frame or picture; the default is 4096 × 2160."
    )
    upload_timeout: float = Field(60.0, gt=0, description="Seconds in which a body must have come.")
    request_timeout: float = Field(60.0, gt=0, description="Seconds that a request may take from then on.")

    workers: int = Field(1, ge=1, le=256, description="Processes that find landmarks in frames.")
    streams_per_worker: int = Field(4, ge=1, le=64, description="Streams of frames that a process follows at most.")
    queue_size: int = Field(
        16, ge=1, le=10_000, description="Clips that wait for such a process; more are told to come back."
    )
    worker_timeout: float = Field(
        30.0, gt=0, description="Seconds after which a process that does not answer is ended."
    )
    estimator: str = Field(
        "mediapipe", description="What finds landmarks: mediapipe, heatmap, or module:callable of your own."
    )
    estimator_options: str = Field("{}", description="Its options as a JSON object.")
    max_batch: int = Field(32, ge=1, le=4096, description="Clips and windows that a model reads at once.")
    max_wait_ms: float = Field(
        5.0, ge=0, le=10_000, description="Milliseconds that one waits for others to be read with it."
    )
    model_queue_size: int = Field(256, ge=1, description="Clips that wait for a model; more are told to come back.")

    max_websockets: int = Field(100, ge=1, description="WebSocket connections at the same time.")
    max_websockets_per_client: int = Field(60, ge=1, description="Of them, for one key, or one address without a key.")
    max_connections: int = Field(1000, ge=1, description="Connections of all kinds at the same time.")
    max_fps: float = Field(30.0, gt=0, le=240, description="Frames a second that the page sends at most.")
    idle_timeout: float = Field(60.0, gt=0, description="Seconds without a message after which a WebSocket is closed.")
    outgoing_queue: int = Field(
        256, ge=8, description="Messages that may wait for a client that does not read before it is let go."
    )
    shutdown_timeout: float = Field(
        20.0, gt=0, description="Seconds that running requests and streams get when the server stops."
    )

    browser_landmarks: str = Field(
        "",
        description="Folder with MediaPipe's files for browsers; the page then finds landmarks itself and sends no pictures.",
    )
    speech_language: str = Field(
        "",
        description="Language in which the page speaks signs, such as de; empty: by the model's card, where that says one.",
    )
    temp_dir: str = Field("", description="Folder for uploads while they are read; empty: the system's.")
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator("key_hashes")
    @classmethod
    def _hashes(cls, value: str) -> str:
        for one in split(value):
            if not _HASH.fullmatch(one):
                raise ValueError(
                    "each must be the 64 hexadecimal digits of a SHA-256 hash; signlang serve --new-key prints one"
                )
        return value

    @field_validator("rate_limit", "websocket_rate_limit")
    @classmethod
    def _rates(cls, value: str) -> str:
        if value:
            from limits import parse_many

            try:
                parse_many(value)
            except ValueError:
                raise ValueError(f"{value!r} is no rate such as 10/second or 120/minute") from None
        return value

    @field_validator("estimator_options")
    @classmethod
    def _options(cls, value: str) -> str:
        try:
            options = json.loads(value or "{}")
        except ValueError:
            options = None
        if not isinstance(options, dict):
            raise ValueError("""it must be a JSON object such as {"backend": "tasks"}""")
        return value

    @field_validator("runtime")
    @classmethod
    def _runtime(cls, value: str) -> str:
        return _one_of(value, ("auto", "torch", "ort"))

    @field_validator("log_level")
    @classmethod
    def _log_level(cls, value: str) -> str:
        return _one_of(value.lower(), ("debug", "info", "warning", "error"))

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", value):
            raise ValueError(f"{value!r} is none of auto, cpu, cuda, cuda:<number> and mps")
        return value

    @field_validator("browser_landmarks", "temp_dir")
    @classmethod
    def _folder(cls, value: str) -> str:
        if value and not Path(value).is_dir():
            raise ValueError(f"there is no folder {value}")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for one in split(value):
            if one != "*" and not re.fullmatch(r"https?://[^/\s,]+", one):
                raise ValueError(f"{one!r} is no origin such as https://example.org (no path after it)")
        return value

    @property
    def sign_models(self) -> list[str]:
        """All models for signs, the default first."""
        return list(dict.fromkeys([self.model, *split(self.more_models)]))

    @property
    def sentences(self) -> str | None:
        """The model for sentences; None where there is none, as in an installation that carries none."""
        bundled = self.sentence_model == pretrained.SPELLING and pretrained.SPELLING not in pretrained.names()
        return None if bundled or not self.sentence_model else self.sentence_model

    @property
    def origins(self) -> list[str]:
        """Allowed origins."""
        return split(self.allowed_origins)

    @property
    def hosts(self) -> list[str] | None:
        """Host names under which the server may be called; None: any."""
        if self.allowed_hosts:
            return None if "*" in split(self.allowed_hosts) else [one.lower() for one in split(self.allowed_hosts)]
        return list(_LOOPBACK) if self.host in _LOOPBACK else None

    @property
    def hashes(self) -> list[str]:
        """Hashes of the API keys."""
        return split(self.key_hashes)

    @property
    def estimator_arguments(self) -> dict[str, Any]:
        """Options of the estimator."""
        return dict(json.loads(self.estimator_options or "{}"))

    @property
    def max_upload(self) -> int:
        """Bytes of a video."""
        return int(self.max_upload_mb * 1_000_000)

    @property
    def max_landmarks(self) -> int:
        """Bytes of a body of landmarks."""
        return int(self.max_landmarks_mb * 1_000_000)

    @property
    def max_message(self) -> int:
        """Bytes of a WebSocket message."""
        return int(self.max_frame_kb * 1000)


def load_settings(**options: Any) -> ServerSettings:
    """Settings of this process: ``options`` that are not None, the environment and ``.env``.

    Raises:
        ValueError: one of them is wrong; one sentence says which and why.
    """
    try:
        return ServerSettings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{PREFIX}{name.upper()} (--{name.replace('_', '-')}) cannot be used: {reason}.") from None


def unknown_names(environment: dict[str, str], env_file: Path = Path(".env")) -> list[str]:
    """Variables that look like settings and are none: misspelt, so that a limit somebody relies on does not hold."""
    names = set(environment)
    if env_file.is_file():
        lines = env_file.read_text(encoding="utf-8", errors="replace").splitlines()
        names |= {line.removeprefix("export ").partition("=")[0].strip() for line in lines if "=" in line}
    known = {f"{PREFIX}{name.upper()}" for name in ServerSettings.model_fields} | _ELSEWHERE
    return sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper() not in known)


def split(text: str) -> list[str]:
    """The parts of a list that is written with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value
