// Benchmark adapter over the official Node.js SDK: the contract of ../../README.md. MODULES is the folder it was installed into.
//
// NODE_DRAIN=0 ignores the stream's own backpressure, as the SDK's examples do.
'use strict';

const net = require('net');
const { createRequire } = require('module');
const { DataProvider, MetadataProvider } = createRequire(process.env.MODULES + '/')('lightstreamer-adapter');

const env = process.env;
const SCENARIO = env.SCENARIO;
const ITEMS = +env.ITEMS || 0;
const HOT = +env.HOT || ITEMS;
const RATE = +env.RATE || 0;
const INFLIGHT = +env.INFLIGHT || 0;
const DRAIN = env.NODE_DRAIN !== '0';
const CHUNK = 128; // updates between two returns to the event loop
const SEQ_BASE = 1000000000;

// The fields beyond the eight of the plain shape, and the rows of values.
const SHAPE = env.SHAPE;
const TAIL = SHAPE === 'escape' ? '|+%\r\n' : '';
const MORE = [];
if (SHAPE === 'large') MORE.push('big');
if (SHAPE === 'wide') for (let k = 8; k < 200; k++) MORE.push('f' + String(k).padStart(3, '0'));
const ROWS = [];
for (let r = 0; r < 64; r++) {
  const rr = String(r).padStart(2, '0');
  const row = ['1234.567' + rr, '12:34:' + rr + '.0', '1234.566' + rr, '1234.568' + rr, '10000000' + rr, '20000000' + rr].map((v) => v + TAIL);
  for (const name of MORE) row.push(SHAPE === 'large' ? '0123456789abcdef'.repeat(65536) : name.slice(1) + '.' + rr);
  ROWS.push(row);
}
const now = () => process.hrtime.bigint();

function connect(port) {
  const stream = net.createConnection(+port, env.ARI_HOST);
  if (env.NODELAY === '1') stream.setNoDelay(true);
  stream.on('error', () => process.exit(0));
  stream.on('close', () => process.exit(0));
  return stream;
}

function data() {
  const notify = connect(env.ARI_NOTIFY_PORT);
  const provider = new DataProvider(connect(env.ARI_PORT), notify, () => true);
  const items = [], seqs = [];
  let n = 0, i = 0, ts = '', stop = false;
  let limit = SCENARIO === 'CREDIT' ? INFLIGHT : Infinity;
  let idle = null; // what resumes the producer

  function send(ts) {
    const seq = ++seqs[i], r = ROWS[seq & 63];
    const event = { seq: String(seq), ts: ts, last: r[0], time: r[1], bid: r[2], ask: r[3], bidqty: r[4], askqty: r[5] };
    for (let k = 0; k < MORE.length; k++) event[MORE[k]] = r[6 + k];
    provider.update(items[i], false, event);
    if (++i === HOT) i = 0;
    n++;
  }

  function flood() {
    if (stop) return;
    for (let k = 0; k < CHUNK; k++) {
      if (n >= limit) {
        idle = flood;
        return;
      }
      if (n % 64 === 0) ts = String(now());
      send(ts);
    }
    if (DRAIN && notify.writableNeedDrain) notify.once('drain', flood);
    else setImmediate(flood);
  }

  function paced() {
    const start = now();
    (function tick() {
      if (stop) return;
      const due = Number(now() - start) * RATE / 1e9;
      while (n < due) send(String(now()));
      setTimeout(tick, 1);
    })();
  }

  if (SCENARIO === 'CREDIT') {
    let part = '';
    process.stdin.setEncoding('latin1').on('data', (d) => {
      const lines = (part + d).split('\n');
      part = lines.pop();
      if (!lines.length) return;
      limit = +lines[lines.length - 1] + INFLIGHT;
      if (idle && n < limit) {
        const f = idle;
        idle = null;
        f();
      }
    });
  }

  provider.on('init', (request, response) => response.success());
  provider.on('subscribe', (item, response) => {
    response.success();
    if (SCENARIO === 'STORM') return;
    items.push(item);
    seqs.push(SEQ_BASE);
    if (SCENARIO === 'FIRST') return send(String(now()));
    if (items.length === ITEMS) setImmediate(SCENARIO === 'LATENCY' ? paced : flood);
  });
  provider.on('unsubscribe', (item, response) => {
    if (SCENARIO !== 'STORM' && SCENARIO !== 'FIRST' && !stop) {
      stop = true;
      console.log('PRODUCED ' + n);
    }
    response.success();
  });
}

function metadata() {
  const provider = new MetadataProvider(connect(env.ARI_PORT));
  provider.on('init', (request, response) => response.success());
  provider.on('notifyUser', (request, response) => response.success(0, false));
  provider.on('getItems', (request, response) => response.success(request.groupName.split(' ')));
  provider.on('getSchema', (request, response) => response.success(request.schemaName.split(' ')));
}

if (env.ARI_KIND === 'data') data(); else metadata();
