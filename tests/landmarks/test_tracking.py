"""Hand tracking on hands whose sides are known: generated ones, and MediaPipe's with their sides forgotten."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, get_layout, load_landmarks
from signlang_hf.landmarks.layout import HAND
from signlang_hf.landmarks.normalize import mirror
from signlang_hf.landmarks.tracking import _viterbi, assign_sides, looks_right, require_tracked, track_hands

SIZE = (640, 480)


def right_hand(bend: float = 0.4) -> np.ndarray:
    """A signer's right hand, palm to the camera, fingers up and bent by ``bend`` towards the camera: (21, 3), palm = 1."""
    points = np.zeros((21, 3))
    for finger, x in zip(("thumb", "index", "middle", "ring", "little"), (0.5, 0.25, 0.0, -0.2, -0.4), strict=True):
        joints = [i for i, point in enumerate(HAND) if point.startswith(finger)]
        for rank, joint in enumerate(joints):
            # Seen from the front, the thumb of a right hand with its palm to the camera points to the right of the picture.
            points[joint] = (x, -1.0 - 0.3 * rank, -bend * rank * 0.5) if finger != "thumb" else (x, -0.3 * rank, 0)
    return points


def flip(hand: np.ndarray) -> np.ndarray:
    return hand * [-1, 1, 1]


def signing(frames: int = 40, *, seed: int = 0, left: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Eyes (T, 2, 3), the signer's left and right one, and hands (T, 2, 21, 3), right and left, in pixels.

    The hands move smoothly on their sides of the face; the left one is seen in the frames ``left``, by default in none.
    """
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, frames)[:, None]
    right = np.concatenate([250 + 40 * np.sin(time), 250 + 40 * np.cos(time), 0 * time], axis=1)
    other = np.concatenate([390 + 30 * np.sin(2 * time), 280 + 30 * np.cos(time), 0 * time], axis=1)
    hands = np.stack([right[:, None] + 40 * right_hand(), other[:, None] + 40 * flip(right_hand())], axis=1)
    hands += rng.normal(0, 0.5, hands.shape)
    seen = np.zeros(frames, bool)
    seen[left or slice(0, 0)] = True
    hands[~seen, 1] = np.nan
    eyes = np.zeros((frames, 2, 3)) + [[335, 150, 0], [305, 150, 0]]
    return eyes, hands


def unnamed(eyes: np.ndarray, hands: np.ndarray, order: np.ndarray, **options: object) -> LandmarkSequence:
    """In layout dgs-43: first the right hand where ``order``, and a single hand always first, as a detector gives them."""
    slots = np.where(order[:, None, None, None], hands, hands[:, ::-1])
    first_missing = np.isnan(slots[:, 0, 0, 0])
    slots[first_missing] = slots[first_missing][:, ::-1]
    data = np.concatenate([eyes[:, 1:], slots.reshape(len(slots), 42, 3)], axis=1)
    return LandmarkSequence(data, "dgs-43", **{"units": "pixel", "size": SIZE, "fps": 30, **options})


def holistic(eyes: np.ndarray, hands: np.ndarray) -> LandmarkSequence:
    spec = get_layout("mediapipe-holistic")
    data = np.full((len(eyes), len(spec), 3), np.nan)
    data[:, spec.indices(["left_eye", "right_eye"])] = eyes
    data[:, spec.parts["right_hand"]], data[:, spec.parts["left_hand"]] = hands[:, 0], hands[:, 1]
    return LandmarkSequence(data, spec.name, units="pixel", size=SIZE, fps=30)


def parts(sequence: LandmarkSequence) -> np.ndarray:
    """(T, 2, 21, 3): right and left hand."""
    return sequence.data[:, [list(sequence.spec.parts[part]) for part in ("right_hand", "left_hand")]]


# ----------------------------------------------------------------------------------------------------------- tracking


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_slots_become_the_right_and_the_left_hand(seed):
    eyes, hands = signing(seed=seed, left=slice(8, 30))
    order = np.random.default_rng(seed).random(len(hands)) < 0.5
    tracked = track_hands(unnamed(eyes, hands, order))
    assert tracked.layout == "face-hands-43" and len(tracked) == len(hands)
    np.testing.assert_array_equal(parts(tracked), hands.astype(np.float32))
    np.testing.assert_array_equal(tracked.data[:, 0], eyes[:, 1].astype(np.float32))


def test_a_hand_keeps_its_side_where_it_crosses_the_face_or_the_other_hand():
    eyes, hands = signing(left=slice(0, None))
    path = np.linspace(0, 260, len(hands))
    hands[:, 0, :, 0] += path[:, None]  # from one side of the picture to the other, past the left hand
    order = np.random.default_rng(1).random(len(hands)) < 0.5
    assert hands[-1, 0, :, 0].mean() > hands[-1, 1, :, 0].mean() + 40
    np.testing.assert_array_equal(parts(track_hands(unnamed(eyes, hands, order))), hands.astype(np.float32))


def test_the_shape_of_a_hand_tells_its_side_where_its_place_does_not():
    eyes, hands = signing()
    hands[..., 0] += 130  # the right hand on the signer's left for the whole clip
    clip = unnamed(eyes, hands, np.ones(len(hands), bool))
    np.testing.assert_array_equal(parts(track_hands(clip)), hands.astype(np.float32))
    assert not assign_sides(clip.replace(data=clip.data * [1, 1, 0])).any()


def test_all_layouts_of_the_same_hands_agree():
    eyes, hands = signing(left=slice(5, 25))
    expected = track_hands(unnamed(eyes, hands, np.arange(len(hands)) % 3 == 0))
    from_holistic = track_hands(holistic(eyes, hands))
    np.testing.assert_array_equal(from_holistic.data, expected.data)
    np.testing.assert_array_equal(track_hands(expected).data, expected.data)
    bare = track_hands(holistic(eyes, hands).to_layout("hands-42"))
    assert np.isnan(bare.data[:, 0]).all(), "a layout without eyes has no face point"
    np.testing.assert_array_equal(bare.data[:, 1:], expected.data[:, 1:])
    image = unnamed(eyes, hands, np.ones(len(hands), bool)).to_units("image")
    np.testing.assert_allclose(track_hands(image).to_units("pixel").data, expected.data, atol=1e-3)
    assert track_hands(image).units == "image"


def test_exchanged_names_are_outvoted_by_the_way_that_hands_move():
    eyes, hands = signing(left=slice(0, None))
    wrong = hands.copy()
    wrong[12:14] = wrong[12:14, ::-1]
    sides = assign_sides(holistic(eyes, wrong))
    assert np.flatnonzero(~sides).tolist() == [12, 13]


def test_names_outweigh_looks_and_place():
    eyes, hands = signing(left=slice(0, None))
    assert assign_sides(holistic(eyes, hands[:, ::-1])).all()
    unknown = holistic(eyes, hands[:, ::-1]).data[:, [0, *range(54, 75), *range(33, 54)]]
    assert not assign_sides(LandmarkSequence(unknown, "dgs-43", units="pixel")).any()


def test_a_mirrored_clip_and_a_left_handed_signer_come_out_like_the_clip():
    eyes, hands = signing(left=slice(10, 20))
    clip = holistic(eyes, hands)
    expected = track_hands(clip)
    from_mirror = track_hands(mirror(clip))
    np.testing.assert_allclose(from_mirror.data, expected.data, atol=1e-3)
    shuffled = unnamed(eyes, hands, np.arange(len(hands)) % 2 == 0)
    np.testing.assert_allclose(track_hands(mirror(shuffled)).data, track_hands(shuffled).data, atol=1e-3)
    assert np.isnan(parts(expected)[0, 1]).all() and not np.isnan(parts(expected)[:, 0]).any()


def test_a_sign_of_two_hands_is_not_mirrored():
    eyes, hands = signing(left=slice(0, None))
    hands[:14, 0] = np.nan  # the left hand was seen in 40 frames and the right one in 26: 1.54 times as often …
    assert not np.allclose(parts(track_hands(holistic(eyes, hands))), hands, equal_nan=True)
    hands[14, 1] = hands[15, 1] = np.nan  # … and in 38: 1.46 times
    np.testing.assert_array_equal(parts(track_hands(holistic(eyes, hands))), hands.astype(np.float32))


def test_without_depth_the_place_beside_the_face_decides():
    eyes, hands = signing(left=slice(8, 30))
    hands[..., 2] = np.where(np.isnan(hands[..., 0]), np.nan, 0)
    order = np.random.default_rng(2).random(len(hands)) < 0.5
    flat = unnamed(eyes, hands, order)
    assert (looks_right(flat.data[:, 1:22]) == 0).all()
    np.testing.assert_array_equal(parts(track_hands(flat)), hands.astype(np.float32))


def test_frames_before_the_first_and_after_the_last_hand_are_cut_off():
    eyes, hands = signing(40)
    hands[:6] = hands[15:18] = hands[33:] = np.nan
    tracked = track_hands(holistic(eyes, hands))
    assert len(tracked) == 27 and tracked.timestamps[0] == pytest.approx(6 / 30)
    np.testing.assert_array_equal(parts(tracked), hands[6:33].astype(np.float32))


def test_visibility_and_metric_points_follow_their_hand():
    eyes, hands = signing(left=slice(0, None))
    clip = unnamed(eyes, hands, np.arange(len(hands)) % 2 == 0)
    right_first = assign_sides(clip)
    visibility = np.full(clip.seen.shape, 0.5)
    visibility[:, 1:22] = np.where(right_first, 0.9, 0.1)[:, None]
    visibility[:, 22:] = np.where(right_first, 0.1, 0.9)[:, None]
    world = np.repeat(visibility[..., None], 4, axis=2)
    tracked = track_hands(clip.replace(visibility=visibility, world=world))
    right, left = (list(tracked.spec.parts[part]) for part in ("right_hand", "left_hand"))
    assert np.allclose(tracked.visibility[:, right], 0.9) and np.allclose(tracked.visibility[:, left], 0.1)
    assert np.allclose(tracked.world[:, right], 0.9) and np.allclose(tracked.world[:, 0], 0.5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [0, 1, 2, 7])
@pytest.mark.parametrize("what", ["nobody", "in one place", "single points"])
def test_clips_with_little_in_them_pass(frames, what):
    data = np.zeros((frames, 43, 3))
    if what == "nobody":
        data[:] = np.nan
    if what == "single points":
        data[:] = np.nan
        data[::2, 30] = 1.0
    tracked = track_hands(LandmarkSequence(data, "dgs-43", units="unknown"))
    expected = {"nobody": frames, "in one place": frames, "single points": frames - (frames % 2 == 0 and frames > 0)}
    assert len(tracked) == expected[what] and np.isfinite(tracked.data[tracked.seen]).all()


@pytest.mark.filterwarnings("error")
def test_lost_points_do_not_matter():
    eyes, hands = signing(left=slice(0, None))
    order = np.random.default_rng(3).random(len(hands)) < 0.5
    clip = unnamed(eyes, hands, order)
    lost = np.random.default_rng(4).random(clip.seen.shape) < 0.2
    np.testing.assert_array_equal(assign_sides(clip.replace(data=np.where(lost[..., None], np.nan, clip.data))), order)


def test_what_cannot_be_tracked_is_named():
    with pytest.raises(ValueError, match="'kinect-20' has no two hands of 21 points"):
        track_hands(LandmarkSequence(np.zeros((2, 20, 3)), "kinect-20", units="metre"))
    with pytest.raises(ValueError, match="need the picture's size"):
        track_hands(LandmarkSequence(np.zeros((2, 43, 3)), "dgs-43"))
    with pytest.raises(ValueError, match="and layout 'dgs-43' has hand1_wrist, hand1_thumb_cmc, hand1_thumb_mcp …"):
        require_tracked("dgs-43")
    require_tracked("hands-42")


# -------------------------------------------------------------------------------------------------------------- parts


def test_a_hand_looks_the_same_from_all_sides_and_its_mirror_image_the_other_way():
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(rng.normal(size=(50, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]  # rotations, none of them a reflection
    hands = (right_hand() + rng.normal(0, 0.02, (50, 21, 3))) @ turns
    assert (looks_right(hands) > 0.5).all() and (looks_right(flip(hands)) < -0.5).all()
    np.testing.assert_allclose(looks_right(flip(hands)), -looks_right(hands), atol=1e-9)
    assert abs(looks_right(right_hand(bend=0))) < 0.05
    assert looks_right(np.full((21, 3), np.nan)) == 0


@pytest.mark.parametrize("seed", range(10))
def test_viterbi_finds_the_cheapest_course(seed):
    rng = np.random.default_rng(seed)
    evidence, keep, change = rng.normal(size=7), rng.random(6), rng.random(6)

    def cost(course):
        against = sum(-e / 2 if bit else e / 2 for e, bit in zip(evidence, course, strict=True))
        steps = zip(course[:-1], course[1:], keep, change, strict=True)
        return against + sum(b if old != new else a for old, new, a, b in steps)

    best = min(product([False, True], repeat=7), key=cost)
    assert _viterbi(evidence, keep, change).tolist() == list(best)


# ---------------------------------------------------------------------------------------------------------- real hands


def test_forgotten_sides_of_real_hands_are_found_again():
    """Of fingerspelled letters, 95 % of the frames get their side back (98 % on all of them), and almost none changes."""
    pytest.importorskip("spoken_to_signed", reason="the package spoken-to-signed is not installed")
    from signlang_hf.data.fingerspelling import read_lexicon

    rng = np.random.default_rng(0)
    right = frames = changes = 0
    for row in read_lexicon()[::5]:
        clip = load_landmarks(row["file"]).to_layout("mediapipe-holistic").to_units("pixel")
        eyes, hands = clip.data[:, clip.spec.indices(["left_eye", "right_eye"])], parts(clip)
        seen = ~np.isnan(hands[:, :, 0, 0])
        order = np.cumsum(rng.random(len(clip)) < 0.2) % 2 == 0
        sides = assign_sides(unnamed(eyes, hands, order, size=clip.size))
        alone_first = np.where(order, ~seen[:, 0] & seen[:, 1], ~seen[:, 1] & seen[:, 0])
        found = (sides == (order ^ alone_first))[seen.any(axis=1)]
        right, frames, changes = right + found.sum(), frames + len(found), changes + np.abs(np.diff(found * 1)).sum()
    assert frames > 1500
    assert right / frames > 0.95 and changes / frames < 0.005
