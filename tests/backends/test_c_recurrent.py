"""Recurrent layers over vectors: every option of the ops, against their definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from op_cases import OpCase, assert_close, cases
from portable_vectors import portable

import burnish
from burnish.backends.c import compile_module, threads
from burnish.backends.c.host import build
from burnish.ir import DType, Layout, Module, build_function

LANES = {"avx2": 8, "neon": 4}
ACTIVATIONS = {"nn.rnn": 1, "nn.gru": 2, "nn.lstm": 3}
GATES = {"nn.rnn": 1, "nn.gru": 3, "nn.lstm": 4}
NAMES = {"nn.rnn": ("Tanh",), "nn.gru": ("Sigmoid", "Tanh"), "nn.lstm": ("Sigmoid", "Tanh", "Tanh")}


@dataclass(frozen=True)
class Layer:
    """A layer of these sizes with random weights; ``operands`` names the optional ones given."""

    op: str
    time: int
    batch: int
    inputs: int
    hidden: int
    operands: str = ""
    lengths: tuple[int, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)

    def case(self) -> OpCase:
        random = np.random.default_rng(self.hidden)
        both = self.attributes.get("direction") == "bidirectional"
        rows = GATES[self.op] * self.hidden

        def given(*shape: int) -> np.ndarray:
            return random.uniform(-1, 1, (1 + both, *shape)).astype(np.float32)

        x = random.uniform(-1, 1, (self.time, self.batch, self.inputs)).astype(np.float32)
        state = (self.batch, self.hidden)
        values = [
            x,
            given(rows, self.inputs),
            given(rows, self.hidden),
            given(2 * rows) if "b" in self.operands else None,
            np.array(self.lengths, np.int32) if self.lengths else None,
            given(*state) if "h" in self.operands else None,
        ]
        if self.op == "nn.lstm":
            values += [given(*state) if "c" in self.operands else None]
            values += [given(3 * self.hidden) if "p" in self.operands else None]
        attributes = {"activations": NAMES[self.op] * (1 + both), **self.attributes}
        attributes["hidden_size"] = self.hidden
        return OpCase(self.op, "layer", tuple(values), attributes)


SIZES = [  # time, batch, inputs, hidden
    (5, 1, 10, 32),
    (3, 4, 17, 20),
    (2, 7, 3, 8),
    (6, 2, 1, 13),
    (1, 1, 64, 128),
]
BOTH = {"direction": "bidirectional"}
LAYERS = [
    *[Layer(op, *sizes, "bhc") for op in GATES for sizes in SIZES],
    *[Layer(op, *sizes, "b", attributes=BOTH) for op in GATES for sizes in SIZES[:2]],
    *[
        Layer(op, 6, 3, 5, hidden, "bhc", (6, 2, 4), {"direction": direction})
        for op in GATES
        for hidden in (16, 11)
        for direction in ("forward", "reverse", "bidirectional")
    ],
    *[
        Layer("nn.gru", *sizes, operands, attributes={"linear_before_reset": True, **direction})
        for sizes in SIZES
        for operands in ("", "bh")
        for direction in ({}, BOTH)
    ],
    Layer("nn.lstm", 4, 3, 6, 19, "bhcp", (4, 1, 0), BOTH),
    Layer("nn.lstm", 4, 3, 6, 24, "p", attributes={"clip": 0.3, "input_forget": True}),
    Layer(
        "nn.gru", 4, 2, 6, 24, "bh",
        attributes={**BOTH, "activations": ("HardSigmoid", "Relu", "Sigmoid", "LeakyRelu")},
    ),
]  # fmt: skip


def packs(case: OpCase) -> bool:
    """Whether a case of the op table is one for vectors."""
    if case.op not in GATES or any(t and t.dtype not in (DType.F32, DType.I32) for t in case.types):
        return False
    vector = {"Elu", "Softplus", "Softsign"}.isdisjoint(case.complete.activations)
    return vector and case.operands[0] is not None and case.operands[0].size > 0


CASES = [case for case in cases() if packs(case)] + [layer.case() for layer in LAYERS]


def together(found: list[OpCase], lanes: int) -> tuple[Module, dict[str, Any]]:
    """Cases in one module, their weights packed, and its inputs."""
    module, inputs, types = Module("cases"), {}, {}
    for i, case in enumerate(found):
        for j, (array, type_) in enumerate(zip(case.operands, case.types)):
            if type_ is not None:
                types[f"c{i}x{j}"], inputs[f"c{i}x{j}"] = type_, array
    names = [f"c{i}y{j}" for i, case in enumerate(found) for j in range(len(case.result_types()))]
    function, b = build_function(module, "main", types, names)
    args = dict(zip(types, function.args))
    values = []
    for i, case in enumerate(found):
        operands = [args.get(f"c{i}x{j}") for j in range(len(case.operands))]
        for j in (1, 2):
            packed = Layout((0, 1, 2), ((1, lanes),))
            operands[j] = b("tensor.relayout", operands[j], layout=packed)
        values += b.create(case.op, operands, case.attributes).results
    b.ret(*values)
    return module, inputs


def check(isa: str, *, found: list[OpCase] = CASES, sanitize: bool = False, count: int = 1) -> str:
    module, inputs = together(found, LANES[isa])
    # What starts threads is not without warnings at -O1.
    target = portable(isa, *(["-Wno-error"] if count > 1 else []))
    artifact = compile_module(module, target, {"threads": count})
    assert str(artifact.stages["select"]).count("-> packed_") == len(found)
    outputs = build(artifact.files, artifact.manifest, target, sanitize=sanitize).run(inputs)
    for i, case in enumerate(found):
        for j, expected in enumerate(case.expected()):
            assert_close(outputs[f"c{i}y{j}"], expected, f"{case.id} {i} {j}")
    return str(artifact.stages["select"])


@pytest.mark.parametrize("isa", LANES)
def test_layers_compute_what_the_ops_mean(isa: str) -> None:
    check(isa)


def test_threads_share_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LEAST_CYCLES", 0.0)
    layers = [layer for layer in LAYERS if layer.attributes == BOTH]
    steps = check("avx2", found=[layer.case() for layer in layers], count=2).splitlines()
    shared = [step for step in steps if "packed_" in step and "threads=2" in step]
    assert len(shared) == sum(not layer.lengths for layer in layers), "lengths may be wrong"


@pytest.mark.slow
def test_sanitizers_find_nothing() -> None:
    check("avx2", sanitize=True)


def constant_layer(layer: Layer) -> tuple[Module, OpCase]:
    """``main(x)`` is a layer with constant weights."""
    module, case = Module("m"), layer.case()
    names = [f"y{i}" for i in range(len(case.result_types()))]
    function, b = build_function(module, "main", {"x": case.types[0]}, names)
    weights = [None if array is None else b.constant(array) for array in case.operands[1:]]
    b.ret(*b.create(case.op, [function.args[0], *weights], case.attributes).results)
    return module, case


def test_constant_weights_are_packed_when_compiled() -> None:
    """Also where nothing else in the model is stored in another order."""
    module, case = constant_layer(Layer("nn.lstm", 5, 1, 10, 32, "b"))
    target = portable("avx2")
    artifact = burnish.compile(module, target=target).artifact
    assert "-> packed_lstm" in str(artifact.stages["select"])
    assert "relayout" not in str(artifact.stages["select"])
    outputs = build(artifact.files, artifact.manifest, target).run({"x": case.operands[0]})
    for name, expected in zip(("y0", "y1", "y2"), case.expected()):
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


@pytest.mark.parametrize("target", ["c:generic", "c:cortex-m4"])
def test_targets_without_vectors_get_plain_c(target: str) -> None:
    module, _ = constant_layer(Layer("nn.lstm", 5, 1, 10, 32, "b"))
    compiled = burnish.compile(module, target=target)
    assert "f32x" not in compiled.source["m.c"]
    assert "-> lstm" in str(compiled.artifact.stages["select"])


def test_lengths_are_checked() -> None:
    case = Layer("nn.gru", 4, 2, 3, 8, "b", (4, 5)).case()
    module, args = Module("m"), {f"x{i}": t for i, t in enumerate(case.types) if t}
    function, b = build_function(module, "main", args, ["y", "h"])
    values = dict(zip(args, function.args))
    operands = [values.get(f"x{i}") for i in range(len(case.operands))]
    for j in (1, 2):
        packed = Layout((0, 1, 2), ((1, 8),))
        operands[j] = b("tensor.relayout", operands[j], layout=packed)
    b.ret(*b.create(case.op, operands, case.attributes).results)
    artifact = compile_module(module, portable("avx2"))
    assert "packed_gru" in str(artifact.stages["select"])
    inputs = {f"x{i}": x for i, x in enumerate(case.operands) if x is not None}
    with pytest.raises(burnish.Error, match="index"):
        build(artifact.files, artifact.manifest, portable("avx2")).run(inputs)
