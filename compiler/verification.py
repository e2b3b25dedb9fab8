"""Does a compiled model compute what the model says?  Compare it with independent executions.

The references are onnxruntime with its graph optimizations off, because they change results,
and the interpreter of the IR that the model was imported to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from burnish.ir import Array, DType, Error, Module, interpret
from burnish.ir.errors import MismatchError, clip

from .driver import Model, compile, is_ir_file, read_model
from .frontend.onnx.bindings import Binding
from .frontend.onnx.load import ModelSource
from .layouts import in_model_order
from .progress import ProgressCallback, silent
from .samples import Samples, file_beside, read_samples, seeded_samples

TOLERANCE = 1e-4
"""Accepted difference of floating-point outputs, relative to the scale of the output."""

Execution = Callable[[dict[str, Array]], dict[str, Array]]


class ReferenceUnavailableError(Error):
    """A reference cannot be run here: it is not installed, or refuses the model."""

    code = "E-REFERENCE"


@dataclass(frozen=True)
class Comparison:
    """One output, compared with one reference over all samples.

    Attributes:
        reference: name of the reference.
        max_abs: largest absolute difference of finite elements.
        max_rel: ``max_abs`` over ``scale``; of an output that is zero throughout, ``max_abs``.
        scale: largest finite magnitude in the reference's output.
        tolerance: bound that was applied to ``max_rel``, or for integers to ``max_abs``.
        differing: elements that are not equal.
        elements: elements compared.
        problem: why the output is wrong whatever the numbers; empty when it is not.
    """

    output: str
    reference: str
    max_abs: float
    max_rel: float
    scale: float
    tolerance: float
    differing: int
    elements: int
    exact: bool
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the outputs agree."""
        if self.problem or (self.exact and not self.tolerance):
            # max_abs is a float, which may round a difference of large integers away.
            return not self.problem and not self.differing
        return (self.max_abs if self.exact else self.max_rel) <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """All comparisons of a compiled model; ``skipped`` says why a reference is not among them."""

    comparisons: tuple[Comparison, ...]
    skipped: Mapping[str, str]
    samples: int
    origin: str

    @property
    def ok(self) -> bool:
        """Whether at least one reference was run and every output agrees with each."""
        return bool(self.comparisons) and all(c.ok for c in self.comparisons)

    def raise_if_different(self) -> None:
        """Raise on any disagreement.

        Raises:
            MismatchError: naming the outputs that differ.
        """
        wrong = [c for c in self.comparisons if not c.ok]
        if wrong:
            said = ", ".join(
                f'"{clip(c.output)}" differs from {c.reference} by {c.max_rel:.2g}' for c in wrong
            )
            raise MismatchError(f"outputs differ from the reference: {said}")
        if not self.comparisons:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.skipped.items())
            raise ReferenceUnavailableError(f"there is nothing to compare with ({reasons})")


def verify_execution(
    execution: Execution,
    references: Mapping[str, Callable[[], Execution]],
    samples: Samples,
    *,
    steps: Mapping[str, int] | None = None,
    tolerance: float = TOLERANCE,
    progress: ProgressCallback = silent,
) -> Verification:
    """Run ``execution`` and each reference on all samples and compare the outputs.

    ``references`` maps a name to a function that makes the reference ready; one that raises
    :class:`ReferenceUnavailableError` is skipped.  ``steps`` gives the accepted absolute
    difference of integer outputs, by name (0 by default).
    """
    skipped: dict[str, str] = {}
    ready: dict[str, Execution] = {}
    for name, prepare in references.items():
        try:
            ready[name] = prepare()
        except ReferenceUnavailableError as error:
            skipped[name] = error.message
    compared: dict[tuple[str, str], Difference] = {}
    for index, sample in enumerate(samples):
        progress("compare", index / len(samples))
        actual = execution(dict(sample))
        for name, reference in list(ready.items()):
            try:
                expected = reference(dict(sample))
            except ReferenceUnavailableError as error:
                skipped[name] = error.message
                del ready[name]
                continue
            for output, array in expected.items():
                difference = compared.setdefault((output, name), Difference())
                difference.add(actual.get(output), array)
    comparisons = tuple(
        difference.comparison(output, name, tolerance, (steps or {}).get(output, 0))
        for (output, name), difference in compared.items()
        if name not in skipped
    )
    return Verification(comparisons, skipped, len(samples), samples.origin)


class Difference:
    """Accumulates the difference between two executions of one output."""

    def __init__(self) -> None:
        self.max_abs = 0.0
        self.scale = 0.0
        self.differing = 0
        self.elements = 0
        self.exact = False
        self.problem = ""

    def add(self, actual: Array | None, expected: Array) -> None:
        """Compare one sample's output."""
        if actual is None:
            self.problem = self.problem or "the output is missing"
            return
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            self.problem = self.problem or (
                f"it is {actual.dtype}{list(actual.shape)}, "
                f"the reference {expected.dtype}{list(expected.shape)}"
            )
            return
        self.elements += expected.size
        self.exact = not DType.from_numpy(expected.dtype).is_float
        if not expected.size:
            return
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        a, b = actual.astype(wide), expected.astype(wide)
        finite = np.isfinite(b)
        # Compared as they are: a large integer may not survive the conversion.
        equal = (actual == expected) | (np.isnan(a) & np.isnan(b))
        both = finite & np.isfinite(a)
        self.differing += int((~equal).sum())
        if not (equal | both).all():
            self.problem = self.problem or "NaN or infinity where the other has none"
        if both.any():
            self.max_abs = max(self.max_abs, float(np.abs(a[both] - b[both]).max()))
        if finite.any():
            self.scale = max(self.scale, float(np.abs(b[finite]).max()))

    def comparison(self, output: str, reference: str, tolerance: float, step: int) -> Comparison:
        """The result, judged by ``tolerance`` or, of integers, by ``step``."""
        relative = self.max_abs / self.scale if self.scale else self.max_abs
        return Comparison(
            output=output,
            reference=reference,
            max_abs=self.max_abs,
            max_rel=relative,
            scale=self.scale,
            tolerance=float(step) if self.exact else tolerance,
            differing=self.differing,
            elements=self.elements,
            exact=self.exact,
            problem=self.problem,
        )


def verify_outputs(actual: Mapping[str, Array], expected: Mapping[str, Array]) -> str:
    """How the outputs of one run differ from those expected, as one line; empty if they agree.

    Integers may differ by 1: they may be quantized.
    """
    wrong = []
    for name, array in expected.items():
        difference = Difference()
        difference.add(actual.get(name), array)
        compared = difference.comparison(name, "the reference", TOLERANCE, 1)
        if not compared.ok:
            said = compared.problem or f"differs by {compared.max_abs:.3g}"
            wrong.append(f'output "{clip(name)}": {said}')
    return ", ".join(wrong)


def interpreter(module: Module) -> Execution:
    """The reference interpreter as an execution."""
    return lambda inputs: interpret(module, inputs)


def onnxruntime_execution(model: ModelSource, outputs: Sequence[str]) -> Execution:
    """onnxruntime without graph optimizations, on the CPU, as an execution.

    Raises:
        ReferenceUnavailableError: it is not installed, or does not run the model.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ReferenceUnavailableError(
            "onnxruntime is not installed", help="pip install onnxruntime"
        ) from None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            _session_source(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise _refused(error) from None

    def execute(inputs: dict[str, Array]) -> dict[str, Array]:
        try:
            arrays: list[Any] = session.run(list(outputs), inputs)
        except Exception as error:
            raise _refused(error) from None
        return {name: np.asarray(array) for name, array in zip(outputs, arrays)}

    return execute


def _session_source(model: ModelSource) -> str | bytes:
    if isinstance(model, onnx.ModelProto):
        return bytes(model.SerializeToString())
    return model if isinstance(model, bytes) else os.fspath(model)


def _refused(error: Exception) -> ReferenceUnavailableError:
    return ReferenceUnavailableError(f"onnxruntime does not run the model: {clip(str(error))}")


def quantized_outputs(module: Module) -> list[str]:
    """Names of the outputs whose integers stand for real numbers."""
    main = module.main
    named = zip(main.result_names, main.results)
    return [name for name, value in named if value.type.quantized is not None]


def verify_model(
    model: Model,
    target: str = "c",
    *,
    dims: Mapping[str, Binding] | None = None,
    inputs: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    steps: int = 1,
    passes: str | None = None,
    options: Mapping[str, object] | None = None,
    layouts: Mapping[str, str] | None = None,
    progress: ProgressCallback = silent,
) -> Verification:
    """Compile a model, run it, and compare it with onnxruntime and the interpreter.

    ``inputs`` is an ``.npz`` of samples; by default the one beside the model's file, else seeded
    random numbers.  At most ``samples`` of them are run (of random ones, by default one).
    Quantized outputs may differ by ``steps`` steps: a sum near the middle of two steps may be
    rounded to either, and every following layer rounds again.  The interpreter runs the module
    as imported, so that the passes are checked, too.  Samples have the model's own order of
    axes, whatever ``layouts`` the model is compiled with.

    Raises:
        Error: the model cannot be compiled, or the inputs do not fit.
    """
    module = read_model(model, dims)
    compiled = compile(
        model, target, dims=dims, passes=passes, options=options, layouts=layouts,
        progress=lambda stage, fraction: progress(stage, fraction / 2),
    )  # fmt: skip
    chosen = choose_samples(model, module, inputs, samples, seed)
    references = {"interpreter": lambda: interpreter(module)}
    if not isinstance(model, Module) and not is_ir_file(model):
        names = module.main.result_names
        references = {"onnxruntime": lambda: onnxruntime_execution(model, names), **references}
    return verify_execution(
        in_model_order(compiled.run, module, layouts or {}),
        references,
        chosen,
        steps=dict.fromkeys(quantized_outputs(module), steps),
        tolerance=tolerance,
        progress=lambda stage, fraction: progress(stage, 0.5 + fraction / 2),
    )


def choose_samples(
    model: Model, module: Module, inputs: str | None, count: int | None, seed: int
) -> Samples:
    """Samples from ``inputs``, or from beside the model, or random ones; at most ``count``.

    Raises:
        InputError: the file does not fit the model's inputs.
    """
    names = module.main.arg_names
    path: str | os.PathLike[str] | None = inputs
    if path is None and isinstance(model, (str, os.PathLike)):
        path = file_beside(model)
    if path is None:
        return seeded_samples(module.main, count or 1, seed)
    found = read_samples(path, names)
    return found if count is None else found.first(count)
