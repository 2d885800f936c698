// The packages that `cargo xtask peers` installed; their folder comes from the test that starts the script.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export async function load(name) {
  const folder = join(process.env.TENURE_TEST_PEERS, 'node_modules', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json')));
  const main = manifest.main ?? manifest.exports['.'].node.import;
  return import(pathToFileURL(join(folder, main)).href);
}
