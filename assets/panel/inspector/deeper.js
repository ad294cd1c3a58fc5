// What the inspector shows once a token is chosen, loaded then: choices, layers, sweeps, sinks, the
// whole text by layers, two prompts, and the sheet of a phone.

import { ChoicesList } from "./choices_list.js";
import { HeadSweep } from "./head_sweep.js";
import { LayersList } from "./layers_list.js";
import { LensMap } from "./lens_map.js";
import { LiveLayers } from "./live_layers.js";
import { PatchMap } from "./patch_map.js";
import { SharesList } from "./shares_list.js";
import { Sheet } from "./sheet.js";
import { Sink } from "./sink.js";
import { TokenView } from "./token_view.js";

/** What hangs on the selected token. */
export class Deeper {
  constructor(parts, runs, { openHead, insteadOf, onMove, onFork }) {
    this.runs = runs;
    this.choices = new ChoicesList(parts, runs, onFork);
    this.layers = new LayersList(parts, runs);
    this.shares = new SharesList(parts.shares, runs, openHead);
    this.sweep = new HeadSweep(parts.sweep, runs, openHead, insteadOf);
    this.token = new TokenView(parts.panel_token, runs);
    this.sink = new Sink(parts, runs, onMove);
    this.sheet = new Sheet(parts.tabs.parentElement, runs);
    this.live = new LiveLayers(runs, (answer) => this.layers.live(answer));
  }

  show(tab, at, sharing) {
    this.live.follow(tab === "layers" && at < 0);
    if (tab === "next") this.choices.show(at);
    else if (tab === "layers" && sharing) this.shares.show(at);
    else if (tab === "layers") this.layers.show(at);
    else if (tab === "heads") this.sweep.show(at);
    else if (tab === "token") this.token.show(at);
  }

  hear(kind) {
    if (kind === "run") {
      this.choices.show(-1);
      this.layers.shown = null;
    }
    if (["run", "view", "selection", "status"].includes(kind)) this.sink.hear(kind);
    if (kind === "selection" && !this.runs.hover) this.sheet.show();
  }
}

/** What may stand in the map's place. @returns {{open(): void, close(): void, show(): void}} */
export function pictureOf(name, box, runs, themeOf) {
  return name === "lens" ? new LensMap(box, runs, themeOf) : new PatchMap(box, runs, themeOf);
}
