"""What a benchmark finds, as data."""

from __future__ import annotations

from dataclasses import dataclass

BURNISH = "burnish"
"""What the engine under test is called in results."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one run of a model by an engine with so many threads.

    ``error`` is the largest difference of its outputs from those of burnish, relative to their
    scale (0 for burnish itself).
    """

    engine: str
    threads: int
    median: float
    least: float
    error: float = 0.0


@dataclass(frozen=True)
class Layer:
    """The least time that one step of the emitted code took, in seconds."""

    number: int
    kernel: str
    details: str
    ops: str
    result: str
    seconds: float
    flops: float


@dataclass(frozen=True)
class Measurement:
    """All timings of one model, which were taken in turns.

    ``flops`` counts the floating-point operations of the model's products as they are imported
    (two per multiply-add); ``peak`` is how many of them one core does in a second at most.
    """

    model: str
    flops: float
    peak: float
    timings: tuple[Timing, ...]
    layers: tuple[Layer, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """Engines that do not run the model, and why."""

    @property
    def threads(self) -> list[int]:
        """The numbers of threads that were measured."""
        return list(dict.fromkeys(timing.threads for timing in self.timings))

    def find(self, engine: str, threads: int) -> Timing | None:
        """The timing of an engine, if it was measured."""
        chosen = (t for t in self.timings if (t.engine, t.threads) == (engine, threads))
        return next(chosen, None)

    def ratio(self, engine: str, threads: int) -> float | None:
        """Time of burnish over that of another engine with as many threads."""
        ours, theirs = self.find(BURNISH, threads), self.find(engine, threads)
        return None if ours is None or theirs is None else ours.median / theirs.median

    def speedup(self, threads: int) -> float | None:
        """How much faster burnish is with so many threads than with one, in their best runs."""
        one, many = self.find(BURNISH, 1), self.find(BURNISH, threads)
        return None if one is None or many is None else one.least / many.least

    def rate(self, timing: Timing) -> float:
        """Floating-point operations per second."""
        return self.flops / timing.median

    def share(self, timing: Timing) -> float:
        """The rate as a share of the peak of as many cores as there are threads."""
        return self.rate(timing) / (self.peak * timing.threads)
