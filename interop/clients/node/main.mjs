// The peer with the official client for Node.js. Commands come on the standard input, one JSON object a line; it ends with them.

import { createInterface } from 'node:readline';
import ls from 'lightstreamer-client-node';
import { startPeer } from '../js/peer.mjs';

const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const run = startPeer(ls, print);

process.on('uncaughtException', (error) => {
  print({ event: 'crash', text: String(error?.stack ?? error) });
  process.exit(1);
});

print({ event: 'ready', text: ls.LightstreamerClient.LIB_VERSION });
const input = createInterface({ input: process.stdin });
input.on('line', (line) => run(JSON.parse(line)));
input.on('close', () => process.exit(0));
