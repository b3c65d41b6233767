"""How much memory a contender takes: the highest resident set of a process that does nothing else.

Python, torch and, for exports, onnxruntime are in it: it is what a machine needs. Shapes go from small to large, so the highest so far
is that of the last one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

import torch

from ..training.memory import can_measure, resident_mb
from .contenders import Contender, Shape


def peak_memory(contender: Contender, shapes: Sequence[Shape]) -> dict[Shape, float]:
    """MB (10⁶ bytes) for each shape; nothing where the system does not tell.

    Raises:
        ValueError: the process failed, with its last line.
    """
    if not can_measure():
        return {}
    ordered = sorted(shapes, key=lambda shape: shape.batch * max(1, shape.frames))
    given = json.dumps({"contender": asdict(contender), "shapes": ordered, "threads": torch.get_num_threads()})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", __name__, given], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ValueError(f"The memory of {contender.version} could not be measured: {last}")
    return dict(zip(ordered, json.loads(done.stdout.strip().splitlines()[-1])))


def _measure(given: dict) -> list[float]:
    torch.set_num_threads(given["threads"])
    opened = Contender(**given["contender"]).open()
    peaks = []
    with torch.inference_mode():
        for shape in given["shapes"]:
            opened.run(Shape(*shape))()
            peaks.append(resident_mb(highest=True))
    return peaks


if __name__ == "__main__":
    print(json.dumps(_measure(json.loads(sys.argv[1]))))
