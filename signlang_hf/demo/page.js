// Names for what Gradio's components leave nameless to screen readers, and hidden copies out of the keyboard's way.
(() => {
  const labelOf = (element) => {
    const block = element.closest(".block");
    const label = block && block.querySelector("[data-testid='block-label'], [data-testid='block-info'], label");
    return (label && label.textContent.trim()) || "Picture";
  };
  const mend = () => {
    const each = (selector, change) => document.querySelectorAll(`.gradio-container ${selector}`).forEach(change);
    each("img:not([alt])", (image) => (image.alt = labelOf(image)));
    each("button:not([aria-label]) > .image-frame", (frame) =>
      frame.parentElement.setAttribute("aria-label", `Enlarge: ${labelOf(frame)}`));
    each("input.border-none:not([aria-label])", (input) => input.setAttribute("aria-label", labelOf(input)));
    each("[aria-label='Empty value']:not([role])", (empty) => empty.setAttribute("role", "img"));
    each(".virtual-table-viewport:not([tabindex])", (table) => (table.tabIndex = 0));  // scrolled with the keyboard
    each(".tab-container[aria-hidden='true'] button:not([tabindex='-1'])", (copy) => (copy.tabIndex = -1));
  };
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; mend(); }, 100);
  };
  // The root, because this may run before there is a body.
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
  soon();
})();
