// SPDX-License-Identifier: Apache-2.0
// exec_ws.js URL [PROTOCOL]: an exec or attach by way of the npm package ws. What comes on standard
// input goes to the process; prints one JSON object when the connection has ended.
'use strict';
const WebSocket = require('ws');

const [url, protocol] = process.argv.slice(2);
const base64 = (protocol || '').includes('base64');
const seen = {protocol: null, channels: {}, pong: false, code: null, error: null};
const socket = new WebSocket(url.replace(/^http/, 'ws'), protocol ? [protocol] : []);

function send(channel, data) {
  if (base64) {
    socket.send(String(channel) + data.toString('base64'));
  } else {
    // In two fragments, as any client may.
    socket.send(Buffer.from([channel]), {fin: false});
    socket.send(data, {fin: true});
  }
}

socket.on('open', () => {
  seen.protocol = socket.protocol;
  socket.ping();
  process.stdin.on('data', (data) => send(0, data));
  process.stdin.on('end', () => {
    if (socket.protocol === 'v5.channel.k8s.io') socket.send(Buffer.from([255, 0]));
  });
});
socket.on('pong', () => { seen.pong = true; });
socket.on('message', (data, isBinary) => {
  const channel = base64 ? Number(data.toString()[0]) : data[0];
  const text = base64 ? Buffer.from(data.toString().slice(1), 'base64').toString()
                      : data.subarray(1).toString();
  seen.channels[channel] = (seen.channels[channel] || '') + text;
  if (isBinary === base64) seen.error = `binary: ${isBinary}`;
});
socket.on('error', (error) => { seen.error = error.message; });
socket.on('close', (code) => {
  seen.code = code;
  process.stdout.write(JSON.stringify(seen) + '\n', () => process.exit(0));
});
