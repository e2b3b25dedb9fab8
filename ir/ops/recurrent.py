"""Recurrent layers: LSTM, GRU and the plain recurrent cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..attributes import (
    BOOL,
    FLOAT,
    FLOATS,
    INT,
    AttributeKind,
    Attributes,
    BadAttributeError,
    choice,
)
from ..constants import Array
from ..dims import Dim
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import FLOATS as FLOAT_DTYPES
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import narrow, require_equal, require_length, require_shape, widen


@dataclass(frozen=True, slots=True)
class Activation:
    """A gate's activation function, with ONNX's default parameters.

    ``expression`` is a scalar expression (see :mod:`burnish.ir.scalar`) over ``x`` and, where
    a default is given, ``alpha`` and ``beta``.
    """

    expression: str
    alpha: float | None = None
    beta: float | None = None
