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

from .server import serve
from .visit import Visit

SHAPES = {"124M": (12, 12), "1558M": (48, 25)}
NEW_TOKENS = 240
SECONDS_A_TOKEN = 1 / 60
PACED = f"""
import runpy, sys, time
sys.path.insert(0, ".")
from gpt2.engine import Engine
stream = Engine.stream
def paced(*arguments, **options):
    due = time.monotonic()
    for event in stream(*arguments, **options):
        due += {SECONDS_A_TOKEN}
        time.sleep(max(0, due - time.monotonic()))
        yield event
Engine.stream = paced
runpy.run_path("app.py", run_name="__main__")
"""

# From a row's arrival in the store to the end of the frame that drew it.
WATCH = """() => {
  window.lags = [];
  store.subscribe((kind) => {
    if (kind !== "rows") return;
    const came = performance.now();
    requestAnimationFrame(() => lags.push(performance.now() - came));
  });
}"""
LOOK = """async (look) => {
  const began = performance.now();
  store.choose(look);
  while (store.missing() !== null) await new Promise((done) => setTimeout(done, 1));
  await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - began;
}"""
HOVER = """async () => {
  let frames = 0;
  const began = performance.now();
  while (performance.now() - began < 2000) {
    store.point({ query: 40 + (frames * 7) % (store.drawable - 50), key: (frames * 3) % 40 });
    await new Promise((done) => requestAnimationFrame(done));
    frames += 1;
  }
  return frames / 2;
}"""
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
    visit.until("() => store.run?.status?.state === 'running'")
    before = received[:]
    visit.finished()
    lags = visit.page.evaluate("lags")
    made = visit.tokens() - 4
    rows, atlas = visit.page.evaluate("[store.drawable, store.run.atlas.count]")
    missing = visit.tokens() - 1 - min(rows, atlas)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    session.detach()
    return (
        f"p95 {percentile(lags, 0.95):.0f} ms, median {percentile(lags, 0.5):.0f} ms, "
        f"{len(lags)} frames, missing rows {missing}, "
        f"{(sum(received) - sum(before)) / made / 1000:.2f} kB a token on average"
    )


def measure(shape: str, browser: Any, folder: Path) -> None:
    model = thin(shape, folder)
    with serve(folder, ("-c", PACED), GPT2_MODEL=str(model)) as app:
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
        if shape == "124M":
            print(f"{shape}, 1,024 tokens: {run(visit, shape, 1019)}", flush=True)
            millis = visit.page.evaluate(LOOK, {"layer": 2, "head": 3})
            print(f"{shape}, another head of 1,024 tokens: {millis:.0f} ms", flush=True)
            print(f"{shape}, hovering over 1,024: {visit.page.evaluate(HOVER):.0f} frames/s")
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
