"""``signlang wlasl download``: the videos of a WLASL table, each sign cut out of what the web still has.

::

    WLASL/
        raw/u-3f….mp4       one file an address, as it came
        videos/69241.mp4    one clip an instance: H.264, whatever it was
        download.jsonl      a row an instance: its status, and the reason why there is no clip

Design decisions:

* An address is asked for once, however many signs are cut from it, and a host for one file at a time (:mod:`.downloads`);
  ``max_workers`` hosts at a time. This thread cuts, the others wait for the web.
* A row is written after its clip has been moved into place, so a run may be killed at any moment and started again. ``dead`` links are not asked for again
  unless ``retry_dead`` says so; what merely ``failed`` is, and goes on where it broke off.
* The publisher's table counts frames of the video decoded at 25 fps, as its README says, and its ``preprocess.py`` counts the frames that the file has. That
  is the same for 25 fps only. Here frame ``n`` begins at ``(n - 1) / fps`` seconds, which holds for a copy at any rate; ``cut_by="count"`` does what
  the script does. A clip keeps the rate of its video.
* A file is what its content is: it must decode. Flash (``.swf``) and all that is not H.264 in an MP4 is written anew.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..video import Stretch, VideoWarning, cut_video, iter_video, probe_video
from ..video.cutting import cut_by_count
from ..video.decoders import installed
from . import page_videos
from .downloads import DeadLink, DownloadFailed, Host, HostUnavailable, Patience, Stopped, fetch
from .wlasl_links import REFERERS, Link, Source, choose_source, find_raw, group_links, youtube_id
from .wlasl_manifest import DownloadReport, Record, settings_of
from .wlasl_table import Instance, read_table

VIDEOS, RAW = "videos", "raw"
CUT_BY = ("time", "count")
NEEDS = ("video_id", "url", "frame_start", "frame_end")
_GIVE_UP = 3  # files of a host that fail one after the other


def download_wlasl(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    words: int | None = None,
    videos: str | os.PathLike[str] | None = None,
    already_cut: bool = False,
    cut_by: str = "time",
    max_workers: int = 4,
    pages: bool = True,
    retry_dead: bool = False,
    keep_raw: bool = True,
    max_mb: float = 2000,
    patience: Patience | None = None,
    progress: bool = True,
) -> DownloadReport:
    """Fetch the videos of a table and cut each instance out of its video.

    Args:
        table: JSON file in the schema of ``WLASL_v0.3.json``, whole or as ``filter_table`` leaves it.
        out: folder for ``videos/``, ``raw/`` and ``download.jsonl``.
        words: only the first so many glosses.
        videos: folder of videos to cut instead of downloading, called by video id, or by YouTube's as the publisher's downloader does.
        already_cut: those of ``videos`` called by video id show the sign alone, as in the publisher's ``videos/``.
        cut_by: ``"time"`` (table frames are moments at the table's rate) or ``"count"`` (they are frames of the file).
        max_workers: hosts that are asked at the same time; each is asked for one file at a time.
        pages: download videos of YouTube and other pages, which needs yt-dlp. False leaves them for another run.
        retry_dead: ask for dead and unreadable links again.
        keep_raw: keep what was downloaded. Without it a video that another table needs is downloaded again.
        max_mb: largest file that is accepted.
        patience: tries and waits.
        progress: show a progress bar on the error stream.

    Returns:
        The report; dead links and the like are in it, not raised.

    Raises:
        FileNotFoundError: no such table or folder.
        ValueError: a table that cannot be read, bad arguments, another download at work in ``out``.
        ImportError: yt-dlp is needed and not installed, or PyAV.
        OSError: the disk is full, a folder cannot be written to.
    """
    started = time.perf_counter()
    out = Path(out)
    instances = _read(table, words, cut_by, max_workers, max_mb, already_cut=already_cut, videos=videos)
    raw = _raw_of(videos, out)
    if not installed("av"):
        raise ImportError('Cutting videos needs PyAV: pip install "signlang-hf[wlasl]"')
    with _sole_writer(out):
        record = Record(out)
        _remove_leftovers(out)
        todo = [one for one in instances if not record.settled(one, cut_by, retry_dead)]
        work = _Work(out, record, cut_by, len(instances), progress)
        if raw is not None:
            work.cut_folder(todo, raw, Path(str(videos)), already_cut=already_cut)
        else:
            links = group_links(todo)
            if retry_dead:
                _forget_unreadable(record, todo, out)
            _require_pages(links, pages)
            work.download(links, max_workers, pages, int(max_mb * 1e6), patience or Patience(), keep_raw)
        record.compact()
        rows = [record.rows[one.video] for one in instances if one.video in record.rows]
    return DownloadReport(out, rows, len(todo), len(instances) - len(todo), time.perf_counter() - started)


def plan_wlasl(
    table: str | os.PathLike[str], out: str | os.PathLike[str], *, words: int | None = None,
    videos: str | os.PathLike[str] | None = None, already_cut: bool = False, cut_by: str = "time", retry_dead: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """What :func:`download_wlasl` would do, a row a host (or one for the folder): nothing is asked for and nothing written.

    Returns:
        Rows with ``host``, ``how`` (``direct``, ``yt-dlp`` or ``folder``), ``links`` and ``clips`` of the table, and of these clips those that are
        ``done``, known to be ``dead``, and ``to_do`` (a folder: also ``missing`` from it).
    """
    out = Path(out)
    instances = _read(table, words, cut_by, 1, 1, already_cut=already_cut, videos=videos)
    raw = _raw_of(videos, out)
    record = Record(out, read_only=True)
    settled = {one.video for one in instances if record.settled(one, cut_by, retry_dead)}
    dead = {video for video in settled if record.rows[video]["status"] != "ok"}
    if raw is not None:
        there = [one for one in instances if choose_source(one, raw, already_cut=already_cut)]
        todo = [one for one in there if one.video not in settled]
        row = {
            "host": str(videos),
            "how": "folder",
            "links": len(raw),
            "clips": len(instances),
            "done": len(settled - dead),
        }
        return [{**row, "dead": len(dead), "to_do": len(todo), "missing": len(instances) - len(there)}]
    rows = []
    for host, links in group_links(instances).items():
        for how, some in (("direct", [a for a in links if not a.page]), ("yt-dlp", [a for a in links if a.page])):
            clips = {one.video for link in some for one in link.instances}
            if clips:
                gone = len(clips & dead)
                row = {"host": host or "(no address)", "how": how, "links": len(some), "clips": len(clips)}
                done = len(clips & settled) - gone
                rows.append({**row, "done": done, "dead": gone, "to_do": len(clips) - done - gone})
    return rows


class _Work:
    """One run: what becomes of each instance is recorded as it is known."""

    def __init__(self, out: Path, record: Record, cut_by: str, total: int, progress: bool) -> None:
        self.out, self.record, self.cut_by, self.total, self.progress = out, record, cut_by, total, progress
        self.stop = threading.Event()

    def cut_folder(self, todo: list[Instance], raw: dict[str, Path], folder: Path, *, already_cut: bool) -> None:
        with self._bar(len(todo)) as bar:
            for one in todo:
                source = choose_source(one, raw, already_cut=already_cut)
                if source is None:
                    name = (
                        "of its id"
                        if already_cut or youtube_id(one.url or "") is None
                        else "of its id, or of YouTube's"
                    )
                    self._settle(bar, one, "missing", f"{folder} holds no video {name}")
                else:
                    self._cut(bar, one, source)

    def download(
        self,
        links: dict[str, list[Link]],
        max_workers: int,
        pages: bool,
        max_bytes: int,
        patience: Patience,
        keep_raw: bool,
    ) -> None:
        """Threads fetch, host by host; this one cuts what they bring."""
        hosts: queue.SimpleQueue[tuple[str, list[Link]]] = queue.SimpleQueue()
        for item in links.items():
            hosts.put(item)
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        there = find_raw(self.out / RAW) if (self.out / RAW).is_dir() else {}
        settings = (there, pages, max_bytes, patience)
        threads = [
            threading.Thread(target=self._serve, args=(hosts, results, settings), daemon=True)
            for _ in range(min(max_workers, len(links)))
        ]
        waiting = sum(map(len, links.values()))
        try:
            for thread in threads:
                thread.start()
            with self._bar(sum(len(link.instances) for group in links.values() for link in group)) as bar:
                for _ in range(waiting):
                    answer = results.get()
                    if isinstance(answer, BaseException):
                        raise answer
                    link, outcome = answer
                    for one in link.instances:
                        if isinstance(outcome, Path):
                            self._cut(bar, one, Source(outcome, False), link)
                        else:
                            self._settle(bar, one, *outcome)
                    if isinstance(outcome, Path) and not keep_raw:
                        outcome.unlink(missing_ok=True)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(timeout=10)

    def _serve(self, hosts: Any, results: Any, settings: tuple[dict[str, Path], bool, int, Patience]) -> None:
        """One thread: takes hosts until none is left; of each link either the file, or (status, reason)."""
        there, pages, max_bytes, patience = settings
        while True:
            try:
                name, links = hosts.get_nowait()
            except queue.Empty:
                return
            referer = {"Referer": REFERERS[name]} if name in REFERERS else {}
            host = Host(patience, self.stop, referer)
            failed, away = 0, ""
            try:
                for link in links:
                    if link.name in there:
                        results.put((link, there[link.name]))
                        continue
                    if link.page and not pages:
                        results.put((link, ("failed", "a page, which --no-pages leaves out")))
                        continue
                    if away:
                        results.put((link, ("failed", away)))
                        continue
                    try:
                        results.put((link, self._fetch(link, host, max_bytes)))
                        failed = 0
                    except DeadLink as gone:
                        results.put((link, ("dead", str(gone))))
                        failed = 0
                    except DownloadFailed as error:
                        results.put((link, ("failed", str(error))))
                        failed += 1
                        if isinstance(error, HostUnavailable) or failed >= _GIVE_UP:
                            away = f"not asked for: {name} had failed before in this run ({error})"
            except Stopped:
                return
            except BaseException as error:  # a full disk, a missing package: the whole run's error
                results.put(error)
                return
            finally:
                host.close()

    def _fetch(self, link: Link, host: Host, max_bytes: int) -> Path:
        if not link.host:
            raise DeadLink(f"{link.url[:80]!r} is no http or https address")
        if link.page:
            return page_videos.fetch_page_video(link.url, self.out / RAW, link.name, host, max_bytes=max_bytes)
        target = self.out / RAW / (link.name + link.suffix)
        fetch(link.url, target, host, max_bytes=max_bytes)
        return target

    def _cut(self, bar: Any, one: Instance, source: Source, link: Link | None = None) -> None:
        clip = self.out / VIDEOS / f"{one.video}.mp4"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VideoWarning)
            try:
                _cut_instance(one, source, clip, self.cut_by)
                frames = sum(
                    len(chunk.frames) for chunk in iter_video(clip)
                )  # looked at to the end: what is linked was not decoded yet
                info = probe_video(clip)
            except ValueError as error:
                clip.unlink(missing_ok=True)
                self._settle(bar, one, "unreadable", _one_line(error, source.path), raw=self._raw_name(source, link))
                return
        said = [_one_line(one.message, source.path) for one in caught if issubclass(one.category, VideoWarning)]
        facts = {"raw": self._raw_name(source, link), "warning": said[0] if said else None}
        size = {"frames": frames, "clip_fps": info.fps, "width": info.width, "height": info.height}
        self._settle(bar, one, "ok", None, file=f"{VIDEOS}/{clip.name}", bytes=clip.stat().st_size, **size, **facts)

    def _raw_name(self, source: Source, link: Link | None) -> str:
        return str(source.path.absolute()) if link is None else source.path.relative_to(self.out).as_posix()

    def _settle(self, bar: Any, one: Instance, status: str, reason: str | None, **facts: Any) -> None:
        self.record.append(
            {
                **settings_of(one, self.cut_by),
                "status": status,
                "reason": reason,
                "gloss": one.gloss,
                "file": None,
                **facts,
            }
        )
        bar.update()

    def _bar(self, todo: int) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self.total, initial=self.total - todo, unit="clip", desc="download", disable=not self.progress
        )


def _cut_instance(one: Instance, source: Source, clip: Path, cut_by: str) -> None:
    whole = source.cut or (one.frame_start <= 1 and one.frame_end < 0)
    if whole:
        cut_video(source.path, clip)
    elif cut_by == "count":
        cut_by_count(source.path, clip, one.frame_start - 1, one.frame_end - 1 if one.frame_end > 0 else 1 << 60)
    else:
        end = one.frame_end / one.fps if one.frame_end > 0 else None
        cut_video(source.path, clip, Stretch((one.frame_start - 1) / one.fps, end))


def _read(
    table: str | os.PathLike[str], words: int | None, cut_by: str, max_workers: int, max_mb: float, *,
    already_cut: bool, videos: str | os.PathLike[str] | None,
) -> list[Instance]:  # fmt: skip
    """The instances, after the arguments were looked at."""
    if cut_by not in CUT_BY:
        raise ValueError(f"cut_by is {cut_by!r}; choose {' or '.join(CUT_BY)}.")
    if max_workers != int(max_workers) or max_workers < 1:
        raise ValueError(f"max_workers is {max_workers}; it must be a whole number from 1.")
    if not max_mb > 0:
        raise ValueError(f"max_mb is {max_mb}; it must be positive.")
    if already_cut and videos is None:
        raise ValueError("already_cut is about the videos of a folder; name it with videos=.")
    return read_table(Path(table), words=words, needs=NEEDS)


def _raw_of(videos: str | os.PathLike[str] | None, out: Path) -> dict[str, Path] | None:
    if videos is None:
        return None
    folder, target = Path(videos), (out / VIDEOS).resolve()
    if folder.resolve() == target or target in folder.resolve().parents or folder.resolve() in target.parents:
        raise ValueError(
            f"The clips would be written into {folder}, among the videos that they are cut from; give another --out."
        )
    return find_raw(folder)


def _require_pages(links: dict[str, list[Link]], pages: bool) -> None:
    count = sum(link.page for group in links.values() for link in group)
    if pages and count and not page_videos.available():
        raise ImportError(
            f"{count} of the videos are on YouTube and other pages, which needs yt-dlp: {page_videos.INSTALL} "
            "(or --no-pages to do without them)."
        )


def _remove_leftovers(out: Path) -> None:
    """Files that a run which was killed had not moved into place. Downloads that can be gone on with are none."""
    for folder in (out, out / VIDEOS, out / RAW):
        for path in folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def _forget_unreadable(record: Record, todo: list[Instance], out: Path) -> None:
    """What did not decode is downloaded anew."""
    bad = {one.url for one in todo if record.rows.get(one.video, {}).get("status") == "unreadable"}
    names = {link.name for group in group_links(one for one in todo if one.url in bad).values() for link in group}
    for stem, path in find_raw(out / RAW).items() if (out / RAW).is_dir() else ():
        if stem in names:
            path.unlink(missing_ok=True)


def _one_line(error: Any, path: Path) -> str:
    return " ".join(str(error).replace(str(path), path.name).split())


@contextmanager
def _sole_writer(out: Path) -> Iterator[None]:
    """One download at a time in a folder; the lock goes with its process, however that ends."""
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".download.lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"Another download is at work in {out}; wait for it or use another folder.") from None
