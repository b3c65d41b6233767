"""Where the tokens of a reading lie in time: the most probable alignment (Viterbi) of given tokens to the frames.

The states are CTC's (Graves et al. 2006): blank, first token, blank, second token, …, blank; a blank between two different
tokens may be skipped, one between equal tokens may not. For the tokens of the greedy path this is the greedy path itself, so that
both searches give one reading the same times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .hypothesis import DecodedToken


def align_tokens(log_probs: np.ndarray, tokens: Sequence[int], *, blank: int = 0) -> tuple[DecodedToken, ...]:
    """Frames and confidence of every token.

    Args:
        log_probs: (T, V) natural log-probabilities.
        tokens: columns of the N tokens, none of them the blank.

    Raises:
        ValueError: fewer frames than the tokens need (one each, and one between equal neighbours), or no possible alignment.
    """
    if not len(tokens):
        return ()
    count, frames = 2 * len(tokens) + 1, len(log_probs)
    columns = np.full(count, blank)
    columns[1::2] = tokens
    may_skip = np.zeros(count, bool)
    may_skip[2:] = (columns[2:] != blank) & (columns[2:] != columns[:-2])
    emissions = log_probs[:, columns]  # (T, S)
    last = np.full(count, -np.inf)
    came_by = np.zeros((frames, count), np.int8)  # steps from the state before: 0, 1 or 2
    options = np.full((3, count), -np.inf)
    positions = np.arange(count)
    for frame in range(frames):
        if frame == 0:
            last[:2] = emissions[0, :2]
            continue
        options[0] = last
        options[1, 1:] = last[:-1]
        options[2, 2:] = np.where(may_skip[2:], last[:-2], -np.inf)
        came_by[frame] = options.argmax(axis=0)
        last = options[came_by[frame], positions] + emissions[frame]
    ends = [count - 1, count - 2]
    state = max(ends, key=lambda s: last[s])
    if not frames or np.isneginf(last[state]):
        raise ValueError(f"{len(tokens)} tokens cannot be aligned to {frames} frames.")
    path = np.empty(frames, int)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(came_by[frame, state])  # an int8 would overflow from the 64th token on
    found = []
    for number, token in enumerate(tokens):
        where = np.flatnonzero(path == 2 * number + 1)
        start, end = int(where[0]), int(where[-1]) + 1
        score = float(min(1.0, np.exp(log_probs[start:end, token]).mean()))
        found.append(DecodedToken(int(token), score, start, end))
    return tuple(found)
