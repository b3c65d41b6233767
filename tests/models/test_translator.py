"""signlang_translator: the common checks, generation, attention, scheduled sampling, and each setting against a plain way."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from common import TOLERANCE, SignModelTests
from torch.nn import functional as F
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

from signlang_hf import SignTranslatorConfig, SignTranslatorForConditionalGeneration, SignTranslatorModel
from signlang_hf.models.translator.modeling_translator_layers import SignTranslatorDropout, reversal

TINY = {"source_vocab_size": 30, "vocab_size": 24, "embedding_size": 10, "hidden_size": 12, "attention_size": 7}
PLAIN = {"embedding_dropout": 0.0, "hidden_dropout": 0.0, "label_smoothing": 0.0, "teacher_forcing_ratio": 1.0}
SHAPES = [
    {},
    {"input_feeding": False},
    {"num_hidden_layers": 2, "bidirectional": False},
    {"num_hidden_layers": 3, "input_feeding": False},
]


class TestSignTranslator(SignModelTests):
    config_class = SignTranslatorConfig
    model_class = SignTranslatorForConditionalGeneration
    base_class = SignTranslatorModel
    auto_class = "AutoModelForSeq2SeqLM"
    exemptions: ClassVar[dict[str, str]] = {
        "test_eager_equals_sdpa": "Bahdanau's attention is additive; sdpa computes another one",
        "test_onnx_equals_torch_at_another_size": (
            "the loop over words has no free length; encoder and one decoder step export, see its own test"
        ),
        "test_pipeline_on_one_a_list_and_a_batch": "its pipeline gives text, not labels with scores; it has its own tests",
    }

    def config(self, **changes: Any) -> SignTranslatorConfig:
        # Wide initial embeddings, so that answers differ clearly.
        return SignTranslatorConfig(**{**TINY, **PLAIN, "initializer_range": 1.0, **changes})

    def inputs(self, batch: int = 3, frames: int = 9) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(frames)
        source = torch.randint(4, 30, (batch, frames), generator=generator)
        words = torch.randint(4, 24, (batch, 5), generator=generator)
        return {"input_ids": source, "decoder_input_ids": torch.cat([torch.ones_like(words[:, :1]), words], dim=1)}

    def labels(self, batch: int = 3) -> torch.Tensor:
        words = torch.randint(4, 24, (batch, 5), generator=torch.Generator().manual_seed(1))
        return torch.cat([words, torch.full((batch, 1), 2)], dim=1)

    def bad_labels(self, batch: int = 3) -> torch.Tensor:
        return self.labels(batch).index_fill(1, torch.tensor([2]), 24)

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_padded_equals_alone(self, shape: dict[str, Any]) -> None:
        model = self.model(**shape)
        long, short = self.inputs(1, 11), self.inputs(1, 6)
        padded = {
            "input_ids": torch.cat([long["input_ids"], F.pad(short["input_ids"], (0, 5), value=9)]),
            "attention_mask": torch.tensor([[1] * 11, [1] * 6 + [0] * 5]),
            "decoder_input_ids": torch.cat([long["decoder_input_ids"], short["decoder_input_ids"]]),
        }
        together = self.logits(model, **padded)
        for row, alone in enumerate((long, short)):
            torch.testing.assert_close(together[row : row + 1], self.logits(model, **alone), atol=TOLERANCE, rtol=0)
        padded.pop("decoder_input_ids")
        words = model.generate(**padded, num_beams=3, max_new_tokens=8)
        for row, alone in enumerate((long, short)):
            own = model.generate(alone["input_ids"], num_beams=3, max_new_tokens=8)[0]
            assert words[row, : len(own)].tolist() == own.tolist()
            assert set(words[row, len(own) :].tolist()) <= {0, 2}  # beams are filled up with one or the other

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_generation_with_cache_equals_without(self, shape: dict[str, Any]) -> None:
        model = self.model(**shape)
        model.lm_head.bias.data[2] = -3  # the end does not come at once
        source = self.inputs(4)["input_ids"]
        mask = torch.tensor([[1] * 9, [1] * 5 + [0] * 4, [1] + [0] * 8, [1] * 8 + [0]])
        ways = [{}, {"num_beams": 4, "num_return_sequences": 2, "length_penalty": 0.6}, {"do_sample": True}]
        for way in ways:
            written = []
            for use_cache in (True, False):
                torch.manual_seed(3)
                written.append(
                    model.generate(source, attention_mask=mask, max_new_tokens=9, use_cache=use_cache, **way)
                )
            assert torch.equal(*written), way
            assert len({tuple(row) for row in written[0].tolist()}) > 1 and written[0].shape[1] > 4


def tiny(**changes: Any) -> SignTranslatorForConditionalGeneration:
    torch.manual_seed(0)
    return SignTranslatorForConditionalGeneration(TestSignTranslator().config(**changes)).eval()


SOURCE = torch.randint(4, 30, (3, 6), generator=torch.Generator().manual_seed(5))
MASK = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] + [0] * 5])
LABELS = torch.tensor([[5, 6, 7, 8, 2], [9, 10, 2, -100, -100], [11, 2, -100, -100, -100]])


# ------------------------------------------------------------------------------------------------------- what it computes


def by_hand(model: SignTranslatorForConditionalGeneration, source: list[int], words: list[int]) -> torch.Tensor:
    """Bahdanau's model with one layer written down step by step, for one sentence: (L, V) logits."""
    encoder, decoder = model.model.encoder, model.model.decoder

    def cell(gru: torch.nn.GRU, value: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        new = gru.weight_ih_l0 @ value + gru.bias_ih_l0
        old = gru.weight_hh_l0 @ state + gru.bias_hh_l0
        (r, z, n), (r_old, z_old, n_old) = new.chunk(3), old.chunk(3)
        update = (z + z_old).sigmoid()
        return (1 - update) * (n + (r + r_old).sigmoid() * n_old).tanh() + update * state

    read = [encoder.embed_tokens.weight[token] for token in source]
    sides = []
    for gru, order in ((encoder.layers[0].forward_gru, 1), (encoder.layers[0].backward_gru, -1)):
        states = [torch.zeros(12)]
        for value in read[::order]:
            states.append(cell(gru, value, states[-1]))
        sides.append(states[1:][::order])
    annotations = torch.stack([torch.cat(pair) for pair in zip(*sides)])
    state = decoder.start(annotations.mean(0)).tanh()
    attention, logits = decoder.recurrence.attention, []
    for word in words:
        energy = (attention.query(state) + attention.key(annotations)).tanh() @ attention.score.weight[0]
        context = energy.softmax(0) @ annotations
        embedded = decoder.embed_tokens.weight[word]
        state = cell(decoder.recurrence.gru, torch.cat([embedded, context]), state)
        logits.append(model.lm_head(decoder.readout(torch.cat([state, context, embedded])).tanh()))
    return torch.stack(logits)


@torch.no_grad()
def test_it_is_bahdanaus_model():
    model, words = tiny(), [1, 5, 9, 4]
    output = model(SOURCE, MASK, decoder_input_ids=torch.tensor([words] * 3))
    for row, length in enumerate(MASK.sum(1).tolist()):
        expected = by_hand(model, SOURCE[row, :length].tolist(), words)
        torch.testing.assert_close(output.logits[row], expected, atol=TOLERANCE, rtol=0)


def test_loss_is_the_mean_over_real_words_and_smooth_in_training_only():
    model = tiny(label_smoothing=0.2)
    output = model(SOURCE, MASK, labels=LABELS)
    log_probs = output.logits.log_softmax(-1)
    right = [log_probs[row, step, word] for row, step, word in ((*at, LABELS[at]) for at in zip(*np_where(LABELS)))]
    assert output.loss.item() == pytest.approx(-sum(right).item() / 10, abs=1e-5)
    spread = [log_probs[at].mean() for at in zip(*np_where(LABELS))]
    smooth = model.train()(SOURCE, MASK, labels=LABELS).loss.item()
    assert smooth == pytest.approx(-(0.8 * sum(right) + 0.2 * sum(spread)).item() / 10, abs=1e-5)


def np_where(labels: torch.Tensor) -> tuple[list[int], list[int]]:
    rows, steps = torch.where(labels != -100)
    return rows.tolist(), steps.tolist()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_weighs_real_source_tokens_and_nothing_else(shape):
    output = tiny(**shape)(SOURCE, MASK, labels=LABELS, output_attentions=True)
    (weights,) = output.cross_attentions
    assert weights.shape == (3, 1, 5, 6)
    real = (weights * MASK[:, None, None]).sum(-1)
    torch.testing.assert_close(real, torch.ones(3, 1, 5), atol=1e-6, rtol=0)


def test_generation_gives_attention_and_scores_of_n_best():
    model = tiny()
    written = model.generate(
        SOURCE, attention_mask=MASK, num_beams=3, num_return_sequences=3, max_new_tokens=6, length_penalty=0.0,
        output_attentions=True, output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    assert written.cross_attentions[0][0].shape == (9, 1, 1, 6)
    repeated = {"input_ids": SOURCE.repeat_interleave(3, 0), "attention_mask": MASK.repeat_interleave(3, 0)}
    scores = model.score(written.sequences, **repeated)
    torch.testing.assert_close(scores.log_probs.sum(1), written.sequences_scores, atol=1e-4, rtol=0)
    assert scores.attentions.shape == (9, written.sequences.shape[1] - 1, 6)
    greedy = model.generate(
        SOURCE, attention_mask=MASK, max_new_tokens=6, output_attentions=True, return_dict_in_generate=True
    )
    steps = torch.cat([step[0].squeeze(1) for step in greedy.cross_attentions], dim=1)
    torch.testing.assert_close(model.score(greedy.sequences, SOURCE, MASK).attentions, steps, atol=1e-5, rtol=0)


def test_beam_search_finds_what_greedy_misses_and_the_penalty_asks_for_length():
    model = tiny(max_target_positions=12)
    greedy, beam = (model.generate(SOURCE, attention_mask=MASK, num_beams=beams) for beams in (1, 8))
    total = [model.score(one, SOURCE, MASK).log_probs.sum() for one in (greedy, beam)]
    assert total[1] >= total[0] - 1e-5 and greedy.shape[1] <= 12
    lengths = [
        (model.generate(SOURCE, attention_mask=MASK, num_beams=8, length_penalty=penalty) > 2).sum()
        for penalty in (-3.0, 3.0)
    ]
    assert lengths[0] < lengths[1]


# ------------------------------------------------------------------------------------------------------------- training


def test_scheduled_sampling_goes_from_the_right_words_to_its_own():
    model = tiny().train()
    right = model.prepare_decoder_input_ids_from_labels(LABELS)
    assert right.tolist() == [[1, 5, 6, 7, 8], [1, 9, 10, 2, 0], [1, 11, 2, 0, 0]]
    source = model.model.encoder(SOURCE, MASK).last_hidden_state
    model.teacher_forcing_ratio = 1.0
    assert torch.equal(model.own_words(right, source, MASK), right)
    model.teacher_forcing_ratio = 0.0
    own = model.own_words(right, source, MASK)
    logits = model(SOURCE, MASK, decoder_input_ids=own).logits
    assert torch.equal(own[:, 1:], logits.argmax(-1)[:, :-1]) and (own[:, 0] == 1).all()
    assert not torch.equal(own, right)
    model.teacher_forcing_ratio = 0.5
    many = torch.stack([model.own_words(right, source, MASK)[0, 1] == right[0, 1] for _ in range(400)])
    assert 0.4 < many.float().mean() < 0.6


def test_the_loss_reads_the_models_own_words_in_training_only():
    model = tiny(teacher_forcing_ratio=0.0)
    assert model.teacher_forcing_ratio == 0.0
    forced = model(SOURCE, MASK, labels=LABELS).loss
    own = model.train()(SOURCE, MASK, labels=LABELS).loss
    model.teacher_forcing_ratio = 1.0
    again = model(SOURCE, MASK, labels=LABELS).loss
    torch.testing.assert_close(again, forced)
    assert not torch.allclose(own, forced, atol=1e-3)


@pytest.mark.parametrize(
    "setting",
    [
        "embedding_dropout", "hidden_dropout", "recurrent_dropout", "source_token_dropout", "target_token_dropout",
    ],
)  # fmt: skip
def test_each_dropout_acts_in_training_only(setting):
    model = tiny(**{setting: 0.5})
    calm = model(SOURCE, MASK, labels=LABELS).logits
    torch.testing.assert_close(calm, tiny()(SOURCE, MASK, labels=LABELS).logits)
    model.train()
    torch.manual_seed(1)
    assert not torch.allclose(model(SOURCE, MASK, labels=LABELS).logits, calm, atol=1e-3)


def test_variational_dropout_drops_the_same_units_in_all_steps():
    torch.manual_seed(0)
    dropped = SignTranslatorDropout(0.5, variational=True).train()(torch.ones(4, 6, 50))
    assert (dropped == dropped[:, :1]).all() and set(dropped.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(dropped[0], dropped[1])


def test_reversal_turns_each_sentence_round_by_its_length():
    turned = SOURCE.flatten()[reversal(MASK)].view(3, 6)
    for row, length in enumerate((6, 4, 1)):
        expected = SOURCE[row, :length].tolist()[::-1] + SOURCE[row, length:].tolist()
        assert turned[row].tolist() == expected


def test_tied_embeddings_stay_tied_and_untied_ones_apart(tmp_path):
    for tie in (True, False):
        model = tiny(tie_word_embeddings=tie)
        model.save_pretrained(tmp_path / str(tie))
        again = SignTranslatorForConditionalGeneration.from_pretrained(tmp_path / str(tie))
        assert (again.lm_head.weight is again.model.decoder.embed_tokens.weight) is tie
        torch.testing.assert_close(again.lm_head.weight, model.lm_head.weight)
        assert again.generation_config.max_length == again.config.max_target_positions == 64


def test_seq2seq_trainer_trains_generates_and_goes_on(tmp_path):
    rows = [
        {"input_ids": torch.tensor([4 + i % 3, 9, 2]), "labels": torch.tensor([6 + i % 3, 5, 2])} for i in range(12)
    ]
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=6, num_train_epochs=60, learning_rate=0.03, use_cpu=True,
        predict_with_generate=True, generation_num_beams=2, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_strategy="no", lr_scheduler_type="constant",
    )  # fmt: skip
    trainer = Seq2SeqTrainer(model=tiny(), args=arguments, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    found = trainer.predict(rows[:3])
    assert found.metrics["test_loss"] < 0.1
    assert found.predictions[:, 1:4].tolist() == [[6, 5, 2], [7, 5, 2], [8, 5, 2]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("feeding", [True, False])
def test_mixed_precision_agrees_about(dtype, feeding):
    model = tiny(input_feeding=feeding).train()
    plain = model(SOURCE, MASK, labels=LABELS)
    with torch.autocast("cpu", dtype):
        mixed = model(SOURCE, MASK, labels=LABELS)
    assert mixed.loss.item() == pytest.approx(plain.loss.item(), abs=0.1)
    mixed.loss.backward()


def test_encoder_and_one_decoder_step_export_to_onnx(tmp_path: Path):
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = tiny(num_hidden_layers=2)

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = copy.deepcopy(model)

        def forward(self, source: torch.Tensor, mask: torch.Tensor, word: torch.Tensor) -> torch.Tensor:
            return self.model(source, mask, decoder_input_ids=word, use_cache=False).logits

    path = tmp_path / "step.onnx"
    torch.onnx.export(
        Step().eval(), (SOURCE, MASK, torch.ones(3, 1, dtype=torch.long)), str(path), dynamo=False, opset_version=18,
        input_names=["source", "mask", "word"], output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in ("source", "mask")} | {"word": {0: "batch"}},
    )  # fmt: skip
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    source = torch.randint(4, 30, (2, 9))
    mask, word = torch.tensor([[1] * 9, [1] * 3 + [0] * 6]), torch.full((2, 1), 7)
    got = session.run(None, {"source": source.numpy(), "mask": mask.numpy(), "word": word.numpy()})[0]
    expected = model(source, mask, decoder_input_ids=word).logits
    torch.testing.assert_close(torch.from_numpy(got), expected.detach(), atol=1e-4, rtol=0)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"vocab_size": 3}, "special tokens 0 to 3"),
        ({"label_smoothing": 1.0}, r"\[0, 1\)"),
        ({"teacher_forcing_ratio": 1.5}, "teacher_forcing_ratio is 1.5"),
    ],
)
def test_impossible_settings_say_so(change, message):
    with pytest.raises(ValueError, match=message):
        tiny(**change)


def test_what_it_cannot_read_says_so():
    model = tiny()
    with pytest.raises(ValueError, match="Source tokens run from 4 to 30"):
        model(torch.tensor([[4, 30]]), labels=torch.tensor([[5, 2]]))
    with pytest.raises(ValueError, match="nothing to read"):
        model(SOURCE, MASK)
    with pytest.raises(ValueError, match="nothing but padding"):
        model(SOURCE, MASK, labels=torch.full((3, 2), -100))
