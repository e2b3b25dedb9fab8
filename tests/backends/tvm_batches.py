"""Many modules as one in TVM, computed by the lowerings alone on this machine's processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trials import Results, Trial, differences

from burnish import ir
from burnish.backends.tvm.package import tvm_package
from burnish.backends.tvm.storage import restored, stored
from burnish.backends.tvm.write import write_module
from burnish.ir.errors import UnsupportedError


class Lowered:
    """A module that TVM has compiled from its lowerings, none of its ops being C."""

    def __init__(self, module: ir.Module, dtype: str = "") -> None:
        tvm: Any = tvm_package()
        self.main = module.main
        written = write_module(module, dtype=dtype)
        self.checked = written.checked
        target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v3", "opt-level": 0})
        machine = tvm.relax.VirtualMachine(tvm.compile(written.module, target=target), tvm.cpu())
        self._call = machine["main"]
        self._tensor = tvm.runtime.tensor

    def run(self, inputs: Mapping[str, ir.Array]) -> dict[str, ir.Array]:
        """Outputs by name; that of the check is called ``checked``."""
        found = self._call(*(self._tensor(stored(inputs[name])) for name in self.main.arg_names))
        listed = [found] if hasattr(found, "numpy") else list(found)
        arrays = [tensor.numpy() for tensor in listed]
        types = [value.type.dtype for value in self.main.results]
        results = {n: restored(a, t) for n, a, t in zip(self.main.result_names, arrays, types)}
        return {**results, "checked": arrays[-1]} if self.checked else results


def tvm_differences(trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    """The trials that TVM computes otherwise, or not at all, and how."""
    return differences(trials, _computed, (RuntimeError, UnsupportedError))


def _computed(module: ir.Module, inputs: Results) -> Results:
    return Lowered(module).run(inputs)
