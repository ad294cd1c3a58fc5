// How a token is written where whitespace, control characters and lone bytes must be seen.
// A token is a string, {hex} (bytes that are no UTF-8 by themselves) or {special}.

/** @type {Record<string, string>} */
const VISIBLE = { " ": "·", "\n": "↵", "\t": "⇥" };
// C0, DEL, C1, no-break and zero-width spaces, line separators, bidi marks and overrides, BOM
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  /[\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;

/** @param {Token | undefined} token */
export function labelOf(token) {
  if (token === undefined) return "…";
  if (typeof token === "string") return token.replace(UNSEEN, (c) => VISIBLE[c] ?? escaped(c));
  if (token.special !== undefined) return token.special;
  return `⟨${pairsOf(token).join(" ")}⟩`;
}

/** @param {string} character */
function escaped(character) {
  const code = character.codePointAt(0) ?? 0;
  if (character === "\r") return "\\r";
  return code < 256
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** What is no text of a token. @param {Token | undefined} token @returns {BareToken} */
export function bareOf(token) {
  return typeof token === "object" ? token : {};
}

/** Its bytes in hexadecimal. @param {BareToken} token @returns {string[]} */
function pairsOf(token) {
  return token.hex?.match(/../g) ?? [];
}

/** @param {string} label @param {number} limit */
export function shorten(label, limit) {
  const characters = Array.from(label);
  return characters.length <= limit ? label : `${characters.slice(0, limit - 1).join("")}…`;
}

/** @param {Token} token */
export function bytesOf(token) {
  if (typeof token === "string") return new TextEncoder().encode(token);
  if (token.special !== undefined) return new Uint8Array(0);
  return Uint8Array.from(pairsOf(token), (pair) => parseInt(pair, 16));
}

// The text the tokens spell: markers are no text, broken bytes become U+FFFD.
/** @param {Token[]} tokens */
export function plainText(tokens) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return (
    tokens.map((t) => decoder.decode(bytesOf(t), { stream: true })).join("") + decoder.decode()
  );
}

// Name a token for people: quoted label, position, and which part of a character it is.
/** @param {Token[]} tokens @param {number} i */
export function nameOf(tokens, i) {
  return `${quotedOf(tokens, i)} ${placeOf(tokens, i)}`;
}

/** @param {Token[]} tokens @param {number} i */
export function quotedOf(tokens, i) {
  return `“${labelOf(tokens[i])}”`;
}

/** @param {Token[]} tokens @param {number} i */
export function placeOf(tokens, i) {
  const part = partOf(tokens, i);
  return `(${i}${part ? `, ${part}` : ""})`;
}

/** @param {Token[]} tokens @param {number} i */
function partOf(tokens, i) {
  if (bareOf(tokens[i]).hex === undefined) return "";
  let first = i;
  while (first > 0 && bareOf(tokens[first - 1]).hex !== undefined) first -= 1;
  let last = i + 1;
  while (bareOf(tokens[last]).hex !== undefined) last += 1;
  const { pieces } = piecesOf(tokens.slice(first, last), first);
  const piece = pieces.find((p) => p.from <= i && i < p.to);
  if (piece?.kind !== "text") return "";
  const sizes = tokens.slice(piece.from, piece.to).map((t) => bytesOf(t).length);
  const before = sizes.slice(0, i - piece.from).reduce((sum, n) => sum + n, 0);
  const size = sizes[i - piece.from];
  const range = size === 1 ? `byte ${before + 1}` : `bytes ${before + 1}–${before + size}`;
  return `${range} of ${sizes.reduce((sum, n) => sum + n, 0)} of ${piece.text}`;
}

// Group tokens into the smallest pieces that are text: {from, to, kind, text}.
// `stable` is the first token that a later one may still complete.
/** @param {Token[]} tokens @param {number} [offset] */
export function piecesOf(tokens, offset = 0) {
  /** @type {Piece[]} */
  const pieces = [];
  /** @type {{ token: Token, index: number }[]} */
  let open = []; // fragments waiting for the rest of their character
  const breakOpen = () => pieces.push(...open.splice(0, 1).map(broken));
  tokens.forEach((token, k) => {
    const { hex, special } = bareOf(token);
    if (hex === undefined) {
      while (open.length) breakOpen();
      pieces.push({
        from: offset + k,
        to: offset + k + 1,
        kind: special === undefined ? "text" : "special",
        text: special ?? String(token),
      });
      return;
    }
    open.push({ token, index: offset + k });
    let joined = join(open);
    while (open.length && joined === null) {
      breakOpen();
      joined = join(open);
    }
    if (open.length && joined) {
      pieces.push({ from: open[0].index, to: offset + k + 1, kind: "text", text: joined });
      open = [];
    }
  });
  const stable = open.length ? open[0].index : offset + tokens.length;
  while (open.length) breakOpen();
  return { pieces, stable };
}

/** @param {{ token: Token, index: number }} given */
function broken({ token, index }) {
  return { from: index, to: index + 1, kind: "fragment", text: labelOf(token) };
}

// The characters the fragments make; "" while one is missing, null if they never will.
/** @param {{ token: Token }[]} open */
function join(open) {
  const bytes = Uint8Array.from(open.flatMap(({ token }) => [...bytesOf(token)]));
  const decoder = () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return decoder().decode(bytes);
  } catch {
    try {
      decoder().decode(bytes, { stream: true });
      return "";
    } catch {
      return null;
    }
  }
}

// Characters that would change how the text around them is shown.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const UNRULY = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u;

/** @param {string} text */
export function isUnruly(text) {
  return UNRULY.test(text);
}
