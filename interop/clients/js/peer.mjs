// What the Node.js and the web peer have in common: does what commands say with an official Lightstreamer client, and tells what its listeners
// are told. See ../README.md for the commands and events. The libraries have the same interface, so either can be given as ls.

export function startPeer(ls, print) {
  const clients = new Map(); // by name: { client, subscriptions }

  const has = (value) => value !== undefined && value !== null;
  const list = (value) => (Array.isArray(value) ? value : [value]);

  function create({ client: name, url, set }) {
    const client = new ls.LightstreamerClient(url, set);
    const tell = (event, details) => print({ client: name, event, ...details });
    client.addListener({
      onStatusChange: (status) => tell('status', { status, session: client.connectionDetails.getSessionId() }),
      onServerError: (code, text) => tell('serverError', { code, text }),
      onPropertyChange: (property) => {
        if (property === 'realMaxBandwidth') tell('bandwidth', { text: String(client.connectionOptions.getRealMaxBandwidth()) });
      },
    });
    clients.set(name, { client, tell, subscriptions: new Map() });
  }

  const commands = {
    create,

    connect({ client: name, transport, user, password, options }) {
      const { client } = clients.get(name);
      if (has(user)) client.connectionDetails.setUser(user);
      if (has(password)) client.connectionDetails.setPassword(password);
      if (has(transport)) client.connectionOptions.setForcedTransport(transport);
      for (const [option, value] of Object.entries(options ?? {})) client.connectionOptions[`set${option}`](value);
      client.connect();
    },

    disconnect({ client: name }) {
      clients.get(name).client.disconnect();
    },

    subscribe({ client: name, sub, mode, items, group, fields, schema, adapter, snapshot, frequency, buffer, secondFields, secondAdapter }) {
      const { client, tell, subscriptions } = clients.get(name);
      const subscription = new ls.Subscription(mode);
      if (has(group)) subscription.setItemGroup(group); else subscription.setItems(list(items));
      if (has(schema)) subscription.setFieldSchema(schema); else subscription.setFields(fields);
      if (has(adapter)) subscription.setDataAdapter(adapter);
      if (has(snapshot)) subscription.setRequestedSnapshot(snapshot);
      if (has(frequency)) subscription.setRequestedMaxFrequency(frequency);
      if (has(buffer)) subscription.setRequestedBufferSize(buffer);
      if (has(secondFields)) {
        subscription.setCommandSecondLevelFields(secondFields);
        subscription.setCommandSecondLevelDataAdapter(secondAdapter);
      }
      const columns = [...fields.map((field, i) => [field, i + 1]), ...(secondFields ?? []).map((field) => [field, field])];
      const patch = (update, column) => {
        const value = update.getValueAsJSONPatchIfAvailable(column);
        return typeof value === 'string' || !has(value) ? value : JSON.stringify(value);
      };
      subscription.addListener({
        onSubscription: () => tell('subscribed', { sub }),
        onUnsubscription: () => tell('unsubscribed', { sub }),
        onSubscriptionError: (code, text) => tell('subscriptionError', { sub, code, text }),
        onCommandSecondLevelSubscriptionError: (code, text, key) => tell('secondLevelError', { sub, code, text, key }),
        onEndOfSnapshot: (item, pos) => tell('endOfSnapshot', { sub, item, pos }),
        onClearSnapshot: (item, pos) => tell('clearSnapshot', { sub, item, pos }),
        onItemLostUpdates: (item, pos, lost) => tell('lost', { sub, item, pos, lost }),
        onRealMaxFrequency: (frequency) => tell('frequency', { sub, text: String(frequency) }),
        onItemUpdate: (update) => tell('update', {
          sub,
          item: update.getItemName(),
          pos: update.getItemPos(),
          snapshot: update.isSnapshot(),
          values: Object.fromEntries(columns.map(([field, column]) => [field, update.getValue(column)])),
          changed: columns.filter(([, column]) => update.isValueChanged(column)).map(([field]) => field),
          patch: patch(update, 1),
        }),
      });
      subscriptions.set(sub, subscription);
      client.subscribe(subscription);
    },

    unsubscribe({ client: name, sub }) {
      const { client, subscriptions } = clients.get(name);
      client.unsubscribe(subscriptions.get(sub));
    },

    frequency({ client: name, sub, value }) {
      clients.get(name).subscriptions.get(sub).setRequestedMaxFrequency(value);
    },

    bandwidth({ client: name, value }) {
      clients.get(name).client.connectionOptions.setRequestedMaxBandwidth(value);
    },

    send({ client: name, message, sequence }) {
      const { client, tell } = clients.get(name);
      const outcome = (event) => (details) => tell('message', { message, outcome: event, ...details });
      client.sendMessage(message, sequence ?? null, null, {
        onProcessed: (_, response) => outcome('processed')({ text: response ?? '' }),
        onDeny: (_, code, text) => outcome('denied')({ code, text }),
        onError: () => outcome('error')(),
        onAbort: () => outcome('aborted')(),
        onDiscarded: () => outcome('discarded')(),
      }, true);
    },
  };

  return (command) => {
    try {
      commands[command.do](command);
    } catch (error) {
      print({ client: command.client, event: 'crash', text: String(error?.stack ?? error) });
    }
  };
}
