// What a workload, its gateway and a resource server do with stock libraries: openid-client and jose.
//
// Usage: `client.mjs keys` says {"EdDSA", "ES256", "gateway"}, each a private JWK.
// `client.mjs run TASK` with {issuer, resource, gateway: {id, jwk}, workloads: [{alg, id, jwk}]} says what each step gave.
import { load } from './load.mjs';

const client = await load('openid-client');
const jose = await load('jose');
const WEB_CRYPTO = { EdDSA: { name: 'Ed25519' }, ES256: { name: 'ECDSA', namedCurve: 'P-256' } };

async function keys() {
  const fresh = async (alg) => {
    const { privateKey } = await crypto.subtle.generateKey(WEB_CRYPTO[alg], true, ['sign', 'verify']);
    const { kty, crv, x, y, d } = await crypto.subtle.exportKey('jwk', privateKey);
    return { kty, crv, x, y, d };
  };
  return { EdDSA: await fresh('EdDSA'), ES256: await fresh('ES256'), gateway: await fresh('EdDSA') };
}

async function configuration(task, { id, jwk, alg }, algorithm = 'oauth2') {
  const key = await crypto.subtle.importKey('jwk', jwk, WEB_CRYPTO[alg], false, ['sign']);
  return client.discovery(new URL(task.issuer), id, undefined, client.PrivateKeyJwt(key), {
    algorithm,
    execute: [client.allowInsecureRequests],
  });
}

async function run(task) {
  const gateway = await configuration(task, { ...task.gateway, alg: 'EdDSA' });
  const metadata = gateway.serverMetadata();
  const keySet = jose.createRemoteJWKSet(new URL(metadata.jwks_uri));
  const verify = async (token, options) => {
    try {
      const { payload, protectedHeader } = await jose.jwtVerify(token, keySet, { issuer: task.issuer, audience: task.resource, typ: 'at+jwt', ...options });
      return { payload, header: protectedHeader };
    } catch (error) {
      return { refused: error.code };
    }
  };
  const steps = {};
  for (const workload of task.workloads) {
    const own = await configuration(task, workload);
    // The same by the discovery of OpenID Connect, which is what the library looks for unless it is told otherwise.
    const discovered = (await configuration(task, workload, 'oidc')).serverMetadata();
    const granted = await client.clientCredentialsGrant(own, { resource: task.resource, scope: 'read' });
    const token = granted.access_token;
    const before = await client.tokenIntrospection(gateway, token);
    // A gateway may not revoke a workload's token; its own client may, as often as it likes.
    await client.tokenRevocation(gateway, token);
    const unimpressed = await client.tokenIntrospection(gateway, token);
    await client.tokenRevocation(own, token);
    await client.tokenRevocation(own, token);
    steps[workload.alg] = {
      granted: { ...granted, access_token: undefined },
      token,
      discovered: { issuer: discovered.issuer, keys: discovered.jwks_uri },
      verified: await verify(token, {}),
      misused: [await verify(token, { audience: 'https://other.internal' }), await verify(token, { issuer: `${task.issuer}x` }), await verify(token, { typ: 'JWT' })],
      before,
      unimpressed,
      after: await client.tokenIntrospection(gateway, token),
    };
    // What the library says when the server refuses.
    try {
      await client.clientCredentialsGrant(own, { resource: task.resource, scope: 'write' });
    } catch (error) {
      steps[workload.alg].refused = { error: error.error, status: error.status };
    }
  }
  return { metadata, steps };
}

const [command, task] = process.argv.slice(2);
console.log(JSON.stringify(command === 'keys' ? await keys() : await run(JSON.parse(task))));
