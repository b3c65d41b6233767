"""Where the videos of a WLASL table are to be had: links grouped by host, or files of a folder that somebody has already."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from ..video import VIDEO_SUFFIXES
from .wlasl_table import Instance

RAW_SUFFIXES: tuple[str, ...] = (*VIDEO_SUFFIXES, ".swf")
"""Names of files that are taken for videos as the web gave them."""
REFERERS = {"www.aslpro.com": "http://www.aslpro.com/cgi-bin/aslpro/aslpro.cgi"}
"""Sites that give out their videos only to those who come from their own page, as the publisher's downloader does."""
_YOUTUBE = {"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be", "www.youtu.be", "youtube-nocookie.com"}
_YOUTUBE_ID = re.compile(r"(?:v=|youtu\.be/|/embed/|/v/|/shorts/)([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")


@dataclass(frozen=True)
class Link:
    """One address, and the instances that are cut from what lies there.

    ``host``: whose turn it is; addresses that lead to one site have one. ``page``: whether it is a page with a video on it, not the video.
    """

    url: str
    host: str
    page: bool
    instances: tuple[Instance, ...]

    @property
    def name(self) -> str:
        """Name of the downloaded file, without its suffix: the same for the same address in every table."""
        return f"u-{hashlib.sha256(self.url.encode()).hexdigest()[:20]}"

    @property
    def suffix(self) -> str:
        """Suffix of the downloaded file. What it holds is decided by its content."""
        suffix = _suffix(self.url)
        return suffix if suffix in RAW_SUFFIXES else ".mp4"


class Source(NamedTuple):
    """A file that is there already; ``cut``: it shows the sign alone and is taken whole."""

    path: Path
    cut: bool


def group_links(instances: Iterable[Instance]) -> dict[str, list[Link]]:
    """Host → its links, the host with most of them first; each address once, however many instances are cut from it."""
    by_url: dict[str, list[Instance]] = defaultdict(list)
    for one in instances:
        by_url[(one.url or "").strip()].append(one)
    hosts: dict[str, list[Link]] = defaultdict(list)
    for url, members in by_url.items():
        host = host_of(url)
        page = host == "youtube.com" or _suffix(url) not in RAW_SUFFIXES
        hosts[host].append(Link(url, host, page, tuple(members)))
    return dict(sorted(hosts.items(), key=lambda item: (-len(item[1]), item[0])))


def host_of(url: str) -> str:
    """The site of an address; empty where it is no http or https address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return ""
    return "youtube.com" if parts.hostname.lower() in _YOUTUBE else parts.netloc.rpartition("@")[2].lower()


def youtube_id(url: str) -> str | None:
    """The eleven letters that name a video on YouTube, which the publisher's downloader calls its file by."""
    found = _YOUTUBE_ID.search(url) if host_of(url) == "youtube.com" else None
    return found.group(1) if found else None


def find_raw(folder: Path) -> dict[str, Path]:
    """Videos below a folder, by the stem of their names. Hidden files and downloads that are not complete are passed over.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"Folder of videos not found: {folder}")
    found: dict[str, Path] = {}
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in RAW_SUFFIXES and not name.startswith("."):
                found.setdefault(stem, Path(root) / name)
    return found


def choose_source(instance: Instance, raw: dict[str, Path], *, already_cut: bool) -> Source | None:
    """The file of a folder that shows an instance: by its video id, or, if it is to be cut, by the id of its video on YouTube."""
    if instance.video in raw:
        return Source(raw[instance.video], already_cut)
    name = None if already_cut else youtube_id(instance.url or "")
    return Source(raw[name], False) if name in raw else None


def _suffix(url: str) -> str:
    try:
        return PurePosixPath(urlsplit(url).path).suffix.lower()
    except ValueError:
        return ""
