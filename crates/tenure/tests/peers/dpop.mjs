// What a stock client does about DPoP by itself (openid-client): the proof, the server's nonce, the second try, the token's use.
//
// Usage: `dpop.mjs TASK` with {issuer, resource, workload: {id, jwk}, evaluation, gateway, question} says what each step gave; the keys are
// Ed25519 JWKs, `gateway` like `workload`.
import { load } from './load.mjs';

const client = await load('openid-client');
const ED25519 = { name: 'Ed25519' };
const task = JSON.parse(process.argv[2]);

async function configuration({ id, jwk }) {
  const key = await crypto.subtle.importKey('jwk', jwk, ED25519, false, ['sign']);
  return client.discovery(new URL(task.issuer), id, { dpop_bound_access_tokens: true }, client.PrivateKeyJwt(key), {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  });
}

// What goes over the wire, by status: the library itself says nothing of its second tries.
const seen = [];
function watched(config) {
  config[client.customFetch] = async (url, options) => {
    const reply = await fetch(url, options);
    seen.push({ url: String(url), status: reply.status, proof: new Headers(options.headers).has('dpop') });
    return reply;
  };
  return config;
}

const own = watched(await configuration(task.workload));
const gateway = watched(await configuration(task.gateway));
const steps = {};
for (const [alg, name] of [['EdDSA', 'Ed25519'], ['ES256', 'ES256']]) {
  const pair = await client.randomDPoPKeyPair(name);
  const DPoP = client.getDPoPHandle(own, pair);
  const granted = await client.clientCredentialsGrant(own, { resource: task.resource, scope: 'read' }, { DPoP });
  const second = await client.clientCredentialsGrant(own, { resource: task.resource, scope: 'read' }, { DPoP });
  steps[alg] = { granted, second, thumbprint: await DPoP.calculateThumbprint() };
}

// The gateway's own token is bound too: with it, it asks as at any resource.
const pair = await client.randomDPoPKeyPair('ES256');
const DPoP = client.getDPoPHandle(gateway, pair);
const { access_token: token } = await client.clientCredentialsGrant(gateway, { resource: task.resource, scope: 'enforce' }, { DPoP });
const question = { ...task.question, subject: { ...task.question.subject, properties: { access_token: steps.EdDSA.granted.access_token, cnf: { jkt: steps.EdDSA.thumbprint } } } };
const headers = new Headers({ 'content-type': 'application/json' });
const reply = await client.fetchProtectedResource(gateway, token, new URL(task.evaluation), 'POST', JSON.stringify(question), headers, { DPoP });
steps.evaluated = { status: reply.status, body: await reply.json() };
try {
  const bearer = await client.fetchProtectedResource(gateway, token, new URL(task.evaluation), 'POST', JSON.stringify(question), headers);
  steps.stolen = { status: bearer.status };
} catch (error) {
  steps.stolen = { status: error.status, challenges: error.cause?.map(({ scheme, parameters }) => ({ scheme, error: parameters.error })) };
}
steps.seen = seen;
console.log(JSON.stringify(steps));
