// What stands in for GitLab: the calls that the connector makes, with state. It is a reading of GitLab's documentation
// (GitLab publishes no description of these that a registry has), whose shapes python-gitlab reads too; it is no proof of
// what GitLab does. What is below /stand-in is the tests' own.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [port, certificate, key] = process.argv.slice(2);
const groups = new Map();
const projects = new Map();
const tokens = new Map();
const limited = new Set();
let last = 100;
const number = () => ++last;
const now = () => new Date().toISOString();

class Refusal extends Error {
  constructor(status, message, body) {
    super(message);
    Object.assign(this, { status, body: body ?? { message } });
  }
}

const accessToken = (body) => {
  const secret = `glpat-${randomBytes(15).toString("base64url")}`;
  const one = {
    id: number(), user_id: number(), name: body.name, description: body.description ?? null, scopes: body.scopes, access_level: body.level,
    created_at: now(), expires_at: body.expires_at ?? null, last_used_at: body.last_used_at ?? null, active: !body.revoked, revoked: body.revoked ?? false,
  };
  return { one, secret };
};

const group = (id) => {
  const found = [...groups.values()].find((one) => String(one.seen.id) === id || one.seen.full_path === id);
  if (!found) throw new Refusal(404, "404 Group Not Found");
  return found;
};
const project = (id) => {
  const found = projects.get(Number(id));
  if (!found) throw new Refusal(404, "404 Project Not Found");
  return found;
};
const top = (one) => (one.parent ? top(one.parent) : one);

// Who asks, and whether the token reaches this place: its own group and all below it.
const caller = (headers) => {
  const found = tokens.get(headers["private-token"] ?? (headers.authorization ?? "").replace(/^Bearer /, ""));
  if (!found || found.one.revoked) throw new Refusal(401, "401 Unauthorized");
  if (limited.has(headers["private-token"])) throw new Refusal(429, "Retry later", "Retry later\n");
  return found;
};
const mayIn = (who, place, writes) => {
  const within = top(place.group ?? place) === top(who.at.group ?? who.at);
  if (!within) throw new Refusal(404, place.group ? "404 Project Not Found" : "404 Group Not Found");
  if (writes && !who.one.scopes.includes("api"))
    throw new Refusal(403, "insufficient_scope", { error: "insufficient_scope", error_description: "The request requires higher privileges than provided by the access token.", scope: "api" });
  return place;
};
const owner = (who, place, writes) => {
  mayIn(who, place, writes);
  if (who.one.access_level < 50) throw new Refusal(403, "403 Forbidden");
  return place;
};
const page = (query, all) => {
  const size = Math.min(Number(query.get("per_page") ?? 20), 100);
  const at = Number(query.get("page") ?? 1);
  // A GitLab that answers with more than it is asked for.
  const list = all.slice((at - 1) * size, at * size + (query.longer ? 1 : 0));
  return Object.assign(list, { next: at * size < all.length ? at + 1 : undefined });
};
const one = (all, id, what) => {
  const found = all.find((one) => one.id === Number(id));
  if (!found) throw new Refusal(404, `404 ${what} Not Found`);
  return found;
};
const active = (query, all) => all.filter((one) => query.get("state") !== "active" || one.active);
const place = (at) => (at.kind === "groups" ? group(at.id) : project(at.id));
const below = (one) => [...groups.values()].filter((other) => other.parent === one).flatMap((other) => [other, ...below(other)]);

const routes = {
  "GET personal_access_tokens/self": (who) => who.one,
  "GET groups/{id}": (who, at) => mayIn(who, group(at.id)).seen,
  "GET projects/{id}": (who, at) => mayIn(who, project(at.id)).seen,
  "GET groups/{id}/descendant_groups": (who, at, query) => page(query, below(mayIn(who, group(at.id))).map((one) => one.seen)),
  "GET groups/{id}/projects": (who, at, query) => {
    const within = [mayIn(who, group(at.id)), ...below(group(at.id))];
    return page(query, [...projects.values()].filter((one) => within.includes(one.group)).map((one) => one.seen));
  },
  "GET {kind}/{id}/access_tokens": (who, at, query) => page(query, active(query, owner(who, place(at)).tokens)),
  "GET {kind}/{id}/access_tokens/{one}": (who, at) => one(owner(who, place(at)).tokens, at.one, "Token"),
  "DELETE {kind}/{id}/access_tokens/{one}": (who, at) => {
    const found = one(owner(who, place(at), true).tokens, at.one, "Token");
    if (found.revoked) throw new Refusal(404, "404 Could not find access token Not Found");
    Object.assign(found, { revoked: true, active: false });
  },
  "GET {kind}/{id}/deploy_tokens": (who, at, query) => page(query, owner(who, place(at)).deployTokens),
  "GET {kind}/{id}/deploy_tokens/{one}": (who, at) => one(owner(who, place(at)).deployTokens, at.one, "Deploy Token"),
  "DELETE {kind}/{id}/deploy_tokens/{one}": (who, at) => {
    const of = owner(who, place(at), true);
    one(of.deployTokens, at.one, "Deploy Token");
    of.deployTokens = of.deployTokens.filter((token) => token.id !== Number(at.one));
  },
  "GET projects/{id}/deploy_keys": (who, at, query) => page(query, owner(who, project(at.id)).deployKeys),
  "GET projects/{id}/deploy_keys/{one}": (who, at) => one(owner(who, project(at.id)).deployKeys, at.one, "Deploy Key"),
  "DELETE projects/{id}/deploy_keys/{one}": (who, at) => {
    const of = owner(who, project(at.id), true);
    one(of.deployKeys, at.one, "Deploy Key");
    of.deployKeys = of.deployKeys.filter((key) => key.id !== Number(at.one));
  },
  "GET groups/{id}/service_accounts": (who, at, query) => {
    const of = owner(who, group(at.id));
    if (of.parent) throw new Refusal(400, "400 Bad request - Group must be a top level group.");
    return page(query, of.services.map((one) => one.seen));
  },
  "GET groups/{id}/service_accounts/{user}/personal_access_tokens": (who, at, query) =>
    page(query, owner(who, group(at.id)).services.find((one) => one.seen.id === Number(at.user)).tokens),
  "DELETE groups/{id}/service_accounts/{user}/personal_access_tokens/{one}": (who, at) => {
    const found = one(owner(who, group(at.id), true).services.find((one) => one.seen.id === Number(at.user)).tokens, at.one, "Token");
    Object.assign(found, { revoked: true, active: false });
  },
};

const made = (path, parent) => {
  const full = parent ? `${parent.seen.full_path}/${path}` : path;
  const one = { seen: { id: number(), name: path, path, full_path: full, parent_id: parent?.seen.id ?? null, visibility: "private" }, parent, tokens: [], deployTokens: [], services: [] };
  groups.set(one.seen.id, one);
  return one;
};
const give = (at, body) => {
  const { one, secret } = accessToken(body);
  at.tokens.push(one);
  tokens.set(secret, { one, at });
  return { id: one.id, token: secret };
};
const at = (body) => (body.of === "project" ? projects.get(body.in) : groups.get(body.in));

// The tests' own.
const own = {
  groups: (body) => {
    const one = made(body.path);
    const { id, token } = give(one, { name: "tenure", ...body });
    return { id: one.seen.id, token, token_id: id };
  },
  subgroups: (body) => ({ id: made(body.path, groups.get(body.group)).seen.id }),
  projects: (body) => {
    const of = groups.get(body.group);
    const seen = { id: number(), name: body.path, path: body.path, path_with_namespace: `${of.seen.full_path}/${body.path}`, visibility: "private" };
    projects.set(seen.id, { seen, group: of, tokens: [], deployTokens: [], deployKeys: [] });
    return { id: seen.id };
  },
  tokens: (body) => give(at(body), body),
  deploy_tokens: (body) => {
    const one = { id: number(), name: body.name, username: `gitlab+deploy-token-${last}`, expires_at: null, scopes: body.scopes, revoked: false, expired: false };
    at(body).deployTokens.push(one);
    return { id: one.id };
  },
  deploy_keys: (body) => {
    const one = { id: number(), title: body.title, key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", fingerprint: "00:11", created_at: now(), expires_at: null, can_push: body.can_push };
    projects.get(body.in).deployKeys.push(one);
    return { id: one.id };
  },
  service_accounts: (body) => {
    const seen = { id: number(), name: body.username, username: body.username, email: `${body.username}@noreply.gitlab.example` };
    groups.get(body.group).services.push({ seen, tokens: [] });
    return { id: seen.id };
  },
  service_tokens: (body) => {
    const { one } = accessToken(body);
    groups.get(body.group).services.find((one) => one.seen.id === body.user).tokens.push(one);
    return { id: one.id };
  },
  limits: (body) => (limited.add(body.token), {}),
  // What is wrong with a GitLab as a group's tokens see it: pages that are longer than they are asked for, lists that it
  // tells nothing of.
  faults: (body) => (Object.assign(groups.get(body.group), { longer: body.longer, untold: body.untold }), {}),
  contents: (body) => {
    const all = [groups.get(body.group), ...below(groups.get(body.group))];
    const within = [...projects.values()].filter((one) => all.includes(one.group));
    return all.concat(within).map(({ seen, tokens, deployTokens, deployKeys, services }) => ({ seen, tokens, deployTokens, deployKeys, services }));
  },
};

const matched = (method, path) => {
  for (const [name, act] of Object.entries(routes)) {
    const [wanted, template] = name.split(" ");
    const [parts, given] = [template.split("/"), path.split("/")];
    if (wanted !== method || parts.length !== given.length) continue;
    const at = {};
    const fits = parts.every((part, place) => {
      if (!part.startsWith("{")) return part === given[place];
      at[part.slice(1, -1)] = decodeURIComponent(given[place]);
      return true;
    });
    if (fits && (at.kind === undefined || ["groups", "projects"].includes(at.kind))) return { act, at };
  }
  throw new Refusal(404, "404 Not Found", { error: "404 Not Found" });
};

const answer = (method, url, headers, body) => {
  if (url.pathname.startsWith("/stand-in/")) return [200, own[url.pathname.slice("/stand-in/".length)](body)];
  try {
    const { act, at } = matched(method, url.pathname.replace(/^\/api\/v4\//, ""));
    const who = caller(headers);
    if (who.at.untold && url.pathname.endsWith(`/${who.at.untold}`)) throw new Refusal(404, "404 Not Found");
    const said = act(who, at, Object.assign(url.searchParams, { longer: who.at.longer }));
    return said === undefined ? [204, ""] : [200, said];
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    return [refusal.status, refusal.body];
  }
};

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    let [status, said] = [500, { message: "500 Internal Server Error" }];
    try {
      const text = Buffer.concat(parts).toString();
      [status, said] = answer(request.method, new URL(request.url, "https://localhost"), request.headers, text ? JSON.parse(text) : null);
    } catch (error) {
      console.error(error);
    }
    const headers = { "content-type": typeof said === "string" ? "text/plain" : "application/json" };
    if (status === 429) headers["retry-after"] = "60";
    if (said.next) {
      const next = new URL(request.url, `https://localhost:${port}`);
      next.searchParams.set("page", said.next);
      Object.assign(headers, { link: `<${next}>; rel="next"`, "x-next-page": String(said.next) });
    }
    response.writeHead(status, headers);
    response.end(typeof said === "string" ? said : JSON.stringify(said));
  });
}).listen(Number(port), "127.0.0.1");
