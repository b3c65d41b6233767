"""Continuous sign recognition with CTC: several signs in one clip, no boundaries given."""

from .configuration_ctc import SignCTCConfig
from .modeling_ctc import (
    SignCTCModel,
    SignCTCModelOutput,
    SignCTCOutput,
    SignCTCPreTrainedModel,
    SignForCTC,
    needed_frames,
)
from .processing_ctc import SignCTCProcessor, gloss_vocabulary
from .processing_stream import StreamingRecognizer, clip_log_probs, windows_of

__all__ = [
    "SignCTCConfig",
    "SignCTCModel",
    "SignCTCModelOutput",
    "SignCTCOutput",
    "SignCTCPreTrainedModel",
    "SignCTCProcessor",
    "SignForCTC",
    "StreamingRecognizer",
    "clip_log_probs",
    "gloss_vocabulary",
    "needed_frames",
    "windows_of",
]
