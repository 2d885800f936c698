// A stock client that asks for more while it runs: openid-client's backchannel authentication.
//
// Usage: ciba.mjs TASK with {issuer, id, jwk, details, message}. Says {"waits"} once it has asked, then polls by itself, and says {"granted"} or
// {"refused"}.
import { load } from './load.mjs';

const client = await load('openid-client');
const task = JSON.parse(process.argv[2]);
const key = await crypto.subtle.importKey('jwk', task.jwk, { name: 'Ed25519' }, false, ['sign']);
const configuration = await client.discovery(new URL(task.issuer), task.id, undefined, client.PrivateKeyJwt(key), {
  algorithm: 'oauth2',
  execute: [client.allowInsecureRequests],
});
const waits = await client.initiateBackchannelAuthentication(configuration, {
  scope: 'openid',
  login_hint: 'the library demands one',
  binding_message: task.message,
  authorization_details: JSON.stringify(task.details),
});
console.log(JSON.stringify({ waits, modes: configuration.serverMetadata().backchannel_token_delivery_modes_supported }));
try {
  console.log(JSON.stringify({ granted: await client.pollBackchannelAuthenticationGrant(configuration, waits) }));
} catch (error) {
  console.log(JSON.stringify({ refused: error.error, status: error.status }));
}
