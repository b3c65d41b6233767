"""Attention BiLSTM for isolated sign recognition. Self-contained: it travels to the Hub beside the weights.

Body parts are projected apart, so that hands of 21 points are not drowned by a face of 136; residual bidirectional LSTM blocks
read the clip, self-attention and attention pooling weigh its frames. Design decisions:

* The backward direction reads each clip from its own last frame: the clip is turned round by its length, its padding stays
  behind it. Padding therefore reaches no real frame, in either direction.
* Zoneout needs the state at every step, which the fused LSTM does not show: the recurrence is then written out. While the model is
  traced it becomes one TorchScript function, an ONNX Loop with a free number of frames.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_bilstm import SignBiLSTMConfig
from .configuration_keypoint import SignKeypointConfig
from .modeling_keypoint import (
    Encoded,
    MaskedBatchNorm,
    SignAttention,
    SignKeypointForSignClassification,
    SignKeypointModel,
    SignKeypointPreTrainedModel,
    SignPooler,
)


def reversal(mask: torch.Tensor) -> torch.Tensor:
    """(B, T) → (B · T,): with which of the batch's frames each one changes places when every clip is turned round.

    Padding stays where it is, behind the clip.
    """
    batch, frames = mask.shape
    time = torch.arange(frames, device=mask.device)
    last = mask.sum(dim=1, keepdim=True) - 1
    partner = torch.where(time <= last, last - time, time)
    return (partner + frames * torch.arange(batch, device=mask.device)[:, None]).flatten()


def zoneout_recurrence(
    inputs: torch.Tensor, weight: torch.Tensor, keep_hidden: torch.Tensor, keep_cell: torch.Tensor
) -> torch.Tensor:
    """LSTM with zoneout (Krueger et al. 2017, eq. 6 and 7): how much of the old state stays is given for every step.

    Args:
        inputs: (T, B, 4 · H), what the input and the biases add to the gates (input, forget, cell, output).
        weight: (H, 4 · H), from the last hidden state to the gates.
        keep_hidden, keep_cell: (T, B, H) in [0, 1].

    Returns:
        (T, B, H) hidden states.
    """
    size = weight.shape[0]
    hidden = torch.zeros_like(inputs[0, :, :size])
    cell = hidden
    states: list[torch.Tensor] = []
    # A list, because the gradient of an index is a zero tensor of the whole length at every step. What comes out of a list has an
    # unknown rank in ONNX; reshape tells it.
    for step, hidden_stays, cell_stays in zip(inputs.unbind(0), keep_hidden.unbind(0), keep_cell.unbind(0)):
        gates = torch.addmm(step.reshape(-1, 4 * size), hidden, weight)
        i, f, g, o = gates.chunk(4, dim=-1)
        new_cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        new_hidden = o.sigmoid() * new_cell.tanh()
        cell = torch.lerp(new_cell, cell, cell_stays.reshape(-1, size))
        hidden = torch.lerp(new_hidden, hidden, hidden_stays.reshape(-1, size))
        states.append(hidden)
    return torch.stack(states)


class SignLSTM(nn.LSTM):
    """One direction, (B, T, input_size) → (B, T, units), with zoneout.

    In training a unit keeps its old state with probability ``zoneout``, drawn for each clip and step; in evaluation it moves to
    the expected state.
    """

    def __init__(self, input_size: int, units: int, zoneout: float = 0.0) -> None:
        super().__init__(input_size, units, batch_first=True)
        self.zoneout = zoneout

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.zoneout == 0:
            return super().forward(hidden)[0]
        inputs = F.linear(hidden.transpose(0, 1), self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)
        keep = inputs.new_full((1, 1, 1, 1), self.zoneout).expand(2, *inputs.shape[:2], self.hidden_size)
        if self.training:
            keep = torch.bernoulli(keep)
        recurrence = torch.jit.script(zoneout_recurrence) if torch.jit.is_tracing() else zoneout_recurrence
        return recurrence(inputs, self.weight_hh_l0.T, keep[0], keep[1]).transpose(0, 1)


class SignBiLSTM(GradientCheckpointingLayer):
    """Both directions, (B, T, input_size) → (B, T, 2 · units); ``turned`` is the clips' :func:`reversal`."""

    def __init__(self, input_size: int, units: int, zoneout: float = 0.0) -> None:
        super().__init__()
        self.forward_lstm = SignLSTM(input_size, units, zoneout)
        self.backward_lstm = SignLSTM(input_size, units, zoneout)

    def forward(self, hidden: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        backward = self.backward_lstm(self.turn(hidden, turned))
        return torch.cat([self.forward_lstm(hidden), self.turn(backward, turned)], dim=-1)

    @staticmethod
    def turn(hidden: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        return hidden.flatten(0, 1).index_select(0, turned).view(hidden.shape)


class SignBiLSTMLayer(nn.Module):
    """Residual block: norm(x + dropout(lstm(x)))."""

    def __init__(self, config: SignBiLSTMConfig) -> None:
        super().__init__()
        self.lstm = SignBiLSTM(config.hidden_size, config.hidden_size // 2, config.zoneout)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        return self.norm(hidden + self.dropout(self.lstm(hidden, turned)))


class SignBiLSTMAttention(GradientCheckpointingLayer):
    """Residual self-attention: norm(x + dropout(attention(x)))."""

    def __init__(self, config: SignKeypointConfig, hidden_size: int) -> None:
        super().__init__()
        self.attention = SignAttention(config, hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.norm = nn.LayerNorm(hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        attended, weights = self.attention(hidden, mask)
        return self.norm(hidden + self.dropout(attended)), weights


class SignBiLSTMProjection(nn.Module):
    """(B, T, F) → (B, T, hidden_size): a linear projection for each body part, side by side.

    A part's width is in proportion to its features, and at least 1.
    """

    def __init__(self, config: SignBiLSTMConfig) -> None:
        super().__init__()
        parts = config.parts or {"all": [[0, config.input_size]]}
        self.columns = list(parts.values())
        sizes = [sum(stop - start for start, stop in ranges) for ranges in self.columns]
        spare = config.hidden_size - len(sizes)
        edges = [round(spare * sum(sizes[:part]) / config.input_size) for part in range(len(sizes) + 1)]
        self.parts = nn.ModuleList(
            nn.Linear(size, 1 + end - start) for size, start, end in zip(sizes, edges, edges[1:])
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        projected = [
            part(torch.cat([values[..., start:stop] for start, stop in ranges], dim=-1))
            for part, ranges in zip(self.parts, self.columns)
        ]
        return torch.cat(projected, dim=-1)


class SignBiLSTMPreTrainedModel(SignKeypointPreTrainedModel):
    """What is the BiLSTM's own in initialisation and splitting."""

    config_class = SignBiLSTMConfig
    _no_split_modules = ("SignBiLSTMLayer", "SignBiLSTMAttention")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.LSTM):
            for gate in module.weight_ih_l0.chunk(4):
                nn.init.xavier_uniform_(gate)
            for gate in module.weight_hh_l0.chunk(4):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(module.bias_ih_l0)
            nn.init.zeros_(module.bias_hh_l0)
            # The forget gate starts open, so that gradients reach far back (Jozefowicz et al. 2015).
            nn.init.ones_(module.bias_ih_l0.chunk(4)[1])


class SignBiLSTMModel(SignBiLSTMPreTrainedModel, SignKeypointModel):
    """Encoder: landmark features over time → hidden states and a clip embedding."""

    def __init__(self, config: SignBiLSTMConfig) -> None:
        super().__init__(config)
        self.input_projection = SignBiLSTMProjection(config)
        self.input_norm = MaskedBatchNorm(config.hidden_size)
        self.layers = nn.ModuleList(SignBiLSTMLayer(config) for _ in range(config.num_hidden_layers))
        self.attention = SignBiLSTMAttention(config, config.hidden_size)
        self.pooler = SignPooler(config, config.hidden_size)
        self.post_init()

    def encode(self, values: torch.Tensor, mask: torch.Tensor) -> Encoded:
        hidden = self.input_norm(F.gelu(self.input_projection(values)), mask)
        hidden_states = [hidden]
        turned = reversal(mask)
        for layer in self.layers:
            hidden = layer(hidden, turned)
            hidden_states.append(hidden)
        hidden, weights = self.attention(hidden, mask[:, None, None, :])
        hidden_states.append(hidden)
        return hidden, hidden_states, [weights]


class SignBiLSTMForSignClassification(SignBiLSTMPreTrainedModel, SignKeypointForSignClassification):
    """Encoder with a linear head over its clip embedding: one label per clip."""

    encoder_class = SignBiLSTMModel


__all__ = ["SignBiLSTMForSignClassification", "SignBiLSTMModel", "SignBiLSTMPreTrainedModel"]
