// What the console does in the browser: keys, and times in the reader's zone. Every page works without it.
'use strict';

(() => {
  // Times: the title gets the reader's zone; what is relative goes on while the page stands open.
  const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const UNITS = [['year', 31557600, 2], ['month', 2629800, 2], ['day', 86400, 2], ['hour', 3600, 1], ['minute', 60, 1]];
  const relative = (seconds) => {
    const length = Math.abs(seconds);
    if (length < 45) return 'just now';
    const [name, unit] = UNITS.find(([, unit, least]) => length >= unit * least) ?? ['second', 1];
    const count = Math.floor(length / unit);
    const text = `${count} ${name}${count === 1 ? '' : 's'}`;
    return seconds > 0 ? `in ${text}` : `${text} ago`;
  };
  // The server's clock is what the page was made by: a browser's own may be wrong.
  const made = Date.parse(document.querySelector('time[data-exact]')?.dateTime ?? '') || Date.now();
  const loaded = performance.now();
  const tell = () => {
    const now = made + (performance.now() - loaded);
    for (const time of document.querySelectorAll('time[datetime]')) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (time.dataset.exact !== undefined) time.textContent = zoned.format(at);
      else time.textContent = relative(Math.trunc((at - now) / 1000));
      time.title = zoned.format(at);
    }
  };
  tell();
  setInterval(tell, 30000);

  // Keys.
  const help = document.getElementById('keys');
  const showHelp = () => help?.showModal();
  const button = document.getElementById('show-keys');
  if (button && help) {
    button.hidden = false;
    button.addEventListener('click', showHelp);
  }
  const search = document.getElementById('search');
  const rows = () => [...document.querySelectorAll('main tbody tr, main .work > li')].map((row) => row.querySelector('a')).filter(Boolean);
  const move = (by) => {
    const links = rows();
    const at = links.findIndex((link) => link.closest('tr, li')?.contains(document.activeElement));
    const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)];
    next?.focus();
  };
  let going = 0;
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.('input, textarea, select, dialog[open], [contenteditable]')) return;
    const went = Date.now() - going < 1500;
    going = 0;
    if (went) {
      const place = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
      if (place) {
        event.preventDefault();
        location.assign(place.href);
      }
      return;
    }
    const deeds = {
      '/': () => search?.focus(),
      '?': showHelp,
      '!': () => location.assign('/stop'),
      g: () => { going = Date.now(); },
      j: () => move(1),
      k: () => move(-1),
    };
    const deed = deeds[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
    if (event.key === '/') search?.select();
  });

  // What is still going on is told as it comes in. Only what differs is put in its place: focus stays where it is, and
  // what is read out is what is new.
  const hasWords = (node) => [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
  const isAlike = (one, other) => one.cloneNode(false).isEqualNode(other.cloneNode(false));
  const renew = (old, next) => {
    if (old.isEqualNode(next)) return;
    if (!isAlike(old, next) || !next.children.length || hasWords(next) || hasWords(old)) {
      old.replaceWith(next);
      return;
    }
    renewInside(old, next);
  };
  const renewInside = (old, next) => {
    const [now, then] = [[...old.children], [...next.children]];
    then.forEach((child, n) => { if (now[n]) renew(now[n], child); else old.append(child); });
    now.slice(then.length).forEach((child) => child.remove());
  };
  // Shows a part as it is now; whether it still changes.
  const show = (live, html) => {
    const next = new DOMParser().parseFromString(html, 'text/html').querySelector('main > div, body > div');
    if (!next) return true;
    if (!next.dataset.live) delete live.dataset.live;
    renewInside(live, next);
    tell();
    return next.dataset.live !== undefined;
  };
  const follow = (live) => {
    // A page that nobody looks at holds no connection: over HTTP/1.1 a browser has six.
    if (document.hidden) {
      document.addEventListener('visibilitychange', () => follow(live), { once: true });
      return;
    }
    const source = new EventSource(live.dataset.live);
    const away = () => {
      if (!document.hidden) return;
      stop();
      follow(live);
    };
    const stop = () => {
      source.close();
      document.removeEventListener('visibilitychange', away);
    };
    document.addEventListener('visibilitychange', away);
    source.addEventListener('message', (event) => { if (!show(live, event.data)) stop(); });
    source.addEventListener('error', () => {
      // A connection that was lost the browser opens again; one that was refused is said by the page itself.
      if (source.readyState !== EventSource.CLOSED) return;
      stop();
      setTimeout(() => readAgain(live), 5000);
    });
  };
  const readAgain = async (live) => {
    try {
      const answer = await fetch(location.href, { credentials: 'same-origin', redirect: 'manual' });
      const isRefused = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
      if (answer.type === 'opaqueredirect' || isRefused) return location.reload();
      if (answer.ok && !show(live, await answer.text())) return undefined;
    } catch {
      // The server is away for the moment.
    }
    return follow(live);
  };
  const live = document.querySelector('[data-live]');
  if (live) follow(live);

  // What is done some at a time goes on by itself; whoever leaves the page ends it there.
  const goesOn = document.querySelector('form[data-goes-on]');
  if (goesOn) setTimeout(() => goesOn.requestSubmit(goesOn.querySelector('button')), 250);

  // What stands open in the head closes when one goes elsewhere.
  document.addEventListener('click', (event) => {
    for (const open of document.querySelectorAll('.account[open]')) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
})();
