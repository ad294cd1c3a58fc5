"""python -m gpt2.training.score: bits per byte of a finished model on held-out text."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpt2.loading import load
from gpt2.training.corpus import read_documents
from gpt2.training.evaluation import bits_per_byte


def main() -> None:
    """Print one line; the unit does not depend on the vocabulary."""
    parser = argparse.ArgumentParser(prog="python -m gpt2.training.score", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with the text")
    parser.add_argument("--files", default="valid", help="which .txt or .txt.gz files (a glob)")
    parser.add_argument("--documents", help="only these, numbered from 1: 3,17,18")
    parser.add_argument("--size", default="tiny", help="a size, a folder or a hub repository")
    parser.add_argument("--precision", default="float32", help="what the model computes in")
    options = parser.parse_args()
    documents = read_documents(options.corpus, options.files)
    if options.documents:
        numbers = [int(number) for number in options.documents.split(",")]
        if not all(1 <= number <= len(documents) for number in numbers):
            parser.error(f"--documents must be numbers from 1 to {len(documents)}")
        documents = [documents[number - 1] for number in numbers]
    engine = load(options.size, options.precision)
    score = bits_per_byte(engine.model, engine.tokenizer, documents)
    size = sum(len(document.encode()) for document in documents)
    print(f"{options.size}: {score:.4f} bits per byte ({len(documents)} documents, {size:,} bytes)")


if __name__ == "__main__":
    main()
