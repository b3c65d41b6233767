"""The card of an exported model: that of the model, but what it says about use is about what runs it.

With fewer bits it is another model than the one that was measured. Its card leaves the results in the table, says whose they are, and
takes them out of ``model-index``, from which the Hub ranks.
"""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import ModelCard

from ..hub import CardInfo, model_card
from ..landmarks.files import atomic_write
from .record import ExportRecord, size_of

# Task → the class that runs it, and what a pipeline calls its processor.
_CLASSES = {
    "sign-recognition": "ORTModelForSignClassification",
    "continuous-sign-recognition": "ORTModelForSignCTC",
    "gloss-translation": "ORTModelForSignTranslator",
    "sign-translation": "ORTModelForSignTranslation",
    "sign-keypoint-detection": "ORTModelForSignKeypoints",
}
_USE = re.compile(r"^## How to use it\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_SECTION = """## How to use it

The model runs in [ONNX Runtime](https://onnxruntime.ai) and needs `pip install "signlang-hf[onnx]"`.

```python
import signlang_hf
from signlang_hf.export import {name}
from transformers import pipeline

model = {name}.from_pretrained("{where}")
pipe = pipeline("{task}", model=model, {part}="{where}")
pipe({example})
```

On the command line: `--model {where}`. `provider="cuda"`, `"tensorrt"`, `"directml"`, `"coreml"` or `"auto"` goes into `from_pretrained`.

| | |
|---|---|
| Precision | {precision} |
| ONNX opset | {opset} |
| Largest difference to torch, before the precision was reduced | {parity:.1e} |
| Size of the graphs | {size:.1f} MB |
| Results on this card | {results} |

"""
_MEASURED = "measured in torch"
_NOT_MEASURED = "measured in torch with float32, before the precision was reduced; `recipes/export_onnx.py` measures what that costs"


def save_export_card(source: Path, folder: Path, record: ExportRecord, shown: Path) -> None:
    """Write the card of an exported folder.

    Args:
        source: the model's folder, whose card is taken where there is one.
        folder: the export.
        shown: where the export will lie, for the examples.
    """
    info = CardInfo.from_folder(source)
    card = card_of(source, info)
    precision = f"{record.precision}, {record.quantization} quantisation" if record.quantization else record.precision
    section = _SECTION.format(
        name=_CLASSES[info.task], where=shown.as_posix(), task=info.task, example=info.example,
        part="image_processor" if info.task == "sign-keypoint-detection" else "feature_extractor",
        precision=precision, opset=record.opset, parity=record.parity, size=size_of(folder) / 1e6,
        results=_MEASURED if record.precision == "float32" else _NOT_MEASURED,
    )  # fmt: skip
    write_card(card, section, folder, library="optimum", tag="onnx", same_results=record.precision == "float32")


def card_of(source: Path, info: CardInfo) -> ModelCard:
    """The card of a model's folder, or one made up of what the folder says."""
    return ModelCard.load(source / "README.md") if (source / "README.md").is_file() else model_card(info)


def write_card(card: ModelCard, section: str, folder: Path, *, library: str, tag: str, same_results: bool) -> None:
    """Write a card whose section about use is ``section``; without ``same_results`` its results are no longer ranked."""
    text, found = _USE.subn(lambda _: section, card.text, count=1)
    card.text = text if found else f"{card.text.rstrip()}\n\n{section}"
    if not same_results:
        card.data.eval_results = None
    card.data.library_name = library
    card.data.tags = [*dict.fromkeys([*(card.data.tags or []), tag])]
    atomic_write(folder / "README.md", lambda stream: stream.write(str(card).encode()))


__all__ = ["card_of", "save_export_card", "write_card"]
