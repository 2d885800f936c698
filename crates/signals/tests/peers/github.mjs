// Reads [{event, payload}] and holds each payload against GitHub's schema of that event, as octokit publishes it; prints what breaks it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.TENURE_TEST_PEERS, "package.json"));
const Ajv = require("ajv").default;
// A few payloads are held against a very large schema: what ajv does for speed later would only cost time now.
const ajv = new Ajv({ strict: false, allErrors: true, inlineRefs: false, code: { optimize: false } });
require("ajv-formats").default(ajv);
const schema = JSON.parse(readFileSync(require.resolve("@octokit/webhooks-schemas/schema.json")));
ajv.addSchema(schema, "github");

const broken = [];
for (const { event, payload } of JSON.parse(readFileSync(0, "utf8"))) {
  const name = [`${event}$${payload.action}`, `${event}$event`].find((name) => name in schema.definitions);
  const validate = name && ajv.getSchema(`github#/definitions/${name}`);
  if (!validate) broken.push(`${event}: no schema`);
  else if (!validate(payload)) broken.push(`${name}: ${ajv.errorsText(validate.errors)}`);
}
console.log(JSON.stringify(broken));
