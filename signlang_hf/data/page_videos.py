"""Videos of pages, such as YouTube's, through yt-dlp, which is installed with the extra ``wlasl``.

Only the picture is fetched, at most 720 lines of it, and as one file: no sound, so nothing has to be merged. yt-dlp keeps and resumes its own
``.part`` files; what it says of a video that is gone becomes a :class:`~.downloads.DeadLink`, all else a :class:`~.downloads.DownloadFailed`.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from .downloads import MAX_BYTES, TIMEOUT, DeadLink, DownloadFailed, Host, HostUnavailable, Stopped

INSTALL = 'pip install "signlang-hf[wlasl]"'
_FORMAT = (
    "bestvideo[height<=720][vcodec^=avc1][protocol^=http]/best[height<=720][ext=mp4]/bestvideo[height<=720]/best[height<=720]/"
    "bestvideo/best"
)
# What yt-dlp and the sites behind it say about a video that will not come back. Their words are all there is to go by.
_GONE = re.compile(
    r"HTTP Error (401|403|404|410)|video (is )?(unavailable|not available|private|no longer available)|private video|has been removed|"
    r"been terminated|account .*(closed|suspended)|does not exist|no longer available|not available in your country|copyright|"
    r"unsupported url|no video formats|removed by the (uploader|user)|is not a valid url|incomplete youtube id|members-only|confirm your age",
    re.IGNORECASE,
)
_ENOUGH = re.compile(r"HTTP Error 429|too many requests|not a bot|rate.?limit", re.IGNORECASE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def available() -> bool:
    """Whether yt-dlp is installed."""
    return importlib.util.find_spec("yt_dlp") is not None


def fetch_page_video(url: str, folder: Path, name: str, host: Host, *, max_bytes: int = MAX_BYTES) -> Path:
    """Download the video of a page as ``folder/name.<what it is>`` and give its path.

    Raises:
        ImportError: yt-dlp is not installed.
        DeadLink, DownloadFailed, HostUnavailable, Stopped: as :func:`~.downloads.fetch`.
        OSError: the folder cannot be written to.
    """
    try:
        import yt_dlp
    except ImportError:
        raise ImportError(f"Videos of YouTube and other pages need yt-dlp: {INSTALL}") from None
    folder.mkdir(parents=True, exist_ok=True)
    host.take_turn()

    def watch(_: Any) -> None:
        if host.stop.is_set():
            raise yt_dlp.utils.DownloadCancelled("stopped")

    options = {
        # In a template '%' has a meaning; the folder may have one in its name.
        "outtmpl": str(folder / name).replace("%", "%%") + ".%(ext)s",
        "format": _FORMAT, "noplaylist": True, "playlist_items": "1", "continuedl": True, "overwrites": True,
        "retries": host.patience.retries, "fragment_retries": host.patience.retries, "socket_timeout": TIMEOUT[1],
        "sleep_interval_requests": min(host.patience.interval, 1.0), "max_filesize": max_bytes,
        "quiet": True, "no_warnings": True, "noprogress": True, "logger": _Silent(), "cachedir": False, "fixup": "never",
        "progress_hooks": [watch],
    }  # fmt: skip
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(url, download=True)
    except yt_dlp.utils.DownloadCancelled:
        raise Stopped from None
    except yt_dlp.utils.YoutubeDLError as error:
        reason = _reason(error)
        if _ENOUGH.search(reason):
            raise HostUnavailable(reason) from None
        raise (DeadLink if _GONE.search(reason) else DownloadFailed)(reason) from None
    for entry in (info or {}).get("entries") or [info or {}]:
        for part in (entry or {}).get("requested_downloads") or ():
            path = Path(part.get("filepath") or part.get("filename") or "")
            if path.is_file():
                return path
    raise DeadLink(f"the page gives no video of at most {max_bytes / 1e6:.0f} MB")


class _Silent:
    """yt-dlp's messages come as exceptions; what it would print besides goes nowhere."""

    def debug(self, message: str) -> None: ...

    info = warning = error = debug


def _reason(error: BaseException) -> str:
    text = " ".join(_COLOURS.sub("", str(error)).split()).removeprefix("ERROR: ")
    text = re.sub(r"^\[[^\]]+\] (\S+: )?", "", text)
    return text.partition("; please report this issue")[0].partition(" Use --cookies")[0][:200].rstrip(". ")
