"""pipeline("sign-recognition"): results, call arguments, loading, saving, and inputs that cannot be used."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cheap_pose import CheapEstimator, tiny_frames
from tiny_model import LABELS, same_result, save_tiny_model, tiny_clip, tiny_model
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForVideoClassification, AutoProcessor, pipeline

from signlang_hf import LandmarkSequence, SignKeypointProcessor, SignRecognitionPipeline, SignTransformerModel
from signlang_hf.video import VideoWarning, write_video

NOBODY = [{"label": None, "score": 0.0, "message": "Nobody was found in this clip."}]


# --------------------------------------------------------------------------------------------------------------- results


def test_the_result_is_plain_python_and_sums_to_one(pipe):
    result = pipe(tiny_clip(), top_k=6)
    assert json.loads(json.dumps(result)) == result
    assert all(type(row["label"]) is str and type(row["score"]) is float for row in result)
    assert {row["label"] for row in result} == set(LABELS)
    assert sum(row["score"] for row in result) == pytest.approx(1, abs=1e-5)
    assert [row["score"] for row in result] == sorted((row["score"] for row in result), reverse=True)


def test_top_k(pipe, model_folder):
    everything = pipe(tiny_clip(), top_k=100)
    assert len(everything) == 6 and len(pipe(tiny_clip())) == 5
    assert pipe(tiny_clip(), top_k=2) == everything[:2]
    assert pipeline("sign-recognition", model=str(model_folder), top_k=1)(tiny_clip()) == everything[:1]


def test_a_clip_without_anybody_says_so(pipe, tmp_path):
    dark = np.zeros((5, 48, 64, 3), np.uint8)
    with pytest.warns(VideoWarning, match="No person"):
        assert pipe(dark) == NOBODY
    path = write_video(tmp_path / "dark.mp4", dark)
    with pytest.warns(VideoWarning, match=r"dark\.mp4"):
        assert pipe(str(path)) == NOBODY
    assert pipe(np.full((4, 48, 3), np.nan)) == NOBODY
    tiny_clip(4).replace(data=np.full((4, 48, 3), np.nan), visibility=None).save(tmp_path / "nan.npz")
    assert pipe(str(tmp_path / "nan.npz")) == NOBODY
    assert json.dumps(NOBODY)


def test_a_clip_without_anybody_does_not_disturb_its_batch(pipe):
    nan = np.full((4, 48, 3), np.nan, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = pipe([tiny_clip(9), nan, tiny_clip(30, 1)], batch_size=3)
    assert results[1] == NOBODY
    same_result(results[0], pipe(tiny_clip(9)))
    same_result(results[2], pipe(tiny_clip(30, 1)))


def test_one_frame_is_enough(pipe):
    for source in (tiny_clip(1), tiny_clip(1).data, tiny_frames(1)):
        assert len(pipe(source)) == 5


def test_the_estimator_is_made_once(loaded, monkeypatch):
    import signlang_hf.pipelines.clip_pipeline as module

    made = []
    monkeypatch.setattr(module, "default_estimator", lambda: made.append(CheapEstimator()) or made[-1])
    pipe = SignRecognitionPipeline(model=loaded.model, feature_extractor=loaded.feature_extractor)
    assert made == []
    pipe([tiny_frames(3), tiny_frames(4, 1), tiny_clip()])
    assert len(made) == 1 and made[0].clips == 2


# --------------------------------------------------------------------------------------------------- loading and saving


def test_pipeline_arguments(model_folder, estimator, expected, agrees):
    pipe = pipeline("sign-recognition", model=str(model_folder), device="cpu", estimator=estimator, batch_size=2)
    assert pipe.device == torch.device("cpu") and pipe.estimator is estimator
    agrees(pipe(tiny_clip()), expected(tiny_clip()))
    half = pipeline("sign-recognition", model=str(model_folder), dtype=torch.bfloat16)
    assert half.model.dtype == torch.bfloat16
    agrees(half(tiny_clip(), top_k=1), expected(tiny_clip()), atol=0.05)


def test_pipeline_of_objects(loaded, expected, agrees):
    pipe = pipeline("sign-recognition", model=loaded.model, feature_extractor=loaded.feature_extractor)
    agrees(pipe(tiny_clip()), expected(tiny_clip()))


def test_saved_pipeline_loads_like_any_model_folder(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "saved")
    again = pipeline("sign-recognition", model=str(tmp_path / "saved"))
    assert again(tiny_clip()) == pipe(tiny_clip())
    assert again.feature_extractor.to_dict() == pipe.feature_extractor.to_dict()
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= names
    assert not any(name.startswith(("sign_recognition", "inputs")) for name in names)


def test_auto_classes_load_from_the_same_folder(model_folder, pipe):
    for auto in (AutoProcessor, AutoFeatureExtractor):
        processor = auto.from_pretrained(model_folder)
        assert type(processor) is SignKeypointProcessor and processor.layout == "isl-48"
    encoder = AutoModel.from_pretrained(model_folder)
    assert type(encoder) is SignTransformerModel
    inputs = processor(tiny_clip(), return_tensors="pt")
    with torch.no_grad():
        output = encoder.eval()(**inputs)
        model = AutoModelForVideoClassification.from_pretrained(model_folder)
        scores = model.eval()(**inputs).logits.softmax(-1)[0]
    assert output.last_hidden_state.shape == (1, 20, 16) and output.pooler_output.shape == (1, 16)
    assert model.config.id2label[int(scores.argmax())] == pipe(tiny_clip())[0]["label"]


# ------------------------------------------------------------------------------------------------- folders that are wrong


def without(folder: Path, name: str, target: Path) -> str:
    shutil.copytree(folder, target)
    (target / name).unlink()
    return str(target)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("preprocessor_config.json", "Can't load feature extractor for '.*broken'.*preprocessor_config.json"),
        ("config.json", "Unrecognized model in .*broken.*config.json"),
        ("model.safetensors", "Could not load model .*broken"),
    ],
)
def test_a_folder_that_lacks_a_file_is_named(model_folder, tmp_path, name, message):
    with pytest.raises((OSError, ValueError), match=message):
        pipeline("sign-recognition", model=without(model_folder, name, tmp_path / "broken"))


def test_model_and_processor_of_different_features(model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path / "mixed")
    SignKeypointProcessor("hands-42", normalization="centroid").save_pretrained(tmp_path / "mixed")
    with pytest.raises(
        ValueError, match="takes 144 features a frame, the processor makes 126; they were not saved together"
    ):
        pipeline("sign-recognition", model=str(tmp_path / "mixed"))


def test_no_processor_or_a_foreign_one():
    from transformers import Wav2Vec2FeatureExtractor

    model = tiny_model(144)
    with pytest.raises(ValueError, match="needs a SignKeypointProcessor as feature_extractor; got none"):
        SignRecognitionPipeline(model=model)
    with pytest.raises(ValueError, match="got Wav2Vec2FeatureExtractor"):
        SignRecognitionPipeline(model=model, feature_extractor=Wav2Vec2FeatureExtractor())


def test_a_processor_of_a_layout_that_needs_its_names(tmp_path):
    points = ["left_shoulder", "right_shoulder", "left_wrist", "right_wrist"]
    save_tiny_model(tmp_path, layout="test-four", layout_points=points)
    assert len(pipeline("sign-recognition", model=str(tmp_path))(tiny_clip())) == 5


# ------------------------------------------------------------------------------------------------ inputs that are wrong


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video, whatever its name says\n" * 50)
    whole = write_video(folder / "whole.mp4", tiny_frames(60, height=96, width=128), quality=0).read_bytes()
    (folder / "headless.mp4").write_bytes(whole[: len(whole) // 20])
    (folder / "empty.npz").touch()
    (folder / "text.npz").write_text("no archive")
    (folder / "text.pose").write_text("no pose")
    good = tiny_clip(30)
    good.save(folder / "good.npz")
    (folder / "cut.npz").write_bytes((folder / "good.npz").read_bytes()[:500])
    np.savez(folder / "points.npz", data=np.zeros((4, 47, 3)), layout="isl-48", size=[640, 360])
    np.savez(folder / "layout.npz", data=np.zeros((4, 47, 3)), layout="no-such-layout")
    np.save(folder / "points.npy", np.zeros((4, 47, 3)))
    tiny_clip(0).save(folder / "none.npz")
    (folder / "folder").mkdir()
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("missing.mp4", FileNotFoundError, "Video file not found: .*missing.mp4"),
        ("missing.npz", FileNotFoundError, "Landmark file not found: .*missing.npz"),
        ("empty.mp4", ValueError, r"empty.mp4 is empty \(0 bytes\)"),
        ("text.mp4", ValueError, "text.mp4 is not a video that can be decoded"),
        ("headless.mp4", ValueError, "headless.mp4 (is not a video that can be decoded|holds no frame)"),
        ("folder", FileNotFoundError, "There is no video or landmark file in"),
        ("empty.npz", ValueError, "empty.npz: "),
        ("text.npz", ValueError, "text.npz: "),
        ("cut.npz", ValueError, "cut.npz: "),
        ("text.pose", ValueError, "text.pose: not a readable .pose file"),
        ("points.npz", ValueError, "points.npz: .*have 47 points; the layout has 48"),
        ("points.npy", ValueError, "points.npy: .*have 47 points; the layout has 48"),
        ("layout.npz", ValueError, "layout.npz: Unknown layout 'no-such-layout'"),
        ("none.npz", ValueError, "no frames; at least one is needed"),
    ],
)
def test_files_that_cannot_be_used(pipe, files, name, kind, message):
    with pytest.raises(kind, match=message) as caught:
        pipe(str(files / name))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_video_that_is_cut_off_gives_what_can_be_read(pipe, files, estimator):
    pytest.importorskip("av")
    import av

    # Matroska keeps its index in the stream, so the first half of a file is half a video.
    with av.open(str(files / "cut.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        noise = np.random.default_rng(0).integers(60, 220, (60, 96, 128, 3), np.uint8)
        for frame in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    whole = (files / "cut.mkv").read_bytes()
    (files / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VideoWarning)
        assert len(pipe(str(files / "cut.mkv"))) == 5
    assert 10 < estimator.frames < 50


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 48, 64, 3), np.uint8), "there is no frame"),
        (np.zeros((4, 48, 64, 3), np.float32), "Frames must be uint8 in 0..255; these are float32"),
        (np.zeros((4, 48, 64, 3), np.int64), "Frames must be uint8 in 0..255; these are int64"),
        (np.zeros((4, 48, 64), np.uint8), r"shape \(T, H, W, 3\), RGB; these have \(4, 48, 64\)"),
        (np.zeros((4, 48, 64, 4), np.uint8), r"these have \(4, 48, 64, 4\)"),
        (np.zeros((2, 4, 48, 64, 3), np.uint8), r"these have \(2, 4, 48, 64, 3\)"),
        (np.zeros((48, 64, 3), np.float32), r"shape \(T, 48, 3\) in layout 'isl-48'; these have \(48, 64, 3\).*uint8"),
        (np.zeros((4, 47, 3)), r"these have \(4, 47, 3\)"),
        (np.zeros((4, 48, 5)), r"shape \(4, 48, 5\); expected \(frames, 48, 3\)"),
        (np.zeros((0, 48, 3)), "no frames; at least one"),
        (np.zeros(3), r"shape \(3,\) is neither frames"),
        (np.zeros((4, 48, 3), bool), "Cannot recognise signs in ndarray; give a video"),
        (None, "Cannot recognise signs in NoneType"),
        (3, "Cannot recognise signs in int;"),
        ({"label": 3}, "needs a 'landmarks' column, or a video's 'path' or 'bytes'; it has label"),
        ({"landmarks": [[[0.0, 0.0, 0.0]]]}, "The row has no layout"),
        (b"", r"empty \(0 bytes\)"),
        (b"neither a video nor a picture", "not a video that can be decoded"),
        ([[[1.0], [2.0, 3.0]]], "Cannot recognise signs in list"),
        (LandmarkSequence(np.ones((3, 48, 3)), "isl-48"), "need the picture's size"),
        (
            LandmarkSequence(np.ones((3, 43, 3)), "dgs-43", units="unknown"),
            "'dgs-43' shares no point with layout 'isl-48'",
        ),
    ],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'shape', '')}" if not isinstance(value, str) else "",
)
def test_values_that_cannot_be_used(pipe, source, message):
    with pytest.raises(ValueError, match=message) as caught:
        pipe(source)
    assert "\n" not in str(caught.value)


def test_a_dataset_dict_is_not_a_list_of_files(pipe):
    import datasets

    both = datasets.DatasetDict(train=datasets.Dataset.from_dict({"x": [1]}))
    with pytest.raises(ValueError, match=r"needs a 'landmarks' column.*it has train"):
        pipe(both)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"top_k": 0}, ValueError, "top_k is 0; it must be at least 1"),
        ({"top_k": -3}, ValueError, "top_k is -3"),
        ({"fps": 0}, ValueError, "fps is 0; it must be a positive number"),
        ({"fps": -5}, ValueError, "fps is -5"),
        ({"fps": float("nan")}, ValueError, "fps is nan"),
        (
            {"topk": 3},
            TypeError,
            "does not know topk; it takes top_k, threshold, mirror_margin, return_embedding, fps and batch_size",
        ),
        ({"function_to_apply": "none", "max_length": 3}, TypeError, "does not know function_to_apply, max_length"),
    ],
)
@pytest.mark.parametrize("source", [tiny_clip(), tiny_frames()], ids=["landmarks", "frames"])
def test_call_arguments_that_cannot_be_used(pipe, source, arguments, kind, message):
    with pytest.raises(kind, match=message):
        pipe(source, **arguments)
