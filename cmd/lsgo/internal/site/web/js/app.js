// Entry point: loads the official client library, connects, and hands the client to the three panels.

import { Connection, counted } from './connection.js';
import { hideNotice, showNotice, showState } from './notice.js';
import { layOutStocks, showStocks } from './stocks.js';
import { showPortfolio } from './portfolio.js';
import { showChat } from './chat.js';

const library = '/lightstreamer-client-web/lightstreamer-core.esm.js';

async function start() {
  layOutStocks();
  // The forms only ever act through the client.
  for (const form of document.forms) form.addEventListener('submit', (event) => event.preventDefault());
  let ls;
  try {
    ls = await import(library);
  } catch (error) {
    console.error(error);
    await waitForLibrary();
    return;
  }
  const connection = new Connection(ls);
  const subscribe = (mode, items, fields, listener, setUp) => {
    const subscription = new ls.Subscription(mode, items, fields);
    setUp(subscription);
    subscription.addListener(counted(listener));
    connection.client.subscribe(subscription);
  };
  showStocks(subscribe);
  showPortfolio(subscribe, connection);
  showChat(subscribe, connection);
  connection.open();
}

// Asks for the library until it is there, says why it is not, and then begins anew: a module that failed to load is not
// tried again within the same page.
async function waitForLibrary() {
  for (;;) {
    let status = 0;
    try {
      status = (await fetch(library, { method: 'HEAD', cache: 'no-store' })).status;
    } catch { /* the server is away */ }
    if (status === 200) break;
    showState('off', 'Not connected');
    if (status === 404) {
      showNotice('The Lightstreamer web client is not installed.',
        'Run this in the repository’s folder. The page goes on by itself as soon as it is done.', 'npm ci');
    } else {
      showNotice('The broker does not answer; trying again …', 'Is the demo still running?');
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  hideNotice();
  location.reload();
}

start();
