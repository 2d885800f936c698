// An endpoint that is called back (OpenID CIBA, ping).
//
// Usage: pings.mjs STATUS…: answers the first call with the first status, and so on; the last one stays. A status of 0 never answers. Says
// {"port"} once it listens, and then each call as one line.
import { createServer } from 'node:http';

const statuses = process.argv.slice(2).map(Number);

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  console.log(JSON.stringify({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() }));
  const status = statuses.length > 1 ? statuses.shift() : statuses[0];
  if (status) response.writeHead(status, { location: '/elsewhere' }).end();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
console.log(JSON.stringify({ port: server.address().port }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
