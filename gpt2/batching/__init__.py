"""Many requests, one model: each pass advances all of them by one token.

Iteration-level scheduling (Yu et al. 2022, "Orca"): requests join and leave between passes. A text
is the same to the last bit whoever else is writing; `gpt2.model.ragged` and
`gpt2.batching.padding` see to that.
"""

from gpt2.batching.batcher import Batcher
from gpt2.batching.forward import NotFinite

__all__ = ["Batcher", "NotFinite"]
