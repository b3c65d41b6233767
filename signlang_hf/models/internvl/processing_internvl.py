"""Processor of the video language model: clips → frames in a prompt → token ids and pixels.

Design decisions:

* The tokenizer and the picture processor are the base's own, and are read from where the base lies: a tokenizer that is saved again by another
  version of transformers is not always readable by the first. What is saved here is what we add: prompt, number of frames, sampling.
* Frames are chosen by time, never by their number. A clip of fewer frames repeats them; a picture is one frame.
* An answer's tokens are put behind the prompt's as ids, so where the one ends and the other begins is known exactly, and labels are exact.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoProcessor, BatchFeature
from transformers.feature_extraction_utils import FeatureExtractionMixin

from signlang_hf.video import Video, VideoWarning, as_video, read_video

from .configuration_internvl import BASE, PROMPT, SignInternVLConfig
from .modeling_internvl_labels import LabelTrie

if TYPE_CHECKING:
    from .modeling_internvl import SignInternVLForConditionalGeneration

IGNORED = -100
"""Label of a token from which nothing is learned."""


class SignInternVLProcessor(FeatureExtractionMixin):
    """Makes the inputs of :class:`SignInternVLForConditionalGeneration`.

    Args:
        base: Hub id or folder of the base model, whose tokenizer and picture processor are used.
        base_revision: commit, tag or branch of it.
        base_path: where it lies, if it cannot be had under that name; not saved.
        prompt: what the model is asked where no other prompt is given.
        num_frames: frames of a clip; a picture has one.
        sampling: as in :class:`SignInternVLConfig`.
    """

    model_input_names = ["input_ids", "attention_mask", "pixel_values"]  # noqa: RUF012 - transformers reads a plain list
    # How a pipeline puts clips together: generation goes on from the right end. The padding is masked, so its token does not matter.
    padding_side, padding_value = "left", 0

    def __init__(
        self,
        base: str = BASE,
        base_revision: str | None = None,
        prompt: str = PROMPT,
        num_frames: int = 8,
        sampling: str = "uniform",
        base_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        SignInternVLConfig(prompt=prompt, num_frames=num_frames, sampling=sampling)  # the same rules hold here
        super().__init__(**kwargs)
        self.base = base
        self.base_revision = base_revision
        self.prompt = prompt
        self.num_frames = num_frames
        self.sampling = sampling
        self.base_path = base if base_path is None else base_path
        self._base_processor: Any = None

    @classmethod
    def for_model(cls, model: SignInternVLForConditionalGeneration) -> SignInternVLProcessor:
        """The processor of a model."""
        config = model.config
        return cls(
            config.base, config.base_revision, config.prompt, config.num_frames, config.sampling, model.base_path
        )

    def use_base_of(self, model: SignInternVLForConditionalGeneration) -> None:
        """Take tokenizer and picture processor from where a model has found its base."""
        if self.base_path != model.base_path:
            self.base_path, self._base_processor = model.base_path, None

    def to_dict(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().to_dict().items() if name not in ("base_path", "_base_processor")
        }

    @property
    def base_processor(self) -> Any:
        """transformers' own processor of the base; loaded when it is first needed.

        Raises:
            OSError: it cannot be had; says how to give a folder.
        """
        if self._base_processor is None:
            revision = self.base_revision if self.base_path == self.base else None
            try:
                if os.path.isabs(self.base_path) and not os.path.isdir(self.base_path):
                    raise OSError("there is no such folder")
                self._base_processor = AutoProcessor.from_pretrained(self.base_path, revision=revision or "main")
            except OSError as error:
                if os.path.isdir(self.base_path):
                    raise
                raise OSError(
                    f"The tokenizer of {self.base_path} cannot be had ({str(error).splitlines()[0].rstrip('.')}). Say where the base lies: "
                    "base_path='path/to/InternVL3-2B-hf'."
                ) from error
        return self._base_processor

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self.base_processor.tokenizer

    # ---------------------------------------------------------------------------------------------------------------- frames

    def frames(self, clip: Any) -> np.ndarray:
        """The frames that the model sees of a clip: (``num_frames``, H, W, 3) uint8, or (1, H, W, 3) of a picture.

        Args:
            clip: video or picture file (path, URL, bytes), frames (T, H, W, 3) uint8, one picture (H, W, 3), a PIL image, a
                :class:`~signlang_hf.video.Video`, or a dataset row with one of these as ``video_path``, ``video``, ``path`` or ``bytes``.

        Raises:
            FileNotFoundError, ValueError: one sentence that says what is wrong with the clip.

        Warns:
            VideoWarning: a video has fewer frames than the model sees, so some are seen more than once.
        """
        clip = _clip_of(clip)
        if isinstance(clip, Video):
            video = clip
        elif isinstance(clip, np.ndarray):
            video = as_video(clip)
        else:
            video = read_video(clip, num_frames=self._wanted)
        picture = len(video) == 1 or not np.diff(video.timestamps).any()
        if picture:
            return video.frames[:1]
        chosen = self._chosen(video)
        different = len(np.unique(chosen.timestamps))
        if different < self.num_frames:
            warnings.warn(
                f"The clip has {different} frame{'s' * (different > 1)} for the {self.num_frames} that the model sees; some are shown more than once.",
                VideoWarning,
                stacklevel=2,
            )
        return chosen.frames

    @property
    def _wanted(self) -> int:
        """Frames to be read so that the chosen ones are among them."""
        return self.num_frames * (2 if self.sampling == "middle" else 1)

    def _chosen(self, video: Video) -> Video:
        video = read_video(video, num_frames=self._wanted)
        if self.sampling == "middle":
            part = slice(self.num_frames // 2, self.num_frames // 2 + self.num_frames)
            video = Video(video.frames[part], video.timestamps[part], video.fps)
        return video

    # ---------------------------------------------------------------------------------------------------------------- inputs

    def __call__(
        self,
        clips: Any,
        prompts: str | Sequence[str] | None = None,
        answers: Sequence[str] | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Inputs for one clip or a list of clips.

        Args:
            clips: one of :meth:`frames`, or a list of them.
            prompts: what is asked, for all or for each; default :attr:`prompt`.
            answers: what the model is to learn to answer to each clip.
            padding_side: default "left", where generation goes on from the prompts' ends; "right" with answers.
            return_tensors: "pt".

        Returns:
            ``input_ids`` and ``attention_mask`` (B, T), ``pixel_values`` (all frames, 3, S, S), and with answers ``labels`` (B, T): the answer's
            tokens and the one that ends it, -100 everywhere else.

        Raises:
            ValueError: no clip, an empty answer, or as many prompts or answers as there are not clips.
        """
        clips = list(clips) if isinstance(clips, (list, tuple)) else [clips]
        if not clips:
            raise ValueError("There is no clip in the batch.")
        if return_tensors not in (None, "pt"):
            raise ValueError(f"return_tensors is {return_tensors!r}; this processor makes torch tensors, 'pt'.")
        prompts = [self.prompt if prompts is None else prompts] * len(clips) if not _many(prompts) else list(prompts)
        for what, given in (("prompts", prompts), ("answers", answers)):
            if given is not None and len(given) != len(clips):
                raise ValueError(f"There are {len(given)} {what} for {len(clips)} clips.")
        asked, pixels = zip(*(self._asked(clip, prompt) for clip, prompt in zip(clips, prompts)))
        rows = [list(ids) for ids in asked]
        labels = None
        if answers is not None:
            told = [self.answer_ids(answer) for answer in answers]
            labels = [[IGNORED] * len(ids) + answer for ids, answer in zip(rows, told)]
            rows = [ids + answer for ids, answer in zip(rows, told)]
        side = padding_side or ("left" if answers is None else "right")
        filled = {"input_ids": (rows, self._pad_token), "attention_mask": ([[1] * len(row) for row in rows], 0)}
        if labels is not None:
            filled["labels"] = (labels, IGNORED)
        batch = {name: _padded(values, fill, side) for name, (values, fill) in filled.items()}
        return BatchFeature({**batch, "pixel_values": torch.cat(pixels)})

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of an answer, with the one that ends it.

        Raises:
            ValueError: an answer without text.
        """
        if not isinstance(answer, str) or not answer.strip():
            raise ValueError(f"An answer is {answer!r}; it must be a text.")
        return [*self.tokenizer(answer.strip(), add_special_tokens=False)["input_ids"], self.end_token]

    def label_ids(self, labels: Sequence[str]) -> list[list[int]]:
        """:meth:`answer_ids` of every label of a label set.

        Raises:
            ValueError: an empty label, or two that are the same tokens.
        """
        ids = [self.answer_ids(label) for label in labels]
        LabelTrie.of(ids)
        return ids

    def only_labels(self, labels: Sequence[str], prompt_length: int) -> Any:
        """What ``generate(prefix_allowed_tokens_fn=…)`` takes so that nothing but a label of the set can come out: the fast way to the likeliest
        first tokens, which is not always the likeliest label.

        Args:
            labels: the label set.
            prompt_length: length of the ids that are given to ``generate``.
        """
        trie = LabelTrie.of(self.label_ids(labels))
        end = self.end_token

        def allowed(_: int, ids: torch.Tensor) -> list[int]:
            return trie.after(ids[prompt_length:].tolist()) or [end]

        return allowed

    def decode(self, ids: torch.Tensor, prompt_length: int = 0) -> list[str]:
        """Texts of generated ids (B, T), without what was asked and without special tokens."""
        texts = self.tokenizer.batch_decode(ids[:, prompt_length:], skip_special_tokens=True)
        return [text.strip() for text in texts]

    @property
    def end_token(self) -> int:
        """Id of the token that ends an answer: the one that ends a turn in the base's chat template."""
        return self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    @property
    def _pad_token(self) -> int:
        pad = self.tokenizer.pad_token_id
        return self.end_token if pad is None else pad

    def _asked(self, clip: Any, prompt: str) -> tuple[list[int], torch.Tensor]:
        """Ids of the prompt with the clip in it, ready for the answer, and the pixels (frames, 3, S, S)."""
        frames = self.frames(clip)
        kind = "image" if len(frames) == 1 else "video"
        content = [{"type": kind}, {"type": "text", "text": prompt}]
        text = self.base_processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        pictures: dict[str, Any] = {"videos": [frames], "do_sample_frames": False}
        if kind == "image":
            pictures = {"images": [frames[0]], "crop_to_patches": False}
        inputs = self.base_processor(text=[text], return_tensors="pt", **pictures)
        return inputs["input_ids"][0].tolist(), inputs["pixel_values"]


def _clip_of(clip: Any) -> Any:
    """The clip in a dataset's row, a picture as an array; anything else as it is."""
    if isinstance(clip, Mapping):
        for name in ("video_path", "video", "bytes", "path"):
            if clip.get(name) is not None:
                return _clip_of(clip[name])
        raise ValueError(f"A dataset row needs one of video_path, video, bytes and path; it has {', '.join(clip)}.")
    if hasattr(clip, "convert") and hasattr(clip, "mode"):
        return np.asarray(clip.convert("RGB"))
    return clip


def _many(prompts: Any) -> bool:
    return prompts is not None and not isinstance(prompts, str)


def _padded(rows: Sequence[Sequence[int]], fill: int, side: str) -> torch.Tensor:
    if side not in ("left", "right"):
        raise ValueError(f"padding_side is {side!r}; it must be 'left' or 'right'.")
    longest = max(map(len, rows))
    spare = [[fill] * (longest - len(row)) for row in rows]
    return torch.tensor([[*more, *row] if side == "left" else [*row, *more] for row, more in zip(rows, spare)])


__all__ = ["IGNORED", "SignInternVLProcessor"]
