"""Rows of a matrix that are fetched by one-hot vectors."""

from __future__ import annotations

from .form import Form


def rows_of_matrices() -> list[Form]:
    """One-hot vectors of integers, among which some are of no row."""
    matrix = "core.constant() {value = dense<f32[3, 2], [1, 2, 3, 4, 5, 6]>}"
    rows = ("tensor.reshape", "math.max", "math.min", "tensor.gather")
    return [
        Form(
            "one-hot-rows",
            f"""%c = core.constant() {{value = dense<i32[1, 3], [0, 1, 2]>}}
            %w = {matrix}
            %h = math.equal(%x, %c)
            %v = math.cast(%h) {{to = f32}}
            %r = nn.matmul(%v, %w)
            core.return(%r)""",
            rows,
            "%x: tensor<i32[2, 5, 1]>",
            "tensor<f32[2, 5, 2]>",
        ),
    ]
