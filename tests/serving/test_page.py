"""What the page is served with: its files, their headers, and what it is told about the server."""

from __future__ import annotations

import pytest
from running_server import running


@pytest.fixture(scope="module")
def paged(settings, tmp_path_factory):
    """A server with a page of one file, and files of MediaPipe."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "page" / "lang").mkdir(parents=True)
    (folder / "page" / "index.html").write_text("<!doctype html><title>signs</title>")
    (folder / "page" / "app.js").write_text("1;")
    (folder / "tasks" / "wasm").mkdir(parents=True)
    (folder / "tasks" / "vision.mjs").write_text("2;")
    (folder / "tasks" / "wasm" / "vision.wasm").write_bytes(b"\0asm")
    (folder / "secret").write_text("secret")
    (folder / "page" / "link").symlink_to(folder / "secret")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signlang_hf.serving.pages.PAGE", folder / "page")
        with running(settings(browser_landmarks=str(folder / "tasks"), max_fps=15, speech_language="de")) as server:
            yield server


def test_the_page_may_run_no_foreign_and_no_inline_script(paged):
    answer = paged.http.get("/live-signs/")
    assert answer.status_code == 200 and "signs" in answer.text
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'" and policy["frame-ancestors"] == "'none'"
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Permissions-Policy"].startswith("camera=(self)")
    assert paged.http.get("/live-signs").headers["Location"] == "/live-signs/"


def test_files_have_types_that_browsers_run(paged):
    for path, kind, content in (
        ("app.js", "text/javascript", b"1;"),
        ("mediapipe/vision.mjs", "text/javascript", b"2;"),
        ("mediapipe/wasm/vision.wasm", "application/wasm", b"\0asm"),
    ):
        answer = paged.http.get(f"/live-signs/{path}")
        assert (
            answer.status_code == 200 and answer.headers["Content-Type"].startswith(kind) and answer.content == content
        )
        assert "Content-Security-Policy" in answer.headers
    assert "max-age" in paged.http.get("/live-signs/mediapipe/vision.mjs").headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    ["../secret", "%2e%2e/secret", "..%2fsecret", "mediapipe/../../secret", "mediapipe/%2e%2e%2f%2e%2e%2fsecret", "/etc/passwd",
     "..%5csecret", "link", "app.js%00", "nothing.js"],
)  # fmt: skip
def test_no_path_leads_out_of_the_folders(paged, path):
    answer = paged.http.get(f"/live-signs/{path}")
    assert answer.status_code == 404 and "secret" not in answer.text.replace(path, "")
    assert answer.json()["code"] == "not_found"


def test_the_page_is_told_what_the_server_can_do(paged, server, tiny_models):
    assert paged.http.get("/live-signs/config.json").json() == {
        "modes": ["signs"],
        "models": ["signs"],
        "models_by_mode": {"signs": ["signs"]},
        "key_required": False,
        "browser_landmarks": True,
        "max_fps": 15,
        "labels": ["doctor", "hello", "thanks", "today", "tomorrow", "yes"],
        "language": "de",
    }
    other = server.http.get("/live-signs/config.json").json()
    assert other["modes"] == ["signs", "sentences"] and other["language"] is None and not other["browser_landmarks"]
    assert other["models_by_mode"] == {"signs": ["signs", "others"], "sentences": ["sentences"]}
