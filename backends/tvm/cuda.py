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
from pathlib import Path
from typing import Any

from burnish.ir.errors import TargetError, ToolchainError, clip

from .package import tvm_package
from .tensor_cores import tensorized

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

RULES = ("Matmul", "GEMV", "Reduction", "GeneralReduction")
"""Schedules of dlight in the order in which they are tried; ``Fallback`` takes what is left."""


def export_cuda(module: Any, architecture: str) -> bytes:
    """The library of a Relax module, whose kernels are for GPUs like ``sm_90``.

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
    target = tvm.target.Target({"kind": "cuda", "arch": architecture, **_LIMITS}, host="llvm")
    try:
        executable = tvm.compile(scheduled(module, target), target=target)
        with tempfile.TemporaryDirectory(prefix="burnish-tvm-") as folder:
            path = Path(folder) / "model.so"
            executable.export_library(str(path))
            return path.read_bytes()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ToolchainError(f"TVM does not compile the module: {clip(str(error), 600)}") from None


def scheduled(module: Any, target: Any) -> Any:
    """A Relax module of fused functions, each with a schedule for the GPU ``target``."""
    tvm = tvm_package()
    with target:
        module = tvm.relax.get_pipeline("zero")(module)
        for name, function in list(module.functions_items()):
            if isinstance(function, tvm.tirx.PrimFunc):
                module[name] = _scheduled_function(tvm, function)
    return module


def _scheduled_function(tvm: Any, function: Any) -> Any:
    """A function by the first rule that fits."""
    dlight = importlib.import_module("tvm.s_tir.dlight")
    try:
        schedule = tensorized(function)
    except (RuntimeError, ValueError, TypeError, AssertionError):
        schedule = None
    if schedule is not None:
        return schedule.mod["main"]
    function = function.with_attr("dlight.do_not_tensorize", True)
    alone = function.with_attr("global_symbol", "main")
    fallback = dlight.gpu.Fallback()
    rules = [getattr(dlight.gpu, rule)() for rule in RULES]
    try:
        found = dlight.ApplyDefaultSchedule(*rules, fallback)(tvm.IRModule({"main": alone}))
        # Some rules take functions whose reductions cannot be lowered afterwards.
        transform = importlib.import_module("tvm.s_tir.transform")
        transform.LowerCrossThreadReduction()(transform.CanonicalizeLoop()(found))
    except (RuntimeError, ValueError, TypeError, AssertionError):
        found = dlight.ApplyDefaultSchedule(fallback)(tvm.IRModule({"main": alone}))
    result = found["main"]
    kept = function.attrs.get("global_symbol")
    if kept is None:
        return result.without_attr("global_symbol")
    return result.with_attr("global_symbol", kept)
