"""What importing and installing the package brings along, and what it must not."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tiny_model import bundle_tiny_model

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "mediapipe", "decord", "av", "cv2", "datasets", "sklearn", "matplotlib", "xgboost", "trl", "peft", "gradio", "ray",
    "optimum", "onnx", "onnxruntime", "bitsandbytes", "accelerate", "evaluate", "tensorboard", "pandas", "PIL", "scipy",
    "pose_format", "spoken_to_signed", "jax", "torchvision", "typer", "rich",
}  # fmt: skip


def python(code: str, *, path: Path = ROOT, cwd: Path | None = None) -> str:
    env = os.environ | {"PYTHONPATH": str(path), "HF_HUB_OFFLINE": "1"}
    if path != ROOT:  # coverage is about the sources, not about their installed copy
        env = {name: value for name, value in env.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after ``code`` and were not at Python's start."""
    listing = "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    return set(python(f"import sys; before = set(sys.modules)\n{code}\n{listing}").split())


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines() if not line.strip().startswith("#")]


def extras(config: configparser.ConfigParser) -> dict[str, str]:
    return dict(config["options.extras_require"])


def pins(name: str) -> dict[str, str]:
    """Package → version of a constraints file, on current Pythons."""
    entries = [line for line in lines((ROOT / name).read_text()) if "< '3.11'" not in line]
    return dict(re.match(r"([\w.-]+)==([\w.]+)", entry).groups() for entry in entries)


def test_import_touches_no_heavy_package():
    loaded = loaded_by("import signlang_hf")
    assert "signlang_hf" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("room", ["landmarks", "video", "pose"])
def test_rooms_of_landmarks_need_neither_torch_nor_transformers(room):
    assert loaded_by(f"import signlang_hf.{room}") & (HEAVY | {"torch", "transformers"}) == set()


def test_version_is_a_literal_that_the_build_can_read(setup):
    assert setup["metadata"]["version"] == "attr: signlang_hf.__version__"
    tree = ast.parse((ROOT / "signlang_hf" / "__init__.py").read_text(encoding="utf-8"))
    (version,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_every_package_is_listed_for_the_build(setup):
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "signlang_hf").rglob("*.py")}
    assert sorted(lines(setup["options"]["packages"])) == sorted(
        {".".join(folder.parts) for folder in folders} | {"signlang_hf.hub_cards", "signlang_hf.spaces"}
    ), "keep [options] packages in setup.cfg in step with the folders of signlang_hf"


def test_install_messages_name_extras_that_exist(setup):
    named = set()
    for path in [path for folder in ("signlang_hf", "recipes", "spaces") for path in (ROOT / folder).rglob("*.py")]:
        for group in re.findall(r"signlang-hf\[([\w,]+)\]", path.read_text(encoding="utf-8")):
            named |= set(group.split(","))
    assert {"pose", "train"} <= named
    assert named - {"extra"} <= set(extras(setup))


OWN_ENVIRONMENT = {"blender"}  # bpy holds numpy below 2, which the others are pinned above


@pytest.mark.parametrize(("name", "left_out"), [("constraints.txt", set()), ("constraints-v5.txt", {"optimum"})])
def test_constraints_pin_every_requirement(setup, name, left_out):
    groups = {extra: text for extra, text in extras(setup).items() if extra not in ("all", *OWN_ENVIRONMENT)}
    wanted = {
        re.match(r"[\w-]+", line).group().lower().replace("_", "-")
        for text in (setup["options"]["install_requires"], *groups.values())
        for line in lines(text)
    }
    assert wanted - set(pins(name)) == left_out
    assert lines(extras(setup)["all"]) == ["signlang-hf[" + ",".join(sorted(set(groups) - {"dev"})) + "]"]


def test_the_two_constraints_files_are_the_two_generations():
    assert pins("constraints.txt")["transformers"].startswith("4.57.")
    assert pins("constraints-v5.txt")["transformers"].startswith("5.")
    for name in ("constraints.txt", "constraints-v5.txt"):
        assert not re.search(r"https?://|--index|--find-links|file:", (ROOT / name).read_text())


def test_pre_commit_uses_the_ruff_of_the_constraints():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"ruff==([\d.]+)", hooks)) == {pins("constraints.txt")["ruff"]}
    assert pins("constraints.txt")["ruff"] == pins("constraints-v5.txt")["ruff"]


def test_workflow_and_ci_script_call_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    assert {"setup", "demo", "test", "test-v5", "lint", "format", "cards", "docs", "clean", "help"} <= targets
    called = re.findall(r"^make ([\w-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert called == ["lint", "test", "test-v5", "docs"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert {"lint", "docs", "demo"} <= set(re.findall(r"make ([\w-]+)", workflow)) <= targets
    assert "target: [test, test-v5]" in workflow
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The package as a user installs it: built from a copy of the sources and unpacked."""
    pytest.importorskip("setuptools", minversion="77", reason="building a wheel needs setuptools 77 or newer")
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source)
    for name in ("signlang_hf", "hub_cards", "spaces"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    bundle_tiny_model(source / "signlang_hf" / "pretrained" / "tiny")
    python(f"from setuptools.build_meta import build_wheel; build_wheel({str(base)!r})", cwd=source)
    python(f"from setuptools.build_meta import build_sdist; build_sdist({str(base)!r})", cwd=source)
    (built,) = base.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(base / "installed")
    return base / "installed"


def test_wheel_holds_the_package_and_nothing_beside_it(wheel):
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == {"signlang_hf"}
    expected = {path.relative_to(ROOT) for path in (ROOT / "signlang_hf").rglob("*.py")}
    expected |= {Path("signlang_hf/py.typed"), Path("signlang_hf/hub_cards/model_card.md.jinja")}
    expected |= {path.relative_to(ROOT) for path in (ROOT / "signlang_hf" / "data" / "facts").iterdir()}
    expected |= {path.relative_to(ROOT) for path in (ROOT / "signlang_hf" / "metrics").rglob("*.json")}
    expected |= {path.relative_to(ROOT) for path in (ROOT / "signlang_hf" / "demo").glob("page.*")}
    expected |= {"signlang_hf" / path.relative_to(ROOT) for path in (ROOT / "spaces").glob("*/*") if path.is_file()}
    assert {path for path in expected if not (wheel / path).is_file()} == set()
    (info,) = wheel.glob("*.dist-info")
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: <3.13,>=3.10" in metadata
    assert (info / "licenses" / "LICENSE").is_file()
    assert "signlang = signlang_hf.cli:main" in (info / "entry_points.txt").read_text()


def test_bundled_models_are_in_the_wheel_and_in_the_source_archive(wheel):
    names = {f"signlang_hf/pretrained/tiny/{name}" for name in ("config.json", "model.safetensors", "README.md")}
    models = (ROOT / "signlang_hf" / "pretrained").glob("*/**/*")  # those of two have sub-folders
    names |= {path.relative_to(ROOT).as_posix() for path in models if path.is_file() and path.suffix != ".pyc"}
    assert {name for name in names if not (wheel / name).is_file()} == set()
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        packed = {name.partition("/")[2] for name in files.getnames()}
    assert names - packed == set()
    code = "from signlang_hf import pretrained; print(*pretrained.names(), pretrained.path('tiny'))"
    *known, where = python(code, path=wheel, cwd=wheel).split()
    assert "tiny" in known and Path(where) == wheel / "signlang_hf" / "pretrained" / "tiny"


def test_cards_render_from_an_installed_wheel(wheel, tmp_path):
    code = """
import signlang_hf
from signlang_hf.hub import CardInfo, DatasetCardInfo, dataset_card, model_card
print(signlang_hf.__file__)
print(len(str(model_card(CardInfo("x")))) > 1000 and len(str(dataset_card(DatasetCardInfo("x", "mit")))) > 500)
"""
    where, rendered = python(code, path=wheel, cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(wheel)
    assert rendered == "True"


def test_spaces_are_found_in_an_installed_wheel(wheel, tmp_path):
    code = "from signlang_hf.demo.catalogue import spaces; print(*[space.app for space in spaces()])"
    apps = [Path(app) for app in python(code, path=wheel, cwd=tmp_path).split()]
    assert [app.parent.name for app in apps] == sorted(path.parent.name for path in (ROOT / "spaces").glob("*/app.py"))
    assert all(app.is_relative_to(wheel) for app in apps)


def test_the_command_of_the_package_can_be_called(setup):
    assert lines(setup["options.entry_points"]["console_scripts"]) == ["signlang = signlang_hf.cli:main"]
    assert python("from signlang_hf.cli import main; print(callable(main))") == "True"
