"""The card of a model exported to TFLite: that of the model, but what it says about use is about phones and small computers."""

from __future__ import annotations

from pathlib import Path

from ..hub import CardInfo
from .card import card_of, write_card
from .record import size_of
from .tflite_record import RUNNER, TFLiteRecord

# Task → what the runner is given.
_INPUTS = {
    "sign-recognition": "clip.npz",
    "continuous-sign-recognition": "clip.npz",
    "gloss-translation": '--glosses "TODAY DOCTOR COME"',
    "sign-translation": "clip.npz",
    "sign-keypoint-detection": "photo.jpg",
}
_SECTION = """## How to use it

The model is for phones and small computers. The program beside it needs numpy and the LiteRT interpreter, and neither torch nor
transformers:

```
pip install ai-edge-litert
python {runner} {example}
```

{inputs}

| | |
|---|---|
| Precision | {precision} |
| Input | {shape} |
| Largest difference to torch in float32 | {parity:.1e} |
{difference}| Size of the graphs | {size:.1f} MB |
| Results on this card | measured in torch with float32 |

"""
_FEATURES = """`clip.npz` holds what the processor in this folder makes of a clip's landmarks:

```python
import numpy as np
import signlang_hf
from transformers import AutoFeatureExtractor

processor = AutoFeatureExtractor.from_pretrained("{where}")
np.savez("clip.npz", **processor(signlang_hf.load_landmarks("landmarks.npz"), return_tensors="np"))
```"""
_PICTURE = "A picture needs Pillow. It shall show one person; its longer side fills the square that the model sees."
_WORDS = "Glosses are those of `source_vocabulary` in `preprocessor_config.json`."


def save_tflite_card(source: Path, folder: Path, record: TFLiteRecord, shown: Path) -> None:
    """Write the card of an exported folder.

    Args:
        source: the model's folder, whose card is taken where there is one.
        folder: the export.
        shown: where the export will lie, for the examples.
    """
    info = CardInfo.from_folder(source)
    if info.task == "sign-keypoint-detection":
        inputs, shape = _PICTURE, "one picture"
    elif info.task == "gloss-translation":
        inputs, shape = _WORDS, f"up to {record.frames} glosses"
    else:
        inputs, shape = _FEATURES.format(where=shown.as_posix()), f"one clip of up to {record.frames} frames"
    quantized = record.precision != "float32"
    section = _SECTION.format(
        runner=(shown / RUNNER).as_posix(), example=_INPUTS[info.task], inputs=inputs, shape=shape, parity=record.parity,
        precision=f"{record.precision} ({record.quantization})" if record.quantization else record.precision,
        difference=f"| The same in {record.precision} | {record.difference:.1e} |\n" if quantized else "",
        size=size_of(folder, ".tflite") / 1e6,
    )  # fmt: skip
    write_card(card_of(source, info), section, folder, library="litert", tag="tflite", same_results=not quantized)


__all__ = ["save_tflite_card"]
