"""ISL-CSLTR: films and tables become sentences, split in three ways; what the card says of the public tables holds."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from cheap_pose import CheapEstimator, tiny_frames

from signlang_hf.data import LeakError, check_sentence_leaks, find_sentence_leaks, load_dataset, to_sequence
from signlang_hf.data.rows import landmark_features, text_features
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.video import write_video

TABLE = """folder_name,gloss,sentence,split
are you free today,YOU FREE TODAY,are you free today,train
this place is beautiful,THIS PLACE BEAUTIFUL,This place is beautiful.,val
"wait, i come","WAIT, I COME","wait, i come",test
"""
VIDEOS = """sentence,video,gloss,signer,published_split
are you free today,Corpus/Videos/are you free today/free (1).MP4,FREE YOU TODAY,6,train
are you free today,Corpus/Videos/are you free today/free (2).MP4,FREE YOU TODAY,5,test
are you free today,Corpus/Videos/are you free today/free (2).MP4,FREE YOU TODAY,4,train
this place is beautiful,Corpus/Videos/This place is beautiful/a.MP4,THIS PLACE BEAUTIFUL,4,val
"wait, i come","Corpus/Videos/wait, i come/a.MP4",WAIT I COME,5,test
"""
FILMS = ("are you free today/free (1)", "are you free today/free (2)", "This place is beautiful/a", "wait, i come/a")


def landmarks(seed):
    data = np.random.default_rng(seed).random((6, 75, 3)).astype("f4")
    return LandmarkSequence(data, "mediapipe-holistic", fps=25, size=(640, 480))


@pytest.fixture
def tables(tmp_path):
    folder = tmp_path / "ISL"
    folder.mkdir()
    (folder / "glosses.csv").write_text(TABLE)
    (folder / "videos.csv").write_text(VIDEOS)
    return folder


@pytest.fixture
def films(tables):
    for seed, name in enumerate(FILMS):
        landmarks(seed).save(tables / "Corpus" / "Videos" / f"{name}.npz")
    return tables


def by_split(splits):
    return {name: split["id"][:] for name, split in splits.items()}


def test_films_become_sentence_disjoint_rows(films, cache_folder):
    splits = load_dataset("isl_csltr", films, cache_dir=cache_folder)
    assert by_split(splits) == {"train": list(FILMS[:2]), "validation": [FILMS[2]], "test": [FILMS[3]]}
    assert splits["train"].features == landmark_features("mediapipe-holistic", glosses=True, text=True)
    row = splits["train"][0]
    assert (row["glosses"], row["text"], row["signer"]) == (["YOU", "FREE", "TODAY"], "are you free today", "6")
    np.testing.assert_array_equal(to_sequence(row).data, landmarks(0).data)
    assert splits["train"][1]["signer"] is None, "two signers share the name"
    assert splits["test"][0]["glosses"] == ["WAIT", "I", "COME"], "punctuation is no part of a gloss"
    assert find_sentence_leaks(splits) == []


def test_signer_disjoint_leaves_out_whom_nobody_knows(films, cache_folder, caplog):
    options = {
        "splits": "signer-disjoint",
        "test_signers": ["6"],
        "validation_signers": ["5"],
        "cache_dir": cache_folder,
    }
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        splits = load_dataset("isl_csltr", films, **options)
    assert by_split(splits) == {"train": [FILMS[2]], "validation": [FILMS[3]], "test": [FILMS[0]]}
    assert "the signer of 1 of 4 films is not certain" in caplog.text


def test_the_published_split_is_read_as_it_is_and_leaks(films, cache_folder, caplog):
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        splits = load_dataset("isl_csltr", films, config_name="published", cache_dir=cache_folder)
    assert by_split(splits) == {
        "train": [FILMS[0], f"{FILMS[1]}#2"], "validation": [FILMS[2]], "test": [FILMS[1], FILMS[3]],
    }  # fmt: skip
    assert splits["train"][0]["glosses"] == ["FREE", "YOU", "TODAY"] and splits["train"]["signer"][:] == ["6", "4"]
    assert "the published split shares sentences" in caplog.text
    with pytest.raises(LeakError, match="are you free today"):
        check_sentence_leaks(splits)


@pytest.mark.parametrize("name", ["sentence-disjoint", "signer-disjoint", "published"])
def test_tables_alone_give_rows_of_text(name, tables, cache_folder):
    splits = load_dataset("isl_csltr", tables, text_only=True, config_name=name, cache_dir=cache_folder)
    assert splits["train"].features == text_features()
    ids = by_split(splits)
    assert ids == {
        "sentence-disjoint": {
            "train": ["are you free today"], "validation": ["this place is beautiful"], "test": ["wait, i come"],
        },
        "signer-disjoint": {
            "train": [f"{FILMS[1]}#2", FILMS[2]], "validation": [FILMS[1], FILMS[3]], "test": [FILMS[0]],
        },
        "published": {
            "train": [FILMS[0], f"{FILMS[1]}#2"], "validation": [FILMS[2]], "test": [FILMS[1], FILMS[3]],
        },
    }[name]  # fmt: skip
    first = "FREE YOU TODAY" if name == "published" else "YOU FREE TODAY"
    rows = [row for split in splits.values() for row in split if row["text"] == "are you free today"]
    assert {" ".join(row["glosses"]) for row in rows} == {first}


def test_without_a_list_a_seed_draws_the_split(tables, cache_folder):
    rows = "\n".join(f"s {i},A{i} B,sentence {i}" for i in range(20))
    (tables / "glosses.csv").write_text(f"folder_name,gloss,sentence\n{rows}\n")
    draws = [load_dataset("isl_csltr", tables, text_only=True, seed=seed, cache_dir=cache_folder) for seed in (0, 0, 1)]
    assert {name: len(split) for name, split in draws[0].items()} == {"train": 16, "validation": 2, "test": 2}
    assert by_split(draws[0]) == by_split(draws[1]) != by_split(draws[2])


def test_videos_are_extracted_and_unknown_folders_refused(tables, cache_folder):
    pytest.importorskip("av", reason="PyAV writes the test videos")
    film = tables / "Videos" / "Are you free  today" / "free (1).mp4"
    film.parent.mkdir(parents=True)
    write_video(film, tiny_frames(seed=1), fps=25)
    options = {"cache_dir": cache_folder, "estimator": CheapEstimator()}
    splits = load_dataset("isl_csltr", tables, **options)
    assert list(splits) == ["train"] and splits["train"][0]["text"] == "are you free today"
    assert options["estimator"].clips == 1 and splits["train"][0]["signer"] == "6"
    film.parent.rename(tables / "Videos" / "who is that")
    landmarks(0).save(tables / "wait, i come" / "a.npz")
    with pytest.raises(
        ValueError, match=r"1 folders of films are in no row of glosses\.csv, the first is 'Videos/who is"
    ):
        load_dataset("isl_csltr", tables, **options)
    assert by_split(load_dataset("isl_csltr", tables, on_error="skip", **options)) == {"test": ["wait, i come/a"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("glosses.csv", TABLE.replace(",YOU FREE TODAY", ","), r"row 2, glosses\.csv: the row has no glosses"),
        ("glosses.csv", TABLE.replace("TODAY,are you free today", "TODAY,"), r"row 2, glosses\.csv: the row has no text"),
        ("glosses.csv", TABLE.replace(",", ";"), r"glosses\.csv, line 1, column 12: the columns are separated by semic"),
        ("glosses.csv", TABLE.replace("TODAY", "TODÄY").encode("latin-1"), r"glosses\.csv, line 2, column 32: the byte 0xc4"),
        ("glosses.csv", TABLE + "Are you free today,X,y,train\n", r"row 5, .* stands in line 2 of glosses\.csv, too"),
        ("videos.csv", VIDEOS.replace("signer", "who"), r"videos\.csv, line 1: the column signer is missing"),
    ],
)  # fmt: skip
def test_a_faulty_table_is_named(name, content, message, tables, cache_folder):
    (tables / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        load_dataset("isl_csltr", tables, text_only=True, cache_dir=cache_folder)


def test_what_cannot_be_done_is_said(tables, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no film of its 3 sentences; .* With text_only=True the tables are enough"
    ):
        load_dataset("isl_csltr", tables)
    for options, message in (
        ({"splits": "random"}, "splits is 'random'; choose one of sentence-disjoint"),
        ({"splits": "signer-disjoint", "test_signers": ["9"]}, "Nothing is signed by 9 .* known are 4, 5, 6"),
        ({"splits": "signer-disjoint", "validation_signers": ["4", "5"]}, "must leave a signer to train on"),
    ):
        with pytest.raises(ValueError, match=message):
            load_dataset("isl_csltr", tables, text_only=True, **options)
    (tables / "videos.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no videos\.csv, which the published split is made from"):
        load_dataset("isl_csltr", tables, text_only=True, splits="published")
    (tables / "glosses.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no table of glosses; it should hold glosses\.csv"):
        load_dataset("isl_csltr", tables)


def test_the_public_tables_are_what_the_card_says(signlang_data, cache_folder):
    folder = signlang_data / "isl-csltr"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder}")

    def load(name):
        return load_dataset("isl_csltr", folder, text_only=True, config_name=name, cache_dir=cache_folder)

    disjoint, signers, published = map(load, ("sentence-disjoint", "signer-disjoint", "published"))
    assert [len(split) for split in disjoint.values()] == [80, 10, 11] and find_sentence_leaks(disjoint) == []
    assert [len(split) for split in published.values()] == [500, 100, 100]
    leaks = [leak.splits for leak in find_sentence_leaks(published)]
    assert leaks.count(("train", "validation")) == 61 and leaks.count(("train", "test")) == 56
    people = {name: set(split["signer"]) for name, split in signers.items()}
    assert people == {"train": {"0", "1", "2", "3", "4"}, "validation": {"5"}, "test": {"6"}}
    assert not {
        gloss
        for split in disjoint.values()
        for row in split["glosses"]
        for gloss in row
        if gloss.strip(".,()") != gloss
    }


def test_a_real_film_becomes_a_row(clips, signlang_data, tmp_path, cache_folder):
    film = clips / "isl_are_you_free_today.mp4"
    if not film.is_file():
        pytest.skip(f"real data not found: {film}")
    folder = tmp_path / "isl"
    (folder / "are you free today").mkdir(parents=True)
    (folder / "are you free today" / "free.mp4").write_bytes(film.read_bytes())
    (folder / "glosses.csv").write_text(
        "folder_name,gloss,sentence\nare you free today,YOU FREE TODAY,are you free today\n"
        + "".join(f"{i},A{i},{i}\n" for i in range(9))
    )
    splits = load_dataset("isl_csltr", folder, cache_dir=cache_folder, estimator=CheapEstimator(), fps=5.0)
    (split,) = splits.values()
    assert split[0]["glosses"] == ["YOU", "FREE", "TODAY"] and len(to_sequence(split[0])) > 5
