// Frames for those who draw, and none for those who only count.
//
// Gradio's status tracker counts tenths of a second, sixty times a second, and the one that it shows
// while the page loads is never told to stop: a tenth of a core, for as long as the page is open. It
// keeps the function that asks for a frame; everybody else looks for it anew each time. So what is
// found here gives one frame and then, called again, only a turn ten times a second, for which nothing
// is painted. Runs before Gradio looks for it.

const TENTH = 100; // milliseconds

export function giveSingly(page) {
  let ask = page.requestAnimationFrame.bind(page);
  Object.defineProperty(page, "requestAnimationFrame", {
    configurable: true,
    enumerable: true,
    get: () => once(ask),
    set: (other) => {
      ask = other;
    },
  });
}

function once(ask) {
  let given = false;
  return (callback) => {
    if (given) return setTimeout(() => callback(performance.now()), TENTH);
    given = true;
    return ask(callback);
  };
}

giveSingly(window);
