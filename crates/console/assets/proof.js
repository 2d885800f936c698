// Computes the root of the log from one entry's leaf hash and its audit path (RFC 9162 §2.1.3.2), and compares it with
// the root in the signed checkpoint on this page. The signature itself is checked by `tenure log verify`.
'use strict';

(async () => {
  const proof = document.getElementById('proof');
  const checkpoint = document.getElementById('checkpoint');
  const verdict = document.getElementById('verdict');
  if (!proof || !checkpoint || !globalThis.crypto?.subtle) return;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const node = async (left, right) => {
    const input = new Uint8Array(65);
    input.set([1]);
    input.set(left, 1);
    input.set(right, 33);
    return new Uint8Array(await crypto.subtle.digest('SHA-256', input));
  };

  // Sizes of logs are far below 2^53.
  let [at, last] = [Number(proof.dataset.index), Number(proof.dataset.size) - 1];
  let root = bytes(document.getElementById('leaf').textContent);
  for (const hash of [...proof.querySelectorAll('.path')].map((code) => bytes(code.textContent))) {
    if (at % 2 === 1 || at === last) {
      root = await node(hash, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else {
      root = await node(root, hash);
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }

  const [, size, signed] = checkpoint.textContent.split('\n');
  const equal = last === 0 && size === proof.dataset.size && bytes(signed).every((byte, n) => byte === root[n]);
  verdict.className = equal ? 'notice' : 'problem';
  verdict.textContent = equal
    ? 'Computed here, just now: the entry is in the log that the checkpoint below was signed for.'
    : 'This proof does NOT lead to the root that was signed. Keep this page and tell security.';
})();
