"""The commands of `python -m gpt2`."""
