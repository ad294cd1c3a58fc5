"""A text as a browser has kept it, made a log of the server's again.

`assets/panel/share/session_store.js` keeps it. It comes back after a reload, from a
link, or from the branches of a text, and is read like anything else a stranger sends.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gpt2.checkpoint import CheckpointError
from gpt2.sampling import SamplingOptions
from gpt2.ui.session.inspect_requests import heads_of, instead_of
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.sizes import config_of, source_of, tokenizer_of
from gpt2.ui.session.wire import token_ids

RELOADED = "You reloaded while this was being written. Press Continue to resume."


def log_of(text: dict[str, Any]) -> RunLog | None:
    """A log with the kept tokens, to be looked at and continued; None when it cannot be one."""
    try:
        size, tokens, prompt = source_of(text.get("size")).name, text["tokens"], text["prompt"]
        config = config_of(size)
        options = _options_of(text)
        ids = token_ids(tokenizer_of(size), tokens[: config.max_seq_len])
        if not (isinstance(prompt, int) and 0 < prompt <= len(ids)):
            return None
    except (KeyError, TypeError, ValueError, OverflowError, CheckpointError):
        return None
    layers, heads = config.num_blocks, config.num_heads
    read = len(ids) - 1 if len(ids) > prompt else 0  # the newest token was never fed
    log = RunLog(size, options, ids, prompt, layers, heads, read)
    log.state = "done" if text.get("state") == "done" else "stopped"
    log.note = RELOADED if text.get("state") == "running" else ""
    with suppress(ValueError):
        log.off = heads_of(text.get("off"), log)
        log.instead = instead_of(text.get("instead"))
    return log


def _options_of(text: dict[str, Any]) -> SamplingOptions:
    """What the text was written with; the defaults where an older page has not kept it."""
    seed, kept = int(text["seed"]), text.get("sampling")
    if not isinstance(kept, dict):
        return SamplingOptions(seed=seed)
    return SamplingOptions(
        temperature=float(kept["temperature"]),
        top_k=int(kept["top_k"]),
        top_p=float(kept["top_p"]),
        seed=seed,
    )
