"""Stacking: the booster's objectives and number of trees, the vote, the inner folds, and who has seen which clip."""

from __future__ import annotations

import builtins
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from scipy.special import log_softmax
from tiny_ensemble import BOOSTER, MEMBERS, tiny_ensembles, tiny_trained_ensemble  # noqa: F401  make fixtures known
from transformers import AutoFeatureExtractor, AutoModelForVideoClassification

from signlang_hf.training import isolated, stacking
from signlang_hf.training.boosting import BoosterSettings, best_num_trees, cross_entropy, focal_softmax, train_booster
from signlang_hf.training.evaluation import Predictions, predict
from signlang_hf.training.stacking import fit_stack, inner_folds, vote_weights

xgboost = pytest.importorskip("xgboost")

SMALL = BoosterSettings(num_trees=12, eta=0.3, max_depth=3, device="cpu")


def problem(clips: int = 240, classes: int = 4, seed: int = 0):
    """Labels, features that tell them, logits that know nothing, folds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, clips)
    features = np.eye(classes)[labels] + rng.normal(0, 0.4, (clips, classes))
    return features.astype(np.float32), labels, np.zeros((clips, classes), np.float32), np.arange(clips) % 3


def noise(features: np.ndarray) -> np.ndarray:
    return np.random.default_rng(3).normal(size=features.shape).astype(np.float32)


def sure(labels: np.ndarray) -> np.ndarray:
    """Logits of a vote that is as right as its probabilities say: nine times in ten."""
    said = np.where(np.arange(len(labels)) % 10 == 0, (labels + 1) % 4, labels)
    return np.log(27) * np.eye(4, dtype=np.float32)[said]


def margins(booster, features: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return booster.predict(xgboost.DMatrix(features, base_margin=logits), output_margin=True)


# ---------------------------------------------------------------------------------------------------------- objectives


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_derivatives_are_those_of_the_loss(gamma):
    rng = np.random.default_rng(0)
    logits, labels, weights = rng.normal(0, 2, (40, 5)), rng.integers(0, 5, 40), rng.uniform(0.2, 3, 40)

    def loss(shifted: np.ndarray) -> np.ndarray:
        log_q = log_softmax(shifted, axis=1)[np.arange(40), labels]
        return -weights * (1 - np.exp(log_q)) ** gamma * log_q

    first, second = focal_softmax(logits, labels, weights, gamma)
    for column in range(5):
        step = np.zeros((40, 5))
        step[:, column] = 1e-4
        ahead, here, behind = loss(logits + step), loss(logits), loss(logits - step)
        np.testing.assert_allclose(first[:, column], (ahead - behind) / 2e-4, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(second[:, column], (ahead - 2 * here + behind) / 1e-8, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_derivatives_of_hopeless_and_of_certain_clips_are_finite(gamma):
    logits = np.array([[800.0, 0.0], [800.0, 0.0], [40.0, 0.0]])
    for part in focal_softmax(logits, np.array([0, 1, 0]), np.ones(3), gamma):
        assert np.isfinite(part).all()


def test_focal_without_focus_is_the_softmax_of_xgboost():
    features, labels, logits, _ = problem()
    logits = logits + np.random.default_rng(1).normal(0, 1, logits.shape).astype(np.float32)
    focal = BoosterSettings(**{**vars(SMALL), "objective": "focal", "focal_gamma": 0.0})
    one, other = (margins(train_booster(features, labels, logits, s, 8), features, logits) for s in (SMALL, focal))
    assert np.abs(one - logits).max() > 0.5
    np.testing.assert_allclose(one, other, atol=1e-4)
    focused = BoosterSettings(**{**vars(SMALL), "objective": "focal", "focal_gamma": 3.0})
    third = margins(train_booster(features, labels, logits, focused, 8), features, logits)
    assert cross_entropy(third, labels).mean() < cross_entropy(logits, labels).mean()
    assert np.abs(third - one).max() > 0.1


@pytest.mark.parametrize("objective", ["softmax", "focal"])
def test_class_weights_lift_a_rare_class(objective):
    features, labels, logits, _ = problem(400)
    kept = np.flatnonzero((labels != 0) | (np.arange(400) % 10 == 0))
    features, labels, logits = (np.repeat(part[kept], 1, 0) for part in (features * 0.3, labels, logits))
    rare = labels == 0
    recall = {}
    for weighted in (False, True):
        settings = BoosterSettings(**{**vars(SMALL), "objective": objective, "class_weights": weighted})
        found = margins(train_booster(features, labels, logits, settings, 12), features, logits)
        recall[weighted] = (found[rare].argmax(1) == 0).mean()
    assert recall[True] > recall[False] + 0.2


# ---------------------------------------------------------------------------------------------------- number of trees


def test_the_booster_starts_from_the_vote_and_not_from_class_frequencies():
    features, labels, logits, _ = problem()
    labels = np.where(labels == 0, 1, labels)
    timid = BoosterSettings(**{**vars(SMALL), "eta": 1e-7})
    found = margins(train_booster(features, labels, logits + 2, timid, 1), features, logits + 2)
    np.testing.assert_allclose(found, logits + 2, atol=1e-5)


def test_trees_are_kept_where_they_help_and_left_out_where_they_do_not():
    features, labels, logits, folds = problem()
    num_trees, corrected = best_num_trees(features, labels, logits, folds, SMALL)
    assert 5 < num_trees <= 12
    assert (corrected.argmax(1) == labels).mean() > 0.7
    num_trees, corrected = best_num_trees(noise(features), labels, sure(labels), folds, SMALL)
    assert num_trees == 0
    np.testing.assert_array_equal(corrected, sure(labels))


def test_a_clip_is_corrected_by_a_booster_that_has_not_seen_it():
    """In every fold the features mean other labels: what was learned elsewhere only harms."""
    features, labels, logits, folds = problem()
    misleading = np.stack([np.roll(row, 2 * (fold == 2) + (fold == 1)) for row, fold in zip(features, folds)])
    assert best_num_trees(misleading, labels, logits, folds, SMALL)[0] <= 1
    everything = margins(train_booster(misleading, labels, logits, SMALL, 12), misleading, logits)
    assert (
        cross_entropy(everything, labels).mean() < 0.8 * cross_entropy(logits, labels).mean()
    )  # by having seen it, it can


def test_all_trees_are_kept_on_request_and_growing_stops_early():
    features, labels, _, folds = problem()
    keep = BoosterSettings(**{**vars(SMALL), "choose_num_trees": False})
    assert best_num_trees(noise(features), labels, sure(labels), folds, keep)[0] == 12
    updates = []
    with pytest.MonkeyPatch.context() as patch:
        real = xgboost.Booster.update
        patch.setattr(xgboost.Booster, "update", lambda self, *given: (updates.append(1), real(self, *given)))
        impatient = BoosterSettings(**{**vars(SMALL), "num_trees": 100, "patience": 3})
        best_num_trees(noise(features), labels, sure(labels), folds, impatient)
    assert len(updates) <= 3 * 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "hinge"}, "objective is 'hinge'; choose one of softmax, focal"),
        ({"num_trees": 0}, "num_trees is 0; it must be at least 1"),
        ({"eta": 0.0}, r"eta is 0.0; it must be in \(0, 1\]"),
        ({"reg_alpha": -1.0}, "reg_alpha is -1.0; it must not be negative"),
        ({"etta": 0.1}, "Unknown booster setting etta; known are objective,"),
    ],
)
def test_impossible_booster_settings_say_so(settings, message):
    with pytest.raises(ValueError, match=message):
        BoosterSettings.from_dict(settings)


def test_default_booster_settings():
    wanted = {
        "objective": "multi:softprob", "num_class": 30, "tree_method": "hist", "eta": 0.01, "max_depth": 7, "subsample": 0.8,
        "colsample_bytree": 0.9, "lambda": 0.5, "alpha": 0.2, "seed": 0,
    }  # fmt: skip
    settings = BoosterSettings()
    assert settings.num_trees == 200
    assert settings.parameters(30) == {**wanted, "device": "cuda" if torch.cuda.is_available() else "cpu"}


# ---------------------------------------------------------------------------------------------------------------- vote


def members_of(skills: list[float], clips: int = 300, classes: int = 5, seed: int = 0):
    """Logits of members that know the labels more or less, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, clips)
    truth = np.eye(classes)[labels]
    return np.stack([skill * truth + rng.normal(0, 1, truth.shape) for skill in skills], 1), labels


def test_the_vote_is_at_least_as_good_as_any_member_however_calibrated():
    logits, labels = members_of([3.0, 2.0, 0.0])
    logits[:, 0] *= 5  # far too sure of itself
    weights = vote_weights(logits, labels)
    assert (weights >= 0).all() and weights[2] < 0.2 * weights[1]
    vote = np.einsum("m,nmc->nc", weights, logits)
    for member in range(3):
        best = min(cross_entropy(scale * logits[:, member], labels).mean() for scale in np.geomspace(0.01, 10, 60))
        assert cross_entropy(vote, labels).mean() < best + 1e-3
    assert (vote.argmax(1) == labels).mean() > (logits[:, 0].argmax(1) == labels).mean()


def test_members_that_are_always_right_get_finite_weights():
    logits, labels = members_of([30.0, 30.0])
    assert np.isfinite(vote_weights(logits, labels)).all() and vote_weights(logits, labels).max() < 10
    worthless = np.zeros((40, 2, 3))
    np.testing.assert_allclose(vote_weights(worthless, np.arange(40) % 3), [0.5, 0.5])


def test_a_class_that_only_one_fold_has_teaches_nothing(caplog):
    logits, labels = members_of([2.0, 1.0], 60, 3)
    folds = np.arange(60) % 2
    folds[labels == 2] = 0
    similar = np.zeros_like(logits)
    logits[labels == 2] = 1e6  # what models say about a sign that they have never seen must not count
    stack = fit_stack(logits, similar, labels, folds, None)
    known = labels != 2
    np.testing.assert_allclose(stack.weights, vote_weights(logits[known], labels[known]))
    assert len(stack.logits) == known.sum()
    with pytest.raises(ValueError, match="No sign is in two inner folds; leave them out with --inner_folds 0"):
        fit_stack(logits, similar, np.zeros(60, int), np.zeros(60, int), None)


# --------------------------------------------------------------------------------------------------------- inner folds


def rows_of(labels, signers) -> Dataset:
    names = [str(index) for index in range(max(labels) + 1)]
    features = Features({"label": ClassLabel(names=names), "signer": Value("string")})
    return Dataset.from_dict({"label": list(labels), "signer": list(signers)}, features=features)


def test_inner_folds_keep_signers_whole_and_of_equal_size():
    signers = [name for name, count in zip("abcdefg", (30, 20, 20, 10, 10, 5, 5)) for _ in range(count)]
    rows = rows_of([index % 4 for index in range(100)], signers)
    folds = inner_folds(rows, 3)
    assert all(len({fold for fold, signer in zip(folds, signers) if signer == name}) == 1 for name in "abcdefg")
    assert max(Counter(folds).values()) - min(Counter(folds).values()) <= 5
    assert len(set(inner_folds(rows, 20))) == 7  # not more than signers


@pytest.mark.parametrize("signers", [[None] * 50, ["a"] * 50, ["a", None] * 25])
def test_inner_folds_are_stratified_where_signers_are_not_known(signers):
    labels = sorted([0] * 20 + [1] * 15 + [2] * 13 + [3] * 2)
    folds = inner_folds(rows_of(labels, signers), 4, seed=1)
    assert max(Counter(folds).values()) - min(Counter(folds).values()) <= 1
    for label in range(4):
        counts = np.bincount(folds[np.array(labels) == label], minlength=4)
        assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(folds, inner_folds(rows_of(labels, signers), 4, seed=1))
    assert (folds != inner_folds(rows_of(labels, signers), 4, seed=2)).any()


# ------------------------------------------------------------------------------------------------------- the whole road


def test_nobody_answers_for_a_clip_that_it_has_seen(trained_ensemble, ensembles):
    runs, folds = ensembles.trained_on, ensembles.fitted_to["folds"]
    assert set(runs) == {f"{name}/{run}" for name in MEMBERS for run in ("all", "without-1", "without-2")}
    every = runs["near/all"]["train"]
    assert {signer for _, signer in every} == {"anna", "ben"}
    for name in MEMBERS:
        assert runs[f"{name}/all"]["train"] == every
        for number in (1, 2):
            seen = runs[f"{name}/without-{number}"]
            asked = [clip for clip, fold in zip(every, folds) if fold == number - 1]
            assert set(seen) == {"train"} and len(seen["train"]) == len(asked) == 16
            assert not set(seen["train"]) & set(asked)
            assert not {signer for _, signer in seen["train"]} & {"cleo", *(signer for _, signer in asked)}


def test_the_booster_learns_from_what_these_models_say(trained_ensemble, ensembles):
    fitted, train = ensembles.fitted_to, ensembles.clips("train")
    for place, name in enumerate(MEMBERS):
        for number in (1, 2):
            folder = trained_ensemble.folder / "runs" / name / f"without-{number}"
            model = AutoModelForVideoClassification.from_pretrained(folder, dtype=torch.float32)
            held_out = np.flatnonzero(fitted["folds"] == number - 1)
            logits, labels = predict(model, AutoFeatureExtractor.from_pretrained(folder), train.select(held_out))
            np.testing.assert_allclose(fitted["logits"][held_out, place], logits, atol=1e-4)
            np.testing.assert_array_equal(fitted["labels"][held_out], labels)
    assert np.abs(fitted["similarities"]).max() <= 1.0001 and np.abs(fitted["similarities"]).min() > 0


def test_what_is_written_agrees_with_what_was_measured(trained_ensemble, ensembles):
    folder, test = trained_ensemble.folder, ensembles.clips("test")
    written = json.loads((folder / "results.json").read_text())
    assert written == {name: value for name, value in vars(trained_ensemble).items() if name != "folder"}
    assert set(trained_ensemble.members) == set(trained_ensemble.stack["weights"]) == set(MEMBERS)
    assert set(trained_ensemble.stack["accuracy"]) == {*MEMBERS, "ensemble"}
    assert trained_ensemble.stack["num_trees"] == 4
    model = AutoModelForVideoClassification.from_pretrained(folder, dtype=torch.float32)
    processor = AutoFeatureExtractor.from_pretrained(folder)
    assert model.num_parameters() == trained_ensemble.training["parameters"]
    logits, labels = predict(model, processor, test)
    stored = Predictions.load(folder / "predictions.npz")
    np.testing.assert_allclose(stored.logits, logits, atol=1e-4)
    assert (logits.argmax(1) == labels).mean() == trained_ensemble.metrics["accuracy"] > 0.7
    for place, (name, metrics) in enumerate(trained_ensemble.members.items()):
        alone = AutoModelForVideoClassification.from_pretrained(folder / f"member-{name}", dtype=torch.float32)
        own, labels = predict(alone, AutoFeatureExtractor.from_pretrained(folder / f"member-{name}"), test)
        assert (own.argmax(1) == labels).mean() == metrics["accuracy"]
        assert all(
            torch.equal(a, b) for a, b in zip(alone.state_dict().values(), model.members[place].state_dict().values())
        )


def test_another_booster_costs_no_training(trained_ensemble, ensembles, tmp_path, monkeypatch):
    shutil.copytree(trained_ensemble.folder, tmp_path / "run")
    monkeypatch.setattr(isolated.Trainer, "train", lambda *given, **named: pytest.fail("it was trained again"))
    vote = ensembles.one(tmp_path / "run", booster='{"enabled": false}')
    assert vote.members == trained_ensemble.members and vote.training == trained_ensemble.training
    assert vote.stack["weights"] == trained_ensemble.stack["weights"] and vote.stack["num_trees"] == 0
    assert not (tmp_path / "run/booster.ubj").exists()
    focal = ensembles.one(
        tmp_path / "run", booster=BOOSTER.replace("{", '{"objective": "focal", "class_weights": true, ', 1)
    )
    assert focal.stack["num_trees"] == 4 and (tmp_path / "run/booster.ubj").is_file()


def test_an_interrupted_ensemble_goes_on(ensembles, trained_ensemble, tmp_path, monkeypatch):
    run = Path(shutil.copytree(trained_ensemble.folder, tmp_path / "run"))
    for name in ("results.json", "config.json", "booster.ubj", "runs/far/without-2/results.json"):
        (run / name).unlink()
    shutil.rmtree(run / "member-near")
    for checkpoint in (run / "runs/far/without-2").glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    again, train = [], isolated.Trainer.train
    monkeypatch.setattr(
        isolated.Trainer,
        "train",
        lambda self, **given: (again.append(Path(self.args.output_dir).name), train(self, **given)),
    )
    result = ensembles.one(run)
    assert again == ["without-2"]
    assert result.metrics == trained_ensemble.metrics
    # Trained anew beside other processes, sums come in another order; a fit amplifies that, and one of the 32 clips may fall over.
    for kind, values in trained_ensemble.stack.items():
        assert result.stack[kind] == pytest.approx(values, rel=0.01, abs=1.01 / 32), kind


def test_an_equal_vote_needs_no_inner_folds(ensembles, tmp_path, monkeypatch):
    monkeypatch.setattr(stacking, "_out_of_fold", lambda *given: pytest.fail("nobody has to answer out of fold"))
    result = ensembles.one(tmp_path, inner_folds=0, num_train_epochs=1)
    assert result.stack == {} and result.metrics["n"] == 16
    assert AutoModelForVideoClassification.from_pretrained(tmp_path).config.member_weights == [0.5, 0.5]


def test_calibration_and_no_test_split(ensembles, tmp_path):
    one = {"members": [ensembles.file("near")], "num_train_epochs": 1, "inner_folds": 3}
    result = ensembles.one(tmp_path, ensembles.tiny.all_train, validation_size=0.25, calibrate=True, **one)
    assert result.metrics == result.baseline == {} and set(result.stack["accuracy"]) == {"near", "ensemble"}
    config = AutoModelForVideoClassification.from_pretrained(tmp_path).config
    assert config.unknown_threshold == result.calibration["unknown_threshold"] > 0
    assert config.logit_temperature == result.calibration["logit_temperature"]
    runs = {path.name: json.loads((path / "results.json").read_text()) for path in (tmp_path / "runs/near").iterdir()}
    assert set(runs) == {"all", "without-1", "without-2", "without-3"}
    assert [bool(runs[name]["calibration"]) for name in sorted(runs)] == [True, False, False, False]


def test_other_members_in_the_same_folder_are_refused(trained_ensemble, ensembles):
    with pytest.raises(
        ValueError, match=r"holds a run with other settings \(members.far was signlang_transformer, is None\)"
    ):
        ensembles.run(trained_ensemble.folder, members=[ensembles.file("near")])


def test_a_missing_xgboost_is_found_out_before_training(ensembles, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "xgboost":
            raise ImportError("No module named 'xgboost'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(stacking, "train_isolated", lambda *given: pytest.fail("it was trained"))
    with pytest.raises(ImportError, match=r'needs xgboost: pip install "signlang-hf\[ensemble\]"'):
        ensembles.run(tmp_path)


def test_one_inner_fold_is_none(ensembles, tmp_path):
    with pytest.raises(ValueError, match="There are 1 inner folds; there must be at least 2, or 0 for an equal vote"):
        ensembles.run(tmp_path, inner_folds=1)
