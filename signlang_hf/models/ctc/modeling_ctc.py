"""Continuous sign recognition: temporal convolutions, GRUs and CTC. Self-contained: it travels to the Hub beside the weights.

Features → linear projection → residual blocks of dilated convolutions (Bai et al. 2018) → bidirectional GRU → log-probabilities of
glosses and the blank for each output frame (Graves et al. 2006). Design decisions:

* Padding reaches no real frame: it is zeroed before every convolution, norms are per frame (no batch statistics), and the GRU's
  backward direction reads each clip from its own last frame. Unlike a packed sequence, that exports to ONNX with a free T.
* On padding the output *is* the blank, so whatever decodes a padded batch (the Trainer's hooks see no mask) finds nothing there.
* A stride is a convolution of that many frames that do not overlap, after the temporal convolutions: ceil(T / stride) steps.
* A target that needs more output frames than its clip has can not be aligned. Such clips are left out of the loss, counted in the
  output and reported; they never make it infinite.
* A causal model can be run piece by piece (:meth:`SignForCTC.step`): what a module needs of the past is kept under the module
  itself, and the pieces give what the whole gives.
* Everything that is not a weight is computed in ``forward``, so loading on the meta device cannot lose it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import ModelOutput, can_return_tuple, logging

from .configuration_ctc import SignCTCConfig

logger = logging.get_logger(__name__)

State = dict[nn.Module, torch.Tensor]
"""What modules remember between pieces of a stream."""

# Log-probability of what cannot be. Finite, so that no product with it is NaN; exp() of it is 0 in every precision.
NEVER = -1e4


@dataclass
class SignCTCModelOutput(ModelOutput):
    """Output of the encoder.

    Args:
        last_hidden_state: (B, T', D) of the GRU; D is ``recurrent_hidden_size``, twice that unless causal.
        local_hidden_state: (B, T', hidden_size) of the convolutions, which see about a second around a frame.
        lengths: (B,) output frames of each clip.
        hidden_states: tuple of (B, T or T', size), on request.
    """

    last_hidden_state: torch.FloatTensor | None = None
    local_hidden_state: torch.FloatTensor | None = None
    lengths: torch.LongTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None


@dataclass
class SignCTCOutput(ModelOutput):
    """Output of the recogniser.

    Args:
        loss: with labels. With no clip left to count it is 0.
        logits: (B, T', V) log-probabilities, float32; on padding the blank has probability 1.
        logit_lengths: (B,) output frames of each clip.
        auxiliary_logits: (B, T', V) log-probabilities from the convolutions alone, where the model was made with an auxiliary or
            a distillation loss.
        skipped: with labels: how many clips of the batch are not in the loss because their target needs more output frames than
            they have.
        hidden_states: tuple of (B, T or T', size), on request.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    logit_lengths: torch.LongTensor | None = None
    auxiliary_logits: torch.FloatTensor | None = None
    skipped: torch.LongTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None


def needed_frames(labels: torch.Tensor) -> torch.Tensor:
    """Output frames that CTC needs for each target: its glosses, and a blank between two equal ones.

    Args:
        labels: (B, L) with -100 after the last gloss.

    Returns:
        (B,) int64.
    """
    given = labels != -100
    repeated = (labels[:, 1:] == labels[:, :-1]) & given[:, 1:]
    return given.sum(dim=1) + repeated.sum(dim=1)


def reversal(mask: torch.Tensor) -> torch.Tensor:
    """(B, T) → (B · T,): with which of the batch's frames each one changes places when every clip is turned round.

    Padding stays where it is, behind the clip.
    """
    batch, frames = mask.shape
    time = torch.arange(frames, device=mask.device)
    last = mask.sum(dim=1, keepdim=True) - 1
    partner = torch.where(time <= last, last - time, time)
    return (partner + frames * torch.arange(batch, device=mask.device)[:, None]).flatten()


class SignCTCConvolution(nn.Conv1d):
    """Dilated convolution over time, (B, T, C) → (B, T, C)."""

    def __init__(self, size: int, kernel_size: int, dilation: int, causal: bool) -> None:
        super().__init__(size, size, kernel_size, dilation=dilation)
        reach = dilation * (kernel_size - 1)
        self.before = reach if causal else reach // 2
        self.after = reach - self.before

    def forward(self, hidden: torch.Tensor, state: State | None = None) -> torch.Tensor:
        hidden = hidden.transpose(1, 2)
        if state is None:
            hidden = F.pad(hidden, (self.before, self.after))
        else:
            past = state.get(self, hidden.new_zeros(*hidden.shape[:2], self.before))
            hidden = torch.cat([past, hidden], dim=2)
            state[self] = hidden[..., hidden.shape[2] - self.before :]
        return super().forward(hidden).transpose(1, 2)


class SignCTCBlock(GradientCheckpointingLayer):
    """x + two times dropout(gelu(norm(convolution(x))))."""

    def __init__(self, config: SignCTCConfig, dilation: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.convolutions = nn.ModuleList(
            SignCTCConvolution(size, config.kernel_size, dilation, config.causal) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size, eps=config.layer_norm_eps) for _ in range(2))
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden: torch.Tensor, padding: torch.Tensor, state: State | None = None) -> torch.Tensor:
        branch = hidden
        for convolution, norm in zip(self.convolutions, self.norms):
            branch = convolution(branch.masked_fill(padding, 0.0), state)
            branch = self.dropout(F.gelu(norm(branch)))
        return hidden + branch


class SignCTCStride(nn.Conv1d):
    """(B, T, C) → (B, ceil(T / stride), C): each ``stride`` frames become one."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__(size, size, stride, stride=stride)

    def forward(self, hidden: torch.Tensor, state: State | None = None, final: bool = True) -> torch.Tensor:
        (step,) = self.stride
        hidden = hidden.transpose(1, 2)
        if state is not None:
            hidden = torch.cat([state.get(self, hidden[..., :0]), hidden], dim=2)
            whole = hidden.shape[2] if final else hidden.shape[2] // step * step
            state[self], hidden = hidden[..., whole:], hidden[..., :whole]
            if whole == 0:
                return hidden.transpose(1, 2)
        # A number that does not depend on T keeps T free in ONNX; what does not fill a step at the end is left over.
        return super().forward(F.pad(hidden, (0, step - 1))).transpose(1, 2)


class SignCTCRecurrence(GradientCheckpointingLayer):
    """One GRU layer, (B, T, input_size) → (B, T, units or 2 · units): both directions unless causal."""

    def __init__(self, input_size: int, units: int, causal: bool) -> None:
        super().__init__()
        self.forward_gru = nn.GRU(input_size, units, batch_first=True)
        self.backward_gru = None if causal else nn.GRU(input_size, units, batch_first=True)

    def forward(
        self, hidden: torch.Tensor, turned: torch.Tensor | None = None, state: State | None = None
    ) -> torch.Tensor:
        ahead, last = self.forward_gru(hidden, None if state is None else state.get(self))
        if state is not None:
            state[self] = last
        if self.backward_gru is None:
            return ahead
        back = self.backward_gru(self.turn(hidden, turned))[0]
        return torch.cat([ahead, self.turn(back, turned)], dim=-1)

    @staticmethod
    def turn(hidden: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        return hidden.flatten(0, 1).index_select(0, turned).view(hidden.shape)


class SignCTCPreTrainedModel(PreTrainedModel):
    """Weight initialisation and what transformers needs to know of the family."""

    config_class = SignCTCConfig
    base_model_prefix = "encoder"
    main_input_name = "input_values"
    supports_gradient_checkpointing = True
    # Without this the Trainer would take over the loss scaling and multiply it by the accumulation steps.
    accepts_loss_kwargs = False
    _no_split_modules = ("SignCTCBlock", "SignCTCRecurrence")

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """As in transformers, and the folder's remote code serves the encoder and the recogniser alike."""
        if self._auto_class is not None:
            # transformers lists only the class that is being saved.
            self.config.auto_map = {
                "AutoModel": "modeling_ctc.SignCTCModel",
                "AutoModelForCTC": "modeling_ctc.SignForCTC",
            }
        super().save_pretrained(save_directory, *args, **kwargs)

    def output_lengths(self, lengths: torch.Tensor | int) -> torch.Tensor | int:
        """Output frames of clips with so many input frames: ceil(length / temporal_stride)."""
        stride = self.config.temporal_stride
        return (lengths + stride - 1) // stride

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5)  # ± 1 / sqrt(inputs)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            for gate in module.weight_ih_l0.chunk(3):
                nn.init.xavier_uniform_(gate)
            for gate in module.weight_hh_l0.chunk(3):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(module.bias_ih_l0)
            nn.init.zeros_(module.bias_hh_l0)


class SignCTCModel(SignCTCPreTrainedModel):
    """Encoder: landmark features over time → hidden states of output frames."""

    # The heads of a recogniser's folder are no surprise when the encoder alone is loaded from it.
    _keys_to_ignore_on_load_unexpected = [r"^(auxiliary_)?classifier\."]  # noqa: RUF012

    def __init__(self, config: SignCTCConfig) -> None:
        super().__init__(config)
        self.input_dropout = nn.Dropout1d(config.input_dropout)
        self.input_projection = nn.Linear(config.input_size, config.hidden_size)
        self.input_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.blocks = nn.ModuleList(SignCTCBlock(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.stride = None if config.temporal_stride == 1 else SignCTCStride(config.hidden_size, config.temporal_stride)
        units = config.recurrent_hidden_size
        self.output_size = units if config.causal else 2 * units
        sizes = [config.hidden_size] + [self.output_size] * (config.num_recurrent_layers - 1)
        self.recurrent_layers = nn.ModuleList(SignCTCRecurrence(size, units, config.causal) for size in sizes)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.input_projection

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SignCTCModelOutput:
        """
        Args:
            input_values: (B, T, F) float features, as the processor makes them.
            attention_mask: (B, T), 1 for real frames and 0 for padding after them; default all real.

        Raises:
            ValueError: the features have another length than the model was built for, or there is no frame.
        """
        values = self._checked(input_values)
        if 0 in values.shape[:2]:
            raise ValueError(f"There is no frame in {tuple(values.shape)}, (B, T, F); give the model at least one.")
        mask = torch.ones(values.shape[:2], device=values.device) if attention_mask is None else attention_mask
        mask = mask.bool()
        values = self.input_dropout(values.transpose(1, 2)).transpose(1, 2)
        if self.training and self.config.time_mask_share > 0:
            values = values.masked_fill(self._time_mask(mask)[..., None], 0.0)
        padding = ~mask[..., None]
        hidden = self.input_norm(self.input_projection(values))
        hidden_states = [hidden]
        for block in self.blocks:
            hidden = block(hidden, padding)
            hidden_states.append(hidden)
        hidden = self.norm(hidden).masked_fill(padding, 0.0)
        if self.stride is not None:
            hidden = self.stride(hidden)
        local = hidden
        lengths = self.output_lengths(mask.sum(dim=1))
        turned = None
        if not self.config.causal:
            turned = reversal(torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None])
        for layer in self.recurrent_layers:
            hidden = layer(self.dropout(hidden), turned)
            hidden_states.append(hidden)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return SignCTCModelOutput(
            last_hidden_state=hidden,
            local_hidden_state=local,
            lengths=lengths,
            hidden_states=tuple(hidden_states) if wanted else None,
        )

    def step(self, input_values: torch.Tensor, state: State, final: bool) -> torch.Tensor:
        """One piece of a stream: (B, t, F) → (B, t', D); what is remembered is written into ``state``."""
        padding = torch.zeros((), dtype=torch.bool, device=input_values.device)
        hidden = self.input_norm(self.input_projection(self._checked(input_values)))
        if hidden.shape[1]:  # at the end there may be nothing but what waits for a stride
            for block in self.blocks:
                hidden = block(hidden, padding, state)
            hidden = self.norm(hidden)
        if self.stride is not None:
            hidden = self.stride(hidden, state, final)
        if hidden.shape[1] == 0:
            return hidden.new_zeros(hidden.shape[0], 0, self.output_size)
        for layer in self.recurrent_layers:
            hidden = layer(hidden, None, state)
        return hidden

    def _checked(self, input_values: torch.Tensor) -> torch.Tensor:
        if input_values.ndim != 3 or input_values.shape[-1] != self.config.input_size:
            raise ValueError(
                f"The model takes {self.config.input_size} features a frame, (B, T, F), and got {tuple(input_values.shape)}; "
                "use the processor that was saved with it."
            )
        return input_values.to(self.dtype)

    def _time_mask(self, mask: torch.Tensor) -> torch.Tensor:
        """(B, T) bool: the frames to hide. Spans may overlap, so it is at most the share that was asked for."""
        share, span = self.config.time_mask_share, self.config.time_mask_frames
        lengths = mask.sum(dim=1, keepdim=True)
        expected = share * lengths / span
        count = (expected + torch.rand_like(expected)).floor()  # 1.3 spans are one, or two in three clips of ten
        most = int(share * mask.shape[1] / span) + 1
        starts = torch.rand(len(mask), most, device=mask.device) * (lengths - span + 1).clamp(min=1)
        starts = torch.where(torch.arange(most, device=mask.device) < count, starts.floor(), mask.shape[1])[..., None]
        time = torch.arange(mask.shape[1], device=mask.device)
        return ((time >= starts) & (time < starts + span)).any(dim=1)


class SignForCTC(SignCTCPreTrainedModel):
    """Encoder with a classifier for each output frame, trained with CTC."""

    def __init__(self, config: SignCTCConfig) -> None:
        super().__init__(config)
        self.encoder = SignCTCModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.classifier = nn.Linear(self.encoder.output_size, config.vocab_size)
        self.auxiliary_classifier = None
        if config.auxiliary_weight > 0 or config.distillation_weight > 0:
            self.auxiliary_classifier = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SignCTCOutput:
        """
        Args:
            input_values: (B, T, F) float features, as the processor makes them.
            attention_mask: (B, T), 1 for real frames and 0 for padding after them; default all real.
            labels: (B, L) columns of the glosses, -100 after the last one; with them the output has a ``loss``.

        Raises:
            ValueError: a label that the model does not have, or the blank as a label.
        """
        encoded = self.encoder(input_values, attention_mask, output_hidden_states=output_hidden_states)
        lengths = encoded.lengths
        padding = torch.arange(encoded.last_hidden_state.shape[1], device=lengths.device) >= lengths[:, None]
        scores = self.classifier(self.dropout(encoded.last_hidden_state)).float()
        logits = self._log_probabilities(scores, padding)
        auxiliary_scores = auxiliary_logits = loss = skipped = None
        if self.auxiliary_classifier is not None:
            auxiliary_scores = self.auxiliary_classifier(self.dropout(encoded.local_hidden_state)).float()
            auxiliary_logits = self._log_probabilities(auxiliary_scores, padding)
        if labels is not None:
            self._check_labels(labels, len(logits))
            kept = (needed_frames(labels) <= lengths) & (lengths > 0)
            skipped = (~kept).sum()
            if skipped > 0:
                logger.warning_once(
                    f"{int(skipped)} of {len(kept)} clips in this batch are left out of the loss: their targets need more "
                    f"output frames than they have. Longer clips or a smaller temporal_stride (now "
                    f"{self.config.temporal_stride}) help; further batches are only counted, in the output's `skipped`."
                )
            loss = self._ctc_loss(logits, lengths, labels, kept)
            if auxiliary_logits is not None and self.config.auxiliary_weight > 0:
                loss = loss + self.config.auxiliary_weight * self._ctc_loss(auxiliary_logits, lengths, labels, kept)
            if auxiliary_scores is not None and self.config.distillation_weight > 0:
                loss = loss + self.config.distillation_weight * self._distillation(scores, auxiliary_scores, padding)
        return SignCTCOutput(
            loss=loss,
            logits=logits,
            logit_lengths=lengths,
            auxiliary_logits=auxiliary_logits,
            skipped=skipped,
            hidden_states=encoded.hidden_states,
        )

    @torch.no_grad()
    def step(
        self, input_values: torch.Tensor, state: State | None = None, final: bool = False
    ) -> tuple[torch.Tensor, State]:
        """The next piece of a stream through a causal model: all pieces together give what the whole clip gives.

        Args:
            input_values: (B, t, F) features; t may be 0.
            state: what the last step returned; None starts a stream.
            final: nothing follows, so an unfinished group of ``temporal_stride`` frames comes out too.

        Returns:
            (B, t', V) log-probabilities of the output frames that are complete, and the new state.

        Raises:
            ValueError: the model is not causal, or is in training.
        """
        if not self.config.causal:
            raise ValueError(
                "Only a causal model runs piece by piece; make it with causal=True, or give it whole windows."
            )
        if self.training:
            raise ValueError("step() is for inference; call eval() on the model first.")
        state = dict(state or {})
        hidden = self.encoder.step(input_values, state, final)
        return self.classifier(hidden).float().log_softmax(dim=-1), state

    def _log_probabilities(self, scores: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        blank = torch.arange(self.config.vocab_size, device=scores.device) == self.config.pad_token_id
        certain = torch.where(blank, 0.0, NEVER)
        return torch.where(padding[..., None], certain, scores.log_softmax(dim=-1))

    def _check_labels(self, labels: torch.Tensor, batch: int) -> None:
        if labels.ndim != 2 or len(labels) != batch:
            raise ValueError(f"labels have shape {tuple(labels.shape)}; they must be (B, L) for the {batch} clips.")
        given = labels[labels != -100]
        if given.numel() == 0:
            return
        low, high = given.min().item(), given.max().item()
        if low < 0 or high >= self.config.vocab_size:
            raise ValueError(
                f"Labels run from {low} to {high}; the model has labels 0 to {self.config.vocab_size - 1}."
            )
        if (given == self.config.pad_token_id).any():
            raise ValueError(
                f"A label is {self.config.pad_token_id}, the blank; it stands for no gloss. Pad with -100."
            )

    def _ctc_loss(
        self, logits: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        """Mean over the clips that are kept; 0 where there are none."""
        if not kept.any():
            return logits.sum() * 0.0
        labels, given = labels[kept], labels[kept] != -100
        counts = given.sum(dim=1)
        # cuDNN's CTC is not deterministic and takes other types; the native one is as fast at these sizes.
        with torch.backends.cudnn.flags(enabled=False):
            losses = F.ctc_loss(
                logits[kept].transpose(0, 1), labels[given], lengths[kept], counts,
                blank=self.config.pad_token_id, reduction="none", zero_infinity=True,
            )  # fmt: skip
        return (losses / counts.clamp(min=1) if self.config.ctc_loss_reduction == "mean" else losses).mean()

    def _distillation(self, scores: torch.Tensor, auxiliary: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """Kullback–Leibler divergence between softened gloss probabilities, without the blank: mean over the real frames of each
        clip, then over clips. The GRU teaches and is not changed by it. Min et al. 2021, eq. 6, as in their code."""
        temperature = self.config.distillation_temperature
        glosses = torch.arange(self.config.vocab_size, device=scores.device) != self.config.pad_token_id
        teacher = (scores.detach()[..., glosses] / temperature).log_softmax(dim=-1)
        student = (auxiliary[..., glosses] / temperature).log_softmax(dim=-1)
        frames = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=-1).masked_fill(padding, 0.0)
        return temperature**2 * (frames.sum(dim=1) / (~padding).sum(dim=1).clamp(min=1)).mean()


__all__ = [
    "SignCTCModel",
    "SignCTCModelOutput",
    "SignCTCOutput",
    "SignCTCPreTrainedModel",
    "SignForCTC",
    "needed_frames",
]
