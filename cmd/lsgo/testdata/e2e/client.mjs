// Drives the official Lightstreamer client for Node.js: reads commands from the standard input, one JSON object a line, and
// writes what the client's listeners are told to the standard output in the same form. The tests in Go decide what to do
// and what is right. Ends when its input does.

import { createInterface } from 'node:readline';
import ls from 'lightstreamer-client-node';

const print = (event, details = {}) => process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);

const client = new ls.LightstreamerClient();
const subscriptions = new Map();

client.addListener({
  onStatusChange: (status) => print('status', { status, session: client.connectionDetails.getSessionId() }),
  onServerError: (code, text) => print('serverError', { code, text }),
});

const commands = {
  connect({ url, set, transport, user, heartbeat, slowing, contentLength }) {
    client.connectionDetails.setServerAddress(url);
    if (set) client.connectionDetails.setAdapterSet(set);
    if (user) client.connectionDetails.setUser(user);
    if (transport) client.connectionOptions.setForcedTransport(transport);
    if (heartbeat) client.connectionOptions.setReverseHeartbeatInterval(heartbeat);
    if (slowing) client.connectionOptions.setSlowingEnabled(true);
    if (contentLength) client.connectionOptions.setContentLength(contentLength);
    client.connect();
  },

  subscribe({ sub, mode, items, fields, adapter, snapshot, frequency, secondFields, secondAdapter }) {
    const subscription = new ls.Subscription(mode, items, fields);
    if (adapter) subscription.setDataAdapter(adapter);
    if (frequency) subscription.setRequestedMaxFrequency(frequency);
    if (snapshot) subscription.setRequestedSnapshot(snapshot);
    if (secondFields) {
      subscription.setCommandSecondLevelFields(secondFields);
      subscription.setCommandSecondLevelDataAdapter(secondAdapter);
    }
    const wanted = [...fields, ...(secondFields ?? [])];
    subscription.addListener({
      onSubscription: () => print('subscribed', { sub }),
      onUnsubscription: () => print('unsubscribed', { sub }),
      onSubscriptionError: (code, text) => print('subscriptionError', { sub, code, text }),
      onCommandSecondLevelSubscriptionError: (code, text, key) => print('secondLevelError', { sub, code, text, item: key }),
      onEndOfSnapshot: (item) => print('endOfSnapshot', { sub, item }),
      onClearSnapshot: (item) => print('clearSnapshot', { sub, item }),
      onItemLostUpdates: (item, _, lost) => print('lost', { sub, item, code: lost }),
      onItemUpdate: (update) => print('update', {
        sub,
        item: update.getItemName(),
        snapshot: update.isSnapshot(),
        values: Object.fromEntries(wanted.map((field) => [field, update.getValue(field)])),
        changed: wanted.filter((field) => update.isValueChanged(field)),
      }),
    });
    subscriptions.set(sub, subscription);
    client.subscribe(subscription);
  },

  unsubscribe({ sub }) {
    client.unsubscribe(subscriptions.get(sub));
  },

  send({ message, sequence }) {
    const outcome = (name) => (_, code, text) => print('message', { message, outcome: name, code: Number(code) || 0, text: text ?? '' });
    client.sendMessage(message, sequence || null, null, {
      onProcessed: () => print('message', { message, outcome: 'processed' }),
      onDeny: outcome('denied'),
      onError: () => print('message', { message, outcome: 'error' }),
      onAbort: () => print('message', { message, outcome: 'aborted' }),
      onDiscarded: () => print('message', { message, outcome: 'discarded' }),
    }, true);
  },

  disconnect() {
    client.disconnect();
  },
};

process.on('uncaughtException', (error) => {
  print('crash', { text: String(error?.stack ?? error) });
  process.exit(1);
});

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const { do: name, ...details } = JSON.parse(line);
  commands[name](details);
});
input.on('close', () => process.exit(0));
