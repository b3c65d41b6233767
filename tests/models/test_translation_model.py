"""signlang_translation: the common checks, its parts, its folder, and members that do not fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from common import TOLERANCE, SignModelTests
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForSeq2SeqLM, AutoProcessor

from signlang_hf import (
    SignCTCConfig,
    SignCTCProcessor,
    SignForCTC,
    SignTranslationConfig,
    SignTranslationModel,
    SignTranslationProcessor,
    SignTranslatorConfig,
    SignTranslatorForConditionalGeneration,
    SignTranslatorProcessor,
)

GLOSSES = ("MORGEN", "REGEN", "Nord", "QUATSCH", "NORD-REGEN", "STURM")
TEXTS = ["morgen regen", "im norden sonne .", "regen regen"]


def processors(glosses: tuple[str, ...] = GLOSSES) -> tuple[SignCTCProcessor, SignTranslatorProcessor]:
    """The translator knows neither QUATSCH nor STURM, and NORD-REGEN by its parts."""
    known = [["MORGEN", "REGEN"], ["NORD", "SONNE"], ["regen"]]
    return SignCTCProcessor(glosses), SignTranslatorProcessor.train(known, TEXTS, split_glosses="-")


def members(input_size: int = 6, glosses: tuple[str, ...] = GLOSSES, **changes: Any) -> dict[str, Any]:
    """Wide weights and a low blank, so that clips get several glosses and other words."""
    translator_processor = processors(glosses)[1]
    torch.manual_seed(0)
    recognizer = SignForCTC(
        SignCTCConfig(
            input_size=input_size, vocab_size=len(glosses) + 2, hidden_size=8, num_hidden_layers=1,
            num_recurrent_layers=1, hidden_dropout=0.0, input_dropout=0.0, time_mask_share=0.0,
        )
    )  # fmt: skip
    translator = SignTranslatorForConditionalGeneration(
        SignTranslatorConfig(
            source_vocab_size=len(translator_processor.source_vocabulary),
            vocab_size=translator_processor.target_vocabulary_size,
            **{
                "embedding_size": 8, "hidden_size": 8, "initializer_range": 1.0, "embedding_dropout": 0.0, "hidden_dropout": 0.0,
                "teacher_forcing_ratio": 1.0, **changes,
            },
        )
    )  # fmt: skip
    with torch.no_grad():
        recognizer.classifier.weight.mul_(10)
        recognizer.classifier.bias[0] -= 3
        translator.lm_head.bias[:3] -= 1
    return {"recognizer": recognizer.eval(), "translator": translator.eval()}


def composite(**changes: Any) -> SignTranslationModel:
    first, second = processors()
    return SignTranslationModel.from_recognizer_translator_pretrained(
        **members(**changes), recognizer_processor=first, translator_processor=second
    )


def save_members(folder: Path, glosses: tuple[str, ...] = GLOSSES) -> tuple[Path, Path]:
    made_for = processors(glosses)
    made = members(made_for[0].feature_size, glosses)
    for (name, model), processor in zip(made.items(), made_for):
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder / "recognizer", folder / "translator"


def clip(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 0.2, (frames, 48, 3)).astype(np.float32)


class TestSignTranslation(SignModelTests):
    config_class = SignTranslationConfig
    model_class = SignTranslationModel
    auto_class = "AutoModelForSeq2SeqLM"
    exemptions: ClassVar[dict[str, str]] = {
        "test_base_model_loads_from_the_same_folder": "it has no encoder of its own; each member's is in its folder",
        "test_remote_code_without_the_library": "it has no AutoModel; the rest of the check is in its own test file",
        "test_loss_is_finite_and_every_parameter_learns": "glosses are chosen, so the recogniser gets no gradient; its own test",
        "test_eager_equals_sdpa": "neither member has attention that sdpa computes",
        "test_onnx_equals_torch_at_another_size": "glosses are chosen in Python; members export one by one",
        "test_pipeline_on_one_a_list_and_a_batch": "its pipeline gives text, not labels with scores; it has its own tests",
    }

    def model(self, hidden_dropout: float = 0.0, **changes: Any) -> SignTranslationModel:
        return composite(hidden_dropout=hidden_dropout, **changes)

    def config(self, **changes: Any) -> SignTranslationConfig:
        return self.model(**changes).config

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(frames)
        words = torch.randint(4, 9, (batch, 4), generator=generator)
        return {
            "input_values": torch.randn(batch, frames, 6, generator=generator),
            "decoder_input_ids": torch.cat([torch.ones_like(words[:, :1]), words], dim=1),
        }

    def labels(self, batch: int = 3) -> torch.Tensor:
        return torch.tensor([[4, 5, 6, 7, 2]]).repeat(batch, 1)

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return self.labels(batch) + 90

    def test_save_and_load_exact(self, tmp_path: Path) -> None:
        model, inputs = self.model(), self.inputs()
        model.save_pretrained(tmp_path)
        # It has no weights of its own.
        files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.suffix != ".py"}
        assert {one for one in files if "safetensors" in one or ".bin" in one} == {
            "recognizer/model.safetensors", "translator/model.safetensors"
        }  # fmt: skip
        for cls in (SignTranslationModel, AutoModelForSeq2SeqLM):
            again = cls.from_pretrained(tmp_path, dtype=torch.float32)
            assert type(again) is SignTranslationModel and not again.training
            assert torch.equal(self.logits(again, **inputs), self.logits(model, **inputs))

    def test_padded_equals_alone(self) -> None:
        model, long, short = self.model(), self.inputs(1, 11), self.inputs(1, 6)
        values = torch.nn.functional.pad(short["input_values"], (0, 0, 0, 5), value=3.0)
        together = self.logits(
            model,
            input_values=torch.cat([long["input_values"], values]),
            attention_mask=torch.tensor([[1] * 11, [1] * 6 + [0] * 5]),
            decoder_input_ids=torch.cat([long["decoder_input_ids"], short["decoder_input_ids"]]),
        )
        for row, alone in enumerate((long, short)):
            torch.testing.assert_close(together[row : row + 1], self.logits(model, **alone), atol=TOLERANCE, rtol=0)


VALUES = torch.randn(4, 30, 6, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1] * 30, [1] * 12 + [0] * 18, [1] * 30, [1] * 4 + [0] * 26])


# ------------------------------------------------------------------------------------------------------- what it computes


def test_it_says_what_its_members_say_one_after_the_other():
    model, (first, second) = composite(), processors()
    written = model.generate(VALUES, MASK, num_beams=2, max_new_tokens=6)
    output = model(VALUES, MASK, decoder_input_ids=written)
    seen = set()
    for row in range(4):
        frames = int(MASK[row].sum())
        best = model.recognizer(VALUES[row : row + 1, :frames]).logits[0].argmax(-1).tolist()
        runs = [one for place, one in enumerate(best) if place == 0 or one != best[place - 1]]
        glosses = first.decode(runs)
        seen.update(glosses)
        inputs = second(glosses, return_tensors="pt")
        assert output.source_ids[row, : inputs["input_ids"].shape[1]].tolist() == inputs["input_ids"][0].tolist()
        alone = model.translator.generate(**inputs, num_beams=2, max_new_tokens=6)
        assert second.decode(alone[0]) == second.decode(written[row])
        logits = model.translator(**inputs, decoder_input_ids=written[row : row + 1]).logits
        torch.testing.assert_close(output.logits[row : row + 1], logits, atol=TOLERANCE, rtol=0)
    assert len(seen) > 3 and seen & {"QUATSCH", "STURM", "NORD-REGEN"}  # or the test says little


def test_a_gloss_that_the_translator_does_not_know_stays_as_unknown():
    model, (first, second) = composite(), processors()
    ids, mask = model.source([first.encode(["MORGEN", "QUATSCH", "NORD-REGEN"]), [1], []])
    known = {gloss: second.encode_glosses([gloss])[0] for gloss in ("MORGEN", "NORD", "REGEN")}
    assert ids.tolist() == [
        [known["MORGEN"], 3, known["NORD"], known["REGEN"], 2],
        [3, 2, 0, 0, 0],
        [2, 0, 0, 0, 0],
    ]
    assert mask.sum(1).tolist() == [5, 2, 1]


def test_where_no_gloss_is_seen_nothing_is_said():
    model = composite()
    with torch.no_grad():
        model.recognizer.classifier.bias[0] = 1e4
    assert model.recognize(VALUES, MASK)[1] == [[]] * 4
    for beams in (1, 3):
        written = model.generate(VALUES, MASK, num_beams=beams, num_return_sequences=beams, max_new_tokens=5)
        assert len(written) == 4 * beams and set(processors()[1].batch_decode(written)) == {""}
    named = model.generate(VALUES, MASK, max_new_tokens=5, return_dict_in_generate=True)
    assert set(processors()[1].batch_decode(named.sequences)) == {""}


def test_a_loss_on_the_sentence_trains_the_translator_alone():
    model = composite().train()
    model(VALUES, MASK, labels=torch.tensor([[4, 5, 2]] * 4)).loss.backward()
    assert all(parameter.grad is None for parameter in model.recognizer.parameters())
    learned = [parameter.grad for parameter in model.translator.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in learned)


# ------------------------------------------------------------------------------------------------------------ its folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Members in folders, and the composite of the two in ``both``; only to be read."""
    folder = tmp_path_factory.mktemp("translation")
    first, second = save_members(folder)
    SignTranslationModel.from_recognizer_translator_pretrained(first, second).save_pretrained(folder / "both")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SignTranslationProcessor(
            AutoFeatureExtractor.from_pretrained(first), AutoFeatureExtractor.from_pretrained(second)
        ).save_pretrained(folder / "both")
    return folder


@pytest.mark.filterwarnings("ignore:The translator does not know")
def test_it_is_loaded_as_one_and_each_member_by_itself(saved):
    model = AutoModelForSeq2SeqLM.from_pretrained(saved / "both", dtype=torch.float32)
    for auto in (AutoFeatureExtractor, AutoProcessor):
        processor = auto.from_pretrained(saved / "both")
        assert type(processor) is SignTranslationProcessor
    clips = [clip(40), clip(25, 1)]
    inputs = processor(clips, ["morgen", "regen sonne"], return_tensors="pt")
    assert set(inputs) == {"input_values", "attention_mask", "labels"} and inputs["labels"].shape == (2, 3)
    model(**inputs)
    inputs.pop("labels")
    texts = processor.batch_decode(model.generate(**inputs, max_new_tokens=5))
    direct = processors()[0](clips, return_tensors="pt")
    assert all(torch.equal(direct[name], inputs[name]) for name in direct)
    assert model.recognize(**direct)[1][0]
    for name in ("recognizer", "translator"):
        own = json.loads((saved / "both" / name / "config.json").read_text())
        assert own["auto_map"] and AutoConfig.from_pretrained(saved / "both" / name).model_type.startswith("signlang_")
        again = AutoFeatureExtractor.from_pretrained(saved / "both" / name)
        assert again.to_dict() == getattr(processor, name).to_dict()
    again = SignTranslationModel.from_recognizer_translator_pretrained(
        saved / "both" / "recognizer", saved / "both" / "translator"
    )
    assert processor.batch_decode(again.generate(**inputs, max_new_tokens=5)) == texts


def test_remote_code_of_both_members_without_the_library(saved, tmp_path):
    values = torch.randn(2, 20, processors()[0].feature_size, generator=torch.Generator().manual_seed(1))
    np.savez(tmp_path / "inputs.npz", values=values.numpy())
    script = """
        import sys
        sys.modules["signlang_hf"] = None
        import numpy as np, torch, transformers
        values = torch.from_numpy(np.load(sys.argv[2])["values"])
        load = transformers.AutoModelForSeq2SeqLM.from_pretrained
        model = load(sys.argv[1], trust_remote_code=True, dtype=torch.float32).eval()
        np.savez(sys.argv[3], words=model.generate(values, max_new_tokens=6).numpy())
        model.save_pretrained(sys.argv[4])
        load(sys.argv[4], trust_remote_code=True)
    """
    environment = os.environ | {"PYTHONPATH": "", "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    arguments = [str(saved / "both"), *(str(tmp_path / name) for name in ("inputs.npz", "words.npz", "again"))]
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(script), *arguments],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    model = SignTranslationModel.from_pretrained(saved / "both", dtype=torch.float32)
    assert np.load(tmp_path / "words.npz")["words"].tolist() == model.generate(values, max_new_tokens=6).tolist()


# ------------------------------------------------------------------------------------------------------ what does not fit


def test_vocabularies_that_disagree_are_named(saved, caplog):
    expected = "does not know 2 of the recogniser's 6 glosses; they pass through as unknown: QUATSCH, STURM."
    SignTranslationModel.from_recognizer_translator_pretrained(saved / "recognizer", saved / "translator")
    assert expected in caplog.text
    with pytest.warns(UserWarning, match=expected):
        processor = SignTranslationProcessor(*processors())
    assert processor.missing == ["QUATSCH", "STURM"]
    agreeing = ("Morgen", "regen", "SONNE-NORD")
    caplog.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SignTranslationProcessor(*processors(agreeing))
    first, second = processors(agreeing)
    SignTranslationModel.from_recognizer_translator_pretrained(
        **members(glosses=agreeing), recognizer_processor=first, translator_processor=second
    )
    assert not caplog.text


def test_a_member_that_is_missing_or_another_is_named(saved, tmp_path):
    shutil.copytree(saved / "both", tmp_path / "half", ignore=shutil.ignore_patterns("translator"))
    with pytest.raises(FileNotFoundError, match="the folder translator is missing"):
        SignTranslationModel.from_pretrained(tmp_path / "half")
    shutil.copytree(saved / "both", tmp_path / "other")
    (tmp_path / "other" / "recognizer" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json of the recognizer is missing"):
        SignTranslationModel.from_pretrained(tmp_path / "other")
    for swapped in (("translator", "recognizer"), ("recognizer", "recognizer")):
        with pytest.raises(ValueError, match=r"cannot be the \w+: it is no model for AutoModelFor\w+\.$"):
            SignTranslationModel.from_recognizer_translator_pretrained(*(saved / name for name in swapped))
    first, second = processors()
    with pytest.raises(ValueError, match="has no 'source_vocabulary'"):
        SignTranslationProcessor(first, first)
    with pytest.raises(ValueError, match="a Wav2Vec, which is not known here"):
        SignTranslationProcessor(first, {"feature_extractor_type": "Wav2Vec"})
    with pytest.raises(ValueError, match="recognizer_processor"):
        SignTranslationModel.from_recognizer_translator_pretrained(**members())
    with pytest.raises(ValueError, match="gloss_tokens for 5 glosses; the recogniser has 8"):
        SignTranslationModel.from_recognizer_translator_pretrained(
            **members(), recognizer_processor=processors(GLOSSES[:3])[0], translator_processor=second
        )
    with pytest.raises(ValueError, match="source token 99"):
        SignTranslationConfig(translator={"source_vocab_size": 9}, gloss_tokens=[[], [99]])
    with pytest.raises(ValueError, match="trained recogniser and a trained translator"):
        SignTranslationModel(SignTranslationConfig())
    with pytest.raises(ValueError, match="which gloss of the recogniser"):
        SignTranslationModel(SignTranslationConfig(), **members())(VALUES)
