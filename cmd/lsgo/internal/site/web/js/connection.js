// The connection to the broker: the status line, the choice of the transport, messages, and what to say when it is away.

import { byId, write } from './dom.js';
import { hideNotice, showNotice, showState } from './notice.js';

let updates = 0;

/** Wraps a subscription listener so that its updates are counted. */
export function counted(listener) {
  const { onItemUpdate } = listener;
  return { ...listener, onItemUpdate(update) { updates++; onItemUpdate(update); } };
}

const reopenAfter = 3000;

export class Connection {
  #ending = false; // the session was ended by the server: words are on the page already

  constructor(ls) {
    this.client = new ls.LightstreamerClient(location.origin, 'DEMO');
    this.client.addListener({
      onStatusChange: (status) => this.#statusChanged(status),
      onServerError: (code, message) => this.#serverError(code, message),
    });
    const transport = byId('transport');
    transport.addEventListener('change', () => {
      this.client.connectionOptions.setForcedTransport(transport.value || null);
      this.client.connect();
    });
    // A browser that restores the form on reload must not show a choice that is not in force.
    transport.value = '';
    this.#showRate();
  }

  open() {
    this.client.connect();
  }

  /**
   * Sends a message. The promise is fulfilled when the adapter has accepted it, and rejected with words for a person. One
   * sequence keeps the messages sent through it in order. waiting is called if the answer takes long.
   */
  send(message, sequence, waiting) {
    return new Promise((resolve, reject) => {
      // The library would keep some messages until there is a session again; nobody expects that of a chat or an order.
      if (!/^(CONNECTED|STALLED)/.test(this.client.getStatus())) {
        reject(new Error('Not connected: nothing was sent.'));
        return;
      }
      const slow = setTimeout(waiting, 500);
      const end = (settle, value) => { clearTimeout(slow); settle(value); };
      const fail = (text) => () => end(reject, new Error(text));
      this.client.sendMessage(message, sequence, null, {
        onProcessed: () => end(resolve),
        onDeny: (_, code, text) => end(reject, new Error(`${text || 'Refused.'} (code ${code})`)),
        onDiscarded: fail('The message came too late and was discarded.'),
        onError: fail('The broker could not handle the message.'),
        onAbort: fail('Connection lost: the message may not have arrived.'),
      }, false);
    });
  }

  #statusChanged(status) {
    const [state, detail = ''] = status.split(':');
    document.body.dataset.status = status;
    document.body.classList.toggle('stale', state !== 'CONNECTED');
    write(byId('session'), state === 'CONNECTED' ? this.client.connectionDetails.getSessionId() ?? '–' : '–');
    byId('session').title = byId('session').textContent;
    switch (true) {
      case state === 'CONNECTED' && detail === 'STREAM-SENSING':
        showState('waiting', 'Connecting: choosing a transport …');
        break;
      case state === 'CONNECTED':
        showState('on', `Connected over ${detail}`);
        this.#ending = false;
        hideNotice();
        break;
      case state === 'CONNECTING':
        showState('waiting', 'Connecting …');
        break;
      case state === 'STALLED':
        showState('waiting', 'Connected, but nothing arrives');
        break;
      case detail !== '':
        showState('off', 'Connection lost');
        showNotice('The broker does not answer; trying again …', 'Prices stand still until it is back. Is the demo still running?');
        break;
      default:
        showState('off', 'Not connected');
        if (!this.#ending) showNotice('This transport does not work here.', 'Choose another one at the top of the page.');
    }
  }

  // The library does not try again by itself after the server has ended the session or refused a new one.
  #serverError(code, message) {
    this.#ending = true;
    showNotice('The broker refused or ended the session; trying again …', `It says: ${message || 'nothing'} (code ${code})`);
    setTimeout(() => this.client.connect(), reopenAfter);
  }

  // The rate is the mean of the last seconds, so that it can be read.
  #showRate() {
    const counts = [];
    setInterval(() => {
      counts.push(updates);
      updates = 0;
      if (counts.length > 4) counts.shift();
      write(byId('rate'), String(Math.round(counts.reduce((sum, n) => sum + n, 0) / counts.length)));
    }, 1000);
  }
}
