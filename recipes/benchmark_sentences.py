"""How fast sentences are read: a 10-second clip from landmarks to glosses and text, beam search against greedy; and the memory of training.

    python recipes/benchmark_sentences.py --recognizer outputs/isl-csltr-ctc --translator outputs/isl-csltr-translator
    python recipes/benchmark_sentences.py --recognizer signlang_hf/pretrained/spelling/recognizer \\
        --translator signlang_hf/pretrained/spelling/translator --dataset fingerspelled_words
    python recipes/benchmark_sentences.py --memory recipes/configs/isl_csltr_ctc_8gb.yaml

Times are medians of several rounds, all parts in turns, on one thread (``--threads``), as a clip at a time is read. The clip is a file of
landmarks (``--clip``), repeated or cut to ``--seconds``, test clips of a ``--dataset``, or else random movement in the recogniser's layout. A
translator gets the glosses that the recogniser found, as a composite would. ``--language_model`` is an ARPA file; by default that beside
the recogniser, if there is one.

Rows go to ``speed.json`` and ``ctc-memory.json``.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCTC, AutoModelForSeq2SeqLM

from signlang_hf.data import load_dataset
from signlang_hf.data.rows import to_sequence
from signlang_hf.decoding import Decoder
from signlang_hf.landmarks import LandmarkSequence, get_layout, load_landmarks
from signlang_hf.pretrained import resolve
from signlang_hf.training.building import loaded, saved_processor
from signlang_hf.training.memory import training_step_memory
from signlang_hf.training.recognition import LANGUAGE_MODEL
from signlang_hf.training.results import RESULTS, ResultRow, save_results

FPS = 30.0


def make_clip(processor: Any, seconds: float, path: Path | None = None, dataset: str | None = None) -> LandmarkSequence:
    """A clip of so many seconds: that of the file, again and again, test clips of a dataset in a row, or a smooth random movement."""
    frames = round(seconds * FPS)
    if dataset is not None:
        clips = [to_sequence(row) for row in load_dataset(dataset, split="test").select(range(10))]
        clip = clips[0].replace(
            data=np.concatenate([one.data for one in clips]),
            visibility=np.concatenate([one.visibility for one in clips]),
            timestamps=np.arange(sum(map(len, clips))) / clips[0].fps,
        )
        if len(clip) / clip.fps < seconds:
            raise ValueError(f"Ten clips of {dataset} last {len(clip) / clip.fps:.1f} s; give fewer --seconds.")
        return clip.frames(slice(0, round(seconds * clip.fps)))
    if path is None:
        rng = np.random.default_rng(0)
        points = len(get_layout(processor.layout))
        data = rng.uniform(0.2, 0.8, (1, points, 3)) + np.cumsum(rng.normal(0, 0.003, (frames, points, 3)), axis=0)
        metric = {"units": "metre"} if processor.normalization == "body" else {"size": (1280, 720)}
        return LandmarkSequence(data.astype(np.float32), processor.layout, fps=FPS, **metric)
    clip = load_landmarks(path)
    order = np.arange(round(seconds * clip.fps)) % len(clip)
    return LandmarkSequence(
        clip.data[order], clip.layout, fps=clip.fps, size=clip.size, units=clip.units, visibility=clip.visibility[order]
    )


class Reader:
    """Stage 1 and 2 in parts that can be timed one by one."""

    def __init__(self, options: argparse.Namespace) -> None:
        source = resolve(options.recognizer)
        self.processor = saved_processor(source)
        self.model = loaded(source, AutoModelForCTC.from_pretrained, dtype=torch.float32).eval()
        beside = Path(source) / LANGUAGE_MODEL
        language_model = options.language_model or (beside if beside.is_file() else None)
        vocabulary = self.processor.vocabulary
        self.decoders = {
            "greedy": Decoder(vocabulary),
            f"beam {options.beam_size}": Decoder(
                vocabulary, method="beam", beam_size=options.beam_size, language_model=language_model
            ),
        }
        self.translator = None
        if options.translator:
            source = resolve(options.translator)
            self.translator = loaded(source, AutoModelForSeq2SeqLM.from_pretrained, dtype=torch.float32).eval()
            self.translator_processor = saved_processor(source)

    def extract(self, clip: LandmarkSequence) -> np.ndarray:
        return self.processor.extract(clip)

    @torch.inference_mode()
    def log_probs(self, features: np.ndarray) -> np.ndarray:
        windows = self.processor.windows(len(features))
        parts = [self.model(torch.from_numpy(features[None, start:end])).logits[0].numpy() for start, end in windows]
        return self.processor.merge(parts, windows, self.model.config.temporal_stride)

    def translate(self, glosses: list[str]) -> str:
        batch = self.translator_processor(glosses or self.processor.glosses[:1], return_tensors="pt")
        return self.translator_processor.batch_decode(self.translator.generate(**batch).numpy())[0]


def times(reader: Reader, clip: LandmarkSequence, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds of each part, (rounds,); the first round is not counted."""
    found: dict[str, list[float]] = {}

    def timed(name: str, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = action()
        found.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
        return result

    for _ in range(rounds + 1):
        features = timed("features", lambda: reader.extract(clip))
        log_probs = timed("network", lambda features=features: reader.log_probs(features))
        for name, decoder in reader.decoders.items():
            said = timed(name, lambda decoder=decoder, log_probs=log_probs: decoder(log_probs))
        if reader.translator is not None:
            glosses = reader.processor.decode(said.ids)
            timed("translator", lambda glosses=glosses: reader.translate(glosses))
    return {name: np.array(values[1:]) for name, values in found.items()}


def speed_rows(reader: Reader, found: dict[str, np.ndarray], seconds: float, command: str) -> list[ResultRow]:
    """Each way of decoding: ms of the whole way and of decoding alone, and the real-time factor."""
    rounds = len(found["network"])
    networks = [network for network in (reader.model, reader.translator) if network is not None]
    size = " + ".join(f"{network.num_parameters() / 1e6:.1f}" for network in networks)
    shared = {"split": f"a clip of {seconds:g} s, {size} M parameters", "n": rounds, "command": command}
    greedy, _ = reader.decoders
    stages = "stage 1 + 2" if reader.translator is not None else "stage 1"
    whole = {
        name: sum(found[part] for part in ("features", "network", name, "translator") if part in found)
        for name in reader.decoders
    }
    rows = []
    for name, ms in whole.items():
        model, half = f"{stages}, {name}", f"decoding, {name}"
        others = {"against": "greedy search in the same round"}
        value, base = float(np.median(ms)), float(np.median(whole[greedy]))
        rows.append(
            ResultRow(
                model, metric="clip_ms", value=value, spread=float(ms.std()), ratio=base / value, **others, **shared
            )
        )
        real = {"against": "the clip itself", "ratio": 1e3 * seconds / value}
        rows.append(ResultRow(model, metric="real_time_ratio", value=value / (1e3 * seconds), **real, **shared))
        alone, base = float(np.median(found[name])), float(np.median(found[greedy]))
        row = ResultRow(
            half, metric="clip_ms", value=alone, spread=float(found[name].std()), ratio=base / alone, **others, **shared
        )
        rows.append(row)
    return rows


def memory_rows(options: argparse.Namespace, command: str) -> list[ResultRow]:
    device = "cuda" if options.cuda else "cpu"
    found = training_step_memory(options.memory, frames=options.frames, batch_size=options.batch_size, device=device)
    size = f"batch {options.batch_size}" if options.batch_size else "its batch"
    split = f"one step, {options.frames} frames, {size}, {found.device}"
    print(f"{options.memory.stem}: {split}: {found.start_mb:,.0f} MB before the model, {found.peak_mb:,.0f} MB at most")
    shared = {"model": options.memory.stem, "split": split, "n": 2, "command": command}
    rows = [
        ResultRow(metric="peak_memory_mb", value=found.peak_mb, **shared),
        ResultRow(metric="parameter_count", value=found.parameters, **shared),
    ]
    if found.start_mb:
        rows.append(ResultRow(metric="step_memory_mb", value=found.peak_mb - found.start_mb, **shared))
    return rows


def main(arguments: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recognizer", help="folder, bundled name or Hub id of a continuous recogniser")
    parser.add_argument("--translator", help="the same of a translator")
    parser.add_argument("--language_model", type=Path, help="ARPA file")
    parser.add_argument("--clip", type=Path, help="landmark file")
    parser.add_argument("--dataset", help="dataset whose first test clips, one after another, are the clip")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--beam_size", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=Path, help="configuration of train_ctc whose training step is measured")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--batch_size", type=int)
    parser.add_argument("--cuda", action="store_true", help="measure memory on a GPU")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    options = parser.parse_args(arguments)
    if not options.recognizer and not options.memory:
        parser.error("give --recognizer, whose speed is measured, or --memory, or both.")
    if options.seconds <= 0 or options.rounds < 1 or options.beam_size < 2 or options.frames < 8:
        parser.error("--seconds must be positive, --rounds at least 1, --beam_size 2 and --frames 8.")
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "recipes/benchmark_sentences.py", *words])
    rows: dict[str, list[ResultRow]] = {}
    if options.recognizer:
        torch.set_num_threads(options.threads)
        reader = Reader(options)
        found = times(
            reader, make_clip(reader.processor, options.seconds, options.clip, options.dataset), options.rounds
        )
        for name, values in found.items():
            print(f"{name:<12} {np.median(values):8.2f} ms ± {values.std():.2f}")
        rows["speed"] = speed_rows(reader, found, options.seconds, command)
        for row in rows["speed"]:
            if row.metric == "real_time_ratio":
                print(f"{row.model}: real-time factor {row.value:.4f}")
    if options.memory:
        rows["ctc-memory"] = memory_rows(options, command)
    if options.save:
        for benchmark, some in rows.items():
            print(f"wrote {save_results(benchmark, some, folder=options.results, replace=False)}")
    return [row for some in rows.values() for row in some]


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark_sentences: {error}")
