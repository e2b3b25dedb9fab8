"""Running pipelines: passes in order, watched by instruments, with a report.

report = run_pipeline(module, "canonicalize,fold,fuse{max-inputs=8}", verify="each")
print(report)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from burnish.ir import Block, Module, Trait
from burnish.ir.errors import Error, UsageError

from .base import Decision, Pass, PassContext
from .instruments import Instrument, VerifyEach
from .journal import Journal
from .pipeline import parse_pipeline, pipeline_text

Pipeline = str | Sequence[Pass]
VERIFY_MODES = ("off", "each", "semantic")


@dataclass(frozen=True)
class PassRecord:
    """What one pass did.

    Attributes:
        pass_: the pass as pipeline text.
        seconds: its running time, without instruments.
        ops_before, ops_after: see :func:`count_ops`.
        rewrites: applications per pattern.
        refusals: how often a pattern gave up, per ``(pattern, reason)``.
        decisions: what it chose between alternatives.
    """

    pass_: str
    seconds: float
    changed: bool
    ops_before: int
    ops_after: int
    rewrites: dict[str, int]
    refusals: dict[tuple[str, str], int]
    decisions: tuple[Decision, ...] = ()


@dataclass
class PassReport:
    """What a pipeline did, pass by pass."""

    records: list[PassRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What instruments could not do, and why."""

    @property
    def seconds(self) -> float:
        """Running time of all passes together."""
        return sum(record.seconds for record in self.records)

    @property
    def changed(self) -> bool:
        """Whether any pass changed the module."""
        return any(record.changed for record in self.records)

    @property
    def rewrites(self) -> dict[str, int]:
        """Applications per pattern over all passes, most frequent first."""
        total: dict[str, int] = {}
        for record in self.records:
            for name, count in record.rewrites.items():
                total[name] = total.get(name, 0) + count
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    @property
    def refusals(self) -> dict[str, dict[str, int]]:
        """Per pattern that was tried in vain: the reasons, most frequent first."""
        total: dict[str, Counter[str]] = {}
        for record in self.records:
            for (name, reason), count in record.refusals.items():
                total.setdefault(name, Counter())[reason] += count
        return {name: dict(reasons.most_common()) for name, reasons in sorted(total.items())}

    def statistics(self) -> str:
        """Per rewrite: how often it was applied, and how often it was refused for what reason."""
        rewrites, refusals = self.rewrites, self.refusals
        lines = [f"{'rewrite':<32} {'applied':>8} {'refused':>8}  reasons"]
        for name in dict.fromkeys([*rewrites, *refusals]):
            reasons = refusals.get(name, {})
            said = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
            applied, refused = rewrites.get(name, 0), sum(reasons.values())
            lines.append(f"{name:<32} {applied:8} {refused:8}  {said}".rstrip())
        return "\n".join(lines)

    def __str__(self) -> str:
        """A table: pass, time, op counts, rewrites."""
        lines = [f"{'pass':<36} {'ms':>9} {'ops':>7} {'after':>7}  rewrites"]
        for r in self.records:
            rewrites = ", ".join(f"{name} {count}" for name, count in sorted(r.rewrites.items()))
            lines.append(
                f"{r.pass_:<36} {r.seconds * 1e3:9.1f} {r.ops_before:7} {r.ops_after:7}  {rewrites}"
            )
        return "\n".join(lines)


def count_ops(module: Module) -> int:
    """Number of ops that compute: no constants and terminators; a fused group counts as one."""

    def count(block: Block) -> int:
        total = 0
        for op in block:
            if Trait.CONSTANT in op.opdef.traits or op.is_terminator:
                continue
            total += 1
            if op.name != "core.group":
                total += sum(map(count, op.regions))
        return total

    return sum(count(function.body) for function in module.functions.values())


class PassManager:
    """A pipeline ready to run, any number of times.

    Args:
        pipeline: text or passes.
        verify: ``"off"``; ``"each"`` to verify the module after every pass; ``"semantic"`` to
            interpret it before and after, too, and to compare the results.
        instruments: what watches, outermost first.
        seed: of the inputs that the module is interpreted on.
        rewrite_limit: rewrites that all passes together may apply; see
            :class:`~burnish.passes.journal.Journal`.

    Raises:
        ParseError, PassError: the pipeline is malformed.
        UsageError: unknown ``verify``.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        verify: str = "off",
        instruments: Sequence[Instrument] = (),
        *,
        seed: int = 0,
        rewrite_limit: int | None = None,
    ) -> None:
        if verify not in VERIFY_MODES:
            listed = ", ".join(f'"{mode}"' for mode in VERIFY_MODES)
            raise UsageError(f"verify is {verify!r}, but must be one of {listed}")
        if rewrite_limit is not None and rewrite_limit < 0:
            raise UsageError(f"the limit on rewrites is {rewrite_limit}, but must not be negative")
        self.passes = parse_pipeline(pipeline) if isinstance(pipeline, str) else list(pipeline)
        self._verify = verify
        self._instruments = tuple(instruments)
        self._seed = seed
        self._rewrite_limit = rewrite_limit

    def __str__(self) -> str:
        return pipeline_text(self.passes)

    def run(self, module: Module) -> PassReport:
        """Run all passes on ``module``, in place.

        Raises:
            Error: whatever a pass or a check raises, located at the pass.
        """
        instruments = (*self._instruments, *self._checks())
        journal = Journal(self._rewrite_limit)
        report = PassReport()
        ops = count_ops(module)
        for pass_ in self.passes:
            record = self._run_one(pass_, module, ops, instruments, journal)
            report.records.append(record)
            ops = record.ops_after
        for instrument in instruments:
            report.notes += instrument.notes
        return report

    def _checks(self) -> Sequence[Instrument]:
        if self._verify == "semantic":
            from .trust.semantic import SemanticCheck

            return (SemanticCheck(self._seed), VerifyEach())
        return (VerifyEach(),) if self._verify == "each" else ()

    @staticmethod
    def _run_one(
        pass_: Pass,
        module: Module,
        ops: int,
        instruments: Sequence[Instrument],
        journal: Journal,
    ) -> PassRecord:
        context = PassContext(journal=journal)
        try:
            for instrument in instruments:
                instrument.before(pass_, module)
            start = time.perf_counter()
            changed = run_pass(pass_, module, context)
            seconds = time.perf_counter() - start
            for instrument in reversed(instruments):
                instrument.after(pass_, module, changed=changed, context=context)
        except Exception as error:
            for instrument in reversed(instruments):
                instrument.failed(pass_, module, error)
            if isinstance(error, Error):
                error.located(f"pass {pass_}")
            raise
        return PassRecord(
            str(pass_),
            seconds,
            changed,
            ops,
            count_ops(module) if changed else ops,
            dict(context.rewrites),
            dict(context.refusals),
            tuple(context.decisions),
        )


def run_pass(pass_: Pass, module: Module, context: PassContext) -> bool:
    """Run one pass, which changes nothing once the journal is closed; says whether it changed."""
    journal = context.journal
    if not journal.is_open:
        return False
    count = journal.count
    with np.errstate(all="ignore"):  # weights may be anything, infinite and NaN included
        changed = pass_.run(module, context)
    if changed and journal.count == count:
        context.promises.add(pass_.promise)
        journal.enter(f"all of {pass_.name}")
    return changed


def run_pipeline(
    module: Module,
    pipeline: Pipeline,
    *,
    verify: str = "off",
    instruments: Sequence[Instrument] = (),
    seed: int = 0,
    rewrite_limit: int | None = None,
) -> PassReport:
    """Run a pipeline (text or passes) on ``module``, in place; see :class:`PassManager`."""
    manager = PassManager(pipeline, verify, instruments, seed=seed, rewrite_limit=rewrite_limit)
    return manager.run(module)
