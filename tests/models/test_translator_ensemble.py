"""signlang_translator_ensemble: the common checks, and its words against the mean of its members' probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from common import SignModelTests
from torch.nn import functional as F
from transformers import AutoFeatureExtractor, AutoModelForSeq2SeqLM

from signlang_hf import (
    SignTranslatorConfig,
    SignTranslatorEnsembleConfig,
    SignTranslatorEnsembleForConditionalGeneration,
    SignTranslatorForConditionalGeneration,
    SignTranslatorProcessor,
)

TINY = {
    "source_vocab_size": 30, "vocab_size": 24, "embedding_size": 10, "hidden_size": 12, "initializer_range": 1.0,
    "embedding_dropout": 0.0, "hidden_dropout": 0.0, "teacher_forcing_ratio": 1.0,
}  # fmt: skip
DIFFERENT = ({}, {"hidden_size": 8, "input_feeding": False, "bidirectional": False, "tie_word_embeddings": False})
SOURCE = torch.randint(4, 30, (4, 6), generator=torch.Generator().manual_seed(5))
MASK = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] + [0] * 5, [1] * 6])


def member(seed: int, **changes: Any) -> SignTranslatorForConditionalGeneration:
    torch.manual_seed(seed)
    model = SignTranslatorForConditionalGeneration(SignTranslatorConfig(**{**TINY, **changes})).eval()
    model.lm_head.bias.data[:3] -= 2  # sentences of some length
    return model


def members(**changes: Any) -> list[SignTranslatorForConditionalGeneration]:
    return [member(seed, **{**own, **changes}) for seed, own in enumerate(DIFFERENT)]


class TestSignTranslatorEnsemble(SignModelTests):
    config_class = SignTranslatorEnsembleConfig
    model_class = SignTranslatorEnsembleForConditionalGeneration
    auto_class = "AutoModelForSeq2SeqLM"
    exemptions: ClassVar[dict[str, str]] = {
        "test_base_model_loads_from_the_same_folder": "an ensemble has no encoder of its own",
        "test_eager_equals_sdpa": "Bahdanau's attention is additive; sdpa computes another one",
        "test_onnx_equals_torch_at_another_size": "members export one by one",
        "test_pipeline_on_one_a_list_and_a_batch": "its pipeline gives text, not labels with scores; it has its own tests",
        "test_remote_code_without_the_library": "it has no AutoModel; a single translator's code is checked",
    }

    def model(self, **changes: Any) -> SignTranslatorEnsembleForConditionalGeneration:
        return SignTranslatorEnsembleForConditionalGeneration.from_members(members(**changes))

    def config(self, **changes: Any) -> SignTranslatorEnsembleConfig:
        return self.model(**changes).config

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(frames)
        words = torch.randint(4, 24, (batch, 5), generator=generator)
        return {
            "input_ids": torch.randint(4, 30, (batch, frames), generator=generator),
            "decoder_input_ids": torch.cat([torch.ones_like(words[:, :1]), words], dim=1),
        }

    def labels(self, batch: int = 3) -> torch.Tensor:
        return torch.tensor([[4, 5, 6, 7, 8, 2]]).repeat(batch, 1)

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return self.labels(batch) + 20

    def test_save_and_load_exact(self, tmp_path: Path) -> None:
        model, inputs = self.model(), self.inputs()
        model.save_pretrained(tmp_path)
        for cls in (SignTranslatorEnsembleForConditionalGeneration, AutoModelForSeq2SeqLM):
            again = cls.from_pretrained(tmp_path, dtype=torch.float32)
            assert type(again) is SignTranslatorEnsembleForConditionalGeneration
            weights = again.state_dict()
            assert (
                all(torch.equal(weights.pop(name), value) for name, value in model.state_dict().items()) and not weights
            )
            # Where a loaded weight begins in memory depends on those before it, and with it the order of sums.
            torch.testing.assert_close(self.logits(again, **inputs), self.logits(model, **inputs), atol=2e-6, rtol=0)

    def test_padded_equals_alone(self) -> None:
        model, long, short = self.model(), self.inputs(1, 11), self.inputs(1, 6)
        together = self.logits(
            model,
            input_ids=torch.cat([long["input_ids"], F.pad(short["input_ids"], (0, 5), value=9)]),
            attention_mask=torch.tensor([[1] * 11, [1] * 6 + [0] * 5]),
            decoder_input_ids=torch.cat([long["decoder_input_ids"], short["decoder_input_ids"]]),
        )
        for row, alone in enumerate((long, short)):
            torch.testing.assert_close(together[row : row + 1], self.logits(model, **alone), atol=1e-5, rtol=0)

    def test_generation_with_cache_equals_without(self) -> None:
        model = self.model()
        for way in ({}, {"num_beams": 4, "num_return_sequences": 2}):
            with_cache, without = (
                model.generate(SOURCE, attention_mask=MASK, max_new_tokens=8, use_cache=cache, **way)
                for cache in (True, False)
            )
            assert torch.equal(with_cache, without) and with_cache.shape[1] > 4
            assert len({tuple(row) for row in with_cache.tolist()}) > 1


@torch.no_grad()
def test_its_probabilities_are_the_mean_of_its_members():
    apart = members()
    model = SignTranslatorEnsembleForConditionalGeneration.from_members(apart)
    words = torch.tensor([[1, 5, 6, 7]] * 4)
    labels = torch.tensor([[5, 6, 7, 2], [5, 2, -100, -100]] * 2)
    output = model(SOURCE, MASK, decoder_input_ids=words, labels=labels, output_attentions=True)
    alone = [one(SOURCE, MASK, decoder_input_ids=words, output_attentions=True) for one in apart]
    mean = sum(one.logits.softmax(-1) for one in alone) / 2
    torch.testing.assert_close(output.logits.exp(), mean, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(alone[0].logits.softmax(-1), mean, atol=0.01)
    torch.testing.assert_close(output.cross_attentions[0], sum(one.cross_attentions[0] for one in alone) / 2)
    right = torch.stack([mean[row, step].log()[labels[row, step]] for row, step in zip(*torch.where(labels > 0))])
    assert output.loss.item() == pytest.approx(-right.mean().item(), abs=1e-5)


def test_it_writes_what_its_mean_says():
    model = SignTranslatorEnsembleForConditionalGeneration.from_members(members())
    written = model.generate(SOURCE, attention_mask=MASK, max_new_tokens=6)
    logits = model(SOURCE, MASK, decoder_input_ids=written[:, :-1]).logits
    for row in range(4):
        ends = written[row].tolist().index(2) if 2 in written[row] else written.shape[1] - 1
        assert written[row, 1 : ends + 1].tolist() == logits[row, :ends].argmax(-1).tolist()
    beams = model.generate(SOURCE, attention_mask=MASK, max_new_tokens=6, num_beams=4)
    likely = [model.score(one, SOURCE, MASK).log_probs.sum(1) for one in (written, beams)]
    assert likely[1].sum() >= likely[0].sum() - 1e-4


def test_it_is_loaded_with_its_processor_as_a_single_one_is(tmp_path):
    processor = SignTranslatorProcessor.train([["A", "B"], ["C"]], ["a b", "c"])
    sizes = {"source_vocab_size": len(processor.source_vocabulary), "vocab_size": processor.target_vocabulary_size}
    model = SignTranslatorEnsembleForConditionalGeneration.from_members(members(**sizes, max_target_positions=9))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(AutoFeatureExtractor.from_pretrained(tmp_path)) is SignTranslatorProcessor
    inputs = processor([["A"], ["B", "C"]], return_tensors="pt")
    assert torch.equal(again.generate(**inputs, num_beams=2), model.generate(**inputs, num_beams=2))
    tied = [one.lm_head.weight is one.model.decoder.embed_tokens.weight for one in again.members]
    assert tied == [True, False]


def test_members_that_do_not_fit_say_so():
    with pytest.raises(ValueError, match=r"differ in vocab_size \(24, 25\)"):
        SignTranslatorEnsembleForConditionalGeneration.from_members([member(0), member(1, vocab_size=25)])
    with pytest.raises(ValueError, match="at least one member"):
        SignTranslatorEnsembleForConditionalGeneration.from_members([])
