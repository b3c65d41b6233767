"""pipeline("sign-recognition") on everything that a user may have: each gives what the processor and the model give."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from cheap_pose import tiny_frames
from PIL import Image
from tiny_model import same_result, tiny_clip
from transformers.pipelines.pt_utils import KeyDataset

from signlang_hf import LandmarkSequence
from signlang_hf.data.rows import landmark_features, to_row
from signlang_hf.pose import estimate_frames
from signlang_hf.video import read_video, write_video


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", tiny_frames(), fps=25, quality=0)


@pytest.fixture(scope="session")
def rows() -> datasets.Dataset:
    """Five clips of different lengths and rates."""
    sequences = [tiny_clip(8 + 5 * seed, seed, fps=(25.0, 30.0)[seed % 2]) for seed in range(5)]
    data = [to_row(sequence, id=str(i), label=i) for i, sequence in enumerate(sequences)]
    return datasets.Dataset.from_list(data, features=landmark_features("isl-48", label_names=list("abcde")))


# ------------------------------------------------------------------------------------------------------------- landmarks


def test_landmark_sequence(pipe, expected, agrees):
    result = pipe(tiny_clip())
    agrees(result, expected(tiny_clip()))
    assert (
        len({round(row["score"], 3) for row in result}) == 5
    )  # the tiny model tells clips apart, or no test here could fail
    assert pipe(tiny_clip(seed=1)) != result


@pytest.mark.parametrize("suffix", [".npz", ".pose", ".npy"])
@pytest.mark.parametrize("kind", [str, Path])
def test_landmark_files_need_no_estimator(pipe, expected, agrees, estimator, tmp_path, suffix, kind):
    sequence = tiny_clip()
    path = tmp_path / f"clip{suffix}"
    if suffix == ".npy":  # bare numbers: the processor's layout, no picture size
        np.save(path, sequence.data)
        sequence = LandmarkSequence(sequence.data, "isl-48", units="unknown")
    else:
        sequence.save(path)
    agrees(pipe(kind(path)), expected(sequence), atol=1e-3)
    assert estimator.clips == 0


def test_the_real_estimator_is_not_even_made_for_landmarks(model_folder, monkeypatch):
    import signlang_hf.pipelines.clip_pipeline as module

    def refuse():
        raise AssertionError("the pose estimator was asked for")

    monkeypatch.setattr(module, "default_estimator", refuse)
    from transformers import pipeline

    pipe = pipeline("sign-recognition", model=str(model_folder))
    assert pipe(tiny_clip())[0]["label"]
    with pytest.raises(AssertionError, match="asked for"):
        pipe(tiny_frames())


def test_bare_landmarks_in_every_array_type(pipe, expected, agrees):
    data = tiny_clip().data
    scores = expected(LandmarkSequence(data, "isl-48", units="unknown"))
    for array in (data, data.astype(np.float64), torch.from_numpy(data)):
        agrees(pipe(array), scores)
    agrees(pipe(data[..., :2]), expected(LandmarkSequence(data[..., :2], "isl-48", units="unknown")))
    slow = expected(LandmarkSequence(data, "isl-48", fps=5.0, units="unknown"))
    agrees(pipe(data, fps=5), slow)
    assert max(abs(slow[label] - scores[label]) for label in slow) > 1e-3


def test_dataset_row_and_landmarks_of_another_layout(pipe, expected, agrees, rows, tmp_path):
    agrees(pipe(rows[1]), expected(tiny_clip(13, 1, fps=30.0)))
    holistic = tiny_clip(layout="mediapipe-holistic")
    agrees(pipe(holistic), expected(holistic.to_layout("isl-48")))
    for suffix in (".npz", ".pose"):  # files say themselves what they hold, whatever the model sees of it
        agrees(pipe(holistic.save(tmp_path / f"clip{suffix}")), expected(holistic.to_layout("isl-48")), atol=1e-3)


# ------------------------------------------------------------------------------------------------------------ collections


def test_list_tuple_and_generator(pipe):
    clips = [tiny_clip(9), tiny_clip(30, 1), tiny_clip(1, 2)]
    alone = [pipe(clip) for clip in clips]
    assert pipe(clips) == alone
    assert pipe(tuple(clips)) == alone
    assert list(pipe(clip for clip in clips)) == alone
    assert pipe([]) == pipe(()) == [] == list(pipe(clip for clip in ()))


def test_a_generator_is_read_as_results_are_asked_for(pipe):
    asked = []

    def stream() -> Iterator[LandmarkSequence]:
        for seed in range(100):
            asked.append(seed)
            yield tiny_clip(5, seed)

    results = iter(pipe(stream()))
    assert next(results)[0]["label"] and next(results)[0]["label"]
    assert len(asked) < 10


@pytest.mark.parametrize("batch_size", [2, 5, 8])
def test_batches_give_the_same_scores(pipe, batch_size):
    clips = [tiny_clip(frames, seed) for seed, frames in enumerate((9, 64, 1, 30, 200, 17))]
    for one, other in zip([pipe(clip) for clip in clips], pipe(clips, batch_size=batch_size), strict=True):
        same_result(one, other)


def test_datasets_columns_and_key_datasets(pipe, expected, agrees, rows):
    results = pipe(rows)
    assert isinstance(results, list) and len(results) == 5
    for index, result in enumerate(results):
        agrees(result, expected(tiny_clip(8 + 5 * index, index, fps=(25.0, 30.0)[index % 2])))
    # A column of landmarks means the same clips: clock and picture size are taken from the other columns.
    assert pipe(rows["landmarks"]) == results
    lazily = pipe(KeyDataset(rows, "landmarks"))
    assert not isinstance(lazily, list) and list(lazily) == results
    assert pipe(rows.to_iterable_dataset()) == results
    for name in ("numpy", "torch"):  # whose time stamps have single precision
        for one, other in zip(pipe(rows.with_format(name)), results, strict=True):
            same_result(one, other)
    assert pipe(rows.select(range(0))) == []
    batched = pipe(rows, batch_size=3, top_k=1)
    assert [result[0]["label"] for result in batched] == [result[0]["label"] for result in results]


def test_a_column_of_landmarks_without_the_rest_is_taken_as_it_is(pipe, expected, agrees, rows):
    bare = rows.select_columns(["landmarks"])
    for one in (pipe(bare["landmarks"]), list(pipe(KeyDataset(bare, "landmarks"))), pipe(bare["landmarks"][:])):
        agrees(one[0], expected(LandmarkSequence(tiny_clip(8).data, "isl-48", units="unknown")))


# --------------------------------------------------------------------------------------------------------------- pictures


@pytest.fixture
def scores_of_video(video, expected, estimator):
    sequence = estimate_frames(read_video(video).frames, estimator, fps=25.0)
    estimator.clips = estimator.frames = 0
    return expected(sequence)


def test_video_path_and_bytes_and_decoded(pipe, agrees, estimator, video, scores_of_video):
    for source in (str(video), video, video.read_bytes(), bytearray(video.read_bytes()), read_video(video)):
        agrees(pipe(source), scores_of_video)
    assert (estimator.clips, estimator.frames) == (5, 30)


def test_video_address(pipe, agrees, video, scores_of_video):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(video.parent))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        agrees(pipe(f"{address}/clip.mp4"), scores_of_video)
        with pytest.raises(ConnectionError, match=r"missing\.mp4: HTTP 404"):
            pipe(f"{address}/missing.mp4")
        server.shutdown()


def test_video_column_of_a_dataset(pipe, video):
    files = datasets.Dataset.from_dict({"video": [str(video), str(video)]})
    files = files.cast_column("video", datasets.Video(decode=False))
    alone = pipe(str(video))
    assert pipe(files["video"]) == [alone, alone]
    assert list(pipe(KeyDataset(files, "video"))) == [alone, alone]
    assert pipe({"bytes": video.read_bytes(), "path": None}) == alone == pipe({"bytes": None, "path": str(video)})


def test_frames_in_memory(pipe, expected, agrees, estimator):
    frames = tiny_frames(8)
    sequence = estimate_frames(frames, estimator, fps=25.0)
    agrees(pipe(frames), expected(sequence))
    agrees(pipe(torch.from_numpy(frames)), expected(sequence))
    slow = estimate_frames(frames, estimator, fps=10.0)
    agrees(pipe(frames, fps=10), expected(slow))
    assert pipe(frames, fps=10) != pipe(frames)


def test_one_picture_is_a_clip_of_one_frame(pipe, expected, agrees, estimator, tmp_path):
    frame = tiny_frames(1)[0]
    scores = expected(estimate_frames(frame, estimator))
    picture = Image.fromarray(frame)
    picture.save(tmp_path / "sign.png")
    stream = io.BytesIO()
    picture.save(stream, "png")
    for source in (frame, frame[None], picture, picture.convert("RGBA"), tmp_path / "sign.png", stream.getvalue()):
        agrees(pipe(source), scores)


def test_a_stream_of_clips_of_different_sizes(pipe):
    clips = [tiny_frames(4, 1), tiny_frames(7, 2, 96, 36), tiny_frames(1, 3, 10, 200), tiny_clip(9)]
    for one, other in zip(pipe((clip for clip in clips), batch_size=2), [pipe(clip) for clip in clips], strict=True):
        same_result(one, other)


def test_a_real_clip_through_mediapipe(loaded, clips, signlang_data, expected, agrees):
    pytest.importorskip("mediapipe")
    from signlang_hf import SignRecognitionPipeline
    from signlang_hf.pose import MediaPipeEstimator, estimate_video
    from signlang_hf.pose.mediapipe import has_solutions

    bundles = signlang_data / "mediapipe-tasks"
    models = {} if has_solutions() else {
        "pose_model": bundles / "pose_landmarker_full.task", "hand_model": bundles / "hand_landmarker.task"
    }  # fmt: skip
    with MediaPipeEstimator(**models) as estimator:
        pipe = SignRecognitionPipeline(
            model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=estimator
        )
        path = clips / "isl_are_you_free_today.mp4"
        sequence = estimate_video(path, estimator)
        assert sequence.part_seen("pose").mean() > 0.9
        agrees(pipe(str(path)), expected(sequence))
