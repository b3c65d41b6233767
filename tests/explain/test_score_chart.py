"""The picture of answers: bars as long as their scores, one panel a model."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.explain.scores import score_chart

BAR = np.array([0x0F, 0x76, 0x6E])


def answer(*scores: float) -> list[dict]:
    return [{"label": f"sign {number}", "score": score} for number, score in enumerate(scores)]


def bar_pixels(picture) -> int:
    return int((np.abs(np.asarray(picture).astype(int) - BAR).max(axis=-1) < 12).sum())


def test_the_best_bar_is_as_long_as_its_score():
    half, whole = (bar_pixels(score_chart({"m": answer(score, 0.0)})) for score in (0.5, 1.0))
    assert whole > 1000 and half == pytest.approx(whole / 2, rel=0.05)


def test_models_stand_side_by_side():
    one = score_chart({"a": answer(0.6, 0.3)})
    two = score_chart({"a": answer(0.6, 0.3), "b": answer(0.9)})
    assert two.width > 1.8 * one.width and two.height == one.height


def test_only_so_many_bars():
    assert score_chart({"m": answer(*[0.1] * 9)}, num=3).height < score_chart({"m": answer(*[0.1] * 9)}, num=6).height


def test_nobody_is_said_and_names_are_no_formulas():
    nobody = [{"label": None, "score": 0.0, "message": "Nobody was found in this clip."}]
    assert bar_pixels(score_chart({"$x$ and $": nobody})) == 0
    score_chart({"m": [{"label": "costs 5$ or $6", "score": 0.5}]})


@pytest.mark.parametrize(
    ("answers", "num", "said"), [({}, 5, "There is no answer to draw"), ({"m": answer(1.0)}, 0, "num is 0")]
)
def test_what_cannot_be_drawn(answers, num, said):
    with pytest.raises(ValueError, match=said):
        score_chart(answers, num=num)
