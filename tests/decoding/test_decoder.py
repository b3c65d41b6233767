"""One decoder for all methods and engines; flashlight-text against the numpy beam."""

import builtins
import importlib.util

import numpy as np
import pytest
from made_up_emissions import soft, spiky

from signlang_hf.decoding import Decoder, FlashlightDecoder, NgramModel, beam_search, greedy_search

VOCABULARY = ["<blank>", "<unk>", "GUTEN MORGEN", "ÄRZTIN", "C", "D"]
SENTENCES = [["GUTEN MORGEN", "ÄRZTIN"], ["C", "D", "C"], ["ÄRZTIN", "C"], ["D", "GUTEN MORGEN", "C", "C"]]

needs_flashlight = pytest.mark.skipif(
    importlib.util.find_spec("flashlight") is None, reason="flashlight-text is not installed"
)


@needs_flashlight
@pytest.mark.parametrize("order", [None, 1, 2, 3])
@pytest.mark.parametrize("bonus", [0.0, -0.4])
@pytest.mark.parametrize("blank", [0, 5])
def test_flashlight_equals_numpy(order, bonus, blank, capfd):
    vocabulary = VOCABULARY if blank == 0 else [*VOCABULARY[1:], "<blank>"]
    model = None if order is None else NgramModel.train(SENTENCES, order=order, vocabulary=vocabulary)
    options = {"blank": blank, "beam_size": 20_000, "beam_threshold": 1e6, "token_threshold": 1e-2, "language_model": model,
               "lm_weight": 0.6, "insertion_bonus": bonus}  # fmt: skip
    flashlight = FlashlightDecoder(vocabulary, **options)
    for seed in range(3):
        log_probs = soft(6, 6, seed=seed, spread=2)
        theirs = flashlight(log_probs, 20)
        ours = beam_search(log_probs, vocabulary=vocabulary, num_hypotheses=20, **options)
        assert [h.score for h in theirs] == pytest.approx([h.score for h in ours], abs=1e-4)
        for one, other in zip(theirs, ours):
            assert one.ids == other.ids and one.tokens == other.tokens
    assert capfd.readouterr() == ("", "")  # KenLM's progress bar


@needs_flashlight
def test_flashlight_equals_numpy_on_a_long_clip_with_a_common_beam():
    tokens = np.random.default_rng(0).integers(2, 6, 20).tolist()
    log_probs = spiky(tokens, 6, blank=4)
    model = NgramModel.train(SENTENCES, vocabulary=VOCABULARY)
    ours, theirs = (
        Decoder(VOCABULARY, method="beam", engine=engine, language_model=model, lm_weight=0.2)
        for engine in ("numpy", "flashlight")
    )
    assert ours(log_probs).tokens == theirs(log_probs).tokens
    assert ours(log_probs).score == pytest.approx(theirs(log_probs).score, abs=0.5)


@needs_flashlight
def test_flashlight_on_odd_clips_and_odd_settings(tmp_path):
    flashlight = FlashlightDecoder(VOCABULARY)
    assert flashlight(np.zeros((0, 6)))[0].tokens == ()
    assert flashlight(np.log([[0.95] + [0.01] * 5] * 3))[0].tokens == ()
    assert flashlight(np.log([[0.05, 0.7, 0.1, 0.05, 0.05, 0.05]]))[0].ids == [1]
    with pytest.raises(ValueError, match="NaN in frame 0"):
        flashlight(np.full((1, 6), np.nan))
    model = NgramModel.train(SENTENCES, vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match=r"no insertion bonus, and 5\.0 .*engine='numpy'"):
        FlashlightDecoder(VOCABULARY, language_model=model, insertion_bonus=5.0)
    assert Decoder(VOCABULARY, method="beam", language_model=model, insertion_bonus=5.0).engine == "numpy"
    with pytest.raises(ValueError, match="orders up to 6"):
        FlashlightDecoder(VOCABULARY, language_model=NgramModel.train([list("CDCDCDCDC")], 8, VOCABULARY))
    path = model.save_arpa(tmp_path / "glosses.arpa")
    log_probs = soft(10, 6)
    from_file = FlashlightDecoder(VOCABULARY, language_model=path)(log_probs)[0]
    assert from_file == FlashlightDecoder(VOCABULARY, language_model=model)(log_probs)[0]


@pytest.mark.parametrize("engine", ["numpy", pytest.param("flashlight", marks=needs_flashlight)])
def test_a_language_model_decides_what_the_hands_leave_open(engine):
    log_probs = spiky([2, 3, 4], 6)
    log_probs[:, 5] = log_probs[:, 4] + 0.7  # C and D look alike, and D is twice as likely
    log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    model = NgramModel.train([["GUTEN MORGEN", "ÄRZTIN", "C"]] * 3, vocabulary=VOCABULARY)
    alone = Decoder(VOCABULARY, method="beam", engine=engine)
    helped = Decoder(VOCABULARY, method="beam", engine=engine, language_model=model)
    assert alone.glosses(alone(log_probs)) == ["GUTEN MORGEN", "ÄRZTIN", "D"]
    assert helped.glosses(helped(log_probs)) == ["GUTEN MORGEN", "ÄRZTIN", "C"]
    assert len(alone.hypotheses(log_probs, 3)) == 3


def test_greedy_and_the_choice_of_an_engine(monkeypatch):
    log_probs = spiky([2, 2, 5], 6)
    decoder = Decoder(VOCABULARY)
    assert decoder(log_probs) == greedy_search(log_probs) and decoder.engine == "numpy"

    def without_flashlight(name, *args, original=builtins.__import__, **kwargs):
        if name.startswith("flashlight"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_flashlight)
    monkeypatch.setattr("signlang_hf.decoding.decoder._flashlight_is_installed", lambda: False)
    assert Decoder(VOCABULARY, method="beam").engine == "numpy"
    with pytest.raises(ImportError, match=r"pip install \"signlang-hf\[decoding\]\""):
        Decoder(VOCABULARY, method="beam", engine="flashlight")


@pytest.mark.parametrize(
    ("vocabulary", "options", "message"),
    [
        (VOCABULARY, {"method": "bean"}, "Unknown decoding method 'bean'; known are greedy, beam"),
        (VOCABULARY, {"engine": "torch"}, "Unknown engine 'torch'"),
        (VOCABULARY, {"language_model": NgramModel.train([["C"]])}, "uses no language model"),
        (
            VOCABULARY,
            {"method": "beam", "language_model": NgramModel.train([["C"]])},
            "does not know 3 of the recogniser's 4",
        ),
        ("<blank>", {}, "list of glosses"),
        (["<blank>", "A", "A"], {}, "'A' more than once"),
        (["<blank>", "A"], {"blank": 2}, "blank is column 2"),
    ],
)
def test_settings_that_do_not_fit(vocabulary, options, message):
    with pytest.raises(ValueError, match=message):
        Decoder(vocabulary, **options)


def test_a_clip_of_another_model():
    with pytest.raises(
        ValueError, match="9 columns and the vocabulary 6 entries; take model and processor from one folder"
    ):
        Decoder(VOCABULARY)(soft(3, 9))
