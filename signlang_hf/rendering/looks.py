"""How a person, their clothes and the room look: colours and cuts, drawn at random.

Colours are sRGB in [0, 1]. Skin runs over the ten tones of the Monk scale (Monk, 2019), each as likely as the others.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

MONK_TONES = np.array(
    [
        (246, 237, 228), (243, 231, 219), (247, 234, 208), (234, 218, 186), (215, 189, 150),
        (160, 126, 86), (130, 92, 67), (96, 65, 52), (58, 49, 42), (41, 36, 32),
    ]
) / 255.0  # fmt: skip
_HAIR = np.array([(20, 17, 16), (38, 28, 22), (62, 43, 30), (96, 66, 40), (150, 112, 66), (196, 168, 120), (150, 148, 146),
                  (110, 50, 28)]) / 255.0  # fmt: skip
PATTERNS: tuple[str, ...] = ("plain", "stripes", "checks", "mottled")


@dataclass(frozen=True)
class Look:
    """What the body's surface does not get from the pose.

    ``sleeve`` is the share of the arm that is covered (0: none, 1: to the wrist), ``loose`` how far cloth stands off in metres,
    ``hem`` where the shirt ends in trunk lengths above the hips, ``neckline`` where it ends at the neck, ``hair`` one of
    ``bald``, ``short``, ``medium``, ``long``, ``bun``, ``scarf``.
    """

    colours: Mapping[str, np.ndarray]
    pattern: str
    pattern_colour: np.ndarray
    pattern_size: float
    sleeve: float
    loose: float
    hem: float
    neckline: float
    hair: str
    hair_thickness: float
    hair_length: float
    beard: bool
    glasses: bool
    mouth_open: float
    roughness: Mapping[str, float] = field(default_factory=dict)


def sample_look(rng: np.random.Generator) -> Look:
    """A random look."""
    skin = sample_skin(rng)
    hair_colour = np.clip(_HAIR[rng.integers(len(_HAIR) if skin.mean() > 0.55 else 4)] * rng.uniform(0.7, 1.25), 0, 1)
    hair = str(rng.choice(["bald", "short", "medium", "long", "bun", "scarf"], p=[0.06, 0.42, 0.14, 0.22, 0.10, 0.06]))
    shirt = sample_colour(rng, plain=0.45)
    colours = {
        "skin": skin,
        "palm": np.clip(skin + 0.35 * (np.array([0.93, 0.74, 0.66]) - skin) * (1.0 - skin.mean()), 0, 1),
        "nail": np.clip(0.55 * skin + 0.45 * np.array([0.95, 0.78, 0.74]), 0, 1),
        "lip": np.clip(skin * np.array([0.86, 0.60, 0.58]) + np.array([0.06, 0.0, 0.0]), 0, 1),
        "shirt": shirt,
        "trousers": sample_colour(rng, plain=0.7) * 0.7,
        "shoe": sample_colour(rng, plain=0.8) * 0.5,
        "hair": sample_colour(rng, plain=0.3) if hair == "scarf" else hair_colour,
        "brow": np.clip(hair_colour * 0.75, 0, 1),
        "eye": np.array([0.92, 0.91, 0.89]),
        "iris": np.array(
            [(0.10, 0.06, 0.04), (0.20, 0.13, 0.07), (0.22, 0.32, 0.36)][rng.choice(3, p=[0.5, 0.3, 0.2])]
        ),
        "mouth": np.array([0.20, 0.05, 0.06]),
        "frame": sample_colour(rng, plain=0.8) * 0.4,
        "furniture": sample_colour(rng, plain=0.6),
    }
    if rng.random() < 0.08:
        colours["nail"] = sample_colour(rng, plain=0.0)
    return Look(
        colours=colours,
        pattern=str(rng.choice(PATTERNS, p=[0.55, 0.16, 0.14, 0.15])),
        pattern_colour=sample_colour(rng, plain=0.5),
        pattern_size=float(rng.uniform(0.015, 0.08)),
        sleeve=float(rng.choice([0.0, rng.uniform(0.18, 0.42), rng.uniform(0.55, 0.8), rng.uniform(0.9, 0.985)],
                                p=[0.08, 0.42, 0.15, 0.35])),
        loose=float(rng.uniform(0.004, 0.016)),
        hem=float(rng.uniform(-0.16, 0.06)),
        neckline=float(rng.uniform(1.04, 1.17)),
        hair=hair,
        hair_thickness=float(rng.uniform(0.02, 0.07)),
        hair_length=float(rng.uniform(0.7, 1.5)),
        beard=bool(hair in ("bald", "short") and rng.random() < 0.3),
        glasses=bool(rng.random() < 0.16),
        mouth_open=float(max(0.0, rng.normal(0.0, 0.03))),
        roughness={"skin": float(rng.uniform(0.35, 0.65)), "shirt": float(rng.uniform(0.6, 0.95))},
    )  # fmt: skip


def sample_skin(rng: np.random.Generator) -> np.ndarray:
    """A tone between two neighbours on the Monk scale, a little redder or yellower."""
    place = rng.uniform(0.0, len(MONK_TONES) - 1.0)
    low = int(place)
    tone = MONK_TONES[low] + (place - low) * (MONK_TONES[min(low + 1, len(MONK_TONES) - 1)] - MONK_TONES[low])
    # The scale's swatches are paler than faces in pictures: blood makes them redder.
    tone = tone * np.array([1.0, rng.uniform(0.80, 0.94), rng.uniform(0.70, 0.90)])
    return np.clip(tone * rng.uniform(0.85, 1.08), 0.03, 1.0)


def sample_colour(rng: np.random.Generator, plain: float = 0.4) -> np.ndarray:
    """Any colour; with the chance ``plain`` a grey, near-black or near-white one."""
    if rng.random() < plain:
        value = rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.15, 0.75), rng.uniform(0.75, 0.98)])
        return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.12), value))
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.1, 0.95)))
