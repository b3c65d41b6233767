"""What tests of the live page share: the browser that they need, what it is told, and waiting for what a page says."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = os.environ.get("SIGNLANG_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium found (set SIGNLANG_CHROMIUM)")

# A browser that has learnt to speak, and that notes what it is told.
SPEECH = """
window.spoken = [];
class Utterance { constructor(text) { this.text = text; } }
Object.defineProperty(window, "SpeechSynthesisUtterance", {value: Utterance});
Object.defineProperty(window, "speechSynthesis", {value: {
  getVoices: () => [{lang: "en-US"}, {lang: "de-DE", name: "Anna"}],
  speak: (one) => { window.spoken.push([one.text, one.lang, one.voice?.name || null]); window.last = one; },
  cancel: () => { window.last?.onerror({error: "canceled"}); },
}});
"""
MUTE = "delete window.speechSynthesis;"
CAMERA_FAILS = 'navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "%s"));'

DRAWN = "document.getElementById('skeleton').getContext('2d').getImageData(0, 0, 2000, 2000).data.some(Boolean)"


def says(page: Any, text: str, seconds: float = 15) -> None:
    """Wait until the status says it."""
    playwright.expect(page.get_by_role("status")).to_contain_text(text, timeout=1000 * seconds)


def until(page: Any, condition: Callable[[], Any], seconds: float = 15) -> None:
    """Wait until it holds on the server's side."""
    for _ in range(round(20 * seconds)):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to that")


def start(page: Any) -> None:
    page.get_by_role("button", name="Start").click()
    says(page, "Watching")


def word(page: Any, text: str) -> Any:
    found = page.get_by_role("listitem").filter(has_text=re.compile(rf"^{text}"))
    return found.and_(page.locator("#words li"))
