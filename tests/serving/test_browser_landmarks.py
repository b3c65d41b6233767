"""MediaPipe's files for browsers: only the expected archive is unpacked, only its known files, and a folder is whole or not there."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from signlang_hf.serving import browser_landmarks
from signlang_hf.serving.browser_landmarks import BUNDLES, CODE, check_integrity, is_laid_out, lay_out


def archive(path: Path, names: tuple[str, ...] = CODE, **more: bytes) -> tuple[Path, str]:
    """An npm package with a line in each file, and its integrity."""
    with tarfile.open(path, "w:gz") as package:
        for name, content in [*((f"package/{name}", f"// {name}".encode()) for name in names), *more.items()]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    digest = hashlib.sha512(path.read_bytes()).digest()
    return path, "sha512-" + base64.b64encode(digest).decode()


@pytest.fixture
def bundles(tmp_path: Path) -> dict[str, Path]:
    made = {kind: tmp_path / f"{kind}.task" for kind in BUNDLES}
    for kind, path in made.items():
        with zipfile.ZipFile(path, "w") as bundle:
            bundle.writestr(f"{kind}.tflite", kind)
    return made


def test_the_folder_holds_what_the_page_asks_for_and_nothing_else(tmp_path, bundles):
    package, integrity = archive(tmp_path / "a.tgz", **{"package/../../evil": b"x", "package/README.md": b"x"})
    made = lay_out(tmp_path / "new" / "web", archive=package, integrity=integrity, **bundles)
    files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    assert files == sorted([*CODE, *BUNDLES.values()]) and is_laid_out(made)
    assert (made / "wasm" / "vision_wasm_internal.js").read_text() == "// wasm/vision_wasm_internal.js"
    assert (made / "hand_landmarker.task").read_bytes() == bundles["hand"].read_bytes()
    assert [path.name for path in made.parent.iterdir()] == ["web"]  # nothing half-made stays
    assert not (tmp_path / "evil").exists() and not (tmp_path / "new" / "evil").exists()
    if os.name == "posix":
        assert made.stat().st_mode & 0o777 == 0o755


def test_it_is_renewed_in_its_place_and_foreign_folders_are_left_alone(tmp_path, bundles):
    package, integrity = archive(tmp_path / "a.tgz")
    made = lay_out(tmp_path / "web", archive=package, integrity=integrity, **bundles)
    (made / "package.json").write_text("old")
    lay_out(made, archive=package, integrity=integrity, **bundles)
    assert (made / "package.json").read_text() == "// package.json"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(ValueError, match="mine exists and holds something else"):
        lay_out(tmp_path / "mine", archive=package, integrity=integrity, **bundles)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


def test_another_archive_is_not_unpacked(tmp_path, bundles):
    package, integrity = archive(tmp_path / "a.tgz")
    package.write_bytes(package.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"not the expected one: its hash is sha512-.*Nothing was written"):
        lay_out(tmp_path / "web", archive=package, integrity=integrity, **bundles)
    assert not (tmp_path / "web").exists() and not list(tmp_path.glob(".web*"))
    check_integrity(
        b"", "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
    )


def test_what_is_missing_is_said(tmp_path, bundles, monkeypatch):
    package, integrity = archive(tmp_path / "a.tgz", CODE[1:])
    with pytest.raises(ValueError, match=r"vision_bundle\.mjs"):
        lay_out(tmp_path / "web", archive=package, integrity=integrity, **bundles)
    assert not (tmp_path / "web").exists()
    with pytest.raises(FileNotFoundError, match="There is no file"):
        lay_out(tmp_path / "web", archive=tmp_path / "none.tgz", **bundles)
    bundles["pose"].write_bytes(b"no archive")
    with pytest.raises(ValueError, match="is no MediaPipe bundle for the pose"):
        lay_out(tmp_path / "web", archive=package, integrity=integrity, **bundles)
    for name in ("POSE_LANDMARKER", "MEDIAPIPE_TASKS"):
        monkeypatch.delenv(f"SIGNLANG_{name}", raising=False)
    with pytest.raises(FileNotFoundError, match="needs a pose bundle"):
        lay_out(tmp_path / "web", archive=package)


def test_a_registry_that_is_not_reached_is_one_sentence(tmp_path, bundles, monkeypatch):
    monkeypatch.setattr(browser_landmarks, "TARBALL", "http://127.0.0.1:9/tasks-vision.tgz")
    with pytest.raises(
        ConnectionError, match=r"cannot be fetched \(.+\); fetch it elsewhere and name the file with --archive\."
    ):
        lay_out(tmp_path / "web", **bundles)


def test_the_command_ends_in_one_sentence(tmp_path, bundles):
    package, _ = archive(tmp_path / "a.tgz")
    command = [
        sys.executable,
        "-m",
        "signlang_hf.serving.browser_landmarks",
        str(tmp_path / "web"),
        "--archive",
        str(package),
    ]
    done = subprocess.run(
        [*command, "--pose", str(bundles["pose"]), "--hand", str(bundles["hand"])], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("browser_landmarks: The archive is not the expected one")
    assert done.stderr.count("\n") == 1


def test_the_page_looks_where_the_files_are():
    page = Path(browser_landmarks.__file__).parent / "page" / "points.js"
    text = page.read_text(encoding="utf-8")
    assert (
        'new URL("mediapipe/", import.meta.url)' in text
        and "${FOLDER}vision_bundle.mjs" in text
        and "${FOLDER}wasm" in text
    )
    assert all(f'"{name}"' in text for name in BUNDLES.values())
