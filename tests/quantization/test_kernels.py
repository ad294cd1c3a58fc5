"""Packing for torch's kernels, from several threads."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gpt2.quantization.kernels import has_int8_kernel, pack_int8


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns so often that what can go wrong between them does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.skipif(not has_int8_kernel(), reason="nothing is packed here")
@pytest.mark.usefixtures("impatient")
def test_packing_in_threads_silences_no_warnings_for_good() -> None:
    values, scale = torch.ones(512, 512, dtype=torch.int8), torch.ones(512)
    with warnings.catch_warnings(), ThreadPoolExecutor(4) as threads:
        before = list(warnings.filters)
        for _ in range(40):
            list(threads.map(lambda _: pack_int8(values, scale), range(50)))
            assert warnings.filters == before
