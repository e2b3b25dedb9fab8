"""Elementwise ops: each is one scalar expression, from which all else follows.

Operands broadcast like NumPy's and share an element type.  Expressions are chosen so that
finite arguments never overflow to NaN on the way, and so that NaN operands give NaN unless
the comparison in the definition says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection

from ..attributes import BOOL as BOOLEAN
from ..attributes import DTYPE, FLOAT
from ..dtypes import DType
from ..elementwise import BOOL, TO, elementwise
from ..opdef import ANY, BOOLS, FLOATS, REQUIRED, AttributeSpec, Trait

INTEGERS = frozenset(d for d in DType if d.is_integer and d.bits >= 8)
"""Integers that have arithmetic; narrower ones are storage, to be cast or dequantized."""

NUMERIC = FLOATS | INTEGERS
SIGNED = frozenset(d for d in NUMERIC if d.is_signed)
_COMMUTATIVE = {Trait.COMMUTATIVE}
_IDEMPOTENT = {Trait.IDEMPOTENT}


def _number(doc: str, default: object = REQUIRED) -> AttributeSpec:
    return AttributeSpec(FLOAT, doc, default)


# Binary arithmetic ---------------------------------------------------------------------

_ARITHMETIC: tuple[tuple[str, str, str, Collection[DType], Collection[Trait]], ...] = (
    ("add", "x + y", "Sum; integers wrap.  ONNX Add.", NUMERIC, _COMMUTATIVE),
    ("sub", "x - y", "Difference; integers wrap.  ONNX Sub.", NUMERIC, ()),
    ("mul", "x * y", "Product; integers wrap.  ONNX Mul.", NUMERIC, _COMMUTATIVE),
    (
        "div",
        "x / y",
        "Quotient; of integers truncated towards zero, with x / 0 = 0 and MIN / -1 = MIN.  "
        "ONNX Div.",
        NUMERIC,
        (),
    ),
    (
        "pow",
        "pow(x, y)",
        "x to the power of y; an integer to a negative power is 0, ±1 for bases ±1.  ONNX Pow.",
        NUMERIC,
        (),
    ),
    ("min", "min(x, y)", "The smaller; NaN if either is NaN.  ONNX Min.", NUMERIC, _COMMUTATIVE),
    ("max", "max(x, y)", "The larger; NaN if either is NaN.  ONNX Max.", NUMERIC, _COMMUTATIVE),
    (
        "floor_mod",
        "floor_mod(x, y)",
        "Remainder with the sign of the divisor; x mod 0 is 0 for integers.  ONNX Mod, fmod=0.",
        NUMERIC,
        (),
    ),
    (
        "truncated_mod",
        "truncated_mod(x, y)",
        "Remainder with the sign of the dividend, as C has it; x mod 0 is 0 for integers.  "
        "ONNX Mod, fmod=1.",
        NUMERIC,
        (),
    ),
    ("bit_and", "bit_and(x, y)", "Bitwise and.  ONNX BitwiseAnd.", INTEGERS, _COMMUTATIVE),
    ("bit_or", "bit_or(x, y)", "Bitwise or.  ONNX BitwiseOr.", INTEGERS, _COMMUTATIVE),
    ("bit_xor", "bit_xor(x, y)", "Bitwise exclusive or.  ONNX BitwiseXor.", INTEGERS, _COMMUTATIVE),
    (
        "shift_left",
        "shift_left(x, y)",
        "x · 2^y modulo the type's range; 0 when y is the width or more.  ONNX BitShift LEFT.",
        INTEGERS,
        (),
    ),
    (
        "shift_right",
        "shift_right(x, y)",
        "x shifted right, keeping the sign; 0 or -1 when y is the width or more.  "
        "ONNX BitShift RIGHT.",
        INTEGERS,
        (),
    ),
)
for _name, _expression, _doc, _dtypes, _traits in _ARITHMETIC:
    elementwise(f"math.{_name}", _expression, _doc, dtypes=_dtypes, traits=_traits)

for _name, _expression, _doc, _dtypes, _traits in (
    ("less", "x < y", "Whether x < y; false for NaN.  ONNX Less.", NUMERIC, ()),
    ("less_equal", "x <= y", "Whether x <= y; false for NaN.  ONNX LessOrEqual.", NUMERIC, ()),
    ("greater", "x > y", "Whether x > y; false for NaN.  ONNX Greater.", NUMERIC, ()),
    (
        "greater_equal",
        "x >= y",
        "Whether x >= y; false for NaN.  ONNX GreaterOrEqual.",
        NUMERIC,
        (),
    ),
    (
        "equal",
        "x == y",
        "Whether x equals y; NaN equals nothing.  ONNX Equal.",
        NUMERIC | BOOLS,
        _COMMUTATIVE,
    ),
    (
        "not_equal",
        "x != y",
        "Whether x differs from y; NaN differs from all.  ONNX Not(Equal).",
        NUMERIC | BOOLS,
        _COMMUTATIVE,
    ),
    ("logical_and", "x and y", "Logical and.  ONNX And.", BOOLS, _COMMUTATIVE),
    ("logical_or", "x or y", "Logical or.  ONNX Or.", BOOLS, _COMMUTATIVE),
    ("logical_xor", "logical_xor(x, y)", "Logical exclusive or.  ONNX Xor.", BOOLS, _COMMUTATIVE),
):
    elementwise(f"math.{_name}", _expression, _doc, dtypes=_dtypes, result=BOOL, traits=_traits)

# Unary functions -----------------------------------------------------------------------

for _name, _doc in (
    ("exp", "e to the power of x.  ONNX Exp."),
    ("log", "Natural logarithm; NaN below 0.  ONNX Log."),
    ("sqrt", "Square root; NaN below 0.  ONNX Sqrt."),
    ("erf", "Gauss error function.  ONNX Erf."),
    ("sin", "Sine of x in radians.  ONNX Sin."),
    ("cos", "Cosine of x in radians.  ONNX Cos."),
    ("tan", "Tangent of x in radians.  ONNX Tan."),
    ("asin", "Arc sine in radians.  ONNX Asin."),
    ("acos", "Arc cosine in radians.  ONNX Acos."),
    ("atan", "Arc tangent in radians.  ONNX Atan."),
    ("sinh", "Hyperbolic sine.  ONNX Sinh."),
    ("cosh", "Hyperbolic cosine.  ONNX Cosh."),
    ("tanh", "Hyperbolic tangent.  ONNX Tanh."),
    ("asinh", "Inverse hyperbolic sine.  ONNX Asinh."),
    ("acosh", "Inverse hyperbolic cosine; NaN below 1.  ONNX Acosh."),
    ("atanh", "Inverse hyperbolic tangent.  ONNX Atanh."),
):
    elementwise(f"math.{_name}", f"{_name}(x)", _doc, dtypes=FLOATS)

for _name, _expression, _doc in (
    ("floor", "floor(x)", "Largest integer not above x.  ONNX Floor."),
    ("ceil", "ceil(x)", "Smallest integer not below x.  ONNX Ceil."),
    ("round", "round_even(x)", "Nearest integer, halves to even.  ONNX Round."),
):
    elementwise(f"math.{_name}", _expression, _doc, dtypes=FLOATS, traits=_IDEMPOTENT)

for _name, _expression, _doc in (
    ("reciprocal", "1 / x", "1 / x.  ONNX Reciprocal."),
    ("rsqrt", "1 / sqrt(x)", "1 / √x.  ONNX Reciprocal(Sqrt)."),
    ("sigmoid", "1 / (1 + exp(-x))", "Logistic function 1 / (1 + e^-x).  ONNX Sigmoid."),
    (
        "gelu",
        "0.5 * x * (1 + erf(x * 0.7071067811865476))",
        "Gaussian error linear unit x · Φ(x).  ONNX Gelu, approximate=none.",
    ),
    (
        "gelu_tanh",
        "0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",
        "The tanh approximation of gelu.  ONNX Gelu, approximate=tanh.",
    ),
    (
        "hard_swish",
        "x * min(max(x * 0.16666666666666666 + 0.5, 0), 1)",
        "x · min(max(x/6 + 1/2, 0), 1).  ONNX HardSwish.",
    ),
    (
        "softplus",
        "max(x, 0) + log1p(exp(-abs(x)))",
        "ln(1 + e^x), written so that e^x cannot overflow.  ONNX Softplus.",
    ),
    ("softsign", "x / (1 + abs(x))", "x / (1 + |x|).  ONNX Softsign."),
    (
        "mish",
        "x * tanh(max(x, 0) + log1p(exp(-abs(x))))",
        "x · tanh(softplus(x)).  ONNX Mish.",
    ),
):
    elementwise(f"math.{_name}", _expression, _doc, dtypes=FLOATS)

elementwise("math.neg", "-x", "-x; integers wrap.  ONNX Neg.", dtypes=SIGNED)
elementwise(
    "math.abs",
    "abs(x)",
    "Absolute value; the smallest integer stays as it is.  ONNX Abs.",
    dtypes=NUMERIC,
    traits=_IDEMPOTENT,
)
elementwise(
    "math.sign",
    "1 if x > 0 else -1 if x < 0 else x",
    "1 for positive, -1 for negative x; zeros and NaN stay.  ONNX Sign.",
    dtypes=NUMERIC,
    traits=_IDEMPOTENT,
)
elementwise(
    "math.relu",
    "max(x, 0)",
    "Rectified linear unit max(x, 0); NaN stays.  ONNX Relu.",
    dtypes=SIGNED,
    traits=_IDEMPOTENT,
)
elementwise("math.bit_not", "~x", "Bitwise complement.  ONNX BitwiseNot.", dtypes=INTEGERS)
elementwise("math.logical_not", "not x", "Logical complement.  ONNX Not.", dtypes=BOOLS)
elementwise(
    "math.is_nan", "is_nan(x)", "Whether x is NaN.  ONNX IsNaN.", dtypes=FLOATS, result=BOOL
)

# Functions with parameters -------------------------------------------------------------

elementwise(
    "math.is_inf",
    "(x == inf and positive) or (x == -inf and negative)",
    "Whether x is infinite, of the signs asked for.  ONNX IsInf.",
    dtypes=FLOATS,
    result=BOOL,
    attributes={
        "negative": AttributeSpec(BOOLEAN, "whether -inf counts", True),
        "positive": AttributeSpec(BOOLEAN, "whether +inf counts", True),
    },
)
elementwise(
    "math.clamp",
    "min(max(x, low), high)",
    "x limited to [low, high]; NaN stays; high wins when low > high.  ONNX Clip, constant bounds.",
    dtypes=FLOATS,
    attributes={
        "low": _number("lower bound, -inf for none"),
        "high": _number("upper bound, inf for none"),
    },
    traits=_IDEMPOTENT,
)
elementwise(
    "math.hard_sigmoid",
    "min(max(alpha * x + beta, 0), 1)",
    "min(max(α·x + β, 0), 1).  ONNX HardSigmoid.",
    dtypes=FLOATS,
    attributes={"alpha": _number("slope", 0.2), "beta": _number("offset", 0.5)},
)
elementwise(
    "math.silu",
    "x / (1 + exp(-(alpha * x)))",
    "x · sigmoid(α·x), also called swish; quick GELU with α = 1.702.  ONNX Swish.",
    dtypes=FLOATS,
    attributes={"alpha": _number("steepness", 1.0)},
)
elementwise(
    "math.leaky_relu",
    "alpha * x if x < 0 else x",
    "x, times α where negative.  ONNX LeakyRelu.",
    dtypes=FLOATS,
    attributes={"alpha": _number("slope for negative x", 0.01)},
)
elementwise(
    "math.prelu",
    "x * slope if x < 0 else x",
    "x, times the operand slope where negative.  ONNX PRelu.",
    dtypes=SIGNED,
)
elementwise(
    "math.elu",
    "x if x > 0 else alpha * expm1(x)",
    "Exponential linear unit: x, α·(e^x - 1) where not positive.  ONNX Elu.",
    dtypes=FLOATS,
    attributes={"alpha": _number("scale of the negative branch", 1.0)},
)
elementwise(
    "math.selu",
    "gamma * (x if x > 0 else alpha * expm1(x))",
    "Scaled exponential linear unit γ·elu(x, α).  ONNX Selu.",
    dtypes=FLOATS,
    attributes={
        "alpha": _number("scale of the negative branch", 1.67326319217681884765625),
        "gamma": _number("scale of the whole", 1.05070102214813232421875),
    },
)
elementwise(
    "math.celu",
    "x if x > 0 else alpha * expm1(x / alpha)",
    "Continuously differentiable exponential linear unit.  ONNX Celu.",
    dtypes=FLOATS,
    attributes={"alpha": _number("scale of the negative branch, not 0", 1.0)},
)
elementwise(
    "math.thresholded_relu",
    "x if x > alpha else 0",
    "x where above α, else 0 (also for NaN).  ONNX ThresholdedRelu.",
    dtypes=FLOATS,
    attributes={"alpha": _number("threshold", 1.0)},
)
elementwise(
    "math.shrink",
    "x + bias if x < -lambd else x - bias if x > lambd else 0",
    "x moved towards 0 by bias outside [-λ, λ], else 0.  ONNX Shrink.",
    dtypes=FLOATS,
    attributes={"lambd": _number("threshold λ", 0.5), "bias": _number("amount moved", 0.0)},
)

# Choice and conversion -----------------------------------------------------------------

elementwise(
    "math.select",
    "x if c else y",
    "x where c, else y.  ONNX Where.",
    dtypes=ANY,
    operand_dtypes={"c": BOOLS},
)
elementwise(
    "math.cast",
    "x",
    "x in another element type.  Float to integer truncates and saturates, NaN gives 0; integer "
    "to integer wraps; to bool is x != 0; to a narrower float rounds to nearest even.  ONNX Cast.",
    dtypes=ANY,
    result=TO,
    attributes={"to": AttributeSpec(DTYPE, "element type of the result", REQUIRED)},
)
