"""What ``NAME_run`` does about sizes that are known at run time only.

Sizes known when it starts become locals; those that ops define during the run are read from the
struct where they are needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from burnish.ir import Dim, Function
from burnish.ir.dims import symbol, symbols_of

from .code import PRIMARY, CodeWriter, Expr, size
from .kernels.builder import ERROR_SIZE, Parameter
from .sizes import PREFIX, Check, Member, Sizes


class RunSizes:
    """Expressions over the struct of sizes, and checks of what it holds."""

    def __init__(self, name: str, sizes: Sizes) -> None:
        self._name = name
        self._macro = name.upper()
        self._sizes = sizes
        self._members = {member.name: member for member in sizes.members}
        self._found: set[str] = set()

    @property
    def parameter(self) -> str:
        """What the run function takes besides tensors and the arena."""
        return f", struct {self._name}_sizes *sizes" if self._sizes else ""

    def argument(self, parameter: Parameter) -> str:
        """What is passed for a parameter that hands over a size, or takes one back."""
        if parameter.kind == "found":
            return f"&sizes->{self._members[parameter.size].member}"
        return self._value(parameter.size).text

    def text(self, dim: Dim) -> str:
        """The value of a dimension in the run function."""
        return size(dim, lambda name: self._value(name).within(PRIMARY)).text

    def bytes(self, dim: Dim) -> str:
        """The same, as a number of bytes."""
        return str(dim) if isinstance(dim, int) else f"(size_t)({self.text(dim)})"

    def _value(self, name: str, *, by_name: bool = True) -> Expr:
        """A size: the local of that name where there is one, else computed from the struct."""
        if by_name and self._sizes.is_known_at_start(symbol(name)):
            return Expr(name)
        if name in self._members:
            return Expr(f"sizes->{self._members[name].member}")
        return size(
            self._sizes.derived[name],
            lambda other: self._value(other, by_name=by_name).within(PRIMARY),
            self._sizes.ranges,
        )

    # Checks and locals -------------------------------------------------------------------

    def prologue(self, writer: CodeWriter, text: str, *, checked: bool) -> None:
        """Declare the locals that ``text`` needs; with ``checked``, refuse wrong sizes."""
        checks = [c for c in self._sizes.checks if self._sizes.is_known_at_start(c.value)]
        pending = checks if checked else []
        wanted = set(re.findall(rf"\b{PREFIX}\w+", text))
        wanted.update(*(symbols_of(check.value) for check in pending))
        for name in reversed(list(self._sizes.derived)):
            if name in wanted:
                wanted |= symbols_of(self._sizes.derived[name])
        if checked:
            for member in self._sizes.members:
                if member.is_input:
                    self._require(writer, self._outside(member))
        declared: set[str] = set()
        for name in [*self._members, *self._sizes.derived]:
            if name not in wanted or not self._sizes.is_known_at_start(symbol(name)):
                continue
            value = self._declared(name)
            writer.line(f"const ptrdiff_t {name} = {value};")
            declared.add(name)
            ready = [check for check in pending if symbols_of(check.value) <= declared]
            pending = [check for check in pending if check not in ready]
            for check in ready:
                self._check(writer, check)

    def _declared(self, name: str) -> Expr:
        if name in self._members:
            return Expr(f"sizes->{self._members[name].member}")
        return size(self._sizes.derived[name], str, self._sizes.ranges)

    def _outside(self, member: Member) -> str:
        limits = f"{self._macro}_{member.member.upper()}"
        place = f"sizes->{member.member}"
        return f"{place} < {limits}_MIN || {place} > {limits}_MAX"

    def _check(self, writer: CodeWriter, check: Check) -> None:
        value = self.text(check.value)
        if check.low == check.high:
            self._require(writer, f"{value} != {check.low}")
            return
        if check.low is not None:
            self._require(writer, f"{value} < {check.low}")
        if check.high is not None:
            self._require(writer, f"{value} > {check.high}")

    def _require(self, writer: CodeWriter, wrong: str) -> None:
        with writer.block(f"if ({wrong})"):
            writer.line(f"return {self._macro}_{ERROR_SIZE};")

    def checks_after(self, writer: CodeWriter, name: str) -> None:
        """Check what is decided when an op has defined the size ``name``."""
        self._found.add(name)
        late = {member.name for member in self._sizes.members if not member.is_input}
        for check in self._sizes.checks:
            needed = self._sizes.needs(check.value) & late
            if name in needed and needed <= self._found:
                self._check(writer, check)

    # Shapes ------------------------------------------------------------------------------

    def shape_functions(self, function: Function) -> Iterator[str]:
        """Functions that tell the shapes of inputs and outputs."""
        if not self._sizes:
            return
        for kind, values in (("input", function.args), ("output", function.results)):
            for i, value in enumerate(values):
                lines = [
                    f"    shape[{axis}] = {self._direct(dim)};\n"
                    for axis, dim in enumerate(value.type.shape)
                ]
                body = "".join(lines)
                unused = "".join(
                    f"    (void){name};\n" for name in ("sizes", "shape") if name not in body
                )
                yield f"{shape_signature(self._name, kind, i)}\n{{\n{unused}{body}}}\n"

    def _direct(self, dim: Dim) -> str:
        return size(dim, lambda name: self._value(name, by_name=False).within(PRIMARY)).text


def shape_signature(name: str, kind: str, number: int) -> str:
    """Declaration of the function that tells the shape of an input or output."""
    return f"void {name}_{kind}_{number}_shape(const struct {name}_sizes *sizes, ptrdiff_t *shape)"
