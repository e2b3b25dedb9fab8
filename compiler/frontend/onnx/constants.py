"""The value of a ``Constant`` node, in whichever of its eight forms it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from burnish.ir.errors import ModelError

from .graph import AttributeValue, Node
from .tensors import Tensor

_NUMBERS: dict[str, tuple[type, Any]] = {
    "value_float": (float, np.float32),
    "value_floats": (float, np.float32),
    "value_int": (int, np.int64),
    "value_ints": (int, np.int64),
    "value_string": (str, object),
    "value_strings": (str, object),
}
"""Attribute → type of its item(s), NumPy dtype; a plural holds a list."""


def constant_value(node: Node) -> npt.NDArray[Any]:
    """The array that a ``Constant`` node stands for; strings come as an array of ``str``.

    Raises:
        ModelError: the node has no value, several, or one of the wrong type.
    """
    forms = [name for name in node.attributes if name.startswith(("value", "sparse_value"))]
    if len(forms) != 1:
        what = "no value" if not forms else "several values: " + ", ".join(sorted(forms)[:8])
        raise ModelError(f"a Constant has {what}", at=str(node))
    form, value = forms[0], node.attributes[forms[0]]
    if form in ("value", "sparse_value"):
        if isinstance(value, Tensor):
            return value.array
    elif form in _NUMBERS:
        item, dtype = _NUMBERS[form]
        items = _items(form, value)
        if items is not None and all(type(entry) is item for entry in items):
            shape = (len(items),) if form.endswith("s") else ()
            array = np.empty(shape, dtype)
            array[...] = items if form.endswith("s") else items[0]
            array.flags.writeable = False
            return array
    raise ModelError(f"attribute {form} of a Constant is of the wrong type", at=str(node))


def _items(form: str, value: AttributeValue) -> tuple[Any, ...] | None:
    """The value's items when it is a list exactly where the form wants one."""
    plural = form.endswith("s")
    if plural is not isinstance(value, tuple):
        return None
    return value if isinstance(value, tuple) else (value,)
