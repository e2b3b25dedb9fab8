"""Functions of vectors of floats in C, of one vector or of several together.

A function is a chain in which each step waits for the one before it.  Of several vectors the steps
are written in turns, so that one vector's step is under way while another's waits; machines look
ahead far enough to do that by themselves only for about two chains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import wrap

from .isa import Isa

MOST_TOGETHER = 4
"""A function has a form for at most so many vectors."""


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of a vector.

    Attributes:
        comment: what it is, and how accurate.
        numbers: the constants of its steps by name, the same for all vectors.
        steps: statements; ``$`` stands for the number of the vector, ``*x$`` for the vector, which
            the last one overwrites.
        chains: how many chains of steps there are that do not wait for each other.
    """

    comment: str
    numbers: Mapping[str, str]
    steps: tuple[str, ...]
    chains: int = 1


def _polynomial(result: str, x: str, *coefficients: str) -> tuple[str, ...]:
    """Horner's scheme, the coefficient of the highest power first, into a new variable."""
    first, *others = coefficients
    steps = [f"@_{{v}} {result}$ = @_splat_{{v}}({first});"]
    for number in others:
        steps.append(f"{result}$ = @_fma_{{v}}({result}$, {x}$, @_splat_{{v}}({number}));")
    return tuple(steps)


_INSIDE = (
    "const @_{v} start$ = *x$, most$ = @_at_most_{v}(start$, top);",
    "const @_{v} y$ = @_at_least_{v}(most$, limit);",
)
"""What functions begin with: the argument within limits, beyond which they do not change."""

_SQUARE = ("const @_{v} s$ = y$ * y$;",)

FUNCTIONS: Mapping[str, _Function] = {
    "exp": _Function(
        "exp, at most 3e-7 of it off: 2^n times a polynomial of the rest, which lies within "
        "+-ln(2)/2.",
        {"magic": "12582912.0f", "limit": "-104.0f", "top": "89.0f"},
        (
            *_INSIDE,
            "const @_{v} n$ = @_fma_{v}(y$, @_splat_{v}(1.44269504f), magic) - magic;",
            "const @_{v} high$ = @_fma_{v}(n$, @_splat_{v}(-0.693359375f), y$);",
            "const @_{v} r$ = @_fma_{v}(n$, @_splat_{v}(2.12194440e-4f), high$);",
            *_polynomial(
                "p", "r", "8.2902294e-3f", "4.1898388e-2f", "1.6667640e-1f", "4.9999145e-1f",
                "9.9999970e-1f", "1.0f",
            ),
            "*x$ = @_times_power_{v}(p$, n$);",
        ),
    ),
    "erf": _Function(
        "erf, at most 4e-7 off: a quotient of polynomials, which is +-1 to f32 beyond 4.",
        {"top": "4.0f", "limit": "-4.0f"},
        (
            *_INSIDE,
            *_SQUARE,
            *_polynomial(
                "p", "s", "-2.72614225801306e-10f", "2.77068142495902e-8f",
                "-2.10102402082508e-6f", "-5.69250639462346e-5f", "-7.34990630326855e-4f",
                "-2.95459980854025e-3f", "-1.60960333262415e-2f",
            ),
            *_polynomial(
                "q", "s", "-1.45660718464996e-5f", "-2.13374055278905e-4f",
                "-1.68282697438203e-3f", "-7.37332916720468e-3f", "-1.42647390514189e-2f",
            ),
            "*x$ = p$ / q$ * y$;",
        ),
        chains=2,
    ),
    "tanh": _Function(
        "tanh, at most 4e-7 off: a quotient of polynomials, which is +-1 to f32 beyond 9.",
        {"top": "9.0f", "limit": "-9.0f"},
        (
            *_INSIDE,
            *_SQUARE,
            *_polynomial(
                "p", "s", "-2.76076847742355e-16f", "2.00018790482477e-13f",
                "-8.60467152213735e-11f", "5.12229709037114e-8f", "1.48572235717979e-5f",
                "6.37261928875436e-4f", "4.89352455891786e-3f",
            ),
            *_polynomial(
                "q", "s", "1.19825839466702e-6f", "1.18534705686654e-4f", "2.26843463243900e-3f",
                "4.89352518554385e-3f",
            ),
            "*x$ = p$ / q$ * y$;",
        ),
        chains=2,
    ),
}  # fmt: skip
"""Functions in place.  Vectors are not handed over by value: how that is done depends on the
machine, and compilers warn of it."""

_TEXT = """\
/* {comment} */
static inline __attribute__((always_inline)) void @_{name}({parameters})
{{
{body}}}
"""

_CALL = """\
#define @_{name}(x) __extension__ ({{ @_{v} x_ = (x); @_{name}_in(&x_); x_; }})
"""


def together(isa: Isa, names: Iterable[str]) -> int:
    """How many vectors functions are best applied to at a time: each takes some registers.

    Where each function has several chains, more of them cost more registers than they save time.
    """
    is_chain = any(FUNCTIONS[name].chains == 1 for name in names)
    return min(MOST_TOGETHER, isa.registers // 8) if is_chain else 1


def function_helper(name: str, stem: str, count: int = 1) -> str:
    """Name of the helper that applies a function to vectors of the type ``stem``."""
    return f"{name}_{stem}" if count == 1 else f"{name}_of_{count}_{stem}"


def function_text(name: str, stem: str, count: int) -> str:
    """C text of a function of ``count`` vectors; ``@`` stands for the model's prefix.

    For one vector there is an expression as well, which has the helper's name.
    """
    function, helper = FUNCTIONS[name], function_helper(name, stem, count)
    lines = [f"const @_{{v}} {n} = @_splat_{{v}}({v});" for n, v in function.numbers.items()]
    for step in function.steps:
        lines += [step.replace("$", str(number)) for number in range(count)]
    text = _TEXT.format(
        comment="\n * ".join(wrap(function.comment, 92)),
        name=f"{helper}_in" if count == 1 else helper,
        parameters=", ".join(f"@_{stem} *x{number}" for number in range(count)),
        body="".join(f"    {line}\n" for line in lines).format(v=stem),
    )
    return text + _CALL.format(name=helper, v=stem) if count == 1 else text
