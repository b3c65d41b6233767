"""A small Hub on loopback for tests: enough of the Hub's HTTP API for huggingface_hub 0.36 and 2.x.

It keeps repositories in memory with commits, branches and tags, takes commits of inline files and of LFS files, redirects
LFS downloads to another address as the Hub does to its store, and answers wrong tokens, missing repositories, revisions
and files with the Hub's own status and error codes.

huggingface_hub reads its endpoint when it is imported, so what talks to this Hub runs in a process of its own::

    from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known in the file

    def test_push(stub_hub, tmp_path):
        done = stub_hub.run("import huggingface_hub; …", home=tmp_path)
        assert stub_hub.repos["org/model"].files()["config.json"]
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
USER, TOKEN = "tester", "hf_stub_token_of_the_test"
_LFS_SUFFIXES = (".safetensors", ".parquet", ".npz", ".onnx", ".bin")
_KIND = r"(?P<kind>models|datasets|spaces)"
_REPO = r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)"


@dataclass(frozen=True)
class Commit:
    """One commit: all files of the repository at that point."""

    oid: str
    title: str
    files: dict[str, bytes]
    lfs: frozenset[str]
    parent: str | None


@dataclass
class Repo:
    """One repository: commits by id, and branches and tags that point to them."""

    kind: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or a commit id names."""
        return self.commits.get(self.branches.get(revision) or self.tags.get(revision) or revision)

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Path → content at a revision."""
        return self.at(revision).files

    def log(self, revision: str = "main") -> list[Commit]:
        """Commits of a revision, newest first."""
        log, commit = [], self.at(revision)
        while commit is not None:
            log.append(commit)
            commit = self.commits.get(commit.parent)
        return log

    def add(self, branch: str, title: str, files: dict[str, bytes], lfs: frozenset[str]) -> Commit:
        parent = self.branches.get(branch)
        seed = repr((title, parent, len(self.commits), sorted(files)))
        commit = Commit(hashlib.sha1(seed.encode()).hexdigest(), title, files, lfs & set(files), parent)
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid
        return commit


class StubHub:
    """The server: ``endpoint``, ``token``, ``repos`` (``org/name`` → :class:`Repo`; datasets as ``datasets/org/name``)."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.repos: dict[str, Repo] = {}
        self.lfs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.store = f"http://localhost:{self.server.server_port}"  # another host, as the Hub's store of large files is
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def env(self, home: Path, **changes: str) -> dict[str, str]:
        """Environment of a process that talks to this Hub and keeps its caches in ``home``."""
        drop = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HF_MODULES_CACHE", "TRANSFORMERS_OFFLINE"}
        env = {name: value for name, value in os.environ.items() if name not in drop}
        env |= {
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(home / "hf"),
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        return env | changes

    def run(self, code: str, home: Path, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run Python code in a process that talks to this Hub; stdout and stderr come back as text."""
        return subprocess.run(
            [sys.executable, "-c", code],
            env=self.env(home, **changes),
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture(name="stub_hub")
def serve_hub() -> Iterator[StubHub]:
    """A running, empty Hub. A request that it could not serve fails the test."""
    hub = StubHub()
    yield hub
    hub.close()
    assert hub.faults == []


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str | None = None, **more: str) -> None:
        self.status, self.message, self.code, self.more = status, message, code, more


_ROUTES: list[tuple[str, re.Pattern[str], str]] = []


def _route(methods: str, pattern: str) -> Callable[[Callable], Callable]:
    def register(handle: Callable) -> Callable:
        for method in methods.split():
            _ROUTES.append((method, re.compile(pattern), handle.__name__))
        return handle

    return register


class _Handler(BaseHTTPRequestHandler):
    hub: StubHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        path = unquote(url.path) if "%2F" not in url.path else url.path  # a quoted slash belongs to a revision
        self.hub.requests.append(f"{self.command} {path}")
        self.body = self._read_body()
        try:
            for method, pattern, name in _ROUTES:
                match = pattern.fullmatch(path)
                if match and method in (self.command, "GET" if self.command == "HEAD" else None):
                    self.user = self._authenticate()
                    with self.hub.lock:
                        getattr(self, name)(**{key: unquote(value or "") for key, value in match.groupdict().items()})
                    return
            self.hub.faults.append(f"no route for {self.command} {self.path}")
            raise _Refused(404, "Not Found")
        except _Refused as refusal:
            headers = {"X-Error-Message": refusal.message}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self._answer({"error": refusal.message} | refusal.more, refusal.status, headers)
        except Exception as error:
            self.hub.faults.append(f"{self.command} {self.path}: {error!r}")
            self._answer({"error": "stub fault"}, 500)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, content: object = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if not isinstance(content, bytes):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _authenticate(self) -> str | None:
        given = self.headers.get("Authorization")
        if given is None:
            return None
        if given != f"Bearer {self.hub.token}":
            raise _Refused(401, "Invalid credentials in Authorization header")
        return USER

    def _writer(self) -> None:
        if self.user is None:
            raise _Refused(401, "Invalid username or password.")

    def _repo(self, kind: str, repo: str) -> Repo:
        found = self.hub.repos.get(repo if kind == "models" else f"{kind}/{repo}")
        if found is None or (found.private and self.user is None):
            status = 401 if self.user is None else 404  # the Hub does not tell strangers what is missing
            raise _Refused(status, "Repository not found", "RepoNotFound")
        return found

    def _commit(self, kind: str, repo: str, revision: str) -> Commit:
        commit = self._repo(kind, repo).at(revision)
        if commit is None:
            raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def _json(self) -> dict:
        return json.loads(self.body or b"{}")

    @_route("GET", "/api/whoami-v2")
    def whoami(self) -> None:
        self._writer()
        self._answer({"type": "user", "name": USER, "fullname": USER, "orgs": [{"name": "org"}], "auth": {}})

    @_route("POST", "/api/validate-yaml")
    def validate_yaml(self) -> None:
        self._answer({"errors": [], "warnings": []})

    @_route("POST", "/api/repos/create")
    def create_repo(self) -> None:
        self._writer()
        wanted = self._json()
        owner = wanted.get("organization") or USER
        if owner not in (USER, "org"):
            raise _Refused(403, f"You don't have the rights to create a model under the namespace {owner}")
        kind = (wanted.get("type") or "model") + "s"
        name = f"{owner}/{wanted['name']}"
        key = name if kind == "models" else f"{kind}/{name}"
        if key in self.hub.repos:
            raise _Refused(409, "You already created this repo", url=f"{self.hub.endpoint}/{key}")
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        repo = self.hub.repos[key] = Repo(kind, private)
        repo.add("main", "initial commit", {".gitattributes": b"*.safetensors filter=lfs\n"}, frozenset())
        self._answer({"url": f"{self.hub.endpoint}/{key}", "name": name, "id": repo.branches["main"]})

    @_route("DELETE", "/api/repos/delete")
    def delete_repo(self) -> None:
        self._writer()
        wanted = self._json()
        kind = (wanted.get("type") or "model") + "s"
        name = f"{wanted.get('organization') or USER}/{wanted['name']}"
        self._repo(kind, name)
        del self.hub.repos[name if kind == "models" else f"{kind}/{name}"]
        self._answer({})

    @_route("GET", f"/api/{_KIND}/{_REPO}")
    @_route("GET", f"/api/{_KIND}/{_REPO}/revision/(?P<revision>[^/]+)")
    def info(self, kind: str, repo: str, revision: str = "main") -> None:
        commit = self._commit(kind, repo, revision)
        siblings = [{"rfilename": name} for name in sorted(commit.files)]
        private = self._repo(kind, repo).private
        ids = {"_id": commit.oid, "id": repo, "modelId": repo, "sha": commit.oid}
        self._answer(ids | {"private": private, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    @_route("GET", f"/api/{_KIND}/{_REPO}/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
    def tree(self, kind: str, repo: str, revision: str, path: str = "") -> None:
        commit = self._commit(kind, repo, revision)
        prefix = path.strip("/") + "/" if path.strip("/") else ""
        inside = [name for name in sorted(commit.files) if name.startswith(prefix)]
        if prefix and not inside:
            raise _Refused(404, f"{path} does not exist on {revision}", "EntryNotFound")
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("1", "true")
        entries = {}
        for name in inside:
            head, *rest = name[len(prefix) :].split("/")
            for depth in range(len(rest)):
                folder = prefix + "/".join([head, *rest[:depth]])
                entries[folder] = {"type": "directory", "path": folder, "oid": _git_oid(folder.encode()), "size": 0}
                if not recursive:
                    break
            if recursive or not rest:
                entries[name] = _entry(commit, name)
        self._answer(list(entries.values()))

    @_route("POST", f"/api/{_KIND}/{_REPO}/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, kind: str, repo: str, revision: str) -> None:
        commit = self._commit(kind, repo, revision)
        if self.headers.get("Content-Type", "").startswith("application/json"):
            paths = self._json()["paths"]
        else:
            paths = parse_qs(self.body.decode()).get("paths", [])
        self._answer([_entry(commit, path) for path in paths if path in commit.files])

    @_route("GET", f"/api/{_KIND}/{_REPO}/refs")
    def refs(self, kind: str, repo: str) -> None:
        found = self._repo(kind, repo)
        answer = {}
        for group, refs, folder in (("branches", found.branches, "heads"), ("tags", found.tags, "tags")):
            answer[group] = [
                {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": oid} for name, oid in refs.items()
            ]
        self._answer(answer | {"converts": []})

    @_route("GET", f"/api/{_KIND}/{_REPO}/commits/(?P<revision>[^/]+)")
    def commits(self, kind: str, repo: str, revision: str) -> None:
        self._commit(kind, repo, revision)
        shared = {"date": "2026-01-01T00:00:00.000Z", "authors": [{"user": USER}], "message": ""}
        log = self._repo(kind, repo).log(revision)
        self._answer([{"id": commit.oid, "title": commit.title} | shared for commit in log])

    @_route("POST DELETE", f"/api/{_KIND}/{_REPO}/branch/(?P<branch>[^/]+)")
    def branch(self, kind: str, repo: str, branch: str) -> None:
        self._point(self._repo(kind, repo).branches, branch, kind, repo, self._json().get("startingPoint", "main"))

    @_route("POST DELETE", f"/api/{_KIND}/{_REPO}/tag/(?P<revision>[^/]+)")
    def tag(self, kind: str, repo: str, revision: str) -> None:
        name = revision if self.command == "DELETE" else self._json()["tag"]
        self._point(self._repo(kind, repo).tags, name, kind, repo, revision)

    def _point(self, refs: dict[str, str], name: str, kind: str, repo: str, target: str) -> None:
        self._writer()
        if ".." in name:
            raise _Refused(400, f"Invalid reference name {name}")
        if self.command == "DELETE":
            if refs.pop(name, None) is None:
                raise _Refused(404, f"Reference {name} does not exist", "RevisionNotFound")
        elif name in refs:
            raise _Refused(409, f"Reference {name} already exists")
        else:
            refs[name] = self._commit(kind, repo, target).oid
        self._answer({})

    @_route("POST", f"/api/{_KIND}/{_REPO}/preupload/(?P<revision>[^/]+)")
    def preupload(self, kind: str, repo: str, revision: str) -> None:
        self._writer()
        commit = self._commit(kind, repo, revision)
        files = []
        for wanted in self._json()["files"]:
            name = wanted["path"]
            mode = "lfs" if name.endswith(_LFS_SUFFIXES) else "regular"
            oid = _entry(commit, name).get("lfs", _entry(commit, name))["oid"] if name in commit.files else None
            files.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._answer({"files": files})

    @_route("POST", f"/(?:(?P<kind>datasets|spaces)/)?{_REPO}\\.git/info/lfs/objects/batch")
    def lfs_batch(self, kind: str, repo: str) -> None:
        self._writer()
        self._repo(kind or "models", repo)
        objects = []
        for wanted in self._json()["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.lfs:
                answer["actions"] = {"upload": {"href": f"{self.hub.store}/lfs/{wanted['oid']}"}}
            objects.append(answer)
        self._answer({"transfer": "basic", "objects": objects})

    @_route("PUT GET", "/lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_object(self, oid: str) -> None:
        if self.command == "PUT":
            if hashlib.sha256(self.body).hexdigest() != oid:
                raise _Refused(400, "The content does not have this sha256")
            self.hub.lfs[oid] = self.body
            self._answer({})
        else:
            self._answer(self.hub.lfs[oid])

    @_route("POST", f"/api/{_KIND}/{_REPO}/commit/(?P<revision>[^/]+)")
    def commit(self, kind: str, repo: str, revision: str) -> None:
        self._writer()
        found = self._repo(kind, repo)
        if revision not in found.branches:
            raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        before = found.at(revision)
        files, lfs, title = dict(before.files), set(before.lfs), ""
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, before.oid):
                    raise _Refused(412, "A commit has happened since.")
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
                lfs.discard(value["path"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.lfs[value["oid"]]
                lfs.add(value["path"])
            elif item["key"] in ("deletedFile", "deletedFolder"):
                gone = [n for n in files if n == value["path"] or n.startswith(value["path"].rstrip("/") + "/")]
                for name in gone:
                    del files[name]
            else:
                raise NotImplementedError(item["key"])
        commit = found.add(revision, title, files, frozenset(lfs))
        url = f"{self.hub.endpoint}/{repo if kind == 'models' else f'{kind}/{repo}'}/commit/{commit.oid}"
        self._answer({"success": True, "commitOid": commit.oid, "commitUrl": url, "hookOutput": ""})

    @_route("GET", f"/(?:(?P<kind>datasets|spaces)/)?{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
    def resolve(self, kind: str, repo: str, revision: str, path: str) -> None:
        commit = self._commit(kind or "models", repo, revision)
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "none"}
        if path not in commit.files:
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            self._answer({"error": "Entry not found"}, 404, headers)
            return
        entry = _entry(commit, path)
        if "lfs" in entry:
            oid = entry["lfs"]["oid"]
            location = {"Location": f"{self.hub.store}/lfs/{oid}", "ETag": f'"{oid}"'}
            linked = {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(entry["size"])}
            self._answer(b"", 302, headers | location | linked)
        else:
            self._answer(commit.files[path], 200, headers | {"ETag": f'"{entry["oid"]}"'})


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(commit: Commit, name: str) -> dict:
    content = commit.files[name]
    entry = {"type": "file", "path": name, "oid": _git_oid(content), "size": len(content)}
    if name in commit.lfs:
        sha = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
    return entry
