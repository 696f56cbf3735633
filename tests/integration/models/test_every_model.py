"""What holds for every model, local or remote."""

import numpy as np
import pytest

from quire_models import EmbeddingModel

# The remote model and its server live on one event loop, as they would in a service.
pytestmark = pytest.mark.asyncio(loop_scope="session")

AWKWARD = {
    "a megabyte without a blank": "x" * 1_000_000,
    "a megabyte of words": "quarterly report " * 60_000,
    "a lone surrogate": "half a \ud83d pair",
    "a NUL": "before\0after",
    "tokens no vocabulary has": "\U0001f9ff\ue000 \U000e0041",
    "a control character": "\x07",
    "a combining mark alone": "\u0301",
    "right-to-left": "שלום עולם",
    "no blanks between words": "東京都は日本の首都です",
}
NOTHING_TO_READ = ["", " ", "\n\t \u3000\u00a0", "\0", "\0 \0"]


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD.keys())
async def test_an_awkward_text_has_a_finite_vector_of_length_one(model: EmbeddingModel, text: str) -> None:
    vector = await model.embed_query(text)
    assert vector.dtype == np.float32
    assert vector.shape == (model.space.dimensions,)
    assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", NOTHING_TO_READ)
async def test_a_text_with_nothing_to_read_points_along_the_first_axis(model: EmbeddingModel, text: str) -> None:
    vector = await model.embed_query(text)
    assert vector.tolist() == [1.0] + [0.0] * (model.space.dimensions - 1)


async def test_documents_come_back_in_order_one_row_each(model: EmbeddingModel) -> None:
    texts = [f"document number {number}" for number in range(70)]
    texts[3] = ""
    vectors = await model.embed_documents(texts)
    assert vectors.shape == (70, model.space.dimensions)
    for row in (0, 2, 3, 4, 33, 69):
        assert (vectors[row] == await model.embed_query(texts[row])).all()


async def test_no_documents_make_no_rows(model: EmbeddingModel) -> None:
    assert (await model.embed_documents([])).shape == (0, model.space.dimensions)


async def test_a_text_has_the_same_bytes_in_whatever_company_it_comes(model: EmbeddingModel) -> None:
    text = "The committee approved the revised budget for road maintenance."
    alone = await model.embed_documents([text])
    crowd = await model.embed_documents(["short", "filler words " * 120, text, "", "x" * 3000, "A, b; c!"])
    assert alone[0].tobytes() == crowd[2].tobytes()


async def test_what_is_embedded_does_not_depend_on_what_lies_beyond_the_limit(model: EmbeddingModel) -> None:
    text = "words of a long report " * 800
    beyond = text[:16_384] + "something else entirely " * 1000
    assert (await model.embed_query(text) == await model.embed_query(beyond)).all()
