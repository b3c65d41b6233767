"""The metric gloss_accuracy: which words are one sign, which never are, and the ways to call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from signlang_hf.data.glossary import load_glossary
from signlang_hf.metrics.gloss_accuracy import gloss_accuracy as module
from signlang_hf.metrics.gloss_accuracy.gloss_accuracy import GlossAccuracy, gloss_accuracy
from signlang_hf.metrics.gloss_accuracy.synonyms import Synonyms, inflections, normalize

FOLDER = Path(module.__file__).parent

SAME = """CAR auto · cars AUTO · autos car · walks walked · WALK walking · thank-you THANKS · Book. book · "book" BOOK · went go · going GO · gone went ·
men man · stopped stop · cities city · making make · visited visit · beginning begin · dies dying · CAN’T cannot · can't CANT · SHE he ·
post_office POST-OFFICE · boxes box · hoping hope · agreed agree · 1 one · driving drive · shoes shoe · studied study · tomatoes tomato · planned plan ·
grey GRAY · shops store · watches watch · played playing · seeing see · won't WILL-NOT · scared AFRAID · mom MOTHER · big large"""

DIFFERENT = """NOT NOTE · NOT NOTED · HOP HOPE · hopping hoping · hop hoping · STAR STARE · star staring · NEW NEWS · SEE SEED · SHE SHED · CAN CANE ·
PLAN PLANE · planned planed · TEACH TEACHER · WORK WORKER · HEAR HEARING · MEET MEETING · THIN THING · WE'LL WELL · HE'LL HELL · CAR CARE · cared car ·
BED BE · FIRE FIRED · HOME HOUSE · KING K · BUS BU · HIS HI · THIS HI · ONE ON · FOR FORD · MINE MINING · WILL WILLING · GLASS GLASSES · FEE FEED · NEED NEE ·
SING SINGE · BATH BATHE · BUT BUTTED · RED READ · BAR BARE · TOO TO · HAT HATE · hats hates · TRAIN TRAINING · BOX BOXING · LOOK SEE · MAD ANGRY · YES YE ·
SHORT SHORTS · THING TH · BRING BR · PAST PASTE · us USE · HER HERE · THE THEM · NO NOW · GOOD GOODS · TIRE TIRED · RIGHT RIGHTS · WAS WASH"""


@pytest.fixture(scope="module")
def asl() -> Synonyms:
    return Synonyms.load()


@pytest.mark.parametrize("pair", SAME.split("·"), ids=str.strip)
def test_spellings_of_one_sign(asl, pair):
    first, second = pair.split()
    assert asl.same(first, second) and asl.same(second, first)


@pytest.mark.parametrize("pair", DIFFERENT.split("·"), ids=str.strip)
def test_words_that_never_merge(asl, pair):
    first, second = pair.split()
    assert not asl.same(first, second) and not asl.same(second, first)


def test_words_of_two_parts(asl):
    assert (
        asl.same("THANK YOU", "thank-you")
        and asl.same("police officer", "POLICE")
        and asl.same("How much?", "HOW-MUCH")
    )
    assert not asl.same("HOW-MUCH", "HOW-MANY") and not asl.same("", "") and not asl.same("...", "book")


def test_the_glossary_and_published_glosses_stay_apart(asl, signlang_data):
    """What a vocabulary lists as classes, spelling does not make one; the few pairs that merge are in the table."""
    words = [word for group in load_glossary().values() for word in group]
    classes = frozenset(map(normalize, words))
    merged = {(a, b) for i, a in enumerate(words) for b in words[i + 1 :] if asl.same(a, b, classes=classes)}
    assert merged == {("I", "ME"), ("HE", "SHE"), ("THEY", "THEM")}
    glosses = [entry["gloss"] for entry in json.loads((signlang_data / "wlasl" / "asl300.json").read_text())]
    classes = frozenset(map(normalize, glosses))
    assert not {(a, b) for i, a in enumerate(glosses) for b in glosses[i + 1 :] if asl.same(a, b, classes=classes)}
    # Without knowing the classes, inflection alone would merge next to nothing either.
    loose = {frozenset((a, b)) for i, a in enumerate(glosses) for b in glosses[i + 1 :] if asl.same(a, b)}
    assert loose == set()


def test_inflections_follow_english_spelling():
    assert inflections("stop") == {"stops", "stopped", "stopping"}
    assert inflections("visit") >= {"visits", "visited", "visiting"}
    assert inflections("study") == {"studies", "studied", "studying"}
    assert inflections("play") == {"plays", "played", "playing"}
    assert inflections("make") == {"makes", "maked", "making"}
    assert inflections("lie") == {"lies", "lied", "lying"}
    assert inflections("watch") == {"watches", "watched", "watching"}
    for word in ("she", "be", "1", "can't", "hmm", "mine"):
        assert inflections(word) == frozenset()


def test_glosses_that_the_data_tells_apart_are_not_merged_by_inflection():
    answers = ["drives", "drive", "autos", "children"]
    alone = gloss_accuracy(answers, ["drive", "drive", "car", "child"], num_resamples=0)
    assert (alone["accuracy"], alone["accuracy_synonyms"]) == (0.25, 1.0)
    # 'drives' and 'children' are classes of this task: confusing them is a mistake. 'autos' is still a car.
    both = gloss_accuracy(
        [*answers, "x", "x"], ["drive", "drive", "car", "child", "drives", "children"], num_resamples=0
    )
    assert both["accuracy_synonyms"] == pytest.approx(2 / 6)
    assert [pair["prediction"] for pair in both["forgiven"]] == ["autos"]


def test_both_figures_and_what_was_forgiven():
    result = gloss_accuracy(
        ["Book", " book ", "auto", "auto", "house", "drink"], ["book", "book", "CAR", "CAR", "home", "drink"]
    )
    assert (
        result["accuracy"] == pytest.approx(2 / 6)
        and result["accuracy_synonyms"] == pytest.approx(5 / 6)
        and result["n"] == 6
    )
    assert result["forgiven"][0] == {"prediction": "auto", "reference": "CAR", "n": 2}
    for name in ("accuracy", "accuracy_synonyms"):
        assert result[f"{name}_low"] <= result[name] <= result[f"{name}_high"]
    assert result["signature"].startswith("gloss_accuracy|synonyms:asl-") and result["signature"].endswith(
        "inflection:yes"
    )
    assert gloss_accuracy(["walks"], ["walk"], inflection=False, num_resamples=0)["accuracy_synonyms"] == 0
    assert gloss_accuracy(["went"], ["go"], inflection=False, num_resamples=0)["accuracy_synonyms"] == 0


def test_a_table_of_ones_own(tmp_path):
    table = {
        "description": "mine",
        "synonyms": [["HOME", "HOUSE"]],
        "forms": [["LIE", "LAY"]],
        "apart": [["AD", "ADS"], ["CAT", "CATS"]],
    }
    (tmp_path / "mine.json").write_text(json.dumps(table))
    for given in (table, tmp_path / "mine.json", str(tmp_path / "mine.json"), Synonyms.load(table)):
        known = Synonyms.load(given)
        assert known.same("home", "House") and known.same("houses", "home") and known.same("lay", "lie")
        assert not known.same("car", "auto") and not known.same("cat", "cats")
    assert Synonyms.load([["a-b", "c"]]).same("A B", "C")
    assert (
        "synonyms:mine-" in gloss_accuracy(["x"], ["x"], synonyms=tmp_path / "mine.json", num_resamples=0)["signature"]
    )
    assert Synonyms.load([["a", "b"]]).signature != Synonyms.load([["a", "c"]]).signature


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([["CAR", "AUTO"], ["auto", "VAN"]], "'auto' is in two classes"),
        (["CAR"], "A class of synonyms is a list of glosses; got 'CAR'"),
        ([[1, 2]], "A class of synonyms is a list"),
        ({"synonym": []}, "A table of synonyms is"),
        ({"synonyms": {"a": "b"}}, "A table of synonyms is"),
    ],
)
def test_a_wrong_table_says_so(table, message):
    with pytest.raises(ValueError, match=message):
        gloss_accuracy(["x"], ["x"], synonyms=table)


def test_a_table_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Table of synonyms not found: .*none\.json"):
        Synonyms.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[")
    with pytest.raises(ValueError, match="is not valid JSON"):
        Synonyms.load(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "0 predictions for 0 references"),
        (["a"], ["a", "b"], "1 predictions for 2 references"),
        ([1], ["a"], "give strings"),
        (["a", "b"], ["a", " . "], "1 of 2 references are empty"),
    ],
)
def test_what_cannot_be_measured_says_so(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        gloss_accuracy(predictions, references)


def test_the_shipped_table_is_consistent():
    table = json.loads((FOLDER / "synonyms.json").read_text(encoding="utf-8"))
    assert "judgement" in table["description"]
    known = Synonyms.load()
    for listed in table["synonyms"] + table["forms"]:
        assert all(known.same(listed[0], gloss) for gloss in listed)
    for first, second in table["apart"]:
        assert second.lower() in inflections(first.lower()), f"{second} needs no line: it is no inflection of {first}"
        assert not known.same(first, second)


# -------------------------------------------------------------------------------------------------- as an evaluate module


def test_metric_class_gives_the_same(tmp_path):
    predictions, references = ["Book", "auto", "house"], ["book", "CAR", "home"]
    metric = GlossAccuracy(cache_dir=str(tmp_path))
    assert metric.compute(predictions=predictions, references=references) == gloss_accuracy(predictions, references)


def test_evaluate_loads_it_offline_by_path_without_the_library(tmp_path):
    script = """
import json, sys
sys.modules["signlang_hf"] = None
import evaluate
metric = evaluate.load(sys.argv[1])
print(json.dumps(metric.compute(predictions=["Cars", "x"], references=["AUTO", "y"], synonyms=[["car", "auto"]], num_resamples=50)))
try:
    metric.compute(predictions=["x"], references=["y"])
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER)],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert json.loads(first) == gloss_accuracy(
        ["Cars", "x"], ["AUTO", "y"], synonyms=[["car", "auto"]], num_resamples=50
    )
    assert "give synonyms=" in second


def test_evaluate_takes_the_default_table_from_the_library(tmp_path):
    script = """
import evaluate, sys
print(evaluate.load(sys.argv[1]).compute(predictions=["auto"], references=["CAR"], num_resamples=0)["accuracy_synonyms"])
"""
    root = str(Path(__file__).resolve().parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER)],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "PYTHONPATH": root}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "1.0", done.stderr
