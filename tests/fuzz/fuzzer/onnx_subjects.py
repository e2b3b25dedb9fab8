"""Random ONNX graphs as subjects: imported, with onnxruntime's results beside the interpreter's."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import onnx.printer
from onnx import helper, numpy_helper

import burnish
from burnish.ir import Array
from burnish.ir.errors import ModelError, TypeInferenceError, UnsupportedError

from .checks import Subject, Tally, guarded, prepare
from .onnx_worker import Worker


def onnx_subject(seed: str, worker: Worker, tally: Tally) -> Subject | None:
    """The graph of a seed, imported; None where onnxruntime crashed, or the import is refused."""
    drawn = worker.draw(seed)
    if drawn is None:
        tally["onnxruntime crashed"] += 1
        return None
    try:
        module = burnish.import_onnx(drawn.model)
    except (UnsupportedError, TypeInferenceError, ModelError) as error:
        # A size that data gave may fit another one by chance: the import refuses to rely on it.
        if not isinstance(error, UnsupportedError) and "_count" not in error.message:
            raise
        tally[f"refusal: import: {' '.join(error.message.split())[:160]}"] += 1
        return None
    key = f"o{seed.removeprefix('onnx-').replace('-', '_')}"
    return Subject(key, module, [drawn.inputs], foreign=drawn.results)


def onnx_failure(seed: str, worker: Worker) -> str:
    """The first node that by itself, on onnxruntime's operands, gives another result, as text."""
    drawn = worker.draw(seed)
    if drawn is None:
        return ""
    model = onnx.ModelProto.FromString(drawn.model)
    constants = {i.name for i in model.graph.initializer}
    for node in model.graph.node:
        alone = _alone(model, node, drawn.known, constants)
        inputs = {i.name: drawn.known[i.name] for i in alone.graph.input}
        results = {n: drawn.known[n] for n in node.output if n}
        subject = Subject("one", burnish.import_onnx(alone), [inputs], foreign=results)
        verdict = guarded(partial(prepare, subject)) or subject.verdict
        if verdict:
            with np.printoptions(threshold=64, floatmode="unique"):
                lines = [verdict, onnx.printer.to_text(alone)]
                lines += [f"{name} = {array!r}" for name, array in inputs.items()]
            return "\n".join(lines)
    return ""


def _alone(
    model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, Array], constants: set[str]
) -> onnx.ModelProto:
    def info(name: str) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(known[name].dtype)
        return helper.make_tensor_value_info(name, kind, known[name].shape)

    names = list(dict.fromkeys(n for n in node.input if n))
    graph = helper.make_graph(
        [node],
        "one",
        [info(n) for n in names if n not in constants],
        [info(n) for n in node.output if n],
        [numpy_helper.from_array(known[n], n) for n in names if n in constants],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
