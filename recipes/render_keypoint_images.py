"""Make synthetic pictures of signing people with exact labels of the 64 points: a folder for ``keypoint_images``.

    pip install "signlang-hf[blender]"                    # Python 3.11; bpy, numpy, Pillow and tqdm are all it takes
    python recipes/render_keypoint_images.py --out synthetic --split train=2600,validation=200,test=200
    python recipes/render_keypoint_images.py --out quick --count 200 --renderer flat

Every picture has a seed of its own, hence its own person, pose, clothes, room, light and camera, and no two splits share one.
A run that was stopped goes on where it was when called again: what has a label is complete and is not made again. The last
line says how many pictures a minute were made.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from signlang_hf.landmarks.files import atomic_write
from signlang_hf.rendering import BlenderRenderer, Scene, finish, render_flat, sample_scene

if TYPE_CHECKING:
    from PIL.Image import Image

# Seeds of two runs with different --seed do not meet as long as neither makes more pictures than this.
SEEDS_A_RUN = 1_000_000
QUALITY = 92


def read_split(text: str) -> dict[str, int]:
    """``train=2600,test=200`` → {"train": 2600, "test": 200}. Raises ValueError that says what is wrong."""
    splits: dict[str, int] = {}
    for piece in text.split(","):
        name, _, number = piece.strip().partition("=")
        if not name.isidentifier() or not number.isdigit() or int(number) < 1 or name in splits:
            raise ValueError(f"--split has '{piece.strip()}'; write it like train=2600,validation=200,test=200.")
        splits[name] = int(number)
    return splits


def jobs(out: Path, splits: dict[str, int], seed: int) -> list[tuple[Path, int]]:
    """Folder and seed of every picture; a split named "" is the folder itself. All splits grow alike, should the run be stopped."""
    places = [(out / name, (i + 0.5) / number) for name, number in splits.items() for i in range(number)]
    order = sorted(range(len(places)), key=lambda i: places[i][1])
    return [(places[i][0], seed * SEEDS_A_RUN + i) for i in order]


def paths(folder: Path, seed: int) -> tuple[Path, Path]:
    """Where a seed's picture and label belong."""
    return folder / "images" / f"{seed:08d}.jpg", folder / "labels" / f"{seed:08d}.json"


def write(folder: Path, scene: Scene, picture: Image) -> None:
    """Picture first and label last, each whole or not at all: a label means that its picture is there."""
    image, label = paths(folder, scene.seed)
    atomic_write(image, lambda stream: picture.save(stream, "JPEG", quality=QUALITY))
    text = json.dumps(scene.label(image.name), indent=1)
    atomic_write(label, lambda stream: stream.write(text.encode()))


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write or to go on with")
    parser.add_argument("--count", type=int, help="number of pictures; without it the sum of --split, or 3000")
    parser.add_argument("--split", help="pictures of each split, such as train=2600,validation=200,test=200")
    parser.add_argument("--renderer", choices=["blender", "flat"], default="blender")
    parser.add_argument(
        "--look_at", choices=["person", "hand"], default="person", help="the signer, or close-ups of a hand"
    )
    parser.add_argument("--size", type=int, default=384, help="pictures have about size² pixels")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other pictures")
    parser.add_argument("--samples", type=int, default=8, help="rays a pixel (Blender)")
    parser.add_argument("--threads", type=int, default=1, help="threads of Blender; 0 takes all cores")
    args = parser.parse_args(argv)
    for name, least in (("size", 64), ("samples", 1), ("seed", 0), ("threads", 0), ("count", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f"--{name} is {value}; it must be at least {least}.")
    try:
        args.splits = read_split(args.split) if args.split else {"": args.count or 3000}
    except ValueError as error:
        parser.error(str(error))
    total = sum(args.splits.values())
    if args.count and args.count != total:
        parser.error(f"--count is {args.count}, but --split adds up to {total}; leave one of them out.")
    if total > SEEDS_A_RUN:
        parser.error(f"{total} pictures are more than the {SEEDS_A_RUN} of one --seed; use several seeds.")
    if args.out.exists() and not args.out.is_dir():
        parser.error(f"--out is {args.out}, which is a file; name a folder.")
    return args


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    todo = [job for job in jobs(args.out, args.splits, args.seed) if not all(path.is_file() for path in paths(*job))]
    made = {
        path.name: path.parent.parent for path in (*args.out.glob("labels/*.json"), *args.out.glob("*/labels/*.json"))
    }
    moved = sum(made.get(paths(*job)[1].name, job[0]) != job[0] for job in jobs(args.out, args.splits, args.seed))
    if moved:
        sys.exit(
            f"{args.out} was made with another --split: {moved} of its pictures would now belong to another one. Go on with that --split, or "
            "name another folder."
        )
    total = sum(args.splits.values())
    if not todo:
        print(f"All {total} pictures are in {args.out} already.")
        return
    try:
        render: Callable[[Scene], Image]
        render = render_flat if args.renderer == "flat" else BlenderRenderer(args.samples, args.threads)
    except ImportError as error:
        sys.exit(str(error))
    start = time.perf_counter()
    for folder, seed in tqdm(todo, initial=total - len(todo), total=total, unit="image"):
        scene = sample_scene(seed, args.size, args.look_at)
        write(folder, scene, finish(render(scene), scene))
    seconds = time.perf_counter() - start
    print(f"{len(todo)} images in {seconds:.0f} s, {60 * len(todo) / seconds:.1f} images a minute, in {args.out}.")


if __name__ == "__main__":
    main()
