"""What the documentation and the README say is run: Python as it stands there, commands as far as their parser.

* A page's ``python`` blocks run from top to bottom in one namespace, as a reader would type them, in the folder of
  :mod:`docs_folder`; ``pycon`` blocks are doctests, whose answers must be right to the letter.
* ``<!-- not run: why -->`` above a block leaves it out, ``<!-- needs: module -->`` where a module is missing. The first kind is counted.
* Of every block of commands each line of ours is parsed by the parser that would run it, and stops there.
* The examples in docstrings run in the same folder.
"""

from __future__ import annotations

import argparse
import doctest
import importlib
import importlib.util
import os
import pkgutil
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from docs_folder import camera, no_mediapipe, write_docs_folder
from tiny_signs import load_recipe

import signlang_hf

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN_AT_MOST = 3
"""Blocks that are only read. Each says why; more of them would want another way."""
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
OTHERS = {
    "cd", "curl", "docker", "export", "git", "hf", "locust", "pip", "pre-commit", "ray", "source", "uvicorn", "websocat", ".venv/bin/pre-commit", ".ci/run",
}  # fmt: skip
"""Programs of other people in blocks of commands, and those of ours that take no options."""
_MARK = re.compile(r"<!-- (not run|needs): (.+?) -->")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[\w-]*)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line``: of its first line of text, from 1. ``mark``: (what, why) of the comment above it."""

    page: Path
    line: int
    kind: str
    text: str
    mark: tuple[str, str] | None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        if self.mark is None:
            return True
        what, why = self.mark
        return what == "needs" and all(importlib.util.find_spec(name) for name in why.split(", "))


def blocks_of(page: Path) -> Iterator[Block]:
    start, kind, indent, mark, held = 0, "", "", None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if start and line.strip() == "```":
            yield Block(page, start, kind, "\n".join(held) + "\n", mark)
            start, mark, held = 0, None, []
        elif start:
            held.append(line.removeprefix(indent))
        elif fence:
            start, kind, indent = number + 1, fence["kind"], fence["indent"]
        elif found := _MARK.search(line):
            mark = (found[1], found[2])
        elif line.strip():
            mark = None
    assert not start, f"{page}: a block that begins in line {start} has no end"


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
CODE = [block for block in BLOCKS if block.kind in ("python", "pycon")]
KINDS = {
    "",
    "bash",
    "css",
    "html",
    "ini",
    "json",
    "jsonc",
    "make",
    "pycon",
    "python",
    "text",
    "toml",
    "yaml",
    "nginx",
    "dockerfile",
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_docs_folder(tmp_path_factory.mktemp("docs"))


@pytest.fixture
def there(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """In that folder, without MediaPipe and with a cache of its own; gives the names that a page may take for granted."""
    import datasets

    monkeypatch.chdir(folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    no_mediapipe(monkeypatch)
    monkeypatch.setenv("SIGNLANG_ESTIMATOR", "cheap_pose:cheap_estimator")  # of a server's worker processes
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH")]))
    )
    page = ModuleType("page")  # classes of a page are found by their module's name
    monkeypatch.setitem(sys.modules, "page", page)
    page.camera = camera()
    return vars(page)


# ---- Python ----


@pytest.mark.parametrize("page", dict.fromkeys(block.page for block in CODE), ids=name_of)
def test_the_python_of_a_page_runs(page: Path, there: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    for block in CODE:
        if block.page == page and block.runs:
            run(block, there)


def run(block: Block, names: dict[str, Any]) -> None:
    if block.kind == "python":
        # Lines of the page in the traceback.
        exec(compile("\n" * (block.line - 1) + block.text, str(block.page), "exec", dont_inherit=True), names)
        return
    examples = doctest.DocTestParser().get_doctest(block.text, names, block.where, str(block.page), block.line - 1)
    assert examples.examples, f"{block.where} is a pycon block without >>>"
    examples.globs = names  # not a copy: the page goes on with what it has made
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(examples, out=said.append, clear_globs=False)
    assert not result.failed, "".join(said)


def test_few_blocks_are_only_read():
    unread = [block for block in CODE if block.mark and block.mark[0] == "not run"]
    assert len(unread) <= NOT_RUN_AT_MOST, [block.where for block in unread]
    assert all(len(block.mark[1]) > 10 for block in unread), "each says why"
    assert len(CODE) - len(unread) > 80


def test_blocks_are_of_a_kind_that_is_known():
    assert {block.where: block.kind for block in BLOCKS if block.kind not in KINDS} == {}
    doctests = [block.where for block in BLOCKS if ">>> " in block.text and block.kind != "pycon"]
    assert doctests == [], "examples with >>> are pycon blocks, so that they are run"


def test_a_block_that_is_wrong_is_found(there: dict[str, Any]):
    page = ROOT / "README.md"
    with pytest.raises(ZeroDivisionError):
        run(Block(page, 1, "python", "1 / 0\n", None), there)
    with pytest.raises(AssertionError, match="Expected"):
        run(Block(page, 1, "pycon", ">>> 1 + 1\n3\n", None), there)


# ---- the site ----


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    """mkdocs.yml."""
    import yaml

    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture
def building(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``docs/building/pages.py``, as MkDocs loads it."""
    pytest.importorskip("mkdocstrings", reason="the documentation's packages are not installed")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "building"))
    return importlib.import_module("pages")


def test_every_page_is_in_the_navigation(site: dict[str, Any]):
    made = {"numbers.md", "deployment/operations.md"}
    shown = set(re.findall(r"[\w/-]+\.md", str(site["nav"])))
    assert shown - made == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if "docs" in page.parts[-3:-1]}


def test_nothing_of_the_site_comes_from_another_host(site: dict[str, Any]):
    assert site["theme"]["font"] is False and site["strict"] is True
    loaded = [*site["extra_css"], *site["extra_javascript"], *site["extra"]["polyfills"], site["theme"]["favicon"]]
    assert all((ROOT / "docs" / name).is_file() for name in loaded)
    assets = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in loaded)
    assert re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", assets.replace("http://www.w3.org", "")) == []
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES if page.is_relative_to(ROOT / "docs"))
    assert re.findall(r"<(?:script|iframe|link|img)\b|!\[[^\]]*\]\(http", pages) == []


def test_the_reference_has_every_name_that_the_package_hands_on(building: Any):
    entries = importlib.import_module("rooms").entries()
    assert set(signlang_hf.__all__) - {"__version__", "pretrained"} <= set(entries)
    assert entries["LandmarkSequence"] == "signlang_hf.landmarks.LandmarkSequence"


def test_the_table_of_floors_is_the_one_that_is_checked(building: Any):
    from test_architecture import FLOORS

    table = building.on_page_markdown("<!-- floors -->")
    assert {name for name in FLOORS if name and f"`{name}`" not in table} == set()
    numbers = [float(row.split("|")[1]) for row in table.splitlines()[2:]]
    assert numbers == sorted(set(FLOORS.values()), reverse=True)


def test_roles_become_links_where_there_is_an_entry(building: Any):
    as_markdown = importlib.import_module("docstrings").as_markdown
    assert as_markdown("see :class:`~.sequence.LandmarkSequence`") == (
        "see [`LandmarkSequence`][signlang_hf.landmarks.LandmarkSequence]"
    )
    assert as_markdown(":func:`.nowhere.nothing`::\n\n    x") == "`nothing`:\n\n    x"
    assert as_markdown("    Example:\n        >>> 1") == "    Examples:\n        >>> 1"


def test_a_section_of_the_readme_becomes_a_page(building: Any):
    page = building._of_readme("Numbers", "In ONNX Runtime")
    assert page.startswith("# Numbers\n") and "\n## In ONNX Runtime\n" in page and "\n## Speed\n" in page
    assert "## Bring your own language" not in page
    with pytest.raises(ValueError, match="no section 'Nothing'"):
        building._of_readme("Nothing")


# ---- docstrings ----

READ_ONLY: dict[str, str] = {}
"""Docstrings whose examples cannot run here, with the reason."""


def modules() -> list[str]:
    """Modules of the package with an example in a docstring, found without importing the others."""
    base = Path(signlang_hf.__file__).parent
    found = pkgutil.walk_packages([str(base)], "signlang_hf.", onerror=lambda name: None)
    texts = {one.name: base / Path(*one.name.split(".")[1:]) for one in found}
    files = {name: path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for name, path in texts.items()}
    return [
        name for name, file in files.items() if re.search(r"^\s+>>> ", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def given(name: str) -> dict[str, Any]:
    """What the examples of docstrings take for granted: models, a clip, and a stream of landmarks."""
    from transformers import AutoModelForCTC, AutoModelForVideoClassification, AutoProcessor, pipeline

    clip = signlang_hf.load_landmarks("landmarks.npz")
    model_class, kept = (
        (AutoModelForCTC, "outputs/ctc") if ".ctc." in name else (AutoModelForVideoClassification, "outputs/demo")
    )
    return {
        "pipeline": pipeline,
        "model": model_class.from_pretrained(kept).eval(),
        "processor": AutoProcessor.from_pretrained(kept),
        "pieces": [clip.frames(slice(start, start + 5)) for start in range(0, len(clip.data), 5)],
        "clip": clip,
    }


@pytest.mark.parametrize("module", modules())
def test_the_examples_of_docstrings_run(module: str, there: dict[str, Any]):
    loaded = importlib.import_module(module)
    for found in doctest.DocTestFinder().find(loaded, globs={}):
        if not found.examples or found.name in READ_ONLY:
            continue
        found.globs = {**vars(loaded), **vars(signlang_hf), **there, **given(module)}
        said: list[str] = []
        result = doctest.DocTestRunner(optionflags=FLAGS).run(found, out=said.append)
        assert not result.failed, "".join(said)


def test_examples_that_are_left_out_are_there():
    there = {f"{name}.{part}" for name in modules() for part in dir(importlib.import_module(name))}
    assert set(READ_ONLY) <= there


# ---- commands ----


@dataclass(frozen=True)
class Command:
    block: Block
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def commands_of(block: Block) -> Iterator[Command]:
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", words[0]):
            words = words[1:]
        if words and words[0] in {"signlang", "python", "accelerate", "torchrun", "make", *OTHERS} | {"$"}:
            yield Command(block, tuple(words))


def is_shell(block: Block) -> bool:
    """A block of commands: it says so, or its first line is one."""
    if block.kind:
        return block.kind == "bash"
    first = block.text.strip().split(maxsplit=1)
    return bool(first) and first[0] in {"signlang", "python", "accelerate", "make", "pip", "ray"}


SHELL = [block for block in BLOCKS if is_shell(block)]
COMMANDS = [command for block in SHELL if block.runs for command in commands_of(block)]


class Parsed(Exception):
    """The parser is through; what the command does is not wanted."""


def parse_signlang(words: list[str]) -> None:
    import typer

    from signlang_hf.cli import app

    command, context = typer.main.get_command(app), None
    while True:
        context = command.make_context(words[0], words[1:], parent=context) if hasattr(command, "commands") else None
        if context is None:
            return
        rest = [*getattr(context, "protected_args", getattr(context, "_protected_args", [])), *context.args]
        name, chosen, remaining = command.resolve_command(context, rest)
        if not hasattr(chosen, "commands"):
            chosen.make_context(name, list(remaining), parent=context)
            return
        command, words = chosen, [name, *remaining]


def parse_recipe(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """In the working directory, where what an earlier command of the page has written may be read."""
    path = ROOT / words[0]
    assert path.is_file(), f"{words[0]} is not there"
    module = load_recipe(path)
    parse_args = argparse.ArgumentParser.parse_args

    def stop_after(parse: Any) -> Any:
        def parsed(*args: Any, **options: Any) -> Any:
            parse(*args, **options)
            raise Parsed

        return parsed

    with patch.context() as inner:
        inner.setattr(sys, "argv", [str(path), *words[1:]])
        for home in (module, importlib.import_module("signlang_hf.training.vlm_arguments")):
            for name in [name for name in vars(home) if name.startswith("parse")]:
                inner.setattr(home, name, stop_after(getattr(home, name)))
        inner.setattr(argparse.ArgumentParser, "parse_args", stop_after(parse_args))
        try:
            module.main(words[1:]) if module.main.__code__.co_argcount else module.main()
        except Parsed:
            return
        except ValueError as error:
            if "this machine cannot" in str(error):  # a setting for a GPU, which was understood
                return
            raise
    pytest.fail(f"{path.name} has a parser that this test does not know")


def parse_accelerate(words: list[str], patch: pytest.MonkeyPatch) -> None:
    from accelerate.commands.launch import launch_command_parser

    assert words[0] == "launch"
    found = launch_command_parser().parse_args(words[1:])
    if found.config_file:
        assert (ROOT / found.config_file).is_file(), f"{found.config_file} is not there"
    parse_recipe([found.training_script, *found.training_script_args], patch)


def targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def extras() -> set[str]:
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(config["options.extras_require"])


def parse_command(command: Command, patch: pytest.MonkeyPatch) -> str:
    """Raises where the words are not understood; gives what kind of command it was."""
    head, *words = command.words
    if head == "signlang":
        parse_signlang([head, *words])
    elif head == "accelerate":
        parse_accelerate(words, patch)
    elif head == "torchrun":
        script = next(place for place, word in enumerate(words) if word.endswith(".py"))
        parse_recipe(words[script:], patch)
    elif head == "python" and words[0].startswith("recipes/"):
        parse_recipe(words, patch)
    elif head == "make":
        assert {word for word in words if "=" not in word} <= targets()
    elif head == "pip":
        for group in re.findall(r"signlang-hf\[([\w,]+)\]", " ".join(words)):
            assert set(group.split(",")) <= extras()
    else:
        assert head in OTHERS | {"python", "$"}
        return "others'"
    return "ours"


@pytest.mark.parametrize("page", dict.fromkeys(command.block.page for command in COMMANDS), ids=name_of)
def test_the_commands_of_a_page_are_understood(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    faults = []
    for command in COMMANDS:
        if command.block.page != page:
            continue
        try:
            parse_command(command, monkeypatch)
        except (Exception, SystemExit, pytest.fail.Exception) as error:
            if getattr(error, "exit_code", getattr(error, "code", 1)) == 0:  # --help
                continue
            faults.append(f"{command.block.where}: {command.text}\n    {type(error).__name__}: {error}")
    assert faults == [], "\n".join(faults)


@pytest.mark.parametrize(
    "line",
    [
        "signlang recognise clip.mp4",
        "signlang recognize clip.mp4 --modell x",
        "signlang wlasl fetch x",
        "python recipes/train_isolated.py --lerning_rate 1",
        "accelerate launch --config_file nowhere.yaml recipes/train_isolated.py",
        "python recipes/export_onnx.py --out",
        "python recipes/no_such.py",
        "make nothing",
        'pip install "signlang-hf[nothing]"',
        "rm -rf everything",
    ],
)
def test_a_command_that_is_wrong_is_found(line: str, monkeypatch: pytest.MonkeyPatch):
    command = Command(BLOCKS[0], tuple(shlex.split(line)))
    with pytest.raises((Exception, SystemExit, pytest.fail.Exception)):
        parse_command(command, monkeypatch)


def test_enough_commands_are_checked():
    heads = Counter(command.words[0] for command in COMMANDS)
    assert heads["signlang"] > 80 and heads["accelerate"] + heads["python"] > 50
