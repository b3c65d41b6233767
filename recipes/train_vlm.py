"""Fine-tune the video language model (InternVL3 with a LoRA adapter) on videos of single signs.

    signlang wlasl build --videos WLASL/videos --table WLASL_v0.3.json --out rows
    accelerate launch recipes/train_vlm.py --config recipes/configs/wlasl_vlm.yaml --data_dir rows
    accelerate launch recipes/train_vlm.py --config recipes/configs/wlasl_vlm.yaml --data_dir rows --quantization 4bit
    accelerate launch recipes/train_vlm.py --config … --data_dir rows --base_path InternVL3-2B-hf       # a base that lies here

Every argument of the three groups (``--help`` lists them) can stand in the YAML file or on the command line; the command line
wins. Running the same command again resumes from the last checkpoint; a finished run is read and not trained again.

Several GPUs: ``accelerate launch --config_file recipes/accelerate_configs/fsdp.yaml`` (or ``deepspeed_zero2.yaml``) in the place of ``accelerate launch``.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.cards import launch_command
from signlang_hf.training.fitting import RunResult
from signlang_hf.training.results import save_results

console = Console()


def main(argv: list[str] | None = None) -> RunResult:
    from signlang_hf.training.vlm import load_clips, train_vlm
    from signlang_hf.training.vlm_arguments import parse_vlm
    from signlang_hf.training.vlm_cards import save_vlm_card, vlm_rows

    model_args, data_args, args = parse_vlm(argv)
    command = launch_command("recipes/train_vlm.py", argv)
    if args.push_to_hub and args.should_save:
        open_repo(**args.hub_repo)  # that a run may not push is better known before training than after it

    # Data
    splits = load_clips(data_args, seed=args.seed)

    # Training, and the test split if there is one
    result = train_vlm(model_args, data_args, args, splits)

    # Card, and the Hub
    if result.trainer.is_world_process_zero():
        rows = vlm_rows(result, "test", command, seeds=(args.seed,)) if result.metrics else []
        if rows:
            show_result(result)
            if data_args.benchmark:
                console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
        save_vlm_card(result, model_args, data_args, args, splits, command, rows)
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            console.print(f"Pushed to {push_to_hub(result.folder, commit_message='End of training', **args.hub_repo)}")
    return result


def show_result(result: RunResult) -> None:
    metrics = result.metrics
    table = Table("", "share", title=f"Test split, {metrics['n']} clips")
    for name, title in (
        ("accuracy", "the gloss itself"), ("accuracy_synonyms", "with its synonyms"), ("top5_accuracy", "among the best five")
    ):  # fmt: skip
        table.add_row(title, f"{100 * metrics[name]:.1f} %")
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(f"train_vlm: {error}\nHere that is --allow_leaks true.")
    except (ValueError, OSError, ImportError, MemoryError) as error:
        sys.exit(f"train_vlm: {error}")
    except KeyboardInterrupt:
        sys.exit("train_vlm: interrupted; run the same command again to go on.")
