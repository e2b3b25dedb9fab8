"""Networks of published architectures, at their full size, with seeded random weights.

They are built here, so that nothing has to be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass
class Net:
    """Collects nodes and weights of a model with an image input."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, *shape: int, positive: bool = False) -> str:
        data = self.random.standard_normal(shape, np.float32) / np.float32(
            np.prod(shape[1:]) ** 0.5
        )
        name = f"w{len(self.weights)}"
        data = abs(data) + np.float32(0.5) if positive else data
        self.weights.append(numpy_helper.from_array(data, name))
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x: str, source: int, to: int, kernel: int, stride: int = 1, groups: int = 1,
             activation: str = "") -> str:  # fmt: skip
        """Convolution, batch norm, activation."""
        w = self.weight(to, source // groups, kernel, kernel)
        x = self.node("Conv", x, w, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[kernel // 2] * 4, group=groups)  # fmt: skip
        scale, shift, mean = (self.weight(to, positive=True) for _ in range(3))
        x = self.node("BatchNormalization", x, scale, shift, mean, self.weight(to, positive=True))
        if activation == "Relu6":
            limits = [numpy_helper.from_array(np.float32(v), f"limit{len(self.weights)}_{v}")
                      for v in (0, 6)]  # fmt: skip
            self.weights += limits
            return self.node("Clip", x, *(limit.name for limit in limits))
        return self.node(activation, x) if activation else x

    def classifier(self, x: str, channels: int) -> str:
        x = self.node("Flatten", self.node("GlobalAveragePool", x))
        return self.node("Gemm", x, self.weight(1000, channels), self.weight(1000), transB=1)

    def model(self, y: str, shape: list[int], result: list[int]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, result)],
            self.weights,
        )
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def mobilenet_v2() -> onnx.ModelProto:
    """MobileNetV2 (Sandler et al. 2018), 224 x 224, width 1.0."""
    net = Net()
    x, channels = net.conv("x", 3, 32, 3, 2, activation="Relu6"), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1)]  # fmt: skip
    for expansion, to, count, first_stride in stages:
        for index in range(count):
            stride, wide = first_stride if index == 0 else 1, channels * expansion
            y = net.conv(x, channels, wide, 1, activation="Relu6") if expansion > 1 else x
            y = net.conv(y, wide, wide, 3, stride, groups=wide, activation="Relu6")
            y = net.conv(y, wide, to, 1)
            x = net.node("Add", x, y) if stride == 1 and channels == to else y
            channels = to
    x = net.conv(x, channels, 1280, 1, activation="Relu6")
    return net.model(net.classifier(x, 1280), [1, 3, 224, 224], [1, 1000])


def resnet18() -> onnx.ModelProto:
    """ResNet-18 (He et al. 2015), 224 x 224."""
    net = Net()
    x, channels = net.conv("x", 3, 64, 7, 2, activation="Relu"), 64
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            y = net.conv(x, channels, width, 3, stride, activation="Relu")
            y = net.conv(y, width, width, 3)
            short = net.conv(x, channels, width, 1, stride) if stride > 1 else x
            x, channels = net.node("Relu", net.node("Add", short, y)), width
    return net.model(net.classifier(x, channels), [1, 3, 224, 224], [1, 1000])


def resnet50() -> onnx.ModelProto:
    """ResNet-50 (He et al. 2015), 224 x 224, stride in the 3 x 3 convolution."""
    net = Net()
    x, channels = net.conv("x", 3, 64, 7, 2, activation="Relu"), 64
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, count, first_stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(count):
            stride = first_stride if index == 0 else 1
            y = net.conv(x, channels, width, 1, activation="Relu")
            y = net.conv(y, width, width, 3, stride, activation="Relu")
            y = net.conv(y, width, 4 * width, 1)
            short = x if index else net.conv(x, channels, 4 * width, 1, stride)
            x, channels = net.node("Relu", net.node("Add", short, y)), 4 * width
    return net.model(net.classifier(x, channels), [1, 3, 224, 224], [1, 1000])


def chain(length: int) -> onnx.ModelProto:
    """``length`` nodes one after another: convolutions, elementwise ops and residual additions."""
    net = Net()
    x = older = "x"
    for index in range(length):
        kind = index % 5
        if kind == 0:
            x = net.node("Conv", x, net.weight(8, 8, 1, 1), kernel_shape=[1, 1])
        elif kind == 3:
            x = net.node("Add", x, older)
            older = x
        else:
            x = net.node(("Relu", "Sigmoid", "Tanh")[index % 3], x)
    return net.model(x, [1, 8, 8, 8], [1, 8, 8, 8])


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "mobilenet-v2": mobilenet_v2,
    "resnet-18": resnet18,
    "resnet-50": resnet50,
}
"""What benchmarks call them."""
