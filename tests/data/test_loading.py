"""``load_dataset``: names, registration, and what is handed on to ``datasets``."""

from __future__ import annotations

import datasets
import pytest

from signlang_hf.data import get_builder, list_datasets, load_dataset, loading, register_dataset, save_dataset


@pytest.fixture
def registry(monkeypatch):
    """A copy of the registry, so that a test's dataset does not stay."""
    monkeypatch.setattr(loading, "_REGISTRY", dict(loading._REGISTRY))


class Numbers(datasets.GeneratorBasedBuilder):
    """A user's own builder."""

    VERSION = datasets.Version("1.0.0")

    def _info(self):
        return datasets.DatasetInfo(features=datasets.Features({"n": datasets.Value("int32")}))

    def _split_generators(self, dl_manager):
        return [datasets.SplitGenerator("train", gen_kwargs={"numbers": [1, 2, 3, 4]})]

    def _generate_examples(self, numbers):
        for number in numbers:
            yield number, {"n": number}


def test_every_listed_dataset_has_a_builder_in_a_module_of_its_own():
    builders = [get_builder(name) for name in list_datasets()]
    assert {"fingerspelling", "landmark_folder", "video_folder"} <= set(list_datasets())
    assert all(issubclass(builder, datasets.DatasetBuilder) for builder in builders)
    assert len({builder.__module__ for builder in builders}) == len(builders)


def test_a_registered_builder_loads_by_name(registry, cache_folder):
    register_dataset("numbers", Numbers)
    register_dataset("numbers", Numbers)
    assert "numbers" in list_datasets()
    assert list(load_dataset("numbers", split="train[:50%]", cache_dir=cache_folder)["n"]) == [1, 2]
    assert [row["n"] for row in load_dataset("numbers", split="train", streaming=True, cache_dir=cache_folder)] == [
        1,
        2,
        3,
        4,
    ]
    assert isinstance(load_dataset("numbers", cache_dir=cache_folder), datasets.DatasetDict)


def test_a_name_is_taken_once_and_is_a_name(registry):
    with pytest.raises(ValueError, match="'fingerspelling' is already registered"):
        register_dataset("fingerspelling", Numbers)
    with pytest.raises(ValueError, match="'org/numbers' cannot name a dataset"):
        register_dataset("org/numbers", Numbers)


@pytest.mark.parametrize("name", ["fingerspeling", "./nowhere", "/nowhere/at/all"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(
        ValueError, match=r"Unknown dataset .*known are .*fingerspelling, .*landmark_folder, .*video_folder"
    ) as info:
        load_dataset(name)
    assert str(info.value).count("\n") == 0


def test_an_unknown_configuration_or_split_is_named(registry, cache_folder):
    pytest.importorskip("spoken_to_signed")
    with pytest.raises(ValueError, match="no configuration 'half'; it has holdout, all"):
        load_dataset("fingerspelling", config_name="half")
    register_dataset("numbers", Numbers)
    with pytest.raises(ValueError, match="no option config_name"):
        load_dataset("numbers", config_name="half")
    with pytest.raises(ValueError, match=r'Unknown split "test"\. Should be one of \[\'train\'\]'):
        load_dataset("numbers", split="test", cache_dir=cache_folder)


def test_a_folder_of_parquet_is_loaded(make_dataset, tmp_path, cache_folder):
    folder = save_dataset(make_dataset([("a", "x"), ("b", "y")]), tmp_path / "saved")
    assert len(load_dataset(folder, split="train", cache_dir=cache_folder)) == 2
    assert len(list(load_dataset(str(folder), split="train", streaming=True, num_proc=2))) == 2


def test_a_folder_of_something_else_says_how_to_load_it(landmark_folder, tmp_path):
    with pytest.raises(ValueError, match=r"use load_dataset\('landmark_folder', data_dir="):
        load_dataset(landmark_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds neither Parquet files .* nor a metadata\.csv"):
        load_dataset(tmp_path / "empty")


def test_a_hub_id_falls_through_to_datasets(monkeypatch):
    calls = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: calls.append((args, kwargs)))
    load_dataset("org/name", split="train", config_name="small", revision="v1")
    assert calls == [
        (
            ("org/name", "small"),
            {
                "data_dir": None,
                "split": "train",
                "streaming": False,
                "num_proc": None,
                "cache_dir": None,
                "revision": "v1",
            },
        )
    ]
