// Every head's roles, fetched as the text grows, and on the probe when somebody asks.

const GROWN = 1.25; // measure anew when the text has grown by a quarter
const SOON = 300; // ms

/** @typedef {{n: number, repeats: number, role: string[], scores: Object<string, (number|null)[]>}} Roles */

export class RolesFeed {
  constructor(runs) {
    this.runs = runs;
    this.wanted = false;
    this.reset();
  }

  reset() {
    clearTimeout(this.timer);
    this.timer = null;
    this.text = null; // {Roles} of the text shown
    this.probe = null; // {Roles} of its model on random tokens read twice
    this.probing = false;
    this.failed = "";
  }

  /** A view shows roles: keep them up to date from now on. */
  want() {
    this.wanted = true;
    this.poke();
  }

  poke() {
    const { run, server, running } = this.runs;
    if (!this.wanted || !server?.roles || !run?.layers || this.timer !== null) return;
    const measured = this.text?.n ?? 0;
    const enough = running ? Math.max(12, measured * GROWN) : measured + 1;
    if (run.rowCount < enough) return;
    this.timer = setTimeout(() => this.measure(run), SOON);
  }

  async measure(run) {
    const answer = await this.ask({ run: run.id });
    if (this.runs.run !== run) return;
    this.timer = null;
    if (answer.error) return;
    this.text = answer;
    this.runs.tell("roles");
    this.poke();
  }

  /** On random tokens read twice: seconds for a small model, longer for a large one. */
  async runProbe() {
    const { run } = this.runs;
    if (this.probing || !run) return;
    this.probing = true;
    this.runs.tell("roles");
    const answer = await this.ask({ run: run.id, probe: true });
    if (this.runs.run !== run) return;
    this.probing = false;
    this.failed = answer.error ?? "";
    if (!answer.error) this.probe = answer;
    this.runs.tell("roles");
  }

  async ask(request) {
    // Gradio throws for a server that is gone, and answers nothing for one that has just started.
    const answer = await this.runs.server.roles(request).catch(() => null);
    return answer ?? { error: "The server did not answer. Try again." };
  }
}
