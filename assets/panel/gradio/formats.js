// Numbers for people, and tables for spreadsheets: each written in one way wherever it stands.

const THIN = "\u00a0"; // keeps a number and its unit on one line

/** A share; a small one stays apart from none. @param {number} share from 0 to 1 */
export function percent(share) {
  const value = 100 * share;
  if (value === 0) return `0${THIN}%`;
  if (value < 0.1) return `<0.1${THIN}%`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}${THIN}%`;
}

/** The same in whole numbers, for what travelled as a byte. @param {number} weight from 0 to 1 */
export function wholePercent(weight) {
  return weight > 0 && weight < 0.005 ? `<1${THIN}%` : `${Math.round(100 * weight)}${THIN}%`;
}

/** Bytes; a dash where nobody knows. @param {number | null} [count] */
export function bytes(count) {
  if (count === null || count === undefined) return "–";
  if (count >= 1e8) return `${(count / 1e9).toFixed(1)}${THIN}GB`;
  return `${Math.round(count / 1e6)}${THIN}MB`;
}

/**
 * Lines of a table as RFC 4180 has them.
 * @param {(string | number | null | undefined)[][]} lines
 */
export function csvOf(lines) {
  return lines.map((line) => `${line.map(csvCell).join(",")}\r\n`).join("");
}

/**
 * A cell of such a line. A spreadsheet takes text that begins like this for a formula; an apostrophe
 * prevents that.
 * @param {string | number | null} [value]
 */
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
