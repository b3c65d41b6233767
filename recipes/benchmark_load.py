"""What the server bears: many streams, many uploads, its memory meanwhile, and a worker process that is killed.

    python recipes/benchmark_load.py --data_dir dgs30 --clips path/to/videos
    python recipes/benchmark_load.py --data_dir dgs30 --clips path/to/videos --clients 5 --seconds 10 --uploads 20 --no-save

starts ``signlang serve`` on a free port of this machine, and ends it. Three phases, each of which checks every answer:

1. ``--clients`` WebSocket clients send streams of landmarks, 30 frames a second, each its own. What they must hear was computed before, with
   the same pipeline, alone.
2. ``--upload_clients`` clients send ``--uploads`` videos; each has videos of its own, and their answers were computed before, too.
3. The same with few uploads and a few streams, and a worker process is killed in the middle: requests that it worked on must fail with one clear
   sentence, and all others must not notice.

Rows go into ``hub_cards/results/load.json``, a picture into ``outputs/load``. A lost frame or event, or a wrong answer, ends it with an error.
The load comes from the same machine and takes its share of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from load_server import LoadedServer
from rich.console import Console

import signlang_hf
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.landmarks.rows import to_sequence
from signlang_hf.pipelines.loading import load_pipeline
from signlang_hf.pipelines.streaming import SignStream, StreamPool, StreamSettings
from signlang_hf.pose.estimator import estimator_factory
from signlang_hf.pose.worker import make_estimator
from signlang_hf.training.cards import launch_command
from signlang_hf.training.evaluation import label_names
from signlang_hf.training.results import RESULTS, ResultRow, format_value, save_results
from signlang_hf.training.streams import stream_of
from signlang_hf.video import read_video, write_video

console = Console()
FPS = 30.0
RARELY = StreamSettings(
    stride=3600.0
)  # guesses are not compared, so the stream that knows the answers need not make them
LAST_WORDS = 60.0  # seconds from a client's stop to the server's last event
NEAR = 2e-3  # scores of a batch and of one alone differ by rounding


@dataclass
class Stream:
    """What a client sends, and what it must hear: ``(kind, label, start, end)`` of each sign and each rest."""

    start: str
    messages: list[str]
    times: np.ndarray
    expected: list[tuple[Any, ...]]


@dataclass
class Heard:
    """What came of a stream: milliseconds from the end of each sign, and from the frame that brought its event out, to the event."""

    right: int = 0
    wrong: int = 0
    lost_frames: int = 0
    since_end: list[float] = field(default_factory=list)
    since_frame: list[float] = field(default_factory=list)
    behind: float = 0.0
    """Seconds by which the client itself was late."""


@dataclass
class Upload:
    """One request: when it began and ended, and how it went."""

    began: float
    ended: float
    right: bool
    status: int
    error: dict[str, Any] | None = None


def make_streams(rows: Any, pool: StreamPool, count: int, seconds: float, seed: int = 0) -> list[Stream]:
    """``count`` different streams of about ``seconds`` each, made of the clips of a dataset."""
    names = label_names(rows)
    made = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        clips, length = [], 0.0
        while length < seconds:
            row = rows[int(rng.integers(len(rows)))]
            clips.append((names[row["label"]], to_sequence(row)))
            length += clips[-1][1].duration + 2.8  # with its rest
        stream, _ = stream_of(clips, rng)
        made.append(as_messages(stream.frames(slice(0, round(seconds * stream.fps))), pool))
    return made


def first_of(rows: Any) -> LandmarkSequence:
    """The first clip of a dataset, with rest around it."""
    clip = to_sequence(rows[0])
    return stream_of([("", clip)], np.random.default_rng(0))[0]


def as_messages(stream: LandmarkSequence, pool: StreamPool) -> Stream:
    """A stream as it goes over the wire, 30 frames a second, and what the pipeline hears in it."""
    times = np.arange(len(stream)) / FPS
    stream = LandmarkSequence(stream.data, stream.layout, timestamps=times, size=stream.size, units=stream.units)
    messages = []
    for moment, frame in zip(times.tolist(), stream.data.tolist()):
        points = [None if point[0] != point[0] else point for point in frame]  # NaN: not seen
        messages.append(json.dumps({"type": "landmarks", "time": moment, "points": points}))
    live, events = SignStream(RARELY), []
    for place in range(len(stream)):
        events += live.push(stream.frames(slice(place, place + 1)))
        if live.due:
            events += pool.predict([live])[0]
    events += live.finish()
    events += pool.predict([live])[0]
    start = {
        "type": "start",
        "source": "landmarks",
        "layout": stream.layout,
        "size": stream.size,
        "units": stream.units,
    }
    return Stream(
        json.dumps(start), messages, times, [key for event in events if (key := _key(event.to_dict(), "kind"))]
    )


def _key(event: dict[str, Any], kind: str) -> tuple[Any, ...] | None:
    """What must be the same: guesses (partial) may be overtaken when there is much to do, signs and rests may not."""
    if event[kind] not in ("sign", "idle"):
        return None
    what = event.get("label") or event.get("reason")
    return event[kind], what, round(event["start"], 3), round(event["end"], 3), event.get("score")


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    scores = one[-1], other[-1]
    close = scores[0] == scores[1] or (None not in scores and abs(scores[0] - scores[1]) < NEAR)
    return one[:-1] == other[:-1] and close


async def send_stream(url: str, stream: Stream, delay: float) -> Heard:
    """One client, from its start to its stop."""
    from websockets.asyncio.client import connect

    heard, found, arrived = Heard(), [], []
    async with connect(url, max_queue=None, open_timeout=30) as socket:
        await socket.send(stream.start)
        if (answer := json.loads(await socket.recv()))["type"] != "ready":
            raise RuntimeError(f"The server does not start a stream: {answer}")
        await asyncio.sleep(delay)
        sent, begin, counts = np.zeros(len(stream.times)), time.perf_counter(), {}

        async def listen() -> None:
            async for text in socket:
                now, message = time.perf_counter(), json.loads(text)
                if message["type"] == "error":
                    raise RuntimeError(f"The server ends a stream: {message['detail']}")
                if message["type"] == "stopped":
                    counts.update(message["counts"])
                    return
                if (key := _key(message, "type")) is not None:
                    found.append(key)
                    arrived.append((now, message))

        listening = asyncio.create_task(listen())
        for place, (moment, text) in enumerate(zip(stream.times, stream.messages)):
            late = begin + moment - time.perf_counter()
            if late > 0:
                await asyncio.sleep(late)
            heard.behind = max(heard.behind, -late)
            sent[place] = time.perf_counter()
            await socket.send(text)
        await socket.send('{"type": "stop"}')
        done, _ = await asyncio.wait([listening], timeout=LAST_WORDS)
        if not done:
            listening.cancel()
            raise RuntimeError(
                f"The server has not ended a stream {LAST_WORDS:g} s after its last frame: that is more than it bears."
            )
        listening.result()
    heard.lost_frames = len(stream.times) - counts["frames"] + counts["late"] + counts["dropped"]
    heard.right = sum(_same(*pair) for pair in zip(found, stream.expected))
    heard.wrong = max(len(found), len(stream.expected)) - heard.right
    for now, event in arrived:
        if event["type"] == "sign":
            frames = np.searchsorted(stream.times, [event["end"] - 1e-6, event["time"] - 1e-6])
            heard.since_end.append(1e3 * (now - sent[frames[0]]))
            heard.since_frame.append(1e3 * (now - sent[min(frames[1], len(sent) - 1)]))
    return heard


async def send_streams(url: str, streams: list[Stream]) -> list[Heard]:
    """All at once; they begin within a second, as clients are not in step."""
    rng = np.random.default_rng(0)
    return list(await asyncio.gather(*(send_stream(url, one, float(rng.random())) for one in streams)))


def videos_of(folder: Path) -> list[Path]:
    """Raises FileNotFoundError where there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".mp4", ".mov", ".webm", ".avi"))
    if not found:
        raise FileNotFoundError(f"There are no videos in {folder}.")
    return found


def make_clips(folder: Path, target: Path, count: int, frames: int) -> list[Path]:
    """``count`` different videos of ``frames`` frames, at most 320 pixels wide, cut out of those in a folder."""
    sources = videos_of(folder)
    made: list[Path] = []
    videos = [read_video(path) for path in sources]
    for number in range(count):
        video, turn = videos[number % len(videos)], number // len(videos)
        step = max(1, video.frames.shape[2] // 320)
        first = min(3 * turn, max(0, len(video.frames) - frames))
        cut = np.ascontiguousarray(video.frames[first : first + frames, ::step, ::step])
        cut = cut[:, :, : cut.shape[2] - 2 * (turn // 8)]  # a video that has been cut everywhere gets narrower
        made.append(write_video(target / f"{number}.mp4", cut, video.fps))
    return made


def send_clip(url: str, clip: Path, expected: list[dict[str, Any]]) -> Upload:
    """One upload, and whether the answer is that of this clip."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    request = Request(f"{url}/predict", clip.read_bytes(), {"Content-Type": "application/octet-stream"})
    began = time.perf_counter()
    try:
        with urlopen(request, timeout=300) as response:  # loopback
            answer, status = json.load(response), response.status
    except HTTPError as failed:
        return Upload(began, time.perf_counter(), False, failed.code, json.load(failed))
    top = [(one["label"], one["score"]) for one in answer["top"]]
    wanted = [(one["label"], one["score"]) for one in expected if one["label"] is not None][: len(top)]
    right = [label for label, _ in top] == [label for label, _ in wanted]
    right = right and np.allclose([score for _, score in top], [score for _, score in wanted], atol=NEAR)
    return Upload(began, time.perf_counter(), bool(right), status)


async def send_clips(
    url: str, clips: list[tuple[Path, Any]], clients: int, uploads: int, done: list[Upload] | None = None
) -> list[Upload]:
    """``uploads`` requests by ``clients``, each of which has its own clips and sends one after the other; also into ``done``, as they end."""
    from concurrent.futures import ThreadPoolExecutor

    done = [] if done is None else done

    def client(number: int) -> None:
        own = clips[number::clients]
        for turn in range(uploads // clients + (number < uploads % clients)):
            done.append(send_clip(url, *own[turn % len(own)]))

    with ThreadPoolExecutor(clients) as threads:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, client, number) for number in range(clients)))
    return done


async def with_kill(
    server: LoadedServer, clips: list[tuple[Path, Any]], streams: list[Stream], how: argparse.Namespace
) -> tuple[list[Upload], list[Heard], float]:
    """Uploads and streams, and a worker process killed when a third of the uploads is through; and when it was killed."""
    done: list[Upload] = []

    async def kill() -> float:
        while len(done) < how.kill_uploads // 3:
            await asyncio.sleep(0.02)
        server.kill_worker()
        return time.perf_counter()

    uploads = send_clips(server.url, clips, how.upload_clients, how.kill_uploads, done)
    found, heard, killed = await asyncio.gather(uploads, send_streams(server.socket_url, streams), kill())
    return found, heard, killed


def measure(how: argparse.Namespace) -> tuple[list[ResultRow], dict[str, Any]]:
    """All three phases: the rows, and what the picture is drawn of."""
    command = launch_command("recipes/benchmark_load.py", how.argv).replace("accelerate launch", "python", 1)
    videos_of(Path(how.clips))
    plain = load_pipeline("sign-recognition", how.model)
    estimator = make_estimator(estimator_factory(how.estimator), {})
    pipe = type(plain)(model=plain.model, feature_extractor=plain.feature_extractor, estimator=estimator)
    rows = signlang_hf.load_dataset(how.dataset, how.data_dir, split=how.split)
    console.print(f"Computing what {how.clients} streams and the videos must be answered …")
    streams = make_streams(rows, StreamPool(pipe), how.clients, how.seconds)
    with tempfile.TemporaryDirectory(prefix="signlang-load-") as folder:
        clips = make_clips(Path(how.clips), Path(folder), how.distinct, how.frames)
        begun = time.perf_counter()
        answers = [(clip, pipe(str(clip), top_k=5)) for clip in clips]
        alone = (time.perf_counter() - begun) / len(clips)
        with LoadedServer(how.model, how.workers, how.estimator, how.upload_clients) as server:
            warm = as_messages(first_of(rows), StreamPool(pipe))
            asyncio.run(send_streams(server.socket_url, [warm]))  # what loads on first use is loaded
            asyncio.run(send_clips(server.url, answers, how.workers, how.workers))
            server.mark("start")
            console.print(f"{how.clients} streams of {how.seconds:g} s …")
            heard = asyncio.run(send_streams(server.socket_url, streams))
            server.mark("streams")
            console.print(f"{how.uploads} uploads by {how.upload_clients} clients …")
            uploads = asyncio.run(send_clips(server.url, answers, how.upload_clients, how.uploads))
            server.mark("uploads")
            console.print("A worker process is killed …")
            killed, beside, moment = asyncio.run(with_kill(server, answers, streams[: how.kill_streams], how))
            server.mark("killed")
            after = asyncio.run(send_clips(server.url, answers, how.upload_clients, how.upload_clients))
    _judge(heard, uploads, killed, beside, moment, after)
    memory = server.memory()
    name = f"signlang serve, {Path(how.model).name}"
    rows_made = _rows(name, command, how, heard, uploads, killed, beside, memory, alone)
    return rows_made, {"heard": heard, "uploads": uploads, "memory": memory, "marks": server.marks}


def _judge(
    heard: list[Heard],
    uploads: list[Upload],
    killed: list[Upload],
    beside: list[Heard],
    moment: float,
    after: list[Upload],
) -> None:
    """Raise RuntimeError where anything was lost, mixed up, or failed without a reason."""
    faults = [f"{one.wrong} events of a stream are missing or wrong" for one in [*heard, *beside] if one.wrong]
    faults += [f"{one.lost_frames} frames of a stream are lost" for one in [*heard, *beside] if one.lost_frames]
    faults += [
        f"an upload has another answer than alone ({one.status} {one.error})"
        for one in [*uploads, *after]
        if not one.right
    ]
    for one in killed:
        told = one.error is not None and one.error.get("code") == "unavailable" and one.error.get("detail")
        at_work = one.began < moment < one.ended
        if not one.right and not (one.status == 503 and told and at_work):
            faults.append(f"while a worker was killed, an upload failed with {one.status} {one.error}")
    if faults:
        raise RuntimeError("; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "") + ".")


def _rows(
    name: str, command: str, how: argparse.Namespace, heard: list[Heard], uploads: list[Upload], killed: list[Upload],
    beside: list[Heard], memory: dict[str, np.ndarray], alone: float,
) -> list[ResultRow]:  # fmt: skip
    live = f"{how.clients} landmark streams at {FPS:g} frames a second, {how.seconds:g} s"
    sent = f"{len(uploads)} videos of {how.frames} frames by {how.upload_clients} clients"
    fault = f"{len(killed)} videos and {len(beside)} streams, a worker process killed"
    ends, frames = (np.concatenate([getattr(one, kind) for one in heard]) for kind in ("since_end", "since_frame"))
    requests = 1e3 * np.array([one.ended - one.began for one in uploads])
    events = sum(one.right + one.wrong for one in heard)
    span = max(one.ended for one in uploads) - min(one.began for one in uploads)

    def row(
        split: str, metric: str, value: float, n: int, against: str | None = None, ratio: float | None = None
    ) -> ResultRow:
        return ResultRow(name, split, metric, float(value), n, command, against=against, ratio=ratio)

    def percentiles(split: str, metric: str, values: np.ndarray, against: str) -> list[ResultRow]:
        return [
            row(split, f"{metric}_p{share}_ms", np.percentile(values, share), len(values), against, 1.0)
            for share in (50, 95)
        ]

    return [
        row(live, "right_answers", sum(one.right for one in heard) / events, events),
        row(live, "lost_frames_count", sum(one.lost_frames for one in heard), sum(len(one.since_end) for one in heard)),
        *percentiles(live, "sign_latency", ends, "the end of the sign"),
        *percentiles(live, "event_latency", frames, "the frame that brings it out"),
        row(live, "memory_slope_mb_a_minute_difference", memory["slope"].item(), len(memory["seconds"])),
        row(live, "memory_mb", memory["steady"].item(), len(memory["seconds"]), "no streams", memory["steady"].item() / memory["idle"].item()),
        row(sent, "right_answers", np.mean([one.right for one in uploads]), len(uploads)),
        *percentiles(sent, "request", requests, "the request"),
        row(sent, "videos_per_second", len(uploads) / span, len(uploads), "the pipeline alone, one after the other", alone * len(uploads) / span),
        row(fault, "failed_requests_count", sum(not one.right for one in killed), len(killed)),
        row(fault, "right_answers_of_streams", sum(one.right for one in beside) / max(1, sum(one.right + one.wrong for one in beside)), len(beside)),
    ]  # fmt: skip


def draw(found: dict[str, Any], path: Path) -> Path:
    """Histograms of latencies, and memory over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(14, 3.8), layout="constrained")
    frames = np.concatenate([one.since_frame for one in found["heard"]])
    left.hist(frames, bins=40, color="#0f766e")
    left.set(title="Streams: frame that brings a sign out → event", xlabel="ms", ylabel="signs")
    middle.hist([1e3 * (one.ended - one.began) for one in found["uploads"]], bins=40, color="#e69f00")
    middle.set(title="Uploads: request → answer", xlabel="ms", ylabel="requests")
    memory = found["memory"]
    right.plot(memory["seconds"], memory["mb"], color="#1f6feb")
    for name, moment in found["marks"].items():
        right.axvline(moment, color="#7b8a97", linewidth=0.8)
        right.annotate(name, (moment, 0), rotation=90, fontsize=8, xytext=(2, 4), textcoords="offset points")
    right.set(title="Memory of all processes (RSS)", xlabel="s", ylabel="MB", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The arguments. Bounds keep a slip of the finger from becoming an attack on one's own machine."""
    parser = argparse.ArgumentParser(description="Load on a server of this machine, with every answer checked.")
    parser.add_argument("--data_dir", required=True, help="folder of the dataset that streams are made of")
    parser.add_argument("--clips", required=True, help="folder of videos that uploads are cut from")
    parser.add_argument("--dataset", default="dgs30", help="default: dgs30")
    parser.add_argument("--split", default="train", help="of the dataset; default: train")
    parser.add_argument("--model", default="dgs30", help="of the server; default: the bundled one")
    parser.add_argument("--estimator", default="mediapipe", help="of the server; default: mediapipe")
    parser.add_argument("--clients", type=int, default=50, help="streams; at most 200")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each; at most 600")
    parser.add_argument("--uploads", type=int, default=200, help="at most 2000")
    parser.add_argument("--upload_clients", type=int, default=20, help="at most 100")
    parser.add_argument("--distinct", type=int, default=40, help="different videos, as many as upload clients at least")
    parser.add_argument("--frames", type=int, default=24, help="of a video")
    parser.add_argument("--workers", type=int, default=2, help="processes of the server that find landmarks")
    parser.add_argument("--kill_uploads", type=int, default=60, help="uploads while a worker is killed")
    parser.add_argument("--kill_streams", type=int, default=5, help="streams beside them")
    parser.add_argument("--results", default=str(RESULTS), help="folder of the result files")
    parser.add_argument("--out", default="outputs/load", help="folder of the picture")
    parser.add_argument("--no-save", dest="save", action="store_false", help="write no result rows")
    how = parser.parse_args(argv)
    how.argv = argv
    most = {
        "clients": 200,
        "seconds": 600,
        "uploads": 2000,
        "upload_clients": 100,
        "distinct": 400,
        "frames": 300,
        "workers": 16,
    }
    for name, bound in most.items():
        if not 1 <= getattr(how, name) <= bound:
            raise ValueError(f"--{name} is {getattr(how, name)}; it must be between 1 and {bound}.")
    if how.distinct < how.upload_clients:
        raise ValueError(
            f"--distinct is {how.distinct}; each of the {how.upload_clients} upload clients needs a video of its own."
        )
    if how.workers < 2:
        raise ValueError("--workers must be at least 2: one is killed, and the other must go on.")
    return how


def main(argv: list[str] | None = None) -> list[ResultRow]:
    how = parsed(argv)
    rows, found = measure(how)
    for row in rows:
        console.print(f"{row.split}: {row.metric} {format_value(row)}", soft_wrap=True)
    console.print(
        f"The clients themselves were late by {1e3 * max(one.behind for one in found['heard']):.0f} ms at most."
    )
    console.print(f"Wrote {draw(found, Path(how.out) / 'load.png')}")
    if how.save:
        console.print(f"Wrote {save_results('load', rows, folder=how.results)}")
    return rows


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"benchmark_load: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_load: interrupted; nothing was written.")
