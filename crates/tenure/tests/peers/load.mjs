// The packages that `cargo xtask peers` installed; their folder comes from the test that starts the script.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export async function load(name) {
  const folder = join(process.env.TENURE_TEST_PEERS, 'node_modules', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json')));
  const main = manifest.main ?? manifest.exports['.'].node.import;
  return import(pathToFileURL(join(folder, main)).href);
}

// A module of a package by the name that the package exports it under.
export async function loadPart(name) {
  const path = createRequire(join(process.env.TENURE_TEST_PEERS, 'package.json')).resolve(name);
  return import(pathToFileURL(path).href);
}
