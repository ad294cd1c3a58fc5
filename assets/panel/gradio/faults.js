// Marks the field that a complaint is about, until it is changed or asked again.

let unmark = () => {};

/** @param {string} [id] the field's element; nothing takes the mark away */
export function markFault(id) {
  unmark();
  const field = id ? document.getElementById(id) : null;
  if (!field) return;
  const inputs = [...field.querySelectorAll("input, textarea")];
  if (!inputs.some((input) => input.checkVisibility())) unfold(field);
  const note = document.querySelector("#run-note [role=status]");
  if (note) note.id ||= "run-note-words";
  for (const input of inputs) {
    input.setAttribute("aria-invalid", "true");
    if (note) input.setAttribute("aria-describedby", note.id);
  }
  const ended = () => unmark();
  field.addEventListener("input", ended);
  unmark = () => {
    unmark = () => {};
    field.removeEventListener("input", ended);
    for (const input of inputs) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  };
}

// A field in a group that is folded away is shown.
/** @param {HTMLElement} field */
function unfold(field) {
  /** @type {HTMLElement | null | undefined} */
  const header = field
    .closest("#more-sampling")
    ?.querySelector("button[aria-expanded=false], button.label-wrap:not(.open)");
  header?.click();
}
