"""Runs a compiled model in TVM, in this process."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.ir import Array, DType
from burnish.ir.errors import InputError, ModelError, ToolchainError, clip

from ..c.host import check_inputs, sizes_of
from .calling import ERROR_MARK
from .kernels import provide
from .package import tvm_package
from .storage import restored, stored
from .targets import CUDA


class TvmRunner:
    """A library that TVM has loaded.

    Attributes:
        main: what takes and gives TVM's tensors: a function of the library itself, or that of
            TVM's virtual machine.
    """

    def __init__(
        self, library: bytes, manifest: Mapping[str, Any], kernels: bytes | None = None
    ) -> None:
        """``kernels`` is the code of those for a GPU; without, TVM compiles them now."""
        self.manifest = manifest
        self._tvm = tvm_package()
        self._device = self._tvm.cuda() if manifest["target"] == CUDA else self._tvm.cpu()
        if not self._device.exist:
            raise ToolchainError(
                "the model is for a GPU of NVIDIA, and this machine has none",
                help="what was saved runs where there is one",
            )
        if kernels is not None:
            provide(manifest["kernels"], kernels)
        with tempfile.TemporaryDirectory(prefix="burnish-tvm-") as folder:
            path = Path(folder) / "model.so"
            path.write_bytes(library)
            try:
                loaded = self._tvm.runtime.load_module(str(path))
                self._module, self._name = self._runnable(loaded)
                self.main = self._module[self._name]
            except (AttributeError, OSError, RuntimeError) as error:
                raise ToolchainError(f"TVM does not load the model: {error}") from None

    def _runnable(self, library: Any) -> tuple[Any, str]:
        """The module that has the function to call, and its name there."""
        name = self.manifest.get("function", "")
        if name:
            return library.imports[0], name
        return self._tvm.relax.VirtualMachine(library, self._device).module, "main"

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Outputs for ``inputs``, both by name.

        Raises:
            InputError: a name, shape or element type does not fit; or an index is out of range.
            ModelError: TVM fails.
        """
        outputs = self.call(self.tensors(inputs))
        if self.manifest["checked"] and not outputs.pop():
            raise InputError("the inputs hold other sizes than the model declares")
        return {
            entry["name"]: restored(array, DType.parse(entry["dtype"]))
            for entry, array in zip(self.manifest["outputs"], outputs)
        }

    def tensors(self, inputs: Mapping[str, Array]) -> list[Any]:
        """TVM's tensors of the inputs, in the order of ``main``."""
        arrays = check_inputs(self.manifest["inputs"], inputs)
        sizes_of(self.manifest, arrays)  # raises where they contradict each other
        return [self._tvm.runtime.tensor(stored(array), self._device) for array in arrays]

    def seconds(self, tensors: Sequence[Any], rounds: int) -> list[float]:
        """The time of each of ``rounds`` runs; on a GPU between two events of its own."""
        evaluator = self._module.time_evaluator(self._name, self._device, number=1, repeat=rounds)
        arguments, _ = self.bound(tensors)
        return [float(second) for second in evaluator(*arguments).results]

    def call(self, tensors: Sequence[Any]) -> list[Array]:
        """The outputs for TVM's tensors."""
        return [tensor.numpy() for tensor in self._results(tensors)]

    def bound(self, tensors: Sequence[Any]) -> tuple[list[Any], list[Array]]:
        """What :attr:`main` takes for TVM's tensors, and the outputs of such a call.

        Memory for results is among it where ``main`` needs no virtual machine.
        """
        results = self._results(tensors)
        ready = results if "function" in self.manifest else []
        return [*tensors, *ready], [tensor.numpy() for tensor in results]

    def _results(self, tensors: Sequence[Any]) -> list[Any]:
        try:
            results = self.main(*tensors)
            return [results] if hasattr(results, "numpy") else list(results)
        except RuntimeError as error:
            _, mark, reason = str(error).partition(ERROR_MARK)
            if mark:
                raise InputError(f"the model stopped: {clip(reason.splitlines()[0])}") from None
            raise ModelError(f"TVM stopped: {clip(str(error), 600)}") from None
