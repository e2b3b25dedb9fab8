"""Layer, RMS, group and instance norm; softmax."""

from __future__ import annotations

from .form import Form

_SCALED = "%x: tensor<f32[2, 3, 8]>, %w: tensor<f32[8]>, %b: tensor<f32[8]>"
MEAN = '{kind = "mean", axes = [2], keep_dims = true}'


def normalizations() -> list[Form]:
    centered = f"""%m = tensor.reduce(%x) {MEAN}
        %d = math.sub(%x, %m)
        %q = SQUARE
        %v = tensor.reduce(%q) {MEAN}
        %e = math.add(%v, #1e-05)
        %s = math.sqrt(%e)"""
    affine = "%1 = math.mul(%0, %w)\n%y = math.add(%1, %b)\ncore.return(%y)"
    power, product = "math.pow(%d, #2.0)", "math.mul(%d, %d)"
    rms = f"""%q = math.pow(%x, #2.0)
        %v = tensor.reduce(%q) {MEAN}
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
        *_of_squares(),
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


def _of_squares() -> list[Form]:
    """As in Flax: statistics without the normalized axes, and the inverse scaled first."""
    sum_ = '{kind = "sum", axes = [2], keep_dims = false}'
    return [
        Form(
            "layer-norm-of-squares",
            f"""%0 = tensor.reduce(%x) {sum_}
            %m = math.div(%0, #8.0)
            %1 = math.mul(%x, %x)
            %2 = tensor.reduce(%1) {sum_}
            %3 = math.mul(%2, #0.125)
            %4 = math.mul(%m, %m)
            %5 = math.sub(%3, %4)
            %6 = math.max(%5, #0.0)
            %7 = tensor.reshape(%m) {{shape = [2, 3, 1]}}
            %8 = tensor.reshape(%6) {{shape = [2, 3, 1]}}
            %d = math.sub(%x, %7)
            %e = math.add(%8, #1e-06)
            %s = math.rsqrt(%e)
            %9 = tensor.reshape(%w) {{shape = [1, 1, 8]}}
            %10 = math.mul(%s, %9)
            %11 = math.mul(%d, %10)
            %12 = tensor.reshape(%b) {{shape = [1, 1, 8]}}
            %y = math.add(%11, %12)
            core.return(%y)""",
            ("nn.layer_norm",),
            _SCALED,
            fast_math=True,
        ),
        Form(
            "layer-norm-of-kept-squares",
            f"""%m = tensor.reduce(%x) {MEAN}
            %1 = math.mul(%x, %x)
            %2 = tensor.reduce(%1) {MEAN}
            %3 = math.mul(%m, %m)
            %4 = math.sub(%2, %3)
            %5 = math.max(%4, #0.0)
            %d = math.sub(%x, %m)
            %e = math.add(%5, #1e-06)
            %s = math.sqrt(%e)
            %y = math.div(%d, %s)
            core.return(%y)""",
            ("nn.layer_norm",),
            fast_math=True,
        ),
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
