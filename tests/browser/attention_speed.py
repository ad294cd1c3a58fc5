"""How fast the Attention panel is, in a real Chromium: `python -m tests.browser.attention_speed`.

The models are random and thin, with the layers and heads of 124M and of 1558M: the panel's work
depends on those alone, and a thin model keeps a steady 60 tokens a second. What watching costs the
real shapes is measured by `python -m tests.attention_cost`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from gpt2.config import GPT2Config
from tests.chromium import chromium
from tests.hub_standin import write_gpt2_folder

from .paced import paced
from .server import serve
from .visit import Visit

SHAPES = {"124M": (12, 12), "1558M": (48, 25)}
NEW_TOKENS = 240
SECONDS_A_TOKEN = 1 / 60

# From a row's arrival in the store to the end of the frame that drew it: a message posted while
# drawing comes once that frame is laid out and painted.
WATCH = """() => {
  window.lags = { map: [], atlas: [] };
  const waiting = { map: [], atlas: [] };
  const counts = { map: 0, atlas: 0 };
  const came = (part, count) => {
    for (; counts[part] < count; counts[part] += 1) waiting[part].push(performance.now());
  };
  // Before any view hears of it: one may draw at once.
  const tell = store.tell;
  store.tell = function (kind) {
    if (kind === "run") counts.map = counts.atlas = 0;
    if (kind === "rows") came("map", store.drawable);
    if (kind === "atlas") came("atlas", store.run.atlas.count);
    tell.call(this, kind);
  };
  const own = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...all) {
    own.apply(this, all);
    const part = this.canvas.dataset.part;
    if (!waiting[part]?.length) return;
    const drawn = waiting[part].splice(0);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => lags[part].push(...drawn.map((then) => performance.now() - then));
    port2.postMessage(null);
  };
}"""
LOOK = """async (look) => {
  const began = performance.now();
  store.choose(look);
  while (store.missing() !== null) await new Promise((done) => setTimeout(done, 1));
  await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - began;
}"""
# Frames a second while every one of them moves the selection, or while none does.
HOVER = """async (hovering) => {
  let frames = 0;
  const began = performance.now();
  while (performance.now() - began < 4000) {
    const query = 40 + (frames * 7) % (store.drawable - 50);
    if (hovering) store.point({ query, key: (frames * 3) % 40 });
    await new Promise((done) => requestAnimationFrame(done));
    frames += 1;
  }
  return frames / 4;
}"""
# Which maps were on the screen first: pixels a side, and ms since the page was asked for.
OPENING = """
window.opened = [];
const own = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (source, ...place) {
  own.call(this, source, ...place);
  if (place.length !== 8 || window.opened.length > 99) return;  // 8: a part of a picture
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => window.opened.push([source.width, performance.now()]);
  port2.postMessage(null);
};
"""
VIEWS = [{"mode": m} for m in ("value", "mean", "max", "all_mean", "all_max", "rollout")]


def thin(shape: str, folder: Path) -> Path:
    layers, heads = SHAPES[shape]
    config = GPT2Config(8192, 2 * heads, heads, 2, layers, 1024)
    write_gpt2_folder(folder / shape, config)
    return folder / shape


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def run(visit: Visit, name: str, new_tokens: int, **throttle: Any) -> str:
    """One text, watched: how late its rows were drawn, and what came over the wire."""
    session = visit.context.new_cdp_session(visit.page)
    received: list[int] = []
    session.send("Network.enable")
    session.on("Network.dataReceived", lambda event: received.append(event["dataLength"]))
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle.get("cpu", 1)})
    if "latency" in throttle:
        bits = {"downloadThroughput": 200_000, "uploadThroughput": 200_000}
        session.send("Network.emulateNetworkConditions",
                     {"offline": False, "latency": throttle["latency"], **bits})  # fmt: skip
    visit.choose(prompt="Once upon a time", size=name, new_tokens=new_tokens, seed=1)
    visit.page.evaluate(WATCH)
    received.clear()
    visit.button("Generate").click()
    until(visit, "store.run?.status?.state === 'running'")
    before = received[:]
    until(visit, "!store.running && store.missing() === null")
    until(visit, "lags.atlas.length >= store.drawable")
    lags = visit.page.evaluate("lags")
    made = visit.tokens() - 4
    rows, atlas = visit.page.evaluate("[store.drawable, store.run.atlas.count]")
    missing = visit.tokens() - 1 - min(rows, atlas)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    session.detach()
    late = ", ".join(
        f"{part}: p95 {percentile(found, 0.95):.0f} ms, median {percentile(found, 0.5):.0f} ms"
        for part, found in lags.items()
    )
    return (
        f"{late}; {len(lags['map'])} rows drawn, missing rows {missing}, "
        f"{(sum(received) - sum(before)) / made / 1000:.2f} kB a token on average"
    )


def until(visit: Visit, condition: str) -> None:
    """Asked ten times a second: more often, asking would take its time from what is measured."""
    visit.page.wait_for_function(f"() => {condition}", polling=100)


def opening(visit: Visit, least: int) -> float:
    """Load the page: the tab's text is put back, or without one the worked example is shown."""
    visit.page.goto(visit.url, wait_until="commit")
    until(visit, f"window.opened?.some(([side]) => side >= {least})")
    found = visit.page.evaluate(f"opened.find(([side]) => side >= {least})[1]")
    return float(found)


def measure(shape: str, browser: Any, folder: Path) -> None:
    model = thin(shape, folder)
    with serve(folder, paced(SECONDS_A_TOKEN), GPT2_MODEL=str(model)) as app:
        for what, throttle in (
            ("as it is", {}), ("CPU slowed 4x", {"cpu": 4}),
            ("150 ms, 1.6 Mbit/s", {"latency": 150}),
        ):  # fmt: skip
            visit = Visit(browser, app.url)
            print(f"{shape}, {what}: {run(visit, shape, NEW_TOKENS, **throttle)}", flush=True)
            if not throttle:
                looks(visit, shape)
            visit.close()
        visit = Visit(browser, app.url)
        print(f"{shape}, 500 tokens: {run(visit, shape, 500)}", flush=True)
        visit.close()
        if shape == "124M":
            long_text(Visit(browser, app.url), shape)


def long_text(visit: Visit, shape: str) -> None:
    visit.page.add_init_script(OPENING)
    empty = opening(visit, 1)
    visit.ready()
    print(f"{shape}, 1,024 tokens: {run(visit, shape, 1019)}", flush=True)
    millis = visit.page.evaluate(LOOK, {"layer": 2, "head": 3})
    print(f"{shape}, another head of 1,024 tokens: {millis:.0f} ms", flush=True)
    idle, hovering = (visit.page.evaluate(HOVER, moving) for moving in (False, True))
    print(f"{shape}, hovering over 1,024: {hovering:.1f} frames/s; {idle:.1f} with nothing to draw")
    opened = opening(visit, 256)
    print(
        f"{shape}, opening 1,024: first picture {opened:.0f} ms after the page was asked for; "
        f"an empty tab's example {empty:.0f} ms"
    )
    visit.close()


def looks(visit: Visit, shape: str) -> None:
    heads = [{"layer": i % SHAPES[shape][0], "head": (5 * i) % SHAPES[shape][1]} for i in range(12)]
    millis = sorted(visit.page.evaluate(LOOK, {**look, "mode": "head"}) for look in heads)
    views = {look["mode"]: visit.page.evaluate(LOOK, look) for look in VIEWS}
    said = ", ".join(f"{mode} {ms:.0f}" for mode, ms in views.items())
    print(f"{shape}, another head: median {millis[6]:.0f} ms, most {millis[-1]:.0f}; {said} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for shape in SHAPES:
            measure(shape, browser, Path(folder))


if __name__ == "__main__":
    main()
