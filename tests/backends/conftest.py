"""What tests of backends have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from portable_vectors import PORTABLE, named

from burnish.backends.target import targets


@pytest.fixture(scope="module")
def portable_vectors() -> Iterator[None]:
    """Makes the target ``PORTABLE`` known by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(targets(), PORTABLE, named())
        yield
