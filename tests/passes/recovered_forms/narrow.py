"""What is computed in f32 between casts."""

from __future__ import annotations

from .attentions import FLIP
from .form import Form
from .normalizations import MEAN

_NARROW = "tensor<f16[2, 3, 8]>"


def of_narrow_floats() -> list[Form]:
    """Computed in f32 between casts."""
    wide = "%w = math.cast(%x) {to = f32}"
    back = "%y = math.cast(%r) {to = f16}\ncore.return(%y)"
    scale = "core.constant() {value = dense<f32[8], [1, 2, 0.5, 0.25, 3, 1, 1.5, 1]>}"
    mean = MEAN
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
            f"""%t = tensor.transpose(%k) {FLIP}
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
