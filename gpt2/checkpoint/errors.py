"""The two ways a checkpoint does not arrive: something is wrong, or nobody wants it any more."""

from __future__ import annotations


class CheckpointError(Exception):
    """What happened and what to do about it, in sentences that a visitor can read."""


class Cancelled(Exception):
    """The caller's `cancelled()` said so."""
