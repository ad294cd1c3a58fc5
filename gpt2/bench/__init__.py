"""python -m gpt2 bench: how fast this machine runs each size, against what its memory allows."""
