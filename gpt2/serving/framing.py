"""Which pages may show this one in a frame: GPT2_FRAMED_BY."""

from __future__ import annotations

import re

from gpt2.runtime.settings import FRAMED_BY

FRAMED_BY_VARIABLE = "GPT2_FRAMED_BY"

# Spaces are shown inside huggingface.co, and from a host of hf.space.
_ALWAYS = ("'self'", "https://huggingface.co", "https://*.hf.space")
# An origin, with a wildcard for subdomains or ports; nothing that could end the directive.
_ORIGIN = re.compile(r"\*|https?://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:(\d{1,5}|\*))?")


def frame_ancestors() -> str:
    """The value of the CSP directive `frame-ancestors` (https://www.w3.org/TR/CSP3/).

    GPT2_FRAMED_BY names more origins, between spaces or commas: `https://school.example`, or `*`
    for any. Raises ValueError for what is no origin.
    """
    wanted = re.split(r"[\s,]+", FRAMED_BY.get())
    for origin in filter(None, wanted):
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{FRAMED_BY_VARIABLE} must list origins like https://school.example, not {origin}."
            )
    return " ".join([*_ALWAYS, *filter(None, wanted)])
