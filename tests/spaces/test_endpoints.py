"""Every named endpoint of every Space, as programs call it: real uploads, what comes back, and what a mistake says."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripted_signer import ScriptedSigner, sign

pytest.importorskip("gradio_client")
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from signlang_hf.video import probe_video, write_video


@pytest.fixture(scope="module")
def client(served, tmp_path_factory):
    """``client("live-signs")``: a client of that Space."""
    clients: dict[str, Client] = {}

    def connected(name: str) -> Client:
        if name not in clients:
            folder = tmp_path_factory.mktemp("downloads")
            clients[name] = Client(served(name).url, download_files=str(folder), verbose=False)
        return clients[name]

    yield connected
    for one in clients.values():
        one.close()


def size_of(picture: str) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


# ---------------------------------------------------------------------------------------------------- sign-recognition


def test_a_real_letter_is_recognised(client, letter_b):
    said, words, skeleton, chart = client("sign-recognition").predict(
        landmarks=handle_file(str(letter_b)), model="fingerspelling", top_k=3, api_name="/recognize"
    )
    assert said.startswith("### B\n") and "among the 26 signs" in said
    assert words["label"] == words["confidences"][0]["label"] == "B"
    assert len(words["confidences"]) == 3
    assert words["confidences"][0]["confidence"] > 0.9
    about = probe_video(skeleton)
    assert about.num_frames == 24 and about.height == 480
    assert size_of(chart)[0] > 400


def test_a_video_is_looked_at_by_the_estimator(client, film):
    said, words, skeleton, _ = client("sign-recognition").predict(
        video=handle_file(str(film)), model="dgs30", api_name="/recognize"
    )
    assert words is not None and said.startswith("### ")
    assert (probe_video(skeleton).width, probe_video(skeleton).num_frames) == (128, 24)


def test_a_real_video_says_a_real_word(client, clips, real_estimator):
    """Mexican YO (I) points to the signer as German ICH does."""
    said, words, skeleton, _ = client("sign-recognition").predict(
        video=handle_file(str(clips / "yo_001.mp4")), model="dgs30", api_name="/recognize"
    )
    assert words["label"] == "ich" and said.startswith("### ich")
    assert max(probe_video(skeleton)[:2]) == 960  # made smaller than the 1280 of the clip


def test_heat_shows_where_the_letter_is(client, letter_b):
    said, film, sheet, parts = client("sign-recognition").predict(
        landmarks=handle_file(str(letter_b)), model="fingerspelling", label="B", api_name="/explain"
    )
    assert said.startswith("What speaks for **B** is hottest at") and "right hand" in said
    assert probe_video(film).num_frames == 24
    assert size_of(sheet)[0] > 600 and size_of(parts)[0] > 600


def test_heat_for_a_sign_that_the_model_does_not_know(client, letter_b):
    with pytest.raises(AppError, match="The model has no label 'Bier' among its 26"):
        client("sign-recognition").predict(
            landmarks=handle_file(str(letter_b)), model="fingerspelling", label="Bier", api_name="/explain"
        )


def test_nobody_is_an_answer(client, nobody):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said, words, skeleton, chart = client("sign-recognition").predict(
            video=handle_file(str(nobody)), model="dgs30", api_name="/recognize"
        )
    assert said.startswith("### Nobody was found in this clip.")
    assert (words or None, skeleton, chart) == (None, None, None)


# ---------------------------------------------------------------------------------------------------- sign-translation


def test_a_spelled_word_becomes_a_sentence_with_subtitles(client, berlin):
    sentence, signs, film, files, moments, attention = client("sign-translation").predict(
        landmarks=handle_file(str(berlin)), model="spelling", api_name="/translate"
    )
    assert '<div class="word">berlin</div>' in sentence and "signs: B E R L I N" in sentence
    assert [row[2] for row in signs["data"]] == list("BERLIN")
    starts = [row[0] for row in signs["data"]]
    assert starts == sorted(starts) and all(row[0] <= row[1] for row in signs["data"])
    srt, vtt = (Path(file).read_text(encoding="utf-8") for file in files)
    assert srt.startswith("1\n00:00:0") and "berlin" in srt
    assert vtt.startswith("WEBVTT") and "berlin" in vtt
    film = film["video"] if isinstance(film, dict) and "video" in film else film
    assert probe_video(film["value"] if isinstance(film, dict) else film).duration > 1
    assert size_of(moments)[0] > 400 and size_of(attention)[0] > 200


def test_glosses_alone_are_said_not_to_be_translated(client, berlin):
    sentence, signs, _, files, _, attention = client("sign-translation").predict(
        landmarks=handle_file(str(berlin)), model="sentences", api_name="/translate"
    )
    if not signs["data"]:
        assert "No sign was recognised in this clip." in sentence and files is None
    else:
        assert "signs, not translated" in sentence
    assert attention is None


# --------------------------------------------------------------------------------------------------- keypoint-detector


def test_a_photograph_gets_its_points(client):
    from signlang_hf.demo import examples

    found = examples.pictures()
    assert found, "matplotlib brings a photograph"
    said, drawn, table, answer = client("keypoint-detector").predict(
        image=handle_file(str(found[0].make())), api_name="/detect"
    )
    width, height = answer["size"]
    assert size_of(drawn) == (width, height) and answer["layout"] == "signlang-64"
    points = {row["name"]: row for row in answer["keypoints"]}
    assert {"nose", "left_eye", "right_eye", "left_ear", "right_ear"} <= points.keys()
    # The portrait looks at us: her right ear is on our left, and her eyes are above her nose.
    assert points["right_ear"]["x"] < points["right_eye"]["x"] < points["left_eye"]["x"] < points["left_ear"]["x"]
    assert points["right_eye"]["y"] < points["nose"]["y"] > points["left_eye"]["y"]
    assert said == f"### {len(points)} of 64 points" and len(table["data"]) == len(points)


def test_a_high_threshold_leaves_less(client, tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((64, 48, 3), 128, np.uint8)).save(path)
    said, _, table, answer = client("keypoint-detector").predict(
        image=handle_file(str(path)), threshold=1.0, api_name="/detect"
    )
    assert said.startswith("### No points") and answer["keypoints"] == []
    assert table["data"] in ([], [["", "", "", ""]])


# ------------------------------------------------------------------------------------------------------ compare-models


def test_models_without_a_common_sign_cannot_agree(client, letter_b):
    said, chart, table, film = client("compare-models").predict(
        landmarks=handle_file(str(letter_b)), names=["dgs30", "fingerspelling"], api_name="/compare"
    )
    assert said.startswith("### They cannot agree")
    rows = {row[0]: row for row in table["data"]}
    assert rows["fingerspelling"][1] == "B" and rows["dgs30"][1] == "unknown"
    assert rows["dgs30"][5] == 30 and rows["dgs30"][4].endswith(" M") and rows["dgs30"][3] > 0
    assert size_of(chart)[0] > 900 and probe_video(film).num_frames == 24


@pytest.mark.parametrize(("names", "count"), [([], 0), (["dgs30"], 1), (["dgs30", "dgs30"], 1), (list("abcde"), 5)])
def test_a_comparison_takes_two_to_four(client, letter_b, names, count):
    with pytest.raises(AppError, match=f"Choose 2 to 4 different models; there (is|are) {count}"):
        client("compare-models").predict(landmarks=handle_file(str(letter_b)), names=names, api_name="/compare")


# ---------------------------------------------------------------------------------------------------------- live-signs


class Scripted(ScriptedSigner):
    """Signs from 0.4 s to 1.6 s of any film."""

    def __init__(self) -> None:
        super().__init__(sign(0.4, 1.6))


def scripted(**options: object) -> Scripted:
    return Scripted()


def test_a_recording_is_played_as_if_it_were_live(client, film, monkeypatch):
    monkeypatch.setenv("SIGNLANG_ESTIMATOR", f"{__name__}:scripted")
    job = client("live-signs").submit(
        video=handle_file(str(film)), model="fingerspelling", unsure=True, api_name="/watch"
    )
    picture, word, log, sentence, told = job.result(timeout=60)
    assert size_of(picture) == (128, 96)
    events = told["events"]
    (found,) = [event for event in events if event["type"] == "sign"]
    assert events[0]["type"] == "sign_started" and 0.2 < found["start"] < 0.7 and 1.2 < found["end"] < 1.8
    assert f'<div class="word">{found["label"]}</div>' in word and f"<strong>{found['label']}</strong>" in log
    assert sentence == found["label"]
    assert len(job.outputs()) > 3  # it is shown while it goes on


def test_landmarks_are_played_too(client, letter_b):
    *_, told = client("live-signs").predict(
        landmarks=handle_file(str(letter_b)), model="fingerspelling", api_name="/watch"
    )
    assert [event["label"] for event in told["events"] if event["type"] == "sign"] == ["B"]


def test_every_played_clip_gives_its_place_back(served, client, letter_b, monkeypatch):
    monkeypatch.setenv("SIGNLANG_LIVE_PLACES", "1")
    for _ in range(2):
        client("live-signs").predict(landmarks=handle_file(str(letter_b)), model="fingerspelling", api_name="/watch")
    assert len(served("live-signs").app.places()) == 0


# ------------------------------------------------------------------------------------------------------- what goes wrong

CLIPS = [("sign-recognition", "/recognize"), ("sign-recognition", "/explain"), ("sign-translation", "/translate")]
CLIPS += [("compare-models", "/compare"), ("live-signs", "/watch")]
named = pytest.mark.parametrize(("space", "endpoint"), CLIPS, ids=lambda value: value.strip("/"))


@named
def test_no_clip(client, space, endpoint):
    with pytest.raises(AppError, match="There is no clip yet: record one, upload one, or take an example"):
        client(space).predict(api_name=endpoint)


@named
def test_what_is_no_video(client, no_film, space, endpoint):
    with pytest.raises(AppError) as caught:
        client(space).predict(video=handle_file(str(no_film)), api_name=endpoint)
    said = str(caught.value)
    assert "words.mp4" in said and "/" not in said.replace("org/", ""), said  # its name, and no folder of this machine


@named
def test_a_clip_that_is_too_long(client, long_film, space, endpoint):
    with pytest.raises(AppError, match=r"long.mp4 takes 39 s; a clip may take 30 s. Cut out the part with the sign"):
        client(space).predict(video=handle_file(str(long_film)), api_name=endpoint)


@pytest.mark.parametrize(("space", "endpoint"), [one for one in CLIPS if one[0] != "compare-models"])
def test_a_model_that_nobody_may_name(client, film, space, endpoint):
    with pytest.raises(AppError, match="Folders can be named only where the Space runs on your own machine"):
        client(space).predict(video=handle_file(str(film)), model="/etc", api_name=endpoint)


@pytest.mark.parametrize("name", ["org/never-there", "no such model"])
def test_an_unknown_model(client, film, name):
    said = "org/never-there cannot be had from the Hub|'no such model' is no model's name"
    with pytest.raises(AppError, match=said):
        client("sign-recognition").predict(video=handle_file(str(film)), model=name, api_name="/recognize")


def test_two_clips_at_once(client, film, letter_b):
    with pytest.raises(AppError, match="There are a video and a landmark file; take one of them away"):
        client("sign-recognition").predict(
            video=handle_file(str(film)), landmarks=handle_file(str(letter_b)), api_name="/recognize"
        )


def test_a_landmark_file_that_unpacks_to_too_much(client, tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, data=np.zeros((1000, 1000, 80), np.float32))
    assert path.stat().st_size < 1e6
    with pytest.raises(AppError, match=r"bomb.npz unpacks to 320 MB, which no clip needs"):
        client("sign-recognition").predict(landmarks=handle_file(str(path)), api_name="/recognize")


def test_a_landmark_file_of_another_kind(client, tmp_path):
    path = tmp_path / "points.npz"
    path.write_bytes(b"no archive at all")
    with pytest.raises(AppError, match=r"points.npz is no .npz file"):
        client("sign-translation").predict(landmarks=handle_file(str(path)), api_name="/translate")


def test_a_picture_of_too_many_pixels(client, tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(np.zeros((2, 6001, 3), np.uint8)).save(path)
    with pytest.raises(AppError, match="6001 x 2 pixels; a side may have 6000"):
        client("keypoint-detector").predict(image=handle_file(str(path)), api_name="/detect")


def test_no_picture(client):
    with pytest.raises(AppError, match="There is no picture yet"):
        client("keypoint-detector").predict(api_name="/detect")


def test_a_video_of_too_many_pixels(client, tmp_path):
    path = write_video(tmp_path / "wide.mp4", np.zeros((2, 16, 4200, 3), np.uint8), fps=5.0)
    with pytest.raises(AppError, match=r"wide.mp4 has 4200 x 16 pixels; a side may have 4096"):
        client("sign-recognition").predict(video=handle_file(str(path)), api_name="/recognize")


def test_an_upload_beyond_the_limit_is_refused(client, tmp_path):
    path = tmp_path / "huge.mp4"
    with path.open("wb") as stream:
        stream.truncate(51 * 1000 * 1000 * 2)
    with pytest.raises(Exception, match=r"413|exceed|[Tt]oo [Ll]arge"):
        client("sign-recognition").predict(video=handle_file(str(path)), api_name="/recognize")


# ----------------------------------------------------------------------------------------------------------------- tools

TOOLS = {
    "sign-recognition": {"recognize": "one sign of a short clip", "explain": "by Grad-CAM"},
    "sign-translation": {"translate": "signs with their times, and the sentence"},
    "keypoint-detector": {"detect": "64 points of one person"},
    "compare-models": {"compare": "compare what they answer"},
    "live-signs": {"watch": "as if somebody signed it before a camera"},
}


@pytest.mark.parametrize("space", TOOLS)
def test_language_models_are_told_what_each_tool_is_for(served, space):
    with urllib.request.urlopen(f"{served(space).url}gradio_api/mcp/schema", timeout=20) as answer:
        tools = {tool["name"]: tool for tool in json.load(answer)}
    assert tools.keys() == TOOLS[space].keys()
    for name, words in TOOLS[space].items():
        assert words in tools[name]["description"]
        inputs = tools[name]["inputSchema"]["properties"]
        assert all(one.get("description") for one in inputs.values()), inputs


def test_a_tool_can_be_called(served, settings):
    pytest.importorskip("mcp")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def call() -> str:
        address = f"{served('compare-models').url}gradio_api/mcp/"
        async with streamablehttp_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            answer = await session.call_tool("compare", {"names": ["dgs30"]})
            return answer.content[0].text

    assert "Choose 2 to 4 different models; there is 1." in asyncio.run(call())
