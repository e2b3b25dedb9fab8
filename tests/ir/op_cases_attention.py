"""Cases of attention and rotary embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
from op_cases import OpCase, data

INF = np.inf


def _attention(
    note: str,
    q: tuple[int, ...],
    k: tuple[int, ...],
    v: tuple[int, ...],
    mask: Any = None,
    *,
    dtype: str = "f32",
    here: bool = False,
    **attributes: Any,
) -> OpCase:
    operands = [data(shape, dtype, salt=name) for shape, name in ((q, "q"), (k, "k"), (v, "v"))]
    if mask is not None:
        operands.append(mask)
    attributes.setdefault("scale", 0.5)
    return OpCase("nn.attention", note, tuple(operands), attributes, defined_here=here)


def _attentions() -> list[OpCase]:
    shape, three = (2, 3, 5, 4), (2, 5, 12)
    kept = data((5, 7), "bool")
    kept[2] = False
    added = data((2, 1, 5, 7))
    added[0, 0, 1, :] = -INF
    added[1, 0, 3, 2:] = -INF
    pair = {"heads": 4, "kv_heads": 2}
    return [
        _attention("plain", shape, shape, shape),
        _attention("cross", shape, (2, 3, 7, 4), (2, 3, 7, 6)),
        _attention("grouped", (1, 6, 5, 4), (1, 2, 7, 4), (1, 2, 7, 3)),
        _attention("one-kv-head", (1, 4, 3, 4), (1, 1, 7, 4), (1, 1, 7, 4)),
        _attention("causal", shape, shape, shape, causal=True),
        _attention("causal-wide", shape, (2, 3, 9, 4), (2, 3, 9, 4), causal=True),
        _attention("causal-tall", (1, 2, 9, 4), (1, 2, 3, 4), (1, 2, 3, 4), causal=True),
        _attention("after", shape, (2, 3, 9, 4), (2, 3, 9, 4), causal=True, offset=4, here=True),
        _attention("before", shape, shape, shape, causal=True, offset=-2, here=True),
        _attention(
            "before-nan", shape, shape, shape, causal=True, offset=-2, masked_rows="nan", here=True
        ),
        _attention("bool-mask", shape, (2, 3, 7, 4), (2, 3, 7, 4), kept),
        _attention("nan", shape, (2, 3, 7, 4), (2, 3, 7, 4), kept, masked_rows="nan", here=True),
        _attention("added-mask", shape, (2, 3, 7, 4), (2, 3, 7, 4), added),
        _attention("mask-causal", shape, (2, 3, 7, 4), (2, 3, 7, 4), added, causal=True),
        _attention("mask-of-heads", shape, shape, shape, data((3, 5, 1))),
        _attention("softcap", shape, shape, shape, softcap=1.5),
        _attention("all", shape, (2, 3, 7, 4), (2, 3, 7, 4), kept, softcap=2.0, causal=True),
        _attention("rank3", three, (2, 7, 12), (2, 7, 9), heads=3, kv_heads=3),
        _attention("rank3-grouped", (2, 5, 16), (2, 7, 8), (2, 7, 6), causal=True, **pair),
        _attention("rank3-mask", (2, 5, 16), (2, 7, 8), (2, 7, 8), added, **pair),
        _attention("one-query", (1, 2, 1, 8), (1, 2, 70, 8), (1, 2, 70, 8)),
        _attention("blocks", (1, 2, 70, 4), (1, 2, 50, 4), (1, 2, 50, 33)),
        _attention("causal-blocks", (1, 1, 70, 4), (1, 1, 70, 4), (1, 1, 70, 5), causal=True),
        _attention("no-keys", shape, (2, 3, 0, 4), (2, 3, 0, 4), here=True),
        _attention("no-keys-causal", shape, (2, 3, 0, 4), (2, 3, 0, 4), causal=True, here=True),
        _attention("no-queries", (2, 3, 0, 4), shape, shape),
        _attention("f64", shape, shape, shape, dtype="f64"),
        _attention("f16", shape, shape, shape, dtype="f16"),
        _attention("bf16", shape, shape, shape, dtype="bf16", here=True),
    ]


def _rotary(
    note: str,
    x: tuple[int, ...],
    cos: tuple[int, ...],
    positions: Any = None,
    *,
    dtype: str = "f32",
    **attributes: Any,
) -> OpCase:
    operands = [data(x, dtype), data(cos, dtype, salt="c"), data(cos, dtype, salt="s")]
    if positions is not None:
        operands.append(np.array(positions))
    return OpCase("nn.rotary_embedding", note, tuple(operands), attributes)


def _rotary_embeddings() -> list[OpCase]:
    rows = [[0, 2, 4], [1, 1, 3]]
    found = []
    for interleaved in (False, True):
        tag = "neighbours" if interleaved else "halves"
        more: dict[str, Any] = {"interleaved": interleaved}
        found += [
            _rotary(tag, (2, 4, 3, 8), (2, 3, 4), **more),
            _rotary(f"{tag}-partial", (2, 4, 3, 8), (2, 3, 3), **more),
            _rotary(f"{tag}-shared", (2, 4, 3, 8), (3, 4), **more),
            _rotary(f"{tag}-one-position", (2, 4, 3, 8), (2, 1, 4), **more),
            _rotary(f"{tag}-rank3", (2, 3, 32), (2, 3, 4), heads=4, **more),
            _rotary(f"{tag}-rank3-partial", (2, 3, 32), (1, 3, 2), heads=4, **more),
            _rotary(f"{tag}-positions", (2, 4, 3, 8), (5, 4), rows, **more),
            _rotary(f"{tag}-positions-rank3", (2, 3, 32), (5, 4), rows, heads=4, **more),
        ]
    return [
        *found,
        _rotary("odd", (1, 2, 3, 5), (1, 3, 2)),
        _rotary("f64", (1, 2, 3, 4), (1, 3, 2), dtype="f64"),
        _rotary("f16", (1, 2, 3, 4), (1, 3, 2), dtype="f16"),
    ]


CASES = [*_attentions(), *_rotary_embeddings()]
