"""Export a model to ONNX, and see on a dataset what that, and fewer bits, cost.

    python recipes/export_onnx.py --model dgs30 --out exports/dgs30 --quantize int8 --dataset dgs30 --data_dir DGS
    python recipes/export_onnx.py --model detector --out exports/detector --quantize int8 --calibration pictures \\
        --dataset keypoint_images --data_dir my_frames

writes the model in float32 to ``exports/dgs30`` and with fewer bits to ``exports/dgs30-int8``, and measures torch, float32 and
int8 on the split. A version that loses more than ``--limit`` points is reported and removed unless ``--keep`` is given; the last line
names the folder to use. The command ends with 1 where the float32 export loses more than that, which it never should.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

import signlang_hf  # noqa: F401 - its pipelines
from signlang_hf import pretrained
from signlang_hf.data import load_dataset

console = Console()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder, Hub id or bundled name")
    parser.add_argument(
        "--out", required=True, help="folder for the float32 export; '-int8' or '-fp16' is added for the other"
    )
    parser.add_argument("--quantize", choices=("int8", "fp16"), help="fewer bits; without it only float32 is measured")
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--calibration", help="pictures and videos of signers, for int8 of a keypoint detector")
    parser.add_argument("--dataset", required=True, help="registered dataset, Parquet folder or Hub id")
    parser.add_argument("--data_dir", help="folder with the dataset's source")
    parser.add_argument("--split", default="test")
    parser.add_argument("--options", default="{}", help="options of the dataset as JSON")
    parser.add_argument("--provider", default="cpu", help="of onnxruntime")
    parser.add_argument("--limit", type=float, default=1.0, help="points that may be lost")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--keep", action="store_true", help="keep a version that loses more than that")
    args = parser.parse_args(argv)
    if args.limit < 0 or args.batch_size < 1:
        parser.error("--limit is 0 or more, and --batch_size at least 1.")
    return args


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Export, measure, and choose.

    Returns:
        ``{"folder": what to use, "comparisons": {"float32": {…}, "int8": {…}}}``; what has run is in each of them.
    """
    args = arguments(argv)
    from signlang_hf.export import export_model
    from signlang_hf.export.comparing import Comparison, compare
    from signlang_hf.export.pictures import calibration_pictures

    rows = load_dataset(args.dataset, args.data_dir, split=args.split, **json.loads(args.options))
    source = pretrained.resolve(args.model)
    versions = {"float32": args.out}
    export_model(source, args.out, opset=args.opset)
    if args.quantize:
        versions[args.quantize] = f"{args.out}-{args.quantize}"
        pictures = calibration_pictures(args.calibration) if args.calibration else []
        export_model(source, versions[args.quantize], quantize=args.quantize, opset=args.opset, pictures=pictures)
    found: dict[str, Comparison] = {}
    for name, folder in versions.items():
        settings = {"provider": args.provider, "batch_size": args.batch_size, "limit": args.limit}
        found[name] = compare(source, folder, rows, **settings)
    table = Table("", "MB", "against torch", next(iter(found.values())).metric, "points lost")
    first = found["float32"]
    table.add_row("torch", f"{first.bytes_before / 1e6:.2f}", "", f"{100 * first.before:.2f}", "")
    for name, one in found.items():
        speed = "" if one.speedup is None else f"{one.speedup:.2f} × as fast"
        table.add_row(name, f"{one.bytes_after / 1e6:.2f}", speed, f"{100 * one.after:.2f}", f"{one.drop:+.2f}")
    console.print(table)
    chosen = "float32"
    if args.quantize:
        if found[args.quantize].chosen:
            chosen = args.quantize
        else:
            console.print(f"{args.quantize} loses more than {args.limit:g} points; float32 is what to use.")
            if not args.keep:
                shutil.rmtree(versions[args.quantize])
    ran = ", ".join(f"{provider} ({count} operators)" for provider, count in found[chosen].ran_on.items())
    console.print(f"Use {versions[chosen]}; it ran on {ran}.", soft_wrap=True)
    comparisons = {name: one.to_dict() for name, one in found.items()}
    return {"folder": versions[chosen], "comparisons": comparisons}


if __name__ == "__main__":
    try:
        result = main()
        sys.exit(int(not result["comparisons"]["float32"]["chosen"]))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"export_onnx: {error}")
    except KeyboardInterrupt:
        sys.exit("export_onnx: interrupted; run the same command again.")
