"""How probable every label is as a model's whole answer. Self-contained: it travels to the Hub beside the adapter.

Labels are a trie of tokens: what two of them begin with is computed once. All nodes of the trie are one more stretch of tokens after the prompt, in one
pass on the prompt's cache. A node attends to the prompt and to the nodes above it, and has the position that it would have in its own answer (the mask
of tree attention; Miao et al. 2024, SpecInfer), so each node's next-token probabilities are those of generation, token by token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

_LOGITS_AT_ONCE = 64  # positions whose logits over the vocabulary are held in memory, of each clip


@dataclass
class LabelTrie:
    """Labels as paths: node i has the token ``tokens[i]`` and follows node ``parents[i]`` (-1: the prompt); ``paths[c]`` are label c's nodes."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    children: dict[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, label_ids: Sequence[Sequence[int]]) -> LabelTrie:
        """The trie of labels, each with the token that ends it.

        Raises:
            ValueError: no label, an empty one, or two that are the same.
        """
        trie = cls()
        for label in label_ids:
            node, path = -1, []
            for token in label:
                following = trie.children.get((node, token))
                if following is None:
                    following = trie.children[node, token] = len(trie.tokens)
                    trie.tokens.append(int(token))
                    trie.parents.append(node)
                    trie.depths.append(len(path))
                node = following
                path.append(node)
            trie.paths.append(path)
        if not trie.paths or not all(trie.paths):
            raise ValueError("There is no label to score, or one without a token.")
        if len({tuple(path) for path in trie.paths}) < len(trie.paths):
            raise ValueError("Two labels are the same tokens, so no answer can tell them apart.")
        return trie

    def following(self, node: int) -> list[int]:
        """Tokens that may follow a node."""
        return [token for (parent, token) in self.children if parent == node]

    def after(self, tokens: Sequence[int]) -> list[int]:
        """Tokens that may follow an answer's beginning; none where it is no label's."""
        node = -1
        for token in tokens:
            if (node, token) not in self.children:
                return []
            node = self.children[node, token]
        return self.following(node)


def score_labels(
    base: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    pixel_values: torch.Tensor | None,
    label_ids: Sequence[Sequence[int]],
    max_nodes: int,
) -> torch.Tensor:
    """(B, C) float32: log-probability of each label's tokens after each prompt. Arguments as for the model's method of this name."""
    scores = input_ids.new_zeros((len(input_ids), len(label_ids)), dtype=torch.float32)
    prompt = base(
        input_ids=input_ids,
        attention_mask=attention_mask,
        pixel_values=pixel_values,
        position_ids=_positions(attention_mask),
        use_cache=True,
        logits_to_keep=1,
    )
    first = prompt.logits[:, -1].float().log_softmax(-1)
    for part in _parts(label_ids, max_nodes):
        trie = LabelTrie.of([label_ids[index] for index in part])
        worth = _worth(base, trie, first, prompt.past_key_values, attention_mask)
        for index, path in zip(part, trie.paths):
            scores[:, index] = worth[:, path].sum(-1)
    return scores


def _parts(label_ids: Sequence[Sequence[int]], max_nodes: int) -> Iterator[list[int]]:
    """Indices of labels in parts of at most ``max_nodes`` tokens, neighbours in the alphabet together: they share the most."""
    part: list[int] = []
    size = 0
    for index in sorted(range(len(label_ids)), key=lambda index: list(label_ids[index])):
        if part and size + len(label_ids[index]) > max_nodes:
            yield part
            part, size = [], 0
        part.append(index)
        size += len(label_ids[index])
    yield part


def _worth(base: Any, trie: LabelTrie, first: torch.Tensor, cache: Any, attention_mask: torch.Tensor) -> torch.Tensor:
    """(B, nodes) log-probability of each node's token after its parent. The cache is left as it was."""
    clips, prompt, device = len(first), attention_mask.shape[1], first.device
    tokens, parents = torch.tensor(trie.tokens, device=device), torch.tensor(trie.parents, device=device)
    worth = torch.empty(clips, len(tokens), device=device)
    roots = parents < 0
    worth[:, roots] = first[:, tokens[roots]]
    inner = sorted(set(trie.parents) - {-1})  # what something follows has to be computed
    if not inner:
        return worth
    place = {node: number for number, node in enumerate(inner)}
    seen = torch.zeros(len(inner), len(inner), dtype=torch.bool, device=device)
    for node, number in place.items():
        while node >= 0:
            seen[number, place[node]] = True
            node = trie.parents[node]
    dtype = base.get_input_embeddings().weight.dtype
    visible = torch.cat(
        [
            attention_mask.bool()[:, None, None, :].expand(clips, 1, len(inner), prompt),
            seen[None, None].expand(clips, 1, len(inner), len(inner)),
        ],
        dim=-1,
    )
    mask = torch.zeros(visible.shape, dtype=dtype, device=device).masked_fill_(~visible, torch.finfo(dtype).min)
    depths = torch.tensor([trie.depths[node] for node in inner], device=device)
    outputs = base.model(
        input_ids=tokens[inner].expand(clips, -1),
        attention_mask=mask,
        position_ids=attention_mask.sum(-1, keepdim=True) + depths,
        past_key_values=cache,
        use_cache=True,
    )
    following: dict[int, list[int]] = {number: [] for number in range(len(inner))}
    for node, parent in enumerate(trie.parents):
        if parent >= 0:
            following[place[parent]].append(node)
    for start in range(0, len(inner), _LOGITS_AT_ONCE):
        logits = base.lm_head(outputs.last_hidden_state[:, start : start + _LOGITS_AT_ONCE]).float()
        total = logits.logsumexp(-1)
        for number in range(logits.shape[1]):
            nodes = following[start + number]
            worth[:, nodes] = logits[:, number, tokens[nodes]] - total[:, number, None]
    cache.crop(-len(inner))  # transformers 5 takes only how many to drop
    return worth


def _positions(attention_mask: torch.Tensor) -> torch.Tensor:
    """Positions of tokens that are padded on the left; padding gets the first one's."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)


__all__ = ["LabelTrie", "score_labels"]
