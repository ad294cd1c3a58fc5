// One text as it arrives: its tokens, the rows of the maps looked at, all heads small.

import { AtlasStore } from "./atlas_store.js";
import { Arrivals, isIndex, splitRows, weightsOf } from "./wire.js";

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
    this.stretch = 0; // which press of a button was last said to write it
    this.ended = false; // its log was read to the end
    this.refused = false; // the server has said why it cannot be read on
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

  /** Put away rows of the map `key`, packed from row `start` on; whether any was new. */
  putRows(key, plain, start, bytes) {
    const list = splitRows(bytes, start).map((row) => weightsOf(row, plain));
    return this.rowsOf(key).put(start, list) > 0;
  }
}
