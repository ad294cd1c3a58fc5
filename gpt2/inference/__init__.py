"""How text comes out of a model: executors make the passes, the scheduler is the only decode loop.

Nothing is imported here: who needs the interface alone, as `gpt2.cpu` does, imports no PyTorch.
"""
