"""Real things to click: what a Space offers to somebody who has no clip at hand.

Design decisions:

* Nothing is packed with the library. Real fingerspelling comes with the package ``spoken-to-signed`` (MIT), a photograph with matplotlib;
  clips and pictures lie in ``SIGNLANG_DATA`` where that is set, or in the dataset on the Hub that ``SIGNLANG_EXAMPLES`` names.
* Whether there are any is asked when the page is built, which loads nothing; a file is made or fetched at the click.
* Gradio shows files of its own cache and of the temporary folder only, so an example is copied there.
* An example names the model that knows its signs: letters are nothing to a model of thirty German words.
"""

from __future__ import annotations

import shutil
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from . import settings
from .clips import SUFFIXES
from .models import LOADING
from .pictures import new_file

SPELLER = "ase"
"""American Sign Language: the bundled model of letters was trained on all others, so it has seen none of these clips."""
# Files of the development data, what is to be seen in them, and the bundled model that has something to say about it.
_CLIPS = {
    "yo_001.mp4": ("Video: Mexican YO (I)", "dgs30"),
    "doctor_001.mp4": ("Video: Mexican DOCTOR", "dgs30"),
}
_PICTURES = (".jpg", ".jpeg", ".png")
_VIDEOS = (".mp4", ".mov", ".webm")
_MOST = 8  # of a dataset on the Hub


@dataclass(frozen=True)
class Example:
    """Something to click: its ``label``, how its file is had, and the bundled ``model`` that goes with it (None: any)."""

    label: str
    make: Callable[[], Path]
    model: str | None = None


def kind_of(path: Path) -> str:
    """What a file is to a Space."""
    suffix = path.suffix.lower()
    return "landmarks" if suffix in SUFFIXES else "picture" if suffix in _PICTURES else "video"


def letters(which: str) -> list[Example]:
    """Letters of American Sign Language, as recorded; none where ``spoken-to-signed`` is missing."""
    if find_spec("spoken_to_signed") is None:
        return []
    return [Example(f"Letter {letter}", lambda letter=letter: _letter(letter), "fingerspelling") for letter in which]


def words(which: Sequence[str]) -> list[Example]:
    """Words spelled with these letters, joined by movements as hands could make them."""
    if find_spec("spoken_to_signed") is None:
        return []
    return [Example(f"{word.capitalize()}, spelled", lambda word=word: spelled(word), "spelling") for word in which]


def clips(model: str | None = None) -> list[Example]:
    """Videos of ``SIGNLANG_DATA``; ``model`` stands in for the one that goes with them."""
    folder = Path(settings.text("DATA", ".")) / "clips"
    if not settings.text("DATA"):
        return []
    return [
        Example(label, lambda name=name: _copied(folder / name), model or own)
        for name, (label, own) in _CLIPS.items()
        if (folder / name).is_file()
    ]


def pictures() -> list[Example]:
    """Photographs of people: that which comes with matplotlib, and those of ``SIGNLANG_DATA``."""
    found = []
    spec = find_spec("matplotlib")
    if spec is not None and spec.submodule_search_locations:
        photo = Path(spec.submodule_search_locations[0], "mpl-data", "sample_data", "grace_hopper.jpg")
        if photo.is_file():
            found.append(Example("Grace Hopper, 1984", lambda: _copied(photo)))
    if settings.text("DATA"):
        folder = Path(settings.text("DATA"), "keypoint-images")
        chosen = sorted(path for path in (folder / "coco-wholebody").glob("*") if path.suffix.lower() in _PICTURES)[:2]
        found += [Example(f"Photograph {n}", lambda path=path: _copied(path)) for n, path in enumerate(chosen, 1)]
    return found


def on_the_hub(suffixes: Sequence[str]) -> list[Example]:
    """Files of the owner's dataset on the Hub; none where none is named. Asks the Hub, so not while a page is built.

    Raises:
        ValueError: the dataset cannot be read.
    """
    dataset = settings.text("EXAMPLES")
    if not dataset:
        return []
    from huggingface_hub import HfApi

    try:
        files = HfApi().list_repo_files(dataset, repo_type="dataset")
    except OSError as error:
        raise ValueError(f"The examples in {dataset} cannot be had from the Hub ({type(error).__name__}).") from error
    chosen = [file for file in sorted(files) if file.lower().endswith(tuple(suffixes))][:_MOST]
    return [Example(Path(file).stem.replace("_", " "), lambda file=file: _downloaded(dataset, file)) for file in chosen]


CLIP_SUFFIXES = (*_VIDEOS, *SUFFIXES)
PICTURE_SUFFIXES = _PICTURES


def spelled(word: str) -> Path:
    """A landmark file of a word in real letters of American Sign Language.

    Raises:
        ValueError: other letters than a to z.
        ImportError: ``spoken-to-signed`` is missing.
    """
    with LOADING:
        from ..data.concatenate import concatenate
        from ..data.fingerspelled_words import HOLD, check_words
        from ..data.single_sign import Sign
    from ..landmarks import load_landmarks

    (word,) = check_words([word])
    files = _alphabet()
    # Without the face, whose 478 points say nothing about letters and make large files.
    clips = [load_landmarks(files[letter]).to_layout("mediapipe-holistic") for letter in word.upper()]
    joined = concatenate([Sign.measure(clip, hold=HOLD) for clip in clips], seed=0).sequence
    return joined.save(new_file(f"{word}.npz"))


def _letter(letter: str) -> Path:
    return _copied(_alphabet()[letter], f"letter_{letter}.pose")


def _alphabet() -> dict[str, Path]:
    with LOADING:
        from ..data.fingerspelling import read_lexicon

    files = {row["letter"]: row["file"] for row in read_lexicon() if row["language"] == SPELLER}
    assert set(string.ascii_uppercase) == set(files)
    return files


def _copied(path: Path, name: str | None = None) -> Path:
    return Path(shutil.copy(path, new_file(name or path.name)))


def _downloaded(dataset: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return _copied(Path(hf_hub_download(dataset, file, repo_type="dataset")))
    except OSError as error:
        raise ValueError(f"{file} cannot be had from the Hub ({type(error).__name__}).") from error
