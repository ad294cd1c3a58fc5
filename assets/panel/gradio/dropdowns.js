// Gradio leaves a list open when Tab moves on from its field, over the fields below it. Escape closes
// it, but only as long as the field has the focus.

const ESCAPE = { key: "Escape", bubbles: true };

export function closeListsLeft() {
  document.addEventListener("focusout", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (target.matches("input[role=combobox]"))
      target.dispatchEvent(new KeyboardEvent("keydown", ESCAPE));
  });
}
