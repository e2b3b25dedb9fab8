"""What op definitions share: checks of types, and conversions around the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .. import scalar
from ..constants import Array
from ..dims import Dim
from ..dtypes import DType
from ..errors import TypeInferenceError
from ..types import Encoding, Sparse, TensorType


def show(shape: Sequence[object]) -> str:
    """A shape or list as messages show it."""
    return f"[{', '.join(map(str, shape))}]"


def require_axis(axis: int, rank: int, what: str = "axis") -> None:
    """Refuse an axis that a tensor of ``rank`` does not have."""
    if not 0 <= axis < rank:
        raise TypeInferenceError(f"{what} {axis} is not one of a tensor of rank {rank}")


def require_length(values: Sequence[object], length: int, what: str) -> None:
    """Refuse an attribute list that does not have one entry per axis."""
    if len(values) != length:
        raise TypeInferenceError(f"{what} {show(values)} has {len(values)} entries, needs {length}")


def require_equal(actual: Dim, expected: Dim, what: str) -> None:
    """Refuse two dimensions that differ, or that cannot be proved equal."""
    if actual != expected:
        raise TypeInferenceError(f"{what} is {actual}, needs {expected}")


def require_shape(type_: TensorType | None, shape: Sequence[Dim], what: str) -> None:
    """Refuse a present operand of another shape."""
    if type_ is not None and type_.shape != tuple(shape):
        raise TypeInferenceError(f"{what} has shape {show(type_.shape)}, needs {show(shape)}")


def require_broadcast(type_: TensorType | None, shape: Sequence[Dim], what: str) -> None:
    """Refuse a present operand that does not broadcast to exactly ``shape``."""
    if type_ is None:
        return
    if type_.rank > len(shape) or any(
        dim not in (1, other) for dim, other in zip(reversed(type_.shape), reversed(shape))
    ):
        raise TypeInferenceError(
            f"{what} of shape {show(type_.shape)} does not broadcast to {show(shape)}"
        )


def require_minimum(values: Sequence[int], low: int, what: str) -> None:
    """Refuse entries below ``low``."""
    if any(value < low for value in values):
        raise TypeInferenceError(f"{what} {show(values)} has an entry below {low}")


def moved_encoding(x: TensorType, axes: Sequence[int | None]) -> Encoding | None:
    """The encoding of a result whose axis ``axes[i]`` is axis ``i`` of ``x``, whole.

    None in ``axes`` says that the axis does not survive as it is.  Moving data keeps a
    per-tensor quantization; one along an axis follows that axis.  Promises about zeros end.

    Raises:
        TypeInferenceError: quantization parameters vary along an axis that does not survive.
    """
    encoding = x.encoding
    if encoding is None or isinstance(encoding, Sparse):
        return None
    if encoding.axis is None:
        return encoding
    if encoding.block and any(old != new for old, new in enumerate(axes)):
        raise TypeInferenceError("cannot rearrange a tensor that is quantized in blocks")
    target = axes[encoding.axis]
    if target is None:
        raise TypeInferenceError(
            f"cannot rearrange axis {encoding.axis}, along which quantization parameters vary"
        )
    return replace(encoding, axis=target)


def moved(x: TensorType, shape: Sequence[Dim], axes: Sequence[int | None]) -> TensorType:
    """The type of ``x``'s data in another shape; see :func:`moved_encoding`."""
    return TensorType(tuple(shape), x.dtype, None, moved_encoding(x, axes))


def unchanged_axes(x: TensorType, shape: Sequence[Dim]) -> list[int | None]:
    """Each axis that has the same extent in ``shape``, for :func:`moved`."""
    return [i if x.shape[i] == shape[i] else None for i in range(x.rank)]


def along(values: Array, axis: int, rank: int) -> Array:
    """1-D ``values`` reshaped to broadcast along ``axis`` of a tensor of ``rank``."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def widen(x: Array) -> Array:
    """``x`` in the type arithmetic happens in: narrow floats as f32, sub-byte integers as i32."""
    dtype = DType.from_numpy(x.dtype)
    if dtype.is_integer and dtype.bits < 8:
        return x.astype(np.int32)
    return x if dtype.compute is dtype else x.astype(dtype.compute.numpy)


def narrow(y: Array, dtype: np.dtype[np.generic]) -> Array:
    """``y`` rounded once to the result's type."""
    return scalar.convert(y, DType.from_numpy(dtype))
