"""The files of every Space: what the Hub reads off them, what they ask to be installed, and what importing an app costs."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import signlang_hf
from signlang_hf.demo import catalogue

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ["compare-models", "keypoint-detector", "live-signs", "sign-recognition", "sign-translation"]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SPACES = [pytest.param(one, id=one.name) for one in catalogue.spaces()]


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_all_five_are_there():
    assert [one.name for one in catalogue.spaces()] == NAMES
    with pytest.raises(ValueError, match=r"no Space 'dance'; choose one of compare-models, keypoint-detector"):
        catalogue.space("dance")


@pytest.mark.parametrize("space", SPACES)
def test_front_matter_is_what_the_hub_takes(space):
    facts = catalogue.front_matter(space.app.with_name("README.md"))
    assert {"title", "emoji", "models", "tags", "license"} <= facts.keys()
    assert (facts["sdk"], facts["app_file"], facts["pinned"], facts["license"]) == (
        "gradio",
        "app.py",
        False,
        "apache-2.0",
    )
    assert {facts["colorFrom"], facts["colorTo"]} <= COLOURS
    assert 0 < len(facts["short_description"]) <= 60  # the Hub's own limit
    assert facts["sdk_version"] == pins("constraints.txt")["gradio"]
    assert {"sign-language", "mcp-server"} <= set(facts["tags"])
    assert f"signlang demo {space.name}" in space.app.with_name("README.md").read_text()


@pytest.mark.parametrize("space", SPACES)
def test_requirements_name_this_version_and_extras_that_exist(space):
    lines = space.app.with_name("requirements.txt").read_text().splitlines()
    (own,) = [line for line in lines if line.startswith("signlang-hf")]
    extras, version = re.fullmatch(r"signlang-hf\[([\w,]+)\]==([\d.]+)", own).groups()
    assert version == signlang_hf.__version__
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert set(extras.split(",")) <= set(setup["options.extras_require"])
    readme = space.app.with_name("README.md").read_text()
    assert f'pip install "signlang-hf[{extras}]"' in readme
    mediapipe = [line for line in lines if line.startswith("mediapipe")]
    assert mediapipe == ([f"mediapipe=={pins('constraints.txt')['mediapipe']}"] if "pose" in extras else [])


@pytest.mark.parametrize("space", SPACES)
def test_an_app_stands_alone(space):
    """It imports the library, Gradio and the standard library, and no file beside it."""
    tree = ast.parse(space.app.read_text())
    tops = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert tops - sys.stdlib_module_names == tops & {"gradio", "numpy", "signlang_hf"}


def test_importing_all_apps_is_light_even_at_the_root_of_a_checkout():
    """In one process, in the folder that holds our ``spaces``, which is not the Hub's package of that name."""
    code = f"""
import sys
from signlang_hf.demo import catalogue
for name in {NAMES!r}:
    demo = catalogue.opened(catalogue.space(name)).demo
    print(name, type(demo).__name__)
heavy = {{"torch", "transformers", "mediapipe", "datasets", "av", "decord"}} & set(sys.modules)
print("heavy", sorted(heavy))
import os
print("telemetry", os.environ["GRADIO_ANALYTICS_ENABLED"])
"""
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [*(f"{name} Blocks" for name in NAMES), "heavy []", "telemetry False"]


def test_front_matter_that_is_missing_is_said(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# no head")
    with pytest.raises(ValueError, match=r"README.md has no front matter"):
        catalogue.front_matter(readme)
