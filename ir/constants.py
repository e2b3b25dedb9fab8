"""Constant data, shared by handle and addressed by content.

A :class:`Constant` is an immutable handle on an array.  Passes that do not change the data
pass the handle on, so a weight exists once however often a module is copied.  The content
digest is computed when first needed (printing, comparing), never on import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np

from .dtypes import DType
from .errors import Error

Array = np.ndarray[Any, np.dtype[Any]]


class UnresolvedConstantError(Error):
    """The data of a constant that IR text names by digest is not at hand."""

    code = "E-CONSTANT"


class Constant:
    """An immutable array with its element type; equal when type, shape and bytes are equal."""

    __slots__ = ("__weakref__", "_array", "_digest", "_load", "dtype", "is_resolved", "shape")

    _by_digest: ClassVar[WeakValueDictionary[str, Constant]] = WeakValueDictionary()
    """Constants alive in this process whose digest is known, so that text finds its data."""

    def __init__(self, array: Array | np.generic) -> None:
        view = np.asarray(array).view()
        view.flags.writeable = False
        self.dtype = DType.from_numpy(view.dtype)
        self.shape: tuple[int, ...] = view.shape
        self._array: Array | None = view
        self._load: Callable[[], Array] | None = None
        self._digest: str | None = None
        self.is_resolved = True
        """False when the data is not at hand (see :meth:`unresolved`)."""

    @classmethod
    def deferred(cls, dtype: DType, shape: tuple[int, ...], load: Callable[[], Array]) -> Constant:
        """A constant whose array ``load`` gives when it is first looked at."""
        self = cls.__new__(cls)
        self.dtype, self.shape = dtype, shape
        self._array, self._load, self._digest = None, load, None
        self.is_resolved = True
        return self

    @classmethod
    def unresolved(cls, dtype: DType, shape: tuple[int, ...], digest: str) -> Constant:
        """The constant with that digest: the one alive in this process, else one without data."""
        known = cls._by_digest.get(digest)
        if known is not None and known.dtype is dtype and known.shape == shape:
            return known

        def missing() -> Array:
            raise UnresolvedConstantError(
                f"the data of constant {digest} ({dtype}{list(shape)}) is not at hand",
                help="parse the text with constants={digest: array}, "
                "or write it with to_text(module, embed=True)",
            )

        self = cls.deferred(dtype, shape, missing)
        self._digest = digest
        self.is_resolved = False
        return self

    @property
    def array(self) -> Array:
        """The data, read-only.

        Raises:
            UnresolvedConstantError: the constant came from text that only names it.
        """
        if self._array is None:
            assert self._load is not None
            view = self._load().view()
            view.flags.writeable = False
            assert view.shape == self.shape
            assert view.dtype == self.dtype.numpy
            self._array, self._load = view, None
        return self._array

    @property
    def digest(self) -> str:
        """Hexadecimal BLAKE2b-128 of element type, shape and bytes."""
        if self._digest is None:
            header = f"{self.dtype}{list(self.shape)}".encode()
            state = hashlib.blake2b(header, digest_size=16)
            contiguous = np.ascontiguousarray(self.array)
            state.update(contiguous.reshape(-1).view(np.uint8).data)
            self._digest = state.hexdigest()
        if self.is_resolved:
            # The latest handle asked wins: an older equal one may be about to go.
            Constant._by_digest[self._digest] = self
        return self._digest

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.bytes

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Constant)
            and self.dtype is other.dtype
            and self.shape == other.shape
            and self.digest == other.digest
        )

    def __hash__(self) -> int:
        # By content: models have thousands of weights of one shape.
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Constant({self.dtype}{list(self.shape)})"
