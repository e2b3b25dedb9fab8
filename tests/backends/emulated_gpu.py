"""Runs the CUDA kernels that TVM emits on this machine's processor (``emulated_gpu.h``)."""

from __future__ import annotations

import ctypes
import importlib
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.backends.tvm import cuda
from burnish.backends.tvm.package import tvm_package
from burnish.ir import Array

HEADER = Path(__file__).with_name("emulated_gpu.h")
AXES = [f"{kind}Idx.{axis}" for kind in ("block", "thread") for axis in "xyz"]
KERNEL = re.compile(r'extern "C" __global__ void [^{;]*?(\w+)\(([^()]*)\) \{')


@dataclass(frozen=True)
class Kernel:
    """A kernel: its parameters, each a type and a name, and the sizes of its grid and blocks."""

    name: str
    parameters: Sequence[tuple[str, str]]
    sizes: Sequence[int]


class EmulatedGpu:
    """The kernels of scheduled functions, compiled for the processor.

    Attributes:
        source: the text in CUDA.
        kernels: by the name of the function that they are of, in order.
    """

    def __init__(self, functions: Mapping[str, Any], architecture: str = "sm_90") -> None:
        self.source, extents = _emitted(functions, architecture)
        text = self.source[self.source.index('extern "C" __global__') :]
        self.kernels: dict[str, list[Kernel]] = {name: [] for name in functions}
        calls = []
        for name, parameters in KERNEL.findall(text):
            listed = [
                tuple(p.replace("__restrict__", "").rsplit(None, 1)) for p in parameters.split(",")
            ]
            kernel = Kernel(name, listed, extents[name])
            owner = max((f for f in functions if name.startswith(f"{f}_kernel")), key=len)
            self.kernels[owner].append(kernel)
            casts = ", ".join(
                f"({type_})a[{index}]" if "*" in type_ else f"*({type_}*)a[{index}]"
                for index, (type_, _) in enumerate(listed)
            )
            calls.append(
                f"static void call_{name}(void** a) {{ {name}({casts}); }}\n"
                f'extern "C" void run_{name}(void** a, const int* sizes, int backwards) '
                f"{{ emulated::run(call_{name}, a, sizes, backwards); }}\n"
            )
        text = re.sub(r"extern __shared__ [^;]* (\w+)\[\];", r"uchar* \1 = emulated::shared;", text)
        text = re.sub(r"__shared__ (alignas\(\d+\))", r"\1 static", text)
        text = re.sub(r"\*\((\w+) \*\)\(&\((\w+)\)\)", r"reinterpreted<\1>(\2)", text)
        self._library = _compiled(f'#include "{HEADER}"\n{text}\n{"".join(calls)}')

    def run(self, kernel: Kernel, arrays: Mapping[str, Array], *, backwards: bool = False) -> None:
        """Run a kernel on arrays by the names of its parameters, in place."""
        pointers = [arrays[name.removesuffix("_ptr")].ctypes.data for _, name in kernel.parameters]
        run = getattr(self._library, f"run_{kernel.name}")
        run(
            (ctypes.c_void_p * len(pointers))(*pointers),
            (ctypes.c_int * 6)(*kernel.sizes),
            int(backwards),
        )


def _emitted(functions: Mapping[str, Any], architecture: str) -> tuple[str, dict[str, list[int]]]:
    """The text of kernels, and the sizes of their grids and blocks."""
    tvm = tvm_package()
    target = cuda.gpu_target(architecture)
    host = tvm.target.Target("llvm")
    lower, _, finish = tvm.tirx.get_default_tir_pipeline(target)
    named = {name: f.with_attr("global_symbol", name) for name, f in functions.items()}
    module = tvm.tirx.transform.BindTarget(target.with_host(host))(tvm.IRModule(named))
    with target:
        _, devices = _split(lower(module))
    (device,) = devices.values()
    device = finish()(device)
    extents = {}
    for name, function in device.functions_items():
        found = dict(
            re.findall(r'launch_thread\("([\w.]+)", (?:T\.int64\()?(\d+)\)', function.script())
        )
        extents[name.name_hint] = [int(found.get(axis, 1)) for axis in AXES]
    compiler = "tvm_callback_cuda_compile"
    kept = tvm.get_global_func(compiler)
    tvm.register_global_func(compiler, lambda code: b"", override=True)
    try:
        with target:
            built = tvm.get_global_func("target.build.cuda")(device, target)
    finally:
        tvm.register_global_func(compiler, kept, override=True)
    return str(built.inspect_source()), extents


def _split(module: Any) -> Any:
    """What runs on the processor, and by target what runs on the GPU."""
    return importlib.import_module("tvm.tirx.build").split_host_device_mods(module)


def _compiled(text: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="burnish-gpu-") as folder:
        source, library = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
        source.write_text(text)
        command = ["g++", "-O1", "-w", "-shared", "-fPIC", "-fpermissive", "-ffp-contract=off"]
        done = subprocess.run(
            [*command, str(source), "-o", str(library)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error:" in line]
            raise RuntimeError("\n".join(errors[:5]))
        return ctypes.CDLL(str(library))
