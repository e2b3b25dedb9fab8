"""Runs a model here: by onnxruntime where it is installed, else by ONNX's own reference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from burnish.ir import Array
from burnish.ir.errors import InputError, ModelError, clip

from .files import DATA_SUFFIX, joined
from .schemas import ELEMENT_CODES

_DTYPES = {code: dtype for dtype, code in ELEMENT_CODES.items()}

Execution = Callable[[dict[str, Array]], list[Array]]


class OnnxRunner:
    """A model in files, ready to be called; ``engine`` says by what."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self._model = joined(files)
        self.engine, self._execute = _execution(files, self._model)

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Outputs for ``inputs``, both by name.

        Raises:
            InputError: a name, shape or element type does not fit the signature, or the data is
                not what the model takes.
        """
        graph = self._model.graph
        inputs = {name: np.asarray(array) for name, array in inputs.items()}
        self._check(inputs)
        try:
            found = self._execute(inputs)
        except Exception as error:
            raise InputError(
                f"{self.engine} could not run the model on these inputs: {clip(str(error), 400)}"
            ) from error
        types = [_DTYPES[info.type.tensor_type.elem_type] for info in graph.output]
        return {
            info.name: np.asarray(array).astype(dtype.numpy, copy=False)
            for info, array, dtype in zip(graph.output, found, types)
        }

    def _check(self, inputs: Mapping[str, Array]) -> None:
        expected = {info.name: info for info in self._model.graph.input}
        missing = [name for name in expected if name not in inputs]
        unknown = [name for name in inputs if name not in expected]
        for names, what in ((missing, "missing"), (unknown, "unknown")):
            if names:
                raise InputError(f"{what} input {', '.join(clip(repr(n)) for n in names)}")
        sizes: dict[str, int] = {}
        for name, info in expected.items():
            _check_input(name, inputs[name], info.type.tensor_type, sizes)


def _check_input(
    name: str, array: Array, type_: onnx.TypeProto.Tensor, sizes: dict[str, int]
) -> None:
    """Compare one array with its declaration; ``sizes`` binds symbols over all inputs."""
    dtype = _DTYPES[type_.elem_type]
    if array.dtype != dtype.numpy:
        raise InputError(f'input "{clip(name)}" is of {array.dtype}, needs {dtype.numpy}')
    fits = array.ndim == len(type_.shape.dim)
    for dim, size in zip(type_.shape.dim, array.shape):
        if dim.HasField("dim_value"):
            fits &= size == dim.dim_value
        elif dim.dim_param:
            fits &= size == sizes.setdefault(dim.dim_param, size)
    if not fits:
        shape = ", ".join(str(dim.dim_param or dim.dim_value or "?") for dim in type_.shape.dim)
        raise InputError(f'input "{clip(name)}" has shape {list(array.shape)}, needs [{shape}]')


def _execution(files: Mapping[str, str | bytes], model: onnx.ModelProto) -> tuple[str, Execution]:
    """The first engine that takes the model.

    Raises:
        ModelError: none does.
    """
    reasons = []
    for engine, start in (("onnxruntime", _by_onnxruntime), ("onnx.reference", _by_reference)):
        try:
            return engine, start(files, model)
        except Exception as error:  # engines refuse in many ways
            reasons.append(f"{engine}: {clip(str(error), 200)}")
    raise ModelError(f"nothing here runs the model ({'; '.join(reasons)})")


def _by_onnxruntime(files: Mapping[str, str | bytes], model: onnx.ModelProto) -> Execution:
    import onnxruntime

    for info in (*model.graph.input, *model.graph.output):
        dtype = _DTYPES[info.type.tensor_type.elem_type]
        if dtype.numpy.isbuiltin != 1:
            raise ModelError(f"its Python interface lacks {dtype}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # What is run is the model as written: the optimizer replaces functions by coarser ones.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory(prefix="burnish-") as folder:
        for name, content in files.items():
            assert isinstance(content, bytes)
            (Path(folder) / name).write_bytes(content)
        (name,) = (name for name in files if not name.endswith(DATA_SUFFIX))
        path = str(Path(folder) / name)
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    names = [info.name for info in model.graph.output]
    return lambda inputs: list(session.run(names, inputs))


def _by_reference(files: Mapping[str, str | bytes], model: onnx.ModelProto) -> Execution:
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(model)
    return lambda inputs: list(evaluator.run(None, inputs))
