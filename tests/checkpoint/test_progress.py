"""Bytes, speed and time left, by the plain transport and by hf_xet."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from huggingface_hub.utils._xet_progress_reporting import XetDownloadProgressReporter

from gpt2.checkpoint.progress import Meter, Progress, bar_class

MIB = 1 << 20


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("gpt2.checkpoint.progress.time.monotonic", lambda: clock.now)
    return clock


def test_nothing_yet(clock: SimpleNamespace) -> None:
    assert Meter(500).read() == Progress(0, 500, 0.0, None)


def test_a_steady_line(clock: SimpleNamespace) -> None:
    meter = Meter(100 * MIB)
    for _ in range(5):
        clock.now += 2
        meter.add(10 * MIB)
    assert meter.read() == Progress(50 * MIB, 100 * MIB, 5 * MIB, 10.0)


def test_the_speed_is_of_late(clock: SimpleNamespace) -> None:
    meter = Meter(1000 * MIB)
    for step, megabytes in [(1, 10)] * 50 + [(1, 1)] * 60:
        clock.now += step
        meter.add(megabytes * MIB)
    assert meter.read().bytes_per_second == pytest.approx(MIB, rel=0.05)


def test_a_very_slow_line_still_has_a_speed(clock: SimpleNamespace) -> None:
    meter = Meter(100 * MIB)
    for _ in range(4):
        clock.now += 60
        meter.add(10 * MIB)
    clock.now += 30
    assert 0.5 < meter.read().bytes_per_second * 6 / MIB < 1


def test_a_stalled_line_slows_down(clock: SimpleNamespace) -> None:
    meter = Meter(100 * MIB)
    clock.now += 1
    meter.add(10 * MIB)
    first = meter.read()
    clock.now += 9
    second = meter.read()
    assert second.bytes_per_second == pytest.approx(first.bytes_per_second / 10)
    assert first.seconds_left is not None and second.seconds_left == first.seconds_left * 10


def test_sent_back_and_started_over(clock: SimpleNamespace) -> None:
    meter = Meter(30)
    bar = bar_class(meter, lambda: None)
    with bar(total=30, initial=0) as first:
        first.update(20)
        first.update(-20)
        assert meter.read().done == 0
    with bar(total=30, initial=10) as second:
        second.update(15)
    assert meter.read().done == 25


def test_more_than_the_estimate(clock: SimpleNamespace) -> None:
    meter = Meter(10)
    clock.now += 1
    meter.add(12)
    assert meter.read() == Progress(12, 12, 12.0, 0.0)


def test_the_bar_stops_the_download() -> None:
    def stop() -> None:
        raise KeyError("stop")

    bar = bar_class(Meter(10), stop)()
    with pytest.raises(KeyError, match="stop"):
        bar.update(1)


def test_hf_xet_makes_one_bar_and_counts_what_is_written() -> None:
    meter = Meter(100)
    reporter = XetDownloadProgressReporter(
        reconstruction_desc="file",
        total=100,
        log_level=logging.WARNING,
        tqdm_class=bar_class(meter, lambda: None),
    )
    with reporter:
        for written, received in ((0, 40), (30, 80), (100, 90)):
            report = SimpleNamespace(
                total_bytes=100,
                total_bytes_completed=written,
                total_bytes_completion_rate=None,
                total_transfer_bytes_completed=received,
                total_transfer_bytes_completion_rate=1.0,
            )
            reporter.update_progress(report)
            assert meter.read().done == written


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(0, 548_000_000, 0, None), "contacting Hugging Face"),
        (
            Progress(10**9, 2 * 10**9, 12.34e6, 81.0),
            "1,000 of 2,000 MB, 12.3 MB/s, 81 s left",
        ),
        (Progress(1, 2, 1e6, 600.0), "0 of 0 MB, 1.0 MB/s, 10 min left"),
        (Progress(0, 9, 0, None, 3), "contacting Hugging Face (attempt 3 of 5)"),
        (Progress(0, 9, 0, None, 2, "The hub is busy."), "The hub is busy."),
        (Progress(1, 2, 1e6, 600.0, 2), "0 of 0 MB, 1.0 MB/s, 10 min left (attempt 2 of 5)"),
    ],
)
def test_a_download_is_said_in_megabytes_and_time_left(progress: Progress, words: str) -> None:
    assert progress.words == words
