"""The passes of a batch: a piece of one prompt, or one token for each of several texts."""

from __future__ import annotations

import torch
from torch import Tensor

from gpt2.batching.held import HeldSteps, Watched
from gpt2.batching.sequence import Sequence
from gpt2.generation import Step, piece_length, record
from gpt2.model import GPT2Model, RaggedBatch, SlotCache, SlotReader
from gpt2.sampling import choose


class NotFinite(ArithmeticError):
    """The model gave numbers that are no probabilities."""


class Forward:
    """A model and the slots of those who run. An error ends the sequence it belongs to, no other.

    Rows that nobody reads are added until there is a multiple of `multiple` (`row_multiple`).
    """

    def __init__(self, model: GPT2Model, slots: int, multiple: int) -> None:
        self._model = model
        weight = model.ln_f.weight
        self._device = weight.device
        self._cache = SlotCache(model.config, slots, weight.dtype, weight.device)
        self._free = list(range(slots))
        self._multiple = multiple
        self._batch: RaggedBatch | None = None
        self._members: list[Sequence] = []

    def join(self, sequence: Sequence) -> None:
        """Take a slot: the lowest, so that memory grows with the number of runs."""
        sequence.slot = min(self._free)
        self._free.remove(sequence.slot)
        sequence.held = HeldSteps(self._cache, sequence.slot)

    def leave(self, sequence: Sequence) -> None:
        """Free the slot."""
        self._free.append(sequence.slot)

    def tell(self, sequence: Sequence) -> None:
        """Hand out what is held of it."""
        try:
            sequence.tell()
        except Exception as error:
            self._fail(sequence, error)

    def read_piece(self, sequence: Sequence) -> None:
        """The next piece of the prompt, always cut at the same places; after the last, a token."""
        try:
            piece = sequence.ids[sequence.read : sequence.read + piece_length(self._model.config)]
            seen: dict[int, Tensor] = {}
            values: dict[int, Tensor] = {}
            cache = SlotReader(self._cache, sequence.slot, sequence.read)
            ids = torch.tensor([piece], device=self._device)
            recorder = record(seen, sequence.watched(), values)
            hidden = self._model.hidden(ids, cache, recorder)
            token = None
            if cache.length == sequence.prompt < sequence.end:
                token = _choose(self._model.wte.logits(hidden[:, -1])[0], sequence)
            sequence.add(Step(token, len(piece), seen, values=values))
        except Exception as error:
            self._fail(sequence, error)

    def write_tokens(self, sequences: list[Sequence]) -> None:
        """One token for each."""
        try:
            batch = self._batch_of(sequences)
            batch.watch([sequence.watched() for sequence in sequences])
            newest = [sequence.ids[-1] for sequence in sequences]
            logits = self._pass(batch, newest)
        except Exception as error:
            self._batch = None
            if len(sequences) == 1:
                self._fail(sequences[0], error)
            else:
                # Whose fault it was is found by trying each alone; the others lose nothing.
                for sequence in sequences:
                    self.write_tokens([sequence])
            return
        for n, sequence in enumerate(sequences):
            try:
                token = _choose(logits[n], sequence)
                if batch.seen[n]:
                    sequence.hold(Watched(token, batch.seen[n]))
                else:
                    sequence.add(Step(token, 1, {}))
            except Exception as error:
                self._fail(sequence, error)

    def _batch_of(self, sequences: list[Sequence]) -> RaggedBatch:
        if self._batch is None or sequences != self._members:
            self._batch = RaggedBatch(
                self._cache,
                [sequence.slot for sequence in sequences],
                [sequence.read for sequence in sequences],
                spare=-len(sequences) % self._multiple,
            )
            self._members = list(sequences)
        return self._batch

    def _pass(self, batch: RaggedBatch, newest: list[int]) -> Tensor:
        """Logits (N, V) after the newest token of each."""
        ids = torch.tensor(newest + [0] * batch.spare, device=self._device)
        hidden = self._model.hidden(ids[:, None], batch, batch.attend)
        logits: Tensor = self._model.wte.logits(hidden)[:, 0]
        return logits

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        self._batch = None
        sequence.finish(error)


def _choose(logits: Tensor, sequence: Sequence) -> int:
    if not logits.max().isfinite():
        raise NotFinite(
            "The model computed something that is no number, so the text ends here. "
            "What was written is kept."
        )
    return choose(logits, sequence.options, position=len(sequence.ids))
