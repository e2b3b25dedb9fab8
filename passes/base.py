"""What a pass is, and the registry of all passes.

A pass is a frozen dataclass: its fields are its options, its docstring is its documentation::

    @register_pass
    @dataclass(frozen=True)
    class Fuse(Pass):
        '''Fuse operations into groups.'''

        name = "fuse"
        max_inputs: int = 8

        def run(self, module, context): ...

or a decorated function whose keyword-only parameters are the options::

    @register_pass(name="drop-names")
    def drop_names(module, context, *, keep_outputs: bool = True) -> bool:
        '''Drop name hints.'''
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, get_type_hints, overload

from burnish.ir import Function, Listener, Location, Module, Op, Rewriter
from burnish.ir.errors import PassError

from .journal import Journal
from .promises import EXACT

OptionValue = bool | int | float | str

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


@dataclass(frozen=True)
class Decision:
    """What a pass chose for an op, and between what.

    Attributes:
        location, op: nodes of the model that the op stands for, and its name.
        subject: the type on which the choice depended.
        chosen: the name of what was chosen.
        costs: estimates by name, of each choice alone.
    """

    location: Location
    op: str
    subject: str
    chosen: str
    costs: Mapping[str, float]


@dataclass
class PassContext:
    """What a running pass reports to, one object per run of a pass.

    Attributes:
        rewrites: how often each pattern (or named rewrite) was applied.
        refusals: how often a pattern that was tried gave up, per ``(pattern, reason)``.
        attempts: how often a pattern was tried.
        promises: what the rewrites that were applied promise.
        journal: of the whole run; it may end the rewrites.
        decisions: choices that reports show.
    """

    rewrites: Counter[str] = field(default_factory=Counter)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    attempts: int = 0
    promises: set[str] = field(default_factory=set)
    journal: Journal = field(default_factory=Journal)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def may_rewrite(self) -> bool:
        """Whether another rewrite may be applied: a pass asks before each.

        A pass that does not ask is one rewrite as a whole.
        """
        return self.journal.is_open

    def rewriter(self, listener: Listener | None = None) -> Rewriter:
        """A rewriter for this pass; all changes to the module go through it."""
        return Rewriter(listener)

    def count(
        self, rewrite: str, times: int = 1, *, root: Op | None = None, promise: str = EXACT
    ) -> None:
        """Record that the named rewrite was applied, starting at ``root``."""
        if times:
            self.rewrites[rewrite] += times
            self.promises.add(promise)
            self.journal.enter(rewrite, root)


@dataclass(frozen=True)
class Pass:
    """Base of all passes: graph in, graph out, in place.

    ``promise`` holds for what a pass changes without counting it (:meth:`PassContext.count`).
    ``needs`` names the options that must be given.
    """

    name: ClassVar[str]
    promise: ClassVar[str] = EXACT
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, module: Module, context: PassContext) -> bool:
        """Rewrite ``module`` and say whether it changed."""
        raise NotImplementedError(f"pass {self.name} does not define run()")

    @classmethod
    def doc(cls) -> str:
        """What the pass does: its docstring."""
        return inspect.cleandoc(cls.__doc__ or "")

    @classmethod
    def options(cls) -> tuple[dataclasses.Field[Any], ...]:
        """The declared options, in order."""
        return dataclasses.fields(cls)

    def __str__(self) -> str:
        """The pass as pipeline text, with the options that differ from their defaults."""
        changed = [
            f"{option_name(option)}={_value_text(getattr(self, option.name))}"
            for option in self.options()
            if getattr(self, option.name) != option.default
        ]
        return f"{self.name}{{{','.join(changed)}}}" if changed else self.name


@dataclass(frozen=True)
class FunctionPass(Pass):
    """A pass that looks at one function at a time."""

    def run(self, module: Module, context: PassContext) -> bool:
        """Run on every function of the module."""
        changed = False
        for function in list(module.functions.values()):
            changed |= self.run_function(function, context)
        return changed

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Rewrite ``function`` and say whether it changed."""
        raise NotImplementedError(f"pass {self.name} does not define run_function()")


def option_name(option: dataclasses.Field[Any]) -> str:
    """Name of an option in pipeline text: ``max_inputs`` is written ``max-inputs``."""
    return option.name.replace("_", "-")


def _value_text(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", value)
        if plain and value not in ("true", "false", "inf"):
            return value
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


_PASSES: dict[str, type[Pass]] = {}

PassClass = TypeVar("PassClass", bound=type[Pass])
PassFunction = Callable[..., bool]


@overload
def register_pass(target: PassClass) -> PassClass: ...
@overload
def register_pass(*, name: str) -> Callable[[PassFunction], PassFunction]: ...
def register_pass(target: Any = None, *, name: str = "") -> Any:
    """Decorator that enters a pass into the registry: a class, or a function with ``name=``.

    Raises:
        ValueError: the name is taken or not kebab-case.
    """
    if target is None:

        def enter(function: PassFunction) -> PassFunction:
            _enter(_from_function(function, name))
            return function

        return enter
    _enter(target)
    return target


def _enter(cls: type[Pass]) -> None:
    if not _NAME.match(cls.name):
        raise ValueError(f"pass name {cls.name!r} is not kebab-case")
    if cls.name in _PASSES:
        raise ValueError(f"pass {cls.name} is registered twice")
    _PASSES[cls.name] = cls


def _from_function(function: PassFunction, name: str) -> type[Pass]:
    hints = get_type_hints(function)
    options = [
        (parameter.name, hints[parameter.name], field(default=parameter.default))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]

    def run(self: Pass, module: Module, context: PassContext) -> bool:
        values = {option.name: getattr(self, option.name) for option in self.options()}
        return function(module, context, **values)

    namespace = {"name": name, "run": run, "__doc__": function.__doc__}
    cls = dataclasses.make_dataclass(
        function.__name__, options, bases=(Pass,), namespace=namespace, frozen=True
    )
    assert issubclass(cls, Pass)
    return cls


def passes() -> Mapping[str, type[Pass]]:
    """All registered passes by name."""
    return dict(sorted(_PASSES.items()))


def make_pass(name: str, options: Mapping[str, OptionValue] | None = None) -> Pass:
    """The pass of that name with options set (names as in pipeline text).

    Raises:
        PassError: unknown pass or option, or a value of the wrong type.
    """
    from difflib import get_close_matches

    cls = _PASSES.get(name)
    if cls is None:
        close = get_close_matches(name, _PASSES, n=1)
        hint = f"did you mean {close[0]}?" if close else "`burnish passes` lists all"
        raise PassError(f"there is no pass {name}", help=hint)
    declared = {option_name(option): option for option in cls.options()}
    values: dict[str, OptionValue] = {}
    for key, value in (options or {}).items():
        if key not in declared:
            known = ", ".join(declared) or "no options"
            raise PassError(f"pass {name} has no option {key}", help=f"it has {known}")
        field_name = declared[key].name
        values[field_name] = _convert(name, key, get_type_hints(cls)[field_name], value)
    for key in cls.needs:
        if not values.get(key):
            help = f"write {name}{{{key}=…}}; `burnish passes {name}` shows its options"
            raise PassError(f"pass {name} needs the option {key}", help=help)
    return cls(**values)


def _convert(name: str, key: str, expected: type, value: OptionValue) -> OptionValue:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not expected:
        kinds = {bool: "true or false", int: "an integer", float: "a number", str: "a word"}
        raise PassError(
            f"option {key} of pass {name} is {_value_text(value)}, "
            f"but must be {kinds.get(expected, expected.__name__)}"
        )
    return value
