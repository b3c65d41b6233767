"""Subtitles: readable whatever comes in, nothing lost, and files that FFmpeg reads as they were meant."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest

from signlang_hf.pipelines.subtitles import Cue, SubtitleStyle, save_subtitles, subtitles, to_srt, to_vtt

STYLE = SubtitleStyle()


def signs(*spans: tuple[str, float, float]) -> list[dict]:
    return [{"gloss": gloss, "score": 0.9, "start": start, "end": end} for gloss, start, end in spans]


def words(cues: list[Cue]) -> list[str]:
    return [word for cue in cues for word in cue.text.split()]


def assert_readable(cues: list[Cue], style: SubtitleStyle = STYLE) -> None:
    for cue in cues:
        lines = cue.text.split("\n")
        assert 1 <= len(lines) <= style.max_lines and all(line == line.strip() != "" for line in lines)
        assert all(len(line) <= style.line_length or " " not in line for line in lines)
        assert cue.end - cue.start >= style.min_duration - 1e-9
    for cue, following in pairwise(cues):
        assert following.start - cue.end >= style.gap - 1e-9


def test_glosses_of_one_run_share_a_subtitle_and_a_pause_ends_it():
    answer = {"glosses": signs(("HEUTE", 0.2, 0.7), ("ABEND", 0.8, 1.4), ("REGEN", 3.0, 4.2))}
    assert subtitles(answer) == [Cue(0.2, 1.4, "HEUTE ABEND"), Cue(3.0, 4.2, "REGEN")]
    apart = subtitles(answer, style=SubtitleStyle(pause=0.0, min_duration=0.3, characters_per_second=100))
    assert [cue.text for cue in apart] == ["HEUTE", "ABEND", "REGEN"]


def test_a_sentence_is_shown_from_its_first_sign_to_its_last():
    answer = {"glosses": signs(("ICH", 1.0, 1.5), ("GEHEN", 3.0, 4.0)), "text": "Ich  gehe\nnach Hause.", "score": 0.5}
    assert subtitles(answer) == [Cue(1.0, 4.0, "Ich gehe nach Hause.")]
    assert subtitles(answer, content="glosses")[0].text == "ICH"
    assert subtitles({**answer, "text": ""}) == subtitles(answer, content="glosses")
    assert subtitles({"glosses": [], "text": "", "message": "Nobody was found in this clip."}) == []


def test_short_subtitles_are_shown_long_enough():
    # 0.1 s of signing: the minimum. 34 columns: two seconds of reading. Then no longer than the next one allows.
    assert subtitles({"glosses": signs(("JA", 1.0, 1.1))}) == [Cue(1.0, pytest.approx(1 + 5 / 6), "JA")]
    text = "Morgen wird es im ganzen Land kalt"
    first, second = {"glosses": signs(("A", 0, 0.5)), "text": text}, {"glosses": signs(("B", 1.5, 4)), "text": "x" * 60}
    assert subtitles(first)[0].end == pytest.approx(2.0)
    assert subtitles([second, first])[0].end == pytest.approx(1.5 - STYLE.gap)
    # A sign that is held for half a minute does not stay on the screen for as long.
    assert subtitles({"glosses": signs(("JA", 1, 31))})[0].end == 8


def test_what_follows_too_soon_joins_or_waits():
    short = [{"glosses": signs(("A", t, t + 0.1)), "text": text} for t, text in ((0.0, "Ja."), (0.4, "Gut."))]
    assert subtitles(short) == [Cue(0.0, pytest.approx(5 / 6), "Ja. Gut.")]
    long = [
        {"glosses": signs(("A", t, t + 0.3)), "text": letter * 40 + " " + letter * 40}
        for t, letter in ((0, "a"), (0.4, "b"))
    ]
    cues = subtitles(long)
    assert [cue.text[0] for cue in cues] == ["a", "b"]
    assert cues[1].start == pytest.approx(5 / 6 + STYLE.gap)
    assert_readable(cues)


def test_long_sentences_take_several_subtitles_in_proportion():
    text = " ".join(f"wort{i:02d}" for i in range(60)) + "."
    cues = subtitles({"glosses": signs(("A", 2.0, 5.0), ("B", 20.0, 32.0)), "text": text})
    assert_readable(cues)
    assert " ".join(words(cues)) == text and len(cues) == 5  # six words a line
    assert cues[0].start == 2.0 and cues[-1].end == pytest.approx(32)
    assert [cue.start for cue in cues] == pytest.approx([2 + 6 * i for i in range(5)], abs=0.3)
    # With less signing than reading time, the sentence outlasts the signs.
    assert subtitles({"glosses": signs(("A", 0, 1)), "text": text})[-1].end == pytest.approx(420 / 17, abs=0.5)


def test_lines_are_balanced_and_break_at_punctuation():
    text = "Am Tag scheint die Sonne, im Norden fällt etwas Regen."
    assert subtitles({"glosses": signs(("A", 0, 3)), "text": text})[0].text.split("\n") == [
        "Am Tag scheint die Sonne,", "im Norden fällt etwas Regen.",
    ]  # fmt: skip
    compound = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
    cues = subtitles({"glosses": signs(("A", 0, 3)), "text": f"Das {compound} gilt."})
    assert words(cues) == ["Das", compound, "gilt."] and len(cues) == 2


def test_wide_characters_count_twice_and_break_anywhere():
    text = "他明天早上要去北京的大学学习中文然后回家吃饭，我们一起去吧。"
    lines = subtitles({"glosses": signs(("A", 0, 9)), "text": text})[0].text.split("\n")
    assert "".join(lines) == text and len(lines) == 2 and all(len(line) <= 21 for line in lines)
    assert not lines[1].startswith("，")
    marks = "e\u0301" * 42
    assert subtitles({"glosses": signs(("A", 0, 9)), "text": f"{marks} {marks}"})[0].text == f"{marks}\n{marks}"


def test_nothing_outlasts_the_clip():
    answer = {"glosses": signs(("JA", 0.0, 1.0), ("GUT", 4.5, 4.9))}
    assert subtitles(answer, duration=5.0)[1] == Cue(pytest.approx(5 - 5 / 6), 5.0, "GUT")
    tight = [{"glosses": signs(("A", t, t + 0.2)), "text": "b" * 42 + " " + "c" * 42} for t in (0.0, 1.0, 2.0)]
    cues = subtitles(tight, duration=2.6)
    assert cues[-1].end == 2.6 and len(cues) == 3 and cues[0].start == 0
    assert all(a.end <= b.start and a.end > a.start for a, b in pairwise(cues))
    assert subtitles({"glosses": signs(("A", 0.1, 0.2))}, duration=0.3) == [Cue(0.0, 0.3, "A")]


@pytest.mark.parametrize("content", ["text", "glosses"])
def test_any_answer_becomes_readable_and_loses_nothing(content):
    for seed in range(60):
        rng, clock, answers = random.Random(seed), 0.0, []
        for _ in range(rng.randint(1, 6)):
            spans = []
            for _ in range(rng.randint(1, 12)):
                clock += rng.choice([0.0, 0.1, 0.5, 3.0])
                spans.append(
                    (f"G{rng.randint(0, 10 ** rng.randint(0, 12))}", clock, clock := clock + rng.uniform(0, 1))
                )
            text = " ".join("x" * rng.randint(1, 15) + rng.choice(["", ","]) for _ in range(rng.randint(1, 40)))
            answers.append({"glosses": signs(*spans), "text": text})
        style = SubtitleStyle(line_length=rng.choice([20, 42]), max_lines=rng.choice([1, 2, 3]))
        cues = subtitles(answers, content=content, style=style)
        assert_readable(cues, style)
        said = [s["gloss"] for a in answers for s in a["glosses"]] if content == "glosses" else []
        assert words(cues) == (said or [word for answer in answers for word in answer["text"].split()])


# ------------------------------------------------------------------------------------------------------------- the files

CUES = [
    Cue(0.0, 1.2345, "Regen & Wind"),
    Cue(59.9996, 61.0, "<unk> -->\nzweite Zeile"),
    Cue(3725.006, 3726.5, "Ärger"),
]


def test_files_made_by_hand():
    assert to_srt(CUES) == (
        "1\n00:00:00,000 --> 00:00:01,234\nRegen & Wind\n\n"
        "2\n00:01:00,000 --> 00:01:01,000\n‹unk› --›\nzweite Zeile\n\n"
        "3\n01:02:05,006 --> 01:02:06,500\nÄrger\n"
    )
    assert to_vtt(CUES[:2]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.234\nRegen &amp; Wind\n\n"
        "00:01:00.000 --> 00:01:01.000\n&lt;unk&gt; --&gt;\nzweite Zeile\n"
    )
    assert (to_srt([]), to_vtt([])) == ("", "WEBVTT\n")


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_ffmpeg_reads_what_was_meant(tmp_path, suffix):
    av = pytest.importorskip("av")
    path = save_subtitles(CUES, tmp_path / f"clip{suffix}")
    with av.open(str(path)) as container:
        assert container.format.name == {".srt": "srt", ".vtt": "webvtt"}[suffix]
        read = [
            (float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base), bytes(p).decode())
            for p in container.demux()
            if p.pts is not None
        ]
    assert [time for start, end, _ in read for time in (start, end)] == pytest.approx(
        [time for cue in CUES for time in (cue.start, cue.end)], abs=1e-3
    )
    assert read[2][2] == "Ärger" and re.search("unk.*\nzweite Zeile", read[1][2])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: subtitles({"glosses": []}, content="both"), "content is 'both'; choose one of auto, text, glosses"),
        (lambda: subtitles({"glosses": signs(("A", 0, 1))}, content="text"), "holds no text"),
        (lambda: subtitles({"text": "Hallo", "score": 1.0}), "'Hallo' has no glosses with times"),
        (lambda: subtitles({"glosses": ["A"]}), "Gloss 0 is 'A'; subtitles need its gloss, start and end"),
        (lambda: subtitles({"glosses": signs(("A", 0, 1), ("B", 2, 1))}), "Gloss 1, B, runs from 2.0 to 1.0 seconds"),
        (lambda: subtitles({"glosses": signs(("A", 0, float("nan")))}), "that is no time"),
        (lambda: save_subtitles([], "clip.txt"), "written as .srt or .vtt; clip.txt is neither"),
        (lambda: SubtitleStyle(line_length=0), "line_length is 0"),
        (lambda: SubtitleStyle(min_duration=8), "min_duration 8"),
        (lambda: SubtitleStyle(gap=-1), "gap is -1"),
    ],
)
def test_what_cannot_be_shown_says_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()
