// One head's scores, on the text shown and, when asked for, on random tokens read twice.

import { setHidden, setText } from "../gradio/dom.js";
import { scoreText } from "./roles.js";
import { MEASURES, ROLES } from "../gradio/schema.js";

const ALL = { ...ROLES, ...MEASURES };

export class HeadCard {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.lines = Object.entries(ALL).map(([name, { name: title, help }]) =>
      this.line(name, title, help),
    );
    parts.probe.addEventListener("click", () => runs.roles.runProbe());
  }

  line(name, title, help) {
    const line = document.createElement("tr");
    const label = document.createElement("th");
    label.scope = "row";
    label.textContent = title;
    label.title = help;
    const [text, probe] = [document.createElement("td"), document.createElement("td")];
    line.append(label, text, probe);
    this.parts.scores.append(line);
    return { name, line, text, probe };
  }

  /** @param {{layer: number, head: number}} head */
  show({ layer, head }) {
    const { parts, runs } = this;
    const { text, probe, probing, failed } = runs.roles;
    const n = layer * runs.run.heads + head;
    setText(parts.cardtitle, `Layer ${layer + 1}, head ${head + 1}`);
    for (const { name, line, text: cell, probe: probeCell } of this.lines) {
      setText(cell, scoreText(text?.scores[name]?.[n]));
      setText(probeCell, scoreText(probe?.scores[name]?.[n]));
      setHidden(probeCell, !probe);
      line.classList.toggle("named", text?.role[n] === name);
    }
    setHidden(parts.probehead, !probe);
    setHidden(parts.probe, Boolean(probe) || !runs.server?.roles);
    parts.probe.disabled = probing;
    setText(parts.probe, probing ? "Testing …" : "Test on repeated random tokens");
    const silent = text && text.repeats === 0;
    setText(
      parts.evidence,
      failed ||
        (silent
          ? "No evidence about duplicates and induction: no token of this text repeats."
          : ""),
    );
  }
}
