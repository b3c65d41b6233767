"""How well signs are heard in a stream: on streams made of held-out clips with rest between them.

    python recipes/benchmark_streaming.py --config recipes/configs/dgs30_bilstm.yaml --data_dir dgs30 --cross_validate stratified \\
        --folds 1 --trained outputs/dgs30-bilstm/1 --name dgs30_bilstm

takes the test clips of a fold that the model was not trained on (train_isolated.py with the same arguments), joins them into streams, and
pushes these frame by frame through :class:`signlang_hf.pipelines.streaming.SignStream`. Rows go into ``hub_cards/results/streaming.json``:
F1 of signs, F1 without labels, false signs a minute of rest, seconds from the end of a sign to its event, and milliseconds of a frame
without the pose estimator, for one stream and for ``--clients`` that are predicted together.

    python recipes/benchmark_streaming.py --videos clips/ --trained dgs30

reads videos of one sign each, frame by frame as a camera does: how many get exactly one answer, and, joined into streams with rest
between them, how well that somebody signs is heard, whatever the sign.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from tqdm import tqdm

import signlang_hf  # noqa: F401 - its pipelines
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.landmarks.normalize import mirror
from signlang_hf.landmarks.rows import to_sequence
from signlang_hf.pipelines.clip_files import clip_files
from signlang_hf.pipelines.live import StreamingSigns
from signlang_hf.pipelines.loading import load_pipeline
from signlang_hf.pipelines.stream import StreamEvent, joined
from signlang_hf.pipelines.streaming import SignStream, StreamPool
from signlang_hf.training.arguments import parse
from signlang_hf.training.cards import launch_command
from signlang_hf.training.evaluation import label_names
from signlang_hf.training.results import RESULTS, ResultRow, format_value, save_results
from signlang_hf.training.splits import load_folds
from signlang_hf.training.streams import Heard, score, stream_of
from signlang_hf.video import read_video

console = Console()


@dataclass
class StreamingArguments:
    """What is measured."""

    trained: str = field(default="", metadata={"help": "Folder of the model, trained without the test clips."})
    name: str = field(default="", metadata={"help": "What the rows call it; default: its folder."})
    videos: str = field(default="", metadata={"help": "Folder of videos to read in place of a dataset."})
    streams: int = field(default=20, metadata={"help": "Streams."})
    signs: int = field(default=10, metadata={"help": "Signs in each."})
    clients: int = field(default=20, metadata={"help": "Streams that are predicted together, for the time of a frame."})
    hands: str = field(default="away", metadata={"help": "What they do at rest: away, still or restless."})
    others: float = field(default=0.0, metadata={"help": "Share of signs outside the vocabulary, of --unknown_split."})
    mirror: bool = field(default=False, metadata={"help": "Streams of a camera that mirrors, without saying so."})
    mirror_margin: float | None = field(default=None, metadata={"help": "Let the model try mirror images too."})
    runtime: str = field(default="torch", metadata={"help": "torch or ort."})
    save: bool = field(default=True, metadata={"help": "Write the result rows."})
    results: str = field(default=str(RESULTS), metadata={"help": "Folder of the result files."})

    def __post_init__(self) -> None:
        if not self.trained:
            raise ValueError("Give --trained, the folder of a model that was trained without the test clips.")
        if min(self.streams, self.signs, self.clients) < 1:
            raise ValueError("streams, signs and clients must be at least 1.")
        if not 0 <= self.others < 1:
            raise ValueError(f"others is {self.others}; it must be a share below 1.")


def heard(events: list[StreamEvent]) -> list[Heard]:
    return [Heard(one.label, one.start, one.end, one.time) for one in events if one.kind == "sign"]


def listen(stream: LandmarkSequence, pool: StreamPool) -> tuple[list[StreamEvent], float, SignStream]:
    """Events of a stream, pushed frame by frame, the seconds of the processor that it took, and its state."""
    live, events = SignStream(), []
    frames = [stream.frames(slice(place, place + 1)) for place in range(len(stream))]
    begun = time.process_time()
    for frame in frames:
        events += live.push(frame)
        if live.due:
            events += pool.predict([live])[0]
    events += live.finish()
    events += pool.predict([live])[0]
    return events, time.process_time() - begun, live


def together(streams: list[LandmarkSequence], pool: StreamPool) -> float:
    """Milliseconds of a frame of many streams that run side by side and are predicted in one batch."""
    lives = [SignStream() for _ in streams]
    longest = max(map(len, streams))
    pieces = [[one.frames(slice(place, place + 1)) for place in range(len(one))] for one in streams]
    begun = time.process_time()
    for place in range(longest):
        for live, frames in zip(lives, pieces):
            if place < len(frames):
                live.push(frames[place])
        pool.predict(live for live in lives if live.due)
    spent = time.process_time() - begun
    return 1e3 * spent / sum(map(len, streams))


def main(argv: list[str] | None = None) -> list[ResultRow]:
    _, data_args, _, how = parse(argv, StreamingArguments)
    torch.set_num_threads(1)  # a window is too little for two, which would only wait for each other
    if how.videos:
        return _say(how, _videos(how, launch_command("recipes/benchmark_streaming.py", argv)))
    if not data_args.cross_validate:
        raise ValueError("Give --cross_validate and --folds: the fold whose test clips the model has not seen.")
    ((fold, splits),) = list(load_folds(data_args))
    test = splits["test"]
    names = label_names(test)
    pipe = _pipeline(how)
    if how.mirror_margin is not None:
        pipe.model.config.mirror_margin = how.mirror_margin
    pool, rng = StreamPool(pipe), np.random.default_rng(0)
    if how.others and "unknown" not in splits:
        raise ValueError("--others needs signs outside the vocabulary: give --unknown_split.")
    made = []
    for _ in tqdm(range(how.streams), "making streams", unit="stream", leave=False):
        made.append(stream_of(_clips(splits, names, how, rng), rng, hands=how.hands))
    if how.mirror:
        made = [(mirror(stream), spoken) for stream, spoken in made]
    scores, milliseconds, frames, counts = [], [], 0, []
    for stream, spoken in tqdm(made, unit="stream"):
        events, spent, live = listen(stream, pool)
        scores.append(score(spoken, heard(events), stream.duration))
        milliseconds.append(1e3 * spent / len(stream))
        frames += len(stream)
        counts.append(live.counts)
    many = together([stream for stream, _ in made[: how.clients]], pool)
    rows = _rows(how, fold, scores, milliseconds, many, launch_command("recipes/benchmark_streaming.py", argv))
    windows = sum(one.windows for one in counts)
    console.print(f"{frames} frames, {windows} windows predicted, {sum(one.coalesced for one in counts)} coalesced.")
    return _say(how, rows)


def _say(how: StreamingArguments, rows: list[ResultRow]) -> list[ResultRow]:
    for row in rows:
        console.print(f"{row.model}, {row.split}: {row.metric} {format_value(row)}", soft_wrap=True)
    if how.save:
        console.print(f"Wrote {save_results('streaming', rows, folder=how.results, replace=False)}")
    return rows


def _videos(how: StreamingArguments, command: str) -> list[ResultRow]:
    pipe, answers, clips = _pipeline(how), [], []
    files = list(clip_files(how.videos))
    for file in tqdm(files, unit="video"):
        live, video = StreamingSigns(pipe), read_video(file)
        events, seen = [], []
        for seconds, frame in zip(video.timestamps, video.frames):
            events += live.process(frame, float(seconds))
            seen.append(live.landmarks)
        answers.append([event for event in [*events, *live.finish()] if event.answers])
        console.print(f"{Path(file).name}: {', '.join(map(str, answers[-1])) or 'nothing'}", markup=False)
        clips.append(("a sign", joined(seen).replace(size=(640, 480))))  # of one stream, as if of one camera
    pool, rng, scores = StreamPool(pipe, threshold=None), np.random.default_rng(0), []
    for _ in range(how.streams):
        stream, spoken = stream_of([clips[place] for place in rng.permutation(len(clips))], rng)
        scores.append(score(spoken, heard(listen(stream, pool)[0]), stream.duration))
    name, split = how.name or Path(how.trained).name, f"{len(files)} videos of {Path(how.videos).name}"
    joint = f"{len(scores)} streams of {split}"
    found, signs = [one.detection_f1 for one in scores], sum(one.signs for one in scores)
    idle = sum(one.rest_minutes for one in scores)
    return [
        ResultRow(name, split, "one_answer_share", float(np.mean([len(one) == 1 for one in answers])), len(files), command),
        ResultRow(
            name, split, "answers_with_a_word_count", sum(one.kind == "sign" for all_of in answers for one in all_of), len(files), command
        ),
        ResultRow(name, joint, "detection_f1", float(np.mean(found)), signs, command, spread=float(np.std(found))),
        ResultRow(name, joint, "false_signs_a_minute_of_rest_count", sum(one.false_at_rest for one in scores) / idle, signs, command),
    ]  # fmt: skip


def _clips(splits: Any, names: list[str], how: StreamingArguments, rng: np.random.Generator) -> list[Any]:
    """Label and landmarks of the signs of a stream."""
    test = splits["test"]
    others = round(how.others * how.signs)
    chosen = rng.choice(len(test), min(how.signs - others, len(test)), replace=False)
    clips = [(names[test[int(index)]["label"]], to_sequence(test[int(index)])) for index in chosen]
    if others:
        beside = rng.choice(len(splits["unknown"]), others, replace=False)
        strange = [to_sequence(splits["unknown"][int(index)]) for index in beside]
        clips += [(None, one) for one in strange]
        clips = [clips[place] for place in rng.permutation(len(clips))]
    return clips


def _pipeline(how: StreamingArguments) -> Any:
    if how.runtime == "torch":
        return load_pipeline("sign-recognition", how.trained)
    import tempfile

    from signlang_hf.export import export_model, load_ort_pipeline

    folder = tempfile.mkdtemp(prefix="signlang-streaming-")
    return load_ort_pipeline("sign-recognition", str(export_model(how.trained, Path(folder, "model")).folder))


def _rows(
    how: StreamingArguments, fold: str, scores: list[Any], milliseconds: list[float], many: float, command: str
) -> list[ResultRow]:
    signs = sum(one.signs for one in scores)
    name = (how.name or Path(how.trained).name) + ("" if how.runtime == "torch" else f", {how.runtime}")
    settings = {
        "hands at rest " + how.hands: how.hands != "away",
        f"{how.others:.0%} other signs": how.others > 0,
        "mirrored": how.mirror,
        f"mirror_margin {how.mirror_margin}": how.mirror_margin is not None,
    }
    said = ", ".join(text for text, true in settings.items() if true)
    split = f"{len(scores)} streams of held-out clips, {fold}" + (f", {said}" if said else "")

    def mean(metric: str, values: list[float]) -> ResultRow:
        return ResultRow(name, split, metric, float(np.mean(values)), signs, command, spread=float(np.std(values)))

    late = 1e3 * np.concatenate([one.latencies for one in scores])
    against = "the end of the sign"
    idle = sum(one.rest_minutes for one in scores)
    others = sum(one.others for one in scores)
    rejected = (
        [
            ResultRow(
                name,
                split,
                "other_signs_rejected_share",
                1 - sum(one.false_at_others for one in scores) / others,
                others,
                command,
            )
        ]
        if others
        else []
    )
    return [
        *rejected,
        mean("f1", [one.f1 for one in scores]),
        mean("detection_f1", [one.detection_f1 for one in scores]),
        ResultRow(name, split, "false_signs_a_minute_of_rest_count", sum(one.false_at_rest for one in scores) / idle, signs, command),
        *(
            ResultRow(
                name, split, f"latency_p{share}_ms", float(np.percentile(late, share)), len(late), command, against=against, ratio=1.0
            )
            for share in (50, 95)
        ),
        ResultRow(
            name, split, "frame_ms", float(np.median(milliseconds)), len(milliseconds), command, against="one stream", ratio=1.0
        ),
        ResultRow(
            name, f"{split}, {min(how.clients, len(scores))} streams predicted together", "frame_ms", many, 1, command,
            against="one stream", ratio=float(np.median(milliseconds)) / many,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark_streaming: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_streaming: interrupted; nothing was written.")
