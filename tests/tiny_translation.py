"""A tiny continuous recogniser, a tiny translator and their composite, all with random weights, and clips for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from signlang_hf.models.ctc import SignCTCConfig, SignCTCProcessor, SignForCTC
from signlang_hf.models.translator import (
    SignTranslatorConfig,
    SignTranslatorForConditionalGeneration,
    SignTranslatorProcessor,
)

GLOSSES = ("DOCTOR", "HELLO", "RAIN", "THANKS", "TODAY", "YES")
SENTENCES = {
    "HELLO DOCTOR": "hello doctor .",
    "TODAY RAIN": "it rains today .",
    "YES THANKS": "yes , thank you .",
}


def tiny_recognizer(input_size: int, glosses: tuple[str, ...] = GLOSSES, **settings: Any) -> SignForCTC:
    """Weights are large and the blank is held down, so that a random clip gets several glosses."""
    torch.manual_seed(0)
    config = SignCTCConfig(
        input_size=input_size, vocab_size=len(glosses) + 2, hidden_size=8, num_hidden_layers=2, num_recurrent_layers=1,
        **settings,
    )  # fmt: skip
    model = SignForCTC(config).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(8.0)
        model.classifier.bias[:2] -= torch.tensor([0.5, 20.0])  # never <unk>
    return model


def save_tiny_recognizer(folder: Path, glosses: tuple[str, ...] = GLOSSES, **settings: Any) -> Path:
    """A recogniser's folder. Windows are of 40 frames at 25 a second unless the settings say otherwise."""
    of_the_model = {name: settings.pop(name) for name in ("causal", "temporal_stride") if name in settings}
    processor = SignCTCProcessor(glosses, **{"max_frames": 40, "target_fps": 25.0, **settings})
    tiny_recognizer(processor.feature_size, glosses, **of_the_model).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_tiny_translator(folder: Path) -> Path:
    """A translator's folder. It ends a sentence after at most twelve tokens."""
    torch.manual_seed(1)
    processor = SignTranslatorProcessor.train([key.split() for key in SENTENCES], list(SENTENCES.values()))
    config = SignTranslatorConfig(
        source_vocab_size=len(processor.source_vocabulary), vocab_size=processor.target_vocabulary_size,
        embedding_size=8, hidden_size=8, tie_word_embeddings=False,
    )  # fmt: skip
    model = SignTranslatorForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20.0)
        model.lm_head.bias[:2] -= 50.0  # no padding and no start within a sentence
    model.generation_config.max_new_tokens = 12
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_tiny_composite(folder: Path, recognizer: Path, translator: Path) -> Path:
    """Both as one model."""
    from transformers import AutoFeatureExtractor

    from signlang_hf.models.translation import SignTranslationModel, SignTranslationProcessor

    SignTranslationModel.from_recognizer_translator_pretrained(recognizer, translator).save_pretrained(folder)
    SignTranslationProcessor(
        recognizer=AutoFeatureExtractor.from_pretrained(recognizer),
        translator=AutoFeatureExtractor.from_pretrained(translator),
    ).save_pretrained(folder)
    return folder
