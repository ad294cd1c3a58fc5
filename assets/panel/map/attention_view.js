// The Attention panel: one map large, what the selected token reads in numbers, all heads small.

import { asked } from "../store/fetched.js";
import { AtlasPanel } from "../heads/atlas_panel.js";
import { connectBranching } from "../text/branching.js";
import {
  afterEachFrame,
  linkLabels,
  onWidth,
  partsOf,
  perFrame,
  setHidden,
  setText,
  whenIdle,
  whileMounted,
} from "../gradio/dom.js";
import { offerFullScreen, screenOf } from "./full_screen.js";
import { writeHelp } from "../learn/help.js";
import { Inspector } from "../inspector/inspector.js";
import { Legend } from "./legend.js";
import { linkedLook } from "../share/link.js";
import { MapPanel } from "./map_panel.js";
import { captionOf, clearestHead, tellingRow } from "./caption.js";
import { explain, titleOf } from "../store/map_view.js";
import { Pickers } from "../heads/pickers.js";
import { sentence } from "./reading.js";
import { ReadsTable } from "./reads_table.js";
import { runsOf } from "../store/runs.js";
import { offerSaving } from "../share/save.js";
import { onThemeChange, readTheme } from "./theme.js";

const EMPTY = "What each token reads from is drawn here, one row per token.";

/** props.channel tells stores apart; props.compact leaves out all heads and everything below. */
export function mount(element, props, _watch, server, trigger) {
  const runs = runsOf(props.channel);
  const linked = linkedLook();
  if (linked && !runs.chosen) runs.start(linked);
  runs.connect(server);
  linkLabels(element);
  if (server?.inspect && trigger && !props.channel && !props.compact)
    connectBranching(runs, asked, trigger);
  const view = new AttentionView(partsOf(element), runs, Boolean(props.compact));
  if (props.headed) view.parts.title.hidden = true; // there is a heading over it
  whileMounted(element, runs, (kind) => view.hear(kind));
  view.hear("view");
  return view;
}

export class AttentionView {
  constructor(parts, runs, compact = false) {
    this.parts = parts;
    this.runs = runs;
    this.pickers = new Pickers(parts, runs, compact ? null : (name) => this.put(name));
    this.table = new ReadsTable(parts);
    this.legend = new Legend(parts, runs);
    this.drawSoon = perFrame(() => this.draw());
    this.map = new MapPanel(parts, runs, this.drawSoon);
    this.readLater = afterEachFrame(() => this.read());
    this.surroundLater = whenIdle(() => this.surround());
    this.shown = {};
    parts.atlaspart.hidden = parts.more.hidden = compact;
    parts.movelabel.hidden = parts.moved.hidden = compact || !runs.inspected.able;
    this.atlas = compact ? null : new AtlasPanel(parts, runs);
    this.inspector = compact ? null : new Inspector(parts, runs, (stand) => this.move(stand));
    this.picture = null; // what stands in the map's place, and the map it was chosen beside
    if (!compact) {
      writeHelp(parts.help);
      offerSaving(parts.ways, parts.said, runs, () => this.theme);
      runs.wantAtlas(true);
      runs.roles.want();
    }
    this.dress();
    this.listen();
  }

  hear(kind) {
    if (kind === "trouble") return setText(this.parts.trouble, this.runs.trouble);
    if (kind === "atlas") return this.atlas?.growSoon();
    if (kind === "newest row") return this.tell();
    if (kind === "inspected") return this.inspector?.showSoon();
    if (kind !== "rows") this.inspector?.hear(kind);
    this.seePicture(kind);
    if (kind === "off") return this.atlas?.drawSoon();
    this.drawSoon();
    if (this.atlas && ["rows", "status", "roles", "view"].includes(kind)) this.openClearest();
    if (["rows", "tokens", "status"].includes(kind)) return;
    if (kind !== "selection") return this.surroundLater();
    this.announce();
    this.readLater();
  }

  // Outline, list and words in one go: no frame shows two different rows.
  tell() {
    this.draw();
    this.read();
  }

  // --- what stands in for the map, or for its rows ----------------------------------------------

  /** Something else in the map's place, or the map again. @param {string|null} name */
  async put(name) {
    const { parts, runs, pickers } = this;
    this.picture?.shown.close();
    this.picture = null;
    pickers.picture = name;
    pickers.show(runs);
    setHidden(parts.picture, !name);
    if (!name) return;
    const { pictureOf } = await import("../inspector/deeper.js");
    if (pickers.picture !== name) return;
    const shown = pictureOf(name, parts.picture, runs, () => this.theme);
    this.picture = { shown, key: runs.key, run: runs.run };
    shown.open();
  }

  // A head that is opened wants to be seen.
  seePicture(kind) {
    const { picture, runs } = this;
    if (!picture) return;
    const opened = kind === "view" && runs.run === picture.run && runs.key !== picture.key;
    if (opened) this.put(null);
    else if (["run", "tokens", "status", "selection"].includes(kind)) picture.shown.show();
    if (kind === "run") Object.assign(picture, { run: runs.run, key: runs.key });
  }

  /** Rows that are drawn instead of the text's own. @param {object|null} stand */
  move(stand) {
    this.map.stand = stand;
    this.map.map.reset();
    this.draw();
    this.read();
  }

  get rows() {
    return this.map.stand ?? this.runs;
  }

  // --- drawing --------------------------------------------------------------------------------

  draw() {
    const { runs, parts } = this;
    const { run } = runs;
    this.refresh();
    const count = runs.drawable;
    setHidden(parts.example, !run?.example);
    const asked = run?.layers && runs.trouble === "";
    setHidden(parts.empty, count > 0 || !(asked || run === null));
    setText(
      parts.empty,
      asked ? `Recomputing ${titleOf(runs.look).replace("One head: ", "")} …` : EMPTY,
    );
    const pool = this.map.draw(this.theme);
    setText(
      parts.pooled,
      pool > 1 && count ? `each pixel is the maximum of ${pool} × ${pool} weights` : "",
    );
    const about = explain(runs.look.mode);
    setHidden(parts.about, about === "");
    setText(parts.about, about);
  }

  // Rows drawn so far belong to one text, map and way of drawing.
  refresh() {
    const { run, key, scale, splits } = this.runs;
    const now = `${key} ${scale} ${splits}`;
    if (this.shown.run !== run?.id) this.map.reset(true);
    else if (this.shown.now !== now) this.map.reset(false);
    this.shown = { run: run?.id, now };
  }

  // The numbers: readout and list.
  read() {
    const { runs, parts } = this;
    const { selection } = runs;
    const tokens = runs.run?.tokens.items ?? [];
    const { rows } = this;
    const row = rows.row(selection.query);
    const text = sentence(tokens, selection, row, rows.splits);
    setText(parts.readout, text);
    setText(parts.words, this.caption(tokens, selection.query, row));
    parts.map.setAttribute("aria-label", `Attention map, ${runs.drawable} rows. ${text}`);
    this.table.show({
      tokens,
      row,
      query: selection.query,
      shown: rows.shownRow(selection.query),
      split: rows.splits,
      rowOf: (i) => rows.row(i),
      count: rows.drawable,
    });
    this.atlas?.read();
  }

  // In words, and why this head is open where the reader has not chosen it.
  caption(tokens, query, row) {
    if (this.map.stand) return this.map.stand.words;
    const { look, splits, run } = this.runs;
    const { opened } = run ?? {};
    const named = Boolean(opened) && opened.layer === look.layer && opened.head === look.head;
    const words = captionOf({ tokens, query, row, split: splits, look, named });
    return named
      ? `Clearest head on this text: ${titleOf(look).replace("One head: ", "")}. ${words}`
      : words;
  }

  // A text is written: what one of its heads does shows more than the layer in the middle.
  openClearest() {
    const { runs } = this;
    const { run, roles } = runs;
    if (runs.chosen || !run?.status || runs.running || roles.text?.n !== run.rowCount) return;
    if (run.opened === undefined) {
      run.opened = clearestHead(roles.text, run.heads);
      const { layer, head } = run.opened ?? {};
      if (run.opened)
        runs.fetchMap({ mode: "head", layer, head }, () =>
          runs.suggest({ mode: "head", layer, head }),
        );
    }
    const { opened } = run;
    const open = opened && runs.look.layer === opened.layer && runs.look.head === opened.head;
    if (!open || runs.suggested || run.shown || runs.drawable < run.rowCount) return;
    run.shown = true;
    const { items } = run.tokens;
    const query = tellingRow(items, runs.drawable, (i) => runs.row(i), run.opened.role);
    if (query > 0) runs.suggest({}, query);
  }

  // Spoken only for a choice, never for what passes under the pointer or arrives by itself.
  announce() {
    const { runs } = this;
    if (runs.hover) return;
    const { pick, run } = runs;
    const row = pick && runs.row(pick.query);
    const words = pick && sentence(run.tokens.items, runs.selection, row, runs.splits);
    setText(this.parts.live, words ?? "Following the newest row");
  }

  // What stands around the map.
  surround() {
    this.legend.show();
    this.pickers.show(this.runs);
    this.atlas?.growSoon();
    this.read();
  }

  // Everything that depends on the theme.
  dress() {
    this.theme = readTheme(this.parts.stage);
    this.picture?.shown.show();
    this.legend.dress();
    if (this.atlas) this.atlas.theme = this.theme;
  }

  listen() {
    const { figure, full, stage, scroll } = this.parts;
    offerFullScreen(screenOf(figure), full, () => this.drawSoon());
    onWidth(stage, (width) => {
      this.map.width = width;
      this.drawSoon();
    });
    onWidth(scroll, (width) => this.atlas?.fit(width));
    onThemeChange(() => {
      this.dress();
      this.drawSoon();
      this.atlas?.drawSoon();
    });
  }
}
