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

__all__ = [
    "SignCTCConfig",
    "SignCTCModel",
    "SignCTCModelOutput",
    "SignCTCOutput",
    "SignCTCPreTrainedModel",
    "SignCTCProcessor",
    "SignForCTC",
    "gloss_vocabulary",
    "needed_frames",
]
