"""What a live page shows: the word of the moment, a log of events, and the sentence so far, as HTML.

Words come from models of strangers, so every one of them is escaped.
"""

from __future__ import annotations

from collections import deque
from html import escape
from typing import Any

_LOG = 40  # events that stay on the page
_WAITING = "Sign, and the word appears here."
_SAID = {
    "sign_started": "somebody signs",
    "unknown": "a sign that the model does not know",
    "short": "only a movement",
}


class LiveView:
    """Takes events and says what is to be seen.

    Attributes:
        signing: whether somebody signs.
        said: the signs so far.
        events: the latest events, oldest first.
    """

    def __init__(self) -> None:
        self.signing = False
        self.said: list[str] = []
        self.events: deque[dict[str, Any]] = deque(maxlen=_LOG)
        self._now: tuple[str, float | None, bool] | None = None  # word, score, final
        self._texts: list[str] = []

    def tell(self, event: dict[str, Any]) -> None:
        """Take the next event, with its ``type``."""
        kind = event["type"]
        if kind == "idle" and event.get("reason") == "sign":  # the sign itself has been told
            return
        self.events.append(event)
        if kind in ("partial", "sign"):
            self._now = (event["label"], event["score"], kind == "sign")
        if kind == "gloss":
            self._now = (event["gloss"], event["score"], True)
        if kind in ("sign", "gloss"):
            self.said.append(event["label"] if kind == "sign" else event["gloss"])
        if kind == "sentence" and event.get("text"):
            self._texts.append(event["text"])
        if kind == "idle" and self._now is not None and not self._now[2]:
            self._now = None

    def word(self) -> str:
        """The word of the moment."""
        if self._now is None:
            more = '<span class="signing">signing …</span>' if self.signing else _WAITING
            return f'<div class="signlang-answer" role="status"><div class="word">&nbsp;</div><div class="more">{more}</div></div>'
        word, score, final = self._now
        sure = "" if score is None else f"{100 * score:.0f} %"
        more = sure if final else f'{sure} <span class="signing">signing …</span>'
        return (
            f'<div class="signlang-answer" role="status"><div class="word">{escape(word)}{"" if final else " ?"}</div>'
            f'<div class="more">{more}</div></div>'
        )

    def log(self) -> str:
        """The events, the latest first."""
        if not self.events:
            return '<p class="signlang-note">Nothing has happened yet.</p>'
        # The latest first, so that nobody has to scroll.
        rows = "".join(
            f"<li><time>{_time(one):.1f} s</time><span>{_told(one)}</span></li>" for one in reversed(self.events)
        )
        return f'<div class="signlang-log" tabindex="0" role="log" aria-label="Events"><ol>{rows}</ol></div>'

    def sentence(self) -> str:
        """All that was said."""
        return " ".join(self._texts or self.said)


def _time(event: dict[str, Any]) -> float:
    return event.get("time") or event.get("end") or event.get("start") or 0.0


def _told(event: dict[str, Any]) -> str:
    kind = event["type"]
    if kind == "partial":
        return f"looks like {escape(event['label'])} ({100 * event['score']:.0f} %)"
    if kind == "sign":
        return f"<strong>{escape(event['label'])}</strong> ({100 * event['score']:.0f} %)"
    if kind == "gloss":
        return f"<strong>{escape(event['gloss'])}</strong> ({100 * event['score']:.0f} %)"
    if kind == "sentence":
        said = event.get("text") or " ".join(sign["gloss"] for sign in event["glosses"])
        return f"sentence: <strong>{escape(said)}</strong>"
    return escape(_SAID.get(event.get("reason", kind), kind))
