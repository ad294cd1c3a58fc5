// Fetches what was lost, one call at a time, until nothing is missing or the server says why not.

const WAIT = 60; // ms: a message on its way usually closes the gap by itself
const SLOWEST = 8000;
const PATIENCE = 5; // calls without progress; then the next message or choice tries again

// need() -> request or null; pull(request) -> answer; take(answer) puts it away.
export class Healer {
  constructor({ need, pull, take, onError, wait = WAIT }) {
    this.need = need;
    this.pull = pull;
    this.take = take;
    this.onError = onError;
    this.wait = wait;
    this.timer = null;
    this.busy = false;
    this.delay = wait;
    this.failures = 0;
  }

  poke(wait = this.wait) {
    if (this.busy || this.timer !== null || this.need() === null) return;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        this.run();
      },
      Math.max(wait, this.delay > this.wait ? this.delay : 0),
    );
  }

  async run() {
    const request = this.need();
    if (request === null || this.busy) return;
    this.busy = true;
    try {
      const answer = await this.pull(request);
      if (answer.error) this.onError(answer.error);
      else this.take(answer);
    } catch {
      this.onError("The server did not answer. Trying again.");
    }
    this.busy = false;
    this.settle(request);
  }

  // The same hole again means no progress: wait twice as long before the next call.
  settle(request) {
    const left = this.need();
    const stuck = left !== null && JSON.stringify(left) === JSON.stringify(request);
    this.failures = stuck ? this.failures + 1 : 0;
    this.delay = stuck ? Math.min(SLOWEST, Math.max(500, this.delay * 2)) : this.wait;
    if (left === null) this.onError("");
    else if (this.failures < PATIENCE) this.poke(stuck ? this.delay : 0);
  }
}
