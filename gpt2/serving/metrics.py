"""The statistics of runs and the models in memory as Prometheus reads them, by way of
prometheus-client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gpt2.serving.run_statistics import RunStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """`loaded()` names the models in memory with their bytes, `evictions()` counts those dropped.

    Raises ImportError where prometheus-client is not installed.
    """

    def __init__(
        self,
        statistics: RunStatistics,
        loaded: Callable[[], Mapping[str, int]],
        evictions: Callable[[], int],
    ) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._statistics = statistics
        self._loaded = loaded
        self._evictions = evictions
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def describe(self) -> Iterable[Any]:
        """Nothing beforehand: names are told when they are asked for."""
        return []

    def collect(self) -> Iterable[Any]:
        """The families of numbers, as prometheus-client wants them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        def counter(name: str, words: str, labels: list[str], values: Mapping[Any, float]) -> Any:
            family = CounterMetricFamily(f"gpt2_{name}", words, labels=labels)
            for key, value in sorted(values.items()):
                family.add_metric(list(key) if isinstance(key, tuple) else [key], value)
            return family

        def gauge(name: str, words: str, label: str, values: Mapping[Any, float]) -> Any:
            family = GaugeMetricFamily(f"gpt2_{name}", words, labels=[label])
            for key, value in values.items():
                family.add_metric([key], value)
            return family

        statistics = self._statistics
        yield counter("runs", "Runs that ended, and why", ["size", "ended"], statistics.runs)
        yield counter("tokens", "Tokens written", ["size"], statistics.tokens)
        yield counter("writing_seconds", "Seconds spent writing", ["size"], statistics.seconds)
        yield counter("downloads", "Downloads asked for", ["size"], statistics.downloads)
        yield counter("evictions", "Models dropped from memory", [], {(): self._evictions()})
        yield gauge("requests", "Requests going on", "phase", statistics.phases())
        yield gauge("model_bytes", "Weights in memory", "size", self._loaded())
