"""Who looks for the frame function anew each time draws every frame; who keeps it, only counts."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

# How many frames five callbacks took, and how many of them were told the time: of somebody who
# looks for the function each time, or of somebody who keeps it.
ASK = """async (keeps) => {
  const { giveSingly } = await import("/raf_throttle.js");
  const asked = { frames: 0, called: 0 };
  const page = { requestAnimationFrame(callback) {
    if (this !== page) throw new TypeError("Illegal invocation");
    asked.frames += 1;
    return requestAnimationFrame(callback);
  } };
  giveSingly(page);
  const kept = page.requestAnimationFrame;
  for (let turn = 0; turn < 5; turn += 1) {
    const ask = keeps ? kept : page.requestAnimationFrame;
    const time = await new Promise((called) => { ask(called); });
    if (Math.abs(time - performance.now()) < 10_000) asked.called += 1;
  }
  return asked;
}"""


@pytest.mark.parametrize(("keeps", "frames"), [(False, 5), (True, 1)])
def test_frames_are_for_those_who_ask_anew(panel: Page, keeps: bool, frames: int) -> None:
    assert panel.evaluate(ASK, keeps) == {"frames": frames, "called": 5}


def test_a_frame_can_be_called_off(panel: Page) -> None:
    assert (
        panel.evaluate(
            """async () => {
          await import("/raf_throttle.js");
          let called = 0;
          cancelAnimationFrame(requestAnimationFrame(() => { called += 1; }));
          for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
          return called;
        }"""
        )
        == 0
    )


def test_another_function_may_be_put_in_its_place(panel: Page) -> None:
    found = panel.evaluate(
        """async () => {
          const { giveSingly } = await import("/raf_throttle.js");
          const page = { requestAnimationFrame() {} };
          giveSingly(page);
          page.requestAnimationFrame = (callback) => callback("theirs");
          return new Promise((done) => { page.requestAnimationFrame(done); });
        }"""
    )
    assert found == "theirs"
