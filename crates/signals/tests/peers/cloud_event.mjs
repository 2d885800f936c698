// Makes a structured CloudEvent with the CNCF's SDK from the attributes on stdin; prints its headers and its body.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.TENURE_TEST_PEERS, "package.json"));
const { CloudEvent, HTTP } = require("cloudevents");

const { headers, body } = HTTP.structured(new CloudEvent(JSON.parse(readFileSync(0, "utf8"))));
console.log(JSON.stringify({ headers, body }));
