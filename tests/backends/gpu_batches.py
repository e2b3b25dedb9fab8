"""Many modules as one for a GPU, their kernels run by this machine's processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from emulated_gpu import EmulatedGpu
from trials import Results, Trial, differences

from burnish import ir
from burnish.backends.tvm import cuda
from burnish.backends.tvm.package import tvm_package
from burnish.backends.tvm.storage import restored, stored
from burnish.backends.tvm.write import write_module
from burnish.ir.errors import UnsupportedError

GUARD = 4096
"""Bytes on either side of each tensor that no kernel may write to."""
UNTOUCHED = 0xA5


class EmulatedModule:
    """A module that TVM has compiled for a GPU, without dimensions that are not bound.

    Attributes:
        functions: with their schedules, by name.
        gpu: their kernels; None if there are none.
    """

    def __init__(self, module: ir.Module, dtype: str = "") -> None:
        self.tvm: Any = tvm_package()
        self.main = module.main
        written = write_module(module, None, "cuda", dtype)
        self.checked = written.checked
        self.scheduled = cuda.scheduled(written.module, cuda.gpu_target("sm_90"))
        self.functions: dict[str, Any] = {
            name.name_hint: function.with_attr("global_symbol", name.name_hint)
            for name, function in self.scheduled.functions_items()
            if isinstance(function, self.tvm.tirx.PrimFunc)
        }
        self.gpu = EmulatedGpu(self.functions) if self.functions else None

    def run(
        self, inputs: Mapping[str, ir.Array], *, backwards: bool = False
    ) -> dict[str, ir.Array]:
        """Outputs by name; that of the check is called ``checked``."""
        main = self.scheduled["main"]
        values = {p: stored(inputs[n]) for p, n in zip(main.params, self.main.arg_names)}
        for block in main.body.blocks:
            for binding in block.bindings:
                values[binding.var] = self._value(binding.value, values, backwards)
        found = self._value(main.body.body, values, backwards)
        listed = found if isinstance(found, list) else [found]
        types = [value.type.dtype for value in self.main.results]
        results = {n: restored(a, t) for n, a, t in zip(self.main.result_names, listed, types)}
        return {**results, "checked": listed[-1]} if self.checked else results

    def _value(self, expr: Any, values: Mapping[Any, Any], backwards: bool) -> Any:
        relax = self.tvm.relax
        if isinstance(expr, relax.Var):
            return values[expr]
        if isinstance(expr, relax.Tuple):
            return [self._value(field, values, backwards) for field in expr.fields]
        if isinstance(expr, relax.TupleGetItem):
            return self._value(expr.tuple_value, values, backwards)[expr.index]
        if isinstance(expr, relax.Call):
            assert expr.op.name == "relax.call_tir", expr.op.name
            arguments = [self._value(field, values, backwards) for field in expr.args[1].fields]
            return self._call(expr.args[0].name_hint, arguments, expr.ty, backwards)
        return expr.value.numpy()

    def _call(self, name: str, arguments: Sequence[ir.Array], type_: Any, backwards: bool) -> Any:
        """The results of a function: its kernels, one after the other."""
        function = self.functions[name]
        several = isinstance(type_, self.tvm.relax.TupleType)
        types = list(type_.fields) if several else [type_]
        results = [(t.shape.values, t.dtype) for t in types]
        names = [parameter.name for parameter in function.params]
        memory = {n: _guarded(a.shape, a.dtype, a) for n, a in zip(names, arguments)}
        memory |= {n: _guarded(*t) for n, t in zip(names[len(arguments) :], results)}
        inner = function.body.block.alloc_buffers
        memory |= {b.name: _guarded(b.shape, b.dtype) for b in inner if b.scope() == "global"}
        arrays = {n: array for n, (_, array) in memory.items()}
        assert self.gpu is not None
        for kernel in self.gpu.kernels[name]:
            self.gpu.run(kernel, arrays, backwards=backwards)
            for tensor, (whole, _) in memory.items():
                around = np.concatenate([whole[:GUARD], whole[-GUARD:]])
                assert (around == UNTOUCHED).all(), f"{kernel.name} writes outside of {tensor}"
        found = [arrays[n] for n in names[len(arguments) :]]
        return found if several else found[0]


def _guarded(
    shape: Sequence[Any], dtype: Any, elements: ir.Array | None = None
) -> tuple[ir.Array, ir.Array]:
    """Bytes, and a tensor amid them; without ``elements`` it is NaN in all formats."""
    sizes, kind = [int(size) for size in shape], np.dtype(str(dtype))
    count = int(np.prod(sizes, dtype=np.int64)) * kind.itemsize
    whole = np.full(count + 2 * GUARD, UNTOUCHED, np.uint8)
    whole[GUARD : GUARD + count] = 0xFF
    array = whole[GUARD : GUARD + count].view(kind).reshape(sizes)
    if elements is not None:
        array[...] = elements
    return whole, array


def gpu_differences(
    trials: Sequence[Trial], *, backwards: bool = False
) -> Iterator[tuple[str, str]]:
    """The trials that kernels for GPUs compute otherwise, or that have none, and how."""

    def computed(module: ir.Module, inputs: Results) -> Results:
        return EmulatedModule(module).run(inputs, backwards=backwards)

    return differences(trials, computed, (RuntimeError, UnsupportedError))
