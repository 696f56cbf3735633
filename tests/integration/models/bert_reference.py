"""BERT's forward pass in plain numpy, written from its definition to check the ONNX graph against."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_erf = np.vectorize(math.erf, otypes=[np.float64])


def mean_pooled(weights: Mapping[str, NDArray[Any]], tokens: list[int], heads: int = 12) -> Array:
    """Returns the mean over all tokens of the last layer, scaled to length 1, shape (width,)."""

    def tensor(name: str) -> Array:
        return weights[name].astype(np.float64)

    def dense(name: str, x: Array) -> Array:
        return x @ tensor(f"{name}.weight").T + tensor(f"{name}.bias")

    def norm(name: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-12)
        return cast(Array, scaled * tensor(f"{name}.weight") + tensor(f"{name}.bias"))

    words = tensor("embeddings.word_embeddings.weight")[tokens]
    places = tensor("embeddings.position_embeddings.weight")[: len(tokens)]
    segment = tensor("embeddings.token_type_embeddings.weight")[0]
    x = norm("embeddings.LayerNorm", words + places + segment)
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    for layer in range(layers):
        base = f"encoder.layer.{layer}"
        query, key, value = (
            dense(f"{base}.attention.self.{part}", x).reshape(len(tokens), heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1]))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        attended = dense(f"{base}.attention.output.dense", mixed.transpose(1, 0, 2).reshape(len(tokens), -1))
        x = norm(f"{base}.attention.output.LayerNorm", x + attended)
        wide = dense(f"{base}.intermediate.dense", x)
        wide = wide * 0.5 * (1.0 + _erf(wide / math.sqrt(2.0)))
        x = norm(f"{base}.output.LayerNorm", x + dense(f"{base}.output.dense", wide))
    mean = x.mean(axis=0)
    return cast(Array, mean / np.linalg.norm(mean))
