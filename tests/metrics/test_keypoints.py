"""The metric keypoints: PCK by hand, OKS and its average precision as in pycocotools, honest intervals, and the ways to call it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.landmarks import get_layout
from signlang_hf.metrics.keypoints import keypoints as module
from signlang_hf.metrics.keypoints.keypoints import (
    BODY,
    KEYPOINTS,
    SIGMAS,
    KeypointMetrics,
    keypoint_metrics,
    oks_average_precision,
    oks_matrix,
    parts_of,
    point_scales,
    torso_diameters,
)

FOLDER = Path(module.__file__).parent
INDEX = {name: i for i, name in enumerate(KEYPOINTS)}
LEFT, RIGHT = slice(17, 38), slice(38, 59)


def person(**points: tuple[float, float]) -> np.ndarray:
    """(64, 2) with these points visible."""
    reference = np.full((64, 2), np.nan)
    for name, xy in points.items():
        reference[INDEX[name]] = xy
    return reference


def whole_person(seed: int = 0) -> np.ndarray:
    """Torso of diameter 50, hands of 20 × 10 and 8 × 16 pixels, all else somewhere."""
    rng = np.random.default_rng(seed)
    reference = rng.uniform(0, 100, (64, 2))
    for name, xy in {
        "left_shoulder": (60, 20), "right_shoulder": (30, 20), "left_hip": (55, 60), "right_hip": (30, 60),
    }.items():  # fmt: skip
        reference[INDEX[name]] = xy
    for hand, corner, size in ((LEFT, (70, 50), (20, 10)), (RIGHT, (10, 50), (8, 16))):
        inside = rng.random((21, 2))
        inside[0], inside[1] = 0, 1
        reference[hand] = corner + inside * size
    return reference


def persons_in_images(seed: int, images: int = 25, noise: float = 0.06):
    """Random persons of all sizes, up to 4 an image, with detections that are near, far, missing, double or of nobody."""
    rng = np.random.default_rng(seed)
    references, areas, boxes, places = [], [], [], []
    found, found_places, scores = [], [], []
    for image in range(images):
        for _ in range(rng.integers(0, 5)):
            size = np.exp(rng.uniform(3, 6))
            corner = rng.uniform(0, 300, 2)
            reference = corner + rng.random((64, 2)) * size
            reference[rng.random(64) < rng.choice([0.1, 0.6, 1.0], p=[0.5, 0.4, 0.1])] = np.nan
            references.append(reference)
            places.append(image)
            boxes.append([*corner, size, size * rng.uniform(0.5, 2)])
            areas.append(boxes[-1][2] * boxes[-1][3] * rng.uniform(0.3, 0.7))
            for _ in range(rng.choice([0, 1, 2, 12], p=[0.2, 0.5, 0.25, 0.05])):
                full = np.where(np.isnan(reference), corner + rng.random((64, 2)) * size, reference)
                found.append(full + rng.normal(0, noise * size * rng.exponential(1), full.shape))
                found_places.append(image)
        for _ in range(rng.integers(0, 3)):
            found.append(rng.uniform(0, 400, 2) + rng.random((64, 2)) * 80)
            found_places.append(image)
    scores = rng.choice(np.linspace(0, 1, 40), len(found))  # with ties
    shuffled = rng.permutation(len(found))
    return (
        np.array(found)[shuffled], np.array(references), np.array(areas), np.array(boxes),
        [found_places[i] for i in shuffled], places, scores,
    )  # fmt: skip


def coco_evaluation(found, references, areas, boxes, found_places, places, scores, sigmas):
    """AP, AP50, AP75 and AR of pycocotools on the same persons, and its similarities by image."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth, annotations = coco.COCO(), []
        for i, reference in enumerate(references):
            seen = ~np.isnan(reference[:, 0])
            triples = np.concatenate([np.nan_to_num(reference), 2.0 * seen[:, None]], axis=1)
            annotations.append({
                "id": i + 1, "image_id": places[i] + 1, "category_id": 1, "iscrowd": 0, "area": float(areas[i]),
                "bbox": [float(v) for v in boxes[i]], "keypoints": triples.ravel().tolist(), "num_keypoints": int(seen.sum()),
            })  # fmt: skip
        images = [{"id": i + 1} for i in range(max([*places, *found_places]) + 1)]
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
        truth.createIndex()
        results = [
            {
                "image_id": place + 1, "category_id": 1, "score": float(score),
                "keypoints": np.concatenate([xy, np.ones((len(xy), 1))], axis=1).ravel().tolist(),
            }
            for xy, place, score in zip(found, found_places, scores)
        ]  # fmt: skip
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.asarray(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[[0, 1, 2, 5]], evaluation.ious


def test_the_points_are_those_of_the_layout_and_every_one_has_its_constant():
    assert get_layout("signlang-64").points == KEYPOINTS and set(SIGMAS) == set(KEYPOINTS)
    layout, parts = get_layout("signlang-64"), parts_of(KEYPOINTS)
    assert {part: tuple(points) for part, points in parts.items()} == {
        "body": layout.parts["pose"], "face": layout.parts["face"],
        "left_hand": layout.parts["left_hand"], "right_hand": layout.parts["right_hand"],
    }  # fmt: skip


def test_the_bodys_constants_are_those_of_pycocotools():
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    theirs = cocoeval.Params("keypoints").kpt_oks_sigmas
    assert np.allclose([SIGMAS[name] for name in BODY], theirs)
    assert [SIGMAS[f"face_{name}"] for name in BODY[:5]] == [SIGMAS[name] for name in BODY[:5]]


# ---------------------------------------------------------------------------------------------------------------------- PCK


def test_what_a_torso_measures():
    diagonal = person(left_shoulder=(60, 20), right_hip=(30, 60), right_shoulder=(30, 20), left_hip=(55, 90))
    other = person(left_shoulder=(60, 20), right_shoulder=(30, 20), left_hip=(60, 60))
    shoulders = person(left_shoulder=(60, 20), right_shoulder=(30, 60))
    one_side = person(left_shoulder=(60, 20), left_hip=(60, 60))
    assert torso_diameters(np.stack([diagonal, other, shoulders])).tolist() == [50, 50, 75]
    nothing = np.stack([one_side, person(left_shoulder=(1, 1), right_shoulder=(1, 1)), person()])
    assert np.isnan(torso_diameters(nothing)).all()


def test_hands_are_measured_by_their_own_box():
    scales = point_scales(whole_person()[None])[0]
    assert (scales[LEFT] == 20).all() and (scales[RIGHT] == 16).all()
    assert (scales[:17] == 50).all() and (scales[59:] == 50).all()
    half = whole_person()
    half[LEFT][1:] = np.nan
    half[RIGHT] = np.nan
    scales = point_scales(half[None])[0]
    assert np.isnan(scales[17:59]).all() and (scales[:17] == 50).all()


def test_pck_made_by_hand():
    reference = whole_person()
    prediction = reference.copy()
    prediction[INDEX["nose"]] += (3, 0)  # 0.06 of the torso: right at 0.1
    prediction[INDEX["left_knee"]] += (3, 4)  # exactly 0.1
    prediction[INDEX["left_hand_ring_pip"]] += (0, 1.5)  # 0.075 of the hand
    prediction[INDEX["right_hand_wrist"]] = np.nan  # not found: wrong
    prediction[INDEX["face_nose"]] += (0, 20)  # in the overall figure alone
    found = keypoint_metrics([prediction], [reference], thresholds=(0.05, 0.1, 0.2), num_resamples=0)
    assert found["pck@0.05"] == 59 / 64 and found["pck@0.1"] == 62 / 64 and found["pck@0.2"] == 62 / 64
    assert found["pck@0.05-body"] == 15 / 17 and found["pck@0.1-body"] == 1
    assert found["pck@0.05-hands"] == 40 / 42 and found["pck@0.1-hands"] == 41 / 42
    assert (found["n"], found["n_points"], found["n_points-body"], found["n_points-hands"]) == (1, 64, 17, 42)
    assert (found["unmeasured"], found["missing"]) == (0, 1)


def test_points_that_are_not_visible_do_not_count_wherever_they_are_predicted():
    reference = whole_person()
    reference[[INDEX["nose"], INDEX["left_hand_ring_pip"]]] = np.nan
    prediction = np.where(np.isnan(reference), 1e6, reference)
    found = keypoint_metrics([prediction], [reference], num_resamples=0)
    assert found["pck@0.05"] == found["oks"] == 1 and found["n_points"] == 62 and found["mse"] == 0
    assert found["keypoints"]["nose"] == {"mse": pytest.approx(np.nan, nan_ok=True),
                                          "mean_error": pytest.approx(np.nan, nan_ok=True), "n": 0, "missing": 0}  # fmt: skip


def test_what_cannot_be_measured_is_counted_and_left_out():
    hand_only = person()
    hand_only[RIGHT] = whole_person()[RIGHT]
    hand_only[INDEX["right_elbow"]] = (5, 5)
    hand_only[INDEX["left_hand_wrist"]] = (9, 9)
    found = keypoint_metrics([hand_only + 100], [hand_only], num_resamples=0)
    assert found["unmeasured"] == 2 and found["n_points"] == 23 and found["n_points-hands"] == 21
    assert np.isnan(found["pck@0.1-body"]) and found["pck@0.1"] == found["pck@0.1-hands"] == 0
    assert found["mse"] == pytest.approx(20000) and found["keypoints"]["right_elbow"]["n"] == 1
    nobody = keypoint_metrics([person()], [person()])
    assert np.isnan([nobody["pck@0.1"], nobody["oks"], nobody["oks_ap"], nobody["mse"], nobody["pck@0.1_low"]]).all()


def test_errors_of_each_point():
    references = np.stack([whole_person(seed) for seed in range(5)])
    rng = np.random.default_rng(1)
    shift = rng.normal(0, 3, references.shape)
    predictions = references + shift
    predictions[2, INDEX["nose"]] = np.nan
    found = keypoint_metrics(predictions, references, num_resamples=0)
    each = found["keypoints"]
    assert list(each) == list(KEYPOINTS)
    squared = (shift**2).sum(-1)
    assert each["left_hip"]["mse"] == pytest.approx(squared[:, INDEX["left_hip"]].mean())
    assert each["left_hip"]["mean_error"] == pytest.approx(np.sqrt(squared[:, INDEX["left_hip"]]).mean())
    assert each["nose"]["mse"] == pytest.approx(squared[[0, 1, 3, 4], 0].mean())
    assert (each["nose"]["n"], each["nose"]["missing"], found["missing"]) == (4, 1, 1)
    squared[2, 0] = np.nan
    assert found["mse"] == pytest.approx(np.nanmean(squared))


def test_scale_does_not_matter_and_larger_thresholds_never_give_less():
    references = np.stack([whole_person(seed) for seed in range(8)])
    predictions = references + np.random.default_rng(0).normal(0, 2, references.shape)
    small = keypoint_metrics(predictions, references, thresholds=(0.02, 0.05, 0.1, 0.5), num_resamples=0)
    large = keypoint_metrics(predictions * 7, references * 7, thresholds=(0.02, 0.05, 0.1, 0.5), num_resamples=0)
    for group in ("", "-body", "-hands"):
        values = [small[f"pck@{threshold}{group}"] for threshold in (0.02, 0.05, 0.1, 0.5)]
        assert values == sorted(values) and 0 < values[1] < values[2] < 1
        assert values == [large[f"pck@{threshold}{group}"] for threshold in (0.02, 0.05, 0.1, 0.5)]
    assert large["oks"] == pytest.approx(small["oks"]) and large["mse"] == pytest.approx(49 * small["mse"])


# ---------------------------------------------------------------------------------------------------------------------- OKS


def test_oks_made_by_hand():
    reference = person(nose=(10, 10), left_hip=(20, 30))
    prediction = person(nose=(13, 14), left_hip=(20, 30))
    expected = (np.exp(-25 / (2 * 900 * (2 * 0.026) ** 2)) + 1) / 2
    assert oks_matrix(prediction[None], reference[None], np.array([900.0]))[0, 0] == pytest.approx(expected)
    missing = person(left_hip=(20, 30))
    assert oks_matrix(missing[None], reference[None], np.array([900.0]))[0, 0] == 0.5
    by_box = keypoint_metrics([prediction], [reference], boxes=[[0, 0, 20, 45]], num_resamples=0)["oks"]
    assert by_box == pytest.approx((np.exp(-25 / (2 * 0.53 * 900 * (2 * 0.026) ** 2)) + 1) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_as_in_pycocotools(seed):
    data = persons_in_images(seed, images=40 if seed else 3)
    found, references, areas, boxes, found_places, places, scores = data
    expected, similarities = coco_evaluation(*data, [SIGMAS[name] for name in KEYPOINTS])
    result = oks_average_precision(
        found, references, areas, prediction_images=found_places, reference_images=places, scores=scores, boxes=boxes
    )
    assert np.allclose(result, expected, rtol=0, atol=1e-6)
    assert 0.05 < result.ap < 0.95
    checked = 0
    for (image, _), theirs in similarities.items():
        rows = np.flatnonzero(np.array(found_places) == image - 1)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:20]
        columns = np.flatnonzero(np.array(places) == image - 1)
        if len(rows) and len(columns):
            ours = oks_matrix(found[rows], references[columns], areas[columns], boxes=boxes[columns])
            assert np.allclose(ours, theirs, rtol=0, atol=1e-9)
            checked += theirs.size
    assert checked > 3


def test_persons_known_to_be_theirs_as_in_pycocotools():
    """What keypoint_metrics says of pairs is what COCO says of them as detections among several persons an image."""
    rng = np.random.default_rng(3)
    references = np.stack([whole_person(seed) for seed in range(30)]) + rng.uniform(0, 40, (30, 1, 2))
    references[rng.random((30, 64)) < 0.3] = np.nan
    predictions = np.nan_to_num(references) + rng.normal(0, 1, references.shape) * rng.exponential(3, (30, 1, 1))
    boxes = np.array([[0, 0, 120, 130]] * 30, float)
    areas, images, scores = rng.uniform(3000, 9000, 30), [i // 3 for i in range(30)], rng.random(30)
    expected, _ = coco_evaluation(
        predictions, references, areas, boxes, images, images, scores, [SIGMAS[n] for n in KEYPOINTS]
    )
    found = keypoint_metrics(predictions, references, images=images, areas=areas, scores=scores, boxes=boxes)
    assert np.allclose([found[f"oks_{name}"] for name in ("ap", "ap50", "ap75", "ar")], expected, rtol=0, atol=1e-6)
    assert 0.1 < found["oks_ap_low"] < found["oks_ap"] < found["oks_ap_high"] < 1
    diagonal = [
        oks_matrix(predictions[i : i + 1], references[i : i + 1], areas[i : i + 1])[0, 0] for i in range(30)
    ]  # fmt: skip
    assert found["oks"] == pytest.approx(np.mean(diagonal))


def test_an_image_that_counts_twice_is_as_good_as_two_images():
    found, references, areas, _, found_places, places, scores = persons_in_images(7)
    matches = module._matches(found, references, areas, found_places, places, scores, None, KEYPOINTS, 25)
    times = np.random.default_rng(0).integers(0, 4, 25)
    copies = [(i, f"{i}-{n}") for i in range(25) for n in range(times[i])]
    rows = [(r, name) for i, name in copies for r in np.flatnonzero(np.array(found_places) == i)]
    columns = [(c, name) for i, name in copies for c in np.flatnonzero(np.array(places) == i)]
    # Scores without ties between images, whose order would decide.
    scores = scores + 1e-9 * np.arange(len(scores))
    matches = module._matches(found, references, areas, found_places, places, scores, None, KEYPOINTS, 25)
    expected = oks_average_precision(
        found[[r for r, _ in rows]], references[[c for c, _ in columns]], areas[[c for c, _ in columns]],
        prediction_images=[name for _, name in rows], reference_images=[name for _, name in columns],
        scores=scores[[r for r, _ in rows]],
    )  # fmt: skip
    assert np.allclose(module._average_precision(matches, times), expected)


def test_scores_come_from_the_points_where_none_are_given():
    references = np.stack([whole_person(seed) for seed in range(4)])
    good = references + np.array([0, 0, 40, 40])[:, None, None]
    sure = np.concatenate([good, np.array([0.9, 0.8, 0.2, 0.1])[:, None, None].repeat(64, 1)], axis=2)
    unsure = np.concatenate([good, np.array([0.1, 0.2, 0.8, 0.9])[:, None, None].repeat(64, 1)], axis=2)
    first, second = (keypoint_metrics(p, references, num_resamples=0)["oks_ap"] for p in (sure, unsure))
    assert first > second
    given = keypoint_metrics(unsure, references, scores=[0.9, 0.8, 0.2, 0.1], num_resamples=0)["oks_ap"]
    assert given == first


# ----------------------------------------------------------------------------------------------------------------- intervals


def test_intervals_resample_images_not_persons():
    references = np.stack([whole_person(seed) for seed in range(120)])
    right = np.arange(120) % 4 > 0
    predictions = references + np.where(right, 0, 500)[:, None, None]
    alone = keypoint_metrics(predictions, references)
    assert alone == keypoint_metrics(predictions, references) and alone["pck@0.1"] == alone["oks"] == 0.75
    assert alone["pck@0.1_low"] < 0.75 < alone["pck@0.1_high"]
    width = 2 * 1.96 * np.sqrt(0.25 * 0.75 / 120)
    assert alone["pck@0.1_high"] - alone["pck@0.1_low"] == pytest.approx(width, rel=0.12)
    # Four persons an image, of whom one is always wrong: no image differs from another.
    together = keypoint_metrics(predictions, references, images=[i // 4 for i in range(120)])
    assert together["pck@0.1_low"] == together["pck@0.1_high"] == 0.75 and together["n_images"] == 30
    # The same where the four are frames of a video; but then they do not compete for each other's person.
    frames = keypoint_metrics(predictions, references, groups=[f"video {i // 4}" for i in range(120)])
    assert frames["pck@0.1_low"] == frames["pck@0.1_high"] == 0.75 and frames["n_images"] == 120
    assert frames["oks_ap"] == alone["oks_ap"] and frames["oks_ap_low"] == pytest.approx(frames["oks_ap_high"])
    other = keypoint_metrics(predictions, references, seed=1)
    assert any(other[name] != value for name, value in alone.items() if name.endswith(("_low", "_high")))
    assert "pck@0.1_low" not in keypoint_metrics(predictions, references, num_resamples=0)


# -------------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": np.zeros((2, 64, 2))}, r"Predictions \(2, 64, 2\) and references \(1, 64, 2\) must be"),
        ({"references": np.zeros((1, 17, 2))}, r"references \(1, 17, 2\) must be \(N, 64, 2 or 3\)"),
        ({"predictions": np.zeros((0, 64, 2)), "references": np.zeros((0, 64, 2))}, "N at least 1"),
        ({"predictions": [[[1.0, 2.0]] * 64, [[1.0, 2.0]] * 3]}, "must hold 64 points x, y for each person"),
        ({"names": ("nose", "tail")}, "points of signlang-64, each once; tail is not known"),
        ({"thresholds": (0.1, 0.0)}, r"thresholds are \[0.1, 0.0\]; each must be a positive number"),
        ({"images": ["a", "b"]}, "There are 2 images for 1 persons"),
        ({"groups": ["a", "b"]}, "There are 2 groups for 1 persons"),
        (
            {"predictions": np.ones((2, 64, 2)), "references": np.ones((2, 64, 2)), "images": "aa", "groups": "xy"},
            "An image is in two groups",
        ),
        ({"areas": [1.0, 2.0]}, "There are 2 areas for 1 persons"),
        ({"scores": [float("nan")]}, "1 of 1 scores are NaN"),
    ],
)
def test_what_cannot_be_measured_says_so(change, message):
    arguments = {"predictions": np.zeros((1, 64, 2)), "references": np.zeros((1, 64, 2)), **change}
    with pytest.raises(ValueError, match=message):
        keypoint_metrics(**arguments)


def test_other_names_than_the_64():
    names = [f"right_hand_{point}" for point in ("wrist", "index_tip", "middle_tip")]
    reference = np.array([[[0.0, 0], [10, 0], [0, 4]]])
    found = keypoint_metrics(reference + [0.9, 0], reference, names=names, num_resamples=0)
    assert found["pck@0.1"] == found["pck@0.1-hands"] == 1 and found["pck@0.05"] == 0
    assert np.isnan(found["pck@0.1-body"]) and list(found["keypoints"]) == names


# -------------------------------------------------------------------------------------------------- as an evaluate module


def test_metric_class(tmp_path):
    references = np.stack([whole_person(seed) for seed in range(6)])
    references[0, 3:9] = np.nan
    predictions = references + np.random.default_rng(0).normal(0, 2, references.shape)
    predictions[2, 5] = np.nan
    metric = KeypointMetrics(cache_dir=str(tmp_path))
    metric.add_batch(predictions=predictions[:4], references=references[:4])
    metric.add_batch(predictions=predictions[4:].tolist(), references=references[4:].tolist())
    found = metric.compute(num_resamples=20, thresholds=[0.1])
    expected = keypoint_metrics(predictions, references, num_resamples=20, thresholds=[0.1])
    each, expected_each = found.pop("keypoints"), expected.pop("keypoints")
    assert found == pytest.approx(expected) and "unmeasured" in metric.inputs_description
    assert each["left_hip"] == pytest.approx(expected_each["left_hip"]) and expected["missing"] == 1


def test_evaluate_loads_it_offline_by_path_without_the_library(tmp_path):
    references = np.stack([whole_person(seed) for seed in range(6)])
    references[1, 40:44] = np.nan
    predictions = references + np.random.default_rng(0).normal(0, 2, references.shape)
    script = """
import json, sys
sys.modules["signlang_hf"] = None
import evaluate
metric = evaluate.load(sys.argv[1])
predictions, references = json.load(sys.stdin)
metric.add_batch(predictions=predictions[:4], references=references[:4])
metric.add_batch(predictions=predictions[4:], references=references[4:])
print(json.dumps(metric.compute(num_resamples=20)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER)], input=json.dumps([predictions.tolist(), references.tolist()]),
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, expected = json.loads(done.stdout), keypoint_metrics(predictions, references, num_resamples=20)
    found.pop("keypoints")
    expected.pop("keypoints")
    assert found == pytest.approx(expected)
