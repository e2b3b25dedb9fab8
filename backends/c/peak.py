"""C that measures the machine's peak: how many products one core starts in a second."""

from __future__ import annotations

from .isa import Isa
from .vectors import definitions, vector_type

CHAINS = 12
"""Sums of products that do not wait for each other: more than any machine has under way."""

_PEAK = """\
{vectors}
static volatile float peak_sink;

/* Products per second of {count} chains of sums; what they add up to is 0 for all we know. */
static double peak(void)
{{
    enum {{ ROUNDS = 20000 }};
    const {v} factor = @_splat_{stem}(0.5f);
    {v} {sums};
    const double start = seconds();
    double taken;
    int i;
    for (i = 0; i < ROUNDS; i++) {{
{products}
    }}
    taken = seconds() - start;
    peak_sink = {total};
    return (double)ROUNDS * {count} * {lanes} / taken;
}}
"""

_SCALAR_DEFINITIONS = """\
typedef float @_f32;
#define @_splat_f32(s) ((float)(s))
#define @_fma_f32(x, y, sum) ((x) * (y) + (sum))
"""


def peak_text(isa: Isa) -> str:
    """The C function ``double peak(void)``, which takes the time from ``double seconds(void)``."""
    stem = vector_type(isa.lanes) if isa.has_vectors else "f32"
    sums = [f"sum{i}" for i in range(CHAINS)]
    total = " + ".join(sums)
    return _PEAK.format(
        vectors=definitions()[stem] if isa.has_vectors else _SCALAR_DEFINITIONS,
        count=CHAINS,
        lanes=isa.lanes,
        v=f"@_{stem}",
        stem=stem,
        sums=", ".join(f"{name} = @_splat_{stem}({i}.0f)" for i, name in enumerate(sums)),
        products="\n".join(f"        {t} = @_fma_{stem}({t}, factor, factor);" for t in sums),
        total=f"({total})[0]" if isa.has_vectors else total,
    ).replace("@", "peak")
