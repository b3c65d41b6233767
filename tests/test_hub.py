"""Cards, and the way to the Hub and back, against a stub Hub on loopback."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from stub_hub import USER, serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here

from signlang_hf.hub import (
    CardInfo,
    DatasetCardInfo,
    TrainingData,
    dataset_card,
    model_card,
    push_to_hub,
    save_dataset_card,
    save_model_card,
)
from signlang_hf.training.results import ResultRow

ROW = ResultRow("demo", "test", "top1", 0.6321, 410, "make demo", spread=0.08, benchmark="fingerspelling-lolo")
INFO = CardInfo(
    "demo",
    repo_id="org/demo",
    labels=["A", "B", "C"],
    sign_languages=["ase", "gsg"],
    datasets=[TrainingData("Letters", "MIT", "https://example.org", "org/letters", "Real letters.")],
    preprocessing={"layout": "hands-42", "features": ["position"]},
    training={"learning_rate": 3e-4},
    command="accelerate launch recipes/train_isolated.py",
    results=[ROW, replace(ROW, metric="macro_f1", value=0.6)],
    baselines=[replace(ROW, model="1-nearest-neighbour", value=0.503)],
    limits=["Letters only."],
)


def front_matter(text: str) -> dict:
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> Path:
    """A complete folder: a tiny stock model, a processor and a card."""
    from transformers import BertConfig, BertForSequenceClassification, Wav2Vec2FeatureExtractor

    folder = tmp_path_factory.mktemp("saved") / "tiny"
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=8, id2label={i: f"SIGN-{i}" for i in range(12)},
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(feature_size=7, sampling_rate=25).save_pretrained(folder)
    save_model_card(folder, auto_class="AutoModelForSequenceClassification")
    return folder


def test_model_card_has_a_valid_model_index_of_its_own_results():
    card = model_card(INFO)
    results = {result.metric_type: result for result in card.data.eval_results}
    assert set(results) == {"accuracy", "f1"}
    assert results["accuracy"].metric_value == 0.6321
    assert results["accuracy"].dataset_name == "fingerspelling-lolo"
    assert results["accuracy"].dataset_split == "test"
    head = front_matter(str(card))
    assert head["model-index"][0]["name"] == "demo"
    assert head["license"] == "apache-2.0"
    assert head["language"] == ["ase", "gsg"]
    assert head["datasets"] == ["org/letters"]
    assert head["pipeline_tag"] == "video-classification"


def test_model_card_tells_what_a_reader_must_know():
    text = str(model_card(INFO))
    for said in (
        "3 labels: A, B, C.",
        "| `layout` | `hands-42` |",
        "**[Letters](https://example.org)**, licence: MIT. Real letters.",
        "| demo | test | top1 | 63.2 % ± 8.0 | 410 |",
        "| 1-nearest-neighbour | test | top1 | 50.3 %",
        "Measured with `make demo`",
        'pipeline("sign-recognition", model="org/demo")',
        "AutoModelForVideoClassification.from_pretrained(",
        "import signlang_hf",
        "trust_remote_code=True",
        "It is no interpreter.",
        "* Letters only.",
        "accelerate launch recipes/train_isolated.py",
        "@software{signlang_hf",
    ):
        assert said in text
    assert "\n\n\n" not in text


def test_speeds_stay_out_of_the_model_index_but_in_the_table():
    speed = replace(ROW, metric="clip_ms", value=4.7, against="PyTorch", ratio=2.0)
    card = model_card(replace(INFO, results=[speed], baselines=[]))
    assert card.data.eval_results is None
    assert "4.70 ms" in str(card)


def test_bare_card_says_what_is_not_known_instead_of_leaving_holes():
    text = str(model_card(CardInfo("bare")))
    assert "Not measured." in text
    assert "Not stated." in text
    assert "model-index" not in text
    assert "None" not in text
    assert "\n\n\n" not in text


def test_python_examples_on_the_card_compile():
    blocks = str(model_card(INFO)).split("```python\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        compile(block.split("```")[0], "card", "exec")


def test_many_labels_are_cut_on_the_card():
    text = str(model_card(replace(INFO, labels=[f"SIGN-{i}" for i in range(150)])))
    assert "150 labels, of which the first 100 are: SIGN-0," in text
    assert "SIGN-99." in text
    assert "SIGN-100" not in text


def test_dataset_card():
    info = DatasetCardInfo(
        "Letters", "mit", repo_id="org/letters", splits={"train": 1200, "test": 34}, labels=["A"], signers=16,
        columns={"id": "file name"}, layout="hands-42", split_rule="No signer is in two splits.", limits=["Few."],
        source="Lexicon", source_url="https://example.org", citation="@misc{letters}", processing="MediaPipe.",
    )  # fmt: skip
    text = str(dataset_card(info))
    head = front_matter(text)
    assert head["size_categories"] == "1K<n<10K"
    assert head["license"] == "mit"
    for said in (
        "| train | 1,200 |",
        "No signer is in two splits.",
        "| `id` | file name |",
        "* Few.",
        "@misc{letters}",
    ):
        assert said in text
    assert "\n\n\n" not in text
    bare = str(dataset_card(DatasetCardInfo("Letters", "mit")))
    assert "do not assume" in bare
    assert "None" not in bare


def test_saved_dataset_card_can_be_loaded(tmp_path):
    from huggingface_hub import DatasetCard

    path = save_dataset_card(tmp_path, DatasetCardInfo("Letters", "mit", splits={"train": 3}))
    assert path == tmp_path / "README.md"
    assert DatasetCard.load(path).data.pretty_name == "Letters"


def test_card_reads_the_facts_of_a_saved_model(saved_model):
    info = CardInfo.from_folder(saved_model, task="sign-recognition", summary="Tiny.")
    assert info.labels == [f"SIGN-{i}" for i in range(12)]  # by number, not by name
    assert info.architecture == "BertForSequenceClassification"
    assert info.preprocessing["sampling_rate"] == 25
    assert not any(name.endswith("_type") for name in info.preprocessing)
    assert info.summary == "Tiny."
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(saved_model)
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_card_takes_the_auto_class_from_the_auto_map(tmp_path):
    auto_map = {"AutoConfig": "c.C", "AutoModel": "m.M", "AutoModelForCTC": "m.F"}
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": auto_map}))
    info = CardInfo.from_folder(tmp_path)
    assert info.auto_class == "AutoModelForCTC"
    assert info.labels == []
    assert info.parameters is None


def test_cards_need_a_folder_and_one_source_of_facts(tmp_path):
    with pytest.raises(FileNotFoundError, match="not found"):
        save_model_card(tmp_path / "nowhere", INFO)
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        save_model_card(tmp_path)
    with pytest.raises(ValueError, match="not both"):
        save_model_card(tmp_path, INFO, summary="x")


def test_incomplete_folders_are_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(FileNotFoundError, match="not found"):
        push_to_hub(tmp_path / "nowhere", "org/x")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"lacks weights.* and a processor .* and a card"):
        push_to_hub(tmp_path, "org/x")


def test_offline_mode_is_said_in_one_sentence(saved_model):
    with pytest.raises(ConnectionError, match=r"offline mode; unset HF_HUB_OFFLINE\."):
        push_to_hub(saved_model, "org/x")


def test_push_and_load_back(stub_hub, saved_model, tmp_path):
    leftovers = (
        "training_args.bin",
        "checkpoint-5/model.safetensors",
        ".hidden",
        "runs/events",
        "half.tmp",
        "predictions.npz",
    )
    for name in leftovers:
        (saved_model / name).parent.mkdir(exist_ok=True)
        (saved_model / name).write_bytes(b"x")
    code = f"""
        import torch
        from signlang_hf.hub import push_to_hub
        from transformers import AutoFeatureExtractor, AutoModelForSequenceClassification
        from huggingface_hub import ModelCard
        folder = {str(saved_model)!r}
        print(push_to_hub(folder, "org/tiny", commit_message="First"))
        local = AutoModelForSequenceClassification.from_pretrained(folder)
        remote = AutoModelForSequenceClassification.from_pretrained("org/tiny")
        for name, value in local.state_dict().items():
            assert torch.equal(remote.state_dict()[name], value), name
        assert remote.config.id2label[11] == "SIGN-11"
        assert AutoFeatureExtractor.from_pretrained("org/tiny").feature_size == 7
        assert ModelCard.load("org/tiny").data.library_name == "transformers"

        # a branch of its own, loaded by its name; main stays
        local.classifier.bias.data.fill_(0.5)
        local.save_pretrained(folder)
        print(push_to_hub(folder, "org/tiny", revision="v2", commit_message="Second"))
        def bias(**kw):
            return AutoModelForSequenceClassification.from_pretrained("org/tiny", **kw).classifier.bias[0].item()
        assert bias(revision="v2") == 0.5 and bias() != 0.5
        for repo, kwargs, said in (
            ("org/tiny", {{"revision": "v9"}}, "v9"),
            ("org/none", {{}}, "org/none is not"),
        ):
            try:
                AutoModelForSequenceClassification.from_pretrained(repo, **kwargs)
            except OSError as error:
                assert said in str(error), error
            else:
                raise AssertionError(repo)
        try:
            AutoModelForSequenceClassification.from_pretrained("org/tiny", token="hf_wrong", cache_dir="empty")
        except OSError as error:
            assert "Invalid credentials" in str(error)
        else:
            raise AssertionError("a wrong token was accepted")
    """
    done = stub_hub.run(textwrap.dedent(code), tmp_path)
    assert done.returncode == 0, done.stderr
    repo = stub_hub.repos["org/tiny"]
    assert [commit.title for commit in repo.log("v2")] == ["Second", "First", "initial commit"]
    assert [commit.title for commit in repo.log()] == ["First", "initial commit"]
    first, second = (repo.branches[branch] for branch in ("main", "v2"))
    assert done.stdout.split() == [f"{stub_hub.endpoint}/org/tiny/commit/{oid}" for oid in (first, second)]
    assert {"config.json", "model.safetensors", "README.md"} < set(repo.files())
    assert not set(leftovers) & set(repo.files("v2"))
    assert repo.at("main").lfs == {"model.safetensors"}
    assert 'model="org/tiny"' in repo.files()["README.md"].decode()  # not the folder that it was saved in


def test_what_can_go_wrong_on_the_way_is_said_in_one_sentence(stub_hub, saved_model, tmp_path):
    code = f"""
        from huggingface_hub import create_repo
        from signlang_hf.hub import push_to_hub
        create_repo("org/public")
        for repo, kwargs in (
            ("org/x", {{"token": "hf_wrong"}}), ("somebody/x", {{}}), ("org/public", {{"private": True}}),
            ("not/a/name", {{}}), ("org/public", {{"revision": "a..b"}}),
        ):
            try:
                push_to_hub({str(saved_model)!r}, repo, **kwargs)
            except Exception as error:
                print(type(error).__name__, error)
        print(push_to_hub({str(saved_model)!r}, "mine", private=True))
    """
    done = stub_hub.run(textwrap.dedent(code), tmp_path)
    assert done.returncode == 0, done.stderr
    wrong, forbidden, public, name, branch, url = done.stdout.splitlines()
    assert wrong == "PermissionError The Hub does not accept this token; run 'hf auth login' or pass another."
    assert forbidden.startswith("PermissionError Pushing")
    assert forbidden.endswith("to somebody/x failed: the token has no right to write there.")
    assert public.startswith("ValueError org/public exists and is public;")
    assert name.startswith("HFValidationError")
    assert "not/a/name" in name
    assert branch.endswith("to org/public failed: the Hub answered 400, Invalid reference name a..b.")
    assert f"/{USER}/mine/commit/" in url
    assert stub_hub.repos[f"{USER}/mine"].private
    assert set(stub_hub.repos) == {"org/public", f"{USER}/mine"}


def test_no_token_and_no_hub_are_told_apart(stub_hub, saved_model, tmp_path):
    code = f"from signlang_hf.hub import push_to_hub; push_to_hub({str(saved_model)!r}, 'org/x')"
    done = stub_hub.run(code, tmp_path, HF_TOKEN="")
    assert "PermissionError: Pushing needs a Hub token" in done.stderr.splitlines()[-1]
    assert stub_hub.requests == []
    done = stub_hub.run(code, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.stderr.splitlines()[-1].startswith("ConnectionError: http://127.0.0.1:9 did not answer:")


def test_the_stub_speaks_the_rest_of_the_hubs_language(stub_hub, tmp_path):
    """What Trainer, datasets and the hf command need beyond a plain push."""
    code = """
        from huggingface_hub import HfApi, hf_hub_download, snapshot_download
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
        from datasets import Dataset, load_dataset
        api = HfApi()
        assert api.whoami()["name"] == "tester"
        api.create_repo("org/kit", private=True)
        api.upload_file(path_or_fileobj=b"one", path_in_repo="a/b/one.txt", repo_id="org/kit")
        api.create_tag("org/kit", tag="v1")
        commit = api.upload_file(path_or_fileobj=b"two", path_in_repo="a/b/one.txt", repo_id="org/kit")
        api.delete_file("a/b/one.txt", "org/kit")
        read = lambda **kw: open(hf_hub_download("org/kit", "a/b/one.txt", **kw)).read()
        assert (read(revision="v1"), read(revision=commit.oid)) == ("one", "two")
        tree = {entry.path for entry in api.list_repo_tree("org/kit", revision="v1", recursive=True)}
        assert tree == {".gitattributes", "a", "a/b", "a/b/one.txt"}, tree
        assert [entry.path for entry in api.list_repo_tree("org/kit", revision="v1")] == [".gitattributes", "a"]
        assert api.get_paths_info("org/kit", ["a/b/one.txt"], revision="v1")[0].size == 3
        assert [ref.name for ref in api.list_repo_refs("org/kit").tags] == ["v1"]
        assert len(api.list_repo_commits("org/kit")) == 4
        for error, call in (
            (EntryNotFoundError, lambda: read()),
            (RevisionNotFoundError, lambda: read(revision="v7")),
            (RepositoryNotFoundError, lambda: hf_hub_download("org/nothing", "x")),
            (RepositoryNotFoundError, lambda: HfApi(token=False).model_info("org/kit")),
        ):
            try:
                call()
            except error:
                continue
            raise AssertionError(error)
        assert open(snapshot_download("org/kit", revision="v1") + "/a/b/one.txt").read() == "one"
        Dataset.from_dict({"label": [0, 1]}).push_to_hub("org/data")
        assert load_dataset("org/data", split="train")["label"][:] == [0, 1]
        api.delete_repo("org/kit")
        assert not api.repo_exists("org/kit")
    """
    done = stub_hub.run(textwrap.dedent(code), tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(stub_hub.repos) == {"datasets/org/data"}
