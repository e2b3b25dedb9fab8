"""Rotary embedding."""

from __future__ import annotations

from .form import Form

_HEADS = "tensor<f32[1, 2, 2, 4]>"


def _rotary(kind: str, table: str, turned: str) -> Form:
    """x cos + rotated(x) sin, with the parts %a, %b of x and %n, the negative of %a."""
    numbers = ", ".join(table)
    cosines, sines = (0.5, 0.25, 0.125, 1.0), (0.75, 0.5, 1.5, 2.0)
    constants = [
        f"core.constant() {{value = dense<f32[2, 4], [{numbers.format(*values)}]>}}"
        for values in (cosines, sines)
    ]
    return Form(
        f"rotary{kind}",
        f"""%c = {constants[0]}
        %s = {constants[1]}
        %0 = math.mul(%x, %c)
        {turned}
        %1 = math.mul(%r, %s)
        %y = math.add(%0, %1)
        core.return(%y)""",
        ("nn.rotary_embedding",),
        f"%x: {_HEADS}",
        _HEADS,
    )


def _rotary_of_parts(kind: str, parts: str, terms: str, joined: str) -> Form:
    """a cos - b sin and b cos + a sin, of the parts %a and %b of x, joined to %y."""
    return Form(
        f"rotary{kind}-of-parts",
        f"""{parts}
        %0 = math.mul(%a, %c)
        %1 = math.mul(%b, %s)
        %2 = math.sub(%0, %1)
        %3 = math.mul(%b, %c)
        %4 = math.mul(%a, %s)
        %5 = math.add({terms})
        {joined}
        core.return(%y)""",
        ("tensor.reshape", "tensor.reshape", "nn.rotary_embedding"),
        f"%x: {_HEADS}, %c: tensor<f32[1, 1, 2, 2]>, %s: tensor<f32[1, 1, 2, 2]>",
        _HEADS,
    )


def rotaries() -> list[Form]:
    """Of halves, and of neighbours."""
    slice_ = (
        "tensor.slice(%x) {{starts = [0, 0, 0, {}], sizes = [1, 2, 2, 2], steps = [1, 1, 1, {}]}}"
    )
    index = """tensor.slice(%p) {{
                starts = [0, 0, 0, 0, {}], sizes = [1, 2, 2, 2, 1], steps = [1, 1, 1, 1, 1]}}"""
    last, part = "{shape = [1, 2, 2, 2, 1]}", "{shape = [1, 2, 2, 2]}"
    return [
        _rotary(
            "",
            ("{0}", "{1}", "{0}", "{1}", "{2}", "{3}", "{2}", "{3}"),
            f"""%a = {slice_.format(2, 1)}
            %n = math.neg(%a)
            %b = {slice_.format(0, 1)}
            %r = tensor.concat(%n, %b) {{axis = 3}}""",
        ),
        _rotary_of_parts(
            "",
            f"%a = {slice_.format(0, 1)}\n%b = {slice_.format(2, 1)}",
            "%3, %4",
            "%y = tensor.concat(%2, %5) {axis = 3}",
        ),
        _rotary(
            "-interleaved",
            ("{0}", "{0}", "{1}", "{1}", "{2}", "{2}", "{3}", "{3}"),
            f"""%a = {slice_.format(1, 2)}
            %n = math.neg(%a)
            %b = {slice_.format(0, 2)}
            %n1 = tensor.reshape(%n) {last}
            %b1 = tensor.reshape(%b) {last}
            %t = tensor.concat(%n1, %b1) {{axis = 4}}
            %r = tensor.reshape(%t) {{shape = [1, 2, 2, 4]}}""",
        ),
        _rotary_of_parts(
            "-interleaved",
            f"""%p = tensor.reshape(%x) {{shape = [1, 2, 2, 2, 2]}}
            %a0 = {index.format(0)}
            %b0 = {index.format(1)}
            %a = tensor.reshape(%a0) {part}
            %b = tensor.reshape(%b0) {part}""",
            "%4, %3",
            f"""%6 = tensor.reshape(%2) {last}
            %7 = tensor.reshape(%5) {last}
            %t = tensor.concat(%6, %7) {{axis = 4}}
            %y = tensor.reshape(%t) {{shape = [1, 2, 2, 4]}}""",
        ),
    ]
