"""Run an exported folder on a phone or a small computer: ``python run_tflite.py clip.npz``. It lies in every folder that
``signlang export --to tflite`` writes.

It needs numpy and the LiteRT interpreter (``pip install ai-edge-litert``), for pictures Pillow too, and nothing of signlang_hf. What it
reads, by the model in its folder:

* isolated signs, sentences: an ``.npz`` with ``input_values`` (T, F), as the processor in the folder makes them, or an ``.npy`` of them;
* a translator: ``--glosses "TODAY DOCTOR COME"``;
* a detector: a picture, or an ``.npy`` with ``pixel_values`` (3, S, S).

It writes one line of JSON. Sentences are read greedily: the likeliest sign of every step, and the likeliest next word.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

EOS, UNKNOWN_TOKEN, SPECIAL_TOKENS = 2, 3, 4
_LARGEST = 700.0  # whose exp() is still a number


class Graph:
    """One ``.tflite`` file: names of inputs → arrays, to names of outputs → arrays."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
        details = self.runner.get_input_details()
        self.inputs = {name: (tuple(one["shape"]), one["dtype"]) for name, one in details.items()}

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        made = {name: np.ascontiguousarray(inputs[name], dtype) for name, (_, dtype) in self.inputs.items()}
        return self.runner(**made)


class Folder:
    """An exported folder: its settings, and its graphs when they are asked for."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder, self.threads = Path(folder), threads
        self.record = self.read("tflite_export.json")
        self.config = self.read("config.json")
        self.processor = self.read("preprocessor_config.json", "processor_config.json")
        for part in ("feature_extractor", "image_processor"):
            if isinstance(self.processor.get(part), dict):
                self.processor = self.processor[part]

    def read(self, *names: str) -> dict[str, Any]:
        for name in names:
            if (self.folder / name).is_file():
                return json.loads((self.folder / name).read_text(encoding="utf-8"))
        raise ValueError(f"{self.folder} is no folder that signlang export --to tflite wrote: it has no {names[0]}.")

    def graph(self, name: str) -> Graph:
        return Graph(self.folder / name, self.threads)

    def member(self, name: str) -> Folder:
        return Folder(self.folder / name, self.threads)


def read_clip(path: Path, graph: Graph) -> dict[str, np.ndarray]:
    """``input_values`` and ``attention_mask`` as the graph takes them: (1, T, F) and (1, T), padded behind."""
    (_, frames, size), _ = graph.inputs["input_values"]
    arrays = np.load(path, allow_pickle=False)
    if isinstance(arrays, np.ndarray):
        arrays = {"input_values": arrays}
    if "input_values" not in arrays:
        raise ValueError(f"{path} holds no input_values; the processor in the model's folder makes them.")
    values = np.asarray(arrays["input_values"], np.float32)
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    if values.ndim != 2 or values.shape[1] != size or not len(values):
        raise ValueError(f"input_values in {path} have shape {values.shape}; the model takes (T, {size}).")
    mask = (
        np.asarray(arrays["attention_mask"]).reshape(-1) if "attention_mask" in arrays else np.ones(len(values), bool)
    )
    values = values[mask.astype(bool)]
    if len(values) > frames:
        raise ValueError(
            f"{path} has {len(values)} frames and the model takes {frames}; export it again with --frames {len(values)}."
        )
    padded = np.zeros((1, frames, size), np.float32)
    padded[0, : len(values)] = values
    return {"input_values": padded, "attention_mask": np.arange(frames)[None] < len(values)}


def recognize(folder: Folder, path: Path, top: int) -> list[dict[str, Any]]:
    """Labels and scores, best first; ``unknown`` before them where the clip is not known enough."""
    graph = folder.graph("model.tflite")
    logits = graph(**read_clip(path, graph))["logits"][0].astype(np.float64)
    config = folder.config
    temperature, threshold = config.get("logit_temperature", 1.0), config.get("unknown_threshold")
    scores = softmax(logits / temperature)
    known, first = 1.0, []
    if threshold is not None:
        kind = config.get("unknown_score", "probability")
        energy = np.logaddexp.reduce(logits)
        knowing = {"probability": scores.max(), "logit": logits.max(), "energy": energy}[kind]
        if knowing < threshold:
            if kind == "probability":
                threshold, knowing = (
                    np.log(one / (1 - one)) for one in np.clip([threshold, knowing], 1e-12, 1 - 1e-12)
                )
            else:
                threshold, knowing = threshold / temperature, knowing / temperature
            known = 1 / (1 + np.exp(min(threshold - knowing, _LARGEST)))
            first = [{"label": "unknown", "score": float(1 - known)}]
    names = config["id2label"]
    order = np.argsort(-scores, kind="stable")
    return (first + [{"label": names[str(one)], "score": float(known * scores[one])} for one in order])[:top]


def read_signs(folder: Folder, path: Path) -> tuple[list[int], list[dict[str, Any]]]:
    """Columns of the signs of a sentence, and each sign's gloss and probability."""
    graph = folder.graph("model.tflite")
    answer = graph(**read_clip(path, graph))
    steps = answer["logits"][0, : int(answer["logit_lengths"][0])]
    best, blank = steps.argmax(1), folder.config.get("pad_token_id", 0)
    found, scores = [], []
    for place, column in enumerate(best):
        if column == blank:
            continue
        score = float(np.exp(steps[place, column]))
        if place and best[place - 1] == column:
            scores[-1] = max(scores[-1], score)
        else:
            found.append(int(column))
            scores.append(score)
    vocabulary = folder.processor["vocabulary"]
    return found, [{"gloss": vocabulary[one], "score": score} for one, score in zip(found, scores)]


def translate(folder: Folder, ids: list[int]) -> dict[str, Any]:
    """Text for source tokens, which end with the end token."""
    encoder, decoder = folder.graph("encoder_model.tflite"), folder.graph("decoder_step.tflite")
    (_, length), _ = encoder.inputs["input_ids"]
    if len(ids) > length:
        raise ValueError(
            f"There are {len(ids)} source tokens and the translator takes {length}; export it again with --frames {len(ids)}."
        )
    source = np.zeros((1, length), np.int32)
    source[0, : len(ids)] = ids
    mask = np.arange(length)[None] < len(ids)
    start = encoder(input_ids=source, attention_mask=mask)
    states, word, said = start["states"], folder.config.get("decoder_start_token_id", 1), []
    for _ in range(word_limit(folder)):
        step = decoder(
            decoder_input_ids=np.array([[word]]), encoder_hidden_states=start["last_hidden_state"], attention_mask=mask,
            states=states, memory=start["memory"],
        )  # fmt: skip
        states, word = step["new_states"], int(step["logits"][0, -1].argmax())
        if word == folder.config.get("eos_token_id", EOS):
            break
        said.append(word)
    vocabulary = json.loads(folder.processor["target_tokenizer"])["model"]["vocab"]
    pieces = {number: piece for piece, number in vocabulary.items()}
    tokens = [pieces.get(one, "") for one in said if one >= SPECIAL_TOKENS]
    return {"text": "".join(tokens).replace("▁", " ").strip(), "tokens": tokens}


def word_limit(folder: Folder) -> int:
    """How many words a sentence may have: what the model says, or 64."""
    path = folder.folder / "generation_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return settings.get("max_new_tokens") or settings.get("max_length") or 64


def source_ids(folder: Folder, glosses: str) -> list[int]:
    """Tokens of glosses, whatever their case, and the end token."""
    known = {fold(gloss): number for number, gloss in enumerate(folder.processor["source_vocabulary"])}
    separators = folder.processor.get("split_glosses", "")
    ids = []
    for gloss in glosses.split():
        parts = [known.get(fold(gloss), UNKNOWN_TOKEN)]
        if parts == [UNKNOWN_TOKEN] and separators:
            pieces = [
                known.get(fold(one), UNKNOWN_TOKEN) for one in re.split(f"[{re.escape(separators)}]", gloss) if one
            ]
            parts = pieces if any(one != UNKNOWN_TOKEN for one in pieces) else parts
        ids += parts
    if not ids:
        raise ValueError("--glosses holds no gloss.")
    return [*ids, EOS]


def fold(gloss: str) -> str:
    return unicodedata.normalize("NFC", gloss.strip()).casefold()


def translate_clip(folder: Folder, path: Path) -> dict[str, Any]:
    """Glosses and text of a clip."""
    columns, glosses = read_signs(folder.member("recognizer"), path)
    if not columns:
        return {"glosses": [], "text": "", "tokens": []}
    tokens = folder.config["gloss_tokens"]
    ids = [token for column in columns for token in tokens[column]]
    return {"glosses": glosses, **translate(folder.member("translator"), [*ids, EOS])}


def detect(folder: Folder, path: Path) -> dict[str, Any]:
    """Points of a picture, as shares of its width and height; of an array, of the model's square."""
    graph = folder.graph("model.tflite")
    (_, _, _, size), _ = graph.inputs["pixel_values"]
    pixels, left, top, across, down = read_picture(path, size)
    answer = graph(pixel_values=pixels[None])
    if "heatmaps" in answer:
        maps = answer["heatmaps"][0]
        flat = maps.reshape(len(maps), -1)
        rows, columns = np.divmod(flat.argmax(1), maps.shape[2])
        x, y = (columns + 0.5) / maps.shape[2], (rows + 0.5) / maps.shape[1]
        scores = flat.max(1).clip(0, 1)
    else:
        lines = [answer[name][0] for name in ("simcc_x", "simcc_y")]
        x, y = ((line.argmax(1) + 0.5) / line.shape[1] for line in lines)
        perfect = folder.processor.get("simcc_sigma", 6.0) * np.sqrt(2 * np.pi)
        scores = np.minimum(*(softmax(line).max(1) * perfect for line in lines)).clip(0, 1)
    names = folder.config["keypoints"]
    x, y = (x - left) / across, (y - top) / down
    return {
        "keypoints": [
            {"name": name, "x": float(one), "y": float(other), "score": float(score)}
            for name, one, other, score in zip(names, x, y, scores)
        ]
    }


def read_picture(path: Path, size: int) -> tuple[np.ndarray, float, float, float, float]:
    """(3, S, S) in [0, 1], and where the picture lies in that square: left, top, width and height as shares of it."""
    if path.suffix == ".npy":
        pixels = np.load(path, allow_pickle=False).astype(np.float32)
        if pixels.shape != (3, size, size):
            raise ValueError(f"{path} has shape {pixels.shape}; the model takes (3, {size}, {size}).")
        return pixels, 0.0, 0.0, 1.0, 1.0
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        picture = ImageOps.exif_transpose(picture).convert("RGB")
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    left, top = (size - width) // 2, (size - height) // 2
    square = np.full((size, size, 3), 0.5, np.float32)
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)
    square[top : top + height, left : left + width] = np.asarray(resized, np.float32) / 255
    return square.transpose(2, 0, 1), left / size, top / size, width / size, height / size


def softmax(values: np.ndarray) -> np.ndarray:
    exponentials = np.exp(values - values.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def answer(folder: Folder, source: Path | None, glosses: str | None, top: int) -> Any:
    """What the model in a folder says."""
    kind = folder.config["model_type"]
    if kind in ("signlang_translator", "signlang_translator_ensemble"):
        if glosses is None:
            raise ValueError('The model translates glosses; give --glosses "TODAY DOCTOR COME".')
        return translate(folder, source_ids(folder, glosses))
    if kind == "signlang_ensemble":
        raise ValueError(f"An ensemble is run by its members: --model {folder.folder / folder.record['members'][0]}.")
    if source is None:
        raise ValueError("Give a file to read.")
    if not source.is_file():
        raise ValueError(f"File not found: {source}")
    if kind == "signlang_ctc":
        return {"glosses": read_signs(folder, source)[1]}
    if kind == "signlang_translation":
        return translate_clip(folder, source)
    if kind == "signlang_detector":
        return detect(folder, source)
    return recognize(folder, source, top)


def main(argv: list[str] | None = None) -> int | str:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, help=".npz or .npy of a clip's features, or a picture")
    parser.add_argument(
        "--model", type=Path, default=Path(__file__).resolve().parent, help="folder; default this file's"
    )
    parser.add_argument("--glosses", help="of a sentence, for a translator")
    parser.add_argument("--top", type=int, default=5, help="how many labels")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    try:
        found = answer(Folder(args.model, args.threads), args.source, args.glosses, args.top)
    except ModuleNotFoundError as error:
        package = {"ai_edge_litert": "ai-edge-litert", "PIL": "pillow"}.get(str(error.name).split(".")[0], error.name)
        return f"run_tflite: it needs {package}: pip install {package}"
    except (ValueError, OSError, KeyError) as error:
        return f"run_tflite: {error}"
    print(json.dumps(found, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
