"""Attention: scores scaled, capped and masked; heads grouped, flat and packed."""

from __future__ import annotations

from .form import Form

FLIP = "{permutation = [0, 1, 3, 2]}"
_QKV = ", ".join(f"%{name}: tensor<f32[2, 2, 3, 4]>" for name in "qkv")
_ATTENDED = "tensor<f32[2, 2, 3, 4]>"
_WEIGHTED = "%w = nn.softmax(%z) {axis = 3}\n%y = nn.matmul(%w, %v)\ncore.return(%y)"
_PRODUCT = f"%t = tensor.transpose(%k) {FLIP}\n%s = nn.matmul(%q, %t)"
_LATER = """core.constant() {value = dense<f32[3, 3],
    [0.0, -inf, -inf, 0.0, 0.0, -inf, 0.0, 0.0, 0.0]>}"""


_EARLIER = """core.constant() {value = dense<bool[3, 3],
    [true, false, false, true, true, false, true, true, false]>}"""
_CAP = "%0 = math.mul(%s, #0.5)\n%1 = math.div(%0, #30.0)\n%2 = math.tanh(%1)"


def attentions() -> list[Form]:
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
            %t = tensor.transpose(%k) {FLIP}
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
        *_grouped(),
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


def _grouped() -> list[Form]:
    """Two heads of queries for each of keys and values, which are repeated, or broadcast."""
    repeated = """%{0}1 = tensor.reshape(%{0}) {{shape = [1, 2, 1, 3, 4]}}
        %{0}2 = tensor.broadcast(%{0}1) {{shape = [1, 2, 2, 3, 4]}}
        %{0}3 = tensor.reshape(%{0}2) {{shape = [1, 4, 3, 4]}}"""
    behind = """%{0}1 = tensor.reshape(%{0}) {{shape = [1, 3, 2, 1, 4]}}
        %{0}2 = tensor.broadcast(%{0}1) {{shape = [1, 3, 2, 2, 4]}}
        %{0}3 = tensor.reshape(%{0}2) {{shape = [1, 3, 4, 4]}}
        %{0}4 = tensor.transpose(%{0}3) {{permutation = [0, 2, 1, 3]}}"""
    inputs = "%q: {}, %k: {}, %v: {}"
    few, all_heads = "tensor<f32[1, 2, 3, 4]>", "tensor<f32[1, 4, 3, 4]>"
    return [
        Form(
            "attention-grouped",
            f"""{repeated.format("k")}
            {repeated.format("v")}
            %z = nn.matmul(%q, %k3) {{transpose_b = true}}
            %w = nn.softmax(%z) {{axis = 3}}
            %y = nn.matmul(%w, %v3)
            core.return(%y)""",
            ("nn.attention",),
            inputs.format(all_heads, few, few),
            all_heads,
        ),
        Form(
            "attention-grouped-behind-positions",
            f"""{behind.format("k")}
            {behind.format("v")}
            %z = nn.matmul(%q, %k4) {{transpose_b = true}}
            %w = nn.softmax(%z) {{axis = 3}}
            %y = nn.matmul(%w, %v4)
            core.return(%y)""",
            ("tensor.transpose", "tensor.transpose", "nn.attention"),
            inputs.format(all_heads, *["tensor<f32[1, 3, 2, 4]>"] * 2),
            all_heads,
        ),
        Form(
            "attention-grouped-of-rank-five",
            """%q1 = tensor.reshape(%q) {shape = [1, 2, 2, 3, 4]}
            %k1 = tensor.reshape(%k) {shape = [1, 2, 1, 3, 4]}
            %v1 = tensor.reshape(%v) {shape = [1, 2, 1, 3, 4]}
            %t = tensor.transpose(%k1) {permutation = [0, 1, 2, 4, 3]}
            %s = nn.matmul(%q1, %t)
            %0 = math.mul(%s, #0.5)
            %z = math.add(%0, %m)
            %w = nn.softmax(%z) {axis = 4}
            %o = nn.matmul(%w, %v1)
            %y = tensor.reshape(%o) {shape = [1, 4, 3, 4]}
            core.return(%y)""",
            ("tensor.reshape", "nn.attention"),
            f"{inputs.format(all_heads, few, few)}, %m: tensor<f32[1, 1, 1, 3, 3]>",
            all_heads,
        ),
    ]


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
            %k2 = tensor.transpose(%k1) {FLIP}
            {joined}""",
            ("tensor.slice", "tensor.slice", "tensor.slice", "nn.attention"),
            "%x: tensor<f32[2, 3, 24]>",
        ),
    ]
