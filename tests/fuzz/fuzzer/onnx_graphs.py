"""Random ONNX graphs, each node run by onnxruntime as it is added.

So every value is known while the graph grows: what onnxruntime refuses is no node, makers choose
operands by their numbers, and each node's results are at hand when one must be blamed.  Runs in a
process of its own (:mod:`onnx_worker`): onnxruntime may crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from burnish.ir import Array, DType

from .data import numbers, random_shape

OPSET = 26
"""The newest that onnxruntime loads."""

IR_VERSION = 10
MOST = 400
"""Elements of a value."""

_STATE = onnxruntime.capi.onnxruntime_pybind11_state
REFUSALS = (
    _STATE.Fail,
    _STATE.InvalidArgument,
    _STATE.InvalidGraph,
    _STATE.NotImplemented,
    _STATE.RuntimeException,
)
"""How onnxruntime says that it has no kernel for an op, an element type or a rank."""

FLOATS = ("f32", "f32", "f32", "f32", "f64", "f16")
INTEGERS = ("i32", "i64", "i8", "u8", "i16", "u16", "u32", "u64")


class RefusedError(Exception):
    """onnxruntime does not run a node, or its results are not worth having."""


@dataclass
class Drawn:
    """A random graph, as a model, with the inputs and the results of every node."""

    model: bytes
    inputs: dict[str, Array]
    results: dict[str, Array]
    known: dict[str, Array]
    """Every value by name."""


@dataclass
class OnnxGraph:
    """Nodes under construction, with what they evaluate to."""

    random: Random
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    known: dict[str, Array] = field(default_factory=dict)
    leaves: list[str] = field(default_factory=list)
    """Values that no node makes: inputs or initializers."""
    fixed: set[str] = field(default_factory=set)
    """Leaves that must be initializers: they decide shapes."""
    constant: set[str] = field(default_factory=set)
    """Leaves that are initializers by choice."""
    made: list[str] = field(default_factory=list)

    def coin(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def choice(self, options: Sequence[Any]) -> Any:
        return self.random.choice(options)

    def size(self, low: int = 1, high: int = 5) -> int:
        return self.random.randint(low, high)

    def dtype(self, among: Sequence[str] = (*FLOATS, *INTEGERS)) -> str:
        return "f32" if "f32" in among and self.coin(0.5) else self.choice(among)

    def shape(self, rank: int | None = None, low: int = 0) -> tuple[int, ...]:
        rank = self.choice([0, 1, 1, 2, 2, 3, 3, 4]) if rank is None else rank
        return random_shape(self.random, max(rank, low), MOST)

    def axis(self, name: str) -> int:
        """An axis of a value, counted from either end."""
        rank = self.known[name].ndim
        return self.random.randrange(-rank, rank)

    # Values -------------------------------------------------------------------------------

    def leaf(self, array: Any, *, fixed: bool = False) -> str:
        """New data; ``fixed`` if shapes depend on it."""
        name = f"x{len(self.leaves)}"
        self.leaves.append(name)
        self.known[name] = np.asarray(array)
        if fixed:
            self.fixed.add(name)
        elif self.coin(0.4):
            self.constant.add(name)
        return name

    def data(self, shape: Sequence[int], dtype: str = "f32", scale: float = 2.0) -> str:
        kind = DType.parse(dtype)
        return self.leaf(numbers(self.random, tuple(shape), kind, special=False, scale=scale))

    def uniform(self, shape: Sequence[int], low: float, high: float, dtype: str = "f32") -> str:
        rng = np.random.default_rng(self.random.getrandbits(32))
        kind = DType.parse(dtype).numpy
        values = rng.uniform(low, high, tuple(shape))
        return self.leaf(
            values.astype(kind) if kind.kind not in "iu" else np.floor(values).astype(kind)
        )

    def integers(
        self, values: Sequence[int] | int, dtype: str = "i64", *, fixed: bool = True
    ) -> str:
        return self.leaf(np.array(values, DType.parse(dtype).numpy), fixed=fixed)

    def pick(self, fits: Callable[[Array], bool]) -> str | None:
        fitting = [
            n for n in (*self.leaves, *self.made) if fits(self.known[n]) and n not in self.fixed
        ]
        if not fitting:
            return None
        count = len(fitting)
        return fitting[max(self.random.randrange(count), self.random.randrange(count))]

    def value(
        self,
        dtypes: Sequence[str] = (*FLOATS, *INTEGERS),
        *,
        rank: int | None = None,
        low: int = 0,
    ) -> str:
        kinds = {DType.parse(d).numpy for d in dtypes}

        def fits(x: Array) -> bool:
            return x.dtype in kinds and (x.ndim == rank if rank is not None else x.ndim >= low)

        found = self.pick(fits) if self.coin(0.75) else None
        return found or self.data(self.shape(rank, low), self.dtype(dtypes))

    def text(self, name: str) -> str:
        """The element type of a value, as IR text."""
        return DType.from_numpy(self.known[name].dtype).text

    def like(self, shape: Sequence[int], dtype: str) -> str:
        kind = DType.parse(dtype).numpy
        found = None
        if self.coin(0.4):
            found = self.pick(lambda x: x.shape == tuple(shape) and x.dtype == kind)
        return found or self.data(shape, dtype)

    def partner(self, name: str, dtype: str | None = None) -> str:
        """An operand that broadcasts with the value."""
        shape = self.known[name].shape
        dtype = dtype or self.text(name)
        if self.coin(0.3):
            return self.like(shape, dtype)
        cut = shape[self.random.randrange(len(shape) + 1) :]
        kept = [d if self.coin() else 1 for d in cut]
        return self.like([self.size(1, 4) if d == 1 and self.coin(0.3) else d for d in kept], dtype)

    # Nodes --------------------------------------------------------------------------------

    def node(
        self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any
    ) -> list[str]:
        """Add a node; its results are known at once.

        Raises:
            RefusedError: onnxruntime does not run it, or a result is NaN or large.
        """
        names = [f"y{len(self.made) + i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, **attributes)
        given = {n: self.known[n] for n in inputs if n}
        results = run_model(one_node(node, given), given)
        for array in results:
            # Of NaN and infinities onnxruntime's kernels make what they like.
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise RefusedError("a result is not finite")
            if array.size > 3 * MOST:
                raise RefusedError("a result is large")
        self.nodes.append(node)
        self.known.update(zip(names, results))
        self.made += names
        return names

    def _vary(self) -> None:
        """Make inputs of initializers that would be all that a node reads.

        The importer would compute it, and its rounding errors were no longer to be seen.
        """
        varying = {n for n in self.leaves if n not in self.fixed | self.constant}
        for node in self.nodes:
            if not varying.intersection(node.input):
                released = self.constant.intersection(node.input)
                self.constant -= released
                varying |= released
            if varying.intersection(node.input):
                varying |= set(node.output)

    def drawn(self) -> Drawn:
        """The graph as a model: what nobody uses is a result, and some of the rest."""
        used = {n for node in self.nodes for n in node.input}
        results = [n for n in self.made if n not in used or self.coin(0.1)] or self.made[-1:]
        self._vary()
        stored = self.fixed | self.constant
        inputs = {n: self.known[n] for n in self.leaves if n in used and n not in stored}
        graph = helper.make_graph(
            self.nodes,
            "random",
            [_info(n, x) for n, x in inputs.items()],
            [_info(n, self.known[n]) for n in results],
            [
                numpy_helper.from_array(self.known[n], n)
                for n in self.leaves
                if n in used and n in stored
            ],
        )
        model = _model(graph)
        known = {n: self.known[n] for n in (*self.leaves, *self.made)}
        return Drawn(model.SerializeToString(), inputs, {n: self.known[n] for n in results}, known)


def _info(name: str, x: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def one_node(node: onnx.NodeProto, given: dict[str, Array]) -> bytes:
    """A model of nothing but the node, everything an input."""
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "one", [_info(n, x) for n, x in given.items()], outputs)
    return _model(graph).SerializeToString()


def run_model(model: bytes, inputs: dict[str, Array]) -> list[Array]:
    """The model's results by onnxruntime, which optimizes nothing.

    Raises:
        RefusedError: it cannot.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        return [np.asarray(y) for y in session.run(None, inputs)]
    except REFUSALS as error:
        raise RefusedError(str(error)) from None


OnnxMaker = Callable[[OnnxGraph], Any]
ONNX_MAKERS: dict[str, OnnxMaker] = {}
"""By the operator."""


def onnx_maker(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a maker; one of several operators takes the operator's name too."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in ONNX_MAKERS, name
            if len(names) == 1:
                ONNX_MAKERS[name] = function
            else:
                ONNX_MAKERS[name] = partial(function, op=name)
        return function

    return enter


def random_onnx(random: Random, only: Sequence[str] = ()) -> Drawn:
    """A random graph of up to a dozen nodes."""
    from . import onnx_makers, onnx_makers_nn  # which enter their makers

    assert onnx_makers
    assert onnx_makers_nn
    g = OnnxGraph(random)
    names = list(only) or list(ONNX_MAKERS)
    if not only and random.random() < 0.4:
        names = random.sample(names, 8)
    wanted = random.choice([1, 2, 5, 8, 12])
    for _ in range(12 * wanted):
        if len(g.nodes) >= wanted:
            break
        try:
            ONNX_MAKERS[random.choice(names)](g)
        except RefusedError:
            continue
    return g.drawn() if g.nodes else random_onnx(random, only)
