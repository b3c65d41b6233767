"""Smaller tables out of WLASL's: what is kept, what drops out, and the reason."""

from __future__ import annotations

import json

import pytest

from signlang_hf.data.glossary import glossary_words, load_glossary, match_glosses
from signlang_hf.data.wlasl_filter import filter_table
from signlang_hf.data.wlasl_table import read_table
from signlang_hf.metrics.gloss_accuracy.synonyms import Synonyms

COUNTS = {"book": 4, "drink": 3, "auto": 2, "post office": 2, "hearing": 1, "zebra": 5}


def record(number, signer):
    return {"video_id": f"{number:05d}", "url": f"http://x/{number}.mp4", "split": ("train", "val", "test")[number % 3], "signer_id": signer,
            "fps": 25, "frame_start": 1, "frame_end": -1, "bbox": [0, 0, 1, 1], "instance_id": 0, "source": "x", "variation_id": 0}  # fmt: skip


@pytest.fixture
def table(tmp_path):
    number, content = 0, []
    for gloss, count in COUNTS.items():
        content.append({"gloss": gloss, "instances": [record(number + i, i) for i in range(count)]})
        number += count
    (tmp_path / "table.json").write_text(json.dumps(content))
    return tmp_path / "table.json"


def kept(report):
    return {gloss: sum(one.gloss == gloss for one in report.kept) for gloss in report.glosses}


def test_nothing_asked_for_keeps_all_fields(table, tmp_path):
    report = filter_table(table, tmp_path / "sub" / "out.json")
    assert kept(report) == COUNTS and report.dropped == []
    assert json.loads((tmp_path / "sub" / "out.json").read_text()) == json.loads(table.read_text())


def test_by_glossary(table, tmp_path):
    report = filter_table(table, tmp_path / "out.json", glossary=True)
    assert kept(report) == {"book": 4, "drink": 3, "post office": 2}
    assert report.lost_glosses == dict.fromkeys(("auto", "hearing", "zebra"), "no word of the glossary")
    assert len(report.unmatched) == 316 and "CAR" in report.unmatched and report.matched == {}
    assert [one.gloss for one in read_table(tmp_path / "out.json")] == ["book"] * 4 + ["drink"] * 3 + [
        "post office"
    ] * 2
    wider = filter_table(table, glossary=True, synonyms=True)
    assert kept(wider) == {"book": 4, "drink": 3, "auto": 2, "post office": 2} and wider.matched == {"auto": "CAR"}
    assert kept(filter_table(table, groups=["Basic Verbs"])) == {"drink": 3}
    assert kept(filter_table(table, groups=["basic verbs", "PLACES"], synonyms=True)) == {
        "drink": 3,
        "auto": 2,
        "post office": 2,
    }
    (tmp_path / "mine.txt").write_text("ZEBRA\nbooks\n")
    assert kept(filter_table(table, glossary=tmp_path / "mine.txt", synonyms=True)) == {"book": 4, "zebra": 5}


def test_by_videos_signers_and_fewest_clips(table, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in (0, 1, 2, 4, 9):
        (videos / f"{number:05d}.mp4").write_bytes(b"x")
    (videos / "00012.npz").write_bytes(b"x")
    report = filter_table(table, videos=videos)
    assert kept(report) == {"book": 3, "drink": 1, "post office": 1, "zebra": 1}
    report = filter_table(table, videos=videos, min_clips=2, words=4)
    assert kept(report) == {"book": 3}
    reasons = report.to_dict()
    assert reasons["dropped_clips"] == {
        "not one of the first 4 glosses": 6, "no video of it is there": 6, "its gloss has fewer than 2 clips left": 2
    }  # fmt: skip
    assert reasons["dropped_glosses"]["auto"] == "no video of it is there" and len(reasons["dropped"]) == 14
    assert "3 of 17 clips are left, of 1 glosses." in str(
        report
    ) and "6 clips dropped out: no video of it is there" in str(report)
    assert kept(filter_table(table, signers=["0"])) == dict.fromkeys(COUNTS, 1)
    assert kept(filter_table(table, signers=[0, 4])) == {**dict.fromkeys(COUNTS, 1), "zebra": 2}
    assert kept(filter_table(table, without_signers=["0", "1"], min_clips=2)) == {"book": 2, "zebra": 3}


def test_what_cannot_be_done_says_so(table, tmp_path):
    for options, message in (
        ({"min_clips": 0}, "min_clips is 0"), ({"words": 7}, "lists 6 glosses; words must be from 1 to that, not 7"),
        ({"groups": ["Animals"]}, "The glossary has no group 'Animals'; it has Pronouns, Basic Verbs"),
        ({"signers": ["99"]}, "has no signer 99; its signers are 0, 1, 2, 3, 4"),
        ({"min_clips": 6}, r"No clip of .*table\.json is left \(17 × its gloss has fewer than 6 clips left\); ask for less"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            filter_table(table, tmp_path / "out.json", **options)
    with pytest.raises(FileNotFoundError, match="signlang wlasl download makes one"):
        filter_table(table, tmp_path / "out.json", videos=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"Glossary not found: .*none\.json"):
        filter_table(table, glossary=tmp_path / "none.json")
    assert not (tmp_path / "out.json").exists()


def test_the_glossary_is_the_published_one(signlang_data):
    groups = load_glossary()
    words = glossary_words(groups)
    assert len(groups) == 15 and len(words) == len(set(words)) == 319
    assert groups == json.loads((signlang_data / "wlasl" / "glossary_320.json").read_text())


@pytest.mark.parametrize(
    ("content", "message"), [("{", "not valid JSON"), ('{"a": "b"}', "is no glossary"), ("[]", "holds no word"), ("[1]", "is no glossary"), ("3", "is no glossary")]
)  # fmt: skip
def test_a_file_that_is_no_glossary(tmp_path, content, message):
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_glossary(tmp_path / "mine.json")


def test_glosses_match_words_by_spelling_first():
    found, unmatched = match_glosses(["car", "auto", "Post-Office"], ["AUTO", "POST OFFICE", "X"], Synonyms.load())
    assert found == {"car": "AUTO", "auto": "AUTO", "Post-Office": "POST OFFICE"} and unmatched == ["X"]


def test_published_tables(signlang_data):
    """Of WLASL300's glosses about four in ten are words of the glossary."""
    report = filter_table(signlang_data / "wlasl" / "asl300.json", glossary=True, min_clips=15)
    assert len(report.kept) + len(report.dropped) == 5117 and len(report.glosses) == 122
    assert len(report.unmatched) == 188 and "I" in report.unmatched
    wider = filter_table(signlang_data / "wlasl" / "asl300.json", glossary=True, synonyms=True)
    assert wider.matched == {"children": "CHILD", "your": "YOURS"}
