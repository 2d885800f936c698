#!/usr/bin/env bash
# openid-client 6.9.0 (npm): where a token endpoint answers 401 with a WWW-Authenticate header, the OAuth error in the body isn't shown.
#
# Expected: RFC 6749 §5.2 has a server send WWW-Authenticate with invalid_client where a client tried to authenticate by the Authorization header, beside
#   the JSON body with `error` and `error_description`; a client that reports a failed request shows these.
# Seen: with the header the error says that server responded with a challenge, and has neither `error` nor `error_description`; without the header the
#   same body gives both. The error by itself gives no reason.
# Source: oauth4webapi, which looks at the challenge before the body. Way around for servers: send the header only where a scheme was tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --save-exact openid-client@6.9.0 >/dev/null
cat > seen.mjs <<'NODE'
import http from 'node:http';
import * as client from 'openid-client';

const answer = { error: 'invalid_client', error_description: 'the key is not known here' };
const server = http.createServer((request, response) => {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  if (request.url === '/challenged') headers['www-authenticate'] = 'Basic realm="example"';
  response.writeHead(401, headers).end(JSON.stringify(answer));
});
await new Promise((listens) => server.listen(0, '127.0.0.1', listens));
const origin = `http://127.0.0.1:${server.address().port}`;

async function failure(path) {
  const metadata = { issuer: origin, token_endpoint: `${origin}/${path}` };
  const configuration = new client.Configuration(metadata, 'example-client', {}, client.ClientSecretBasic('example-secret'));
  client.allowInsecureRequests(configuration);
  try {
    await client.clientCredentialsGrant(configuration);
  } catch (error) {
    return { error: error.error, description: error.error_description, code: error.code, message: error.message };
  }
  throw new Error('the request should fail');
}

const [plain, challenged] = [await failure('plain'), await failure('challenged')];
server.close();
console.log({ plain, challenged });
if (plain.error !== 'invalid_client' || plain.description !== answer.error_description) throw new Error('without a challenge the body should be shown');
if (challenged.error !== undefined || challenged.description !== undefined) throw new Error('the behaviour changed: the body is shown beside a challenge');
NODE
node seen.mjs
