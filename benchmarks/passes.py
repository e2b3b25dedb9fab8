"""Time of the rewrite engine and of the standard pipeline on large graphs: it must grow linearly.

The engine is measured with all rules and patterns there are, and again with further rules that
can never start: those may cost nothing.

python benchmarks/passes.py [--ops 5000 10000 20000] [--further 500] [--engine-only]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from burnish.ir import Builder, Module, Value, build_function, tensor
from burnish.passes import PassContext, PassReport, PatternSet, run_pipeline, standard_pipeline
from burnish.passes.pattern import apply_patterns
from burnish.passes.rewrites.sets import AFFINE, CANONICAL, MOVEMENT, PADS
from burnish.passes.rules import load_rules


def elementwise_chain(b: Builder, x: Value, ops: int) -> Value:
    """Additions of constants and activations, one after another."""
    constant = b.constant(np.full((1, 8, 1, 1), 0.5, np.float32))
    cycle: list[Callable[[Value], Value]] = [
        lambda y: b("math.add", y, constant),
        lambda y: b("math.tanh", y),
        lambda y: b("math.mul", constant, y),
        lambda y: b("math.sigmoid", y),
    ]
    for index in range(ops):
        x = cycle[index % len(cycle)](x)
    return x


def network(b: Builder, x: Value, ops: int) -> Value:
    """Convolutions with batch norm and activation, residual additions, transposes to and fro."""
    rng = np.random.default_rng(0)
    window = {"strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1]}
    for _ in range(ops // 10):
        w = b.constant(rng.normal(size=(8, 8, 3, 3)).astype(np.float32) * 0.1)
        parameters = [b.constant(rng.uniform(0.5, 1, 8).astype(np.float32)) for _ in range(4)]
        y = b("nn.batch_norm", b("nn.conv", x, w, **window), *parameters)
        y = b("tensor.transpose", b("math.relu", y), permutation=[0, 2, 3, 1])
        y = b("math.mul", y, b("math.sigmoid", y))
        y = b("tensor.transpose", y, permutation=[0, 3, 1, 2])
        y = b("tensor.reshape", b("tensor.reshape", y, shape=[8, 64]), shape=x.type.shape)
        x = b("math.add", x, y)
    return x


def fan_out(b: Builder, x: Value, ops: int) -> Value:
    """One value with many users, whose results are joined again."""
    x = b("math.relu", x)
    transposed = b("tensor.transpose", x, permutation=[0, 2, 3, 1])
    branches = []
    for index in range(ops // 3):
        y = b("math.add", transposed, b.constant(np.full((8,), index, np.float32)))
        branches.append(b("math.exp", b("math.sin", y)))
    return b("tensor.concat", *branches, axis=3)


GRAPHS = {"elementwise chain": elementwise_chain, "network": network, "fan out": fan_out}


def build(make: Callable[[Builder, Value, int], Value], ops: int) -> Module:
    module = Module()
    function, builder = build_function(module, "main", {"x": tensor("f32", 1, 8, 8, 8)}, ["y"])
    builder.ret(make(builder, function.args[0], ops))
    return module


def further_rules(count: int) -> PatternSet:
    """Rules that start at the commonest ops, and whose operands nothing in the graphs makes."""
    text = "".join(
        f'rule further-{index} {{ "Never." match math.{root}(x, math.{maker}(x)) '
        f"where x.rank == {index + 9} rewrite x }}\n"
        for index, (root, maker) in enumerate(
            [(root, maker) for root in ("add", "mul") for maker in ("asin", "acos", "atan", "sinh")]
            * (count // 8 + 1)
        )
        if index < count
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "further.rules"
        path.write_text(text)
        return load_rules(path)


def engine(sizes: list[int], further: int) -> None:
    """Time and attempts of the driver with all patterns, and with further ones."""
    everything = PatternSet("all", includes=(CANONICAL, MOVEMENT, PADS, AFFINE))
    sets = {0: everything}
    if further:
        sets[further] = PatternSet("more", includes=(everything, further_rules(further)))
    count = len(list(everything))
    print(f"the engine, {count} patterns")
    print(
        f"{'graph':<20} {'ops':>6} {'further':>7} {'seconds':>8} {'us/op':>6} {'attempts/op':>11}"
    )
    for name, make in GRAPHS.items():
        for ops in sizes:
            for extra, patterns in sets.items():
                module, context = build(make, ops), PassContext()
                before = sum(1 for _ in module.walk())
                start = time.perf_counter()
                apply_patterns(module.main, patterns, context)
                seconds = time.perf_counter() - start
                each = seconds / before * 1e6
                tried = context.attempts / before
                print(f"{name:<20} {ops:6} {extra:7} {seconds:8.2f} {each:6.0f} {tried:11.2f}")


def slowest(report: PassReport) -> str:
    total: dict[str, float] = {}
    for record in report.records:
        total[record.pass_] = total.get(record.pass_, 0.0) + record.seconds
    ranked = sorted(total.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in ranked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, nargs="+", default=[5000, 10000, 20000])
    parser.add_argument("--backend", default="c")
    parser.add_argument("--further", type=int, default=500)
    parser.add_argument("--engine-only", action="store_true")
    arguments = parser.parse_args()
    engine(arguments.ops, arguments.further)
    if arguments.engine_only:
        return
    print(f"{'graph':<20} {'ops':>6} {'after':>6} {'seconds':>8} {'us/op':>6}  slowest passes")
    for name, make in GRAPHS.items():
        for ops in arguments.ops:
            module = build(make, ops)
            start = time.perf_counter()
            report = run_pipeline(module, standard_pipeline(arguments.backend))
            seconds = time.perf_counter() - start
            before, after = report.records[0].ops_before, report.records[-1].ops_after
            each = seconds / before * 1e6
            print(f"{name:<20} {before:6} {after:6} {seconds:8.2f} {each:6.0f}  {slowest(report)}")


if __name__ == "__main__":
    main()
