"""Other engines that run ONNX models: one small adapter each, used where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from burnish.backends import tvm
from burnish.ir import Array
from burnish.ir.errors import InputError, UsageError, clip

from ..driver import compile as compile_model
from .generators import EMX, prepare_emx
from .prepared import EngineError, Prepare, Prepared

BURNISH_TVM = "burnish-tvm"
"""The engine that is burnish's target tvm."""


@dataclass(frozen=True)
class Engine:
    """An engine: the module that has to be installed, how it prepares a model, and the package
    that has the module, where that is not called as the engine is."""

    name: str
    module: str
    prepare: Prepare
    package: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether its module is there."""
        return importlib.util.find_spec(self.module) is not None


def _onnxruntime(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
    """onnxruntime with all its optimizations, inputs and outputs bound."""
    ort: Any = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    session.run_with_iobinding(binding)
    values = [ort.OrtValue.ortvalue_from_numpy(y) for y in binding.copy_outputs_to_cpu()]
    for output, value in zip(session.get_outputs(), values):
        binding.bind_ortvalue_output(output.name, value)
    outputs = [value.numpy() for value in values]
    return Prepared(
        "onnxruntime", threads, lambda: session.run_with_iobinding(binding), outputs, threads == 1
    )


def _openvino(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
    """OpenVINO on the CPU, set for latency, computing in f32."""
    ov: Any = importlib.import_module("openvino")
    core = ov.Core()
    model = core.read_model(str(path))
    model.reshape({name: list(array.shape) for name, array in inputs.items()})
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    for name, array in inputs.items():
        request.set_tensor(name, ov.Tensor(array, shared_memory=True))
    request.infer()
    outputs = [request.get_output_tensor(i).data for i in range(len(model.outputs))]
    return Prepared("openvino", threads, request.infer, outputs, in_caller=False)


def _tvm(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
    """TVM's Relax with its own import of ONNX and its pipeline for the CPU, not tuned."""
    onnx: Any = importlib.import_module("onnx")
    package: Any = importlib.import_module("tvm")
    relax: Any = importlib.import_module("tvm.relax")
    frontend: Any = importlib.import_module("tvm.relax.frontend.onnx")
    shapes = {name: list(array.shape) for name, array in inputs.items()}
    module = frontend.from_onnx(onnx.load(str(path)), shape_dict=shapes)
    processor = package.get_global_func("target.llvm_get_system_cpu")()
    target = package.target.Target({"kind": "llvm", "mcpu": processor})
    built = package.compile(relax.get_pipeline("zero")(module), target=target)
    main = relax.VirtualMachine(built, package.cpu())["main"]
    package.get_global_func("runtime.config_threadpool")(1, threads)
    given = [package.runtime.tensor(array) for array in inputs.values()]
    found = main(*given)
    results = [found] if hasattr(found, "numpy") else list(found)
    outputs = [result.numpy() for result in results]
    # Of TVM's pool of one thread, the caller is that one.
    return Prepared("tvm", threads, partial(main, *given), outputs, threads == 1)


def _burnish_tvm(path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
    """burnish's own target ``tvm``: its kernels, called through TVM."""
    dims = {name: array.shape for name, array in inputs.items()}
    compiled = compile_model(path, "tvm", dims=dims, options={"threads": threads, "name": "net"})
    runner = tvm.runner(compiled.artifact)
    arguments, outputs = runner.bound(runner.tensors(inputs))
    call = partial(runner.main, *arguments)
    return Prepared(BURNISH_TVM, threads, call, outputs, threads == 1)


ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("onnxruntime", "onnxruntime", _onnxruntime),
        Engine("openvino", "openvino", _openvino),
        Engine("tvm", "tvm", _tvm, "apache-tvm"),
        Engine(BURNISH_TVM, "tvm", _burnish_tvm, "apache-tvm"),
        Engine(EMX, "emx_onnx_cgen", prepare_emx),
    )
}
"""All engines by name."""


def installed_engines() -> list[str]:
    """The engines that are installed."""
    return [name for name, engine in ENGINES.items() if engine.is_installed]


def prepare(name: str, path: Path, inputs: Mapping[str, Array], threads: int) -> Prepared:
    """Make a model ready to run in the engine of that name.

    Raises:
        UsageError: there is no such engine, or it is not installed.
        EngineError: it does not run the model.
    """
    engine = ENGINES.get(name)
    if engine is None:
        raise UsageError(
            f'there is no engine "{clip(name)}"', help=f"there are {', '.join(ENGINES)}"
        )
    if not engine.is_installed:
        raise UsageError(f"{name} is not installed", help=f"pip install {engine.package or name}")
    try:
        return engine.prepare(path, inputs, threads)
    except InputError:
        raise
    except Exception as error:  # each engine has exceptions of its own
        raise EngineError(f"{name} does not run the model: {clip(str(error), 300)}") from None
