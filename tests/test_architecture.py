"""The floors of the house: who may import whom, and the few things that are done nowhere.

An import only ever points to a lower floor or stays in its own room. The tables below are the rule; everything else here only reads
the source. A new room needs a line in ``FLOORS`` before its first import.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "signlang_hf"

# Room → floor. Rooms on the same number do not import each other; a decimal orders rooms of one floor.
FLOORS: dict[str, float] = {
    "compat": 1.0,
    "landmarks": 1.0,
    "pretrained": 1.0,  # names folders
    "decoding": 1.05,  # writes files as landmarks does
    "rendering": 1.05,  # its points are a layout's
    "video": 1.1,  # draws landmarks
    "models/modeling": 2.0,  # configuration, modeling and what lies beside them in a family's folder
    "models": 3.0,  # processing, and a family's __init__
    "metrics": 3.0,
    "pose": 3.1,
    "data": 3.2,
    "training/results": 4.0,
    "pipelines": 4.0,
    "explain": 4.05,  # reads clips as pipelines do
    "hub": 4.1,  # a card shows results
    "training": 4.2,  # and a training ends in a card
    "benchmark": 4.4,  # times exports too
    "export": 4.3,  # an export too, and what it loses is measured as trainings are
    "serving": 5.0,
    "console": 5.0,
    "demo": 5.0,
    "cli_benchmark": 5.07,  # opens models as cli_export does
    "cli_demo": 5.05,  # parts of cli
    "cli_export": 5.05,
    "cli_extract": 5.07,  # takes a model as cli_export does
    "cli_serve": 5.06,  # starts the server
    "cli_wlasl": 5.05,
    "cli": 5.1,
    "registration": 6.0,
    "": 7.0,  # the package's own __init__, which hands on names
}
# Third-party packages that these rooms never touch, or the only ones that they may.
FORBIDDEN: dict[str, set[str]] = {
    "decoding": {"torch", "transformers"},
    "landmarks": {"torch", "transformers"},
    "rendering": {"torch", "transformers"},
    "video": {"torch", "transformers"},
}
ONLY: dict[str, set[str]] = {"models/modeling": {"torch", "transformers"}}
# Folder → what its files may import beyond ONLY: what transformers itself brings, and what an error message names.
BEYOND: dict[str, set[str]] = {
    "models/detector": {"timm"},
    "models/internvl": {"huggingface_hub", "peft", "safetensors"},
    "models/ensemble": {"huggingface_hub", "safetensors", "xgboost"},
    "models/translation": {"huggingface_hub"},
}
OUTSIDE = {"recipes", "spaces", "tests", "hub_cards"}  # nobody imports these
MAX_LINES = 600
BANNED_NAMES = {"utils.py", "helpers.py", "common.py"}
BANNED_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
BANNED_CALLS = {"eval", "exec", "torch.load", "torch.save", "yaml.load", "yaml.unsafe_load"}
VERSION_MODULE = "compat.py"


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, where it stands, and whether it runs when the file is imported."""

    target: str
    line: int
    eager: bool
    level: int = 0


@dataclass(frozen=True)
class Source:
    """One file of the package; ``path`` is relative to the package."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def module(self) -> str:
        parts = [PACKAGE, *self.path.removesuffix(".py").split("/")]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def room(self) -> str:
        return room_of(self.path)

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self))


def room_of(path: str) -> str:
    """Room of a file: ``data/rows.py`` → ``data``; a family's modeling and a file named in ``FLOORS`` are rooms of their own."""
    parts = path.removesuffix(".py").split("/")
    if path.removesuffix(".py") in FLOORS:
        return path.removesuffix(".py")
    if parts[0] == "models" and len(parts) == 3 and not parts[2].startswith(("processing", "__init__")):
        return "models/modeling"
    return "" if parts[0] == "__init__" else parts[0]


def _imports(source: Source) -> Iterator[Import]:
    lazy = {
        id(node)
        for outer in ast.walk(source.tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        or (isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.dump(outer.test))
        for node in ast.walk(outer)
    }
    here = source.module.split(".")
    if not source.path.endswith("__init__.py"):
        here = here[:-1]
    for node in ast.walk(source.tree):
        eager = id(node) not in lazy
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, eager)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:  # a name may be a module itself
                yield Import(f"{module}.{alias.name}", node.lineno, eager, node.level)


def package() -> list[Source]:
    folder = ROOT / PACKAGE
    return [
        Source(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    ]


def programs() -> list[Source]:
    """The package and everything around it that users run; paths outside the package start with their folder."""
    files = [path for folder in ("recipes", "spaces", "hub_cards") for path in sorted((ROOT / folder).rglob("*.py"))]
    return package() + [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in files]


def _inside(target: str, modules: dict[str, Source]) -> Source | None:
    """The file that an import of ``target`` (a module, or a name in one) reads."""
    while target:
        if target in modules:
            return modules[target]
        target = target.rpartition(".")[0]
    return None


def rooms_without_floor(sources: list[Source]) -> list[str]:
    return [f"{s.path}: room '{s.room}' has no floor; add it to FLOORS" for s in sources if s.room not in FLOORS]


def arrows_up(sources: list[Source]) -> list[str]:
    modules = {source.module: source for source in sources}
    faults = []
    for source in sources:
        for found in source.imports:
            where = f"{source.path}:{found.line}"
            top = found.target.split(".")[0]
            if top in OUTSIDE:
                faults.append(f"{where} imports {top}, which is not part of the library")
            if top != PACKAGE or found.target == f"{PACKAGE}.__version__":
                continue
            if source.room == "models/modeling" and found.level == 0:
                faults.append(f"{where} imports {PACKAGE}; this file travels to the Hub without it")
                continue
            target = _inside(found.target, modules)
            if target is None or target.room == source.room:
                continue
            if FLOORS.get(target.room, 9) >= FLOORS.get(source.room, 9):
                faults.append(f"{where} imports {found.target}: '{source.room}' may not look up to '{target.room}'")
    return faults


def modeling_imports_that_do_not_travel(sources: list[Source]) -> list[str]:
    """transformers copies single-dot siblings only: ``from .layers import x``."""
    faults = []
    for source in sources:
        if source.room != "models/modeling":
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and node.level and (node.level > 1 or "." in (node.module or ".")):
                faults.append(f"{source.path}:{node.lineno} is not of the form 'from .sibling import name'")
    return faults


def foreign_imports(sources: list[Source]) -> list[str]:
    faults = []
    for source in sources:
        for found in source.imports:
            top = found.target.split(".")[0]
            if top == PACKAGE or top in sys.stdlib_module_names:
                continue
            allowed = ONLY.get(source.room)
            if top in BEYOND.get(source.path.rpartition("/")[0], ()):
                continue
            if top in FORBIDDEN.get(source.room, ()) or (allowed is not None and top not in allowed):
                faults.append(f"{source.path}:{found.line} imports {top}")
    return faults


def cycles(sources: list[Source]) -> list[str]:
    """Rings of imports that run when a module is imported."""
    modules = {source.module: source for source in sources}
    arrows = {
        source.module: {
            target.module
            for found in source.imports
            if found.eager and (target := _inside(found.target, modules)) and target is not source
        }
        for source in sources
    }
    # The root only hands on names, and every absolute import passes through it.
    arrows = {name: {t for t in targets if t != PACKAGE} for name, targets in arrows.items() if name != PACKAGE}
    rings, done = [], set()

    def visit(module: str, trail: list[str]) -> None:
        if module in trail:
            rings.append(" → ".join([*trail[trail.index(module) :], module]))
        elif module not in done:
            for target in sorted(arrows.get(module, ())):
                visit(target, [*trail, module])
            done.add(module)

    for module in sorted(arrows):
        visit(module, [])
    return rings


def version_knowledge(sources: list[Source]) -> list[str]:
    faults = []
    for source in sources:
        if source.path == VERSION_MODULE:
            continue
        for node in ast.walk(source.tree):
            asks = (
                (isinstance(node, ast.Attribute) and ast.unparse(node) == "transformers.__version__")
                or (isinstance(node, ast.ImportFrom) and node.module == "transformers"
                and any(alias.name == "__version__" for alias in node.names))
                or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("packaging"))
                or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("version")
                and any(isinstance(arg, ast.Constant) and arg.value == "transformers" for arg in node.args))
            )  # fmt: skip
            if asks:
                faults.append(f"{source.path}:{node.lineno} asks for a version; that belongs in {VERSION_MODULE}")
    return faults


def too_long(sources: list[Source]) -> list[str]:
    return [
        f"{source.path} has {lines} lines; more than {MAX_LINES} want to be two files"
        for source in sources
        if (lines := source.text.count("\n")) > MAX_LINES
    ]


def banned_file_names(sources: list[Source]) -> list[str]:
    return [
        f"{source.path}: name a file after what it does"
        for source in sources
        if source.path.rpartition("/")[2] in BANNED_NAMES
    ]


def unsafe_code(sources: list[Source]) -> list[str]:
    """Pickles in every dress, eval, and star imports."""
    faults = []
    for source in sources:
        for found in source.imports:
            if found.target.split(".")[0] in BANNED_IMPORTS:
                faults.append(f"{source.path}:{found.line} imports {found.target}")
            if found.target.endswith(".*"):
                faults.append(f"{source.path}:{found.line} is a star import")
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            if (name := ast.unparse(node.func)) in BANNED_CALLS:
                faults.append(f"{source.path}:{node.lineno} calls {name}")
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    faults.append(f"{source.path}:{node.lineno} allows pickles")
    return faults


IN_PACKAGE = [
    rooms_without_floor, arrows_up, modeling_imports_that_do_not_travel, foreign_imports, cycles, version_knowledge
]  # fmt: skip
EVERYWHERE = [too_long, banned_file_names, unsafe_code]


@pytest.mark.parametrize("check", IN_PACKAGE, ids=lambda check: check.__name__)
def test_package_keeps_the_rule(check: Callable[[list[Source]], list[str]]):
    assert check(package()) == []


@pytest.mark.parametrize("check", EVERYWHERE, ids=lambda check: check.__name__)
def test_all_code_that_users_run_keeps_the_rule(check: Callable[[list[Source]], list[str]]):
    assert check(programs()) == []


def test_the_package_is_read_at_all():
    found = {source.path for source in package()}
    assert {"__init__.py", "compat.py", "landmarks/sequence.py", "hub.py"} <= found
    assert any(source.room == "models/modeling" for source in package())


MODELING = "models/keypoint/modeling_x.py"


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (rooms_without_floor, "attic/box.py", ""),
        (arrows_up, "landmarks/a.py", "from signlang_hf.data import rows"),
        (arrows_up, "landmarks/a.py", "from ..data.rows import to_row"),
        (arrows_up, "landmarks/a.py", "from .. import data"),
        (arrows_up, "landmarks/a.py", "def f():\n    import signlang_hf.data"),
        (arrows_up, "landmarks/a.py", "from ..video import read"),
        (arrows_up, "pipelines/a.py", "from signlang_hf.training.results import ResultRow"),
        (arrows_up, "data/a.py", "from signlang_hf import load_dataset"),
        (arrows_up, "data/a.py", "import recipes.train"),
        (arrows_up, MODELING, "from signlang_hf.landmarks import Layout"),
        (arrows_up, MODELING, "from .processing_x import P"),
        (modeling_imports_that_do_not_travel, MODELING, "from ..other import x"),
        (modeling_imports_that_do_not_travel, MODELING, "from . import layers"),
        (modeling_imports_that_do_not_travel, MODELING, "from .sub.layers import x"),
        (foreign_imports, "landmarks/a.py", "def f():\n    import torch.nn"),
        (foreign_imports, "video/a.py", "from transformers import pipeline"),
        (foreign_imports, MODELING, "import numpy as np"),
        (foreign_imports, MODELING, "def f():\n    import xgboost"),
        (cycles, "data/rows.py", "from .a import x\n"),
        (version_knowledge, "data/a.py", "import transformers\nprint(transformers.__version__)"),
        (version_knowledge, "data/a.py", "from transformers import __version__"),
        (version_knowledge, "data/a.py", "from importlib.metadata import version\nversion('transformers')"),
        (version_knowledge, "data/a.py", "from packaging.version import Version"),
        (too_long, "data/a.py", "x = 1\n" * 601),
        (banned_file_names, "data/utils.py", ""),
        (unsafe_code, "data/a.py", "import pickle"),
        (unsafe_code, "data/a.py", "torch.load('x')"),
        (unsafe_code, "data/a.py", "eval('1')"),
        (unsafe_code, "data/a.py", "np.load('x', allow_pickle=True)"),
        (unsafe_code, "data/a.py", "from numpy import *"),
    ],
)
def test_each_rule_catches_a_breach(check, path, text):
    rest = {
        "__init__.py": "", "data/__init__.py": "", "data/rows.py": "", "data/a.py": "from .rows import x",
        "landmarks/__init__.py": "", "video/__init__.py": "", "training/results.py": "", "models/__init__.py": "",
        "models/keypoint/__init__.py": "", "models/keypoint/processing_x.py": "", "models/other.py": "",
    }  # fmt: skip
    sources = [Source(name, content) for name, content in (rest | {path: text}).items()]
    assert len(check(sources)) == 1


def test_the_rules_let_pass_what_is_allowed():
    texts = {
        "__init__.py": "from . import registration\n__version__ = '1'",
        "registration.py": "",
        "compat.py": "from packaging.version import Version",
        "landmarks/a.py": "import numpy as np\nfrom .b import x",
        "landmarks/b.py": "def f():\n    from .a import y",
        MODELING: "import torch\nfrom .layers import x\nmodel.eval()",
        "models/keypoint/layers.py": "",
        "data/a.py": "from signlang_hf import __version__\nfrom ..pose import b\nnp.load('x', allow_pickle=False)",
        "pose/b.py": "from signlang_hf.models.keypoint.modeling_x import M",
    }
    sources = [Source(path, text) for path, text in texts.items()]
    for check in IN_PACKAGE + EVERYWHERE:
        assert check(sources) == []
