"""Many modules as one in TVM, computed by the lowerings alone on this machine's processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relay_batches import Trial, merged

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


def differences(trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    """The trials that TVM computes otherwise, or not at all, and how; in halves if need be."""
    inputs = {
        f"{n}:{name}": array for n, t in enumerate(trials) for name, array in t.inputs.items()
    }
    try:
        found = Lowered(merged([t.module for t in trials])).run(inputs)
    except (RuntimeError, UnsupportedError) as error:
        if len(trials) == 1:
            yield trials[0].name, str(error)
            return
        middle = len(trials) // 2
        yield from differences(trials[:middle])
        yield from differences(trials[middle:])
        return
    for number, each in enumerate(trials):
        mark = f"{number}:"
        own = {k.removeprefix(mark): v for k, v in found.items() if k.startswith(mark)}
        try:
            each.judge(own)
        except AssertionError as error:
            yield each.name, " ".join(str(error).split())
