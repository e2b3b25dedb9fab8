"""Errors that burnish raises on purpose: each says what, where, and what to do.

Every error a caller can provoke is a :class:`Error`.  A code names its kind for
scripts and documentation; the location names the ONNX node(s) or text position
the error is about; ``help`` says what to do next.  A failed invariant of burnish
itself is an :class:`InternalError`, so that users know whom to blame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MAX_SHOWN_TEXT = 120


def clip(text: str, limit: int = MAX_SHOWN_TEXT) -> str:
    """``text`` on one printable line of at most ``limit`` characters (names may be hostile)."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return line if len(line) <= limit else f"{line[: limit - 20]}…({len(line)} characters)"


class Error(Exception):
    """Base of all errors with a cause outside burnish.

    Attributes:
        code: stable identifier such as ``E-SHAPE``.
        message: one sentence: what is wrong, with the two values that disagree.
        at: where: file, node and op, innermost first; may be empty.
        help: what to do about it; may be empty.
    """

    code = "E-BURNISH"

    def __init__(self, message: str, *, at: str | Sequence[str] = (), help: str = "") -> None:
        self.message = message
        self.at: tuple[str, ...] = (at,) if isinstance(at, str) and at else tuple(at)
        self.help = help
        super().__init__(message)

    def located(self, *where: str) -> Error:
        """Add outer places (``at`` grows outwards) and return self, for re-raising."""
        self.at = (*self.at, *(w for w in where if w and w not in self.at))
        return self

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"  at  {place}" for place in self.at]
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


class ModelError(Error):
    """The model file or proto is broken: truncated, cyclic, missing parts, lying sizes."""

    code = "E-MODEL"


class ExternalDataError(ModelError):
    """External data of a model points outside its folder, or lies about offset or length."""

    code = "E-EXTERNAL-DATA"


class UnsupportedError(Error):
    """Valid, but burnish cannot do it (yet).  Lists everything unsupported at once."""

    code = "E-UNSUPPORTED"


class TypeInferenceError(Error):
    """Operands or attributes do not fit an op: wrong dtype, rank, or shape."""

    code = "E-TYPE"


class DimensionError(Error):
    """A symbolic dimension is unbound, unknown, or bound to something impossible."""

    code = "E-DIM"


class ParseError(Error):
    """IR text, a pipeline, or a rule file does not parse; carries line and column (1-based)."""

    code = "E-PARSE"

    def __init__(
        self,
        message: str,
        *,
        line: int = 0,
        column: int = 0,
        at: str | Sequence[str] = (),
        help: str = "",
    ) -> None:
        super().__init__(message, at=at, help=help)
        self.line = line
        self.column = column


class VerifyError(Error):
    """A module breaks an invariant of the IR; ``findings`` lists all that were found."""

    code = "E-VERIFY"

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(findings)
        count = len(self.findings)
        summary = f"{count} finding{'s' if count != 1 else ''}"
        super().__init__("\n".join([f"the module is invalid ({summary})", *self.findings]))


class PassError(Error):
    """A pass or pipeline is unknown, misconfigured, or lacks what it requires."""

    code = "E-PASS"


class TargetError(Error):
    """A target is unknown, or cannot express the module."""

    code = "E-TARGET"


class ToolchainError(Error):
    """A compiler, linker or emulator is missing or failed."""

    code = "E-TOOLCHAIN"


class InputError(Error):
    """Arrays handed to run() or interpret() do not fit the signature."""

    code = "E-INPUT"


class OutOfMemoryError(Error):
    """Arrays of the sizes that a model asks for do not fit this machine's memory."""

    code = "E-MEMORY"


@contextmanager
def memory_errors(*where: str) -> Iterator[None]:
    """Turn a ``MemoryError`` into an :class:`OutOfMemoryError` at these places."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(
            f"there is not enough memory: {clip(str(error)) or 'an allocation failed'}",
            at=[place for place in where if place],
        ) from None


class UsageError(Error):
    """A call or a command line is malformed."""

    code = "E-USAGE"


class MismatchError(Error):
    """Two executions that must agree do not (raised by verification)."""

    code = "E-MISMATCH"


class InternalError(Exception):
    """An invariant of burnish itself failed: a bug in burnish, never in the model."""
