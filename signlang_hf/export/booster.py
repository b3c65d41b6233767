"""The trees of an ensemble's booster as one ONNX operator, ``TreeEnsembleRegressor``.

Design decisions:

* The ensemble hands its booster the margins to start from, so a graph must be the trees alone. onnxmltools' converter adds XGBoost's
  own start (one number a class since XGBoost 3.1) and a softmax; writing the node ourselves is shorter than taking both out again.
* XGBoost goes left where ``value < threshold``, in float32, and a graph compares the same numbers the same way.
* What a graph cannot say (DART's weights, splits on categories) stays with XGBoost: :func:`booster_graph` then returns None.
"""

from __future__ import annotations

import json
from typing import Any

import onnx
from onnx import TensorProto, helper

_IR_VERSION = 8


def booster_graph(booster: Any) -> onnx.ModelProto | None:
    """``features`` (B, F) float32 → ``margins`` (B, C) float32, what the trees add to the logits; None where trees are not enough.

    Args:
        booster: ``xgboost.Booster``.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        return None
    model = learner["gradient_booster"]["model"]
    if any(tree["categories"] for tree in model["trees"]):
        return None
    classes = int(learner["learner_model_param"]["num_class"])
    nodes: dict[str, list[Any]] = {
        name: []
        for name in (
            "treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing_value_tracks_true",
        )
    }  # fmt: skip
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, (tree, target) in enumerate(zip(model["trees"], model["tree_info"])):
        for place, left in enumerate(tree["left_children"]):
            is_leaf = left == -1
            row = {
                "treeids": number,
                "nodeids": place,
                "featureids": 0 if is_leaf else tree["split_indices"][place],
                "values": 0.0 if is_leaf else tree["split_conditions"][place],
                "modes": "LEAF" if is_leaf else "BRANCH_LT",
                "truenodeids": 0 if is_leaf else left,
                "falsenodeids": 0 if is_leaf else tree["right_children"][place],
                "missing_value_tracks_true": 0 if is_leaf else int(tree["default_left"][place]),
            }
            for name, value in row.items():
                nodes[name].append(value)
            if is_leaf:  # XGBoost keeps a leaf's value where a split has its threshold
                for name, value in zip(leaves, (number, place, int(target), tree["split_conditions"][place])):
                    leaves[name].append(value)
    if not leaves["ids"]:
        return None
    attributes = {f"nodes_{name}": values for name, values in nodes.items()}
    attributes |= {f"target_{name}": values for name, values in leaves.items()}
    node = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["margins"], domain="ai.onnx.ml", n_targets=classes, **attributes
    )
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", int(booster.num_features())])]
    outputs = [helper.make_tensor_value_info("margins", TensorProto.FLOAT, ["batch", classes])]
    graph = helper.make_graph([node], "booster", inputs, outputs)
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="signlang_hf")


__all__ = ["booster_graph"]
