"""Which models a visitor of a Space may name, and that none of them brings code."""

from __future__ import annotations

import json
import shutil

import pytest
from stub_hub import Repo, serve_hub  # noqa: F401  makes the fixture 'stub_hub' known in the file

from signlang_hf import pretrained
from signlang_hf.demo import hub_models, models

RECOGNITION = "sign-recognition"


@pytest.fixture(autouse=True)
def fresh(settings, monkeypatch):
    for name in ("MODEL", "LOCAL_MODELS", "MODEL_FOLDERS"):
        monkeypatch.delenv(f"SIGNLANG_{name}", raising=False)
    models._open.clear()


def test_bundled_models_are_offered_by_their_task():
    assert models.bundled(RECOGNITION) == ["dgs30", "fingerspelling"]
    assert models.bundled("sign-translation", "continuous-sign-recognition") == ["spelling", "sentences"]
    assert models.bundled("sign-keypoint-detection") == ["detector"]


def test_the_owners_model_comes_first(monkeypatch):
    monkeypatch.setenv("SIGNLANG_MODEL", "fingerspelling")
    assert models.choices(RECOGNITION) == ["fingerspelling", "dgs30"]
    assert models.first_choice("dgs30") == "fingerspelling"


@pytest.mark.parametrize("name", ["/etc", "./runs", "../x", "~/model", "a/b/c", "runs\\model"])
def test_a_stranger_names_no_folder(name):
    with pytest.raises(ValueError, match="Folders can be named only where the Space runs on your own machine"):
        models.place_of(name)


def test_a_folder_that_looks_like_an_id_of_the_hub_is_still_a_folder(tmp_path, monkeypatch):
    shutil.copytree(pretrained.path("dgs30"), tmp_path / "org" / "model")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Folders can be named only"):
        models.place_of("org/model")


def test_folders_open_at_ones_own_machine_or_where_the_owner_allows(tmp_path, monkeypatch):
    folder = shutil.copytree(pretrained.path("dgs30"), tmp_path / "shelf" / "mine")
    monkeypatch.setenv("SIGNLANG_MODEL_FOLDERS", str(tmp_path / "shelf"))
    assert models.place_of(str(folder)) == str(folder.resolve())
    with pytest.raises(ValueError, match="Folders can be named only"):
        models.place_of(str(tmp_path / "shelf" / ".." / "other"))
    monkeypatch.setenv("SIGNLANG_LOCAL_MODELS", "1")
    monkeypatch.delenv("SIGNLANG_MODEL_FOLDERS")
    assert models.place_of(str(folder)) == str(folder.resolve())
    with pytest.raises(FileNotFoundError, match="Model folder not found"):
        models.place_of(str(tmp_path / "none"))


def test_the_owners_own_folder_is_open_to_all(tmp_path, monkeypatch):
    folder = shutil.copytree(pretrained.path("fingerspelling"), tmp_path / "mine")
    monkeypatch.setenv("SIGNLANG_MODEL", str(folder))
    assert len(models.pipeline_of(None, RECOGNITION).model.config.id2label) == 26


@pytest.mark.parametrize("name", ["no model at all", "org/..", "org/mo del", "-x/y", "x" * 300, "x" * 2000])
def test_what_is_no_name_is_said(name):
    with pytest.raises(ValueError, match="model's name; take one of the list"):
        models.place_of(name)


def test_a_model_of_another_task_is_named(settings):
    with pytest.raises(
        ValueError, match="detector is a model for sign-keypoint-detection; this Space needs one for sign-recognition"
    ):
        models.pipeline_of("detector", RECOGNITION)


def test_pipelines_stay_open_and_few(monkeypatch):
    monkeypatch.setattr(models, "KEPT", 1)
    first = models.pipeline_of("dgs30", RECOGNITION)
    assert models.pipeline_of("dgs30", RECOGNITION) is first
    models.pipeline_of("fingerspelling", RECOGNITION)
    assert len(models._open) == 1


def test_the_first_choice_opens_by_itself():
    thread = models.warm(RECOGNITION, after=0.0)
    thread.join(60)
    assert [key[1:] for key in models._open] == [(RECOGNITION,)]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "bert"}, "of kind 'bert', which is none of this library's"),
        ({"model_type": "signlang_evil", "auto_map": {"AutoModel": "org/x--evil.Model"}}, "of kind 'signlang_evil'"),
        ({"model_type": ["signlang_ctc"]}, "none of this library's"),
        ([], "of kind 'None'"),
        ({"model_type": "signlang_internvl"}, "is a video language model"),
    ],
)
def test_only_kinds_of_this_library_are_opened(tmp_path, config, said):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=said):
        hub_models.check_kinds("org/x", tmp_path)


def test_a_member_of_a_composite_is_looked_at_too(tmp_path):
    folder = shutil.copytree(pretrained.path("spelling"), tmp_path / "m")
    hub_models.check_kinds("org/x", folder)
    (folder / "translator" / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="of kind 'gpt2'"):
        hub_models.check_kinds("org/x", folder)


def test_offline_the_hub_is_said_to_be_away():
    with pytest.raises(ValueError, match="org/never cannot be had from the Hub"):
        models.place_of("org/never")


ASK = """
import os, sys
from signlang_hf.demo import models
try:
    pipe = models.pipeline_of({name!r}, "sign-recognition")
    print(len(pipe.model.config.id2label), sorted(os.path.splitext(f)[1] for f in os.listdir(models.place_of({name!r}))))
except ValueError as error:
    print(error)
print("evil ran", os.path.exists("evil"))
"""


def published(hub, name: str, **files: bytes) -> None:
    repo = hub.repos.setdefault(name, Repo("models", False))
    folder = pretrained.path("dgs30")
    content = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} | files
    repo.add("main", "model", content, frozenset())


def test_a_model_on_the_hub_comes_without_its_code(stub_hub, tmp_path):
    """Its settings ask for remote code, and the code would leave a trace: it is neither fetched nor run."""
    config = json.loads((pretrained.path("dgs30") / "config.json").read_text())
    config["auto_map"] = {"AutoModelForVideoClassification": "evil.Model", "AutoConfig": "evil.Config"}
    published(
        stub_hub, "org/signs", **{"config.json": json.dumps(config).encode(), "evil.py": b"open('evil', 'w').close()"}
    )
    done = stub_hub.run(ASK.format(name="org/signs"), tmp_path, SIGNLANG_MODEL="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["30 ['.json', '.json', '.safetensors']", "evil ran False"]
    assert not any("evil.py" in request for request in stub_hub.requests)


def test_a_model_that_is_too_large_is_not_fetched(stub_hub, tmp_path):
    published(stub_hub, "org/signs")
    done = stub_hub.run(ASK.format(name="org/signs"), tmp_path, SIGNLANG_MAX_MODEL_BYTES="1e6")
    assert done.stdout.startswith("org/signs has 2 MB; this Space opens models of up to 1 MB."), done.stderr
    assert not any("model.safetensors" in request and "resolve" in request for request in stub_hub.requests)
