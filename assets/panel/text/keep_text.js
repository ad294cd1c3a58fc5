// Copy the text to the clipboard or keep it as a file, without help from the server.

/** @param {string} text @param {HTMLElement} host */
export async function copyText(text, host) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text, host); // no permission, or the page is not served securely
  }
}

/** @param {string} text @param {HTMLElement} host */
function copyByHand(text, host) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  host.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** @param {string} text @param {string} name */
export function saveText(text, name) {
  saveFile(text, name, "text/plain");
}

/** @param {string} text @param {string} name @param {string} type */
export function saveFile(text, name, type) {
  saveBlob(new Blob([text], { type: `${type};charset=utf-8` }), name);
}

/** @param {Blob} blob @param {string} name */
export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
