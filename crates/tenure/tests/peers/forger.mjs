// A provider that lies: its ID tokens are what PUT /lie made of them. Not somebody's software, but what somebody's broken or taken-over
// provider may send.
//
// Usage: forger.mjs. Says {"issuer", "pid"} once it listens. A lie is {"claims", "header", "without", "answer", "key"}: claims and header
// members to set, claims to leave out, parameters of the authorization response to set, and "other" for a key that nobody published.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';

const good = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const codes = new Map();
let lie = {};

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const half = (text) => createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');

async function text(request) {
  let all = '';
  for await (const piece of request) all += piece;
  return all;
}

function token(asked) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: 'mallory', aud: 'tenure', nonce: asked.get('nonce'), iat: now, exp: now + 300, auth_time: now, amr: ['hwk'], at_hash: half('an access token'), ...lie.claims };
  for (const name of lie.without ?? []) delete claims[name];
  for (const [name, offset] of Object.entries(lie.offsets ?? {})) claims[name] = now + offset;
  const input = `${encode({ alg: 'ES256', kid: 'forger', ...lie.header })}.${encode(claims)}`;
  const key = lie.key === 'other' ? other.privateKey : good.privateKey;
  const signature = lie.unsigned ? Buffer.alloc(0) : sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const json = (value, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  if (url.pathname === '/.well-known/openid-configuration') {
    json({
      issuer,
      jwks_uri: `${issuer}/keys`,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      id_token_signing_alg_values_supported: ['ES256'],
      authorization_response_iss_parameter_supported: true,
    });
  } else if (url.pathname === '/keys') {
    json({ keys: [{ ...good.publicKey.export({ format: 'jwk' }), kid: 'forger', alg: 'ES256', use: 'sig' }] });
  } else if (url.pathname === '/lie') {
    lie = JSON.parse(await text(request));
    json({});
  } else if (url.pathname === '/authorize') {
    const code = `code-${codes.size}`;
    codes.set(code, url.searchParams);
    const back = new URL(url.searchParams.get('redirect_uri'));
    const answer = { code, state: url.searchParams.get('state'), iss: issuer, ...lie.answer };
    for (const [name, value] of Object.entries(answer)) if (value !== null) back.searchParams.set(name, value);
    response.writeHead(302, { location: back.href });
    response.end();
  } else if (url.pathname === '/token') {
    const asked = new URLSearchParams(await text(request));
    const begun = codes.get(asked.get('code'));
    const challenge = createHash('sha256').update(asked.get('code_verifier') ?? '').digest('base64url');
    if (!begun || begun.get('code_challenge') !== challenge) return json({ error: 'invalid_grant' }, 400);
    codes.delete(asked.get('code'));
    json({ id_token: token(begun), access_token: 'an access token', token_type: 'Bearer' });
  } else {
    json({}, 404);
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(JSON.stringify({ issuer, pid: process.pid }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
