// A receiver of webhooks, which checks their signatures with the standardwebhooks library.
//
// Usage: hooks.mjs PORT SECRET STATUS, with port 0 for a free one. Says {"port", "pid"} once it listens, and then each call as one
// line; answers good calls with STATUS, and others with 401.
import { createServer } from 'node:http';

import { load } from './load.mjs';

const { Webhook } = await load('standardwebhooks');
const [port, secret, status] = process.argv.slice(2);
const webhook = new Webhook(secret);

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  let verified = null;
  try {
    verified = webhook.verify(body, request.headers);
  } catch {
    // Stays null: the test sees it.
  }
  console.log(JSON.stringify({ method: request.method, path: request.url, headers: request.headers, verified }));
  response.writeHead(verified ? Number(status) : 401, { location: '/elsewhere' }).end();
});
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
console.log(JSON.stringify({ port: server.address().port, pid: process.pid }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
