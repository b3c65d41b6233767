"""Pictures and tables of a run."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from signlang_hf.training.reports import confusion_matrix, learning_curve, per_class_table

TRUE = np.array([0, 0, 0, 1, 1, 2])
SAID = np.array([0, 2, 2, 1, 0, 2])
NAMES = ["book", "thanks, really", "Ä"]


@pytest.fixture
def figures(monkeypatch):
    """Figures as they were when they were saved."""
    kept = []
    from signlang_hf.training import reports

    real = reports.save_figure
    monkeypatch.setattr(reports, "save_figure", lambda figure, path: kept.append(figure) or real(figure, path))
    return kept


def is_picture(path) -> bool:
    with Image.open(path) as picture:
        return picture.format == "PNG" and min(picture.size) > 300 and len(picture.convert("L").getcolors(256)) > 10


def test_learning_curve_shows_what_was_logged(tmp_path, figures):
    history = [
        {"epoch": 1.0, "loss": 1.4, "step": 4},
        {"epoch": 1.0, "eval_loss": 1.5, "eval_accuracy": 0.25, "step": 4},
        {"epoch": 2.0, "loss": 0.7, "step": 8},
        {"epoch": 2.0, "eval_loss": 1.1, "eval_accuracy": 0.75, "step": 8},
        {"epoch": 2.0, "train_runtime": 3.0, "train_loss": 1.0, "step": 8},
    ]
    path = learning_curve(history, tmp_path / "curve.png", references={"test": 0.6, "test, 1-NN": 0.5})
    assert is_picture(path)
    drawn = {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for axis in figures[0].axes
        for line in axis.lines
    }
    assert drawn["training loss"] == ([1, 2], [1.4, 0.7])
    assert drawn["validation loss"] == ([1, 2], [1.5, 1.1])
    assert drawn["validation accuracy"] == ([1, 2], [25, 75])
    assert drawn["test 60.0 %"][1] == [60, 60]
    assert drawn["test, 1-NN 50.0 %"][1] == [50, 50]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(drawn)


@pytest.mark.parametrize("history", [[], [{"epoch": 1.0, "loss": 1.0}]])
def test_learning_curve_of_next_to_nothing(tmp_path, history):
    assert is_picture(learning_curve(history, tmp_path / "curve.png"))


def test_confusion_matrix_counts_true_against_predicted(tmp_path, figures):
    assert is_picture(confusion_matrix(SAID, TRUE, NAMES, tmp_path / "matrix.png", title="top-1 50.0 %"))
    axis = figures[0].axes[0]
    np.testing.assert_allclose(axis.images[0].get_array(), [[100 / 3, 0, 200 / 3], [50, 50, 0], [0, 0, 100]], atol=1e-9)
    cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "1", (0, 2): "2", (1, 0): "1", (1, 1): "1", (2, 2): "1"}
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("true", "predicted")
    assert [tick.get_text() for tick in axis.get_yticklabels()] == NAMES


def test_confusion_matrix_of_many_classes_leaves_names_and_counts_out(tmp_path, figures):
    many = np.arange(100)
    assert is_picture(confusion_matrix(many, many, [f"sign {i}" for i in many], tmp_path / "matrix.png"))
    assert not figures[0].axes[0].texts
    assert max(figures[0].get_size_inches()) < 30


def test_per_class_table(tmp_path):
    path = per_class_table(SAID, TRUE, [*NAMES, "never"], tmp_path / "classes.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == [*NAMES, "never"]
    assert rows[0] == {
        "label": "book", "clips": "3", "precision": "0.5", "recall": "0.3333", "f1": "0.4", "most_confused_with": "Ä",
    }  # fmt: skip
    assert (rows[1]["precision"], rows[1]["recall"], rows[1]["most_confused_with"]) == ("1.0", "0.5", "book")
    assert (rows[2]["precision"], rows[2]["recall"], rows[2]["most_confused_with"]) == ("0.3333", "1.0", "")
    assert rows[3]["clips"] == "0"
    assert rows[3]["f1"] == "0.0"


def test_reports_leave_pyplot_alone_and_no_half_files(tmp_path, monkeypatch):
    import matplotlib.figure
    import matplotlib.pyplot as plt

    learning_curve([], tmp_path / "curve.png")
    assert plt.get_fignums() == []
    before = (tmp_path / "curve.png").read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        learning_curve([], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "signlang-hf\[train\]"'):
        learning_curve([], tmp_path / "curve.png")
