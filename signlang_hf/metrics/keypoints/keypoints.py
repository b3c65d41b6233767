"""Keypoint detection: PCK of body and hands, errors in pixels, object keypoint similarity and its average precision.

Used as ``evaluate.load("…/signlang_hf/metrics/keypoints")``, as the class below, or through the plain functions; :func:`keypoint_metrics`
gives all of them. Self-contained: ``evaluate`` runs a copy of this file.

Design decisions:

* Only points that are visible in the reference count. A prediction may leave a point out (NaN); in PCK and OKS it then counts as wrong.
* PCK@α (Yang & Ramanan 2013): the share of points not further from the reference than α times a length of the part that they belong to.
  For the 17 points of the body and the 5 of the face that is the torso's diameter (Sapp & Taskar 2013), from the left shoulder to the right
  hip, else from the right shoulder to the left hip; for the 21 points of a hand the longer side of the box around those visible.
* Signers are often filmed to the waist. Where neither diagonal is visible the diameter is taken as 1.5 times the distance of the shoulders:
  with the segment lengths of Drillis & Contini (1966; in Winter 2009, figure 4.1) shoulders 0.259 H wide, hips 0.191 H, 0.288 H apart, it is
  1.41 times. Points that are marked in pictures lie further inside than the ends of those segments: MediaPipe's give 1.6 to 1.8 for
  signers who face the camera, so 1.5 is on the strict side. Somebody who stands sideways is measured too strictly. Where the shoulders are not visible, and for a hand with fewer than two visible points, the points do not count in
  PCK: ``unmeasured`` is their number.
* OKS as in COCO (Lin et al. 2014; cocoeval.py), with the constants of COCO-WholeBody (Jin et al. 2020) for body and hands; the points of
  the face take those of the body's nose, eyes and ears. Average precision is that of pycocotools: 10 thresholds from 0.5 to 0.95, 101
  recall levels, at most 20 detections an image.
* OKS needs an area. Where no segment's area is given it is 0.53 of the box's, as in the evaluation of CrowdPose and xtcocotools.
* Intervals resample images (or groups of them, such as videos), not points: points of one person err together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """Keypoint detection on persons whose detections are known to be theirs: PCK at several thresholds for all points, body and
hands, mean squared and mean error in pixels, object keypoint similarity (OKS) and the average precision that follows from it, with percentile
bootstrap intervals over images or groups of them."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: N persons, each K points x, y in pixels of the image, and where known a confidence; NaN for a point that was not found.
    references: N persons likewise, in the same order: K points x, y in pixels, NaN for a point that is not visible.
    names: the K names, default the 64 of signlang-64.
    thresholds: of PCK, default 0.05 and 0.1.
    images: N names of the images, for persons that share one; default: each has an image of its own.
    groups: N names of what the intervals resample, for instance the videos that the images come from; default: the images.
    boxes: N boxes x, y, width, height in pixels; default: around the visible points.
    areas: N areas in square pixels; default: 0.53 of the boxes'.
    scores: N confidences of the predictions; default: the mean of their points', else 1.
    confidence: of the intervals, default 0.95.
    num_resamples: bootstrap resamples, default 1000; 0 leaves the intervals out.
    seed: of the resampling.
Returns:
    pck@0.05, pck@0.05-body, pck@0.05-hands and so on, oks (the mean), oks_ap, oks_ap50, oks_ap75 and oks_ar as fractions; mse (pixels²) and
    mean_error (pixels) of the points that were found; n (persons), n_images, n_points (visible points), n_points-body and n_points-hands (those
    that PCK counts), unmeasured (visible points that it cannot count) and missing (visible points that were not found); keypoints: for each name its mse, mean_error, n and missing; with _low and
    _high for each pck, oks and oks_ap. What has nothing to be measured on is NaN.
"""

BODY: tuple[str, ...] = ("nose",) + tuple(
    f"{side}_{joint}"
    for joint in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
_HAND = ("wrist", *(f"thumb_{joint}" for joint in ("cmc", "mcp", "ip", "tip"))) + tuple(
    f"{finger}_{joint}" for finger in ("index", "middle", "ring", "little") for joint in ("mcp", "pip", "dip", "tip")
)
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
KEYPOINTS: tuple[str, ...] = (
    BODY
    + tuple(f"{side}_hand_{point}" for side in ("left", "right") for point in _HAND)
    + tuple(f"face_{point}" for point in _FACE)
)
"""The 64 names of the layout ``signlang-64``, in its order."""

SHOULDERS_TO_TORSO = 1.5
"""Diameter of a torso over the distance of its shoulders, for persons whose hips are not visible."""
BOX_TO_AREA = 0.53
"""Area of a person over that of the box around it."""

# github.com/cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py (body) and github.com/jin-s13/COCO-WholeBody, evaluation/ (hands).
_BODY_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
_HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021, 0.032,
    0.020, 0.019, 0.022, 0.031,
)  # fmt: skip
SIGMAS: dict[str, float] = dict(zip(BODY, _BODY_SIGMAS))
SIGMAS |= {f"{side}_hand_{point}": sigma for side in ("left", "right") for point, sigma in zip(_HAND, _HAND_SIGMAS)}
SIGMAS |= {f"face_{point}": SIGMAS[point] for point in _FACE}
"""Standard deviation of an annotator over the root of the person's area, by point."""

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALL_LEVELS = np.linspace(0, 1, 101)
_MOST_DETECTIONS = 20


class AveragePrecision(NamedTuple):
    """``ap`` and ``ar`` over all thresholds, ``ap50`` and ``ap75`` at one; NaN without a reference to find."""

    ap: float
    ap50: float
    ap75: float
    ar: float


def parts_of(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions of the points of ``body``, ``face``, ``left_hand`` and ``right_hand`` among ``names``; every name is in one of them."""
    prefixes = {"left_hand": "left_hand_", "right_hand": "right_hand_", "face": "face_"}
    parts: dict[str, list[int]] = {"body": [], **{part: [] for part in prefixes}}
    for i, name in enumerate(names):
        parts[next((part for part, prefix in prefixes.items() if name.startswith(prefix)), "body")].append(i)
    return {part: np.array(points, int) for part, points in parts.items()}


def torso_diameters(references: np.ndarray, names: Sequence[str] = KEYPOINTS) -> np.ndarray:
    """(N,) pixels from references (N, K, 2) with NaN for points that are not visible; NaN where it cannot be known."""
    points = {name: references[:, i] for i, name in enumerate(names)}
    missing = np.full((len(references), 2), np.nan)

    def distance(a: str, b: str) -> np.ndarray:
        return np.linalg.norm(points.get(a, missing) - points.get(b, missing), axis=1)

    diameters = distance("left_shoulder", "right_hip")
    for other in (
        distance("right_shoulder", "left_hip"),
        SHOULDERS_TO_TORSO * distance("left_shoulder", "right_shoulder"),
    ):
        diameters = np.where(diameters > 0, diameters, other)
    return np.where(diameters > 0, diameters, np.nan)


def point_scales(references: np.ndarray, names: Sequence[str] = KEYPOINTS) -> np.ndarray:
    """(N, K) pixels: the length that PCK measures each point by; NaN where there is none. ``references`` as for :func:`torso_diameters`."""
    parts = parts_of(names)
    scales = np.empty(references.shape[:2])
    scales[:, np.concatenate([parts["body"], parts["face"]])] = torso_diameters(references, names)[:, None]
    for hand in ("left_hand", "right_hand"):
        points = references[:, parts[hand]]
        if points.shape[1]:
            side = _extent(points)[:, 2:].max(axis=1)
            scales[:, parts[hand]] = np.where(side > 0, side, np.nan)[:, None]
    return scales


def oks_matrix(
    predictions: np.ndarray,
    references: np.ndarray,
    areas: np.ndarray,
    *,
    boxes: np.ndarray | None = None,
    names: Sequence[str] = KEYPOINTS,
) -> np.ndarray:
    """Object keypoint similarity of D detections with G references of one image.

    Mean over the reference's visible points of exp(-d² / (2 · area · (2σ)²)). For a reference without a visible point, COCO takes the distances
    to its box made twice as large on every side; without ``boxes`` its similarity is 0.

    Args:
        predictions: (D, K, 2) pixels, NaN for points not found.
        references: (G, K, 2) pixels, NaN for points not visible.
        areas: (G,) square pixels.
        boxes: (G, 4) x, y, width, height.
        names: the K names.

    Returns:
        (D, G) in [0, 1].
    """
    # COCO's κ is 2σ; np.spacing keeps an area of 0 from dividing.
    spread = 2 * (2 * _sigmas(names)) ** 2
    squared = np.square(predictions[:, None] - references[None]).sum(-1)
    visible = np.isfinite(references).all(-1)
    empty = ~visible.any(1)
    if boxes is not None and empty.any():
        x, y, width, height = boxes[empty].T[:, None, :, None]
        outside = [
            np.maximum(0, low - size - at) + np.maximum(0, at - low - 2 * size)
            for at, low, size in ((predictions[:, None, :, 0], x, width), (predictions[:, None, :, 1], y, height))
        ]
        squared[:, empty] = np.square(outside[0]) + np.square(outside[1])
        visible[empty] = True
    with np.errstate(over="ignore"):
        likeness = np.exp(-squared / spread / (areas[None, :, None] + np.spacing(1)))
    likeness = np.where(np.isnan(squared) | ~visible, 0, likeness)
    return likeness.sum(-1) / np.maximum(visible.sum(-1), 1)


def oks_average_precision(
    predictions: np.ndarray,
    references: np.ndarray,
    areas: np.ndarray,
    *,
    prediction_images: Sequence[Hashable],
    reference_images: Sequence[Hashable],
    scores: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    names: Sequence[str] = KEYPOINTS,
) -> AveragePrecision:
    """COCO's average precision and recall over OKS thresholds, for any number of detections and persons an image; crowds are not known.

    Args:
        predictions: (D, K, 2) pixels, NaN for points not found.
        references: (G, K, 2) pixels, NaN for points not visible. A person without any is neither to be found nor wrong to be found.
        areas: (G,) square pixels.
        prediction_images, reference_images: D and G names of images.
        scores: (D,) confidences; default: all the same.
        boxes: (G, 4) x, y, width, height of the persons; only those without visible points need one.
        names: the K names.

    Raises:
        ValueError: arrays that do not fit each other.
    """
    scores = np.ones(len(predictions)) if scores is None else np.asarray(scores, float)
    matches = _matches(
        np.asarray(predictions, float)[..., :2], np.asarray(references, float)[..., :2], np.asarray(areas, float),
        list(prediction_images), list(reference_images), scores, None if boxes is None else np.asarray(boxes, float), names,
    )  # fmt: skip
    return _average_precision(matches)


def keypoint_metrics(
    predictions: np.ndarray | Sequence[Any],
    references: np.ndarray | Sequence[Any],
    *,
    names: Sequence[str] = KEYPOINTS,
    thresholds: Sequence[float] = (0.05, 0.1),
    images: Sequence[Hashable] | None = None,
    groups: Sequence[Hashable] | None = None,
    boxes: np.ndarray | Sequence[Any] | None = None,
    areas: np.ndarray | Sequence[float] | None = None,
    scores: np.ndarray | Sequence[float] | None = None,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The metric on arrays, for N persons with one prediction each.

    Args:
        predictions: (N, K, 2), or (N, K, 3) with confidences; x and y in pixels of the image, NaN for a point that was not found.
        references: (N, K, 2) pixels, NaN for a point that is not visible.
        names: the K names; known are those of :data:`KEYPOINTS`.
        thresholds: of PCK.
        images, groups, boxes, areas, scores: one for each person, as the metric's ``inputs_description`` says. Persons of one image compete
            in ``oks_ap``, so frames of a video are images of their own and the video is their group.
        confidence, num_resamples, seed: of the bootstrap intervals over groups; 0 resamples leave them out.

    Returns:
        The entries that the metric's ``inputs_description`` names.

    Raises:
        ValueError: arrays that do not fit each other, unknown names, a threshold that is not positive, no person.
    """
    names = list(names)
    found, truth, scores = _checked(predictions, references, names, scores)
    persons = len(truth)
    images = list(range(persons)) if images is None else list(images)
    boxes = _extent(truth) if boxes is None else np.asarray(boxes, float).reshape(-1, 4)
    areas = BOX_TO_AREA * boxes[:, 2] * boxes[:, 3] if areas is None else np.asarray(areas, float).reshape(-1)
    groups = images if groups is None else list(groups)
    for what, given in (("images", images), ("groups", groups), ("boxes", boxes), ("areas", areas), ("scores", scores)):
        if len(given) != persons:
            raise ValueError(f"There are {len(given)} {what} for {persons} persons; give one for each.")
    if not thresholds or any(not (0 < threshold < np.inf) for threshold in thresholds):
        raise ValueError(f"thresholds are {list(thresholds)}; each must be a positive number.")
    image, num_images = _numbered(images)
    group, num_groups = _numbered(groups)
    group_of_image = np.zeros(num_images, int)
    group_of_image[image] = group
    if (group_of_image[image] != group).any():
        raise ValueError("An image is in two groups; each must lie in one.")

    visible = np.isfinite(truth).all(-1)
    squared = np.square(found - truth).sum(-1)
    distance = np.sqrt(squared)
    scales = point_scales(truth, names)
    measured = visible & np.isfinite(scales)
    point_groups = _point_groups(names)
    counted = visible & ~np.isnan(squared)
    # One (groups, 2) table of numerator and denominator for each rate: their sums over any choice of groups give its value there.
    rates: dict[str, np.ndarray] = {}
    for threshold in thresholds:
        # A NaN distance or scale compares as False: wrong, or not among those measured.
        right = measured & (distance <= threshold * scales)
        for suffix, points in point_groups.items():
            rates[f"pck@{threshold:g}{suffix}"] = _per_group(
                right[:, points].sum(1), measured[:, points].sum(1), group, num_groups
            )
    usable = visible.any(1)
    similarity = np.array(
        [oks_matrix(found[i : i + 1], truth[i : i + 1], areas[i : i + 1], names=names)[0, 0] for i in range(persons)]
    )
    rates["oks"] = _per_group(np.where(usable, similarity, 0), usable, group, num_groups)
    kept = np.flatnonzero(usable)
    kept_images = [int(image[i]) for i in kept]
    matches = _matches(
        found[kept], truth[kept], areas[kept], kept_images, kept_images, scores[kept], None, names, num_images
    )
    precision = _average_precision(matches)

    result: dict[str, Any] = {name: _share(table) for name, table in rates.items()}
    result |= {f"oks_{name}": value for name, value in precision._asdict().items()}
    result |= {
        "mse": _mean(squared[counted]),
        "mean_error": _mean(distance[counted]),
        "n": persons,
        "n_images": num_images,
        "n_points": int(visible.sum()),
        **{f"n_points{part}": int(measured[:, points].sum()) for part, points in point_groups.items() if part},
        "unmeasured": int((visible & ~measured).sum()),
        "missing": int((visible & ~counted).sum()),
        "keypoints": {
            name: {
                "mse": _mean(squared[counted[:, i], i]),
                "mean_error": _mean(distance[counted[:, i], i]),
                "n": int(counted[:, i].sum()),
                "missing": int((visible[:, i] & ~counted[:, i]).sum()),
            }
            for i, name in enumerate(names)
        },
    }
    if num_resamples:
        rng, samples = np.random.default_rng(seed), {name: [] for name in (*rates, "oks_ap")}
        for _ in range(num_resamples):
            rows = rng.integers(num_groups, size=num_groups)
            for name, table in rates.items():
                samples[name].append(_share(table[rows]))
            times = np.bincount(rows, minlength=num_groups)[group_of_image]
            samples["oks_ap"].append(_average_precision(matches, times).ap)
        tail = 50 * (1 - confidence)
        for name, values in samples.items():
            # A resample may hold nothing to measure a rare part on.
            low, high = np.nanpercentile(values, [tail, 100 - tail]) if not np.isnan(values).all() else (np.nan,) * 2
            result[f"{name}_low"], result[f"{name}_high"] = float(low), float(high)
    return result


class _Matches(NamedTuple):
    """All detections by falling score: (T, D) whether one found a person and whether it counts, (D,) its image; (I,) persons to find."""

    found: np.ndarray
    counts: np.ndarray
    image: np.ndarray
    persons: np.ndarray


def _matches(
    predictions: np.ndarray, references: np.ndarray, areas: np.ndarray, prediction_images: list[Any], reference_images: list[Any],
    scores: np.ndarray, boxes: np.ndarray | None, names: Sequence[str], images: int | None = None,
) -> _Matches:  # fmt: skip
    """COCO's greedy matching in each image, in the order of their names (or of all numbers below ``images``)."""
    detections, persons = (len(predictions),), (len(references),)
    if (
        (len(prediction_images),) != detections or (len(reference_images),) != persons or scores.shape != detections
        or areas.shape != persons or (boxes is not None and boxes.shape != (*persons, 4))
    ):  # fmt: skip
        raise ValueError(
            f"{len(predictions)} predictions need as many images ({len(prediction_images)}) and scores {scores.shape}, "
            f"{len(references)} references as many images ({len(reference_images)}) and areas {areas.shape}."
        )
    if np.isnan(scores).any():
        raise ValueError(f"{np.isnan(scores).sum()} of {len(scores)} scores are NaN.")
    detected: dict[Any, list[int]] = {}
    present: dict[Any, list[int]] = {}
    for names_of, listed in ((prediction_images, detected), (reference_images, present)):
        for i, name in enumerate(names_of):
            listed.setdefault(name, []).append(i)
    found, counts, image, order_by, to_find = [], [], [], [], []
    for number, name in enumerate(range(images) if images is not None else sorted({*detected, *present})):
        rows, columns = np.array(detected.get(name, []), int), np.array(present.get(name, []), int)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:_MOST_DETECTIONS]
        ignorable = ~np.isfinite(references[columns]).all(-1).any(1)
        box = None if boxes is None else boxes[columns]
        table = oks_matrix(predictions[rows], references[columns], areas[columns], boxes=box, names=names)
        pairs = [_pair(table, ignorable, threshold) for threshold in OKS_THRESHOLDS]
        partner = np.array(pairs, int).reshape(len(OKS_THRESHOLDS), len(rows))
        found.append(partner >= 0)
        counts.append(~((partner >= 0) & np.append(ignorable, False)[partner]))
        image.append(np.full(len(rows), number))
        order_by.append(-scores[rows])
        to_find.append((~ignorable).sum())
    if not to_find:
        raise ValueError("There are neither predictions nor references.")
    order = np.argsort(np.concatenate(order_by), kind="stable")
    return _Matches(
        np.concatenate(found, axis=1)[:, order], np.concatenate(counts, axis=1)[:, order],
        np.concatenate(image)[order], np.array(to_find),
    )  # fmt: skip


def _pair(table: np.ndarray, ignorable: np.ndarray, threshold: float) -> list[int]:
    """For each detection, best first, the person that it found, or -1: the most similar one that is still free, ignorable ones last."""
    free, pairs = np.ones(table.shape[1], bool), []
    for row in table:
        best = -1
        for kind in (~ignorable, ignorable):
            able = np.flatnonzero(free & kind & (row >= threshold))
            if len(able):
                # Of equals the last, as cocoeval's comparison has it.
                best = int(able[len(able) - 1 - np.argmax(row[able][::-1])])
                free[best] = False
                break
        pairs.append(best)
    return pairs


def _average_precision(matches: _Matches, times: np.ndarray | None = None) -> AveragePrecision:
    """``times`` (I,): how often each image counts, which gives the same as repeating its detections and persons."""
    times = np.ones(len(matches.persons)) if times is None else times
    persons = float((matches.persons * times).sum())
    if not persons:
        return AveragePrecision(*(float("nan"),) * 4)
    weights = matches.counts * times[matches.image]
    right, wrong = np.cumsum(matches.found * weights, axis=1), np.cumsum(~matches.found * weights, axis=1)
    recall = right / persons
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    levels = np.zeros((len(OKS_THRESHOLDS), len(_RECALL_LEVELS)))
    for row, (reached, height) in enumerate(zip(recall, precision)):
        at = np.searchsorted(reached, _RECALL_LEVELS, side="left")
        levels[row, at < len(height)] = height[at[at < len(height)]]
    each = levels.mean(axis=1)
    final = recall[:, -1].mean() if recall.shape[1] else 0.0
    return AveragePrecision(float(each.mean()), float(each[0]), float(each[5]), float(final))


def _checked(
    predictions: Any, references: Any, names: list[str], scores: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    faulty = [name for i, name in enumerate(names) if name not in SIGMAS or name in names[:i]]
    if faulty:
        raise ValueError(
            f"names must hold points of signlang-64, each once; {', '.join(faulty)} is not known or there twice."
        )
    try:
        found, truth = np.asarray(predictions, float), np.asarray(references, float)
    except (TypeError, ValueError):
        raise ValueError(
            f"predictions and references must hold {len(names)} points x, y for each person; some hold another number."
        ) from None
    if (
        truth.ndim != 3 or len(truth) == 0 or truth.shape[1:] != (len(names), 2)
        or found.ndim != 3 or found.shape[:2] != truth.shape[:2] or found.shape[2] not in (2, 3)
    ):  # fmt: skip
        raise ValueError(
            f"Predictions {found.shape} and references {truth.shape} must be (N, {len(names)}, 2 or 3) and (N, {len(names)}, 2), N at least 1."
        )
    xy = np.where(np.isfinite(found[..., :2]).all(-1, keepdims=True), found[..., :2], np.nan)
    truth = np.where(np.isfinite(truth).all(-1, keepdims=True), truth, np.nan)
    if scores is not None:
        return xy, truth, np.asarray(scores, float).reshape(-1)
    if found.shape[2] == 2:
        return xy, truth, np.ones(len(xy))
    seen = np.isfinite(xy).all(-1) & np.isfinite(found[..., 2])
    return xy, truth, np.where(seen, found[..., 2], 0).sum(1) / np.maximum(seen.sum(1), 1)


def _point_groups(names: Sequence[str]) -> dict[str, np.ndarray]:
    parts = parts_of(names)
    hands = np.concatenate([parts["left_hand"], parts["right_hand"]])
    return {"": np.arange(len(names)), "-body": parts["body"], "-hands": hands}


def _sigmas(names: Sequence[str]) -> np.ndarray:
    return np.array([SIGMAS[name] for name in names])


def _extent(points: np.ndarray) -> np.ndarray:
    """(N, 4) x, y, width, height of the box around the points (N, K, 2) that are not NaN; NaN where there is none."""
    seen = np.isfinite(points)
    low = np.where(seen, points, np.inf).min(axis=1)
    high = np.where(seen, points, -np.inf).max(axis=1)
    none = ~seen.any(axis=(1, 2))
    low[none], high[none] = np.nan, np.nan
    return np.concatenate([low, high - low], axis=1)


def _numbered(names: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    """Each name as a number by first appearance, and how many there are."""
    places = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([places[name] for name in names]), len(places)


def _per_group(numerator: np.ndarray, denominator: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    columns = [np.bincount(group, weights=values, minlength=groups) for values in (numerator, denominator)]
    return np.stack(columns, axis=1)


def _share(table: np.ndarray) -> float:
    top, bottom = table.sum(axis=0)
    return float(top / bottom) if bottom else float("nan")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


class KeypointMetrics(evaluate.Metric):
    """The metric as an ``evaluate`` module."""

    def _info(self) -> evaluate.MetricInfo:
        points: Callable[[], Any] = lambda: datasets.Sequence(datasets.Sequence(datasets.Value("float64")))  # noqa: E731
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": points(), "references": points()}),
        )

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        return keypoint_metrics(predictions, references, **options)
