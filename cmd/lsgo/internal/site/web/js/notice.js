// What the page says about the connection as a whole.

import { byId, write } from './dom.js';

/** Sets the lamp ("on", "waiting" or "off") and the words beside it. */
export function showState(lamp, text) {
  byId('lamp').dataset.state = lamp;
  write(byId('state'), text);
}

/** Explains a trouble, and optionally the command that ends it. */
export function showNotice(title, text = '', code = '') {
  write(byId('notice-title'), title);
  write(byId('notice-text'), text);
  write(byId('notice-code'), code);
  byId('notice-text').hidden = !text;
  byId('notice-code').hidden = !code;
  byId('notice').hidden = false;
}

export function hideNotice() {
  byId('notice').hidden = true;
}
