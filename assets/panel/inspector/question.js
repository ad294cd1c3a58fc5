// A question to the server that may take a while: asked again and again, told how far it is.

const PAUSE = 250; // ms between two questions
const AGAIN = 500; // ms before a refused one is repeated, longer each time
const TRIES = 6;
const BUSY = /busy/;
export const NO_ANSWER = "The server did not answer. Try again.";

export class Question {
  constructor(runs) {
    this.runs = runs;
    this.number = 0;
    this.busy = false;
  }

  /** Whatever is still asked is not wanted any more. */
  drop() {
    this.number += 1;
    this.busy = false;
  }

  /**
   * The answer, or {error}; null where another question or another text has come meanwhile.
   * @param {Record<string, any>} request
   * @param {(done: number, of: number) => void} tell
   */
  async ask(request, tell = () => {}) {
    this.number += 1;
    const mine = this.number;
    const { run, server } = this.runs;
    const wanted = () => mine === this.number && this.runs.run === run;
    this.busy = true;
    let tries = 0;
    while (wanted()) {
      const answer = await server.inspect({ run: run.id, ...request }).catch(() => null);
      if (!wanted()) return null;
      const refused = answer === null || BUSY.test(answer.error ?? "");
      if (refused && tries < TRIES) {
        tries += 1;
        await later(AGAIN * tries);
      } else if (answer?.done === undefined) {
        this.busy = false;
        return answer ?? { error: NO_ANSWER };
      } else {
        tries = 0;
        tell(answer.done, answer.of);
        await later(PAUSE);
      }
    }
    return null;
  }

  /** The same, and the server is told that nobody waits. */
  cancel(request) {
    this.drop();
    const { run, server } = this.runs;
    server.inspect({ run: run.id, ...request, cancel: true }).catch(() => null);
  }
}

function later(ms) {
  return new Promise((go) => setTimeout(go, ms));
}

/** An element with properties and children; `data-` and `aria-` ones as attributes. */
export function made(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}
