"""Pictures of sentences: what is drawn is what was measured, on axes that say what they show."""

from __future__ import annotations

import itertools

import matplotlib.colors
import numpy as np
import pytest
import torch
from PIL import Image

from signlang_hf import SignTranslatorConfig, SignTranslatorForConditionalGeneration
from signlang_hf.decoding import DecodedToken
from signlang_hf.models.translator import SignTranslatorProcessor
from signlang_hf.training import alignment_pictures
from signlang_hf.training.alignment_pictures import Alignment, alignment_picture, attention_of, ctc_picture

GLOSSES = [["MORGEN", "REGEN", "NORD"], ["HEUTE", "SONNE-WARM"], ["REGEN", "HEUTE"]]
TEXTS = ["morgen regnet es im norden .", "heute scheint die sonne .", "heute regnet es ."]
VOCABULARY = ["<blank>", "<unk>", "HEUTE", "ABEND", "REGEN", "WIND"]


@pytest.fixture
def figures(monkeypatch):
    """Figures as they were when they were saved."""
    kept, real = [], alignment_pictures.save_figure
    monkeypatch.setattr(
        alignment_pictures, "save_figure", lambda figure, path: kept.append(figure) or real(figure, path)
    )
    return kept


def is_picture(path) -> bool:
    with Image.open(path) as picture:
        return picture.format == "PNG" and min(picture.size) > 300 and len(picture.convert("L").getcolors(256)) > 10


def labels(ticks) -> list[str]:
    return [tick.get_text() for tick in ticks]


# ------------------------------------------------------------------------------------------------------------- translator


@pytest.fixture(params=["word", "bpe"])
def translator(request):
    processor = SignTranslatorProcessor.train(
        GLOSSES, TEXTS, level=request.param, vocabulary_size=40 if request.param == "bpe" else None, split_glosses="-",
        minimum_count=1,
    )  # fmt: skip
    torch.manual_seed(3)
    config = SignTranslatorConfig(
        source_vocab_size=len(processor.source_vocabulary), vocab_size=processor.target_vocabulary_size,
        embedding_size=10, hidden_size=12, attention_size=7, initializer_range=1.0,
    )  # fmt: skip
    model = SignTranslatorForConditionalGeneration(config).eval()
    model.lm_head.bias.data[2] = -2.0  # the end does not come at once
    return model, processor


@pytest.mark.parametrize("num_beams", [1, 3])
def test_attention_is_that_of_the_generation(translator, num_beams):
    model, processor = translator
    found = attention_of(model, processor, "MORGEN regen", max_new_tokens=9, num_beams=num_beams)
    inputs = processor("MORGEN regen", return_tensors="pt")
    out = model.generate(
        **inputs, max_new_tokens=9, num_beams=num_beams, output_attentions=True, return_dict_in_generate=True
    )
    looks = model.score(out.sequences, **inputs).attentions[0].detach().numpy()
    assert found.text == processor.decode(out.sequences[0], "MORGEN regen", looks)
    assert found.glosses == ("MORGEN", "regen", "</s>") and len(found.words) == len(found.weights)
    assert found.weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
    visible = [word for word in found.words if word not in ("</s>", "<unk>")]
    assert " ".join(visible) == found.text and len(visible) >= 1
    if num_beams == 1:
        steps = np.stack([step[0][0, 0, 0].numpy() for step in out.cross_attentions])
        ids = out.sequences[0, 1:].tolist()
        ids = ids[: ids.index(2) + 1] if 2 in ids else ids
        # Each row is the mean over the tokens of its word; tokens per word are found by decoding prefixes.
        counts, row = np.zeros(len(found.words), int), -1
        for end in range(1, len(ids) + 1):
            words = processor.decode(ids[:end], "MORGEN regen", steps[:end]).split()
            row = row + 1 if ids[end - 1] in (0, 1, 2) else len(words) - 1
            counts[row] += 1
        assert counts.sum() == len(ids)
        bounds = np.concatenate([[0], counts.cumsum()])
        expected = [steps[start:end].mean(axis=0) for start, end in itertools.pairwise(bounds)]
        np.testing.assert_allclose(found.weights, expected, atol=1e-5)


def test_pieces_of_words_can_have_rows_of_their_own(translator):
    model, processor = translator
    whole, parts = (
        attention_of(model, processor, "MORGEN regen", pieces=pieces, max_new_tokens=9) for pieces in (False, True)
    )
    assert parts.text == whole.text and parts.words[-1] == whole.words[-1]
    shown = ["".join(word for word in found.words if word not in ("</s>", "<unk>")) for found in (whole, parts)]
    assert shown[0] == shown[1] == whole.text.replace(" ", "")
    assert len(parts.words) == len(parts.weights) >= len(whole.words)
    assert parts.weights.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_spelled_word_looks_at_its_letters_one_after_the_other():
    """The bundled speller: no row for the blank before the word, and the letters in their order."""
    from transformers import AutoModelForSeq2SeqLM, AutoProcessor

    from signlang_hf import pretrained

    folder = pretrained.path("spelling")
    model, processor = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    found = attention_of(model.translator, processor.translator, list("BERLIN"), pieces=True)
    assert found.words == (*"berlin", "</s>") and found.glosses == (*"BERLIN", "</s>")
    assert found.weights.argmax(axis=1).tolist() == list(range(7))
    assert attention_of(model.translator, processor.translator, list("BERLIN")).words == ("berlin", "</s>")


def test_glosses_keep_their_names_and_parts_have_their_own(translator):
    model, processor = translator
    found = attention_of(model, processor, ["NORD-WARM", "REGEN-SONNE-WARM", "SCHNEE"], max_new_tokens=3)
    assert found.glosses[-2:] == ("SCHNEE", "</s>")
    assert len(found.glosses) == len(processor.encode_glosses(["NORD-WARM", "REGEN-SONNE-WARM", "SCHNEE"]))
    with pytest.raises(ValueError, match="without glosses"):
        attention_of(model, processor, [])


def test_the_alignment_is_a_heat_map_of_words_and_glosses(tmp_path, figures):
    weights = np.array([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05]])
    alignment = Alignment(weights, ("MORGEN", "REGEN", "</s>"), ("regen", "</s>"), "regen")
    path = alignment_picture(alignment, str(tmp_path / "alignment.png"), title="Test 3")  # a path may be text
    assert path == tmp_path / "alignment.png"
    assert is_picture(path)
    axis, bar = figures[0].axes
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) == ("glosses", "words", "Test 3")
    assert labels(axis.get_xticklabels()) == ["MORGEN", "REGEN", "</s>"] and labels(axis.get_yticklabels()) == [
        "regen",
        "</s>",
    ]
    np.testing.assert_allclose(axis.images[0].get_array(), 100 * weights)
    assert axis.images[0].get_clim() == (0, 100) and bar.get_ylabel() == "attention of the word (%)"
    written = {tuple(text.get_position()): text.get_text() for text in axis.texts}
    assert written == {(0, 0): "70", (1, 0): "20", (2, 0): "10", (1, 1): "90"}


def test_large_alignments_have_no_numbers_and_wrong_ones_are_refused(tmp_path, figures):
    weights = np.full((30, 50), 0.02)
    weights[:, 0] += 0.5
    names = tuple(f"word{i}" for i in range(50))
    assert is_picture(alignment_picture(Alignment(weights, names, names[:30], ""), tmp_path / "large.png"))
    assert not figures[0].axes[0].texts
    with pytest.raises(ValueError, match=r"\(30, 50\); with 29 words and 50 glosses it must be \(29, 50\)"):
        alignment_picture(Alignment(weights, names, names[:29], ""), tmp_path / "no.png")


# --------------------------------------------------------------------------------------------------------------- recogniser


def log_probs() -> np.ndarray:
    """20 frames: blank, but HEUTE in 3 to 5 and 14, ABEND in 8 to 10; REGEN nearly in 17."""
    probabilities = np.full((20, 6), 0.01)
    probabilities[:, 0] = 0.95
    for frames, column in (((3, 4, 5, 14), 2), ((8, 9, 10), 3)):
        for frame in frames:
            probabilities[frame] = 0.02
            probabilities[frame, column] = 0.9
    probabilities[17] = [0.56, 0.01, 0.01, 0.01, 0.4, 0.01]
    return np.log(probabilities)


def test_probabilities_over_time_and_the_decoded_segments(tmp_path, figures):
    path = ctc_picture(
        log_probs(), VOCABULARY, tmp_path / "ctc.png", seconds_per_frame=0.1, reference=["HEUTE", "ABEND", "REGEN"],
        others=1, title="clip 3",
    )  # fmt: skip
    assert is_picture(path)
    curves, segments = figures[0].axes
    assert curves.get_ylabel() == "probability (%)" and segments.get_xlabel() == "time (s)"
    assert curves.get_title(loc="left") == "clip 3\nsigned: HEUTE ABEND REGEN"
    drawn = {line.get_label(): line for line in curves.lines}
    assert list(drawn) == ["blank", "HEUTE", "ABEND", "not decoded: REGEN"]
    for name, column in (("blank", 0), ("HEUTE", 2), ("ABEND", 3), ("not decoded: REGEN", 4)):
        np.testing.assert_allclose(drawn[name].get_xdata(), 0.05 + 0.1 * np.arange(20))
        np.testing.assert_allclose(drawn[name].get_ydata(), 100 * np.exp(log_probs()[:, column]))
    assert labels(curves.get_legend().get_texts()) == ["blank", "not decoded: REGEN"]
    assert [(round(bar.get_x(), 6), round(bar.get_width(), 6)) for bar in segments.patches] == [
        (0.3, 0.3),
        (0.8, 0.3),
        (1.4, 0.1),
    ]
    assert labels(segments.texts) == ["HEUTE 90", "ABEND 90", "HEUTE 90"]
    assert segments.get_xlim() == curves.get_xlim() == (0, 2)
    # A segment has the colour of its curve, the same for every time of a gloss.
    colours = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in segments.patches]
    assert colours == [drawn[name].get_color() for name in ("HEUTE", "ABEND", "HEUTE")] and len(set(colours)) == 2


def test_other_decodings_and_frames(tmp_path, figures):
    tokens = (DecodedToken(5, 0.25, 2, 12),)
    ctc_picture(log_probs(), VOCABULARY, str(tmp_path / "ctc.png"), tokens=tokens, others=0)
    curves, segments = figures[0].axes
    assert segments.get_xlabel() == "output frame" and labels(segments.texts) == ["WIND 25"]
    assert [line.get_label() for line in curves.lines] == ["blank", "WIND"]
    assert (segments.patches[0].get_x(), segments.patches[0].get_width()) == (2, 10)
    assert is_picture(ctc_picture(log_probs(), VOCABULARY, tmp_path / "nothing.png", tokens=()))
    assert not figures[1].axes[1].patches


def test_crowded_labels_stand_upright_and_apart(tmp_path, figures):
    tokens = [DecodedToken(2 + i % 4, 0.5, i, i + 1) for i in range(20)]
    path = ctc_picture(log_probs(), VOCABULARY, tmp_path / "ctc.png", tokens=tokens)
    assert is_picture(path)
    figure = figures[0]
    figure.draw_without_rendering()
    texts = figure.axes[1].texts
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) == 20 and {text.get_rotation() for text in texts} == {90}
    assert all(one.x1 <= other.x0 + 1 for one, other in itertools.pairwise(boxes))
    assert min(box.y0 for box in boxes) > figure.axes[1].get_window_extent().y0


@pytest.mark.parametrize("shape", [(0, 6), (20, 5), (6,)])
def test_what_cannot_be_drawn_says_so(tmp_path, shape):
    with pytest.raises(ValueError, match=r"must be \(T, 6\) with T at least 1"):
        ctc_picture(np.zeros(shape), VOCABULARY, tmp_path / "no.png")
