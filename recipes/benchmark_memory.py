"""How much memory training needs when the dataset is larger than it should be: rows from the memory-mapped cache, against all in RAM.

    python recipes/benchmark_memory.py                                  # 100,000 clips, 2.4 GB on disk, result rows
    python recipes/benchmark_memory.py --clips 20000 --no-save

Synthetic clips are written to an Arrow cache by ``datasets``, as every builder of the library does. Then three processes of their own
do what a training does: split by class, look for leaks, hash all rows, train a very small Transformer on clips in random order. One
reads all clips from the memory map, one a tenth of them, one a tenth that it holds in RAM (which takes several times as much for a
moment, while it is read; that is not counted).

Counted is *private* memory (``RssAnon``), which the process alone has and cannot do without, and the resident set (``RssFile`` on top): pages of
the mapped file that the system keeps as long as nobody else wants them. Linux only, for these two.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from signlang_hf.data.leaks import find_leaks
from signlang_hf.data.rows import landmark_features
from signlang_hf.data.splits import stratified_split
from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.rows import to_row
from signlang_hf.training.results import RESULTS, ResultRow, save_results

LAYOUT, CLASSES, BATCH = "isl-48", 100, 64
STATUS = Path("/proc/self/status")
RUNS = {"mapped": "memory-mapped", "part": "memory-mapped", "held": "all in RAM"}
"""What the processes do → how the table calls it; the last two read a tenth of the clips."""


def make_rows(clips: range, frames: int, seed: int) -> Iterator[dict[str, Any]]:
    """Clips as a camera gives them: one class after the other, smooth movement, a hand away now and then."""
    points = len(get_layout(LAYOUT))
    for number in clips:
        rng = np.random.default_rng([seed, number])
        start = rng.uniform(0.2, 0.8, (1, points, 3))
        data = (start + np.cumsum(rng.normal(0, 0.003, (frames, points, 3)), axis=0)).astype(np.float32)
        data[: number % 5, -21:] = np.nan
        sequence = LandmarkSequence(data, LAYOUT, fps=25, size=(1280, 720))
        yield to_row(sequence, id=str(number), signer=str(number % 20), label=number % CLASSES)


def write(folder: Path, clips: int, frames: int, seed: int) -> list[Path]:
    """Write the clips below ``folder``; the Arrow files."""
    features = landmark_features(LAYOUT, label_names=[f"sign {number}" for number in range(CLASSES)])
    rows = Dataset.from_generator(
        make_rows,
        features=features,
        cache_dir=str(folder),
        gen_kwargs={"clips": range(clips), "frames": frames, "seed": seed},
        writer_batch_size=100,
    )
    return [Path(file["filename"]) for file in rows.cache_files]


@contextmanager
def peaks() -> Iterator[dict[str, float]]:
    """Peaks of private and resident memory of this process while the context is open, in MB."""
    found = {"private": 0.0, "resident": 0.0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
            private, mapped = (int(lines[name].split()[0]) / 1e3 for name in ("RssAnon", "RssFile"))
            found["private"] = max(found["private"], private)
            found["resident"] = max(found["resident"], private + mapped)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def train(files: list[Path], steps: int, in_memory: bool) -> dict[str, float]:
    """Split, check, hash and train; peaks in MB, how much was there before the data, and seconds of the two parts."""
    import torch

    from signlang_hf.models.keypoint import SignKeypointProcessor, SignTransformerConfig
    from signlang_hf.models.keypoint import SignTransformerForSignClassification as Model
    from signlang_hf.training.clips import ClipCollator, ClipDataset, digest

    torch.manual_seed(0)
    processor = SignKeypointProcessor(layout=LAYOUT)
    labels = {number: f"sign {number}" for number in range(CLASSES)}
    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = Model(SignTransformerConfig(input_size=processor.feature_size, id2label=labels, **sizes))
    optimizer = torch.optim.AdamW(model.parameters())
    with peaks() as before:
        time.sleep(0.1)
    rows = concatenate_datasets([Dataset.from_file(str(file), in_memory=in_memory) for file in files])
    pa.default_memory_pool().release_unused()
    with peaks() as found:
        start = time.perf_counter()
        splits = stratified_split(rows, test_size=0.1)
        find_leaks(splits)
        for split in splits.values():
            digest(split)
        read = time.perf_counter() - start
        loader = torch.utils.data.DataLoader(
            ClipDataset(splits["train"], processor), BATCH, shuffle=True, collate_fn=ClipCollator(processor)
        )
        start, done = time.perf_counter(), 0
        while done < steps:
            for batch in loader:
                model(**batch).loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                done += 1
                if done == steps:
                    break
        training = time.perf_counter() - start
    return found | {"start": before["private"], "read_seconds": read, "train_seconds": training}


def in_process_of_its_own(run: str, files: list[Path], steps: int) -> dict[str, float]:
    """What :func:`train` measures, in a fresh process."""
    given = json.dumps([[str(file) for file in files], steps, run == "held"])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, __file__, "--run", given], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"The run '{run}' failed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--steps", type=int, default=300, help=f"training steps of {BATCH} clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder", type=Path, help="where the cache goes; default: a temporary folder, removed at the end"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # what the processes of their own are started with
    options = parser.parse_args(arguments)
    if options.run:
        files, steps, in_memory = json.loads(options.run)
        print(json.dumps(train([Path(file) for file in files], steps, in_memory)))
        return {}
    if not STATUS.is_file():
        parser.error("this measures with /proc, which Linux alone has.")
    if options.clips < 20 * CLASSES or options.frames < 5 or options.steps < 1:
        parser.error(f"--clips must be at least {20 * CLASSES}, --frames 5 and --steps 1.")

    with tempfile.TemporaryDirectory(prefix="signlang-memory-") as temporary:
        sizes = {run: options.clips if run == "mapped" else options.clips // 10 for run in RUNS}
        caches = {
            clips: write(options.folder or Path(temporary), clips, options.frames, options.seed)
            for clips in sorted(set(sizes.values()))
        }
        found = {}
        for run, name in RUNS.items():
            clips, files = sizes[run], caches[sizes[run]]
            disk = sum(file.stat().st_size for file in files) / 1e6
            found[run] = in_process_of_its_own(run, files, options.steps) | {"clips": clips, "disk": disk}
            one = found[run]
            print(
                f"{name:<14} {clips:>7,} clips, {one['disk']:7,.0f} MB on disk: private {one['start']:5,.0f} → "
                f"{one['private']:5,.0f} MB, resident {one['resident']:5,.0f} MB; read all {one['read_seconds']:.1f} s, "
                f"{options.steps} steps {one['train_seconds']:.1f} s"
            )

    if options.save:
        command = shlex.join(
            ["python", "recipes/benchmark_memory.py", *(sys.argv[1:] if arguments is None else arguments)]
        )
        metrics = {"disk": "on_disk_mb", "private": "peak_private_memory_mb", "resident": "peak_resident_memory_mb"}
        rows = [
            ResultRow(
                model=f"training, {RUNS[run]}",
                split=f"{int(one['clips']):,} clips of {options.frames} frames, {LAYOUT}",
                metric=metric,
                value=one[key],
                n=int(one["clips"]),
                command=command,
                seeds=(options.seed,),
                headline=run != "part" and key != "resident",
            )
            for run, one in found.items()
            for key, metric in metrics.items()
        ]
        print(f"wrote {save_results('speed', rows, folder=options.results, replace=False)}")
    return found


if __name__ == "__main__":
    main()
