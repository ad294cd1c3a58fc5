"""For whoever keeps the server: /health, and /metrics where GPT2_METRICS asks for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gpt2.runtime import settings
from gpt2.runtime.watchdog import stuck_seconds
from gpt2.serving.log import log_as_json
from gpt2.serving.metrics import CONTENT_TYPE, Metrics
from gpt2.ui.session.default_size import default_size
from gpt2.ui.session.runner import Runner
from gpt2.ui.session.sizes import offered


def operations(runner: Runner) -> list[BaseRoute]:
    """The routes. Raises ValueError when metrics are asked for and prometheus-client is missing."""

    def loaded() -> dict[str, int]:
        held = runner.residency.loaded()
        return {shown: held[name] for shown, name in offered().items() if name in held}

    def health(_: Request) -> JSONResponse:
        ready, stuck = runner.is_loaded(default_size()), stuck_seconds()
        state: dict[str, object] = {
            "status": "stuck" if stuck else "ready" if ready else "loading",
            "loaded": loaded(),
            "requests": runner.statistics.phases(),
        }
        if stuck:
            state["pass_seconds"] = round(stuck)  # of one forward pass, which should be over
        return JSONResponse(
            state, 200 if ready and not stuck else 503, {"Cache-Control": "no-store"}
        )

    routes: list[BaseRoute] = [Route("/health", health)]
    if settings.METRICS.get():
        try:
            metrics = Metrics(runner.statistics, loaded, lambda: runner.residency.evictions)
        except ImportError as error:
            raise ValueError(
                f"{settings.METRICS.name} needs prometheus-client: pip install prometheus-client"
            ) from error
        routes.append(
            Route("/metrics", lambda _: Response(metrics.text(), media_type=CONTENT_TYPE))
        )
    if settings.LOG.get():
        log_as_json()
    return routes
