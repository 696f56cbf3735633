"""Loads tokenizers that use one core for each call."""

import os
from pathlib import Path

from tokenizers import Tokenizer

# The Rust library would otherwise start a thread for every core of the node, whatever share of it the pod was given;
# it can be told only through this variable. Concurrency is the caller's: encoding releases the GIL.
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def load_tokenizer(path: Path) -> Tokenizer:
    """Loads a tokenizer.json, set to neither pad nor truncate."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
