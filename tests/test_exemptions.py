"""Which model is excused from which common check. A new exemption has to be added here, in sight of everybody."""

from __future__ import annotations

import importlib
from pathlib import Path

from common import SignModelTests

EXEMPTIONS = {
    ("TestSignBiLSTM", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
    ("TestSignBiLSTM", "test_gradient_accumulation_equals_one_batch"): (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    ("TestSignBiLSTMWithZoneout", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
    ("TestSignBiLSTMWithZoneout", "test_gradient_accumulation_equals_one_batch"): (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    ("TestSignCTC", "test_eager_equals_sdpa"): "there is no attention in it",
    ("TestSignCTC", "test_generation_with_cache_equals_without"): (
        "the frames of a clip are labelled at once, nothing is generated"
    ),
    ("TestSignCTCCausal", "test_eager_equals_sdpa"): "there is no attention in it",
    ("TestSignCTCCausal", "test_generation_with_cache_equals_without"): (
        "the frames of a clip are labelled at once, nothing is generated"
    ),
    ("TestSignCTCCausal", "test_remote_code_without_the_library"): (
        "its files are those of TestSignCTC, and the check takes long"
    ),
    ("TestSignCTCWithEveryLoss", "test_eager_equals_sdpa"): "there is no attention in it",
    ("TestSignCTCWithEveryLoss", "test_generation_with_cache_equals_without"): (
        "the frames of a clip are labelled at once, nothing is generated"
    ),
    ("TestSignCTCWithEveryLoss", "test_remote_code_without_the_library"): (
        "its files are those of TestSignCTC, and the check takes long"
    ),
    ("TestSignConv", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
    ("TestSignConv", "test_gradient_accumulation_equals_one_batch"): (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    ("TestSignDetector", "test_eager_equals_sdpa"): "there is no attention in it",
    ("TestSignDetector", "test_generation_with_cache_equals_without"): "points are found, nothing is generated",
    ("TestSignDetector", "test_gradient_accumulation_equals_one_batch"): (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    ("TestSignDetector", "test_gradient_checkpointing_changes_nothing"): (
        "batch norm would count every picture twice, so it is not offered"
    ),
    ("TestSignDetector", "test_padded_equals_alone"): "pictures have one size, there is no time to pad",
    ("TestSignDetectorFocal", "test_eager_equals_sdpa"): "there is no attention in it",
    ("TestSignDetectorFocal", "test_generation_with_cache_equals_without"): "points are found, nothing is generated",
    ("TestSignDetectorFocal", "test_gradient_accumulation_equals_one_batch"): (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    ("TestSignDetectorFocal", "test_gradient_checkpointing_changes_nothing"): (
        "batch norm would count every picture twice, so it is not offered"
    ),
    ("TestSignDetectorFocal", "test_padded_equals_alone"): "pictures have one size, there is no time to pad",
    ("TestSignDetectorFocal", "test_remote_code_without_the_library"): (
        "its files are those of TestSignDetector, and the check takes long"
    ),
    ("TestSignDetectorSimCC", "test_eager_equals_sdpa"): "there is no attention in it",
    ("TestSignDetectorSimCC", "test_generation_with_cache_equals_without"): "points are found, nothing is generated",
    ("TestSignDetectorSimCC", "test_gradient_accumulation_equals_one_batch"): (
        "batch norm measures each batch, so four small batches are not one large one"
    ),
    ("TestSignDetectorSimCC", "test_gradient_checkpointing_changes_nothing"): (
        "batch norm would count every picture twice, so it is not offered"
    ),
    ("TestSignDetectorSimCC", "test_padded_equals_alone"): "pictures have one size, there is no time to pad",
    ("TestSignDetectorSimCC", "test_remote_code_without_the_library"): (
        "its files are those of TestSignDetector, and the check takes long"
    ),
    ("TestSignEnsemble", "test_base_model_loads_from_the_same_folder"): (
        "an ensemble has no encoder of its own; each member's is in its folder"
    ),
    ("TestSignEnsemble", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
    ("TestSignEnsemble", "test_onnx_equals_torch_at_another_size"): (
        "the trees of XGBoost are outside torch's graph; members export one by one"
    ),
    ("TestSignEnsemble", "test_remote_code_without_the_library"): (
        "an ensemble has no AutoModel; the rest of the check is in its own test file"
    ),
    ("TestSignHybrid", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
    ("TestSignInternVL", "test_base_model_loads_from_the_same_folder"): "the base is not in the folder, which names it",
    ("TestSignInternVL", "test_loss_is_finite_and_every_parameter_learns"): (
        "only the adapter learns; which weights that are is in its own test file"
    ),
    ("TestSignInternVL", "test_onnx_equals_torch_at_another_size"): (
        "merged, it is an InternVL of transformers and not ours to export"
    ),
    ("TestSignInternVL", "test_padded_equals_alone"): (
        "prompts are padded on the left; scores of a batch against single ones are in its own test file"
    ),
    ("TestSignInternVL", "test_remote_code_without_the_library"): (
        "it has no AutoModel; the rest of the check is in its own test file"
    ),
    ("TestSignInternVL", "test_unknown_label_raises"): "what it learns from are tokens, which the processor makes",
    ("TestSignTransformer", "test_generation_with_cache_equals_without"): "a classifier generates nothing",
    ("TestSignTranslation", "test_base_model_loads_from_the_same_folder"): (
        "it has no encoder of its own; each member's is in its folder"
    ),
    ("TestSignTranslation", "test_eager_equals_sdpa"): "neither member has attention that sdpa computes",
    ("TestSignTranslation", "test_loss_is_finite_and_every_parameter_learns"): (
        "glosses are chosen, so the recogniser gets no gradient; its own test"
    ),
    ("TestSignTranslation", "test_onnx_equals_torch_at_another_size"): (
        "glosses are chosen in Python; members export one by one"
    ),
    ("TestSignTranslation", "test_pipeline_on_one_a_list_and_a_batch"): (
        "its pipeline gives text, not labels with scores; it has its own tests"
    ),
    ("TestSignTranslation", "test_remote_code_without_the_library"): (
        "it has no AutoModel; the rest of the check is in its own test file"
    ),
    ("TestSignTranslator", "test_eager_equals_sdpa"): "Bahdanau's attention is additive; sdpa computes another one",
    ("TestSignTranslator", "test_onnx_equals_torch_at_another_size"): (
        "the loop over words has no free length; encoder and one decoder step export, see its own test"
    ),
    ("TestSignTranslator", "test_pipeline_on_one_a_list_and_a_batch"): (
        "its pipeline gives text, not labels with scores; it has its own tests"
    ),
    (
        "TestSignTranslatorEnsemble",
        "test_base_model_loads_from_the_same_folder",
    ): "an ensemble has no encoder of its own",
    ("TestSignTranslatorEnsemble", "test_eager_equals_sdpa"): (
        "Bahdanau's attention is additive; sdpa computes another one"
    ),
    ("TestSignTranslatorEnsemble", "test_onnx_equals_torch_at_another_size"): "members export one by one",
    ("TestSignTranslatorEnsemble", "test_pipeline_on_one_a_list_and_a_batch"): (
        "its pipeline gives text, not labels with scores; it has its own tests"
    ),
    ("TestSignTranslatorEnsemble", "test_remote_code_without_the_library"): (
        "it has no AutoModel; a single translator's code is checked"
    ),
}


def test_exemptions_are_the_agreed_ones() -> None:
    for file in Path(__file__).parent.glob("models/test_*.py"):
        importlib.import_module(f"models.{file.stem}")
    found = {
        (tests.__name__, check): reason
        for tests in _subclasses(SignModelTests)
        if tests.__name__.startswith("Test")
        for check, reason in tests.exemptions.items()
    }
    assert found == EXEMPTIONS
    assert all(hasattr(SignModelTests, check) for _, check in found)


def _subclasses(tests: type[SignModelTests]) -> list[type[SignModelTests]]:
    return [found for one in tests.__subclasses__() for found in (one, *_subclasses(one))]
