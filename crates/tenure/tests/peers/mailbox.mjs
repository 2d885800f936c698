// A mail server: smtp-server, and what postal-mime reads in each message that it takes.
//
// Usage: mailbox.mjs OPTIONS, a JSON object:
//   port             0 for a free one
//   tls              "none", "starttls" or "implicit"; certificate, key: files
//   user, password   whoever doesn't sign in with these may not send
//   refuse           addresses that are refused with 550
// Says {"port", "pid"} once it listens, and then each message as one line.
import { readFileSync } from 'node:fs';

import { load } from './load.mjs';

const { SMTPServer } = await load('smtp-server');
const { default: PostalMime } = await load('postal-mime');
const options = JSON.parse(process.argv[2]);
const encrypted = options.tls !== 'none';

const server = new SMTPServer({
  disableReverseLookup: true,
  secure: options.tls === 'implicit',
  ...(encrypted ? { cert: readFileSync(options.certificate), key: readFileSync(options.key) } : {}),
  disabledCommands: encrypted ? [] : ['STARTTLS'],
  authOptional: !options.user,
  onAuth: (auth, _session, done) =>
    auth.username === options.user && auth.password === options.password ? done(null, { user: auth.username }) : done(new Error('wrong')),
  onRcptTo: ({ address }, _session, done) =>
    (options.refuse ?? []).includes(address) ? done(Object.assign(new Error(`no ${address} here`), { responseCode: 550 })) : done(),
  onData: async (stream, session, done) => {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const { envelope, secure, user } = session;
    const parsed = await PostalMime.parse(raw);
    console.log(
      JSON.stringify({ from: envelope.mailFrom.address, to: envelope.rcptTo.map(({ address }) => address), secure, user, raw: raw.toString(), parsed }),
    );
    done();
  },
});
server.on('error', () => {});
await new Promise((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
console.log(JSON.stringify({ port: server.server.address().port, pid: process.pid }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
