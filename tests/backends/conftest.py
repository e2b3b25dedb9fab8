"""What tests of backends have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from portable_vectors import named

from burnish.backends.target import targets


@pytest.fixture(scope="module")
def portable_vectors() -> Iterator[None]:
    """Makes the targets ``PORTABLE`` and ``PORTABLE_OF_FOUR`` known by their names."""
    with pytest.MonkeyPatch.context() as patch:
        for target in named():
            patch.setitem(targets(), target.name, target)
        yield
