// A webhook of GitHub's, signed by octokit's library.
//
// Usage: github_hook.mjs URL EVENT, with {"secret", "payload"} on standard input. Delivers the payload, and says {"status", "body"}.
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';

import { load } from './load.mjs';

const { sign } = await load('@octokit/webhooks-methods');
const [url, event] = process.argv.slice(2);
const { secret, payload } = JSON.parse(await text(process.stdin));
const body = JSON.stringify(payload);
const answer = await fetch(url, {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/5f2a9c1',
    'x-github-delivery': randomUUID(),
    'x-github-event': event,
    'x-hub-signature-256': await sign(secret, body),
  },
  body,
});
console.log(JSON.stringify({ status: answer.status, body: await answer.json() }));
