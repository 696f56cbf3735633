"""The static model: a text is the mean of its tokens' vectors, read from the wheel `wordllama`."""

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from quire_models.space import Floats, Space
from quire_models.text import readable
from quire_models.tokens import load_tokenizer
from quire_models.vectors import unit_rows
from quire_models.wheel import wheel_file

SPACE = Space(id="static-wordllama-256-v1", model="wordllama-l2-supercat", dimensions=256, version=1)

_WHEEL = "wordllama"

# ASCII punctuation, general punctuation and CJK punctuation; combining marks and symbols such as emoji stay.
_BREAKS = re.compile(r"[\s!-/:-@\[-`{-~\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011]+")
# Bounds what one job holds (some 64 × 256 tokens × 1 KiB at most in passing) and how long a cancelled call runs on.
_TEXTS_A_JOB = 64
_KNOWN_WORDS = 32_768
# Longer ones are rarely words, and would let one document of noise fill the memory.
_LONGEST_KNOWN = 32


class StaticModel:
    """Means of 256-dimensional token vectors, made on `threads` cores. Loading takes 0.1 s and 35 MB.

    The token vectors were trained so that their lengths carry the weight of a token ("the" is a tenth as long as
    "wing"), hence no further weighting. Case, punctuation and runs of blanks are folded first: that makes a word the
    same token wherever it stands, and is worth 1 to 14 % of relevance (docs/decisions/0004-default-embedding.md).

    The same text gives the same bytes whatever else is in the call: its rows are summed in its own order.
    """

    space = SPACE

    def __init__(self, *, threads: int = 1) -> None:
        self._tokenizer = load_tokenizer(wheel_file(_WHEEL, "wordllama/tokenizers/l2_supercat_tokenizer_config.json"))
        # No token of a folded text spans two words, so words are tokenised one by one and a known word not again: two
        # to three times as fast as tokenising whole texts, for some 10 MB.
        self._known_word = lru_cache(_KNOWN_WORDS)(self._tokens_of_word)
        weights = load_file(wheel_file(_WHEEL, "wordllama/weights/l2_supercat_256.safetensors"))
        self._vectors: NDArray[np.float16] = weights["embedding.weight"]
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="embed-static")

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        loop = asyncio.get_running_loop()
        jobs = [texts[i : i + _TEXTS_A_JOB] for i in range(0, len(texts), _TEXTS_A_JOB)]
        parts = await asyncio.gather(*(loop.run_in_executor(self._executor, self._embed, job) for job in jobs))
        return np.concatenate([np.empty((0, self.space.dimensions), np.float32), *parts])

    async def embed_query(self, text: str) -> Floats:
        row: Floats = (await self.embed_documents([text]))[0]
        return row

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _embed(self, texts: Sequence[str]) -> Floats:
        tokens = [np.array(self._tokens(text), np.intp) for text in texts]
        # The table stays float16; only the rows of this job's vocabulary are widened, which is also faster to gather.
        place = np.zeros(len(self._vectors), np.intp)
        place[np.concatenate(tokens)] = 1
        vocabulary = np.flatnonzero(place)
        place[vocabulary] = np.arange(len(vocabulary))
        table = self._vectors[vocabulary].astype(np.float32)
        sums = np.zeros((len(texts), self.space.dimensions), np.float32)
        for row, ids in enumerate(tokens):
            np.add.reduce(table.take(place.take(ids), axis=0), axis=0, out=sums[row])
        return unit_rows(sums)

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = []
        for word in _fold(text).split():
            tokens += self._known_word(word) if len(word) <= _LONGEST_KNOWN else self._tokens_of_word(word)
        return tokens

    def _tokens_of_word(self, word: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(word, add_special_tokens=False).ids)


def _fold(text: str) -> str:
    return _BREAKS.sub(" ", readable(text).lower())
