"""Cases of the ops of classical machine learning."""

from __future__ import annotations

from typing import Any

import numpy as np
from op_cases import OpCase, data

from burnish.ir import Constant


def stump(**changes: Any) -> dict[str, Any]:
    """Two trees over two features: one of three leaves, one of two."""
    tables = {
        "roots": np.array([0, 2], np.int32),
        "features": np.array([0, 1, 1], np.int32),
        "thresholds": np.array([0.25, -0.5, 0.5], np.float32),
        "first": np.array([1, -2, -4], np.int32),
        "second": np.array([-1, -3, -5], np.int32),
        "flags": np.zeros(3, np.uint8),
        "starts": np.array([0, 1, 2, 4, 5, 6], np.int32),
        "columns": np.array([0, 1, 0, 1, 0, 1], np.int32),
        "weights": np.array([1, 2, 3, -4, 5.5, 6], np.float32),
        **changes,
    }
    attributes: dict[str, Any] = {
        name: Constant(table) if isinstance(table, np.ndarray) else table
        for name, table in tables.items()
    }
    return {"targets": 2, **attributes}


NAN = float("nan")
MISSING = np.array([[NAN, 0.5], [0.25, NAN], [NAN, NAN], [1, 0.5], [0.25, -0.5]], np.float32)
SINGLE = {
    "roots": np.array([-1], np.int32),
    **{name: np.zeros(0, np.int32) for name in ("features", "first", "second")},
    "thresholds": np.zeros(0, np.float32),
    "flags": np.zeros(0, np.uint8),
    "starts": np.array([0, 1], np.int32),
    "columns": np.array([1], np.int32),
    "weights": np.array([7], np.float32),
}
SINGLE_F64 = {"thresholds": np.zeros(0), "weights": np.array([0.1])}
DOUBLE = {"thresholds": np.array([0.25, -0.5, 0.5]), "weights": np.arange(6.0)}


def _case(note: str, x: np.ndarray, **changes: Any) -> OpCase:
    return OpCase("ml.tree_ensemble", note, (x,), stump(**changes))


CASES = [
    _case("sum", data((9, 2))),
    _case("min", data((9, 2)), aggregate="min"),
    _case("max", data((9, 2)), aggregate="max"),
    _case("untouched-column", data((4, 2)), aggregate="max", targets=3),
    _case("missing", MISSING),
    _case("missing-takes-first", MISSING, flags=np.ones(3, np.uint8)),
    _case("equality", MISSING, flags=np.full(3, 2, np.uint8)),
    _case("mixed", MISSING, flags=np.array([1, 2, 3], np.uint8)),
    _case("leaf-only", data((3, 2)), **SINGLE),
    _case("f64", data((9, 2), "f64"), **DOUBLE),
    _case("f64-of-f32", data((9, 2)), weights=DOUBLE["weights"]),
    _case("f64-max", data((9, 2), "f64"), **DOUBLE, aggregate="max"),
    _case("f64-leaf-only", data((3, 2), "f64"), **SINGLE | SINGLE_F64),
    _case("no-trees", data((3, 2)), **SINGLE | {"roots": np.zeros(0, np.int32)}),
    _case("no-rows", data((0, 2))),
]
