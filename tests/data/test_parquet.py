"""Parquet shards and dataset card: read back by plain ``datasets``, written whole or not at all, pushed to a Hub."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import datasets
import huggingface_hub
import numpy as np
import pytest

from signlang_hf.data import parquet, push_dataset, save_dataset, to_sequence


@pytest.fixture
def splits(make_dataset):
    pairs = [(word, signer) for word in "abc" for signer in ("x", "y")]
    return datasets.DatasetDict(train=make_dataset(pairs), test=make_dataset(pairs, offset=50, prefix="t"))


def test_plain_datasets_reads_the_folder_back_with_features(splits, tmp_path, cache_folder):
    folder = save_dataset(splits, tmp_path / "saved")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(cache_folder))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 6, "test": 6}
    assert loaded["train"].features == splits["train"].features
    assert loaded["train"].features["label"].names == ["a", "b", "c"]
    for row, original in zip(loaded["test"].with_format("numpy"), splits["test"].with_format("numpy")):
        assert row["id"] == original["id"] and row["label"] == original["label"]
        np.testing.assert_array_equal(row["landmarks"], original["landmarks"])


def test_streaming_reads_the_same_rows(splits, tmp_path):
    folder = save_dataset(splits, tmp_path / "saved")
    streamed = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert streamed.features == splits["test"].features
    for row, original in zip(streamed, splits["test"]):
        np.testing.assert_array_equal(to_sequence(row).data, to_sequence(original).data)


def test_large_splits_become_several_shards(make_dataset, tmp_path, cache_folder, monkeypatch):
    dataset = make_dataset([("a", "x"), ("b", "y")] * 10)
    monkeypatch.setattr(parquet, "_MEGABYTE", 25_000)
    folder = save_dataset(dataset.select(range(4, 20)), tmp_path / "saved", max_shard_mb=2)
    files = sorted(path.name for path in (folder / "data").iterdir())
    assert len(files) > 2 and files[0] == f"train-00000-of-{len(files):05d}.parquet"
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(cache_folder))
    assert list(loaded["id"]) == [str(i) for i in range(4, 20)]


def test_a_part_of_a_split_is_saved_under_the_splits_name(splits, tmp_path):
    whole = datasets.load_dataset(str(save_dataset(splits, tmp_path / "saved")), cache_dir=str(tmp_path / "cache"))
    for split, name in ((whole["test"], "test"), (splits["train"], "train")):
        part = split.select(range(2))
        files = save_dataset(part, tmp_path / f"part-{name}") / "data"
        assert [path.name for path in files.iterdir()] == [f"{name}-00000-of-00001.parquet"]
    sliced = datasets.load_dataset(str(tmp_path / "saved"), split="test[:50%]", cache_dir=str(tmp_path / "cache"))
    assert (save_dataset(sliced, tmp_path / "half") / "data/test-00000-of-00001.parquet").is_file()


def test_the_card_carries_front_matter_and_facts(splits, tmp_path):
    folder = save_dataset(
        splits, tmp_path / "saved", description="Three words.", license="mit", language=["ase"], pretty_name="Words"
    )
    card = huggingface_hub.DatasetCard.load(folder / "README.md")
    data = card.data.to_dict()
    assert (
        data["license"] == "mit" and data["language"] == ["ase"] and data["task_categories"] == ["video-classification"]
    )
    assert data["size_categories"] == ["n<1K"] and "sign-language" in data["tags"]
    assert [item["split"] for item in data["configs"][0]["data_files"]] == ["train", "test"]
    for fact in ("# Words", "Three words.", "| train | 6 |", "float32 (T, 42, 3)", "3 classes: a, b, c"):
        assert fact in card.text


def test_a_written_folder_is_replaced_only_when_asked(splits, tmp_path):
    folder = save_dataset(splits, tmp_path / "saved")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save_dataset(splits, folder)
    save_dataset(splits["train"], folder, overwrite=True)
    assert [path.name for path in (folder / "data").iterdir()] == ["train-00000-of-00001.parquet"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds notes\.txt"):
        save_dataset(splits, folder, overwrite=True)
    assert (folder / "notes.txt").exists()


def test_a_failed_write_leaves_nothing_behind_and_the_old_in_place(splits, tmp_path, monkeypatch):
    folder = save_dataset(splits["train"], tmp_path / "saved")
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(parquet, "_card", fail)
    with pytest.raises(OSError, match="disk full"):
        save_dataset(splits, folder, overwrite=True)
    monkeypatch.setattr(parquet, "_card", lambda *args: "card")
    monkeypatch.setattr(parquet.os, "replace", _replace_failing_once(tmp_path / "saved"))
    with pytest.raises(OSError, match="no space"):
        save_dataset(splits, folder, overwrite=True)
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def _replace_failing_once(target):
    original, failed = os.replace, []

    def replace(source, destination):
        if destination == target and not failed:
            failed.append(True)
            raise OSError("no space")
        original(source, destination)

    return replace


def test_what_cannot_be_saved_is_refused(splits, make_dataset, tmp_path):
    other = datasets.DatasetDict(train=splits["train"], test=make_dataset([("a", "x"), ("z", "y")]))
    with pytest.raises(ValueError, match="splits 'train' and 'test' differ in their columns or class names"):
        save_dataset(other, tmp_path / "saved")
    with pytest.raises(ValueError, match="not IterableDataset; load without streaming"):
        save_dataset(splits["train"].to_iterable_dataset(), tmp_path / "saved")
    with pytest.raises(ValueError, match="no split to save"):
        save_dataset(datasets.DatasetDict(), tmp_path / "saved")
    with pytest.raises(FileNotFoundError, match="it has no data/"):
        push_dataset(tmp_path, "org/name")


class Hub(BaseHTTPRequestHandler):
    """The four requests of an upload to a dataset repository; files arrive in the commit itself."""

    token = "hf_good"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.path, body))
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            return self.answer(401, {"error": "Invalid credentials"})
        if self.path.endswith("/preupload/main"):
            files = [
                {"path": item["path"], "uploadMode": "regular", "shouldIgnore": False}
                for item in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        if "/commit/" in self.path:
            url = f"http://{self.headers['Host']}/datasets/org/name/commit/{'0' * 40}"
            return self.answer(200, {"commitUrl": url, "commitOid": "0" * 40, "success": True})
        return self.answer(200, {"url": f"http://{self.headers['Host']}/datasets/org/name"})

    def do_GET(self):
        if "/tree/" in self.path:
            return self.answer(
                200, [{"type": "file", "path": "data/train-00000-of-00009.parquet", "size": 1, "oid": "0"}]
            )
        siblings = [{"rfilename": "data/train-00000-of-00009.parquet"}]
        return self.answer(200, {"id": "org/name", "sha": "0" * 40, "siblings": siblings})

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def push(folder, hub, token):
    code = (
        "import sys; from signlang_hf.data import push_dataset\n"
        "print(push_dataset(sys.argv[1], 'org/name', token=sys.argv[2], commit_message='Letters'))"
    )
    variables = {
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [sys.executable, "-c", code, str(folder), token]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60)


def test_push_uploads_the_folder_and_removes_old_shards(splits, tmp_path, hub):
    folder = save_dataset(splits, tmp_path / "saved")
    result = push(folder, hub, "hf_good")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("/datasets/org/name/commit/" + "0" * 40)
    commit = next(body for path, body in hub.requests if "/commit/" in path)
    lines = [json.loads(line) for line in commit.splitlines()]
    assert lines[0]["value"]["summary"] == "Letters"
    files = {line["value"]["path"]: line["value"] for line in lines if line["key"] == "file"}
    assert set(files) == {"README.md", "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"}
    assert base64.b64decode(files["README.md"]["content"]) == (folder / "README.md").read_bytes()
    deleted = [line["value"]["path"] for line in lines if line["key"] == "deletedFile"]
    assert deleted == ["data/train-00000-of-00009.parquet"]


def test_push_with_a_bad_token_fails_with_the_hubs_answer(splits, tmp_path, hub):
    result = push(save_dataset(splits, tmp_path / "saved"), hub, "hf_bad")
    assert result.returncode == 1 and "401" in result.stderr
    assert not any("/commit/" in path for path, _ in hub.requests)


def test_push_saves_a_dataset_first(splits, monkeypatch):
    uploads = []

    class Api:
        def __init__(self, token):
            self.token = token

        def create_repo(self, repo_id, **options):
            uploads.append((repo_id, options))

        def upload_folder(self, folder_path, **options):
            card = (folder_path / "README.md").read_text()
            uploads.append((sorted(path.name for path in (folder_path / "data").iterdir()), card, options["revision"]))
            return SimpleNamespace(commit_url="http://hub/datasets/org/name/commit/1")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert push_dataset(splits, "org/name", private=True, revision="v2", license="mit").endswith("/commit/1")
    assert uploads[0] == ("org/name", {"repo_type": "dataset", "private": True, "exist_ok": True})
    files, card, revision = uploads[1]
    assert len(files) == 2 and "license: mit" in card and revision == "v2"
