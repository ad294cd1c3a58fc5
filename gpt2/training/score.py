"""python -m gpt2.training.score: bits per byte of a finished model on held-out text."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpt2.engine import load
from gpt2.training.corpus import read_documents
from gpt2.training.evaluation import bits_per_byte


def main() -> None:
    """Print one line; the unit does not depend on the vocabulary."""
    parser = argparse.ArgumentParser(prog="python -m gpt2.training.score", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with the text")
    parser.add_argument("--files", default="valid", help="which .txt or .txt.gz files (a glob)")
    parser.add_argument("--size", default="tiny", help="a size, a folder or a hub repository")
    options = parser.parse_args()
    engine = load(options.size)
    documents = read_documents(options.corpus, options.files)
    score = bits_per_byte(engine.model, engine.tokenizer, documents)
    size = sum(len(document.encode()) for document in documents)
    print(f"{options.size}: {score:.4f} bits per byte ({len(documents)} documents, {size:,} bytes)")


if __name__ == "__main__":
    main()
