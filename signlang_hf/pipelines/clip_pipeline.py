"""What our pipelines share (:class:`SignPipeline`), and what those that look at clips do (:class:`ClipPipeline`).

Design decisions:

* The pose estimator is made when the first picture comes in, so landmark files never need one.
* A dataset is gone through lazily, row by row: clips of a long one need not fit into memory.
* Model and processor that were not saved together are refused when the pipeline is made, not at the first clip.
* A misspelt call argument is an error. transformers would pass it over in silence.
* A folder is read clip by clip, and one that cannot be read is an entry of the answer: the others are not lost for it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

from transformers import Pipeline

from ..landmarks import LandmarkSequence
from ..pose import PoseEstimator, default_estimator
from .clip_files import UNREADABLE, clip_files
from .inputs import to_landmarks, with_clock_and_size

NOBODY = "Nobody was found in this clip."
"""The message of an answer about a clip that shows no person."""
_OF_TRANSFORMERS = ("batch_size", "num_workers")  # call arguments that never reach ours


class SignPipeline(Pipeline):
    """Base of all our pipelines: a model and its processor, datasets row by row, checked call arguments, and saving.

    Raises:
        ValueError: no processor of ours, or one that does not go with the model.
    """

    task_name: ClassVar[str]
    """Name under which the pipeline is registered, for messages."""
    arguments: ClassVar[tuple[str, ...]]
    """Call arguments that the pipeline knows."""
    needs: ClassVar[tuple[str, str]] = ("SignKeypointProcessor", "layout")
    """Which processor goes with the model, for messages, and an attribute to know it by; where a model knows better, its own ``needs``."""
    part: ClassVar[str] = "feature_extractor"
    """What transformers calls a processor of this kind."""

    _load_processor = False
    _load_feature_extractor = True
    _load_image_processor = False
    _load_video_processor = False
    _load_tokenizer = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name, attribute = getattr(self.model, "needs", self.needs)
        found = getattr(self, self.part)
        if not hasattr(found, attribute):
            given = "none" if found is None else type(found).__name__
            raise ValueError(f"{self.task_name} needs a {name} as {self.part}; got {given}.")

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        if type(inputs).__module__.partition(".")[0] == "datasets" and not isinstance(inputs, Mapping):
            return list(super().__call__((row for row in inputs), **kwargs))  # lazily, row by row
        return super().__call__(list(inputs) if isinstance(inputs, tuple) else inputs, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save model and processor. Unlike in transformers the pipeline's code stays here: a folder that brings its own
        would only load with ``trust_remote_code=True``."""
        self.model.save_pretrained(save_directory, **kwargs)
        getattr(self, self.part).save_pretrained(save_directory, **kwargs)

    def _given(self, given: Mapping[str, Any], nullable: Sequence[str] = ()) -> dict[str, Any]:
        """Call arguments that were said: without those that are None, unless None is an answer (``nullable``).

        Raises:
            TypeError: an argument that the pipeline does not know.
            ValueError: an ``fps`` that is no rate.
        """
        foreign = [name for name in given if name not in self.arguments]
        if foreign:
            raise TypeError(
                f"{self.task_name} does not know {', '.join(foreign)}; it takes {', '.join(self.arguments)} and batch_size."
            )
        said = {name: value for name, value in given.items() if value is not None or name in nullable}
        if not is_number(said.get("fps", 25)) or said.get("fps", 25) <= 0:
            raise ValueError(f"fps is {said['fps']!r}; it must be a positive number.")
        return said


class ClipPipeline(SignPipeline):
    """Base of the pipelines that take clips: a video or image file (path, URL, bytes), a ``.npz``/``.pose``/``.npy`` landmark
    file, RGB frames (T, H, W, 3) uint8, one RGB image, a ``LandmarkSequence``, a dataset row; or a list, a dataset or one of
    its columns.

    The path of a folder is that of all videos and landmark files in it and its sub-folders, in the order of their names. The answer is
    a list, one entry a clip: ``{"file", …}`` with the clip's own answer (a list as its ``predictions``), or ``{"file", "error"}``
    where it cannot be read.

    Args:
        estimator: finds landmarks in pictures; default: MediaPipe, made when it is needed.
    """

    def __init__(self, *args: Any, estimator: PoseEstimator | None = None, **kwargs: Any) -> None:
        self._estimator = estimator
        super().__init__(*args, **kwargs)
        size = getattr(self.model.config, "input_size", None)
        if size is not None and size != self.feature_extractor.feature_size:
            raise ValueError(
                f"The model takes {size} features a frame, the processor makes {self.feature_extractor.feature_size}; "
                "they were not saved together."
            )

    @property
    def estimator(self) -> PoseEstimator:
        """The pose estimator; made when the first picture comes in, so landmark files never need one."""
        if self._estimator is None:
            self._estimator = default_estimator()
        return self._estimator

    def landmarks(self, clip: Any, fps: float | None = None) -> LandmarkSequence:
        """Landmarks of one input, in the layout that it has or that the estimator finds; errors as
        :func:`~signlang_hf.pipelines.inputs.to_landmarks`."""
        if _is_folder(clip):
            raise ValueError(f"{clip} is a folder; give it by itself, not in a list, and each of its clips is read.")
        return to_landmarks(clip, lambda: self.estimator, layout=self.feature_extractor.layout, fps=fps)

    def ready(self, **arguments: Any) -> None:
        """Check call arguments before there is a clip: for callers who would take a mistake in them for one of every clip."""
        self._sanitize_parameters(**arguments)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        if _is_folder(inputs):
            return self._read_folder(os.fspath(inputs), kwargs)
        inputs = with_clock_and_size(inputs)
        if isinstance(inputs, (list, tuple)) and len(inputs) == 0:
            return []
        return super().__call__(inputs, **kwargs)

    def _read_folder(self, folder: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        files = list(clip_files(folder))
        self.ready(**{name: value for name, value in arguments.items() if name not in _OF_TRANSFORMERS})
        rows = []
        for file in files:
            try:
                answer = self(file, **arguments)
                rows.append({"file": file, **(answer if isinstance(answer, Mapping) else {"predictions": answer})})
            except UNREADABLE as error:
                rows.append({"file": file, "error": str(error)})
        return rows


def _is_folder(inputs: Any) -> bool:
    return isinstance(inputs, (str, os.PathLike)) and os.path.isdir(inputs)


def is_number(value: Any) -> bool:
    """Whether a call argument is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def dealt(given: Mapping[str, Any], *steps: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The arguments of each step, by their names: what ``_sanitize_parameters`` returns."""
    return tuple({name: given[name] for name in names if name in given} for names in steps)
