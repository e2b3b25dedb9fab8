"""Shapes that a model declares for the values of a graph, also where it does so indirectly.

Operators whose result shape depends on run-time data take it from the declaration.  Exporters
declare outputs of the graph and often inner values; what is not declared may still follow from a
declared value that is computed from it element by element.  Such a shape is a claim of the
model: whoever uses it checks at run time what it relies on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from burnish.ir import Dim, TensorType

from .graph import DeclaredType, DimHint, Graph, Node

KnownType = Callable[[str], TensorType | None]
"""The type of a value that has been converted already, by name."""

_NAMES = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
    CastLike Ceil Celu Clip Cos Cosh CumSum Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual
    HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log LogSoftmax Max Mean
    Min Mish Mod Mul Neg Not Or PRelu Pow QuickGelu Reciprocal Relu Round Selu Sigmoid Sign Sin
    Sinh Softmax Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
_ELEMENTWISE = frozenset(_NAMES.split())
"""Operators whose result has the shape of their operands, broadcast together."""

_ONLY_FIRST = frozenset({"CastLike", "Clip", "CumSum"})
"""Of these the first operand alone decides the shape."""


class DeclaredShapes:
    """Declared shapes of one graph's values.

    ``symbols`` gives the dimensions that names in declarations stand for; ``known`` the types of
    values converted so far; ``outside`` answers for values that an enclosing graph declares.
    """

    def __init__(
        self,
        graph: Graph,
        symbols: Mapping[str, Dim],
        known: KnownType,
        outside: Callable[[str], tuple[Dim, ...] | None],
    ) -> None:
        self._graph = graph
        self._symbols = symbols
        self._known = known
        self._outside = outside
        self._users: dict[str, list[Node]] | None = None
        self._outputs = {output.name: output.type for output in graph.outputs}

    def shape(self, name: str) -> tuple[Dim, ...] | None:
        """The shape of the value ``name``, or None when nothing declares all of it."""
        return self._search(name, set())

    def partial_shape(self, name: str) -> tuple[Dim | None, ...] | None:
        """The shape of ``name``, None for a size that is not declared; None without even a rank."""
        whole = self.shape(name)
        if whole is not None:
            return whole
        for declared in (self._outputs.get(name), self._graph.hints.get(name)):
            if declared is not None and declared.kind == "tensor" and declared.shape is not None:
                return tuple(map(self._dim, declared.shape))
        return None

    def _search(self, name: str, seen: set[str]) -> tuple[Dim, ...] | None:
        seen.add(name)
        for declared in (self._outputs.get(name), self._graph.hints.get(name)):
            shape = None if declared is None else self._resolved(declared)
            if shape is not None:
                return shape
        if name in self._outputs and (shape := self._outside(name)) is not None:
            return shape
        for user in self._users_of(name):
            (result,) = user.outputs[:1] or ("",)
            if result and result not in seen and self._keeps_shape(user, name):
                shape = self._search(result, seen)
                if shape is not None and self._may_be_whole(user, name, shape):
                    return shape
        return None

    def _resolved(self, declared: DeclaredType) -> tuple[Dim, ...] | None:
        if declared.kind != "tensor" or declared.shape is None:
            return None
        dims = [self._dim(hint) for hint in declared.shape]
        known = tuple(dim for dim in dims if dim is not None)
        return known if len(known) == len(dims) else None

    def _dim(self, hint: DimHint) -> Dim | None:
        return self._symbols.get(hint) if isinstance(hint, str) else hint

    def _users_of(self, name: str) -> list[Node]:
        if self._users is None:
            self._users = {}
            for node in self._graph.nodes:
                for operand in dict.fromkeys(node.inputs):
                    self._users.setdefault(operand, []).append(node)
        return self._users.get(name, [])

    def _keeps_shape(self, user: Node, name: str) -> bool:
        if user.domain or user.op_type not in _ELEMENTWISE:
            return False
        return user.op_type not in _ONLY_FIRST or user.inputs[0] == name

    def _may_be_whole(self, user: Node, name: str, shape: tuple[Dim, ...]) -> bool:
        """Whether ``name`` may have the shape of the result: no other operand gives it that."""
        if user.op_type in _ONLY_FIRST:
            return True
        if all(dim == 1 for dim in shape):
            return True
        others = (self._known(other) for other in user.inputs if other and other != name)
        return all(other is None or other.shape != shape for other in others)


def symbols_of_inputs(graph: Graph, types: Mapping[str, TensorType]) -> dict[str, Dim]:
    """What the names of dimensions stand for, as the types of the graph's inputs show."""
    found: dict[str, Dim] = {}
    for value in graph.inputs:
        for hint, dim in zip(value.type.shape or (), types[value.name].shape, strict=False):
            if isinstance(hint, str):
                found.setdefault(hint, dim)
    return found
