// One text as it arrives: its tokens, the rows of the maps looked at, all heads small.

import { AtlasStore } from "./atlas_store.js";
import { isPlain, keyOf } from "./map_view.js";
import { Arrivals, decodeBase64, isIndex, splitRows, weightsOf } from "./wire.js";

const MOST_MAPS = 24; // that a browser keeps; the others are asked for again

export class Text {
  constructor(id) {
    this.id = id;
    this.tokens = new Arrivals();
    this.tokenCount = 0;
    this.guesses = new Arrivals(); // what a draft said at each place: null, true for right, or a token
    this.draft = null;
    this.rowCount = 0;
    this.layers = 0;
    this.heads = 0;
    this.atlas = null;
    this.maps = new Map(); // key of a map -> its rows
    this.pushed = null; // the map the server sends
    this.asked = undefined; // what the server was told to send; undefined: nothing yet
    this.example = false;
    this.status = null;
  }

  /** What the model looks like, once; false when that is known or not told. */
  shape({ layers, heads, bins = 32 }) {
    if (this.layers || !isIndex(layers) || !isIndex(heads)) return false;
    this.layers = layers;
    this.heads = heads;
    this.atlas = new AtlasStore(layers * heads, bins);
    return true;
  }

  rowsOf(key) {
    const { maps } = this;
    if (!maps.has(key)) {
      maps.set(key, new Arrivals());
      if (maps.size > MOST_MAPS) maps.delete(maps.keys().next().value);
    }
    return maps.get(key);
  }

  /**
   * Put away the rows a message carries; the key of the map that gained any, or null.
   * A message that does not decode counts as lost: what it carried is pulled.
   */
  putRows({ view, start, rows }) {
    if (!rows || !view) return null;
    try {
      const plain = isPlain(view.mode);
      const list = splitRows(decodeBase64(rows), start).map((row) => weightsOf(row, plain));
      return this.rowsOf(keyOf(view)).put(start, list) ? keyOf(view) : null;
    } catch (error) {
      console.warn("attention rows dropped:", error.message);
      return null;
    }
  }

  /** The same for all heads: `atlas` holds new rows, `maps` everything. True when there are more. */
  putAtlas({ start, atlas, maps, maps_n }) {
    try {
      if (atlas) this.atlas.push(start, decodeBase64(atlas));
      if (maps) this.atlas.replace(maps_n, decodeBase64(maps));
      return Boolean(atlas || maps);
    } catch (error) {
      console.warn("atlas rows dropped:", error.message);
      return false;
    }
  }
}
