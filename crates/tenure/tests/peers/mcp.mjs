// What an MCP client does as a machine: it asks a server for a tool, is told where to get a token, proves itself by its own key and calls the tool.
//
// Usage: `mcp.mjs TASK` with {package: "sdk" | "client", server, issuer, id, pem | jwk, alg, scope?, tool} says {text} or {failed}.
import { loadPart } from './load.mjs';

const task = JSON.parse(process.argv[2]);

async function parts() {
  if (task.package === 'client') return loadPart('@modelcontextprotocol/client');
  const files = ['client/index.js', 'client/streamableHttp.js', 'client/auth-extensions.js'];
  const [client, transport, auth] = await Promise.all(files.map((file) => loadPart(`@modelcontextprotocol/sdk/${file}`)));
  return { ...client, ...transport, ...auth };
}

const { Client, StreamableHTTPClientTransport, PrivateKeyJwtProvider } = await parts();
const authProvider = new PrivateKeyJwtProvider({
  clientId: task.id,
  privateKey: task.pem ?? task.jwk,
  algorithm: task.alg,
  expectedIssuer: task.issuer,
  scope: task.scope,
});
try {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(task.server), { authProvider }));
  const answer = await client.callTool({ name: task.tool, arguments: {} });
  await client.close();
  console.log(JSON.stringify({ text: answer.content[0].text }));
} catch (error) {
  console.log(JSON.stringify({ failed: String(error) }));
}
