"""Whatever is imported first: when a user's import statement has returned, transformers knows our models and pipelines, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODELS_KNOWN = """
assert type(AutoConfig.for_model("signlang_transformer")).__module__.startswith("signlang_hf.models.keypoint"), "no config"
"""
PIPELINES_KNOWN = """
assert PIPELINE_REGISTRY.get_supported_tasks().count("sign-recognition") == 1, "no pipeline"
"""
ALL_ONCE = """
import transformers
from signlang_hf.models.keypoint import (
    SignKeypointProcessor, SignTransformerConfig, SignTransformerForSignClassification, SignTransformerModel
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
assert CONFIG_MAPPING["signlang_transformer"] is SignTransformerConfig
assert list(CONFIG_MAPPING.keys()).count("signlang_transformer") == 1
for auto, expected in (
    ("AutoModel", SignTransformerModel), ("AutoModelForVideoClassification", SignTransformerForSignClassification)
):
    assert getattr(transformers, auto)._model_mapping[SignTransformerConfig] is expected, auto
for module, mapping in (("feature_extraction_auto", "FEATURE_EXTRACTOR_MAPPING"), ("processing_auto", "PROCESSOR_MAPPING")):
    known = getattr(getattr(transformers.models.auto, module), mapping)
    assert known[SignTransformerConfig] is SignKeypointProcessor, mapping
from transformers.pipelines import PIPELINE_REGISTRY
import signlang_hf
task, = (PIPELINE_REGISTRY.check_task("sign-recognition")[1],)
assert task["impl"] is signlang_hf.SignRecognitionPipeline and task["pt"][0] is transformers.AutoModelForVideoClassification
assert PIPELINE_REGISTRY.get_supported_tasks().count("sign-recognition") == 1
print("all known once")
"""


def python(code: str, **changes: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | changes
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


# Name → what a user writes. Nothing but their own lines comes before the first check.
ORDERS = {
    "ours first, one Auto class": "import signlang_hf\nfrom transformers import AutoConfig" + MODELS_KNOWN,
    "ours last": "from transformers import AutoConfig, pipeline\nfrom transformers.pipelines import PIPELINE_REGISTRY\n"
    "import signlang_hf" + MODELS_KNOWN + PIPELINES_KNOWN,
    "bare transformers, ours, attribute": "import transformers\nimport signlang_hf\nAutoConfig = transformers.AutoConfig"
    + MODELS_KNOWN,
    "pipeline function": "import signlang_hf\nfrom transformers import pipeline\n"
    "from transformers.pipelines import PIPELINE_REGISTRY" + PIPELINES_KNOWN,
    "pipelines as a module": "import signlang_hf\nimport transformers.pipelines\n"
    "from transformers.pipelines import PIPELINE_REGISTRY" + PIPELINES_KNOWN,
    "auto as a module": "import signlang_hf\nfrom transformers.models.auto import AutoConfig" + MODELS_KNOWN,
    "our modeling file": "from signlang_hf.models.keypoint.modeling_transformer import SignTransformerModel\n"
    "from transformers import AutoConfig" + MODELS_KNOWN,
    "our pipeline class": "from signlang_hf import SignRecognitionPipeline\n"
    "from transformers.pipelines import PIPELINE_REGISTRY" + PIPELINES_KNOWN,
}


@pytest.mark.parametrize("order", ORDERS)
def test_import_order(order: str) -> None:
    assert python(ORDERS[order] + ALL_ONCE) == "all known once"


def test_importing_ours_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, signlang_hf\nprint(*{name.partition('.')[0] for name in sys.modules} & {'torch', 'transformers'})"
    )
    assert python(code) == ""


def test_transformers_modules_keep_their_loaders() -> None:
    code = """
import signlang_hf, transformers, importlib.resources, inspect
from transformers import AutoModel
assert (importlib.resources.files("transformers") / "__init__.py").is_file()
assert inspect.getsource(transformers.models.auto.auto_factory)
"""
    python(code)
