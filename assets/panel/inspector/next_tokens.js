// The likeliest next tokens of every size: probability before and after sampling, as bars.

import { barOf, setText } from "../gradio/dom.js";
import { percent } from "../gradio/formats.js";
import { labelOf } from "../text/token_label.js";

export class NextTokens {
  constructor(parts) {
    this.parts = parts;
    this.rows = []; // {key, node} of every list
    const { lists } = parts;
    const over = (event) => this.light(event.target.closest("tr")?.dataset.key ?? null);
    lists.addEventListener("pointerover", over);
    lists.addEventListener("focusin", over);
    lists.addEventListener("pointerleave", () => this.light(null));
    lists.addEventListener("focusout", () => this.light(null));
  }

  // sizes: [{title, likeliest: [[token, before, after]], kept, entropy, vocabulary} or {error}]
  // written: the text that follows in fact, if any.
  show(sizes, written) {
    this.rows = [];
    this.longest = Math.max(...sizes.map(mostOf));
    this.parts.lists.replaceChildren(...sizes.map((size) => this.list(size, written)));
  }

  list({ title, likeliest, kept, entropy, vocabulary, error }, written) {
    const table = document.createElement("table");
    const caption = table.createCaption();
    setText(caption, title);
    if (error) {
      const note = document.createElement("p");
      setText(note, `${title}: ${error}`);
      return note;
    }
    table.createTHead().append(headRow());
    const body = table.createTBody();
    for (const [token, before, after] of likeliest) {
      body.append(this.row(labelOf(token), before, after, written === token));
    }
    const rest = vocabulary - likeliest.length;
    const others = this.row(
      `${whole(rest)} others`,
      othersOf(likeliest, 1),
      othersOf(likeliest, 2),
    );
    others.classList.add("others");
    body.append(others);
    const foot = document.createElement("p");
    const left = `${whole(kept)} of ${whole(vocabulary)} tokens left`;
    setText(foot, `Uncertainty ${entropy.toFixed(2)} bits · ${left}`);
    const box = document.createElement("div");
    box.append(table, foot);
    return box;
  }

  row(label, before, after, written = false) {
    const node = document.createElement("tr");
    node.dataset.key = label;
    node.tabIndex = 0;
    const name = document.createElement("th");
    name.scope = "row";
    name.title = label; // a long one is cut
    setText(name, label);
    if (written) name.append(mark());
    const bars = document.createElement("td");
    bars.append(this.bar("before", before), this.bar("after", after));
    const numbers = document.createElement("td");
    numbers.className = "numbers";
    setText(numbers, `${percent(before)} → ${percent(after)}`);
    node.append(name, bars, numbers);
    this.rows.push({ key: label, node });
    return node;
  }

  bar(kind, share) {
    const node = document.createElement("span");
    node.className = kind;
    node.style.width = barOf(share, this.longest);
    return node;
  }

  light(key) {
    for (const row of this.rows) row.node.classList.toggle("lit", key !== null && row.key === key);
  }
}

// What is left for all tokens that are not listed; k is 1 before sampling, 2 after.
function othersOf(likeliest, k) {
  return Math.max(0, 1 - likeliest.reduce((total, entry) => total + entry[k], 0));
}

// The longest bar of a size, which fills its column where no other size has a longer one.
function mostOf({ likeliest }) {
  if (!likeliest) return 0;
  const all = likeliest.flatMap(([, before, after]) => [before, after]);
  return Math.max(...all, othersOf(likeliest, 1), othersOf(likeliest, 2));
}

const whole = (count) => count.toLocaleString("en");

// Out of sight, but the columns have their widths from it.
function headRow() {
  const row = document.createElement("tr");
  for (const name of ["Token", "Bars", "Before and after"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    const words = document.createElement("span");
    words.className = "unseen";
    setText(words, name);
    cell.append(words);
    row.append(cell);
  }
  return row;
}

function mark() {
  const node = document.createElement("span");
  node.className = "written";
  setText(node, " written");
  return node;
}
