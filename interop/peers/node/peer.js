// The peer of the interoperability lab, written with the official Node.js SDK. See ../README.md.
'use strict';
const fs = require('fs');
const net = require('net');
const tls = require('tls');
const { createRequire } = require('module');
// Packages are installed outside of the repository.
const { DataProvider, MetadataProvider } = createRequire(process.env.PEER_MODULES + '/')('lightstreamer-adapter');

const config = JSON.parse(process.argv[2]);
const tell = (call, args) => process.stdout.write(JSON.stringify({ call, ...args }) + '\n');

// A lost connection ends the process: the application's matter in this SDK.
function open(host, port) {
  const stream = config.ca
    ? tls.connect({ host, port, servername: 'localhost', ca: fs.readFileSync(config.ca) })
    : net.connect({ host, port });
  stream.on('error', (err) => tell('lost', { reason: err.message }));
  stream.on('close', () => process.exit(1));
  return stream;
}

const credentials = config.user === undefined ? undefined : { user: config.user, password: config.password };
// In this SDK 0 is the default and -1 is none.
const keepalive = config.keepalive === 0 ? -1 : config.keepalive;

const values = {
  crlf: 'x\r\ny', dollar: '$', empty: '', hash: '#', long: '0123456789'.repeat(1000), null: null, percent: '100%25',
  pipe: 'a|b', plus: 'a+b c', sep: 'x\u0085y\u2028z', space: ' ', tab: 'x\ty', uni: 'caf\u00e9 \u{1F600}',
};

function startData() {
  const out = new DataProvider(open(...config.data), open(config.data[0], config.notify), (item) => !item.startsWith('live'), credentials, keepalive);
  let ticking;
  // This SDK knows an item from the moment its subscription is answered.
  const events = {
    merge(item) {
      out.update(item, true, { name: 'merge', value: '1' });
      out.endOfSnapshot(item);
      out.update(item, false, { value: '2' });
    },
    values(item) {
      out.update(item, true, values);
      out.endOfSnapshot(item);
      out.update(item, false, { empty: null, null: '' });
    },
    clear(item) {
      out.update(item, true, { value: '1' });
      out.endOfSnapshot(item);
      out.clearSnapshot(item);
      out.update(item, false, { value: '2' });
    },
    distinct(item) {
      for (const value of '123') out.update(item, true, { value });
      out.endOfSnapshot(item);
      out.update(item, false, { value: '4' });
    },
    command(item) {
      out.update(item, true, { command: 'ADD', key: 'k1', value: '1' });
      out.update(item, true, { command: 'ADD', key: 'k2', value: '1' });
      out.endOfSnapshot(item);
      out.update(item, false, { command: 'UPDATE', key: 'k1', value: '2' });
      out.update(item, false, { command: 'DELETE', key: 'k2' });
    },
    tick(item) {
      let count = 0;
      out.update(item, true, { value: '0' });
      out.endOfSnapshot(item);
      ticking = setInterval(() => out.update(item, false, { value: String(++count) }), 20);
    },
    failure() { out.failure('adapter failed'); },
  };
  out.on('init', (message, response) => {
    tell('initData', { params: message.parameters });
    if (message.parameters['remote:refuse'] === 'data') response.error('data init refused', 'data');
    else response.success();
  });
  out.on('subscribe', (item, response) => {
    tell('subscribe', { item });
    if (item === 'suberror') return response.error('no such item', 'subscription');
    if (item === 'subgeneric') return response.error('boom');
    // This SDK has no failure type for replies.
    if (item === 'subfailure') return response.error('adapter failed');
    response.success();
    if (item.startsWith('live')) out.update(item, false, { value: '1' });
    else if (events[item]) events[item](item);
  });
  out.on('unsubscribe', (item, response) => {
    tell('unsubscribe', { item });
    if (item === 'tick') clearInterval(ticking);
    if (item === 'unsuberror') response.error('cannot leave', 'subscription');
    else response.success();
  });
}

function startMetadata() {
  const provider = new MetadataProvider(open(...config.metadata), {}, credentials, keepalive);
  let conflict;
  const judge = (text, code, userMessage, response) => {
    if (text === 'credits') response.error('not allowed', 'credits', { clientCode: code, clientMessage: userMessage });
    else if (text === 'inconsistent') response.error('inconsistent', 'notification');
    else if (text === 'broken') response.error('boom');
    else response.success();
  };
  const mode = (m) => Object.keys(m).filter((k) => m[k]).join(' ').toUpperCase();
  const tables = (list) => list.map((t) => ({
    win: t.winIndex, mode: mode(t.pubModes), group: t.groupName, schema: t.schemaName, min: t.firstItemIndex,
    max: t.lastItemIndex, selector: t.selector,
  }));
  const on = (event, call, handler) => provider.on(event, (message, response) => {
    tell(call, handler(message, response));
  });
  const all = { raw: true, merge: true, distinct: true, command: true };
  const none = { raw: false, merge: false, distinct: false, command: false };

  on('init', 'initMetadata', ({ parameters }, response) => {
    if (parameters['remote:refuse'] === 'metadata') response.error('metadata init refused', 'metadata');
    else response.success();
    return { params: parameters };
  });
  on('notifyUser', 'notifyUser', ({ userName: user, userPassword: password, headers }, response) => {
    if (user === 'refused' || user === 'resource') response.error('wrong password', 'access');
    else if (user === 'credits') response.error('no credit', 'credits', { clientCode: -12, clientMessage: 'pay + try|again' });
    else if (user === 'broken') response.error('boom');
    else response.success(user === 'slow' ? 12.5 : 0, user !== 'quiet');
    return { user, password, headers };
  });
  on('notifyUserAuth', 'notifyUserAuth', ({ userName: user, userPassword: password, headers, clientPrincipal: principal }, response) => {
    response.success(user === 'slow' ? 12.5 : 0, user !== 'quiet');
    return { user, password, headers, principal };
  });
  on('notifyNewSession', 'newSession', ({ userName: user, sessionId: session, contextProperties: context }, response) => {
    if (user === 'nosession') response.error('no session', 'credits', { clientCode: -20, clientMessage: 'not now' });
    else if (user === 'inconsistent') response.error('inconsistent', 'notification');
    else if (user === 'conflict' && conflict !== undefined) {
      response.error('two', 'conflictingSession', { clientCode: -30, clientMessage: 'one at a time', conflictingSessionId: conflict });
      conflict = undefined;
    } else {
      if (user === 'conflict') conflict = session;
      response.success();
    }
    return { user, session, context };
  });
  on('notifySessionClose', 'sessionClose', ({ sessionId: session }, response) => {
    response.success();
    return { session };
  });
  on('getItems', 'items', ({ userName: user, sessionId: session, groupName: group }, response) => {
    if (group === 'badgroup') response.error('bad group', 'items');
    else if (group === 'brokengroup') response.error('boom');
    else response.success(group === 'nogroup' ? [] : group.split(' '));
    return { user, session, group };
  });
  on('getSchema', 'schema', ({ userName: user, sessionId: session, groupName: group, schemaName: schema }, response) => {
    if (schema === 'badschema') response.error('bad schema', 'schema');
    else if (schema === 'badgroupschema') response.error('bad group for schema', 'items');
    else response.success(schema.split(' '));
    return { user, session, group, schema };
  });
  provider.on('getItemData', ({ itemNames }, response) => response.success(itemNames.map((item) => ({
    distinctSnapLen: item === 'distinct' ? 2 : 0, minSourceFreq: item === 'slowsource' ? 0.5 : 0,
    allowedModes: item === 'mergeonly' ? { ...none, merge: true } : all,
  }))));
  provider.on('getUserItemData', ({ userName, itemNames }, response) => {
    response.success(itemNames.map((item) => ({
      allowedBufferSize: item === 'buffered' ? 3 : 0, allowedMaxItemFreq: item === 'limited' ? 2 : 0,
      // This SDK cannot say that an item has no mode: RAW is what is left to the guest.
      allowedModes: item === 'secret' && userName === 'guest' ? { ...none, raw: true } : all,
    })));
  });
  on('notifyUserMessage', 'message', ({ userName: user, sessionId: session, userMessage: message }, response) => {
    judge(message, -123, 'test error', response);
    return { user, session, message };
  });
  on('notifyNewTables', 'newTables', ({ userName: user, sessionId: session, tableInfos }, response) => {
    judge(tableInfos[0].selector, -40, 'no table', response);
    return { user, session, tables: tables(tableInfos) };
  });
  on('notifyTablesClose', 'tablesClose', ({ sessionId: session, tableInfos }, response) => {
    response.success();
    return { session, tables: tables(tableInfos) };
  });
  on('notifyMpnDeviceAccess', 'mpnDevice', ({ userName: user, sessionId: session, device }, response) => {
    judge(device.applicationId, -50, 'no push', response);
    return { user, session, platform: device.mpnPlatformType, app: device.applicationId, token: device.deviceToken };
  });
  on('notifyMpnSubscriptionActivation', 'mpnActivation', ({ userName: user, sessionId: session, tableInfo, mpnSubscription }, response) => {
    judge(mpnSubscription.device.applicationId, -50, 'no push', response);
    return {
      user, session, table: tables([tableInfo])[0], app: mpnSubscription.device.applicationId,
      trigger: mpnSubscription.trigger, format: mpnSubscription.notificationFormat,
    };
  });
  on('notifyMpnDeviceTokenChange', 'mpnToken', ({ userName: user, sessionId: session, device, newDeviceToken: newToken }, response) => {
    judge(device.applicationId, -50, 'no push', response);
    return { user, session, app: device.applicationId, token: device.deviceToken, newToken };
  });
}

if (config.metadata) startMetadata();
if (config.data) startData();
