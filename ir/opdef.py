"""Op definitions: one declaration per op, read by everything else.

A definition names operands (with constraints), attributes (kind, default) and traits, and
says how result types follow (:meth:`OpDef.infer`), what the op means
(:meth:`OpDef.evaluate`, NumPy) and what it costs (:meth:`OpDef.cost`).  Builder, verifier,
printer, parser, interpreter, cost model and documentation derive from it::

    @register
    class Softmax(OpDef):
        '''Softmax along one axis. ...'''

        name = "nn.softmax"
        x = operand("the logits", dtypes=FLOATS)
        axis = attribute(INT, "axis to normalize along, 0 <= axis < rank")

        def infer(self, a, x): return x
        def evaluate(self, a, x): ...
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .attributes import AttributeKind, Attributes, AttributeValue, BadAttributeError
from .constants import Array
from .dims import Dim
from .dtypes import DType
from .errors import Error, TypeInferenceError
from .types import TensorType

if TYPE_CHECKING:
    from .core import Block

FLOATS = frozenset(d for d in DType if d.is_float)
INTEGERS = frozenset(d for d in DType if d.is_integer)
NUMERIC = FLOATS | INTEGERS
BOOLS = frozenset({DType.BOOL})
INDICES = frozenset({DType.I32, DType.I64})
ANY = frozenset(DType)


class Trait(enum.Enum):
    """Facts about an op that generic code relies on."""

    __hash__ = object.__hash__  # members are singletons; enum's own hash runs in Python

    COMMUTATIVE = "the first two operands may be swapped"
    ELEMENTWISE = "result element i depends on operand elements i only, after broadcasting"
    TERMINATOR = "ends a block"
    CONSTANT = "the result is compile-time data"
    VIEW = "the result has the bytes of operand 0 in the same order"
    IDEMPOTENT = "applying it twice equals applying it once"
    IMPURE = "two evaluations may differ (random numbers): never folded or merged"
    CHECK = "a view that fails unless a condition holds: it is code although nothing is computed"
    SIZED = "attribute size says how many elements the data gives; a symbol is defined by the op"


@dataclass(frozen=True, slots=True)
class OperandSpec:
    """A declared operand.  ``group`` names a dtype variable: equal names, equal dtypes."""

    doc: str
    dtypes: frozenset[DType] = ANY
    rank: int | None = None
    optional: bool = False
    variadic: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """A declared attribute; required when ``default`` is :data:`REQUIRED`."""

    kind: AttributeKind
    doc: str
    default: object


REQUIRED = object()


def operand(
    doc: str,
    *,
    dtypes: Collection[DType] = ANY,
    rank: int | None = None,
    optional: bool = False,
    variadic: bool = False,
    group: str = "",
) -> Any:
    """Declare an operand in an op definition (optional ones follow required ones)."""
    return OperandSpec(doc, frozenset(dtypes), rank, optional, variadic, group)


def attribute(kind: AttributeKind, doc: str, default: object = REQUIRED) -> Any:
    """Declare an attribute in an op definition."""
    return AttributeSpec(kind, doc, default)


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one execution: multiply-accumulates, other arithmetic, and bytes moved."""

    macs: Dim = 0
    flops: Dim = 0
    reads: Dim = 0
    writes: Dim = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.flops + other.flops,
            self.reads + other.reads,
            self.writes + other.writes,
        )


OperandTypes = Sequence[TensorType | None]
RegionFunction = Callable[..., list[Array]]
"""Runs a region on arrays, one per block argument, and returns what it yields."""


class OpDef:
    """Base of op definitions.  Subclasses are instantiated once, by :func:`register`."""

    name: ClassVar[str]
    traits: ClassVar[frozenset[Trait]] = frozenset()
    regions: ClassVar[tuple[str, ...]] = ()
    """Names of the nested regions; empty for most ops."""
    variadic_regions: ClassVar[bool] = False
    operands: ClassVar[Mapping[str, OperandSpec]] = {}
    attributes: ClassVar[Mapping[str, AttributeSpec]] = {}
    result_names: ClassVar[tuple[str, ...]] = ("y",)

    def __init_subclass__(cls) -> None:
        operands = dict(cls.operands)
        attributes = dict(cls.attributes)
        for key, value in list(vars(cls).items()):
            if isinstance(value, OperandSpec):
                operands[key.rstrip("_")] = value
            elif isinstance(value, AttributeSpec):
                attributes[key.rstrip("_")] = value
        cls.operands, cls.attributes = operands, attributes

    # What a definition provides ------------------------------------------------------

    def infer(self, a: Attributes, *operands: Any) -> TensorType | Sequence[TensorType]:
        """Result types from operand types (None for an absent optional operand).

        Raises:
            TypeInferenceError: operands and attributes do not fit together.
        """
        raise NotImplementedError(f"{self.name} has no type inference")

    def infer_regions(
        self, a: Attributes, operands: OperandTypes, regions: Sequence[Block]
    ) -> Sequence[TensorType]:
        """Like :meth:`infer`, for ops with regions."""
        raise NotImplementedError(f"{self.name} has no type inference")

    def evaluate(self, a: Attributes, *operands: Any) -> Array | Sequence[Array]:
        """The meaning of the op on NumPy arrays; attributes hold no symbols."""
        raise NotImplementedError(f"{self.name} has no reference implementation")

    def evaluate_typed(
        self, a: Attributes, types: OperandTypes, operands: Sequence[Any]
    ) -> Array | Sequence[Array]:
        """:meth:`evaluate` for callers that know the operands' types; call this one.

        Only an op whose meaning depends on more than the arrays show (an encoding) overrides it.
        """
        return self.evaluate(a, *operands)

    def evaluate_regions(
        self, a: Attributes, operands: Sequence[Any], regions: Sequence[RegionFunction]
    ) -> Sequence[Array]:
        """Like :meth:`evaluate`, for ops with regions; absent last operands may be left out."""
        raise NotImplementedError(f"{self.name} has no reference implementation")

    def is_pointwise(self, a: Attributes, operands: OperandTypes) -> bool:
        """Whether result element i depends on operand elements i only, after broadcasting.

        So it is of elementwise ops; of others it may depend on attributes and encodings.
        """
        return Trait.ELEMENTWISE in self.traits

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        """Work of one execution; by default one operation per result element."""
        return Cost(flops=sum_dims(r.elements for r in results), **traffic(operands, results))

    # What everybody uses -------------------------------------------------------------

    @property
    def doc(self) -> str:
        return (type(self).__doc__ or "").strip()

    @property
    def is_pure(self) -> bool:
        return Trait.IMPURE not in self.traits and Trait.TERMINATOR not in self.traits

    def complete(self, values: Mapping[str, object]) -> Attributes:
        """Check attribute values, bring them to normal form, and add defaults.

        Raises:
            TypeInferenceError: unknown, missing or ill-kinded attribute.
        """
        unknown = values.keys() - self.attributes.keys()
        if unknown:
            raise TypeInferenceError(
                f"{self.name} has no attribute {', '.join(sorted(unknown))}",
                help=f"it has {', '.join(self.attributes) or 'none'}",
            )
        complete: dict[str, AttributeValue] = {}
        for name, spec in self.attributes.items():
            value = values.get(name, spec.default)
            if value is REQUIRED:
                raise TypeInferenceError(f"{self.name} needs the attribute {name}")
            try:
                complete[name] = spec.kind.normalize(value)
            except BadAttributeError as error:
                raise TypeInferenceError(f"{self.name}: attribute {name}: {error}") from None
        return Attributes(complete)

    def result_types(
        self, a: Attributes, operands: OperandTypes, regions: Sequence[Block] = ()
    ) -> tuple[TensorType, ...]:
        """Check operand types against the declaration and infer the result types.

        Raises:
            TypeInferenceError: wrong arity, dtype, rank, or what :meth:`infer` refuses.
        """
        padded = self.check_operands(operands)
        if not self.variadic_regions and len(regions) != len(self.regions):
            raise TypeInferenceError(
                f"{self.name} takes {len(self.regions)} regions, got {len(regions)}"
            )
        try:
            if self.regions or self.variadic_regions:
                return tuple(self.infer_regions(a, padded, regions))
            inferred = self.infer(a, *padded)
        except Error as error:
            if isinstance(error, TypeInferenceError) and not error.message.startswith(self.name):
                error.message = f"{self.name}: {error.message}"
            raise
        return (inferred,) if isinstance(inferred, TensorType) else tuple(inferred)

    def check_operands(self, operands: OperandTypes) -> list[TensorType | None]:
        """``operands`` padded with None for trailing absent ones, after checking each."""
        specs = list(self.operands.items())
        padded = list(operands)
        variadic = bool(specs) and specs[-1][1].variadic
        if len(padded) > len(specs) and not variadic:
            raise TypeInferenceError(
                f"{self.name} takes at most {len(specs)} operands, got {len(padded)}"
            )
        fixed = len(specs) - variadic
        padded += [None] * (fixed - len(padded))
        dtypes: dict[str, DType] = {}
        for index, type_ in enumerate(padded):
            name, spec = specs[min(index, len(specs) - 1)]
            self._check_operand(name, spec, type_, dtypes)
        return padded

    def _check_operand(
        self, name: str, spec: OperandSpec, type_: TensorType | None, dtypes: dict[str, DType]
    ) -> None:
        if type_ is None:
            if not spec.optional:
                raise TypeInferenceError(f"{self.name} needs the operand {name}")
            return
        if type_.dtype not in spec.dtypes:
            raise TypeInferenceError(f"{self.name}: operand {name} cannot be {type_.dtype}")
        if spec.rank is not None and type_.rank != spec.rank:
            raise TypeInferenceError(
                f"{self.name}: operand {name} has rank {type_.rank}, needs {spec.rank}"
            )
        if spec.group and dtypes.setdefault(spec.group, type_.dtype) is not type_.dtype:
            raise TypeInferenceError(
                f"{self.name}: operand {name} is {type_.dtype}, "
                f"but must be {dtypes[spec.group]} like the others"
            )


def sum_dims(values: Iterable[Dim]) -> Dim:
    """Sum of dimensions (0 when there are none)."""
    total: Dim = 0
    for value in values:
        total = total + value
    return total


def traffic(operands: OperandTypes, results: Sequence[TensorType]) -> dict[str, Dim]:
    """Bytes read and written when every operand and result is touched once."""
    return {
        "reads": sum_dims(t.bytes for t in operands if t is not None),
        "writes": sum_dims(t.bytes for t in results),
    }


def once_per_element(operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
    """The cost of one operation per element of the first operand."""
    x = operands[0]
    assert x is not None
    return Cost(flops=x.elements, **traffic(operands, results))


_REGISTRY: dict[str, OpDef] = {}

OpDefClass = TypeVar("OpDefClass", bound=type[OpDef])


def register(cls: OpDefClass) -> OpDefClass:
    """Class decorator: enter an op definition into the registry.

    Raises:
        ValueError: the name is taken or not of the form ``family.op``.
    """
    register_instance(cls())
    return cls


def register_instance(definition: OpDef) -> OpDef:
    """Enter a definition made at run time (elementwise ops from scalar expressions)."""
    family, dot, op = definition.name.partition(".")
    if not (family.isidentifier() and dot and op.isidentifier()):
        raise ValueError(f"op name {definition.name!r} is not of the form family.op")
    if definition.name in _REGISTRY:
        raise ValueError(f"op {definition.name} is registered twice")
    _REGISTRY[definition.name] = definition
    return definition


def lookup(name: str) -> OpDef:
    """The definition of the op ``name``.

    Raises:
        TypeInferenceError: there is no such op.
    """
    try:
        return _REGISTRY[name]
    except KeyError:
        from difflib import get_close_matches  # only on the error path

        close = get_close_matches(name, _REGISTRY, n=1)
        hint = f"did you mean {close[0]}?" if close else "`burnish ops` lists all"
        raise TypeInferenceError(f"there is no op {name}", help=hint) from None


def registry() -> Mapping[str, OpDef]:
    """All op definitions by name."""
    return _REGISTRY
