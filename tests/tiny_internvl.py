"""A tiny InternVL with random weights: transformers' own classes, two layers, a tokenizer of a few hundred tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    PreTrainedTokenizerFast,
)

SIZE = 28
"""Side of a frame in pixels."""
TOKENS_A_FRAME = 4
SPECIAL = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
# As in OpenGVLab/InternVL3-2B-hf: turns between <|im_start|> and <|im_end|>, a picture or a video as one token before its text.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<IMG_CONTEXT>\n{% elif part['type'] == 'video' %}<video>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SAMPLES = (
    "You are an expert sign-language recognition model. Identify the sign in the video and respond with exactly one word.",
    "hello help house yesterday today tomorrow doctor pain ambulance family thanks please",
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that every text can be written."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *SPECIAL.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(_SAMPLES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=SPECIAL,
    )


def save_tiny_internvl(folder: Path, **text: int) -> Path:
    """A base in a folder. ``text``: of the language model's configuration."""
    tokenizer = tiny_tokenizer()
    sizes = {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 1024, **text,
    }  # fmt: skip
    vision = {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": [SIZE, SIZE],
        "patch_size": [7, 7],
    }  # fmt: skip
    config = InternVLConfig(
        vision_config=vision,
        text_config={
            "model_type": "qwen2", "vocab_size": len(tokenizer), "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, **sizes,
        },
        image_token_id=tokenizer.convert_tokens_to_ids(SPECIAL["context_image_token"]),
        image_seq_length=TOKENS_A_FRAME,
    )  # fmt: skip
    torch.manual_seed(0)
    model = InternVLForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:  # so large that answers differ
                weights.normal_(std=0.2 if "lm_head" not in name else 0.5)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    from transformers import InternVLVideoProcessor
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor

    pixels = {"size": {"height": SIZE, "width": SIZE}}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(crop_to_patches=True, **pixels),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(**pixels),
        image_seq_length=TOKENS_A_FRAME,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder
