"""Print what the library and some of its extras require, from ``setup.cfg`` alone.

    python deploy/requirements.py serve,pose,onnx > requirements.txt

So the layer of an image that holds the packages depends on ``setup.cfg`` and the constraints, and not on every line of the code.
"""

from __future__ import annotations

import sys
from configparser import ConfigParser
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.cfg"


def requirements(extras: list[str], setup: Path = SETUP) -> list[str]:
    """Requirements, one a line, each once.

    Raises:
        ValueError: an extra that ``setup.cfg`` does not have.
    """
    parser = ConfigParser(interpolation=None)
    with setup.open(encoding="utf-8") as stream:
        parser.read_file(stream)
    known = parser["options.extras_require"]
    missing = [extra for extra in extras if extra not in known]
    if missing:
        raise ValueError(f"There is no extra {', '.join(missing)}; there are {', '.join(known)}.")
    blocks = [parser["options"]["install_requires"], *(known[extra] for extra in extras)]
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


if __name__ == "__main__":
    try:
        print("\n".join(requirements([extra for extra in "".join(sys.argv[1:]).split(",") if extra])))
    except ValueError as error:
        sys.exit(f"requirements: {error}")
