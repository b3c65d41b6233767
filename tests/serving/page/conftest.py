"""The live page in a real browser, and a scripted server behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from live_page import CHROMIUM, SPEECH, playwright
from scripted_page_server import ScriptedPageServer


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--use-fake-device-for-media-stream",
    ]
    playwright.expect.set_options(timeout=15_000)  # a machine that has much to do is no fault of the page
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def server() -> Iterator[ScriptedPageServer]:
    scripted = ScriptedPageServer()
    scripted.start()
    yield scripted
    scripted.stop()


@pytest.fixture
def opened(browser: Any, server: ScriptedPageServer) -> Iterator[Callable[..., Any]]:
    """``opened(locale=…, …)``: the page in a new window. Whatever goes wrong in the script, or leaves the server, fails the test."""
    contexts, faults = [], []

    def open_page(*, script: str = SPEECH, camera: bool = True, **options: Any) -> Any:
        context = browser.new_context(
            **{
                "locale": "en-GB",
                "viewport": {"width": 1280, "height": 800},
                "permissions": ["camera"] if camera else [],
            }
            | options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.add_init_script(script)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.startswith((server.url, "blob:")) or faults.append(request.url))
        page.on("console", lambda message: message.type == "error" and faults.append(message.text))
        page.goto(server.url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    if server.interrupted:  # the browser notes on its console that a try to connect was refused
        faults = [fault for fault in faults if "ERR_CONNECTION" not in fault]
    assert faults == []
