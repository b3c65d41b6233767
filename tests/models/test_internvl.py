"""The video language model on a tiny base: transformers' own classes, random weights, no network."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_internvl import TOKENS_A_FRAME, save_tiny_internvl
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForImageTextToText, InternVLForConditionalGeneration

from signlang_hf.models.internvl import (
    INTERPRETER_PROMPT,
    PROMPT,
    LabelTrie,
    SignInternVLConfig,
    SignInternVLForConditionalGeneration,
    SignInternVLProcessor,
    best_dtype,
    choose_device,
)
from signlang_hf.video import VideoWarning

pytest.importorskip("peft")
LABELS = ["hello", "hell", "help", "house", "yesterday", "CAN'T", "doctor"]
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_internvl(tmp_path_factory.mktemp("internvl") / "base")


def config(base: Path, **changes: Any) -> SignInternVLConfig:
    labels = changes.pop("labels", LABELS)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: index for index, name in enumerate(labels)}}
    lora = {"r": 4, "lora_alpha": 8, **changes.pop("lora", {})}
    return SignInternVLConfig(base=str(base), lora=lora, **names, **changes)


def model_of(base: Path, learned: bool = True, **changes: Any) -> SignInternVLForConditionalGeneration:
    """A model; ``learned``: its adapter does something."""
    torch.manual_seed(0)
    model = SignInternVLForConditionalGeneration.from_base(config(base, **changes)).eval()
    if learned:
        with torch.no_grad():
            for name, weights in model.named_parameters():
                if "lora_B" in name:
                    weights.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def model(base: Path) -> SignInternVLForConditionalGeneration:
    return model_of(base)


@pytest.fixture(scope="module")
def processor(model: SignInternVLForConditionalGeneration) -> SignInternVLProcessor:
    return SignInternVLProcessor.for_model(model)


def clip(frames: int, seed: int = 0, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """Frames (T, H, W, 3), each of another brightness."""
    return np.random.default_rng(seed).integers(0, 255, (frames, *size, 3), np.uint8)


def logits(model: Any, batch: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(**{name: value for name, value in batch.items() if name != "labels"}).logits


# ------------------------------------------------------------------------------------------------------------- what the model sees


def test_labels_are_the_answer_and_its_end_token_for_token(processor: SignInternVLProcessor) -> None:
    answers = ["hello", "the day before yesterday", "CAN'T"]
    prompts = [PROMPT, INTERPRETER_PROMPT, "Which sign?"]
    clips = [clip(20), clip(1), clip(9, seed=1)]  # of 8, 1 and 8 frames
    batch = processor(clips, prompts, answers)
    for ids, labels, mask, answer in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], answers):
        told = labels != -100
        assert processor.tokenizer.decode(labels[told]) == answer + "<|im_end|>"
        assert torch.equal(ids[told], labels[told])
        first, last = told.nonzero()[[0, -1], 0].tolist()
        assert told[first : last + 1].all() and not mask[last + 1 :].any() and mask[: last + 1].all()
        assert processor.tokenizer.decode(ids[:first]).endswith("<|im_start|>assistant\n")
    assert batch["pixel_values"].shape == (8 + 1 + 8, 3, 28, 28)


def test_a_clip_is_its_frames_in_the_prompt_and_a_picture_is_one(processor: SignInternVLProcessor) -> None:
    for frames, seen in ((30, 8), (1, 1)):
        batch = processor(clip(frames))
        text = processor.tokenizer.decode(batch["input_ids"][0])
        assert text.count("<IMG_CONTEXT>") == seen * TOKENS_A_FRAME and text.count("<img>") == seen
        assert PROMPT in text and len(batch["pixel_values"]) == seen
    assert "Frame8: <img>" in processor.tokenizer.decode(processor(clip(30))["input_ids"][0])


def test_frames_are_the_middles_of_equal_stretches_of_time(base: Path, model: Any) -> None:
    steps = np.repeat(np.arange(80, dtype=np.uint8), 4 * 4 * 3).reshape(80, 4, 4, 3)
    whole = SignInternVLProcessor.for_model(model)
    assert whole.frames(steps)[:, 0, 0, 0].tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    middle = SignInternVLProcessor(base=str(base), sampling="middle")
    assert middle.frames(steps)[:, 0, 0, 0].tolist() == [22, 27, 32, 37, 42, 47, 52, 57]


def test_a_short_clip_repeats_frames_and_says_so(processor: SignInternVLProcessor) -> None:
    with pytest.warns(VideoWarning, match="5 frames for the 8"):
        assert len(processor.frames(clip(5))) == 8


def test_decord_and_pyav_show_the_same_frames(processor: SignInternVLProcessor, signlang_data: Path) -> None:
    pytest.importorskip("decord")
    from signlang_hf.video import read_video

    for path in sorted((signlang_data / "clips").glob("*.mp4"))[:3]:
        by_decord, by_pyav = (read_video(path, num_frames=8, backend=name) for name in ("decord", "pyav"))
        np.testing.assert_allclose(by_decord.timestamps, by_pyav.timestamps, atol=1e-4)
        one, other = processor(by_decord)["pixel_values"], processor(by_pyav)["pixel_values"]
        assert (one - other).abs().mean() < 0.02  # their conversions from YUV round differently


def test_rows_and_pictures_are_read(processor: SignInternVLProcessor, tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(clip(1)[0])
    picture.save(tmp_path / "sign.png")
    expected = processor(picture)["pixel_values"]
    for row in ({"video_path": str(tmp_path / "sign.png")}, {"bytes": (tmp_path / "sign.png").read_bytes()}):
        assert torch.equal(processor(row)["pixel_values"], expected)
    with pytest.raises(ValueError, match="needs one of video_path"):
        processor({"gloss": "hello"})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda processor: processor([]), "no clip"),
        (lambda processor: processor(clip(9), answers=[" "]), "must be a text"),
        (lambda processor: processor([clip(9)], answers=["a", "b"]), "2 answers for 1 clips"),
        (lambda processor: processor(np.zeros((0, 4, 4, 3), np.uint8)), "no frame"),
        (lambda processor: processor("no_such.mp4"), "no_such.mp4"),
        (lambda processor: processor.label_ids(["hello", "hello"]), "same tokens"),
        (lambda processor: processor(clip(9), return_tensors="np"), "torch tensors"),
    ],
)
def test_a_bad_input_gets_a_sentence(processor: SignInternVLProcessor, call: Any, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(processor)


# --------------------------------------------------------------------------------------------------------------- what is adapted


def test_only_the_language_models_attention_learns(base: Path, processor: SignInternVLProcessor) -> None:
    model = model_of(base).train()
    trained = {name for name, weights in model.named_parameters() if weights.requires_grad}
    assert len(trained) == 2 * 4 * 2  # layers × projections × A and B
    for name in trained:
        assert "language_model" in name and "self_attn" in name and ".lora_" in name
    batch = processor([clip(9), clip(12, seed=1)], answers=["hello", "house"])
    model(**batch).loss.backward()
    for name, weights in model.named_parameters():
        assert (weights.grad is not None and weights.grad.abs().max() > 0) == (name in trained), name


def test_a_fresh_adapter_changes_nothing(base: Path, processor: SignInternVLProcessor) -> None:
    plain = InternVLForConditionalGeneration.from_pretrained(base, dtype=torch.float32).eval()
    batch = processor(clip(9))
    assert torch.equal(logits(model_of(base, learned=False), batch), logits(plain, batch))


def test_the_adapter_alone_is_saved_and_loads_exactly(
    model: Any, processor: SignInternVLProcessor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    weights = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.safetensors")]
    assert weights == ["adapter/adapter_model.safetensors"] and not list(tmp_path.rglob("*.bin"))
    assert (tmp_path / weights[0]).stat().st_size < 100_000
    batch = processor([clip(9), clip(1)])
    for cls in (SignInternVLForConditionalGeneration, AutoModelForImageTextToText):
        again = cls.from_pretrained(tmp_path)
        assert type(again) is SignInternVLForConditionalGeneration and not again.training
        assert torch.equal(logits(again, batch), logits(model, batch))
    assert AutoConfig.from_pretrained(tmp_path).labels == LABELS
    other = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert torch.equal(other([clip(9), clip(1)])["input_ids"], batch["input_ids"])


def test_peft_alone_reads_the_adapter(model: Any, processor: SignInternVLProcessor, base: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    model.save_pretrained(tmp_path)
    plain = InternVLForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    torch.testing.assert_close(logits(adapted, processor(clip(9))), logits(model, processor(clip(9))))


def test_merged_is_the_same_model_without_an_adapter(
    model: Any, processor: SignInternVLProcessor, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.merge_and_save(tmp_path)
    merged = InternVLForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32).eval()
    for batch in (processor(clip(9)), processor([clip(1), clip(20, seed=2)])):
        torch.testing.assert_close(logits(merged, batch), logits(model, batch), atol=TOLERANCE, rtol=TOLERANCE)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_adapter_for_another_base_is_refused(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "adapter")
    other = save_tiny_internvl(tmp_path / "other", num_hidden_layers=3)
    with pytest.raises(ValueError, match=r"for another base.*num_hidden_layers was 2 and is 3"):
        SignInternVLForConditionalGeneration.from_pretrained(tmp_path / "adapter", base=other)


def test_a_base_that_has_moved_is_named_and_can_be_given(
    base: Path, processor: SignInternVLProcessor, tmp_path: Path
) -> None:
    first = shutil.copytree(base, tmp_path / "first")
    model = model_of(first)
    model.save_pretrained(tmp_path / "saved")
    SignInternVLProcessor.for_model(model).save_pretrained(tmp_path / "saved")
    shutil.move(first, tmp_path / "second")
    with pytest.raises(OSError, match="Say where it lies: base="):
        SignInternVLForConditionalGeneration.from_pretrained(tmp_path / "saved")
    with pytest.raises(OSError, match="Say where the base lies: base_path="):
        AutoFeatureExtractor.from_pretrained(tmp_path / "saved")(clip(9))
    again = SignInternVLForConditionalGeneration.from_pretrained(tmp_path / "saved", base=tmp_path / "second")
    assert torch.equal(logits(again, processor(clip(9))), logits(model, processor(clip(9))))
    again.save_pretrained(tmp_path / "again")  # what it is called is remembered, not where it lay this time
    assert AutoConfig.from_pretrained(tmp_path / "again").base == str(first)
    pipe = transformers.pipeline(
        "sign-recognition", model=str(tmp_path / "saved"), model_kwargs={"base": str(tmp_path / "second")}
    )
    assert pipe(clip(9))[0]["label"] in LABELS


def test_a_base_on_the_hub_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(OSError, match="OpenGVLab/InternVL3-2B-hf cannot be had"):
        SignInternVLForConditionalGeneration.from_base(SignInternVLConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0"),
        ({"sampling": "random"}, "sampling"),
        ({"quantization": "8bit"}, "'4bit' or None"),
        ({"prompt": " "}, "prompt"),
        ({"lora": {"rank": 4}}, "does not know rank"),
        ({"lora": {"lora_dropout": 1.0}}, "lora_dropout is 1.0"),
        ({"logit_temperature": 0}, "logit_temperature"),
        ({"unknown_threshold": 2}, "probability"),
    ],
)
def test_a_bad_setting_gets_a_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SignInternVLConfig(**settings)


def test_data_and_model_ask_the_same() -> None:
    from signlang_hf.data.sign_videos import PROMPT as OF_DATA

    assert SignInternVLConfig().prompt == OF_DATA


def test_an_adapter_goes_into_linear_layers_alone(base: Path) -> None:
    with pytest.raises(ValueError, match=r"target_modules '\.\*language_model\.\*attn\.\*' must name linear layers"):
        model_of(base, lora={"target_modules": ".*language_model.*attn.*"})


def test_too_little_memory_gets_advice(
    model: Any, processor: SignInternVLProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(type(model.base.model.vision_tower), "forward", full)
    batch = processor(clip(9))
    for action in (
        lambda: model.generate(**batch, max_new_tokens=1),
        lambda: model.score_labels(label_ids=[[1, 2]], **batch),
    ):
        with pytest.raises(MemoryError, match=r"smaller batch, fewer frames .* or quantization='4bit'"):
            action()


# ------------------------------------------------------------------------------------------------------------------- recognition


def brute_force(model: Any, processor: SignInternVLProcessor, one: Any, labels: list[str]) -> torch.Tensor:
    """(C,) log-probability of each label, one pass each, without a cache."""
    prompt = processor(one)
    scores = []
    for answer in processor.label_ids(labels):
        ids = torch.cat([prompt["input_ids"], torch.tensor([answer])], dim=1)
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": prompt["pixel_values"]}
        worth = logits(model, batch)[0].log_softmax(-1)
        start = prompt["input_ids"].shape[1] - 1
        scores.append(sum(worth[start + step, token] for step, token in enumerate(answer)))
    return torch.stack(scores)


@pytest.mark.parametrize("max_nodes", [1, 5, 512])
def test_label_scores_are_those_of_every_label_by_itself(
    model: Any, processor: SignInternVLProcessor, max_nodes: int
) -> None:
    clips = [clip(20), clip(1, seed=3), clip(8, seed=4)]
    ids = processor.label_ids(LABELS)
    scores = model.score_labels(label_ids=ids, max_nodes=max_nodes, **processor(clips)).logits
    expected = torch.stack([brute_force(model, processor, one, LABELS) for one in clips])
    torch.testing.assert_close(scores, expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(scores.softmax(-1).sum(-1), torch.ones(3))
    assert len(set(scores.argmax(-1).tolist())) > 1  # or a constant would pass


def test_generation_gives_nothing_but_labels(model: Any, processor: SignInternVLProcessor) -> None:
    clips = [clip(20, seed=seed) for seed in range(4)]
    batch = processor(clips)
    length = batch["input_ids"].shape[1]
    free = processor.decode(model.generate(**batch, max_new_tokens=8, do_sample=False), length)
    assert not set(free) <= set(LABELS)  # the base babbles
    allowed = processor.only_labels(LABELS, length)
    bound = model.generate(**batch, max_new_tokens=16, do_sample=False, prefix_allowed_tokens_fn=allowed)
    assert set(processor.decode(bound, length)) <= set(LABELS)


def test_text_streams_while_it_is_made(model: Any, processor: SignInternVLProcessor) -> None:
    from transformers import TextStreamer

    class Pieces(TextStreamer):
        def __init__(self, tokenizer: Any) -> None:
            super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
            self.pieces: list[str] = []

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            self.pieces.append(text)

    batch = processor(clip(9), prompts=INTERPRETER_PROMPT)
    pieces = Pieces(processor.tokenizer)
    ids = model.generate(**batch, max_new_tokens=12, do_sample=False, streamer=pieces)
    whole = processor.decode(ids, batch["input_ids"].shape[1])[0]
    assert "".join(pieces.pieces).strip() == whole


def test_pipeline_answers_as_for_landmarks(model: Any, processor: SignInternVLProcessor, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    pipe = transformers.pipeline("sign-recognition", model=str(tmp_path))
    clips = [clip(20), clip(1, seed=3), clip(8, seed=4)]
    alone = [pipe(one, top_k=len(LABELS)) for one in clips]
    for one, answer in zip(clips, alone):
        assert sum(row["score"] for row in answer) == pytest.approx(1, abs=1e-5)
        expected = brute_force(model, processor, one, LABELS).softmax(-1)
        assert answer[0] == {
            "label": LABELS[expected.argmax()],
            "score": pytest.approx(expected.max().item(), abs=1e-4),
        }
    for batch_size in (1, 3):
        for one, other in zip(alone, pipe(clips, top_k=len(LABELS), batch_size=batch_size)):
            assert [row["label"] for row in one] == [row["label"] for row in other]
            np.testing.assert_allclose([row["score"] for row in one], [row["score"] for row in other], atol=1e-4)
    assert len(pipe(clips[0], top_k=2)) == 2
    assert pipe(clips[0], threshold=1.0)[0]["label"] == "unknown"
    with pytest.raises(ValueError, match="no embedding"):
        pipe(clips[0], return_embedding=True)


def test_a_landmark_processor_is_refused(model: Any) -> None:
    from signlang_hf.models.keypoint import SignKeypointProcessor

    with pytest.raises(ValueError, match="SignInternVLProcessor"):
        transformers.pipeline("sign-recognition", model=model, feature_extractor=SignKeypointProcessor())


def test_a_trie_shares_beginnings() -> None:
    trie = LabelTrie.of([[1, 2, 9], [1, 3, 9], [1, 9]])
    assert len(trie.tokens) == 6 and sorted(trie.after([1])) == [2, 3, 9] and trie.after([1, 2]) == [9]
    assert trie.after([4]) == [] and trie.after([1, 2, 9]) == []
    for bad in ([], [[]], [[1], [1]]):
        with pytest.raises(ValueError):
            LabelTrie.of(bad)


# ------------------------------------------------------------------------------------------------------------ devices and memory


def test_four_bits_load_learn_and_save_on_the_cpu(
    base: Path, model: Any, processor: SignInternVLProcessor, tmp_path: Path
) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    model.save_pretrained(tmp_path / "adapter")
    small = SignInternVLForConditionalGeneration.from_pretrained(tmp_path / "adapter", quantization="4bit")
    attention = small.base.model.language_model.layers[0].self_attn.q_proj
    assert isinstance(attention.base_layer, bitsandbytes.nn.Linear4bit)
    assert not isinstance(small.base.lm_head, bitsandbytes.nn.Linear4bit)
    assert attention.base_layer.weight.quant_state.nested  # double quantisation
    batch = processor([clip(9), clip(12, seed=1)], answers=["hello", "house"])
    # As in a training that is evaluated in between.
    small.score_labels(label_ids=processor.label_ids(small.config.labels), **processor([clip(9)]))
    small.train()
    optimizer = torch.optim.AdamW([weights for weights in small.parameters() if weights.requires_grad], lr=1e-2)
    losses = []
    for _ in range(4):
        loss = small(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    small.eval().save_pretrained(tmp_path / "again")
    again = SignInternVLForConditionalGeneration.from_pretrained(tmp_path / "again")
    assert again.config.quantization == "4bit"
    torch.testing.assert_close(logits(again, batch), logits(small, batch))
    with pytest.raises(ValueError, match="quantization=None to merge"):
        small.merge_and_save(tmp_path / "merged")


def test_devices_are_chosen_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"cuda": False, "mps": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there["cuda"])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there["mps"])
    assert choose_device("auto").type == choose_device(None).type == "cpu"
    assert best_dtype(torch.device("cpu")) is torch.float32
    for missing in ("cuda", "mps", "dml"):
        with pytest.raises(ValueError, match=f"no {missing} here"):
            choose_device(missing)
    there["mps"] = True
    assert choose_device("auto").type == "mps" and best_dtype(torch.device("mps")) is torch.float16
    directml = types.ModuleType("torch_directml")
    directml.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    directml.is_available = lambda: True  # type: ignore[attr-defined]
    directml.device = lambda: torch.device("meta")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_directml", directml)
    assert choose_device("auto").type == "meta" and choose_device("dml").type == "meta"
    assert best_dtype(torch.device("meta")) is torch.float32
    there["cuda"] = True
    assert choose_device("auto").type == "cuda" and best_dtype(torch.device("cuda")) is torch.float16
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="must be one of auto, cuda, dml, mps, cpu"):
        choose_device("tpu")


def test_four_bits_are_refused_where_they_cannot_be_had(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match="not for mps; load with quantization=None"):
        SignInternVLForConditionalGeneration.from_base(config(base, quantization="4bit"), device="mps")


def test_memory_is_given_back(base: Path) -> None:
    model = model_of(base)
    with model.released() as held:
        assert held is model
    assert model.device.type == "cpu"


def test_pipeline_translates_freely(model: Any, processor: SignInternVLProcessor, tmp_path: Path) -> None:
    from transformers import TextStreamer

    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    pipe = transformers.pipeline("sign-translation", model=str(tmp_path))
    answer = pipe(clip(9), max_new_tokens=6)
    batch = processor(clip(9), prompts=INTERPRETER_PROMPT)
    ids = model.generate(**batch, max_new_tokens=6, do_sample=False)
    assert answer["text"] == processor.decode(ids, batch["input_ids"].shape[1])[0] and answer["glosses"] == []
    assert 0 < answer["score"] <= 1
    assert pipe(clip(9), prompt="Which sign?", max_new_tokens=6)["text"] != answer["text"]
    assert pipe([clip(9), clip(1)], max_new_tokens=6)[0] == answer
    with pytest.raises(ValueError, match="one beam only"):
        pipe(clip(9), num_beams=2, streamer=TextStreamer(processor.tokenizer))
    with pytest.raises(TypeError, match="does not know beam_size"):
        pipe(clip(9), beam_size=2)
