"""The static model."""

import asyncio

import numpy as np
import pytest

from quire_models import EmbeddingModel, open_model


async def test_a_paraphrase_is_nearer_than_another_subject(static: EmbeddingModel) -> None:
    cat, kitten, revenue = await static.embed_documents(
        ["A cat sat on the mat.", "A kitten rested on the rug.", "Quarterly revenue grew by ten percent."]
    )
    assert cat @ kitten > cat @ revenue + 0.2


@pytest.mark.parametrize(
    "variant",
    [
        "ANNUAL REPORT ON WATER QUALITY",
        "  annual report\n\non water   quality ",
        "Annual report, on (water) quality.",
        "“Annual report” on water — quality…",
    ],
)
async def test_case_punctuation_and_layout_do_not_matter(static: EmbeddingModel, variant: str) -> None:
    assert (await static.embed_query(variant) == await static.embed_query("annual report on water quality")).all()


async def test_function_words_weigh_less_than_subjects(static: EmbeddingModel) -> None:
    both, wing, the = await static.embed_documents(["the wing", "wing", "the"])
    assert both @ wing > 0.9 > 0.5 > both @ the


async def test_a_text_of_punctuation_has_nothing_to_read(static: EmbeddingModel) -> None:
    assert (await static.embed_query("?! ...") == await static.embed_query("")).all()


async def test_a_vector_is_the_mean_of_its_words_vectors(static: EmbeddingModel) -> None:
    # Vectors of length 1 lose the weights of the words, so the sum must lie in the plane that the words span.
    whole, one, other = (await static.embed_documents(["harbour bridge", "harbour", "bridge"])).astype(np.float64)
    shares, *_ = np.linalg.lstsq(np.stack([one, other], axis=1), whole, rcond=None)
    assert np.abs(shares[0] * one + shares[1] * other - whole).max() < 1e-5
    assert (shares > 0.2).all()


async def test_more_threads_make_the_same_vectors(static: EmbeddingModel) -> None:
    texts = [f"paragraph {number} about rivers and bridges" for number in range(300)]
    wide = open_model("static", threads=4)
    try:
        assert (await wide.embed_documents(texts) == await static.embed_documents(texts)).all()
    finally:
        await wide.close()


async def test_callers_at_once_each_get_their_own(static: EmbeddingModel) -> None:
    texts = [f"question {number} about taxes" for number in range(50)]
    together = await asyncio.gather(*(static.embed_query(text) for text in texts))
    assert (np.stack(together) == await static.embed_documents(texts)).all()
