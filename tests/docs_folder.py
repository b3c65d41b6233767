"""The folder that the examples of the documentation work in: videos, landmarks, datasets and models under the names that the pages use.

Everything is tiny and made here; the models that come with the package and the real fingerspelling clips of ``spoken-to-signed`` are the
ones that a reader has. In place of MediaPipe a :class:`~scripted_signer.ScriptedSigner` sees two signs and a rest in every video: what
is tested is that an example says what the library does, and that MediaPipe finds people is tested in ``tests/pose``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scripted_signer import ScriptedSigner, first_of, sign
from tiny_internvl import save_tiny_internvl
from tiny_model import save_tiny_model
from tiny_sentences import write_tiny_sentences
from tiny_signs import ROOT, write_tiny_signs
from tiny_translation import save_tiny_composite, save_tiny_recognizer, save_tiny_translator

FPS, SECONDS = 25, 4
HEIGHT, WIDTH = 180, 320


def signer(**options: Any) -> ScriptedSigner:
    """Who is in front of every camera here: a sign from 0.5 to 1.6 s, and another from 2.4 to 3.5 s."""
    return ScriptedSigner(first_of(sign(0.5, 1.6), sign(2.4, 3.5)))


def frames(count: int, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3) uint8: a grey wall that changes a little."""
    steps = np.random.default_rng(seed).integers(90, 110, (count, 1, 1, 1), np.uint8)
    return np.broadcast_to(steps, (count, HEIGHT, WIDTH, 3)).copy()


def camera() -> list[tuple[float, np.ndarray]]:
    """(seconds, frame) of a camera that shows the signer, for a few seconds."""
    return [(number / FPS, frame) for number, frame in enumerate(frames(FPS * SECONDS))]


def no_mediapipe(patch: pytest.MonkeyPatch) -> None:
    """Where no estimator is named, the signer above is seen."""
    for module in ("pose", "pose.estimator", "pipelines.clip_pipeline", "explain.explainer"):
        patch.setattr(f"signlang_hf.{module}.default_estimator", signer)


def write_docs_folder(folder: Path) -> Path:
    """Fills ``folder``, in some seconds."""
    from signlang_hf.data import load_dataset, save_dataset
    from signlang_hf.pose import estimate_frames
    from signlang_hf.rendering import render_flat, sample_scene
    from signlang_hf.video import write_video

    (folder / "recipes").symlink_to(ROOT / "recipes")
    one = write_video(folder / "clip.mp4", frames(FPS * SECONDS), FPS)
    (folder / "clips").mkdir()
    for copy in ("other.mp4", "sentence.mp4", "word.mp4", "clips/one.mp4", "clips/two.mp4"):
        (folder / copy).write_bytes(one.read_bytes())
    render_flat(sample_scene(seed=3)).save(folder / "photo.jpg")  # a made-up person
    seen = estimate_frames(frames(FPS * SECONDS), signer(), fps=FPS)
    seen.save(folder / "landmarks.npz")

    write_tiny_signs(folder / "my_signs")
    write_tiny_signs(folder / "my_landmarks")
    write_tiny_sentences(folder / "my_sentences")

    signs = load_dataset("landmark_folder", data_dir=str(folder / "my_landmarks"), cache_dir=str(folder / "cache"))
    save_dataset(signs, folder / "landmarks" / "shards")

    models = folder / "outputs"
    save_tiny_model(models / "demo", layout="mediapipe-holistic")
    save_tiny_model(models / "my_signs", layout="isl-48")
    reader = save_tiny_recognizer(models / "ctc", causal=True)
    writer = save_tiny_translator(models / "translator")
    save_tiny_composite(models / "sentences", reader, writer)
    save_tiny_model(folder / "phone" / "dgs30", layout="mediapipe-holistic")
    if importlib.util.find_spec("optimum") is not None:
        from signlang_hf.export import export_model

        export_model(models / "demo", folder / "exports" / "dgs30")
    best = models / "tune" / "best.yaml"
    best.parent.mkdir()
    best.write_bytes((ROOT / "recipes" / "configs" / "fingerspelling_transformer.yaml").read_bytes())
    _video_language_model(folder)
    return folder


def _video_language_model(folder: Path) -> None:
    """``InternVL3-2B-hf``, a base of two layers, and ``org/wlasl-vlm``, an adapter for it."""
    from signlang_hf.models.internvl import (
        SignInternVLConfig,
        SignInternVLForConditionalGeneration,
        SignInternVLProcessor,
    )

    base = save_tiny_internvl(folder / "InternVL3-2B-hf")
    labels = ("book", "doctor", "thanks")
    torch.manual_seed(0)
    model = SignInternVLForConditionalGeneration.from_base(
        SignInternVLConfig(
            base=str(base), lora={"r": 4, "lora_alpha": 8}, id2label=dict(enumerate(labels)),
            label2id={label: place for place, label in enumerate(labels)},
        )
    ).eval()  # fmt: skip
    model.save_pretrained(folder / "org" / "wlasl-vlm")
    SignInternVLProcessor.for_model(model).save_pretrained(folder / "org" / "wlasl-vlm")
