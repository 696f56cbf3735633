"""Builds the ONNX graph of all-MiniLM-L6-v2 (a BERT encoder of six layers) from its safetensors weights."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Precision = Literal["int8", "fp32"]
# Returns the tensor of a name.
Weights = Callable[[str], NDArray[Any]]

LAYERS = 6
HEADS = 12
WIDTH = 384
MAX_TOKENS = 256
_EPSILON = 1e-12

# Seven bits: on processors without VNNI the int8 product of two neighbours is summed in 16 bits, and 2 × 255 × 64 is
# the most that fits. It costs 0.001 of cosine and makes the same vectors on every processor.
_INT8_TOP = 64


class _Graph:
    """Collects nodes and constants; each method returns the name of what it adds."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, array: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def linear(self, x: str, output: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Adds x·weight + bias, weight (in, out); in int8 the weight is quantised once by column, x on the fly."""
        bias_name = self.constant(f"{output}.bias", bias)
        if self.precision == "fp32":
            product = self.node("MatMul", [x, self.constant(f"{output}.weight", weight)], f"{output}.product")
            return self.node("Add", [product, bias_name], output)
        scale = np.abs(weight).max(axis=0) / np.float32(_INT8_TOP)
        weight_name = self.constant(f"{output}.weight", np.rint(weight / scale).astype(np.int8))
        inputs = [x, weight_name, self.constant(f"{output}.scale", scale), "", bias_name]
        return self.node("DynamicQuantizeMatMul", inputs, output, "com.microsoft")

    def norm(self, x: str, output: str, weights: Weights, name: str) -> str:
        scale = self.constant(f"{output}.weight", weights(f"{name}.weight"))
        bias = self.constant(f"{output}.bias", weights(f"{name}.bias"))
        return self.node("LayerNormalization", [x, scale, bias], output, epsilon=_EPSILON)


def build_graph(weights: Weights, precision: Precision) -> ModelProto:
    """Returns a model with input `tokens` int64 (1, length) and output `mean` float32 (1, 384), not normalised.

    Length is 1 to 256, special tokens included. One text at a time: there is no padding and hence no mask, and the
    ranges by which int8 quantises activations are the text's own, so its vector depends on nothing else.
    """
    graph = _Graph(precision)
    x = _embeddings(graph, weights)
    for layer in range(LAYERS):
        x = _layer(graph, weights, layer, x)
    graph.node("ReduceMean", [x, graph.constant("token_axis", np.array([1]))], "mean", keepdims=0)
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"all-MiniLM-L6-v2 {precision}",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "length"])],
            [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, WIDTH])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )


def _embeddings(graph: _Graph, weights: Weights) -> str:
    # Half precision halves the largest table of the model and moves a component by less than 0.0005 of itself.
    words = graph.constant("words", weights("embeddings.word_embeddings.weight").astype(np.float16))
    rows = graph.node("Cast", [graph.node("Gather", [words, "tokens"], "rows16")], "rows", to=TensorProto.FLOAT)
    # A single text is all of segment 0, whose vector is added to every position.
    segment = weights("embeddings.token_type_embeddings.weight")[0]
    table = weights("embeddings.position_embeddings.weight")[:MAX_TOKENS] + segment
    length = graph.node("Shape", ["tokens"], "length", start=1, end=2)
    bounds = [graph.constant("origin", np.array([0])), length]
    positions = graph.node("Slice", [graph.constant("positions.all", table), *bounds], "positions")
    total = graph.node("Add", [rows, positions], "embedded.sum")
    return graph.norm(total, "embedded", weights, "embeddings.LayerNorm")


def _layer(graph: _Graph, weights: Weights, layer: int, x: str) -> str:
    """Adds self-attention and feed-forward, each followed by the residual and its normalisation."""
    source = f"encoder.layer.{layer}"

    def dense(x: str, output: str, *names: str) -> str:
        """Several matrices over one input are one product, split afterwards."""
        weight = np.concatenate([weights(f"{source}.{name}.weight").T for name in names], axis=1)
        bias = np.concatenate([weights(f"{source}.{name}.bias") for name in names])
        return graph.linear(x, f"{layer}.{output}", weight, bias)

    def residual(x: str, y: str, output: str, name: str) -> str:
        total = graph.node("Add", [x, y], f"{layer}.{output}.sum")
        return graph.norm(total, f"{layer}.{output}", weights, f"{source}.{name}.LayerNorm")

    projected = dense(x, "qkv", *(f"attention.self.{name}" for name in ("query", "key", "value")))
    parts = [f"{layer}.{name}" for name in ("query", "key", "value")]
    graph.nodes.append(helper.make_node("Split", [projected], parts, axis=2, num_outputs=3))
    attended = graph.node("MultiHeadAttention", parts, f"{layer}.attended", "com.microsoft", num_heads=HEADS)
    x = residual(dense(attended, "attention", "attention.output.dense"), x, "attention.norm", "attention.output")
    wide = graph.node("Gelu", [dense(x, "wide", "intermediate.dense")], f"{layer}.gelu", "com.microsoft")
    return residual(dense(wide, "narrow", "output.dense"), x, "norm", "output")
