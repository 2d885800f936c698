//! What an OpenBao says of its accounts: tokens by their accessors, AppRoles, entities, and leases, irrevocable ones among
//! them as the live logins that they are.
//!
//! Tokens are joined with their entities: a token whose entity is disabled or deleted is refused, which the look-up of
//! the token says nothing of. The server lists accessors in one answer; a scan asks for it once and looks each of them up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{AccountSort, ConnectorError, Found, MAX_FOUND, SeenAccount, words};

use super::api::{Api, text, texts};
use super::key::Key;

/// Look-ups that are under way at once.
const AT_ONCE: usize = 16;
/// How deep paths of leases are followed.
const MAX_DEPTH: usize = 8;
/// Leases that one scan finds at most.
const MAX_LEASES: usize = 20_000;
/// Tokens that one scan finds at most.
const MAX_TOKENS: usize = 200_000;
/// Scans whose list of accessors is kept.
const MAX_SCANS: usize = 8;
/// What an entity is told by as held by us.
pub(super) const HELD: &str = "tenure_held";
/// What an entity is told by as made by us: for whom.
pub(super) const MADE_FOR: &str = "tenure";

/// Lists of accessors, sorted, by the target that has them: each is one answer of the server's for a whole scan.
#[derive(Debug, Default)]
pub(super) struct Accessors(Mutex<HashMap<String, Arc<Vec<String>>>>);

impl Accessors {
    /// The list of a scan: a new one at its beginning, that one until its end.
    async fn of(&self, api: &Api<'_>, target: &str, begins: bool) -> Result<Arc<Vec<String>>, ConnectorError> {
        if !begins && let Some(known) = self.0.lock().get(target) {
            return Ok(Arc::clone(known));
        }
        let mut list = api.list(&["auth", "token", "accessors"]).await?;
        list.sort_unstable();
        // One more than are told says that there are more.
        list.truncate(MAX_TOKENS + 1);
        let list = Arc::new(list);
        let mut lists = self.0.lock();
        if lists.len() >= MAX_SCANS {
            lists.clear();
        }
        lists.insert(target.to_owned(), Arc::clone(&list));
        Ok(list)
    }

    fn forget(&self, target: &str) {
        self.0.lock().remove(target);
    }
}

/// The parts of a scan, in their order.
const PARTS: [&str; 4] = ["token", "role", "entity", "lease"];

/// Accounts behind a place: `token:` and an accessor, and so on through the parts.
pub(super) async fn discover(
    api: &Api<'_>,
    accessors: &Accessors,
    target: &str,
    after: Option<&str>,
) -> Result<Found, ConnectorError> {
    let (part, behind) = match after {
        None => ("token", ""),
        Some(place) => place.split_once(':').ok_or_else(|| {
            ConnectorError::Misconfigured("there is no such place in the list of accounts".to_owned())
        })?,
    };
    let mut found = Found::default();
    let keys: Vec<Key> = match part {
        "token" => {
            let list = accessors.of(api, target, after.is_none()).await?;
            let from = list.partition_point(|accessor| accessor.as_str() <= behind);
            if list.len() > MAX_TOKENS {
                found.unseen.push(format!("tokens beyond {MAX_TOKENS}"));
            }
            list.iter().take(MAX_TOKENS).skip(from).cloned().map(Key::Token).collect()
        }
        "role" => sorted(roles(api).await?, behind),
        "entity" => {
            sorted(api.list(&["identity", "entity", "id"]).await?.into_iter().map(Key::Entity).collect(), behind)
        }
        _ => {
            let mut leases = Vec::new();
            if !leases_below(api, &mut leases).await? {
                found.unseen.push(format!("leases beyond {MAX_LEASES}, and paths deeper than {MAX_DEPTH}"));
            }
            sorted(leases.into_iter().map(Key::Lease).collect(), behind)
        }
    };
    let own = Own::of(api).await?;
    let keys: Vec<Key> = keys.into_iter().filter(|key| !own.has(key)).collect();
    let more = keys.len() > MAX_FOUND;
    let page: Vec<Key> = keys.into_iter().take(MAX_FOUND).collect();
    found.next = match page.last() {
        Some(last) if more => Some(last.to_string()),
        _ => PARTS.iter().skip_while(|known| **known != part).nth(1).map(|next| format!("{next}:")),
    };
    if part == "token" && found.next.as_deref() == Some("role:") {
        accessors.forget(target);
    }
    let irrevocable = if part == "lease" { irrevocable(api).await? } else { BTreeMap::new() };
    let entities = if part == "token" { Disabled::default() } else { Disabled::unasked() };
    let accounts = stream::iter(page).map(|key| read(api, key, &irrevocable, &entities)).buffered(AT_ONCE);
    let accounts: Vec<Option<SeenAccount>> = accounts.try_collect().await?;
    found.accounts = accounts.into_iter().flatten().filter(|account| !own.is_beside(account)).collect();
    Ok(found)
}

/// What the connector itself signs in with: its token, and its AppRole with the entity of that. It is governed as the
/// connector's identity, and none that is found: a look that logged in would find itself each time.
struct Own {
    accessor: String,
    entity: String,
    role: Option<(String, String)>,
}

impl Own {
    async fn of(api: &Api<'_>) -> Result<Self, ConnectorError> {
        let told = api.ask("GET", &["auth", "token", "lookup-self"], None).await?.done()?;
        let mount = text(&told, "/data/path").strip_prefix("auth/").and_then(|path| path.strip_suffix("/login"));
        let role = text(&told, "/data/meta/role_name");
        Ok(Self {
            accessor: text(&told, "/data/accessor").to_owned(),
            entity: text(&told, "/data/entity_id").to_owned(),
            role: mount.filter(|_| !role.is_empty()).map(|mount| (mount.to_owned(), role.to_owned())),
        })
    }

    fn has(&self, key: &Key) -> bool {
        match key {
            Key::Token(accessor) => *accessor == self.accessor,
            Key::Role(mount, name) => {
                self.role.as_ref().is_some_and(|(own_mount, own)| own_mount == mount && own == name)
            }
            Key::Entity(id) => !self.entity.is_empty() && *id == self.entity,
            Key::Lease(_) => false,
        }
    }

    /// Whether it is a token of what it does there at the same time.
    fn is_beside(&self, account: &SeenAccount) -> bool {
        account.sort == AccountSort::Token
            && !self.entity.is_empty()
            && account.marks.get("entity").is_some_and(|entity| *entity == self.entity)
    }
}

fn sorted(mut keys: Vec<Key>, behind: &str) -> Vec<Key> {
    let place = |key: &Key| key.to_string().split_once(':').map(|(_, place)| place.to_owned()).unwrap_or_default();
    keys.sort_by_cached_key(place);
    keys.retain(|key| place(key).as_str() > behind);
    keys
}

/// The roles of every AppRole method.
async fn roles(api: &Api<'_>) -> Result<Vec<Key>, ConnectorError> {
    let methods = api.ask("GET", &["sys", "auth"], None).await?.done()?;
    let mut roles = Vec::new();
    for (path, method) in methods.get("data").and_then(Value::as_object).into_iter().flatten() {
        if text(method, "/type") != "approle" {
            continue;
        }
        let mount = path.trim_end_matches('/');
        let mut list = vec!["auth"];
        list.extend(mount.split('/'));
        list.push("role");
        roles.extend(api.list(&list).await?.into_iter().map(|name| Key::Role(mount.to_owned(), name)));
    }
    Ok(roles)
}

/// All leases but those of tokens; false if there are more.
async fn leases_below(api: &Api<'_>, leases: &mut Vec<String>) -> Result<bool, ConnectorError> {
    let mut complete = true;
    let mut paths = vec![String::new()];
    while let Some(path) = paths.pop() {
        let mut segments = vec!["sys", "leases", "lookup"];
        segments.extend(path.split('/').filter(|part| !part.is_empty()));
        // The server tells the list of a path from a look-up by the slash at its end.
        segments.push("");
        for key in api.list(&segments).await? {
            let below = format!("{path}{key}");
            if path.is_empty() && key == "auth/" {
                continue;
            }
            if !key.ends_with('/') {
                leases.push(below);
            } else if below.matches('/').count() <= MAX_DEPTH {
                paths.push(below);
            } else {
                complete = false;
            }
            if leases.len() >= MAX_LEASES {
                return Ok(false);
            }
        }
    }
    Ok(complete)
}

/// Leases that the server gave up to revoke, and what the last try came to. No log of the server's says so.
async fn irrevocable(api: &Api<'_>) -> Result<BTreeMap<String, String>, ConnectorError> {
    let query = [("type", "irrevocable"), ("limit", "none")];
    let body = api.ask_with("GET", &["sys", "leases"], &query, None).await?.done()?;
    let leases = body.pointer("/data/leases").and_then(Value::as_array).into_iter().flatten();
    Ok(leases.map(|lease| (text(lease, "/lease_id").to_owned(), words(text(lease, "/error")))).collect())
}

/// Whether entities let their tokens in, asked once for each.
#[derive(Default)]
pub(super) struct Disabled {
    known: Mutex<HashMap<String, bool>>,
    unasked: bool,
}

impl Disabled {
    fn unasked() -> Self {
        Self { unasked: true, ..Self::default() }
    }

    async fn refuses(&self, api: &Api<'_>, entity: &str) -> Result<bool, ConnectorError> {
        if entity.is_empty() || self.unasked {
            return Ok(false);
        }
        if let Some(known) = self.known.lock().get(entity) {
            return Ok(*known);
        }
        let found = entity_by_id(api, entity).await?;
        // A token whose entity is gone is refused as well.
        let refuses = found.is_none_or(|found| is_disabled(&found));
        self.known.lock().insert(entity.to_owned(), refuses);
        Ok(refuses)
    }
}

/// One account, as it stands.
pub(super) async fn read_one(api: &Api<'_>, key: Key) -> Result<Option<SeenAccount>, ConnectorError> {
    let irrevocable = if matches!(key, Key::Lease(_)) { irrevocable(api).await? } else { BTreeMap::new() };
    read(api, key, &irrevocable, &Disabled::default()).await
}

async fn read(
    api: &Api<'_>,
    key: Key,
    irrevocable: &BTreeMap<String, String>,
    entities: &Disabled,
) -> Result<Option<SeenAccount>, ConnectorError> {
    match &key {
        Key::Token(accessor) => {
            let Some(token) = token(api, accessor).await? else { return Ok(None) };
            let refused = entities.refuses(api, text(&token, "/entity_id")).await?;
            Ok(Some(token_account(&key, accessor, &token, refused)))
        }
        Key::Role(mount, name) => {
            let Some(role) = api.ask("GET", &role_path(mount, name, &[]), None).await?.found()? else {
                return Ok(None);
            };
            let entity = entity_of(api, mount, name).await?;
            let policies = policies(texts(&role, "/data/token_policies"));
            let mut account = account(&key, name, AccountSort::Role, policies);
            account.enabled = !entity.as_ref().is_some_and(is_disabled);
            if let Some(made_for) = entity.as_ref().and_then(made_for) {
                account.marks.insert("tenure".to_owned(), words(made_for));
            }
            account.marks.insert("mount".to_owned(), words(mount));
            Ok(Some(account))
        }
        Key::Entity(id) => {
            let Some(entity) = entity_by_id(api, id).await? else { return Ok(None) };
            let aliases = entity.get("aliases").and_then(Value::as_array).into_iter().flatten();
            let aliases: Vec<_> =
                aliases.map(|alias| format!("{}{}", text(alias, "/mount_path"), text(alias, "/name"))).collect();
            let mut account =
                account(&key, text(&entity, "/name"), AccountSort::Login, policies(texts(&entity, "/policies")));
            account.enabled = !is_disabled(&entity);
            account.made_at = text(&entity, "/creation_time").parse().ok();
            account.marks.insert("aliases".to_owned(), words(&aliases.join(", ")));
            for (name, value) in entity.get("metadata").and_then(Value::as_object).into_iter().flatten().take(16) {
                account.marks.insert(words(name), words(value.as_str().unwrap_or_default()));
            }
            Ok(Some(account))
        }
        Key::Lease(id) => {
            let answer = api.ask("POST", &["sys", "leases", "lookup"], Some(json!({ "lease_id": id }))).await?;
            // It says 400 of a lease that it doesn't have.
            if answer.status == 400 && answer.words().contains("invalid lease") {
                return Ok(None);
            }
            let Some(lease) = answer.found()? else { return Ok(None) };
            let path = id.rsplit_once('/').map_or(id.as_str(), |(path, _)| path);
            let mut account = account(&key, path, AccountSort::Lease, Vec::new());
            account.ends_at = text(&lease, "/data/expire_time").parse().ok();
            account.made_at = text(&lease, "/data/issue_time").parse().ok();
            if let Some(why) = irrevocable.get(id) {
                // Its end went by, and the login lives on.
                account.ends_at = None;
                account.marks.insert("irrevocable".to_owned(), why.clone());
            }
            Ok(Some(account))
        }
    }
}

fn account(key: &Key, name: &str, sort: AccountSort, grants: Vec<String>) -> SeenAccount {
    SeenAccount {
        key: key.to_string(),
        name: if name.is_empty() { key.to_string() } else { name.to_owned() },
        sort,
        enabled: true,
        ends_at: None,
        made_at: None,
        last_used_at: None,
        sessions: None,
        built_in: false,
        privileged: grants.iter().any(|grant| grant == "POLICY root"),
        grants,
        more_grants: 0,
        marks: BTreeMap::new(),
    }
}

fn token_account(key: &Key, accessor: &str, token: &Value, refused: bool) -> SeenAccount {
    let display = text(token, "/display_name");
    let name = format!("{} {accessor}", if display.is_empty() { "token" } else { display });
    let mut account = account(key, &name, AccountSort::Token, policies(texts(token, "/policies")));
    account.enabled = !refused;
    account.ends_at = text(token, "/expire_time").parse().ok();
    account.made_at = token.get("creation_time").and_then(Value::as_i64).map(Timestamp::from_secs);
    for (name, pointer) in
        [("path", "/path"), ("entity", "/entity_id"), ("role", "/meta/role_name"), ("user", "/meta/username")]
    {
        let said = text(token, pointer);
        if !said.is_empty() {
            account.marks.insert(name.to_owned(), words(said));
        }
    }
    account
}

/// Policies in the normal form of grants.
fn policies(names: Vec<String>) -> Vec<String> {
    let mut grants: Vec<String> = names.iter().map(|name| format!("POLICY {name}")).collect();
    grants.sort_unstable();
    grants.dedup();
    grants
}

/// The policy of a grant.
pub(super) fn policy(grant: &str) -> Result<&str, ConnectorError> {
    let name = grant.strip_prefix("POLICY ").unwrap_or_default();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '/');
    if name.is_empty() || name.len() > 200 || !name.chars().all(good) {
        return Err(ConnectorError::Rejected(format!("expected a grant such as POLICY readers: {}", words(grant))));
    }
    Ok(name)
}

/// A token by its accessor.
pub(super) async fn token(api: &Api<'_>, accessor: &str) -> Result<Option<Value>, ConnectorError> {
    let answer = api.ask("POST", &["auth", "token", "lookup-accessor"], Some(json!({ "accessor": accessor }))).await?;
    // Older servers say 403, newer ones 400, of an accessor that they don't know.
    if matches!(answer.status, 400 | 403) && answer.words().contains("invalid accessor") {
        return Ok(None);
    }
    Ok(answer.found()?.and_then(|body| body.get("data").cloned()))
}

/// The path of a role, and of what is below it.
pub(super) fn role_path<'p>(mount: &'p str, name: &'p str, below: &[&'p str]) -> Vec<&'p str> {
    let mut path = vec!["auth"];
    path.extend(mount.split('/'));
    path.extend(["role", name]);
    path.extend(below);
    path
}

async fn entity_by_id(api: &Api<'_>, id: &str) -> Result<Option<Value>, ConnectorError> {
    let found = api.ask("GET", &["identity", "entity", "id", id], None).await?.found()?;
    Ok(found.and_then(|body| body.get("data").cloned()))
}

/// The id of a role that logs in by it, if there is such a role.
pub(super) async fn role_id(api: &Api<'_>, mount: &str, name: &str) -> Result<Option<String>, ConnectorError> {
    let found = api.ask("GET", &role_path(mount, name, &["role-id"]), None).await?.found()?;
    Ok(found.map(|body| text(&body, "/data/role_id").to_owned()).filter(|id| !id.is_empty()))
}

/// What tells a method's aliases from those of others.
pub(super) async fn mount_accessor(api: &Api<'_>, mount: &str) -> Result<String, ConnectorError> {
    let methods = api.ask("GET", &["sys", "auth"], None).await?.done()?;
    let methods = methods.get("data").and_then(Value::as_object);
    let method = methods.and_then(|methods| methods.get(&format!("{mount}/")));
    let method = method.filter(|method| text(method, "/type") == "approle");
    let method =
        method.ok_or_else(|| ConnectorError::Misconfigured("the option mount is no AppRole method".to_owned()))?;
    Ok(text(method, "/accessor").to_owned())
}

/// The entity that logins of a role have; none before the first one.
pub(super) async fn entity_of(api: &Api<'_>, mount: &str, name: &str) -> Result<Option<Value>, ConnectorError> {
    let Some(id) = role_id(api, mount, name).await? else { return Ok(None) };
    entity_by_alias(api, mount, &id).await
}

/// The entity of an alias.
pub(super) async fn entity_by_alias(api: &Api<'_>, mount: &str, alias: &str) -> Result<Option<Value>, ConnectorError> {
    let body = json!({ "alias_name": alias, "alias_mount_accessor": mount_accessor(api, mount).await? });
    let found = api.ask("POST", &["identity", "lookup", "entity"], Some(body)).await?.found()?;
    Ok(found.and_then(|body| body.get("data").filter(|data| data.is_object()).cloned()))
}

pub(super) fn is_disabled(entity: &Value) -> bool {
    entity.get("disabled").and_then(Value::as_bool).unwrap_or(true)
}

/// For whom an entity was made by us.
pub(super) fn made_for(entity: &Value) -> Option<&str> {
    entity.get("metadata")?.get(MADE_FOR)?.as_str()
}

/// The accessors of an entity's tokens: the server has no list of them, so all are looked up. None if there are too many.
pub(super) async fn tokens_of(api: &Api<'_>, entity: &str) -> Result<Option<Vec<String>>, ConnectorError> {
    let accessors = api.list(&["auth", "token", "accessors"]).await?;
    if accessors.len() > MAX_LEASES {
        return Ok(None);
    }
    let theirs = stream::iter(accessors)
        .map(|accessor| async move {
            let token = token(api, &accessor).await?;
            Ok::<_, ConnectorError>(token.filter(|token| text(token, "/entity_id") == entity).map(|_| accessor))
        })
        .buffer_unordered(AT_ONCE);
    let theirs: Vec<Option<String>> = theirs.try_collect().await?;
    Ok(Some(theirs.into_iter().flatten().collect()))
}
