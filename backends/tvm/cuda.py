"""From a Relax module to a library whose kernels run on a GPU of NVIDIA.

Every function gets one of TVM's default schedules (``dlight``): products and convolutions tiles in
shared memory, reductions the threads of a block, everything else a thread per element.  A GPU is
not needed to build, the CUDA compiler ``nvcc`` is.
"""

from __future__ import annotations

import importlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.ir.errors import TargetError, ToolchainError, clip

from .kernels import compile_kernels, digest, kernels_text
from .package import named_like, tvm_package
from .tensor_cores import tensorized
from .tuning import Tuning

ARCHITECTURE = re.compile(r"sm_[1-9][0-9]+a?")
"""How ``nvcc`` calls generations of GPUs."""

_LIMITS = {
    "max_shared_memory_per_block": 49152,
    "max_threads_per_block": 1024,
    "max_num_threads": 1024,
    "registers_per_block": 65536,
    "thread_warp_size": 32,
}
"""What a block may have on all of them."""

_WITHOUT_TENSOR_CORES = "sm_60"
"""A generation of GPUs for which all rules of dlight hold that are used here."""

_REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError)
"""What a schedule raises that does not fit."""

RULES = ("Matmul", "GEMV", "Reduction", "GeneralReduction")
"""Schedules of dlight in the order in which they are tried; ``Fallback`` takes what is left."""


@dataclass(frozen=True)
class CudaLibrary:
    """A library, and the code of its kernels, None if it has none.

    ``digest`` is that of their text, by which the code is found (``kernels``).
    """

    library: bytes
    kernels: bytes | None
    digest: str


def export_cuda(module: Any, architecture: str, tuning: Tuning | None = None) -> CudaLibrary:
    """The library of a Relax module, whose kernels are for GPUs like ``sm_90``.

    ``tuning`` finds schedules that are faster than the default ones.

    Raises:
        TargetError: that names no generation of GPUs.
        ToolchainError: ``nvcc`` is missing, or TVM or a compiler refuses.
    """
    tvm = tvm_package()
    if not ARCHITECTURE.fullmatch(architecture):
        raise TargetError(
            f"option arch is {architecture!r}, but must be like sm_90",
            help="sm_80 is A100, sm_89 is RTX 40, sm_90 is H100 and H200",
        )
    if shutil.which("nvcc") is None:
        raise ToolchainError(
            "target tvm:cuda needs the CUDA compiler nvcc",
            help="install the CUDA toolkit, and have nvcc on the PATH",
        )
    target = gpu_target(architecture)
    try:
        executable = tvm.compile(scheduled(module, target, tuning), target=target)
        with tempfile.TemporaryDirectory(prefix="burnish-tvm-") as folder:
            path = Path(folder) / "model.so"
            executable.export_library(str(path))
            library = path.read_bytes()
        text = kernels_text(executable.mod)
        kernels = None if text is None else compile_kernels(text, target)
        return CudaLibrary(library, kernels, "" if text is None else digest(text))
    except (RuntimeError, TypeError, ValueError) as error:
        raise ToolchainError(f"TVM does not compile the module: {clip(str(error), 600)}") from None


def cuda_target(architecture: str) -> dict[str, Any]:
    """GPUs of a generation, as TVM describes targets."""
    return {"kind": "cuda", "arch": architecture, **_LIMITS}


def gpu_target(architecture: str) -> Any:
    """GPUs of a generation, as a target of TVM."""
    return tvm_package().target.Target(cuda_target(architecture), host="llvm")


def scheduled(module: Any, target: Any, tuning: Tuning | None = None) -> Any:
    """A Relax module of fused functions, each with a schedule for the GPU ``target``."""
    tvm = tvm_package()
    with target:
        module = tvm.relax.get_pipeline("zero")(module)
    tuned: frozenset[str] = frozenset()
    if tuning is not None:
        module, tuned = tuning.apply(module)
    for name, function in list(module.functions_items()):
        if isinstance(function, tvm.tirx.PrimFunc):
            known = name.name_hint in tuned
            module[name] = _as_scheduled(function) if known else scheduled_function(function)
    return module


def _as_scheduled(function: Any) -> Any:
    """A function that TVM gives no other schedule."""
    return function.with_attr("tirx.is_scheduled", True)


def scheduled_function(function: Any) -> Any:
    """A function with a schedule: that for tensor cores, or dlight's first that fits."""
    alone = function.with_attr("global_symbol", "main")
    found = _on_tensor_cores(alone)
    if found is None:
        # Without an older generation, dlight would import TVM's instructions of tensor cores for
        # each larger product, which takes minutes, and use them, which ends the process.
        with gpu_target(_WITHOUT_TENSOR_CORES):
            found = _by_rules(alone)
    found = _as_scheduled(found)
    return named_like(found, function)


def _on_tensor_cores(function: Any) -> Any | None:
    try:
        schedule = tensorized(function)
    except _REFUSALS:
        return None
    return None if schedule is None else schedule.mod["main"]


def _by_rules(function: Any) -> Any:
    """dlight's first schedule that fits, and can be lowered."""
    dlight = importlib.import_module("tvm.s_tir.dlight")
    for rule in RULES:
        try:
            found = _by_rule(function, getattr(dlight.gpu, rule)())
            if _is_scheduled(found) and _is_all_threads(found) and _is_lowered_well(found):
                return found
        except _REFUSALS:
            continue  # some rules take functions whose reductions cannot be lowered afterwards
    return _by_rule(function, dlight.gpu.Fallback())


def _by_rule(function: Any, rule: Any) -> Any:
    # A module of its own: schedules are put in place of the functions.
    module = tvm_package().IRModule({"main": function})
    return importlib.import_module("tvm.s_tir.dlight").ApplyDefaultSchedule(rule)(module)["main"]


def _is_scheduled(function: Any) -> bool:
    return bool(function.attrs) and "tirx.is_scheduled" in function.attrs


def _is_all_threads(function: Any) -> bool:
    """Whether no loop is around kernels, which the processor would start in each round."""
    body = function.body.block.body
    statements = list(body.seq) if hasattr(body, "seq") else [body]
    return all(getattr(loop, "thread_binding", None) is not None for loop in statements)


def _is_lowered_well(function: Any) -> bool:
    """Whether TVM lowers what threads reduce together, and keeps to the bounds of the result.

    Where not all threads have an element, of the block that writes results only the condition on
    the reducing thread remains (release 0.27): the others would write behind the end.

    Raises:
        RuntimeError, ValueError: it cannot be lowered.
    """
    tvm, transform = tvm_package(), importlib.import_module("tvm.s_tir.transform")
    module = tvm.IRModule({"main": function})
    transform.LowerCrossThreadReduction()(transform.CanonicalizeLoop()(module))
    threads: set[Any] = set()
    found = True

    def enter(loop: Any) -> None:
        if loop.thread_binding is not None:
            threads.add(loop.loop_var)

    def look(realize: Any) -> None:
        nonlocal found
        if realize.block.init is None or isinstance(realize.predicate, tvm.tirx.IntImm):
            return
        axes = list(zip(realize.block.iter_vars, realize.iter_values))
        spatial = _variables(value for axis, value in axes if axis.iter_type == axis.DataPar)
        reduced = _variables(value for axis, value in axes if axis.iter_type == axis.CommReduce)
        among_threads = not threads.isdisjoint(reduced)
        bounded = not spatial.isdisjoint(_variables([realize.predicate]))
        found = found and not (among_threads and bounded)

    walk = importlib.import_module("tvm_ffi").structural_walk
    walk(function.body, [(tvm.tirx.For, enter)], order="pre")
    block = importlib.import_module("tvm.s_tir").SBlockRealize
    walk(function.body, [(block, look)], order="post")
    return found


def _variables(expressions: Iterable[Any]) -> set[Any]:
    tvm, names = tvm_package(), set[Any]()
    for expression in expressions:
        importlib.import_module("tvm_ffi").structural_walk(
            expression, [(tvm.tirx.Var, names.add)], order="post"
        )
    return names
