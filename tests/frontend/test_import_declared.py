"""Shapes, axes and counts handed over at run time: the declared shape of the output decides.

Every case runs with values that fit, where ONNX's reference must agree, and with values that do
not, which must be an error.  With the values as initializers the same model needs no check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from burnish.frontend.onnx import import_onnx
from burnish.ir import interpret, verify
from burnish.ir.errors import InputError, ModelError, UnsupportedError

F32, I64 = np.float32, np.int64
Arrays = Mapping[str, np.ndarray]


def ints(*values: int) -> np.ndarray:
    return np.array(values, I64)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(-2, 2, shape).astype(F32)


@dataclass
class Case:
    """A node on ``x`` and run-time operands; ``wrong`` replaces one operand by a bad value.

    ``result`` stands for what ONNX's reference cannot compute.
    """

    op: str
    x: np.ndarray
    operands: Sequence[np.ndarray | None]
    wrong: tuple[int, np.ndarray]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 18
    result: np.ndarray | None = None

    def model(self, *, declared: bool = True, constant: bool = False) -> onnx.ModelProto:
        names = ["x"] + ["" if v is None else f"v{i}" for i, v in enumerate(self.operands)]
        values = {f"v{i}": v for i, v in enumerate(self.operands) if v is not None}
        code = helper.np_dtype_to_tensor_dtype
        inputs = {"x": self.x, **({} if constant else values)}
        outputs = [f"y{i}" for i in range(self.outputs)]
        graph = helper.make_graph(
            [helper.make_node(self.op, names, outputs, "node", **self.attributes)],
            "test",
            [helper.make_tensor_value_info(n, code(a.dtype), a.shape) for n, a in inputs.items()],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(v, n) for n, v in values.items()] if constant else [],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 10
        if declared:
            for output, array in zip(graph.output, self.expected(model).values(), strict=True):
                info = helper.make_tensor_value_info(output.name, code(array.dtype), array.shape)
                output.CopyFrom(info)
            model.graph.CopyFrom(graph)
        return model

    def inputs(self) -> dict[str, np.ndarray]:
        return {"x": self.x, **{f"v{i}": v for i, v in enumerate(self.operands) if v is not None}}

    def expected(self, model: onnx.ModelProto) -> dict[str, np.ndarray]:
        names = [output.name for output in model.graph.output]
        if self.result is not None:
            return {names[0]: self.result}
        taken = {value.name for value in model.graph.input}
        inputs = {name: value for name, value in self.inputs().items() if name in taken}
        return dict(zip(names, ReferenceEvaluator(model).run(None, inputs), strict=True))


CUBE = numbers(2, 3, 4)
CASES = {
    "reshape": Case("Reshape", CUBE, [ints(0, -1)], (0, ints(3, -1))),
    "reshape-whole": Case("Reshape", CUBE, [ints(4, 6)], (0, ints(6, 4))),
    "squeeze": Case("Squeeze", numbers(1, 3, 1), [ints(-1)], (0, ints(1))),
    "unsqueeze": Case("Unsqueeze", numbers(2, 3), [ints(0, -1)], (0, ints(0, 1))),
    "expand": Case("Expand", numbers(3, 1), [ints(2, 1, 4)], (0, ints(2, 1, 5))),
    "expand-keeps": Case("Expand", CUBE, [ints(1)], (0, ints(8))),
    "tile": Case("Tile", numbers(2, 3), [ints(2, 1)], (0, ints(1, 2))),
    "reduce": Case("ReduceL2", numbers(3, 3, 2), [ints(1)], (0, ints(2)), {"keepdims": 0}),
    "reduce-first": Case("ReduceMax", numbers(3, 3), [ints(-2)], (0, ints(7)), {"keepdims": 0}),
    "reduce-twice": Case("ReduceSum", CUBE, [ints(0, 2)], (0, ints(0, 0))),
    "cumulative": Case("CumSum", numbers(3, 3), [np.array(-1, I64)], (0, np.array(5, I64))),
    "top-k": Case("TopK", numbers(2, 5), [ints(3)], (0, ints(2)), outputs=2),
    "split": Case("Split", numbers(5, 2), [ints(2, 3)], (0, ints(3, 2)), outputs=2),
    "slice": Case(
        "Slice", numbers(5, 6), [ints(1, -1), ints(99, -9), ints(0, 1), ints(2, -2)],
        (0, ints(2, 1)),
    ),
    "slice-axes": Case(
        "Slice", numbers(4, 4), [ints(1), ints(3), ints(1)], (2, ints(0))
    ),
    "slice-nothing": Case("Slice", numbers(4, 2), [ints(3), ints(1)], (1, ints(4))),
    "pad": Case("Pad", numbers(2, 3), [ints(1, 0, 0, 2)], (0, ints(1, 1, 0, 2))),
    "pad-crops": Case(
        "Pad", numbers(3, 4), [ints(-1, 2, 1, -1), np.array(7, F32)], (0, ints(0, 0, 0, 0)),
        result=np.pad(numbers(3, 4)[1:, :-1], ((0, 1), (2, 0)), constant_values=7),
    ),
    "pad-edge": Case(
        "Pad", numbers(3, 2), [ints(3, 1), None, ints(-2)], (2, ints(1)), {"mode": "edge"}
    ),
    "pad-reflect": Case(
        "Pad", numbers(2, 4), [ints(0, 3, 0, 2)], (0, ints(0, 2, 0, 2)), {"mode": "reflect"}
    ),
    "constant-of-shape": Case("ConstantOfShape", ints(2, 3), [], (-1, ints(3, 2))),
    "one-hot": Case(
        "OneHot", ints(1, 0, -1), [np.array(3, I64), np.array([0.5, 2], F32)],
        (0, np.array(2, I64)),
    ),
    "resize-sizes": Case(
        "Resize", numbers(1, 1, 3, 4), [None, None, ints(1, 1, 6, 2)], (2, ints(1, 1, 2, 6)),
        {"mode": "linear"},
    ),
    "resize-scales": Case(
        "Resize", numbers(1, 1, 4, 4), [None, np.array([1, 1, 0.8, 1.6], F32)],
        (1, np.array([1, 1, 1.6, 0.8], F32)), {"mode": "cubic"},
    ),
    "resize-nearest": Case(
        "Resize", numbers(1, 1, 3, 3), [None, np.array([1, 1, 2.5, 0.7], F32)],
        (1, np.array([1, 1, 2, 0.7], F32)), {"mode": "nearest"},
    ),
    "center-crop-pad": Case("CenterCropPad", numbers(4, 3), [ints(3, 6)], (0, ints(4, 6))),
    "non-zero": Case("NonZero", np.array([[1, 0], [2, 3]], F32), [], (-1, np.zeros((2, 2), F32))),
    "compress": Case(
        "Compress", numbers(4, 2), [np.array([True, False, True])], (0, np.ones(3, bool)),
        {"axis": 0},
    ),
    "unique": Case(
        "Unique", np.array([3, 1, 3, 2], F32), [], (-1, np.zeros(4, F32)), {"sorted": 0}, 4
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_that_fit(name: str) -> None:
    case = CASES[name]
    model = case.model()
    module = import_onnx(model)
    verify(module)
    actual = interpret(module, case.inputs())
    for output, expected in case.expected(model).items():
        np.testing.assert_allclose(actual[output], expected, 1e-5, 1e-6, err_msg=output)


@pytest.mark.parametrize("name", CASES)
def test_values_that_do_not_fit(name: str) -> None:
    case = CASES[name]
    position, value = case.wrong
    wrong = {**case.inputs(), "x" if position < 0 else f"v{position}": value}
    with pytest.raises(InputError, match="needs"):
        interpret(import_onnx(case.model()), wrong)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.operands])
def test_initializers_need_no_check(name: str) -> None:
    case = CASES[name]
    model = case.model(constant=True)
    module = import_onnx(model)
    assert not any(op.name == "control.require" for op in module.walk())
    actual = interpret(module, {"x": case.x})
    for output, expected in case.expected(model).items():
        np.testing.assert_allclose(actual[output], expected, 1e-5, 1e-6, err_msg=output)


UNDECLARED = [n for n in CASES if CASES[n].op not in ("NonZero", "Compress", "Unique", "CumSum")]


@pytest.mark.parametrize("name", UNDECLARED)
def test_without_a_declared_shape_the_node_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedError, match="does not declare the shape of its output"):
        import_onnx(CASES[name].model(declared=False))


@pytest.mark.parametrize("name", ["non-zero", "compress", "unique"])
def test_without_a_declared_shape_the_op_defines_a_size(name: str) -> None:
    case = CASES[name]
    model = case.model(declared=False)
    module = import_onnx(model)
    verify(module)
    assert module.symbols == {"node_count": (0, case.inputs()["v0" if case.operands else "x"].size)}
    actual = interpret(module, case.inputs())
    for output, expected in case.expected(model).items():
        np.testing.assert_allclose(actual[output], expected, 1e-5, 1e-6, err_msg=output)


def test_a_declared_shape_that_cannot_be_is_an_error() -> None:
    model = CASES["reshape"].model()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 13
    with pytest.raises(Exception, match="24 elements"):
        import_onnx(model)
    model = CASES["squeeze"].model()
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 5
    with pytest.raises(ModelError, match="no 1 axes give the declared shape"):
        import_onnx(model)


def test_a_shape_declared_behind_elementwise_nodes_counts() -> None:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Range", ["zero", "n", "one"], ["r"]),
            helper.make_node("Mul", ["r", "n"], ["s"]),
            helper.make_node("Cos", ["s"], ["y"]),
        ],
        "test",
        [info("n", 1, [])],
        [info("y", 1, [4])],
        [numpy_helper.from_array(np.array(v, F32), n) for n, v in (("zero", 0), ("one", 1))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    module = import_onnx(model)
    np.testing.assert_allclose(
        interpret(module, {"n": np.array(4, F32)})["y"], np.cos(np.arange(4) * 4), rtol=1e-5
    )
    with pytest.raises(InputError, match=r"number of elements is \[5\]"):
        interpret(module, {"n": np.array(5, F32)})


def test_a_shape_computed_from_an_input_is_solved_for() -> None:
    """The crop is as large as the output; how the bounds come from ``n`` is arithmetic."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["size", "n"], ["rest"]),
            helper.make_node("Div", ["rest", "two"], ["start"]),
            helper.make_node("Add", ["start", "n"], ["end"]),
            helper.make_node("ConstantOfShape", ["n"], ["zeros"]),
            helper.make_node("Concat", ["zeros", "x"], ["long"], axis=0),
            helper.make_node("Slice", ["long", "start", "end"], ["y"]),
        ],
        "test",
        [info("x", 1, [8]), info("n", 7, [1])],
        [info("y", 1, [4])],
        [numpy_helper.from_array(ints(v), n) for n, v in (("size", 12), ("two", 2))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    module = import_onnx(model)
    verify(module)
    x = numbers(8)
    y = interpret(module, {"x": x, "n": ints(4)})["y"]
    np.testing.assert_array_equal(y, np.concatenate([np.zeros(4, F32), x])[4:8])
    with pytest.raises(InputError, match=r'its input "n" is \[5\], but .* needs \[4\]'):
        interpret(module, {"x": x, "n": ints(5)})
