"""Clips, pictures and landmarks over HTTP: the answers are those of the pipelines themselves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cheap_pose import CheapEstimator
from PIL import Image
from running_server import Running, running
from tiny_model import same_result, tiny_clip
from transformers import pipeline

from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.pipelines.loading import load_translation_pipeline
from signlang_hf.serving.metrics import STAGES
from signlang_hf.video import read_video, write_video


def as_json(sequence: LandmarkSequence) -> dict[str, Any]:
    """What a client sends of a sequence without gaps."""
    return {
        "layout": sequence.layout,
        "size": list(sequence.size),
        "timestamps": sequence.timestamps.tolist(),
        "points": sequence.data.tolist(),
    }


@pytest.fixture(scope="module")
def pipe(tiny_models):
    return pipeline("sign-recognition", model=tiny_models["signs"], estimator=CheapEstimator())


def test_a_video_gives_what_the_pipeline_says_about_it(clean: Running, pipe, clip: Path):
    answer = clean.http.post("/predict", files={"video": ("../../etc/passwd", clip.read_bytes(), "text/plain")})
    assert answer.status_code == 200, answer.text
    found, expected = answer.json(), pipe(str(clip))
    same_result(found["top"], expected)
    assert found["gesture"] == expected[0]["label"] and found["score"] == found["top"][0]["score"]
    assert (found["model"], found["frames"], found["message"], found["warnings"]) == ("signs", 12, None, [])
    assert set(found["timings"]) == {*STAGES, "total"}
    assert sum(value for name, value in found["timings"].items() if name != "total") <= found["timings"]["total"] + 1


def test_the_body_itself_may_be_the_video_and_a_model_is_chosen_by_name(clean: Running, clip: Path):
    answer = clean.http.post("/predict?model=others&top_k=2", content=clip.read_bytes()).json()
    assert answer["model"] == "others" and len(answer["top"]) == 2
    assert answer["gesture"] in ("eins", "zwei", "drei")
    refused = clean.http.post("/predict?model=../signs", content=clip.read_bytes())
    assert refused.status_code == 422 and "choose signs, others" in refused.json()["detail"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_picture_is_answered_with_a_warning(clean: Running, pipe, format):
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 90, 60)).save(file, format)
    answer = clean.http.post("/predict", files={"video": file.getvalue()})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["frames"] == 1 and "no movement" in found["warnings"][0]
    same_result(found["top"], pipe(np.array(Image.open(file).convert("RGB"))))


def test_a_clip_without_anybody_has_no_gesture(clean: Running, tmp_path):
    dark = write_video(tmp_path / "dark.mp4", np.zeros((8, 48, 64, 3), np.uint8), 25)
    found = clean.http.post("/predict", files={"video": dark.read_bytes()}).json()
    assert (found["gesture"], found["score"], found["top"]) == (None, 0.0, [])
    assert found["message"] == "Nobody was found in this clip."


def test_a_sign_that_the_model_does_not_know_is_no_gesture(settings, clip: Path, tiny_models):
    with running(settings()) as server:
        server.service.engines["signs"].model.pipe.model.config.unknown_threshold = 0.999999
        found = server.http.post("/predict", files={"video": clip.read_bytes()}).json()
    assert (found["gesture"], found["score"], found["top"][0]["label"]) == (None, 0.0, "unknown")
    assert "none of the signs" in found["message"] and len(found["top"]) == 5


def test_landmarks_as_json_and_as_a_file_give_the_same(clean: Running, pipe, tmp_path):
    sequence = tiny_clip()
    expected = pipe(sequence)
    of_json = clean.http.post("/predict/landmarks", json=as_json(sequence))
    of_file = clean.http.post("/predict/landmarks", content=sequence.save(tmp_path / "clip.npz").read_bytes())
    for answer in (of_json, of_file):
        assert answer.status_code == 200, answer.text
        same_result(answer.json()["top"], expected)
        assert answer.json()["frames"] == 20


def test_points_that_were_not_seen_are_null(clean: Running, pipe):
    sequence = tiny_clip()
    data = sequence.data.copy()
    data[::2, :21] = np.nan
    body = as_json(sequence)
    body["points"] = [[None if np.isnan(point[0]) else point.tolist() for point in frame] for frame in data]
    answer = clean.http.post("/predict/landmarks", json=body).json()
    same_result(answer["top"], pipe(sequence.replace(data=data, visibility=None)))


def test_a_sentence_has_glosses_with_times_and_a_text(clean: Running, clip: Path, tiny_models):
    expected = pipeline("sign-translation", model=tiny_models["sentences"], estimator=CheapEstimator())(str(clip))
    found = clean.http.post("/translate", files={"video": clip.read_bytes()}).json()
    assert found["model"] == "sentences" and found["frames"] == 12
    assert found["text"] == expected["text"] and found["glosses"]
    assert [sign["gloss"] for sign in found["glosses"]] == [sign["gloss"] for sign in expected["glosses"]]
    for ours, theirs in zip(found["glosses"], expected["glosses"]):
        assert ours == pytest.approx(theirs)


def test_a_recogniser_alone_gives_glosses_and_a_translator_can_be_added(settings, clip: Path, tiny_models):
    with running(settings(sentence_model=tiny_models["glosses"])) as server:
        alone = server.http.post("/translate", content=clip.read_bytes()).json()
    assert alone["text"] is None and alone["glosses"]
    both = {"sentence_model": tiny_models["glosses"], "translator": tiny_models["translator"]}
    with running(settings(**both)) as server:
        found = server.http.post("/translate", content=clip.read_bytes()).json()
    pipe = load_translation_pipeline(tiny_models["glosses"], tiny_models["translator"])
    pipe.recognizer._estimator = CheapEstimator()
    assert found["text"] == pipe(str(clip))["text"] != ""
    assert found["glosses"] == alone["glosses"]


def test_a_picture_is_no_sentence_and_a_server_may_have_no_model_for_them(clean: Running, settings, clip: Path):
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 90, 60)).save(file, "PNG")
    answer = clean.http.post("/translate", files={"video": file.getvalue()})
    assert answer.status_code == 422 and "no sentence" in answer.json()["detail"]
    with running(settings(), wait=True) as server:
        answer = server.http.post("/translate", files={"video": clip.read_bytes()})
        assert answer.status_code == 422 and "no model for sentences" in answer.json()["detail"]


def test_models_say_what_they_know(server: Running):
    found = server.http.get("/models").json()
    assert [(one["name"], one["mode"], one["default"]) for one in found] == [
        ("signs", "signs", True),
        ("others", "signs", False),
        ("sentences", "sentences", True),
    ]
    assert found[0]["labels"] == ["doctor", "hello", "thanks", "today", "tomorrow", "yes"]
    assert found[0]["layout"] == "isl-48" and found[0]["fps"] == 25 and found[0]["runtime"] == "torch"
    assert "DOCTOR" in found[2]["labels"] and not [one for one in found[2]["labels"] if one.startswith("<")]


def test_health_answers_before_the_models_are_there_and_ready_only_then(settings):
    with running(settings(), wait=False) as server:
        assert server.http.get("/health").json()["status"] == "ok"
        early = server.http.get("/ready")
        refused = server.http.get("/models")
        for answer in (early, refused):  # loading takes a second at least: a process starts
            assert answer.status_code in (200, 503)
            if answer.status_code == 503:
                assert answer.json()["code"] == "unavailable" and int(answer.headers["Retry-After"]) >= 1
        server.wait()
        assert server.http.get("/ready").json() == {"status": "ready"}
    assert early.status_code == 503


def test_a_real_clip_is_read_by_the_packaged_model(clips, settings, tmp_path):
    """The whole road, with MediaPipe and the model that comes with the package, on half a second of a real clip."""
    pytest.importorskip("mediapipe")
    from signlang_hf.pose import default_estimator

    part = read_video(clips / "hoy_001.mp4", fps=25).frames[20:34]
    source = write_video(tmp_path / "part.mp4", part, 25)
    with running(settings(model="dgs30", estimator="mediapipe", request_timeout=300), wait=False) as server:
        server.wait(180)
        server.http.timeout = 300
        found = server.http.post("/predict", files={"video": source.read_bytes()}).json()
    with default_estimator() as estimator:
        expected = pipeline("sign-recognition", estimator=estimator)(str(source))
    same_result(found["top"], expected, atol=2e-3)
    assert found["gesture"] == (None if expected[0]["label"] == "unknown" else expected[0]["label"])
    assert found["frames"] == 14 and found["timings"]["pose"] > 0
