"""The forms in which ops occur in exported models, and what is recovered from each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A function that spells out an op.

    Attributes:
        body: its ops; ``#0.5`` is a constant of one element.
        ops: names of the ops in the end, but constants.
        fast_math: whether recovery needs that option.
    """

    name: str
    body: str
    ops: tuple[str, ...]
    inputs: str = "%x: tensor<f32[2, 3, 8]>"
    result: str = "tensor<f32[2, 3, 8]>"
    fast_math: bool = False


def _gelu(name: str, outer: str, inner: str) -> Form:
    return Form(f"gelu-{name}", f"{inner}\n{outer}\ncore.return(%y)", ("math.gelu",))


_ERF = """%s = math.div(%x, #1.4142135)
    %e = math.erf(%s)
    %t = math.add(%e, #1.0)"""
_ERF_OF_PRODUCT = """%s = math.mul(%x, #0.70710677)
    %e = math.erf(%s)
    %t = math.add(#1.0, %e)"""
_TANH = """%2 = {cube}
    %3 = math.mul(%2, #0.044715)
    %4 = math.add(%x, %3)
    %5 = math.mul(%4, #0.7978846)
    %6 = math.tanh(%5)
    %t = math.add(%6, #1.0)
    {outer}
    core.return(%y)"""
_POWER = "math.pow(%x, #3.0)"
_ARGUMENTS = {
    "nested": """%1 = math.mul(%x, #0.044715)
        %2 = math.mul(%x, %1)
        %3 = math.mul(%x, %2)
        %4 = math.add(%x, %3)
        %5 = math.mul(%4, #0.7978846)""",
    "of-square": """%1 = math.mul(%x, %x)
        %2 = math.mul(%1, #0.044715)
        %3 = math.mul(%x, %2)
        %4 = math.add(%x, %3)
        %5 = math.mul(%4, #0.7978846)""",
    "factored": """%1 = math.mul(%x, #0.044715)
        %2 = math.mul(%1, %x)
        %3 = math.add(%2, #1.0)
        %4 = math.mul(%x, #0.7978846)
        %5 = math.mul(%4, %3)""",
    "factored-of-square": """%1 = math.mul(%x, %x)
        %2 = math.mul(%1, #0.044715)
        %3 = math.add(%2, #1.0)
        %4 = math.mul(%x, #0.7978846)
        %5 = math.mul(%4, %3)""",
}
_OUTER = {
    "last": "%h = math.mul(%t, #0.5)\n%y = math.mul(%x, %h)",
    "of-half": "%h = math.mul(%x, #0.5)\n%y = math.mul(%h, %t)",
    "halved": "%h = math.mul(%x, %t)\n%y = math.mul(%h, #0.5)",
}


def _gelu_tanh(name: str, inner: str) -> Form:
    outer = _OUTER["of-half"]
    return Form(f"gelu-tanh-{name}", f"{inner}\n{outer}\ncore.return(%y)", ("math.gelu_tanh",))


def _activations() -> list[Form]:
    gelus = [_gelu(f"erf-{name}", outer, _ERF) for name, outer in _OUTER.items()]
    tanhs = [
        Form(f"gelu-tanh-{name}", _TANH.format(cube=_POWER, outer=outer), ("math.gelu_tanh",))
        for name, outer in _OUTER.items()
    ]
    products = "math.mul(%x, %x)\n%c = math.mul(%x, %2)"
    cube = _TANH.format(cube=products, outer=_OUTER["of-half"]).replace(
        "math.mul(%2, #0.044715)", "math.mul(%c, #0.044715)"
    )
    return [
        *gelus,
        _gelu("erf-of-product", _OUTER["last"], _ERF_OF_PRODUCT),
        *tanhs,
        Form("gelu-tanh-products", cube, ("math.gelu_tanh",)),
        *(
            _gelu_tanh(name, f"{argument}\n%6 = math.tanh(%5)\n%t = math.add(%6, #1.0)")
            for name, argument in _ARGUMENTS.items()
        ),
        Form(
            "silu",
            "%s = math.sigmoid(%x)\n%y = math.mul(%s, %x)\ncore.return(%y)",
            ("math.silu",),
        ),
        Form(
            "quick-gelu",
            """%m = math.mul(%x, #1.702)
            %s = math.sigmoid(%m)
            %y = math.mul(%x, %s)
            core.return(%y)""",
            ("math.silu",),
        ),
        Form(
            "silu-spelled-out",
            """%n = math.neg(%x)
            %e = math.exp(%n)
            %d = math.add(%e, #1.0)
            %y = math.div(%x, %d)
            core.return(%y)""",
            ("math.silu",),
        ),
        Form(
            "sigmoid",
            """%n = math.neg(%x)
            %e = math.exp(%n)
            %d = math.add(#1.0, %e)
            %y = math.div(#1.0, %d)
            core.return(%y)""",
            ("math.sigmoid",),
        ),
        Form(
            "mish",
            """%s = math.softplus(%x)
            %t = math.tanh(%s)
            %y = math.mul(%x, %t)
            core.return(%y)""",
            ("math.mish",),
        ),
        Form(
            "softplus",
            "%e = math.exp(%x)\n%d = math.add(%e, #1.0)\n%y = math.log(%d)\ncore.return(%y)",
            ("math.softplus",),
            fast_math=True,
        ),
        *_hard(),
    ]


def _hard() -> list[Form]:
    relu6 = "%a = math.add(%x, #3.0)\n%r = math.clamp(%a) {low = 0.0, high = 6.0}"
    sixths = {"div": "math.div({}, #6.0)", "mul": "math.mul({}, #0.16666667)"}
    found = []
    for name, sixth in sixths.items():
        found += [
            Form(
                f"hard-sigmoid-{name}",
                f"{relu6}\n%y = {sixth.format('%r')}\ncore.return(%y)",
                ("math.hard_sigmoid",),
            ),
            Form(
                f"hard-swish-{name}",
                f"{relu6}\n%m = math.mul(%x, %r)\n%y = {sixth.format('%m')}\ncore.return(%y)",
                ("math.hard_swish",),
            ),
            Form(
                f"hard-swish-of-sigmoid-{name}",
                f"{relu6}\n%s = {sixth.format('%r')}\n%y = math.mul(%x, %s)\ncore.return(%y)",
                ("math.hard_swish",),
            ),
        ]
    return [
        *found,
        Form(
            "hard-sigmoid-line",
            """%m = math.mul(%x, #0.2)
            %a = math.add(%m, #0.5)
            %y = math.clamp(%a) {low = 0.0, high = 1.0}
            core.return(%y)""",
            ("math.hard_sigmoid",),
        ),
    ]


_SCALED = "%x: tensor<f32[2, 3, 8]>, %w: tensor<f32[8]>, %b: tensor<f32[8]>"
_MEAN = '{kind = "mean", axes = [2], keep_dims = true}'


def _normalizations() -> list[Form]:
    centered = f"""%m = tensor.reduce(%x) {_MEAN}
        %d = math.sub(%x, %m)
        %q = SQUARE
        %v = tensor.reduce(%q) {_MEAN}
        %e = math.add(%v, #1e-05)
        %s = math.sqrt(%e)"""
    affine = "%1 = math.mul(%0, %w)\n%y = math.add(%1, %b)\ncore.return(%y)"
    power, product = "math.pow(%d, #2.0)", "math.mul(%d, %d)"
    rms = f"""%q = math.pow(%x, #2.0)
        %v = tensor.reduce(%q) {_MEAN}
        %e = math.add(%v, #1e-06)"""
    return [
        Form(
            "layer-norm-div",
            f"{centered.replace('SQUARE', power)}\n%0 = math.div(%d, %s)\n{affine}",
            ("nn.layer_norm",),
            _SCALED,
        ),
        Form(
            "layer-norm-reciprocal",
            f"""{centered.replace("SQUARE", product)}
            %r = math.reciprocal(%s)
            %0 = math.mul(%d, %r)
            {affine}""",
            ("nn.layer_norm",),
            _SCALED,
        ),
        Form(
            "layer-norm-plain",
            f"{centered.replace('SQUARE', power)}\n%y = math.div(%d, %s)\ncore.return(%y)",
            ("nn.layer_norm",),
        ),
        Form(
            "rms-norm-reciprocal",
            f"""{rms}
            %s = math.sqrt(%e)
            %r = math.reciprocal(%s)
            %0 = math.mul(%x, %r)
            %y = math.mul(%w, %0)
            core.return(%y)""",
            ("nn.rms_norm",),
            _SCALED,
        ),
        Form(
            "rms-norm-div",
            f"{rms}\n%s = math.sqrt(%e)\n%y = math.div(%x, %s)\ncore.return(%y)",
            ("nn.rms_norm",),
        ),
        *_of_channels(),
        *_softmaxes(),
    ]


def _of_channels() -> list[Form]:
    images = "%x: tensor<f32[2, 6, 4, 5]>"
    ones = "%w = core.constant() {value = splat<f32[3], 1.0>}"
    zeros = "%b = core.constant() {value = splat<f32[3], 0.0>}"
    channels = ", ".join(f"{i / 4}" for i in range(6))
    scale = f"core.constant() {{value = dense<f32[6, 1, 1], [{channels}]>}}"
    spatial = '{kind = "mean", axes = [2, 3], keep_dims = true}'
    return [
        Form(
            "group-norm",
            f"""{ones}
            {zeros}
            %r = tensor.reshape(%x) {{shape = [2, 3, 40]}}
            %n = nn.group_norm(%r, %w, %b) {{groups = 3}}
            %0 = tensor.reshape(%n) {{shape = [2, 6, 4, 5]}}
            %s = {scale}
            %1 = math.mul(%0, %s)
            %y = math.add(%1, %s)
            core.return(%y)""",
            ("nn.group_norm",),
            images,
            "tensor<f32[2, 6, 4, 5]>",
        ),
        Form(
            "instance-norm",
            f"""%m = tensor.reduce(%x) {spatial}
            %d = math.sub(%x, %m)
            %q = math.mul(%d, %d)
            %v = tensor.reduce(%q) {spatial}
            %e = math.add(%v, #1e-05)
            %r = math.sqrt(%e)
            %0 = math.div(%d, %r)
            %s = {scale}
            %1 = math.mul(%0, %s)
            %y = math.add(%1, %s)
            core.return(%y)""",
            ("nn.group_norm",),
            images,
            "tensor<f32[2, 6, 4, 5]>",
        ),
    ]


def _softmaxes() -> list[Form]:
    shifted = """%m = tensor.reduce(%x) {kind = "max", axes = [1], keep_dims = true}
        %d = math.sub(%x, %m)
        %e = math.exp(%d)
        %s = tensor.reduce(%e) {kind = "sum", axes = [1], keep_dims = true}"""
    return [
        Form("softmax", f"{shifted}\n%y = math.div(%e, %s)\ncore.return(%y)", ("nn.softmax",)),
        Form(
            "softmax-unshifted",
            """%e = math.exp(%x)
            %s = tensor.reduce(%e) {kind = "sum", axes = [2], keep_dims = true}
            %y = math.div(%e, %s)
            core.return(%y)""",
            ("nn.softmax",),
            fast_math=True,
        ),
        Form(
            "log-softmax",
            f"{shifted}\n%l = math.log(%s)\n%y = math.sub(%d, %l)\ncore.return(%y)",
            ("nn.log_softmax",),
        ),
        Form(
            "log-of-softmax",
            "%s = nn.softmax(%x) {axis = 2}\n%y = math.log(%s)\ncore.return(%y)",
            ("nn.log_softmax",),
            fast_math=True,
        ),
    ]


_FLIP = "{permutation = [0, 1, 3, 2]}"
_QKV = ", ".join(f"%{name}: tensor<f32[2, 2, 3, 4]>" for name in "qkv")
_ATTENDED = "tensor<f32[2, 2, 3, 4]>"
_WEIGHTED = "%w = nn.softmax(%z) {axis = 3}\n%y = nn.matmul(%w, %v)\ncore.return(%y)"
_PRODUCT = f"%t = tensor.transpose(%k) {_FLIP}\n%s = nn.matmul(%q, %t)"
_LATER = """core.constant() {value = dense<f32[3, 3],
    [0.0, -inf, -inf, 0.0, 0.0, -inf, 0.0, 0.0, 0.0]>}"""


_EARLIER = """core.constant() {value = dense<bool[3, 3],
    [true, false, false, true, true, false, true, true, false]>}"""
_CAP = "%0 = math.mul(%s, #0.5)\n%1 = math.div(%0, #30.0)\n%2 = math.tanh(%1)"


def _attentions() -> list[Form]:
    def form(
        name: str, scores: str, more: str = "", fast_math: bool = False, masks: tuple[str, ...] = ()
    ) -> Form:
        inputs = f"{_QKV}{more}"
        body = f"{scores}\n{_WEIGHTED}"
        ops = (*masks, "nn.attention")
        return Form(f"attention-{name}", body, ops, inputs, _ATTENDED, fast_math)

    mask = ", %m: tensor<f32[2, 1, 1, 3]>"
    return [
        form("plain", _PRODUCT.replace("%s =", "%z =")),
        form("scaled", f"{_PRODUCT}\n%z = math.mul(%s, #0.5)"),
        form("divided", f"{_PRODUCT}\n%z = math.div(%s, #2.5)"),
        form("masked", f"{_PRODUCT}\n%z = math.add(%s, %m)", mask),
        form("scaled-masked", f"{_PRODUCT}\n%0 = math.div(%s, #8.0)\n%z = math.add(%0, %m)", mask),
        form(
            "factors",
            f"""%0 = math.mul(%q, #0.7)
            %t = tensor.transpose(%k) {_FLIP}
            %1 = math.mul(%t, #0.7)
            %z = nn.matmul(%0, %1)""",
        ),
        form("no-mask", f"{_PRODUCT}\n%z = math.add(%s, #0.0)"),
        form("causal", f"{_PRODUCT}\n%m = {_LATER}\n%z = math.add(%s, %m)"),
        form(
            "causal-finite",
            f"{_PRODUCT}\n%m = {_LATER.replace('-inf', '-1e9')}\n%z = math.add(%s, %m)",
            fast_math=True,
        ),
        form(
            "bool-mask",
            f"{_PRODUCT}\n%m = math.select(%c, #0.0, #-inf)\n%z = math.add(%s, %m)",
            ", %c: tensor<bool[2, 1, 3, 3]>",
        ),
        form(
            "two-masks",
            f"{_PRODUCT}\n%0 = math.add(%s, %m)\n%z = math.add(%0, %m)",
            mask,
            False,
            ("math.add",),
        ),
        form("softcap", f"{_PRODUCT}\n{_CAP}\n%z = math.mul(%2, #30.0)"),
        form(
            "softcap-masked",
            f"{_PRODUCT}\n{_CAP}\n%3 = math.mul(%2, #30.0)\n%z = math.add(%m, %3)",
            mask,
        ),
        form(
            "selected",
            f"{_PRODUCT}\n%0 = math.mul(%s, #0.5)\n%z = math.select(%c, #-inf, %0)",
            ", %c: tensor<bool[2, 1, 3, 3]>",
            True,
            ("math.logical_not",),
        ),
        form(
            "selected-by-constant",
            f"{_PRODUCT}\n%c = {_EARLIER}\n%z = math.select(%c, %s, #-10000.0)",
            fast_math=True,
        ),
        form(
            "selected-and-masked",
            f"{_PRODUCT}\n%0 = math.select(%c, %s, #-3.4e38)\n%z = math.add(%0, %m)",
            f"{mask}, %c: tensor<bool[2, 1, 3, 3]>",
            True,
            ("math.select", "math.add"),
        ),
        _of_rank_three(),
        _shared_keys(),
        _grouped(),
        *_flat(),
    ]


def _of_rank_three() -> Form:
    operands = ", ".join(f"%{name}: tensor<f32[2, 3, 4]>" for name in "qkv")
    return Form(
        "attention-of-rank-three",
        """%t = tensor.transpose(%k) {permutation = [0, 2, 1]}
        %s = nn.matmul(%q, %t)
        %0 = math.mul(%s, #0.5)
        %z = math.add(%0, %m)
        %w = nn.softmax(%z) {axis = 2}
        %y = nn.matmul(%w, %v)
        core.return(%y)""",
        ("tensor.reshape", "nn.attention"),
        f"{operands}, %m: tensor<f32[2, 1, 3]>",
        "tensor<f32[2, 3, 4]>",
    )


def _shared_keys() -> Form:
    shared = "tensor<f32[2, 1, 3, 4]>"
    return Form(
        "attention-shared-keys",
        f"""%z = nn.matmul(%q, %k) {{transpose_b = true}}
        {_WEIGHTED}""",
        ("nn.attention",),
        f"%q: tensor<f32[2, 2, 3, 4]>, %k: {shared}, %v: {shared}",
        _ATTENDED,
    )


def _grouped() -> Form:
    repeated = """%{0}1 = tensor.reshape(%{0}) {{shape = [1, 2, 1, 3, 4]}}
        %{0}2 = tensor.broadcast(%{0}1) {{shape = [1, 2, 2, 3, 4]}}
        %{0}3 = tensor.reshape(%{0}2) {{shape = [1, 4, 3, 4]}}"""
    return Form(
        "attention-grouped",
        f"""{repeated.format("k")}
        {repeated.format("v")}
        %z = nn.matmul(%q, %k3) {{transpose_b = true}}
        %w = nn.softmax(%z) {{axis = 3}}
        %y = nn.matmul(%w, %v3)
        core.return(%y)""",
        ("nn.attention",),
        "%q: tensor<f32[1, 4, 3, 4]>, %k: tensor<f32[1, 2, 3, 4]>, %v: tensor<f32[1, 2, 3, 4]>",
        "tensor<f32[1, 4, 3, 4]>",
    )


def _flat() -> list[Form]:
    split = "%{0}1 = tensor.reshape(%{0}) {{shape = [2, 3, 2, 4]}}\n%{0}2 = tensor.transpose(%{0}1)"
    joined = """%s = nn.matmul(%q2, %k2)
        %z = math.mul(%s, #0.5)
        %w = nn.softmax(%z) {axis = 3}
        %o = nn.matmul(%w, %v2)
        %p = tensor.transpose(%o) {permutation = [0, 2, 1, 3]}
        %y = tensor.reshape(%p) {shape = [2, 3, 8]}
        core.return(%y)"""
    part = """%{0}0 = tensor.slice(%t) {{
            starts = [{1}, 0, 0, 0, 0], sizes = [1, 2, 2, 3, 4], steps = [1, 1, 1, 1, 1]}}
        %{0}{2} = tensor.reshape(%{0}0) {{shape = [2, 2, 3, 4]}}"""
    flip = "{permutation = [0, 2, 1, 3]}"
    return [
        Form(
            "attention-flat",
            f"""{split.format("q")} {flip}
            {split.format("k")} {{permutation = [0, 2, 3, 1]}}
            {split.format("v")} {flip}
            {joined}""",
            ("nn.attention",),
            ", ".join(f"%{name}: tensor<f32[2, 3, 8]>" for name in "qkv"),
        ),
        Form(
            "attention-packed",
            f"""%a = tensor.reshape(%x) {{shape = [2, 3, 3, 2, 4]}}
            %t = tensor.transpose(%a) {{permutation = [2, 0, 3, 1, 4]}}
            {part.format("q", 0, 2)}
            {part.format("k", 1, 1)}
            {part.format("v", 2, 2)}
            %k2 = tensor.transpose(%k1) {_FLIP}
            {joined}""",
            ("tensor.slice", "tensor.slice", "tensor.slice", "nn.attention"),
            "%x: tensor<f32[2, 3, 24]>",
        ),
    ]


def _interleaved_rotaries() -> list[Form]:
    table = "core.constant() {{value = dense<f32[2, 4], [{0}, {0}, {1}, {1}, {2}, {2}, {3}, {3}]>}}"
    part = "tensor.slice(%x) {{starts = [0, 0, 0, {}], sizes = [1, 2, 2, 2], steps = [1, 1, 1, 2]}}"
    index = """tensor.slice(%p) {{
                starts = [0, 0, 0, 0, {}], sizes = [1, 2, 2, 2, 1], steps = [1, 1, 1, 1, 1]}}"""
    last = "{shape = [1, 2, 2, 2, 1]}"
    heads = "tensor<f32[1, 2, 2, 4]>"
    return [
        Form(
            "rotary-interleaved",
            f"""%c = {table.format(0.5, 0.25, 0.125, 1.0)}
            %s = {table.format(0.75, 0.5, 1.5, 2.0)}
            %0 = math.mul(%x, %c)
            %a = {part.format(1)}
            %n = math.neg(%a)
            %b = {part.format(0)}
            %n1 = tensor.reshape(%n) {last}
            %b1 = tensor.reshape(%b) {last}
            %t = tensor.concat(%n1, %b1) {{axis = 4}}
            %r = tensor.reshape(%t) {{shape = [1, 2, 2, 4]}}
            %1 = math.mul(%r, %s)
            %y = math.add(%0, %1)
            core.return(%y)""",
            ("nn.rotary_embedding",),
            f"%x: {heads}",
            heads,
        ),
        Form(
            "rotary-interleaved-of-parts",
            f"""%p = tensor.reshape(%x) {{shape = [1, 2, 2, 2, 2]}}
            %a0 = {index.format(0)}
            %b0 = {index.format(1)}
            %a = tensor.reshape(%a0) {{shape = [1, 2, 2, 2]}}
            %b = tensor.reshape(%b0) {{shape = [1, 2, 2, 2]}}
            %0 = math.mul(%a, %c)
            %1 = math.mul(%b, %s)
            %2 = math.sub(%0, %1)
            %3 = math.mul(%b, %c)
            %4 = math.mul(%a, %s)
            %5 = math.add(%4, %3)
            %6 = tensor.reshape(%2) {last}
            %7 = tensor.reshape(%5) {last}
            %t = tensor.concat(%6, %7) {{axis = 4}}
            %y = tensor.reshape(%t) {{shape = [1, 2, 2, 4]}}
            core.return(%y)""",
            ("tensor.reshape", "tensor.reshape", "nn.rotary_embedding"),
            f"%x: {heads}, %c: tensor<f32[1, 1, 2, 2]>, %s: tensor<f32[1, 1, 2, 2]>",
            heads,
        ),
    ]


def _rotaries() -> list[Form]:
    table = "core.constant() {{value = dense<f32[2, 4], [{0}, {1}, {0}, {1}, {2}, {3}, {2}, {3}]>}}"
    part = "tensor.slice(%x) {{starts = [0, 0, 0, {}], sizes = [1, 2, 2, 2], steps = [1, 1, 1, 1]}}"
    heads = "tensor<f32[1, 2, 2, 4]>"
    return [
        Form(
            "rotary",
            f"""%c = {table.format(0.5, 0.25, 0.125, 1.0)}
            %s = {table.format(0.75, 0.5, 1.5, 2.0)}
            %0 = math.mul(%x, %c)
            %a = {part.format(2)}
            %n = math.neg(%a)
            %b = {part.format(0)}
            %r = tensor.concat(%n, %b) {{axis = 3}}
            %1 = math.mul(%r, %s)
            %y = math.add(%0, %1)
            core.return(%y)""",
            ("nn.rotary_embedding",),
            f"%x: {heads}",
            heads,
        ),
        Form(
            "rotary-of-parts",
            f"""%a = {part.format(0)}
            %b = {part.format(2)}
            %0 = math.mul(%a, %c)
            %1 = math.mul(%b, %s)
            %2 = math.sub(%0, %1)
            %3 = math.mul(%b, %c)
            %4 = math.mul(%a, %s)
            %5 = math.add(%3, %4)
            %y = tensor.concat(%2, %5) {{axis = 3}}
            core.return(%y)""",
            ("tensor.reshape", "tensor.reshape", "nn.rotary_embedding"),
            f"%x: {heads}, %c: tensor<f32[1, 1, 2, 2]>, %s: tensor<f32[1, 1, 2, 2]>",
            heads,
        ),
    ]


_NARROW = "tensor<f16[2, 3, 8]>"


def _of_narrow_floats() -> list[Form]:
    """Computed in f32 between casts."""
    wide = "%w = math.cast(%x) {to = f32}"
    back = "%y = math.cast(%r) {to = f16}\ncore.return(%y)"
    scale = "core.constant() {value = dense<f32[8], [1, 2, 0.5, 0.25, 3, 1, 1.5, 1]>}"
    mean = _MEAN
    qkv = ", ".join(f"%{name}: tensor<f16[2, 2, 3, 4]>" for name in "qkv")
    return [
        Form(
            "narrow-silu",
            f"{wide}\n%s = math.sigmoid(%w)\n%r = math.mul(%w, %s)\n{back}",
            ("math.silu",),
            f"%x: {_NARROW}",
            _NARROW,
        ),
        Form(
            "narrow-rms-norm",
            f"""{wide}
            %q = math.mul(%w, %w)
            %v = tensor.reduce(%q) {mean}
            %e = math.add(%v, #1e-06)
            %s = math.rsqrt(%e)
            %r = math.mul(%w, %s)
            %n = math.cast(%r) {{to = f16}}
            %y = math.mul(%n, %g)
            core.return(%y)""",
            ("nn.rms_norm",),
            f"%x: {_NARROW}, %g: tensor<f16[8]>",
            _NARROW,
        ),
        Form(
            "narrow-layer-norm",
            f"""{wide}
            %m = tensor.reduce(%w) {mean}
            %d = math.sub(%w, %m)
            %q = math.mul(%d, %d)
            %v = tensor.reduce(%q) {mean}
            %e = math.add(%v, #1e-05)
            %s = math.sqrt(%e)
            %n = math.div(%d, %s)
            %c = {scale}
            %1 = math.mul(%n, %c)
            %r = math.add(%1, %c)
            {back}""",
            ("nn.layer_norm",),
            f"%x: {_NARROW}",
            _NARROW,
        ),
        Form(
            "narrow-attention",
            f"""%t = tensor.transpose(%k) {_FLIP}
            %s = nn.matmul(%q, %t)
            %z = math.cast(%s) {{to = f32}}
            %0 = math.mul(%z, #0.5)
            %p = nn.softmax(%0) {{axis = 3}}
            %w = math.cast(%p) {{to = f16}}
            %y = nn.matmul(%w, %v)
            core.return(%y)""",
            ("nn.attention",),
            qkv,
            "tensor<f16[2, 2, 3, 4]>",
        ),
    ]


FORMS = [
    *_activations(),
    *_normalizations(),
    *_attentions(),
    *_rotaries(),
    *_interleaved_rotaries(),
    *_of_narrow_floats(),
]
