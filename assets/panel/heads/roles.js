// A head's scores in numbers; what they are called and say is in schema.js.

/**
 * Two decimals, or one beyond 10; a dash where a text gives no evidence.
 * @param {number | null | undefined} value
 */
export function scoreText(value) {
  if (value === null || value === undefined) return "–";
  return value < 9.995 ? value.toFixed(2) : value.toFixed(1);
}
