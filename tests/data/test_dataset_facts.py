"""Facts of the published datasets, and the cards that follow from them and from the rows."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

from signlang_hf.data import get_builder, list_datasets, load_dataset, save_dataset
from signlang_hf.data.loading import dataset_facts
from signlang_hf.data.rows import landmark_features, text_features, to_row
from signlang_hf.hub import DatasetCardInfo, dataset_card, save_dataset_card
from signlang_hf.landmarks import LandmarkSequence

PUBLISHED = ("dgs30", "gislr", "include", "include50", "isl30", "karsl502", "mp_data", "wlasl")
SENTENCES = ("boston104", "isl_csltr")
TEXTS = ("aslg_pc12", "csl_daily_text", "phoenix14t_text")


def rows(info, signers=("a", "b")):
    """Two clips as a builder with that info would leave them."""
    clip = LandmarkSequence(np.random.default_rng(0).random((3, 42, 3)), "hands-42", fps=25, size=(640, 480))
    listed = [to_row(clip, id=str(i), signer=signer, label="yes") for i, signer in enumerate(signers)]
    return datasets.Dataset.from_list(listed, features=info.features, info=info)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_card_follows_from_builder_and_rows(name):
    facts = get_builder(name).FACTS
    info = facts.info(landmark_features("hands-42", label_names=["no", "yes"]))
    info.builder_name = name
    dataset = datasets.DatasetDict(train=rows(info), test=rows(info, ("c",)))
    card = str(dataset_card(DatasetCardInfo.from_dataset(dataset, repo_id="org/name")))
    assert f"license: {facts.licence}" in card and f"# {facts.title}" in card
    assert facts.homepage in card and facts.split_rule in card and facts.processing in card
    assert "| train | 2 |" in card and "| test | 1 |" in card and "| Signers | 3 |" in card
    assert "`landmarks` |" in card and 'load_dataset("org/name")' in card and "`hands-42`" in card
    for text in (*facts.limits, *facts.anchors, facts.citation):
        assert text in card


@pytest.mark.parametrize("name", SENTENCES + TEXTS)
def test_a_card_of_sentences_says_so(name):
    facts = get_builder(name).FACTS
    info = facts.info(text_features() if name in TEXTS else landmark_features("hands-42", glosses=True, text=True))
    info.builder_name = name
    clip = LandmarkSequence(np.random.default_rng(0).random((3, 42, 3)), "hands-42", fps=25, size=(640, 480))
    row = {"id": "1", "signer": "a", "glosses": ["YES"], "text": "yes"}
    row = row if name in TEXTS else to_row(clip, **row)
    dataset = datasets.Dataset.from_list([row], features=info.features, info=info)
    card = str(dataset_card(DatasetCardInfo.from_dataset(datasets.DatasetDict(train=dataset), repo_id="org/name")))
    assert f"license: {facts.licence}" in card and f"# {facts.title}" in card and facts.split_rule in card
    assert (
        "- translation" in card and "video-classification" not in card and "`glosses` | the signs of a sentence" in card
    )
    assert ("automatic-speech-recognition" in card) == (name not in TEXTS)
    assert ("| Sentences | 1 |" if name in TEXTS else "| Clips | 1 |") in card
    assert ("Landmarks are made from recordings" in card) == (name not in TEXTS)
    for text in (*facts.limits, *facts.anchors, facts.citation):
        assert text in card


def test_every_published_dataset_states_its_facts():
    """A dataset of one's own states none, and has none to state."""
    stated = {name for name in list_datasets() if dataset_facts(name) is not None}
    published = {*PUBLISHED, *SENTENCES, *TEXTS}
    assert published <= stated and not stated & {"landmark_folder", "landmark_sentences", "sign_videos", "video_folder"}
    for name in published:
        facts = dataset_facts(name)
        assert facts.title and facts.summary and facts.licence and facts.split_rule and facts.processing
        assert facts.homepage.startswith("https://")


def test_facts_given_by_name_win_and_are_needed_where_nobody_states_them(landmark_folder, cache_folder, tmp_path):
    splits = load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    with pytest.raises(ValueError, match="Nothing states the dataset's name and licence; give name="):
        DatasetCardInfo.from_dataset(splits)
    info = DatasetCardInfo.from_dataset(splits, name="Mine", licence="mit", signers=7)
    assert (info.splits, info.signers, info.layout) == ({"train": 9, "test": 3}, 7, "hands-42")
    assert list(info.labels) == ["hello", "house", "thanks"]
    (tmp_path / "card").mkdir()
    text = save_dataset_card(tmp_path / "card", info).read_text()
    assert "# Mine" in text and "license: mit" in text


def test_a_single_split_has_a_card_too(landmark_folder, cache_folder):
    split = load_dataset("landmark_folder", landmark_folder, split="test", cache_dir=cache_folder)
    info = DatasetCardInfo.from_dataset(split, name="Mine", licence="mit")
    assert info.splits == {"test": 3} and info.signers == 1


def test_licence_and_citation_travel_with_saved_parquet(tmp_path):
    facts = get_builder("include50").FACTS
    info = facts.info(landmark_features("hands-42", label_names=["no", "yes"]))
    text = (save_dataset(rows(info), tmp_path / "saved") / "README.md").read_text()
    assert "license: cc-by-4.0" in text and facts.summary in text and facts.citation in text and facts.homepage in text
    text = (save_dataset(rows(info), tmp_path / "other", license="mit") / "README.md").read_text()
    assert "license: mit" in text


def test_a_card_of_videos_with_prompts_says_so(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "train.jsonl").write_text('{"gloss": "book", "video_path": "a.mp4"}')
    dataset = load_dataset("sign_videos", tmp_path, cache_dir=tmp_path / "cache")
    card = str(dataset_card(DatasetCardInfo.from_dataset(dataset, name="Mine", licence="c-uda")))
    assert "| Clips | 1 |" in card and "`prompt` | what a model is asked" in card and "- video-classification" in card
