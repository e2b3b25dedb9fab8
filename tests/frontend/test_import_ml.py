"""ai.onnx.ml against onnxruntime: models as scikit-learn's converters write them, built by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from burnish.frontend.onnx import UnsupportedModelError, import_onnx
from burnish.ir import interpret, verify
from burnish.ir.errors import InputError, ModelError

F32, I64 = np.float32, np.int64
NAN = float("nan")
ROWS = np.random.default_rng(5).uniform(-1, 1, (40, 4)).astype(F32)
ROWS[3, 1] = ROWS[7, 0] = ROWS[9, 2] = NAN
ROWS[11] = 0.25


def ml_model(
    nodes: list[onnx.NodeProto], x: np.ndarray, outputs: dict[str, int], version: int = 3
) -> onnx.ModelProto:
    code = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", code, x.shape)],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def ml_node(op: str, outputs: list[str], inputs: tuple[str, ...] = ("x",), **attributes: Any):
    return helper.make_node(op, list(inputs), outputs, domain="ai.onnx.ml", **attributes)


def check(model: onnx.ModelProto, x: np.ndarray, tolerance: float = 2e-6) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    module = import_onnx(model)
    verify(module)
    outputs = interpret(module, {"x": x})
    names = [output.name for output in session.get_outputs()]
    for name, expected in zip(names, session.run(None, {"x": x}), strict=True):
        assert outputs[name].dtype == expected.dtype
        assert outputs[name].shape == expected.shape
        np.testing.assert_allclose(outputs[name], expected, tolerance, tolerance, err_msg=name)


def forest(
    leaf: Callable[[np.random.Generator], list[tuple[int, float]]],
    kind: str,
    modes: tuple[str, ...] = ("BRANCH_LEQ",),
    depth: int = 3,
    missing: bool = False,
) -> dict[str, Any]:
    """Attributes of two complete trees; ``leaf`` makes the entries of a leaf."""
    rng = np.random.default_rng(3)
    nodes: dict[str, list[Any]] = {
        name: []
        for name in [
            "treeids",
            "nodeids",
            "featureids",
            "modes",
            "values",
            "truenodeids",
            "falsenodeids",
        ]
    }
    entries: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    inner = 2**depth - 1
    for tree in range(2):
        for number in range(2 * inner + 1):
            is_leaf = number >= inner
            row = {
                "treeids": tree,
                "nodeids": number,
                "featureids": int(rng.integers(4)),
                "modes": "LEAF" if is_leaf else modes[int(rng.integers(len(modes)))],
                "values": 0.25 if rng.random() < 0.3 else float(F32(rng.uniform(-0.5, 0.5))),
                "truenodeids": 0 if is_leaf else 2 * number + 1,
                "falsenodeids": 0 if is_leaf else 2 * number + 2,
            }
            for name, value in row.items():
                nodes[name].append(value)
            for column, weight in leaf(rng) if is_leaf else []:
                entry = {"treeids": tree, "nodeids": number, "ids": column, "weights": weight}
                for name, value in entry.items():
                    entries[name].append(value)
    found = {f"nodes_{name}": values for name, values in nodes.items()}
    found |= {f"{kind}_{name}": values for name, values in entries.items()}
    if missing:
        found["nodes_missing_value_tracks_true"] = [int(i % 2) for i in range(len(nodes["modes"]))]
    return found


ALL_MODES = tuple(f"BRANCH_{mode}" for mode in ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ"))


def weights(count: int, low: float = -1.0) -> Callable[[np.random.Generator], Any]:
    return lambda rng: [(i, float(F32(rng.uniform(low, 1)))) for i in range(count)]


def one_of(count: int) -> Callable[[np.random.Generator], Any]:
    return lambda rng: [(int(rng.integers(count)), float(F32(rng.uniform(-1, 1))))]


REGRESSORS = {
    "one-target": (weights(1), 1, {}),
    "targets": (weights(3), 3, {"base_values": [0.5, 1.0, -2.0]}),
    "sparse": (one_of(2), 2, {"aggregate_function": "SUM"}),
    "average": (weights(2), 2, {"aggregate_function": "AVERAGE"}),
    "minimum": (weights(2), 2, {"aggregate_function": "MIN"}),
    "maximum": (weights(1), 1, {"aggregate_function": "MAX", "base_values": [0.25]}),
    # Of a single target onnxruntime ignores it, against the specification.
    "logistic": (weights(2), 2, {"post_transform": "LOGISTIC"}),
    "softmax": (weights(3), 3, {"post_transform": "SOFTMAX"}),
}


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("modes", [("BRANCH_LEQ",), ALL_MODES, ("BRANCH_GT",)], ids=len)
@pytest.mark.parametrize("missing", [False, True])
def test_tree_regressors(name, modes, missing):
    leaf, targets, more = REGRESSORS[name]
    attributes = forest(leaf, "target", modes, missing=missing)
    node = ml_node("TreeEnsembleRegressor", ["y"], **attributes, n_targets=targets, **more)
    check(ml_model([node], ROWS, {"y": TensorProto.FLOAT}), ROWS)


CLASSIFIERS = {
    "three-classes": (weights(3, 0.0), [0, 1, 2], {}),
    "three-classes-boosted": (weights(3), [0, 1, 2], {"post_transform": "SOFTMAX"}),
    "labels": (weights(3, 0.0), [7, -3, 50], {"base_values": [0.1, 0.2, 0.3]}),
    "binary-probability": (weights(1, 0.0), [0, 1], {}),
    "binary-boosted": (weights(1), [0, 1], {"post_transform": "LOGISTIC"}),
    "binary-boosted-base": (
        weights(1),
        [0, 1],
        {"post_transform": "LOGISTIC", "base_values": [0.125]},
    ),
    "binary-raw": (weights(1), [0, 1], {}),
}
CLASSES = {"label": TensorProto.INT64, "scores": TensorProto.FLOAT}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_tree_classifiers(name):
    leaf, labels, more = CLASSIFIERS[name]
    attributes = forest(leaf, "class", missing=True)
    more = {**more, "classlabels_int64s": labels}
    node = ml_node("TreeEnsembleClassifier", ["label", "scores"], **attributes, **more)
    check(ml_model([node], ROWS, CLASSES), ROWS)


def test_trees_on_doubles():
    x = ROWS.astype(np.float64)
    attributes = forest(weights(2), "target", ALL_MODES)
    node = ml_node("TreeEnsembleRegressor", ["y"], **attributes, n_targets=2)
    check(ml_model([node], x, {"y": TensorProto.FLOAT}), x)


ROWS_OF_NUMBERS = np.nan_to_num(ROWS)
COEFFICIENTS = [float(F32(v)) for v in np.linspace(-1, 1, 12)]
LINEAR = {
    "regressor": ("LinearRegressor", {"targets": 3, "intercepts": [0.5, 1.0, 2.0]}),
    "regressor-bare": ("LinearRegressor", {"targets": 3}),
    "classifier": ("LinearClassifier", {"classlabels_ints": [4, 5, 6], "intercepts": [0.1] * 3}),
    "classifier-softmax": (
        "LinearClassifier",
        {"classlabels_ints": [0, 1, 2], "post_transform": "SOFTMAX", "intercepts": [0.0] * 3},
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_models(name):
    op, more = LINEAR[name]
    is_classifier = op == "LinearClassifier"
    outputs = CLASSES if is_classifier else {"y": TensorProto.FLOAT}
    node = ml_node(op, list(outputs), coefficients=COEFFICIENTS, **more)
    check(ml_model([node], ROWS_OF_NUMBERS, outputs), ROWS_OF_NUMBERS, 1e-5)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_two_classes_of_two_columns(transform):
    values = [-c for c in COEFFICIENTS[:4]] + COEFFICIENTS[:4]
    more = {"coefficients": values, "classlabels_ints": [0, 1], "intercepts": [-0.25, 0.25]}
    node = ml_node("LinearClassifier", ["label", "scores"], post_transform=transform, **more)
    check(ml_model([node], ROWS_OF_NUMBERS, CLASSES), ROWS_OF_NUMBERS, 1e-5)


def test_two_classes_of_one_column():
    more = {"coefficients": COEFFICIENTS[:4], "classlabels_ints": [0, 1], "intercepts": [0.25]}
    node = ml_node("LinearClassifier", ["label", "scores"], post_transform="LOGISTIC", **more)
    check(ml_model([node], ROWS_OF_NUMBERS, CLASSES), ROWS_OF_NUMBERS, 1e-5)


@pytest.mark.parametrize("kernel", ["LINEAR", "POLY", "RBF", "SIGMOID"])
@pytest.mark.parametrize("one_class", [0, 1])
def test_support_vector_regressors(kernel, one_class):
    node = ml_node(
        "SVMRegressor",
        ["y"],
        kernel_type=kernel,
        kernel_params=[0.5, 0.25, 2.0],
        n_supports=3,
        support_vectors=COEFFICIENTS,
        coefficients=[0.5, -1.0, 0.75],
        rho=[0.125],
        one_class=one_class,
    )
    check(ml_model([node], ROWS_OF_NUMBERS, {"y": TensorProto.FLOAT}), ROWS_OF_NUMBERS, 1e-5)


PREPROCESSING = {
    "scaler": ("Scaler", {"offset": [0.5, 0, -1, 2.0], "scale": [2.0, 1, 0.5, 3]}),
    "scaler-one": ("Scaler", {"offset": [0.5], "scale": [2.0]}),
    "l1": ("Normalizer", {"norm": "L1"}),
    "l2": ("Normalizer", {"norm": "L2"}),
    "binarizer": ("Binarizer", {"threshold": 0.25}),
    "imputer": (
        "Imputer",
        {"imputed_value_floats": [1.0, 2, 3, 4], "replaced_value_float": NAN},
    ),
    "imputer-one": ("Imputer", {"imputed_value_floats": [9.0], "replaced_value_float": 0.25}),
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_preprocessing(name):
    op, attributes = PREPROCESSING[name]
    x = ROWS if op == "Imputer" else ROWS_OF_NUMBERS
    check(ml_model([ml_node(op, ["y"], **attributes)], x, {"y": TensorProto.FLOAT}), x, 1e-5)


def test_maximum_norm_of_positive_rows():
    x = np.abs(ROWS_OF_NUMBERS) + F32(0.1)
    node = ml_node("Normalizer", ["y"], norm="MAX")
    check(ml_model([node], x, {"y": TensorProto.FLOAT}), x)


LABELS = np.array([[3, 1, 8], [1, 0, 5]], I64)
ENCODERS = {
    "to-ints": ({"keys_int64s": [1, 3, 5], "values_int64s": [7, 8, 9], "default_int64": -5}, I64),
    "to-floats": ({"keys_int64s": [1, 3], "values_floats": [0.5, 1.5]}, F32),
    "of-floats": ({"keys_floats": [0.0, 3.0], "values_int64s": [4, 2]}, I64),
    "of-nan": ({"keys_floats": [NAN, 3.0], "values_int64s": [4, 2]}, I64),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_label_encoders(name):
    attributes, result = ENCODERS[name]
    x = LABELS if "keys_int64s" in attributes else LABELS.astype(F32)
    if name == "of-nan":
        x[0, 0] = NAN
    kinds = {"y": helper.np_dtype_to_tensor_dtype(np.dtype(result))}
    check(ml_model([ml_node("LabelEncoder", ["y"], **attributes)], x, kinds, version=4), x)


def test_one_hot_encoder():
    node = ml_node("OneHotEncoder", ["y"], cats_int64s=[0, 1, 5], zeros=1)
    check(ml_model([node], LABELS, {"y": TensorProto.FLOAT}), LABELS)
    node = ml_node("OneHotEncoder", ["y"], cats_int64s=[0, 1, 5], zeros=0)
    module = import_onnx(ml_model([node], LABELS, {"y": TensorProto.FLOAT}))
    with pytest.raises(InputError, match="categories"):
        interpret(module, {"x": LABELS})


def test_a_pipeline_ends_in_unlabelled_scores():
    """As scikit-learn's converters write it: scaler, classifier, normalizer, ZipMap."""
    nodes = [
        ml_node("Scaler", ["s"], offset=[0.0], scale=[2.0]),
        ml_node(
            "LinearClassifier",
            ["label", "raw"],
            ("s",),
            coefficients=COEFFICIENTS,
            classlabels_ints=[0, 1, 2],
            intercepts=[0.0, 0.5, 1.0],
            post_transform="LOGISTIC",
        ),
        ml_node("Normalizer", ["p"], ("raw",), norm="L1"),
        ml_node("ZipMap", ["scores"], ("p",), classlabels_int64s=[0, 1, 2]),
    ]
    plain = ml_model(nodes[:3], ROWS_OF_NUMBERS, {"label": TensorProto.INT64, "p": 1})
    zipped = ml_model(nodes, ROWS_OF_NUMBERS, {"label": TensorProto.INT64})
    zipped.graph.output.append(onnx.ValueInfoProto(name="scores"))
    check(plain, ROWS_OF_NUMBERS, 1e-5)
    expected = interpret(import_onnx(plain), {"x": ROWS_OF_NUMBERS})["p"]
    actual = interpret(import_onnx(zipped), {"x": ROWS_OF_NUMBERS})["scores"]
    np.testing.assert_array_equal(actual, expected)


def broken(**changes: Any) -> onnx.ModelProto:
    attributes = {**forest(weights(1), "target", depth=2), "n_targets": 1, **changes}
    node = ml_node("TreeEnsembleRegressor", ["y"], **attributes)
    return ml_model([node], ROWS, {"y": TensorProto.FLOAT})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes_truenodeids": [1, 0, 5, *[0] * 11]}, "roots|twice|tree"),
        ({"nodes_truenodeids": [1, 3, 3, *[0] * 11]}, "twice|roots"),
        ({"nodes_truenodeids": [99, 3, 5, *[0] * 11]}, "roots|no node"),
        ({"nodes_values": [0.5]}, "nodes_values has 1 entries"),
        ({"nodes_modes": ["BRANCH_UP"] * 14}, "BRANCH_UP"),
        ({"aggregate_function": "MEDIAN"}, "aggregate_function"),
    ],
)
def test_broken_trees_are_reported(changes, message):
    with pytest.raises(ModelError, match=message):
        import_onnx(broken(**changes))


def test_strings_are_refused():
    node = ml_node("TreeEnsembleClassifier", ["label", "scores"], classlabels_strings=["a", "b"])
    with pytest.raises(UnsupportedModelError, match="class labels are strings"):
        import_onnx(ml_model([node], ROWS, CLASSES))
