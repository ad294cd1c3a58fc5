"""Trains the built-in models: a corpus in, `assets/<name>/` out. See `python -m gpt2.training -h`."""
