"""MediaPipe's files for browsers, laid out as the page looks for them: it then finds joints itself and sends no pictures.

    SIGNLANG_MEDIAPIPE_TASKS=folder/with/tasks python -m signlang_hf.serving.browser_landmarks mediapipe-web
    SIGNLANG_BROWSER_LANDMARKS=mediapipe-web signlang serve

Design decisions:

* The code comes from the npm registry, one fixed version, and nothing of the archive is used before its SHA-512 is checked. Its later
  versions (1.0 and on) report their use to Google; this one calls nobody.
* The two ``.task`` bundles are the user's own: the same that MediaPipe Tasks uses in Python, found in the same way.
* The folder is made beside its place and then moved there, so a server never sees half of it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..pose.tasks import find_bundle

VERSION = "0.10.21"
TARBALL = f"https://registry.npmjs.org/@mediapipe/tasks-vision/-/tasks-vision-{VERSION}.tgz"
INTEGRITY = "sha512-TuhKH+credq4zLksGbYrnvJ1aLIWMc5r0UHwzxzql4BHECJwIAoBR61ZrqwGOW6ZmSBIzU1t4VtKj8hbxFaKeA=="
MAX_BYTES = 100_000_000
# What a browser asks for, by the name that it has in the archive after ``package/``. package.json names version and licence.
CODE: tuple[str, ...] = (
    "vision_bundle.mjs",
    "wasm/vision_wasm_internal.js",
    "wasm/vision_wasm_internal.wasm",
    "wasm/vision_wasm_nosimd_internal.js",
    "wasm/vision_wasm_nosimd_internal.wasm",
    "package.json",
)
BUNDLES: Mapping[str, str] = MappingProxyType({"pose": "pose_landmarker.task", "hand": "hand_landmarker.task"})
_TIMEOUT = 60.0


def lay_out(
    folder: str | os.PathLike[str],
    *,
    pose: str | os.PathLike[str] | None = None,
    hand: str | os.PathLike[str] | None = None,
    archive: str | os.PathLike[str] | None = None,
    integrity: str = INTEGRITY,
) -> Path:
    """Make the folder that the setting ``browser_landmarks`` of a server names.

    Args:
        folder: where; what an earlier call made there is replaced.
        pose, hand: bundles, as for :class:`~signlang_hf.pose.mediapipe.MediaPipeEstimator`.
        archive: the npm package as a file, for machines that do not reach the registry; default: it is fetched.
        integrity: what the archive must have, as npm writes it.

    Returns:
        the folder.

    Raises:
        FileNotFoundError: no such bundle or archive, or none configured.
        ConnectionError: the registry does not give the archive.
        ValueError: an archive or bundle that is not what it should be, or a folder that holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not is_laid_out(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and holds something else; name an empty or a new folder.")
    bundles = {kind: find_bundle(kind, given) for kind, given in (("pose", pose), ("hand", hand))}
    for kind, bundle in bundles.items():
        if not zipfile.is_zipfile(bundle):
            raise ValueError(
                f"{bundle} is no MediaPipe bundle for the {kind}: it is not a .task file, which is a ZIP archive."
            )
    content = _fetched() if archive is None else _read(Path(archive))
    check_integrity(content, integrity)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _unpack(content, made)
        for kind, bundle in bundles.items():
            shutil.copyfile(bundle, made / BUNDLES[kind])
        made.chmod(0o755)  # a server under another account reads it too
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def is_laid_out(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds all that the page asks for."""
    return all(Path(folder, name).is_file() for name in (*CODE, *BUNDLES.values()))


def check_integrity(content: bytes, integrity: str) -> None:
    """Raise ValueError unless the content has that hash (``sha512-`` and base64, as npm writes it)."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != integrity:
        raise ValueError(
            f"The archive is not the expected one: its hash is {found}, and it must be {integrity}. Nothing was written."
        )


def _fetched() -> bytes:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(TARBALL, timeout=_TIMEOUT) as response:  # a fixed https address
            content = response.read(MAX_BYTES + 1)
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(
            f"{TARBALL} cannot be fetched ({reason}); fetch it elsewhere and name the file with --archive."
        ) from error
    if len(content) > MAX_BYTES:
        raise ValueError(f"{TARBALL} is larger than {MAX_BYTES // 1_000_000} MB.")
    return content


def _read(archive: Path) -> bytes:
    if not archive.is_file():
        raise FileNotFoundError(f"There is no file {archive}.")
    if archive.stat().st_size > MAX_BYTES:
        raise ValueError(f"{archive} is larger than {MAX_BYTES // 1_000_000} MB.")
    return archive.read_bytes()


def _unpack(content: bytes, folder: Path) -> None:
    """Write the files of :data:`CODE` by their own names; no path of the archive is followed."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as package:
            for name in CODE:
                member = package.getmember(f"package/{name}")
                stream = package.extractfile(member)
                if stream is None or member.size > MAX_BYTES:
                    raise ValueError(f"In the archive, {name} is no plain file.")
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(stream.read())
    except KeyError as error:
        raise ValueError(f"The archive is not the expected one: {error.args[0]}.") from error
    except tarfile.TarError as error:
        raise ValueError(f"The archive cannot be read: {error}.") from error


def main(argv: list[str] | None = None) -> Path:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m signlang_hf.serving.browser_landmarks",
        description="Lay out MediaPipe's files for browsers, for signlang serve --browser-landmarks FOLDER.",
    )
    parser.add_argument("folder", help="folder to make")
    parser.add_argument("--pose", help="pose_landmarker*.task; default: as SIGNLANG_MEDIAPIPE_TASKS says")
    parser.add_argument("--hand", help="hand_landmarker*.task; default: as SIGNLANG_MEDIAPIPE_TASKS says")
    parser.add_argument(
        "--archive", help=f"the npm package @mediapipe/tasks-vision {VERSION} as a file; default: it is fetched"
    )
    given = parser.parse_args(argv)
    made = lay_out(given.folder, pose=given.pose, hand=given.hand, archive=given.archive)
    print(f"wrote {made}")
    return made


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"browser_landmarks: {error}")
