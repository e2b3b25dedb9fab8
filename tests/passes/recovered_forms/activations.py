"""GELU, SiLU, Mish, softplus, hard sigmoid and swish."""

from __future__ import annotations

from .form import Form


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


def activations() -> list[Form]:
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
