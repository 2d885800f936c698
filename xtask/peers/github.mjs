// What stands in for GitHub: the calls that the connector makes, with state, each answer held against GitHub's published
// OpenAPI description (@octokit/openapi) before it is sent. What an answer means is a reading of GitHub's documentation;
// it is no proof of what GitHub does. What is below /stand-in is the tests' own.
import { createPublicKey, createVerify, generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import Ajv from "ajv";
import formats from "ajv-formats";

const [port, certificate, key, description] = process.argv.slice(2);
// OpenAPI 3.0 has `nullable` also where no type is said, which JSON Schema can't read.
const api = JSON.parse(readFileSync(description), (_, part) => {
  if (part?.nullable !== true || part.type) return part;
  const { nullable, ...rest } = part;
  return { anyOf: [rest, { type: "null" }] };
});
const ajv = new Ajv({ strict: false, validateSchema: false, validateFormats: true });
formats(ajv);
ajv.addSchema(api, "api");

const URL_OF_DOCS = "https://docs.github.com/rest";
const orgs = new Map();
const apps = new Map();
const tokens = new Map();
let last = 1000;
const number = () => ++last;
const now = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

const user = (login, id = 1) => {
  const url = `https://api.github.com/users/${login}`;
  const under = (path) => `${url}/${path}`;
  return {
    login, id, node_id: "MDQ6VXNlcjE=", avatar_url: `https://avatars.example/${id}`, gravatar_id: "", url,
    html_url: `https://github.com/${login}`, followers_url: under("followers"), following_url: under("following{/other_user}"),
    gists_url: under("gists{/gist_id}"), starred_url: under("starred{/owner}{/repo}"), subscriptions_url: under("subscriptions"),
    organizations_url: under("orgs"), repos_url: under("repos"), events_url: under("events{/privacy}"),
    received_events_url: under("received_events"), type: "User", site_admin: false,
  };
};

const installation = (org, app, permissions, more = {}) => {
  const id = number();
  const url = `https://api.github.com/app/installations/${id}`;
  return {
    id, account: { ...user(org, 2), type: "Organization" }, repository_selection: "all", access_tokens_url: `${url}/access_tokens`,
    repositories_url: "https://api.github.com/installation/repositories", html_url: `https://github.com/organizations/${org}/settings/installations/${id}`,
    app_id: app.id, target_id: 2, target_type: "Organization", permissions, events: [], created_at: now(), updated_at: now(),
    single_file_name: null, app_slug: app.slug, suspended_by: null, suspended_at: null, ...more,
  };
};

const repository = (org, name) => {
  const url = `https://api.github.com/repos/${org}/${name}`;
  const templates = {};
  const required = api.components.schemas["minimal-repository"];
  for (const name of required.required.filter((name) => name.endsWith("_url"))) templates[name] = `${url}/${name}`;
  return {
    ...templates, id: number(), node_id: "R_1", name, full_name: `${org}/${name}`, owner: { ...user(org, 2), type: "Organization" },
    private: true, html_url: `https://github.com/${org}/${name}`, description: null, fork: false, url, hooks_url: `${url}/hooks`,
  };
};

// The same as it is told by itself: whatever else its description wants is there, and empty.
const whole = (of) => {
  const { required, properties } = api.components.schemas["full-repository"];
  const empty = (name) => {
    const said = properties[name];
    if (said.format === "date-time") return now();
    if (said.format === "uri") return `${of.url}/${name}`;
    return { string: "", boolean: false, integer: 0, array: [] }[said.type] ?? null;
  };
  return { ...Object.fromEntries(required.map((name) => [name, empty(name)])), ...of };
};

class Refusal extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    Object.assign(this, { status, headers });
  }
}

// Who asks: an app by its own JWT, or whoever has a token.
const caller = (request) => {
  const [scheme, secret] = (request.headers.authorization ?? "").split(" ");
  const bad = new Refusal(401, "Bad credentials");
  if (!/^bearer$/i.test(scheme) || !secret) throw bad;
  if (tokens.has(secret)) return { token: tokens.get(secret) };
  const [head, body, signature] = secret.split(".");
  if (!signature) throw bad;
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  const app = apps.get(String(claims.iss));
  if (!app) throw new Refusal(404, "Integration not found");
  const seconds = Date.now() / 1000;
  if (!createVerify("RSA-SHA256").update(`${head}.${body}`).verify(app.key, Buffer.from(signature, "base64url")))
    throw new Refusal(401, "A JSON web token could not be decoded");
  if (claims.exp - seconds > 600 || claims.exp <= seconds || claims.iat > seconds + 5)
    throw new Refusal(401, "'Expiration time' claim ('exp') is too far in the future");
  return { app };
};

const needs = (who, org, permission, level) => {
  if (!who.token) throw new Refusal(403, "Resource not accessible by integration");
  if (who.token.org !== org) throw new Refusal(404, "Not Found");
  const has = who.token.permissions[permission];
  if (has !== "write" && has !== level) throw new Refusal(403, `Resource not accessible by ${who.token.by}`);
};

const asApp = (who) => {
  if (!who.app) throw new Refusal(401, "A JSON web token could not be decoded");
  return who.app;
};

const org = (name) => orgs.get(name) ?? (() => { throw new Refusal(404, "Not Found"); })();
const repo = (owner, name) => org(owner).repositories.get(name) ?? (() => { throw new Refusal(404, "Not Found"); })();
// A repository by its number, whatever it is called.
const byId = (id) => {
  for (const [owner, { repositories }] of orgs)
    for (const one of repositories.values()) if (one.seen.id === Number(id)) return { owner, one };
  throw new Refusal(404, "Not Found");
};
// By its number: what is said of it is described as what is said of it by its name.
const numbered = (level, act) => (who, at, query) => {
  const { owner, one } = byId(at.id);
  needs(who, owner, "administration", level);
  return act(one, at, query);
};
const found = (keys, id) => keys.find((one) => one.id === Number(id)) ?? (() => { throw new Refusal(404, "Not Found"); })();
const page = (query, all) => {
  const size = Number(query.get("per_page") ?? 30);
  // A GitHub that answers with more than it is asked for.
  if (all.longer) return all.slice((Number(query.get("page") ?? 1) - 1) * size).slice(0, size + 1);
  return all.slice((Number(query.get("page") ?? 1) - 1) * size).slice(0, Math.min(size, 100));
};
const pats = "organization_personal_access_tokens";
const onlyApps = (who) => {
  if (who.token?.by === "personal access token") throw new Refusal(403, "Resource not accessible by personal access token");
};

const routes = {
  "GET /orgs/{org}/installation": (who, at) => [200, org(at.org).installations.find((one) => one.app_id === asApp(who).id) ?? (() => { throw new Refusal(404, "Not Found"); })()],
  "POST /app/installations/{installation_id}/access_tokens": (who, at) => {
    const app = asApp(who);
    const found = org(app.org).installations.find((one) => one.id === Number(at.installation_id) && one.app_id === app.id);
    if (!found) throw new Refusal(404, "Not Found");
    if (found.suspended_at) throw new Refusal(403, "This installation has been suspended");
    const token = `ghs_${randomBytes(18).toString("hex")}`;
    tokens.set(token, { org: app.org, permissions: found.permissions, by: "integration" });
    return [201, { token, expires_at: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z$/, "Z"), permissions: found.permissions, repository_selection: "all" }];
  },
  "GET /orgs/{org}/installations": (who, at, query) => {
    needs(who, at.org, "organization_administration", "read");
    const all = org(at.org).installations;
    return [200, { total_count: all.length, installations: page(query, all) }];
  },
  "GET /orgs/{org}/personal-access-tokens": (who, at, query) => {
    onlyApps(who);
    needs(who, at.org, pats, "read");
    return [200, page(query, org(at.org).pats)];
  },
  "POST /orgs/{org}/personal-access-tokens/{pat_id}": (who, at, query, body) => {
    onlyApps(who);
    needs(who, at.org, pats, "write");
    const one = org(at.org);
    if (body?.action !== "revoke") throw new Refusal(422, "Validation Failed");
    if (!one.pats.some((pat) => pat.id === Number(at.pat_id))) throw new Refusal(404, "Not Found");
    one.pats = one.pats.filter((pat) => pat.id !== Number(at.pat_id));
    return [204];
  },
  "GET /orgs/{org}/repos": (who, at, query) => {
    if (!who.token || who.token.org !== at.org) throw new Refusal(404, "Not Found");
    const all = [...org(at.org).repositories.values()].map((one) => one.seen);
    return [200, page(query, Object.assign(all, { longer: org(at.org).longer }))];
  },
  "GET /repositories/{id}": numbered("read", (one) => [200, whole(one.seen)]),
  "GET /repositories/{id}/keys": numbered("read", (one, at, query) => [200, page(query, one.keys)]),
  "GET /repositories/{id}/keys/{key_id}": numbered("read", (one, at) => [200, found(one.keys, at.key_id)]),
  "DELETE /repositories/{id}/keys/{key_id}": numbered("write", (one, at) => {
    one.keys.splice(one.keys.indexOf(found(one.keys, at.key_id)), 1);
    return [204];
  }),
  "GET /rate_limit": (who) => {
    if (!who.app && !who.token) throw new Refusal(401, "Bad credentials");
    const of = { limit: 5000, used: 1, remaining: 4999, reset: Math.floor(Date.now() / 1000) + 3600 };
    return [200, { resources: { core: of, search: of }, rate: of }];
  },
};

// The tests' own: an organisation with an app of its own, and whatever its people make.
const own = {
  "POST /stand-in/orgs": (body) => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const app = { id: number(), slug: body.slug, org: body.org, key: createPublicKey(publicKey.export({ type: "spki", format: "pem" })) };
    apps.set(String(app.id), app);
    const at = orgs.get(body.org) ?? { installations: [], pats: [], repositories: new Map() };
    orgs.set(body.org, at);
    const installed = installation(body.org, app, body.permissions);
    at.installations.push(installed);
    return { app_id: String(app.id), pem: privateKey.export({ type: "pkcs1", format: "pem" }), installation: installed.id };
  },
  "POST /stand-in/installations": (body) => {
    const made = installation(body.org, { id: number(), slug: body.slug }, body.permissions, body.suspended ? { suspended_at: now(), suspended_by: user("ada") } : {});
    org(body.org).installations.push(made);
    return { id: made.id };
  },
  "POST /stand-in/pats": (body) => {
    const id = number();
    const ends = body.ends_at ?? null;
    org(body.org).pats.push({
      id, owner: user(body.owner), repository_selection: "subset", repositories_url: `https://api.github.com/orgs/${body.org}/personal-access-tokens/${id}/repositories`,
      permissions: body.permissions, access_granted_at: now(), token_id: number(), token_name: body.name, token_expired: body.expired ?? false,
      token_expires_at: ends, token_last_used_at: body.last_used_at ?? null,
    });
    return { id };
  },
  "POST /stand-in/tokens": (body) => {
    const token = `github_pat_${randomBytes(18).toString("hex")}`;
    tokens.set(token, { org: body.org, permissions: body.permissions, by: "personal access token" });
    return { token };
  },
  "POST /stand-in/repositories": (body) => {
    const made = { seen: repository(body.org, body.name), keys: [] };
    org(body.org).repositories.set(body.name, made);
    return { id: made.seen.id };
  },
  "POST /stand-in/keys": (body) => {
    const id = number();
    const url = `https://api.github.com/repos/${body.org}/${body.repo}/keys/${id}`;
    repo(body.org, body.repo).keys.push({ id, key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", url, title: body.title, verified: true, created_at: now(), read_only: body.read_only, added_by: body.by, last_used: body.last_used ?? null, enabled: true });
    return { id };
  },
  "POST /stand-in/rename": (body) => {
    const { repositories } = org(body.org);
    const one = repo(body.org, body.from);
    repositories.delete(body.from);
    Object.assign(one.seen, { name: body.to, full_name: `${body.org}/${body.to}` });
    repositories.set(body.to, one);
    return {};
  },
  // Everything of it goes to another organisation.
  "POST /stand-in/transfer": (body) => {
    const one = repo(body.org, body.repo);
    one.seen.owner = { ...one.seen.owner, login: body.to };
    return {};
  },
  "POST /stand-in/longer": (body) => {
    const of = org(body.org);
    for (const list of [of.installations, of.pats, ...[...of.repositories.values()].map((one) => one.keys)]) list.longer = true;
    of.longer = true;
    return {};
  },
  "POST /stand-in/limits": (body) => {
    org(body.org).limited = body.kind;
    return {};
  },
  "POST /stand-in/contents": (body) => ({ installations: org(body.org).installations, pats: org(body.org).pats, repositories: [...org(body.org).repositories.values()] }),
};

const matched = (table, method, path) => {
  for (const [name, act] of Object.entries(table)) {
    const [wanted, template] = name.split(" ");
    const parts = template.split("/");
    const given = path.split("/");
    if (wanted !== method || parts.length !== given.length) continue;
    const at = {};
    const fits = parts.every((part, place) => {
      if (!part.startsWith("{")) return part === given[place];
      at[part.slice(1, -1)] = decodeURIComponent(given[place]);
      return true;
    });
    if (fits) return { act, at, template };
  }
  return null;
};

const compiled = new Map();
const problem = (asked, method, status, body) => {
  const template = asked.replace(/^\/repositories\/{id}/, "/repos/{owner}/{repo}");
  const name = `${method} ${template} ${status}`;
  if (!compiled.has(name)) {
    const escape = (part) => part.replaceAll("~", "~0").replaceAll("/", "~1");
    const said = api.paths[template][method.toLowerCase()].responses[status];
    const path = `paths/${escape(template)}/${method.toLowerCase()}/responses/${status}/content/application~1json/schema`;
    const schema = said?.content?.["application/json"] && { $ref: `api#/${encodeURI(path)}` };
    compiled.set(name, schema ? ajv.compile(schema) : said ? () => true : null);
  }
  const valid = compiled.get(name);
  if (valid === null) return status >= 300 ? null : `${name} isn't described`;
  return valid(body) ? null : `${name}: ${ajv.errorsText(valid.errors)}`;
};

const limited = (path) => {
  const name = /^\/(?:orgs|repos)\/([^/]+)/.exec(path)?.[1];
  switch (orgs.get(name)?.limited) {
    case "primary":
      throw new Refusal(403, "API rate limit exceeded for installation", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(Math.floor(Date.now() / 1000) + 60) });
    case "secondary":
      throw new Refusal(429, "You have exceeded a secondary rate limit", { "retry-after": "60" });
  }
};

const answer = (method, url, headers, body) => {
  const path = url.pathname;
  const ours = matched(own, method, path);
  if (ours) return [200, ours.act(body), {}];
  const found = matched(routes, method, path);
  try {
    if (!found) throw new Refusal(404, "Not Found");
    const who = caller({ headers });
    limited(path);
    const [status, said] = found.act(who, found.at, url.searchParams, body);
    const wrong = problem(found.template, method, status, said);
    return wrong ? [599, { message: wrong }, {}] : [status, said, {}];
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    const said = { message: refusal.message, documentation_url: URL_OF_DOCS, status: String(refusal.status) };
    const wrong = found && problem(found.template, method, refusal.status, said);
    return wrong ? [599, { message: wrong }, {}] : [refusal.status, said, refusal.headers];
  }
};

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    let [status, said, headers] = [500, { message: "the stand-in failed" }, {}];
    try {
      const text = Buffer.concat(parts).toString();
      [status, said, headers] = answer(request.method, new URL(request.url, "https://localhost"), request.headers, text ? JSON.parse(text) : null);
    } catch (error) {
      console.error(error);
    }
    if (status >= 500) console.error(request.method, request.url, said);
    response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
    response.end(said === undefined ? "" : JSON.stringify(said));
  });
}).listen(Number(port), "127.0.0.1");
