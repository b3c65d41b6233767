"""Continuous recognition of a stream: features, log-probabilities and glosses are those of the whole clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from moving_signer import motion

from signlang_hf import LandmarkSequence, SignCTCConfig, SignCTCProcessor, SignForCTC, get_layout
from signlang_hf.decoding import greedy_search
from signlang_hf.models.ctc import StreamingRecognizer, clip_log_probs
from signlang_hf.models.ctc.processing_stream import FeatureStream

GLOSSES = ["HOUSE", "I", "GO", "BOOK"]
LOCAL = {"per_frame": True, "max_gap": 0.3, "max_frames": 32}


def signer(seconds: float, seed: int = 0) -> LandmarkSequence:
    """A moving signer, filmed at a rate that wavers about 25 and starts at 3.7 s; hands are lost for short and for long."""
    rng = np.random.default_rng(seed)
    times = 3.7 + np.cumsum(rng.uniform(0.02, 0.06, int(seconds * 25)))
    sequence = motion(times)
    data, hands = sequence.data.copy(), get_layout("isl-48").parts
    for part, length in (("left_hand", 3), ("right_hand", 4), ("left_hand", 12), ("right_hand", 30)):
        for start in rng.integers(0, len(times), 3):
            data[start : start + length, list(hands[part])] = np.nan
    return sequence.replace(data=data, visibility=None)


def processor(**changes: Any) -> SignCTCProcessor:
    return SignCTCProcessor(GLOSSES, **{**LOCAL, **changes})


def model(**changes: Any) -> SignForCTC:
    """One whose output moves between glosses and the blank, untrained as it is."""
    torch.manual_seed(1)
    settings = {"vocab_size": 6, "hidden_size": 16, "num_hidden_layers": 3, **changes}
    net = SignForCTC(SignCTCConfig(**settings)).eval()
    values = torch.from_numpy(processor().extract(signer(9)))[None]
    with torch.no_grad():
        net.classifier.weight *= 12
        scores = net.classifier(net.encoder(values).last_hidden_state)
        net.classifier.bias -= scores.mean(dim=(0, 1))
    return net


def pieces(sequence: LandmarkSequence, seed: int, most: int = 20) -> list[LandmarkSequence]:
    """The sequence in pieces of 1 to ``most`` frames."""
    rng, cuts = np.random.default_rng(seed), [0]
    while cuts[-1] < len(sequence):
        cuts.append(cuts[-1] + int(rng.integers(1, most + 1)))
    return [sequence.frames(slice(start, stop)) for start, stop in zip(cuts, cuts[1:])]  # noqa: RUF007 - 3.10 alike


@pytest.mark.parametrize(
    "settings", [{}, {"smooth_window": 7}, {"max_gap": 0}, {"target_fps": 12.5, "features": ["position"]}]
)
def test_features_of_a_stream_are_those_of_the_clip(settings: dict[str, Any]) -> None:
    made, sequence = processor(**settings), signer(9)
    whole, stream, got, seen = made.extract(sequence), None, [], 0
    stream = FeatureStream(made)
    assert stream.exact
    for piece in pieces(sequence, 0, most=3):
        got.append(stream.push(piece))
        seen += len(got[-1])
        # As late as is said, and no later; a frame of the camera takes up to 0.06 s.
        last = (piece.timestamps[-1] - sequence.timestamps[0] - stream.latency - 0.06) * made.target_fps
        assert seen >= last
    got.append(stream.finish())
    np.testing.assert_allclose(np.concatenate(got), whole, atol=1e-3)  # of accelerations up to 50
    assert len(stream.push(sequence.frames(slice(0, 1)))) == 0 and len(stream.finish()) == 1  # ready for the next clip


def test_a_stream_forgets() -> None:
    made = processor()
    stream, sequence = FeatureStream(made), signer(40)
    longest = 0
    for piece in pieces(sequence, 1):
        stream.push(piece)
        longest = max(longest, len(stream._frames))
    assert longest < 60


def test_what_is_measured_on_the_clip_is_measured_on_what_was_seen() -> None:
    made, sequence = processor(per_frame=False, max_frames=200), signer(9)
    stream = FeatureStream(made)
    assert not stream.exact
    got = [stream.push(piece) for piece in pieces(sequence, 2)]
    features = np.concatenate([*got, stream.finish()])
    whole = made.extract(sequence)
    assert features.shape == whole.shape
    # The signer's shoulders rest here, so that one median is as good as another.
    np.testing.assert_allclose(features, whole, atol=1e-3)
    assert not FeatureStream(processor(dominant_hand="right")).exact
    assert not FeatureStream(processor(features=["hand_shape"])).exact
    assert FeatureStream(processor(per_frame=False, normalization="none")).exact


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_glosses_of_a_stream_are_those_of_the_clip(causal: bool, stride: int) -> None:
    made, net = processor(), model(causal=causal, temporal_stride=stride)
    sequence = signer(9)
    log_probs = clip_log_probs(net, made, made.extract(sequence))
    expected = greedy_search(log_probs).tokens
    assert len(expected) > 5
    stream = StreamingRecognizer(net, made, chunk_frames=5)
    assert stream.exact
    for turn in range(2):  # the second time after finish()
        found = []
        for piece in pieces(sequence, turn):
            new = stream.push(piece)
            assert all(piece.timestamps[-1] - sign["end"] < stream.latency + 0.06 * 20 for sign in new)
            found += new
        early = len(found)
        found += stream.finish()
        assert early > 0
        assert [sign["gloss"] for sign in found] == [made.vocabulary[token.token] for token in expected]
        for sign, token in zip(found, expected):
            assert sign["start"] == pytest.approx(sequence.timestamps[0] + token.start * stride / 30)
            assert sign["end"] == pytest.approx(sequence.timestamps[0] + token.end * stride / 30)
            assert sign["score"] == pytest.approx(token.score, abs=1e-3)


def test_log_probabilities_in_windows_are_those_of_each_window_merged() -> None:
    made, net = processor(overlap=0.3), model(temporal_stride=2)
    features = made.extract(signer(5))
    windows = made.windows(len(features))
    with torch.no_grad():
        alone = [net(torch.from_numpy(features[None, start:stop])).logits[0].numpy() for start, stop in windows]
    expected = made.merge(alone, windows, 2)
    assert len(windows) > 3 and len(expected) == -(-len(features) // 2)
    for batch_size in (1, 3, 8):
        np.testing.assert_allclose(clip_log_probs(net, made, features, batch_size=batch_size), expected, atol=1e-4)
    causal = model(causal=True)
    with torch.no_grad():
        whole = causal(torch.from_numpy(features[None])).logits[0].numpy()
    np.testing.assert_allclose(clip_log_probs(causal, made, features), whole, atol=1e-5)


def test_a_beam_of_a_stream_gives_glosses_with_a_stated_latency() -> None:
    made, net, sequence = processor(), model(causal=True), signer(6)
    greedy, beam = (
        StreamingRecognizer(net, made),
        StreamingRecognizer(net, made, method="beam", beam_size=4, max_latency=9),
    )
    assert beam.latency == pytest.approx(greedy.latency + 8 / 30)
    found = [sign for piece in pieces(sequence, 3) for sign in beam.push(piece)] + beam.finish()
    assert found and all(sign["gloss"] in made.vocabulary[1:] for sign in found)


def test_a_stream_without_frames_has_no_glosses_and_one_frame_is_enough() -> None:
    for causal in (True, False):
        stream = StreamingRecognizer(model(causal=causal, temporal_stride=4), processor())
        assert stream.finish() == []
        stream.push(signer(1).frames(slice(0, 1)))
        assert isinstance(stream.finish(), list)


def test_what_cannot_be_streamed_says_so() -> None:
    with pytest.raises(ValueError, match="the processor's vocabulary 3"):
        StreamingRecognizer(model(), SignCTCProcessor(["A"]))
    with pytest.raises(ValueError, match=r"call eval\(\)"):
        StreamingRecognizer(model().train(), processor())
    with pytest.raises(ValueError, match="target_fps"):
        FeatureStream(processor(target_fps=None))
    with pytest.raises(ValueError, match="need the whole clip"):
        FeatureStream(processor(central_share=0.5))
    stream, sequence = FeatureStream(processor()), signer(2)
    stream.push(sequence)
    with pytest.raises(ValueError, match="time stamps must go on"):
        stream.push(sequence)
    with pytest.raises(ValueError, match=r"change their size from \(640, 480\) to \(320, 240\)"):
        stream.push(signer(1).replace(size=(320, 240)))
    with pytest.raises(ValueError, match="takes LandmarkSequences"):
        stream.push(sequence.data)
