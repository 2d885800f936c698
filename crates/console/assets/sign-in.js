// Passkeys on the sign-in page (Web Authentication Level 3). The page has them hidden until this script can serve them:
// #passkey-sign-in and #passkey-register; what happens is said in #message.
'use strict';

(() => {
  const say = (text) => {
    document.getElementById('message').textContent = text;
  };

  // An invitation comes in the fragment, /sign-in#invitation=tnr_inv_…, which browsers send to nobody, and leaves the address bar at once. It is
  // filled in and not used: whoever sent the link must not decide whose sign-in this browser makes.
  const field = document.getElementById('invitation');
  const invitation = new URLSearchParams(location.hash.slice(1)).get('invitation');
  if (field && invitation) {
    history.replaceState(null, '', location.pathname + location.search);
    field.closest('details').open = true;
    field.value = invitation;
    field.form.querySelector('button').focus();
    say('You have an invitation. If you expected it, press “Use it”.');
  }

  const post = async (path, body) => {
    const answer = await fetch(path, {
      method: 'POST',
      credentials: 'same-origin',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      throw new Error(said.fields?.[0]?.hint ?? said.detail ?? said.hint ?? `The server answered ${answer.status}.`);
    }
    return said;
  };

  const signIn = async () => {
    const options = PublicKeyCredential.parseRequestOptionsFromJSON(await post('/sign-in/passkey/start', {}));
    const credential = await navigator.credentials.get({ publicKey: options });
    await post('/sign-in/passkey/finish', credential.toJSON());
  };

  const register = async () => {
    const options = PublicKeyCredential.parseCreationOptionsFromJSON(await post('/sign-in/passkey/register-start', {}));
    const credential = await navigator.credentials.create({ publicKey: options });
    // What tells several passkeys apart in one's list.
    const name = navigator.userAgentData?.platform || navigator.platform || 'passkey';
    await post('/sign-in/passkey/register-finish', { name: name.slice(0, 60), credential: credential.toJSON() });
  };

  const offer = (id, ceremony) => {
    const button = document.getElementById(id);
    if (!button || !window.PublicKeyCredential?.parseRequestOptionsFromJSON) return;
    button.hidden = false;
    button.addEventListener('click', async () => {
      button.disabled = true;
      say('Waiting for your passkey…');
      try {
        await ceremony();
        location.assign(button.dataset.returnTo);
      } catch (error) {
        // A browser doesn't say more, so that no page learns which passkeys somebody has.
        const silent = error.name === 'NotAllowedError';
        say(silent ? 'No passkey was used: it was cancelled, took too long, or none fits.' : error.message);
        button.disabled = false;
      }
    });
  };

  offer('passkey-sign-in', signIn);
  offer('passkey-register', register);
})();
