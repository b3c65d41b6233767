"""One object for all ways of decoding: the settings are chosen once, then clips are decoded one by one.

Design decisions:

* ``engine="auto"`` takes flashlight-text where it is installed and can do what is asked, and the numpy beam otherwise; the readings
  are the same. An engine that is asked for by name and cannot do it is an error.
* A language model comes with its vocabulary checked: a gloss that it does not know would never be found.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .beam import BEAM_THRESHOLD, TOKEN_THRESHOLD, beam_search
from .flashlight import FlashlightDecoder, why_not
from .greedy import greedy_search
from .hypothesis import Hypothesis, check_log_probs, check_vocabulary
from .ngram import NgramModel, NgramScorer

METHODS: tuple[str, ...] = ("greedy", "beam")
ENGINES: tuple[str, ...] = ("auto", "numpy", "flashlight")


class Decoder:
    """Log-probabilities of one clip in, glosses with times and confidences out.

    Attributes:
        vocabulary: gloss of every column.
        engine: "numpy" or "flashlight", what was chosen.
        language_model: the loaded model, or None.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        blank: int = 0,
        *,
        method: str = "greedy",
        beam_size: int = 10,
        language_model: NgramModel | str | Path | None = None,
        lm_weight: float = 0.5,
        insertion_bonus: float = 0.0,
        token_threshold: float = TOKEN_THRESHOLD,
        beam_threshold: float = BEAM_THRESHOLD,
        engine: str = "auto",
    ) -> None:
        """Options as in :func:`~signlang_hf.decoding.beam.beam_search`; a language model may be the path of an ARPA file.

        Raises:
            ImportError: ``engine="flashlight"`` and flashlight-text is missing.
            FileNotFoundError, ValueError: a language model that is missing, broken or of another vocabulary, a language model
                with greedy search, an unknown method or engine.
        """
        self.vocabulary, self.blank = check_vocabulary(vocabulary, blank), blank
        self.method, self.language_model = method, load_language_model(method, language_model, engine)
        self._options = {
            "beam_size": beam_size,
            "lm_weight": lm_weight,
            "insertion_bonus": insertion_bonus,
            "token_threshold": token_threshold,
            "beam_threshold": beam_threshold,
        }
        self.engine = engine
        if engine == "auto" or method == "greedy":
            possible = method == "beam" and why_not(self.language_model, lm_weight, insertion_bonus) is None
            self.engine = "flashlight" if possible and _flashlight_is_installed() else "numpy"
        self._flashlight: FlashlightDecoder | None = None
        self._scorer: NgramScorer | None = None
        if self.engine == "flashlight":
            self._flashlight = FlashlightDecoder(
                self.vocabulary, blank=blank, language_model=self.language_model, **self._options
            )
        elif self.language_model is not None:
            self._scorer = NgramScorer(self.language_model, self.vocabulary, blank=blank)

    def __call__(self, log_probs: np.ndarray) -> Hypothesis:
        """Best reading of (T, V) natural log-probabilities."""
        return self.hypotheses(log_probs, 1)[0]

    def hypotheses(self, log_probs: np.ndarray, count: int) -> list[Hypothesis]:
        """Up to ``count`` readings, best first; greedy search knows one."""
        log_probs = check_log_probs(log_probs, blank=self.blank, vocabulary=self.vocabulary)
        if self.method == "greedy":
            return [greedy_search(log_probs, blank=self.blank)]
        if self._flashlight is not None:
            return self._flashlight(log_probs, count)
        return beam_search(
            log_probs, blank=self.blank, language_model=self._scorer, num_hypotheses=count, **self._options
        )

    def glosses(self, hypothesis: Hypothesis) -> list[str]:
        """The glosses of a reading."""
        return [self.vocabulary[column] for column in hypothesis.ids]


def load_language_model(method: str, language_model: NgramModel | str | Path | None, engine: str) -> NgramModel | None:
    """The language model of a decoder, read where it is a path; ValueError where method, engine and model do not go together."""
    if method not in METHODS:
        raise ValueError(f"Unknown decoding method {method!r}; known are {', '.join(METHODS)}.")
    if engine not in ENGINES:
        raise ValueError(f"Unknown engine {engine!r}; known are {', '.join(ENGINES)}.")
    if language_model is None:
        return None
    if method == "greedy":
        raise ValueError("Greedy search uses no language model; decode with method='beam'.")
    if isinstance(language_model, NgramModel):
        return language_model
    return NgramModel.from_arpa(language_model)


def _flashlight_is_installed() -> bool:
    try:
        return importlib.util.find_spec("flashlight.lib.text.decoder") is not None
    except ImportError:  # a package without its parent
        return False
