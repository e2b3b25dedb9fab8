"""A pytest plugin: every rule of every ``*.rules`` file that pytest finds is attacked.

It is part of :mod:`burnish.testing`.  ``pytest rules/`` attacks each rule with
``--rule-instances`` random instances; a rule is a test of its own, named as in the file, which
fails when it is refuted, or when too few instances can be found to say anything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from burnish.passes.attack import RuleSubject

DEFAULT_INSTANCES = 10
FRESH = "fresh"


class RuleRefutedError(Exception):
    """A rule does not hold, or could not be tested; the text says it all."""


class RulesFile(pytest.File):
    """A file of rules."""

    def collect(self) -> Iterator[RuleItem]:
        """One test per rule, one per row of a table."""
        from burnish.ir.errors import Error
        from burnish.passes.attack import subjects_of

        try:
            subjects = subjects_of(self.path)
        except Error as error:
            raise self.CollectError(str(error)) from None
        for label, subject in subjects:
            item = RuleItem.from_parent(self, name=label)
            item.subject = subject
            yield item


class RuleItem(pytest.Item):
    """The attack on one rule."""

    subject: RuleSubject

    def runtest(self) -> None:
        """Attack the rule.

        Raises:
            RuleRefutedError: it does not hold.
        """
        from burnish.passes.attack import attack

        instances = self.config.getoption("--rule-instances")
        seed = chosen_seed(self.config.getoption("--rule-seed"))
        verdict = attack(self.subject, instances=instances, seed=seed)
        verdict.name = self.name
        if not verdict.holds:
            raise RuleRefutedError(str(verdict))

    def repr_failure(  # type: ignore[override]  # pytest's own types are wider than its use
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str:
        """The counter-example, without a traceback into burnish."""
        if isinstance(excinfo.value, RuleRefutedError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the rule is written."""
        return self.path, self.subject.line - 1, f"rule {self.name}"


def chosen_seed(text: str) -> int:
    """The seed that an option asks for: a number, or another one in every run.

    Raises:
        ValueError: it is neither.
    """
    return random.SystemRandom().randrange(1 << 32) if text == FRESH else int(text)


def add_options(parser: pytest.Parser) -> None:
    """Add ``--rule-instances`` and ``--rule-seed``."""
    group = parser.getgroup("burnish rules")
    group.addoption(
        "--rule-instances",
        type=int,
        default=DEFAULT_INSTANCES,
        metavar="N",
        help="random instances to attack each rule of a *.rules file with (default: %(default)s)",
    )
    group.addoption(
        "--rule-seed",
        default="0",
        metavar="N",
        help="seed of those instances, or 'fresh' for another one in every run (default: 0)",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RulesFile | None:
    """Collect ``*.rules`` files."""
    if file_path.suffix != ".rules":
        return None
    return RulesFile.from_parent(parent, path=file_path)
