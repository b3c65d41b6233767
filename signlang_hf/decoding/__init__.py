"""From log-probabilities of a CTC model to glosses: greedy and beam search, n-gram language models, streaming. numpy only."""

from .beam import beam_search
from .decoder import Decoder
from .flashlight import FlashlightDecoder
from .greedy import greedy_search
from .hypothesis import DecodedToken, Hypothesis
from .ngram import NgramModel
from .streaming import StreamingDecoder

__all__ = [
    "DecodedToken",
    "Decoder",
    "FlashlightDecoder",
    "Hypothesis",
    "NgramModel",
    "StreamingDecoder",
    "beam_search",
    "greedy_search",
]
