"""ARPA files: round trip, files of other tools, and broken ones with their line."""

import re

import pytest

from signlang_hf.decoding import NgramModel

GOOD = """written by another tool

\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99 <s> -0.5
-0.3\t</s>
-0.4\tA\t-0.2
-0.5\tGÜT␣MORGEN

\\2-grams:
-0.1 <s> A
-0.2 A GÜT␣MORGEN

\\end\\
"""


def written(folder, text, encoding="utf-8"):
    path = folder / "model.arpa"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("order", [1, 2, 4])
def test_round_trip(tmp_path, order):
    model = NgramModel.train([["GUTEN MORGEN", "你好"], ["你好"], ["ÄRZTIN", "你好", "ÄRZTIN"]], order=order)
    path = model.save_arpa(tmp_path / "new" / "model.arpa")
    read = NgramModel.from_arpa(path)
    assert read.log_probs == pytest.approx(model.log_probs) and read.backoffs == pytest.approx(model.backoffs)
    assert read.order == model.order and read.vocabulary == model.vocabulary
    assert read.save_arpa(tmp_path / "again.arpa").read_bytes() == path.read_bytes()


def test_a_file_of_another_tool(tmp_path):
    for text in (GOOD, GOOD.replace("\n", "\r\n")):
        model = NgramModel.from_arpa(written(tmp_path, text))
        assert model.vocabulary == ["</s>", "A", "GÜT MORGEN"]
        assert model.log_prob("GÜT MORGEN", ["A"]) == pytest.approx(-0.2 * 2.302585)
        assert model.log_prob("A", ["A"]) == pytest.approx(-0.6 * 2.302585)
        assert model.log_prob("X", ["A"]) < -200  # it has no <unk>


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("\\data\\", "data", 18, "no \\data\\ line"),
        ("ngram 2=2", "ngram 2", 5, "expected a count"),
        ("ngram 1=4", "ngram 1=5", 13, "4 1-grams instead of the 5"),
        ("\\2-grams:", "\\3-grams:", 13, "expected the heading '\\2-grams:'"),
        ("-0.4\tA\t-0.2", "-0,4\tA\t-0.2", 10, "'-0,4' is not a number"),
        ("-0.4\tA\t-0.2", "0.4\tA\t-0.2", 10, "above 0"),
        ("-0.4\tA\t-0.2", "-0.4\tA B C", 10, "this line has 4 fields"),
        ("-0.1 <s> A", "-0.1 <s> A -0.3", 14, "this line has 4 fields"),
        ("-0.1 <s> A", "-0.1 A B", 14, "'B' is not among the 1-grams"),
        ("-0.1 <s> A", "-0.2 A GÜT␣MORGEN", 15, "a second time"),
        ("\\end\\\n", "", 17, "ends too early"),
        ("\\2-grams:\n-0.1 <s> A\n-0.2 A GÜT␣MORGEN\n\n", "", 13, "ends too early"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path, old, new, line, message):
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ValueError, match=rf"model\.arpa, line {line}: .*{re.escape(message)}") as caught:
        NgramModel.from_arpa(path)
    assert "\n" not in str(caught.value)


def test_other_files(tmp_path):
    with pytest.raises(ValueError, match="line 11: not UTF-8 from byte 7"):
        NgramModel.from_arpa(written(tmp_path, GOOD.replace("␣", "_"), "latin-1"))
    with pytest.raises(ValueError, match="no ARPA file"):
        NgramModel.from_arpa(written(tmp_path, ""))
    with pytest.raises(ValueError, match="line 101: no ARPA file"):
        NgramModel.from_arpa(written(tmp_path, "gloss,sentence\n" * 500))
    with pytest.raises(ValueError, match="KenLM binary"):
        NgramModel.from_arpa(written(tmp_path, "mmap lm http://kheafield.com/code format version 5\n"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.arpa"):
        NgramModel.from_arpa(tmp_path / "nowhere.arpa")
