"""Small random modules over many ops, for property tests of passes and backends.

    module = random_module(random.Random(seed), ops=12)
    inputs = random_inputs(module, seed)

Any object with the interface of :class:`random.Random` decides, so that hypothesis (``st.randoms``)
can shrink a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random

import numpy as np

from burnish.ir import (
    Array,
    Builder,
    DType,
    Function,
    Module,
    Value,
    build_function,
    tensor,
)

MAX_ELEMENTS = 2000

UNARY = ["relu", "sigmoid", "tanh", "neg", "abs", "exp", "sqrt", "erf", "silu", "hard_swish"]
UNARY += ["floor", "round", "sign", "softsign", "gelu"]
BINARY = ["add", "sub", "mul", "div", "min", "max"]
COMPARISONS = ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"]
INTEGER = ["add", "sub", "mul", "div", "min", "max", "bit_and", "bit_or", "bit_xor", "floor_mod"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, float("inf"), float("-inf"), float("nan")]


class GraphMaker:
    """Adds random ops to a function; every method returns a new value, or None if none fits."""

    def __init__(
        self,
        random: Random,
        builder: Builder,
        values: Sequence[Value],
        without: Collection[str] = (),
    ) -> None:
        self.random = random
        self.builder = builder
        self.values = list(values)
        self.without = frozenset(without)

    def choose(self, names: Sequence[str]) -> str:
        """The full name of one of these functions."""
        return f"math.{self.random.choice([n for n in names if n not in self.without])}"

    def pick(self, fits: Callable[[Value], bool] = lambda value: True) -> Value | None:
        """A value that fits; later ones are likelier, so that chains form."""
        fitting = [value for value in self.values if fits(value)]
        if not fitting:
            return None
        index = max(self.random.randrange(len(fitting)), self.random.randrange(len(fitting)))
        return fitting[index]

    def floating(self, rank: int | None = None) -> Value | None:
        return self.pick(
            lambda v: v.type.dtype is DType.F32 and (rank is None or v.type.rank == rank)
        )

    def constant(self, shape: Sequence[int], dtype: DType = DType.F32, scale: float = 1.0) -> Value:
        size = int(np.prod(shape, dtype=int))
        if dtype is DType.BOOL:
            data = [self.random.random() < 0.5 for _ in range(size)]
        elif dtype.is_float:
            uniform = self.random.random() < 0.3
            numbers = [self.random.choice(SPECIAL[:6])] * size
            data = numbers if uniform else [self.random.uniform(-scale, scale) for _ in range(size)]
        else:
            data = [self.random.choice([0, 1, -1, 2, 3, 7]) for _ in range(size)]
        return self.builder.constant(np.array(data).reshape(shape).astype(dtype.numpy))

    def partner(self, x: Value) -> Value:
        """Another operand of x's type: a value of its shape, or a constant that broadcasts."""
        if self.random.random() < 0.5:
            same = self.pick(lambda v: v.type == x.type)
            assert same is not None
            return same
        shape = [dim if self.random.random() < 0.5 else 1 for dim in x.type.static_shape]
        shape = shape[self.random.randrange(len(shape) + 1) :]
        return self.constant(shape, x.type.dtype)

    def permutation(self, rank: int) -> list[int]:
        axes = list(range(rank))
        self.random.shuffle(axes)
        return axes

    # Elementwise -----------------------------------------------------------------------

    def unary(self) -> Value | None:
        x = self.floating()
        return x and self.builder(self.choose(UNARY), x)

    def clamp(self) -> Value | None:
        x = self.floating()
        low = self.random.choice([-np.inf, -1.0, 0.0, 0.5])
        high = self.random.choice([np.inf, 1.0, 0.25])
        return x and self.builder("math.clamp", x, low=low, high=high)

    def binary(self) -> Value | None:
        x = self.pick(lambda v: v.type.dtype is not DType.BOOL)
        if x is None:
            return None
        y = self.partner(x)
        if self.random.random() < 0.3:
            x, y = y, x
        names = BINARY if x.type.dtype.is_float else INTEGER
        return self.builder(self.choose(names), x, y)

    def compare(self) -> Value | None:
        x = self.pick(lambda v: v.type.dtype is not DType.BOOL)
        if x is None:
            return None
        y = self.builder(self.choose(COMPARISONS), x, self.partner(x))
        return self.builder("math.logical_not", y) if self.random.random() < 0.3 else y

    def logical(self) -> Value | None:
        x = self.pick(lambda v: v.type.dtype is DType.BOOL)
        name = self.random.choice(["logical_and", "logical_or", "logical_xor"])
        return x and self.builder(f"math.{name}", x, self.partner(x))

    def select(self) -> Value | None:
        x = self.pick()
        if x is None:
            return None
        c = self.pick(lambda v: v.type.dtype is DType.BOOL and v.type.shape == x.type.shape)
        c = c or self.constant(self.random.choice([(), x.type.static_shape]), DType.BOOL)
        return self.builder("math.select", c, x, self.partner(x))

    def cast(self) -> Value | None:
        x = self.pick(lambda v: not v.type.dtype.is_float)
        to = self.random.choice([DType.F32, DType.I32, DType.I64, DType.BOOL])
        return x and self.builder("math.cast", x, to=to)

    # Movement --------------------------------------------------------------------------

    def reshape(self) -> Value | None:
        x = self.pick()
        if x is None:
            return None
        dims = [dim for dim in x.type.static_shape if dim != 1]
        for _ in range(self.random.randrange(3)):
            dims.insert(self.random.randrange(len(dims) + 1), 1)
        if len(dims) > 1 and self.random.random() < 0.5:
            index = self.random.randrange(len(dims) - 1)
            dims[index : index + 2] = [dims[index] * dims[index + 1]]
        return self.builder("tensor.reshape", x, shape=dims)

    def transpose(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 1)
        return x and self.builder("tensor.transpose", x, permutation=self.permutation(x.type.rank))

    def broadcast(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank < 4)
        return x and self.builder(
            "tensor.broadcast", x, shape=[self.random.randint(1, 2), *x.type.static_shape]
        )

    def slice(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 0)
        if x is None:
            return None
        starts, sizes, steps = [], [], []
        for dim in x.type.static_shape:
            start = self.random.randrange(dim)
            step = self.random.choice([1, 1, 1, 2, -1])
            room = (dim - 1 - start) // step + 1 if step > 0 else start // -step + 1
            starts.append(start)
            steps.append(step)
            sizes.append(self.random.randint(1, room))
        return self.builder("tensor.slice", x, starts=starts, sizes=sizes, steps=steps)

    def concat(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 0)
        if x is None:
            return None
        operands = [x, self.partner(x) if self.random.random() < 0.2 else x]
        operands = [v for v in operands if v.type == x.type]
        axis = self.random.randrange(x.type.rank)
        return self.builder("tensor.concat", *operands, axis=axis)

    def pad(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 0)
        if x is None:
            return None
        before, after = (
            [self.random.choice([0, 0, 1]) for _ in range(x.type.rank)] for _ in range(2)
        )
        mode = self.random.choice(["constant", "constant", "edge", "reflect", "wrap"])
        value = None
        if mode == "constant" and self.random.random() < 0.5:
            value = self.constant((), x.type.dtype)
        return self.builder("tensor.pad", x, value, before=before, after=after, mode=mode)

    def tile(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 0)
        return x and self.builder(
            "tensor.tile", x, repeats=[self.random.randint(1, 2) for _ in range(x.type.rank)]
        )

    def gather(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 0)
        if x is None:
            return None
        axis = self.random.randrange(x.type.rank)
        extent = x.type.static_shape[axis]
        shape = self.random.choice([(), (1,), (2,), (2, 2)])
        size = int(np.prod(shape, dtype=int))
        numbers = [self.random.randrange(-extent, extent) for _ in range(size)]
        indices = self.builder.constant(np.array(numbers, np.int64).reshape(shape))
        return self.builder("tensor.gather", x, indices, axis=axis)

    # Computation -----------------------------------------------------------------------

    def reduce(self) -> Value | None:
        x = self.pick(lambda v: v.type.rank > 0)
        if x is None:
            return None
        kinds = ["sum", "mean", "prod", "min", "max"]
        kind = self.random.choice(["any", "all"] if x.type.dtype is DType.BOOL else kinds)
        axes = [axis for axis in range(x.type.rank) if self.random.random() < 0.5]
        keep = self.random.random() < 0.5
        return self.builder("tensor.reduce", x, kind=kind, axes=axes, keep_dims=keep)

    def matmul(self) -> Value | None:
        x = self.floating()
        if x is None or x.type.rank < 2:
            return None
        transpose_a, transpose_b = (self.random.random() < 0.3 for _ in range(2))
        depth, columns = x.type.static_shape[-2 if transpose_a else -1], self.random.randint(1, 4)
        shape = (columns, depth) if transpose_b else (depth, columns)
        c = self.constant((columns,)) if self.random.random() < 0.3 else None
        return self.builder(
            "nn.matmul",
            x,
            self.constant(shape),
            c,
            transpose_a=transpose_a,
            transpose_b=transpose_b,
        )

    def convolution(self) -> Value | None:
        x = self.floating(rank=4)
        if x is None:
            return None
        _, channels, height, width = x.type.static_shape
        groups = self.random.choice([g for g in (1, 2, channels) if channels % g == 0])
        out = groups * self.random.randint(1, 2)
        kernel = [self.random.choice([k for k in (1, 2, 3) if k <= n]) for n in (height, width)]
        transposed = self.random.random() < 0.25
        first, second = (channels, out // groups) if transposed else (out, channels // groups)
        attributes: dict[str, object] = {
            "strides": [self.random.randint(1, 2) for _ in kernel],
            "pads": [0] * 4 if transposed else [self.random.randint(0, 1) for _ in range(4)],
            "dilations": [1, 1],
            "groups": groups,
        }
        if transposed:
            attributes["output_padding"] = [0, 0]
        b = self.constant((out,)) if self.random.random() < 0.3 else None
        name = "nn.conv_transpose" if transposed else "nn.conv"
        return self.builder(name, x, self.constant((first, second, *kernel)), b, **attributes)

    def pool(self) -> Value | None:
        x = self.floating(rank=4)
        if x is None or min(x.type.static_shape[2:]) < 2:
            return None
        pads = [self.random.randint(0, 1) for _ in range(4)]
        window = {
            "kernel": [2, 2],
            "strides": [self.random.randint(1, 2)] * 2,
            "pads": pads,
            "dilations": [1, 1],
            "overhang": [0, 0],
        }
        if self.random.random() < 0.5:
            return self.builder("nn.max_pool", x, **window)
        include = self.random.random() < 0.5
        return self.builder("nn.average_pool", x, **window, count_include_pad=include)

    def batch_norm(self) -> Value | None:
        x = self.pick(lambda v: v.type.dtype is DType.F32 and v.type.rank >= 2)
        if x is None:
            return None
        shape = (x.type.static_shape[1],)
        scale, bias, mean = (self.constant(shape) for _ in range(3))
        variance = [self.random.uniform(0.3, 2) for _ in range(shape[0])]
        v = self.builder.constant(np.array(variance, np.float32))
        return self.builder("nn.batch_norm", x, scale, bias, mean, v, epsilon=1e-5)

    def softmax(self) -> Value | None:
        x = self.pick(lambda v: v.type.dtype is DType.F32 and v.type.rank > 0)
        return x and self.builder("nn.softmax", x, axis=self.random.randrange(x.type.rank))

    def duplicate(self) -> Value | None:
        """The same op once more."""
        x = self.pick(lambda v: v.op is not None and not v.op.regions)
        if x is None or x.op is None:
            return None
        return self.builder.create(x.op.name, x.op.operands, x.op.attributes).result


ELEMENTWISE = ("unary", "clamp", "binary", "binary", "compare", "logical", "select", "cast")
MOVEMENT = ("reshape", "transpose", "transpose", "broadcast", "slice", "concat", "pad", "tile")
COMPUTE = ("reduce", "matmul", "convolution", "pool", "batch_norm", "softmax")
EVERYTHING = (*ELEMENTWISE, *MOVEMENT, "gather", "duplicate", *COMPUTE, *COMPUTE)
EXACT = (*ELEMENTWISE, *MOVEMENT, "gather", "duplicate")


def random_module(
    random: Random,
    ops: int,
    steps: Sequence[str] = EVERYTHING,
    without: Collection[str] = (),
) -> Module:
    """A valid module with about ``ops`` ops of the kinds named in ``steps``.

    ``without`` excludes elementwise functions by name, such as ``div``.
    """
    module = Module("random")
    shape = (random.randint(1, 2), random.choice([1, 2, 4]), random.randint(1, 4), 4)
    arguments = {
        "x": tensor("f32", *shape),
        "y": tensor("f32", *shape),
        "z": tensor("f32", shape[1], 4),
        "i": tensor("i32", *shape),
        "c": tensor("bool", *shape),
    }
    function, builder = build_function(module, "main", arguments)
    maker = GraphMaker(random, builder, function.args, without)
    for _ in range(ops):
        value = getattr(maker, random.choice(list(steps)))()
        if value is not None and 0 < value.type.elements <= MAX_ELEMENTS:
            maker.values.append(value)
    _finish(function, builder, maker.values)
    return module


def _finish(function: Function, builder: Builder, values: Sequence[Value]) -> None:
    """Return what nobody uses, and the last value."""
    used = set(function.args)
    results = [v for v in values if v not in used and not v.use_count] or [values[-1]]
    function.result_names = tuple(f"r{index}" for index in range(len(results)))
    builder.ret(*results)


def random_inputs(module: Module, seed: int, *, special: bool = False) -> dict[str, Array]:
    """Arrays for the inputs of ``module``; ``special`` mixes in zeros, infinities and NaN."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for value, name in zip(module.main.args, module.main.arg_names):
        shape, dtype = value.type.static_shape, value.type.dtype
        if dtype.is_float:
            array = rng.normal(size=shape).astype(dtype.numpy)
            if special:
                chosen = rng.choice(np.array(SPECIAL, dtype.numpy), size=shape)
                array = np.where(rng.random(shape) < 0.3, chosen, array)
        elif dtype is DType.BOOL:
            array = rng.random(shape) < 0.5
        else:
            low, high = dtype.integer_range
            array = rng.integers(-5, 5, size=shape).astype(dtype.numpy)
            extreme = rng.choice(np.array([low, high, 0], dtype.numpy), size=shape)
            array = np.where(rng.random(shape) < 0.1, extreme, array) if special else array
        inputs[name] = array
    return inputs
