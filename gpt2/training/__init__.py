"""Trains the built-in models, corpus in, `assets/<name>/` out: `python -m gpt2.training -h`."""
