"""Control flow and regions."""

from __future__ import annotations

from .case import Case

CASES: dict[str, Case] = {
    "decided-if": (
        "canonicalize",
        """func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
          %no = core.constant() {value = dense<bool[], [false]>}
          %0 = control.if(%no, %x) region(%a: tensor<f32[4]>) {
            %1 = math.exp(%a)
            core.yield(%1)
          } region(%b: tensor<f32[4]>) {
            %2 = math.neg(%b)
            core.yield(%2)
          }
          core.return(%0)
        }""",
    ),
    "captures-and-dead-results": (
        "canonicalize,fold,dce",
        """func @main(%c: tensor<bool[]>, %x: tensor<f32[2]>, %y: tensor<f32[2]>)
            -> ("z": tensor<f32[2]>) {
          %two = core.constant() {value = dense<f32[], [2.0]>}
          %dead = math.exp(%y)
          %0, %1 = control.if(%c, %x, %two, %dead)
          region(%a: tensor<f32[2]>, %b: tensor<f32[]>, %d: tensor<f32[2]>) {
            %2 = math.mul(%b, %b)
            %3 = math.mul(%a, %2)
            %4 = math.add(%d, %a)
            core.yield(%3, %4)
          } region(%a: tensor<f32[2]>, %b: tensor<f32[]>, %d: tensor<f32[2]>) {
            core.yield(%a, %d)
          }
          core.return(%0)
        }""",
    ),
    "unroll-loop": (
        "unroll-loops,canonicalize,fold,dce",
        """func @main(%x: tensor<f32[3]>, %k: tensor<f32[3]>)
            -> ("y": tensor<f32[3]>, "scan": tensor<f32[2, 3]>) {
          %n = core.constant() {value = dense<i64[], [2]>}
          %y, %scan = control.loop(%n, _, %x, %k) {carried = 1, iterations = 2}
            region(%i: tensor<i64[]>, %go: tensor<bool[]>,
                   %s: tensor<f32[3]>, %c: tensor<f32[3]>) {
            %f = math.cast(%i) {to = f32}
            %0 = math.mul(%c, %f)
            %1 = math.add(%s, %0)
            core.yield(%go, %1, %0)
          }
          core.return(%y, %scan)
        }""",
    ),
    "hoist-invariants": (
        "hoist-invariants,dce",
        """func @main(%x: tensor<f32[2, 2]>, %w: tensor<f32[2, 2]>, %n: tensor<i64[]>)
            -> ("y": tensor<f32[2, 2]>) {
          %y = control.loop(%n, _, %x, %w) {carried = 1}
            region(%i: tensor<i64[]>, %go: tensor<bool[]>,
                   %s: tensor<f32[2, 2]>, %c: tensor<f32[2, 2]>) {
            %one = core.constant() {value = dense<f32[], [1.0]>}
            %0 = tensor.transpose(%c) {permutation = [1, 0]}
            %1 = math.add(%0, %one)
            %2 = nn.matmul(%s, %1)
            %3 = math.sub(%2, %one)
            core.yield(%go, %3)
          }
          core.return(%y)
        }""",
    ),
    "cse-of-region": (
        "cse,dce",
        """func @main(%x: tensor<f32[3]>, %c: tensor<bool[]>)
            -> ("y": tensor<f32[3]>, "z": tensor<f32[3]>) {
          %0 = math.exp(%x)
          %1 = math.relu(%0)
          %y = control.if(%c, %x) region(%a: tensor<f32[3]>) {
            %2 = math.exp(%a)
            %3 = math.relu(%2)
            %4 = math.neg(%3)
            core.yield(%4)
          } region(%a: tensor<f32[3]>) {
            core.yield(%a)
          }
          core.return(%y, %1)
        }""",
    ),
}
