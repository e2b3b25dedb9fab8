"""The standard interface of ONNX backends: what ``onnx.backend.test`` and others drive.

    import burnish.onnx_backend as backend

    rep = backend.prepare(model, device="CPU")        # compiled C, run on this machine
    rep = backend.prepare(model, engine="interpreter")
    outputs = rep.run([x, y])

The module can be handed to ``onnx.backend.test.BackendTest`` as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx
import onnx.defs
import onnx.helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from burnish.backends.relay import RELAY_PYTHON
from burnish.backends.tvm import has_tvm
from burnish.ir import Array, Module, interpret
from burnish.ir.errors import DimensionError, InputError, UsageError

from .driver import compile
from .frontend.onnx.importer import import_onnx

__all__ = [
    "ENGINES",
    "BurnishBackend",
    "PreparedModel",
    "is_compatible",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]

ENGINES = ("c", "interpreter")
"""What runs a model by itself: C, built and loaded, or the definitions of the ops."""

ONNX = "onnx"
"""The engine that hands the model, optimized, to another runtime."""

RELAY = "relay"
"""The engine that hands the model to a TVM that has Relay, where one is named."""

TVM = "tvm"
"""The engine that compiles the model for today's TVM, where apache-tvm is installed."""

DEVICES = {"RELAY": RELAY, "TVM": TVM}
"""Devices besides the processors that ONNX knows, and the engine of each."""

Inputs: TypeAlias = Sequence[object] | Mapping[str, object]
Output: TypeAlias = Array | list[Array] | None


class Runnable(Protocol):
    """Outputs by name for inputs by name."""

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run once."""


class _Interpreted:
    """A module as its ops define it: imported, and not optimized at all."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return interpret(self.module, dict(inputs))


class PreparedModel(BackendRep):
    """A model ready to run.

    A model whose dynamic dimensions nobody has bound is compiled for the shapes of the inputs
    it is run with, and again when they change; likewise a model that takes sequences (lists of
    arrays) or optionals (None when empty).
    """

    def __init__(
        self, model: onnx.ModelProto, engine: str, dims: Mapping[str, Any] | None = None
    ) -> None:
        self._model = model
        self._engine = engine
        self._dims = dict(dims or {})
        initialized = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [v.name for v in model.graph.input if v.name not in initialized]
        self._outputs = [(value.name, _kind(value.type)) for value in model.graph.output]
        self._by_form: dict[tuple[tuple[str, Any], ...], Runnable] = {}
        self._static: Runnable | None = None
        self._nested = {v.name for v in model.graph.input if _kind(v.type) != "tensor"}
        if self._nested:
            return  # sequences and optionals are compiled for the form of the first inputs
        try:
            self._static = self._build(self._dims)
        except DimensionError:
            if dims:
                raise
            # What the model leaves open shows in the first inputs.

    def _build(self, dims: Mapping[str, Any]) -> Runnable:
        if self._engine == "interpreter":
            return _Interpreted(import_onnx(self._model, dims))
        return compile(self._model, self._engine, dims=dims)

    def run(self, inputs: Inputs, **kwargs: Any) -> tuple[Output, ...]:
        """The outputs in the model's order; inputs in the model's order, or by name.

        A sequence is a list of arrays, an empty optional None.

        Raises:
            InputError: inputs do not fit, or an index among them is out of range.
        """
        runnable, named = self.bound(inputs)
        return self.outputs(runnable.run(named))

    def bound(self, inputs: Inputs) -> tuple[Runnable, dict[str, Array]]:
        """What runs for such inputs, and these by name, elements of sequences apart."""
        named = self._by_name(inputs)
        return self._static or self._for_forms(named), _flat(named)

    def outputs(self, results: Mapping[str, Array]) -> tuple[Output, ...]:
        """The outputs in the model's order, from the results that ran by name."""
        return tuple(_output(name, kind, results) for name, kind in self._outputs)

    def _by_name(self, inputs: Inputs) -> dict[str, Any]:
        if not isinstance(inputs, Mapping):
            if len(inputs) > len(self._inputs):
                raise InputError(
                    f"there are {len(inputs)} inputs, but the model takes {len(self._inputs)}"
                )
            inputs = dict(zip(self._inputs, inputs))
        return {
            name: value if name in self._nested else np.asarray(value)
            for name, value in inputs.items()
        }

    def _for_forms(self, inputs: Mapping[str, Any]) -> Runnable:
        """The model for inputs of these shapes, of so many elements, empty or not."""
        forms = {name: _form(value) for name, value in inputs.items()}
        key = tuple(forms.items())
        if key not in self._by_form:
            self._by_form[key] = self._build({**forms, **self._dims})
        return self._by_form[key]


def _form(value: Any) -> Any:
    """The shape of an array, those of the arrays in a list, or None."""
    if isinstance(value, list):
        return tuple(map(np.shape, value))
    return None if value is None else np.shape(value)


def _flat(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays in the inputs; elements of a sequence get names of their own."""
    flat: dict[str, Array] = {}
    for name, value in inputs.items():
        if isinstance(value, list):
            flat.update((f"{name}[{i}]", np.asarray(element)) for i, element in enumerate(value))
        elif value is not None:
            flat[name] = np.asarray(value)
    return flat


def _kind(type_: onnx.TypeProto) -> str:
    """``"tensor"``, ``"sequence"`` or ``"optional"``; for an optional sequence, the former."""
    if type_.HasField("optional_type"):
        inner = type_.optional_type.elem_type
        return "sequence" if inner.HasField("sequence_type") else "optional"
    return "sequence" if type_.HasField("sequence_type") else "tensor"


def _output(name: str, kind: str, results: Mapping[str, Array]) -> Output:
    """An output of the model; the elements of a sequence are results of their own."""
    if kind == "tensor":
        return results[name]
    if kind == "optional":
        return results.get(name)
    return [
        results[f"{name}[{i}]"] for i in takewhile(lambda i: f"{name}[{i}]" in results, count())
    ]


class BurnishBackend(Backend):
    """burnish behind ONNX's standard interface.

    The device is ``"CPU"``; ``engine`` chooses between ``"c"`` (the default), ``"interpreter"``,
    ``"onnx"``, ``"relay"`` and ``"tvm"``; the devices ``"RELAY"`` and ``"TVM"`` stand for the last
    two.  ``dims`` binds dynamic dimensions as :func:`burnish.compile` does.
    """

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> PreparedModel:
        """Compile ``model``.

        Raises:
            Error: it is broken or cannot be compiled.
            UsageError: the device or the engine is none there is.
        """
        engine = kwargs.get("engine", DEVICES.get(device, "c"))
        if not cls.supports_device(device):
            raise UsageError(
                f"there is no device {device}",
                help=f'there is "CPU"; "RELAY" where {RELAY_PYTHON} names its interpreter; '
                '"TVM" where apache-tvm is installed',
            )
        engines = (*ENGINES, ONNX, RELAY, TVM)
        if engine not in engines:
            raise UsageError(f"there is no engine {engine}", help=f"choose of {', '.join(engines)}")
        return PreparedModel(model, engine, kwargs.get("dims"))

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Output, ...]:
        """Run one node of the newest operator set, or of ``opset_version``."""
        model = node_model(node, inputs, kwargs.pop("opset_version", None))
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether ``device`` is ``"CPU"``, perhaps with a number, or another one that is there."""
        if device == "RELAY":
            return bool(os.environ.get(RELAY_PYTHON))
        if device == "TVM":
            return has_tvm()
        try:
            return bool(Device(device).type == DeviceType.CPU)
        except (AttributeError, ValueError):
            return False


def node_model(
    node: onnx.NodeProto, inputs: Sequence[object], opset: int | None = None
) -> onnx.ModelProto:
    """A model of one node, its inputs typed as the arrays are.

    Raises:
        InputError: the number of inputs is not the node's.
    """
    names = [name for name in node.input if name]
    if len(inputs) != len(names):
        raise InputError(f"there are {len(inputs)} inputs, but the node takes {len(names)}")
    values = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in zip(names, map(np.asarray, inputs))
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], node.op_type or "node", values, outputs)
    versions = {"": opset or onnx.defs.onnx_opset_version()}
    if node.domain:
        schema = onnx.defs.get_schema(node.op_type, domain=node.domain)
        versions[node.domain] = schema.since_version
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return onnx.helper.make_model(graph, opset_imports=imports)


is_compatible = BurnishBackend.is_compatible
prepare = BurnishBackend.prepare
run_model = BurnishBackend.run_model
run_node = BurnishBackend.run_node
supports_device = BurnishBackend.supports_device
