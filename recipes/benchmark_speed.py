"""How fast the networks of this library's configurations are: in onnxruntime against torch, against the network that others use, and in
batches against one by one.

    python recipes/benchmark_speed.py                        # rows in hub_cards/results/speed.json
    python recipes/benchmark_speed.py --no-save --rounds 5

How long a network takes does not depend on what it has learned, so every configuration gets fresh weights. All contenders of a
comparison take turns, and a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml

import signlang_hf  # noqa: F401 - its models
from signlang_hf.benchmark import Contender, Shape, benchmark_models, in_turns
from signlang_hf.benchmark.turns import ratio
from signlang_hf.training.arguments import ModelArguments
from signlang_hf.training.building import new_model, new_processor
from signlang_hf.training.results import RESULTS, ResultRow, format_value, save_results

CONFIGS = Path("recipes/configs")
MODELS = ("dgs30_transformer", "dgs30_bilstm", "isl30_hybrid", "dgs30_conv")
DEFAULT, OTHERS = "dgs30_bilstm", "dgs30_karsl_bilstm"
SOURCES = {"dgs30": "dgs-43", "isl30": "kinect-20"}
LABELS = [f"sign {number}" for number in range(30)]
ONE, MANY = 1, 64


def fresh_model(config: Path, folder: Path) -> Path:
    """A model of a recipe's configuration, with fresh weights and its processor."""
    given = yaml.safe_load(config.read_text(encoding="utf-8"))
    arguments = ModelArguments(model_type=given["model_type"], model=given["model"], processor=given["processor"])
    layout = given["processor"].get("layout") or SOURCES[given["dataset"]]
    rows = [{"layout": layout}]
    processor = new_processor(arguments, rows)
    torch.manual_seed(0)
    model = new_model(arguments, processor, rows, LABELS)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def versions(
    folders: list[Path], frames: int, rounds: int, say: Callable[[str], None], command: str
) -> list[ResultRow]:
    """Each model in onnxruntime, in float32 and int8, against torch, one clip at a time; and torch's own layers beside it."""
    found = benchmark_models(
        [str(folder) for folder in folders], batches=(ONE, MANY), frames=(frames,), providers=("torch", "ort", "ort-int8"),
        rounds=rounds, progress=say,
    )  # fmt: skip
    rows = []
    for one in found.rows:
        split, against = f"batch {one.batch}, {one.frames} frames", f"{one.model} in torch"
        name = f"{one.model}, {one.version}"
        rows.append(
            ResultRow(
                name, split, "clip_ms", one.median_ms / one.batch, one.runs, command, against=against, ratio=one.ratio
            )
        )
        if one.peak_mb is not None and one.batch == ONE:
            rows.append(ResultRow(name, split, "peak_memory_mb", one.peak_mb, 1, command))
    return rows


def default_against_others(ours: Path, theirs: Path, frames: int, rounds: int, command: str) -> ResultRow:
    """The default model's network against the one that others use, both in onnxruntime, one clip at a time."""
    from signlang_hf.export import export_model

    with tempfile.TemporaryDirectory() as folder:
        shape, runs = Shape(ONE, frames), {}
        for path in (theirs, ours):
            export_model(path, Path(folder, path.name))
            runs[path.name] = Contender("ort", str(Path(folder, path.name))).open().run(shape)
        times = in_turns(runs, rounds=rounds)
    mine, other = times[ours.name], times[theirs.name]
    milliseconds = 1e3 * float(np.median(mine))
    against = f"{theirs.name} (preset karsl502) in onnxruntime, {1e3 * float(np.median(other)):.2f} ms"
    split = f"{shape}, against the network that others use"
    return ResultRow(
        f"{ours.name}, ort",
        split,
        "clip_ms",
        milliseconds,
        len(mine),
        command,
        against=against,
        ratio=ratio(other, mine),
    )


def batches(folder: Path, version: str, frames: int, rounds: int, command: str) -> ResultRow:
    """Clips a second in batches against one by one."""
    opened = Contender(version, str(folder)).open()
    times = in_turns({str(size): opened.run(Shape(size, frames)) for size in (ONE, MANY)}, rounds=rounds)
    single, together = (times[str(size)] / size for size in (ONE, MANY))
    name = folder.name.removesuffix("-export")
    return ResultRow(
        f"{name}, {version}", f"batch {MANY}, {frames} frames", "clips_per_second", 1 / float(np.median(together)), len(together),
        command, against="one by one in the same rounds", ratio=ratio(single, together),
    )  # fmt: skip


def main(argv: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="configurations, by their names")
    parser.add_argument("--default", default=DEFAULT, help="the configuration of the default model")
    parser.add_argument("--others", default=OTHERS, help="the configuration that it is compared with")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    args = parser.parse_args(argv)
    if args.frames < 1 or args.rounds < 1:
        parser.error("--frames and --rounds must be at least 1.")
    command = shlex.join(["python", "recipes/benchmark_speed.py", *(sys.argv[1:] if argv is None else argv)])
    with tempfile.TemporaryDirectory(prefix="signlang-speed-") as folder:
        names = dict.fromkeys([*args.models, args.default, args.others])
        made = {name: fresh_model(CONFIGS / f"{name}.yaml", Path(folder, name)) for name in names}
        models = [made[name] for name in args.models]
        rows = versions(models, args.frames, args.rounds, lambda text: print(text, file=sys.stderr), command)
        rows.append(default_against_others(made[args.default], made[args.others], args.frames, args.rounds, command))
        rows += [batches(path, "torch", args.frames, args.rounds, command) for path in models]
        from signlang_hf.export import export_model

        for path in models:
            export_model(path, Path(folder, f"{path.name}-export"))
            rows.append(batches(Path(folder, f"{path.name}-export"), "ort", args.frames, args.rounds, command))
    for row in rows:
        beside = "" if row.ratio is None else f", {row.ratio:.2f} × {row.against}"
        print(f"{row.model}, {row.split}: {row.metric} {format_value(row)}{beside}")
    if args.save:
        print(f"wrote {save_results('speed', rows, folder=args.results, replace=False)}")
    return rows


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"benchmark_speed: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_speed: interrupted; nothing was written.")
