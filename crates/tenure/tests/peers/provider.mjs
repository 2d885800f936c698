// An OpenID provider that vouches for workloads: node-oidc-provider, one client a workload, JWTs by the client credentials grant.
//
// Usage: provider.mjs PORT ALG KID, with port 0 for a free one. Says {"issuer", "pid"} once it listens. A scope is what the token
// says as its claim `tenant`; a header `claims` holds further ones.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import { load } from './load.mjs';

const { default: Provider } = await load('oidc-provider');
const [port, alg, kid] = process.argv.slice(2);
const { privateKey } = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });

const server = createServer();
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const clients = Array.from({ length: 12 }, (_, n) => ({
  client_id: `workload-${n}`,
  client_secret: `a secret of workload ${n}`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: 'client_secret_post',
  id_token_signed_response_alg: alg,
}));
const provider = new Provider(issuer, {
  clients,
  clientDefaults: { id_token_signed_response_alg: alg },
  enabledJWA: { idTokenSigningAlgValues: [alg] },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }] },
  cookies: { keys: ['not used'] },
  scopes: ['blue', 'green'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({ audience, scope: 'blue green', accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg } } }),
    },
  },
  formats: {
    customizers: {
      jwt: (ctx, token, jwt) => {
        jwt.header = { typ: 'JWT' };
        jwt.payload.tenant = token.scope;
        // The claims of the platform that it stands for.
        Object.assign(jwt.payload, JSON.parse(ctx.get('claims') || '{}'));
      },
    },
  },
});
server.on('request', provider.callback());
console.log(JSON.stringify({ issuer, pid: process.pid }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
