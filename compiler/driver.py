"""``burnish.compile``: a model in, a :class:`~burnish.compiled.CompiledModel` out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeAlias

from burnish.backends import Artifact, Target, backend_of, chosen_target, options_of, split_options
from burnish.backends.target import OptionValue
from burnish.ir import Error, Module, parse
from burnish.ir import verify as verify_module
from burnish.ir.collector import paused_collector
from burnish.ir.errors import ParseError, TargetError, UsageError, clip, memory_errors
from burnish.passes import (
    VERIFY_MODES,
    Instrument,
    Pass,
    PassReport,
    parse_pipeline,
    pipeline_text,
    run_pipeline,
    standard_pipeline,
    with_fast_math,
    with_option,
)

from .compiled import CompiledModel, load
from .frontend.onnx.bindings import Binding
from .frontend.onnx.importer import import_onnx
from .frontend.onnx.load import ModelSource
from .layouts import with_layouts
from .progress import ProgressCallback, reporting
from .report.build import build_report
from .requests import parse_seconds, parse_size, shorten, show_size
from .tuning import Measurements, tuned_pipeline

__all__ = ["CompiledModel", "Model", "compile", "load", "read_model"]

Model: TypeAlias = ModelSource | Module

IR_SUFFIX = ".burnish"


def compile(
    model: Model,
    target: str | Target = "c",
    *,
    dims: Mapping[str, Binding] | None = None,
    passes: str | Sequence[Pass] | None = None,
    options: Mapping[str, object] | None = None,
    calibration: object = None,
    ram: int | str | None = None,
    flash: int | str | None = None,
    verify: str | bool | None = None,
    layouts: Mapping[str, str] | None = None,
    progress: bool | ProgressCallback | None = None,
    executor: Executor | None = None,
) -> CompiledModel:
    """Compile a model for a target.

    Args:
        model: path of an ONNX model or of IR text (``*.burnish``), the model's bytes, a
            ``ModelProto``, or a ``Module`` (which is left as it is).
        target: name of a target, see :func:`burnish.targets`.
        dims: sizes of dynamic dimensions: ``{"batch": 1, "seq": (1, 512)}`` by symbol, or
            ``{"input": (1, 3, 224, 224)}``, an input's whole shape.
        passes: pipeline text, or passes; default: the standard pipeline of the target.
        options: of the target, and those of every compilation: ``name``, the prefix of every
            emitted symbol, and ``fast_math``, which lets all passes that know the option, those
            of ``passes`` too, use what holds in real arithmetic only; and ``tune``, how long
            kernels may be timed here (``"60s"``) to choose between them.
        ram: bytes there are for activations, such as ``65536`` or ``"64K"``.
        flash: bytes there are for code and weights.
        verify: ``"each"`` (or True) checks the IR after every pass; ``"semantic"`` also
            interprets it before and after, and names the rewrite that changed a result.
        layouts: the order of axes in which the compiled model takes inputs and gives outputs, by
            name: ``{"image": "NHWC"}``, or the numbers of the model's axes, ``"0,2,3,1"``.
        progress: True shows progress on a terminal; a function is called with the stage's name
            and the fraction done.
        executor: where kernels are built that are to be timed (default: threads of this
            process); its workers need the same compiler and processor as this machine.

    Raises:
        Error: a subclass says what is wrong with the model or the request; a model that does not
            fit ``ram`` or ``flash`` is a :class:`~burnish.ir.errors.TargetError`.
    """
    if calibration is not None:
        raise UsageError(
            "calibration is not available: burnish does not quantize models yet",
            help="compile without calibration, or give a model that is quantized already",
        )
    chosen = chosen_target(target, options)
    limits = _limits(ram=ram, flash=flash)
    common, complete = split_options(chosen, options)
    pipeline = _pipeline(chosen, passes, fast_math=bool(common["fast-math"]), options=complete)
    mode = _verify_mode(verify)
    tune = str(common["tune"])
    seconds = parse_seconds(tune, "option tune") if tune else 0.0
    with reporting(progress) as notify, memory_errors(_place(model)), paused_collector():
        if seconds:
            measurements = Measurements(chosen, seconds, executor, notify)
            pipeline = tuned_pipeline(pipeline, chosen, measurements)
        notify("import", 0.0)
        module = read_model(model, dims)
        try:
            module = with_layouts(module, layouts or {})
            report = _optimize(module, pipeline, mode, notify)
            notify("emit", 0.8)
            artifact = _emit(module, chosen, complete, str(common["name"]) or module.name)
            compiled = CompiledModel(
                module=module,
                target=chosen,
                artifact=artifact,
                report=build_report(module, chosen, artifact, report, pipeline_text(pipeline)),
            )
            notify("measure", 0.9)
            return _fitting(compiled, limits)
        except Error as error:
            raise error.located(_place(model)) from None


def read_model(model: Model, dims: Mapping[str, Binding] | None = None) -> Module:
    """A module that may be changed, from anything that :func:`compile` takes.

    Raises:
        Error: the model is broken, unsupported, or its dimensions are not bound.
    """
    if isinstance(model, (str, os.PathLike)) and is_ir_file(model):
        model = _read_text(Path(model))
    if not isinstance(model, Module):
        return import_onnx(model, dims)
    if dims:
        raise UsageError(
            "dims bind dimensions when an ONNX model is imported; this one is a module already",
            help="give dims to import_onnx, or compile the ONNX model",
        )
    return model.copy()


def _place(model: Model) -> str:
    """The model's file, for errors."""
    return clip(os.fspath(model)) if isinstance(model, (str, os.PathLike)) else ""


def is_ir_file(model: object) -> bool:
    """Whether ``model`` is the path of IR text, by its suffix."""
    return isinstance(model, (str, os.PathLike)) and str(model).endswith(IR_SUFFIX)


def _read_text(path: Path) -> Module:
    """The module in a file of IR text."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", at=clip(str(path))) from None
    except UnicodeDecodeError:
        raise ParseError("the file is no IR text", at=clip(str(path))) from None
    try:
        module = parse(text)
        verify_module(module)
    except Error as error:
        raise error.located(clip(str(path))) from None
    return module


def _limits(**sizes: int | str | None) -> dict[str, int]:
    """The bytes of the limits that are given."""
    return {what: parse_size(size, what) for what, size in sizes.items() if size is not None}


def _pipeline(
    target: Target,
    passes: str | Sequence[Pass] | None,
    *,
    fast_math: bool,
    options: Mapping[str, OptionValue],
) -> list[Pass]:
    """The passes asked for, or the target's, as the target's options change them."""
    if passes is None:
        passes = standard_pipeline(target.pipeline or target.backend, target.isa)
    if isinstance(passes, str):
        passes = parse_pipeline(passes) if passes.strip() else []
    pipeline = with_fast_math(list(passes)) if fast_math else list(passes)
    for option in options_of(target.backend):
        for name, value in option.passes.get(options[option.name], {}).items():
            pipeline = with_option(pipeline, name, value)
    return pipeline


def _verify_mode(verify: str | bool | None) -> str:
    mode = "each" if verify is True else verify or "off"
    if mode not in VERIFY_MODES:
        listed = ", ".join(f'"{known}"' for known in VERIFY_MODES)
        raise UsageError(f"verify is {verify!r}, but must be None or one of {listed}")
    return mode


class _Progress(Instrument):
    """Tells how much of a pipeline is done."""

    def __init__(self, notify: ProgressCallback, count: int) -> None:
        self._notify = notify
        self._count = count
        self._done = 0

    def before(self, pass_: Pass, module: Module) -> None:
        self._notify(f"optimize: {pass_.name}", 0.2 + 0.6 * self._done / self._count)
        self._done += 1


def _optimize(
    module: Module, pipeline: Sequence[Pass], verify: str, notify: ProgressCallback
) -> PassReport:
    from .debugging import keeper

    watch = (keeper(), _Progress(notify, len(pipeline)))
    return run_pipeline(module, pipeline, verify=verify, instruments=watch)


def _emit(module: Module, target: Target, options: Mapping[str, object], name: str) -> Artifact:
    return backend_of(target).compile_module(module, target, options, name)


def _fitting(compiled: CompiledModel, limits: Mapping[str, int]) -> CompiledModel:
    """``compiled``, when it fits.

    Raises:
        TargetError: it does not; one sentence says what, and by how much.
    """
    if "flash" in limits:
        compiled.measure()
    memory, sizes = compiled.report.memory, compiled.report.sizes
    needs = {"ram": memory.ram if memory is not None else 0, "flash": sizes.flash}
    words = {
        "ram": "RAM for activations, inputs and outputs",
        "flash": "flash for code and weights",
    }
    if "ram" in limits and memory is None:
        raise TargetError(
            f"how much RAM a model takes is not known for target {compiled.target.name}",
            help="compile without a limit on RAM",
        )
    lacking = [
        f"it needs {show_size(needs[what])} of {words[what]}, "
        f"{show_size(needs[what] - limit)} more than the {show_size(limit)} there are"
        for what, limit in limits.items()
        if needs[what] > limit
    ]
    if lacking:
        raise TargetError(
            f"the model does not fit {compiled.target.name}: {', and '.join(lacking)}",
            help=_what_to_do(compiled, limits, needs),
        )
    return compiled


def _what_to_do(
    compiled: CompiledModel, limits: Mapping[str, int], needs: Mapping[str, int]
) -> str:
    memory = compiled.report.memory
    if memory is not None and needs["ram"] > limits.get("ram", needs["ram"]):
        live = ", ".join(shorten(name, 40) for name in memory.live_at_peak[:4])
        return f"most of the RAM is live at step {memory.peak_step}: {live}"
    return f"the weights take {show_size(compiled.report.sizes.weights)}"
