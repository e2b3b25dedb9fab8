"""Targets: what a module can be compiled for, and the options each takes.

A :class:`Target` is data; a *backend* (``c``, later ``relay``, ``tvm``, ``onnx``) is the code
that emits for a family of targets.  Options are declared, too, so that the command line, the
documentation and the error messages all read one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from burnish.ir.errors import TargetError

OptionValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Option:
    """A declared option: what values it takes, what it is by default, what it does.

    ``passes`` says which options of passes a value sets; ``targets`` which target of the backend
    each value stands for; ``limits`` are the least and the greatest of numbers.
    """

    name: str
    doc: str
    default: OptionValue
    choices: tuple[OptionValue, ...] = ()
    passes: Mapping[OptionValue, Mapping[str, OptionValue]] = field(default_factory=dict)
    targets: Mapping[OptionValue, str] = field(default_factory=dict)
    limits: tuple[int, int] | None = None

    def parse(self, value: object) -> OptionValue:
        """``value``, possibly text from a command line, as a value of this option.

        Raises:
            TargetError: it is none of the choices, outside the limits, or not of the default's
                type.
        """
        if isinstance(self.default, bool):
            truth = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
            parsed: object = truth.get(str(value).lower())
        elif isinstance(self.default, int):
            digits = isinstance(value, str) and value.lstrip("-").isdigit()
            number = isinstance(value, int) and not isinstance(value, bool)
            parsed = int(str(value)) if digits or number else None
            if self.limits and isinstance(parsed, int):
                parsed = parsed if self.limits[0] <= parsed <= self.limits[1] else None
        else:
            parsed = value if isinstance(value, str) else None
        if parsed is None or (self.choices and parsed not in self.choices):
            kinds = {bool: "on or off", int: "a whole number", str: "text"}
            wanted = " or ".join(map(str, self.choices)) or kinds[type(self.default)]
            if self.limits:
                wanted = f"{wanted} from {self.limits[0]} to {self.limits[1]}"
            raise TargetError(f"option {self.name} is {value!r}, but must be {wanted}")
        assert isinstance(parsed, (bool, int, str))
        return parsed


@dataclass(frozen=True)
class Target:
    """What is compiled for.

    ``word`` is the size of a pointer in bits, ``alignment`` that of the arena and of weights in
    bytes.  ``compilers`` are the commands tried in turn, ``flags`` what they are given; ``host``
    says that the result runs on the machine that compiles.  ``defaults`` overrides defaults of
    the backend's options.  ``isa`` names the instruction set that kernels are written for, by which
    the pass ``layout`` chooses how tensors are stored, too ("" for neither).  ``threads`` says that
    its programs can have several.  ``pipeline`` names the standard pipeline, by default the
    backend's.
    """

    name: str
    backend: str
    doc: str
    compilers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    word: int = 64
    alignment: int = 64
    host: bool = False
    isa: str = ""
    threads: bool = False
    pipeline: str = ""
    defaults: Mapping[str, OptionValue] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.name)


COMMON_OPTIONS = (
    Option(
        "name", "prefix of every emitted symbol, and name of the files; default: the model's", ""
    ),
    Option(
        "fast-math",
        "optimize by what holds in real arithmetic only: of numbers that are finite and do not "
        "overflow; results change by more than rounding where they are not",
        False,
    ),
    Option(
        "tune",
        "how long kernels may be timed on this machine, such as 60s or 2m, where estimates do not "
        "tell which is the fastest; what was measured is remembered",
        "",
    ),
)
"""What every compilation takes, whatever the target."""

_TARGETS: dict[str, Target] = {}
_OPTIONS: dict[str, tuple[Option, ...]] = {}


def register_backend(backend: str, options: tuple[Option, ...]) -> None:
    """Declare the options of a backend."""
    _OPTIONS[backend] = options


def register_target(target: Target) -> Target:
    """Make a target known under its name.

    Raises:
        TargetError: the name is taken by another target, or its backend is unknown.
    """
    if _TARGETS.get(target.name, target) != target:
        raise TargetError(f"target {target.name} is registered already")
    if target.backend not in _OPTIONS:
        raise TargetError(
            f"target {target.name} names the unknown backend {target.backend}",
            help=f"there are {', '.join(_OPTIONS)}",
        )
    _TARGETS[target.name] = target
    return target


def targets() -> Mapping[str, Target]:
    """All targets by name."""
    return _TARGETS


def find_target(target: str | Target) -> Target:
    """The target of that name.

    Raises:
        TargetError: there is none.
    """
    if isinstance(target, Target):
        return target
    found = _TARGETS.get(target)
    if found is None:
        close = get_close_matches(target, _TARGETS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise TargetError(
            f"there is no target {target!r}", help=f"{hint}there are {', '.join(_TARGETS)}"
        )
    return found


def chosen_target(target: str | Target, given: Mapping[str, object] | None = None) -> Target:
    """The target of that name, or the one that an option in ``given`` stands for.

    Raises:
        TargetError: there is none, or the option contradicts the name.
    """
    found = find_target(target)
    asked = _as_declared(given or {})
    for option in options_of(found.backend):
        if not option.targets or option.name not in asked:
            continue
        value = option.parse(asked[option.name])
        if found.defaults.get(option.name, value) != value:
            raise TargetError(
                f"option {option.name} is {value}, but target {found.name} is for "
                f"{found.defaults[option.name]}",
                help=f"leave the option out, or take target {option.targets[value]}",
            )
        found = find_target(option.targets[value])
    return found


def options_of(backend: str) -> tuple[Option, ...]:
    """The options a backend takes."""
    return _OPTIONS[backend]


def split_options(
    target: Target, given: Mapping[str, object] | None = None
) -> tuple[dict[str, OptionValue], dict[str, OptionValue]]:
    """The common options with their values, and those of ``target`` (see complete_options).

    Raises:
        TargetError: an unknown option, one given twice, or a value it does not take.
    """
    common = {option.name: option for option in COMMON_OPTIONS}
    chosen = {name: option.default for name, option in common.items()}
    own = {}
    for name, value in _as_declared(given or {}).items():
        if name in common:
            chosen[name] = common[name].parse(value)
        else:
            own[name] = value
    return chosen, complete_options(target, own)


def complete_options(
    target: Target, given: Mapping[str, object] | None = None
) -> dict[str, OptionValue]:
    """All options of ``target`` with their values, in the order they are declared.

    Names may be written with underscores, as Python does.

    Raises:
        TargetError: an unknown option, one given twice, or a value it does not take.
    """
    declared = {option.name: option for option in options_of(target.backend)}
    asked = _as_declared(given or {})
    for name in asked:
        if name not in declared:
            known = [*declared, *(option.name for option in COMMON_OPTIONS)]
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise TargetError(
                f"target {target.name} has no option {name!r}",
                help=f"{hint}it has {', '.join(known)}",
            )
    chosen = {name: option.default for name, option in declared.items()}
    chosen.update(target.defaults)
    chosen.update({name: declared[name].parse(value) for name, value in asked.items()})
    return chosen


def _as_declared(given: Mapping[str, object]) -> dict[str, object]:
    """``given`` under the names that options are declared with: fast_math is fast-math."""
    renamed: dict[str, object] = {}
    for name, value in given.items():
        declared = str(name).replace("_", "-")
        if declared in renamed:
            raise TargetError(f"option {declared} is given twice")
        renamed[declared] = value
    return renamed
