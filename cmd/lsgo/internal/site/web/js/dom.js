// Small helpers around the document. Text from the feed only ever goes through textContent.

export const byId = (id) => document.getElementById(id);

/** Makes an element with a class and a text. */
export function make(tag, className = '', text = '') {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Writes a text only if it differs: the browser then has nothing to lay out. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
const running = new WeakMap();

/** Lights up a cell for a moment: kind is "up", "down" or "" for a change without direction. */
export function flash(cell, kind = '') {
  if (calm.matches) return;
  running.get(cell)?.cancel();
  const color = `var(${kind ? `--flash-${kind}` : '--flash'})`; // a variable, so that it follows the colour scheme
  running.set(cell, cell.animate([{ backgroundColor: color }, { backgroundColor: 'transparent' }], { duration: 900, easing: 'ease-in' }));
}

/** Shows how a request ended, under its form. */
export function outcome(element, text, bad = false) {
  element.classList.toggle('bad', bad);
  element.textContent = text;
  element.title = text;
}
