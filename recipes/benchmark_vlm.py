"""How large and how fast the video language model is at its true size: bfloat16 against 4 bits, in use and in training.

    python recipes/benchmark_vlm.py --device cuda
    python recipes/benchmark_vlm.py --device cpu --what memory --no-save             # the weights alone, where there is no GPU

A model of the shape of InternVL3-2B (InternViT-300M and Qwen2.5-1.5B) with random weights: memory and speed depend on the shape, not on
what was learned. A video is 8 frames of 448 px, 256 tokens each, behind a prompt; labels are 300 answers of 2 to 4 tokens. Each precision is a process
of its own.

* **memory**: bytes of all weights, and of those of the layers that are held in 4 bits (the linear layers of both towers; not the embeddings,
  the projector and the head).
* **speed**: milliseconds from a video's tensors to the probabilities of 300 labels, and to a free answer of 4 tokens; median of the rounds.
* **training**: milliseconds of a step of one video with LoRA of rank 128, gradient checkpointing and AdamW, and the highest memory of
  the device.

Rows go to ``vlm.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from signlang_hf.training.results import RESULTS, ResultRow, save_results

WHAT = ("memory", "speed", "training")
PRECISIONS = {"bf16": None, "4bit": "4bit"}
PROMPT_TOKENS, LABELS, ANSWER = 60, 300, 4
_ASKED = "InternVL3-2B shape, random weights"


def base_config(layers: int | None) -> Any:
    """The shape of OpenGVLab/InternVL3-2B-hf; ``layers``: fewer, to try the script."""
    from transformers import InternVLConfig

    text = {
        "model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": layers or 28,
        "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151674, "max_position_embeddings": 32768,
        "rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
    }  # fmt: skip
    vision = {"attention_bias": True, "num_hidden_layers": layers or 24}
    return InternVLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)


def write_base(folder: Path, layers: int | None) -> None:
    """The base in bfloat16, as its publisher has it."""
    import torch
    from transformers import InternVLForConditionalGeneration

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    InternVLForConditionalGeneration(base_config(layers)).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)


def video(config: Any, device: Any, dtype: Any) -> dict[str, Any]:
    """A video of 8 frames behind a prompt, as the processor would give it."""
    import torch

    image, text = config.image_token_id, config.text_config
    frames = [id_ for _ in range(8) for id_ in (151665, *[image] * config.image_seq_length, 151666)]
    ids = torch.tensor([[*range(100, 100 + PROMPT_TOKENS // 2), *frames, *range(200, 200 + PROMPT_TOKENS // 2)]])
    assert int(ids.max()) < text.vocab_size
    return {
        "input_ids": ids.to(device),
        "attention_mask": torch.ones_like(ids).to(device),
        "pixel_values": torch.rand(
            8, 3, *config.vision_config.image_size, generator=torch.Generator().manual_seed(0)
        ).to(device, dtype),
    }


def measure(given: dict[str, Any]) -> dict[str, Any]:
    """The process of one precision."""
    import torch

    from signlang_hf.models.internvl import SignInternVLConfig, SignInternVLForConditionalGeneration, choose_device

    device = choose_device(given["device"])
    cuda = device.type == "cuda"
    config = SignInternVLConfig(base=given["base"], quantization=PRECISIONS[given["precision"]])
    model = SignInternVLForConditionalGeneration.from_base(config, device=device, dtype=torch.bfloat16).eval()
    base = model.base
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(device) if cuda else "CPU"}

    def nbytes(tensors: Any) -> int:
        return sum(tensor.nelement() * tensor.element_size() for tensor in tensors)

    frozen = {name: weight for name, weight in base.named_parameters() if ".lora_" not in name}
    inside = {name: weight for name, weight in frozen.items() if _in_four_bits(name, weight, base)}
    states = [
        module.weight.quant_state
        for module in base.modules()
        if hasattr(getattr(module, "weight", None), "quant_state")
    ]
    scales = sum(nbytes(part for part in _parts(state)) for state in states if state is not None)
    found["weights_mb"] = (nbytes(frozen.values()) + scales) / 1e6
    found["linear_weights_mb"] = (nbytes(inside.values()) + scales) / 1e6
    inputs = video(base.config, device, torch.bfloat16)
    if "speed" in given["what"]:
        rng = np.random.default_rng(0)
        labels = [[*rng.integers(1000, 90000, rng.integers(1, ANSWER)).tolist(), 151645] for _ in range(LABELS)]
        actions = {
            "labels": lambda: model.score_labels(label_ids=labels, **inputs),
            "answer": lambda: model.generate(**inputs, max_new_tokens=ANSWER, min_new_tokens=ANSWER, do_sample=False),
        }
        for name, action in actions.items():
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            found[f"{name}_ms"] = _times(action, given["rounds"], cuda)
            found[f"{name}_peak_mb"] = torch.cuda.max_memory_allocated() / 1e6 if cuda else None
    if "training" in given["what"]:
        model.train()
        model.gradient_checkpointing_enable({"use_reentrant": False})
        optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
        learned = torch.full_like(inputs["input_ids"], -100)
        learned[:, -ANSWER:] = inputs["input_ids"][:, -ANSWER:]

        def step() -> None:
            model(**inputs, labels=learned).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        if cuda:
            torch.cuda.reset_peak_memory_stats()
        found["training_step_ms"] = _times(step, given["rounds"], cuda)
        found["training_peak_mb"] = torch.cuda.max_memory_allocated() / 1e6 if cuda else None
    return found


def _in_four_bits(name: str, weight: Any, base: Any) -> bool:
    """Whether a weight is one of those that 4 bits are for."""
    import torch

    module = base.get_submodule(name.rpartition(".")[0])
    kept = ("lm_head", "multi_modal_projector")
    return isinstance(module, torch.nn.Linear) and name.endswith("weight") and not any(part in name for part in kept)


def _parts(state: Any) -> list[Any]:
    """Tensors of a quantisation state: its scales, and the scales of these."""
    import torch

    own = [value for value in vars(state).values() if isinstance(value, torch.Tensor)]
    nested = getattr(state, "state2", None)
    return own + ([] if nested is None else _parts(nested))


def _times(action: Any, rounds: int, cuda: bool) -> list[float]:
    """Milliseconds of each round after a first that does not count."""
    import torch

    found = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        action()
        if cuda:
            torch.cuda.synchronize()
        found.append(1e3 * (time.perf_counter() - start))
    return found[1:]


def rows_of(found: dict[str, dict[str, Any]], options: argparse.Namespace, command: str) -> list[ResultRow]:
    """A row for each number, in 4 bits against bfloat16."""
    rows = []
    for precision, numbers in found.items():
        for metric, value in numbers.items():
            if metric == "device" or value is None:
                continue
            values = np.atleast_1d(np.array(value, float))
            other = "4bit" if precision == "bf16" else "bf16"
            more: dict[str, Any] = {}
            if other in found:
                ratio = float(np.median(values)) / float(np.median(np.atleast_1d(found[other][metric])))
                more = {"against": f"{other} in the same run", "ratio": ratio if metric.endswith("mb") else 1 / ratio}
            rows.append(
                ResultRow(
                    model=f"{_ASKED}, {precision}", split=numbers["device"], metric=metric, value=float(np.median(values)),
                    spread=float(values.std()) if len(values) > 1 else None, n=len(values), command=command, **more,
                )
            )  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--precisions", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, help="fewer layers in both towers, to try the script; no true figure")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # what the processes of their own are started with
    options = parser.parse_args(argv)
    if options.run:
        print(json.dumps(measure(json.loads(options.run))))
        return []
    if options.rounds < 1 or (options.layers is not None and options.layers < 1):
        parser.error("--rounds and --layers must be at least 1.")
    if options.layers and options.save:
        parser.error("--layers gives no true figure; add --no-save.")
    found: dict[str, dict[str, Any]] = {}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryDirectory(prefix="signlang-vlm-") as folder:
        write_base(Path(folder), options.layers)
        for precision in options.precisions:
            given = {
                "base": folder,
                "precision": precision,
                "what": options.what,
                "device": options.device,
                "rounds": options.rounds,
            }
            done = subprocess.run(
                [sys.executable, __file__, "--run", json.dumps(given)], capture_output=True, text=True, check=False, env=environment
            )  # fmt: skip
            if done.returncode:
                reason = (
                    done.stderr.strip().splitlines() or [f"exit code {done.returncode}, perhaps of too little memory"]
                )[-1]
                raise RuntimeError(f"{precision} failed: {reason}")
            found[precision] = json.loads(done.stdout.strip().splitlines()[-1])
    words = sys.argv[1:] if argv is None else argv
    rows = rows_of(found, options, shlex.join(["python", "recipes/benchmark_vlm.py", *words]))
    for row in rows:
        against = "" if row.ratio is None else f"  {row.ratio:6.3f} × {row.against}"
        print(f"{row.model:<44} {row.metric:<20} {row.value:12.1f}{against}")
    if options.save:
        print(f"wrote {save_results('vlm', rows, folder=options.results, replace=False)}")
    return rows


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"benchmark_vlm: {error}")
