// An OpenID provider that people sign in with: node-oidc-provider with the shortest interactions that a person can be walked through.
//
// Usage: people.mjs REDIRECT_URI. Says {"issuer", "pid"} once it listens. The login form takes `login` (the subject) and `amr`; the address of
// everybody is that of the environment variable EMAIL, which no client should care about.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import { load } from './load.mjs';

const { default: Provider } = await load('oidc-provider');
const [redirect] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const client = (client_id) => ({
  client_id,
  client_secret: `the secret of ${client_id}`,
  redirect_uris: [redirect],
  grant_types: ['authorization_code'],
  response_types: ['code'],
  id_token_signed_response_alg: 'ES256',
  token_endpoint_auth_method: 'client_secret_basic',
});
const provider = new Provider(issuer, {
  clients: [client('tenure'), client('another')],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'people', alg: 'ES256', use: 'sig' }] },
  cookies: { keys: ['a key for cookies'] },
  claims: { openid: ['sub', 'acr', 'amr', 'auth_time', 'email'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: process.env.EMAIL ?? 'somebody@example.com' }) }),
});

async function form(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return new URLSearchParams(text);
}

async function interaction(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html');
    response.end(`<form method="post"><p>${prompt.name}</p><input name="login"><input name="amr"></form>`);
    return;
  }
  const given = await form(request);
  if (given.get('abort')) {
    await provider.interactionFinished(request, response, { error: 'access_denied' }, { mergeWithLastSubmission: false });
  } else if (prompt.name === 'login') {
    const amr = given.get('amr') ? [given.get('amr')] : undefined;
    await provider.interactionFinished(request, response, { login: { accountId: given.get('login'), amr } }, { mergeWithLastSubmission: false });
  } else {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope('openid');
    await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  }
}

const callback = provider.callback();
server.on('request', (request, response) => {
  if (request.url.startsWith('/interaction/')) {
    interaction(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  } else {
    callback(request, response);
  }
});
console.log(JSON.stringify({ issuer, pid: process.pid }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
