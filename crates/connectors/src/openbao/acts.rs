//! What is done to accounts of an OpenBao.
//!
//! Deleting a role, or its secret, ends none of its tokens: these end by the entity that they share, which refuses all of
//! them at once when it is disabled, and by themselves, which also ends what they leased.

use serde_json::{Value, json};
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{ConnectorError, Ending, NewAccount, words};

use super::api::{Api, text, texts};
use super::catalogue::{
    HELD, MADE_FOR, entity_by_alias, entity_of, is_disabled, made_for, mount_accessor, policy, role_id, role_path,
    token, tokens_of,
};
use super::key::{Key, check_name};
use crate::place::not_ourselves;

/// Makes a role with this name as its id, and this secret; or gives the one that was made for the same mark this secret
/// and these policies.
pub(super) async fn provision(api: &Api<'_>, account: &NewAccount<'_>) -> Result<Key, ConnectorError> {
    let (mount, name) = (api.mount, account.name);
    check_name(name)?;
    let policies = account.grants.iter().map(|grant| policy(grant)).collect::<Result<Vec<_>, _>>()?;
    let known = role_id(api, mount, name).await?;
    let entity = entity_by_alias(api, mount, name).await?;
    let ours = entity.as_ref().and_then(made_for) == Some(account.mark);
    match &known {
        Some(id) if !ours || id != name => return Err(ConnectorError::Taken),
        // An alias of that name is somebody's, too.
        None if entity.is_some() && !ours => return Err(ConnectorError::Taken),
        _ => {}
    }
    if entity.is_none() {
        // The mark comes first: what is there without it isn't ours.
        let metadata = json!({ MADE_FOR: account.mark });
        let entity = json!({ "name": format!("tenure-{name}"), "metadata": metadata });
        let made = api.ask("POST", &["identity", "entity"], Some(entity)).await?.done()?;
        let id = match text(&made, "/data/id") {
            // An entity of that name is there, without the alias: an earlier try came that far.
            "" => entity_named(api, &format!("tenure-{name}"), account.mark).await?,
            id => id.to_owned(),
        };
        let accessor = mount_accessor(api, mount).await?;
        let alias = json!({ "name": name, "canonical_id": id, "mount_accessor": accessor });
        api.ask("POST", &["identity", "entity-alias"], Some(alias)).await?.done()?;
    }
    let role = json!({ "token_policies": policies, "token_ttl": "1h", "token_max_ttl": "24h", "bind_secret_id": true });
    api.ask("POST", &role_path(mount, name, &[]), Some(role)).await?.done()?;
    api.ask("POST", &role_path(mount, name, &["role-id"]), Some(json!({ "role_id": name }))).await?.done()?;
    set_secret(api, mount, name, account.secret).await?;
    Ok(Key::Role(mount.to_owned(), name.to_owned()))
}

async fn entity_named(api: &Api<'_>, name: &str, mark: &str) -> Result<String, ConnectorError> {
    let found = api.ask("GET", &["identity", "entity", "name", name], None).await?.found()?;
    let entity = found.as_ref().and_then(|body| body.get("data"));
    match entity.filter(|entity| made_for(entity) == Some(mark)) {
        Some(entity) => Ok(text(entity, "/id").to_owned()),
        None => Err(ConnectorError::Taken),
    }
}

/// Leaves a role this secret and no other.
async fn set_secret(api: &Api<'_>, mount: &str, name: &str, secret: &Secret<String>) -> Result<(), ConnectorError> {
    let this = json!({ "secret_id": secret.expose() });
    let lookup = role_path(mount, name, &["secret-id", "lookup"]);
    let known = api.ask("POST", &lookup, Some(this.clone())).await?.found()?;
    let kept = known.as_ref().map(|body| text(body, "/data/secret_id_accessor").to_owned()).unwrap_or_default();
    for accessor in api.list(&role_path(mount, name, &["secret-id"])).await? {
        if accessor != kept {
            let path = role_path(mount, name, &["secret-id-accessor", "destroy"]);
            let destroyed = api.ask("POST", &path, Some(json!({ "secret_id_accessor": accessor }))).await?;
            if !matches!(destroyed.status, 200..=299 | 404) {
                return Err(ConnectorError::Rejected(destroyed.words()));
            }
        }
    }
    if kept.is_empty() {
        api.ask("POST", &role_path(mount, name, &["custom-secret-id"]), Some(this)).await?.done()?;
    }
    Ok(())
}

pub(super) async fn rotate(api: &Api<'_>, key: &Key, secret: &Secret<String>) -> Result<Ending, ConnectorError> {
    let Key::Role(mount, name) = key else {
        return Err(ConnectorError::Unable("only an AppRole is given another secret".to_owned()));
    };
    not_ourselves(is_ourselves(api, key).await?)?;
    if role_id(api, mount, name).await?.is_none() {
        return Err(ConnectorError::Rejected("there is no such role".to_owned()));
    }
    set_secret(api, mount, name, secret).await?;
    let entity = entity_of(api, mount, name).await?;
    end_tokens(api, entity.as_ref(), "another secret id, the others destroyed").await
}

pub(super) async fn hold(api: &Api<'_>, key: &Key) -> Result<Ending, ConnectorError> {
    not_ourselves(is_ourselves(api, key).await?)?;
    let entity = match key {
        Key::Token(_) => {
            return Err(ConnectorError::Unable("a token is stopped for good or by its entity".to_owned()));
        }
        Key::Lease(_) => return Err(ConnectorError::Unable("a lease is stopped for good alone".to_owned())),
        Key::Entity(id) => entity_at(api, id).await?,
        Key::Role(mount, name) => {
            if role_id(api, mount, name).await?.is_none() {
                return Ok(nothing("there is no such role"));
            }
            Some(entity_for(api, mount, name).await?)
        }
    };
    let Some(entity) = entity else { return Ok(nothing("there is no such entity")) };
    if !is_disabled(&entity) {
        set(api, &entity, true, true).await?;
    }
    end_tokens(api, Some(&entity), "its entity is disabled").await
}

pub(super) async fn release(api: &Api<'_>, key: &Key) -> Result<(), ConnectorError> {
    let entity = match key {
        Key::Token(_) | Key::Lease(_) => None,
        Key::Entity(id) => entity_at(api, id).await?,
        Key::Role(mount, name) => entity_of(api, mount, name).await?,
    };
    match entity {
        Some(entity) if is_held(&entity) => set(api, &entity, false, false).await,
        _ => Ok(()),
    }
}

pub(super) async fn narrow(api: &Api<'_>, key: &Key, keep: &[String]) -> Result<Ending, ConnectorError> {
    let Key::Role(mount, name) = key else {
        return Err(ConnectorError::Unable(
            "only an AppRole is narrowed: tokens keep the policies they have".to_owned(),
        ));
    };
    not_ourselves(is_ourselves(api, key).await?)?;
    let Some(role) = api.ask("GET", &role_path(mount, name, &[]), None).await?.found()? else {
        return Ok(nothing("there is no such role"));
    };
    let held = texts(&role, "/data/token_policies");
    let kept: Vec<_> = held.iter().filter(|policy| keep.contains(&format!("POLICY {policy}"))).collect();
    if kept.len() == held.len() {
        return Ok(nothing("it has no other policies"));
    }
    let path = role_path(mount, name, &[]);
    // A role without policies has the default one, unless it is told not to.
    let body = json!({ "token_policies": kept, "token_no_default_policy": !keep.iter().any(|grant| grant == "POLICY default") });
    api.ask("POST", &path, Some(body)).await?.done()?;
    let entity = entity_of(api, mount, name).await?;
    // Tokens keep the policies that they were made with.
    let said = format!("{} of {} policies taken", held.len() - kept.len(), held.len());
    end_tokens(api, entity.as_ref(), &said).await
}

pub(super) async fn revoke(api: &Api<'_>, key: &Key) -> Result<Ending, ConnectorError> {
    not_ourselves(is_ourselves(api, key).await?)?;
    match key {
        Key::Token(accessor) => {
            let body = json!({ "accessor": accessor });
            let answer = api.ask("POST", &["auth", "token", "revoke-accessor"], Some(body)).await?;
            if answer.status >= 400 && !answer.words().contains("invalid accessor") {
                return Err(ConnectorError::Rejected(answer.words()));
            }
            match token(api, accessor).await? {
                Some(_) => {
                    Err(ConnectorError::Rejected("it was told to revoke the token, and has it still".to_owned()))
                }
                None => Ok(nothing("the token is revoked")),
            }
        }
        Key::Role(mount, name) => {
            // Its entity is refused at once, and its tokens, before the role goes by which they are found.
            if role_id(api, mount, name).await?.is_none() {
                let left = entity_by_alias(api, mount, name).await?.filter(|entity| made_for(entity).is_some());
                return match left {
                    Some(entity) => end_entity(api, &entity).await,
                    None => Ok(nothing("there is no such role")),
                };
            }
            let entity = entity_for(api, mount, name).await?;
            set(api, &entity, true, is_held(&entity)).await?;
            let deleted = api.ask("DELETE", &role_path(mount, name, &[]), None).await?;
            deleted.done()?;
            end_entity(api, &entity).await
        }
        Key::Entity(id) => {
            // It is not deleted: its aliases would have another one at their next login.
            let Some(entity) = entity_at(api, id).await? else { return Ok(nothing("there is no such entity")) };
            set(api, &entity, true, false).await?;
            end_tokens(api, Some(&entity), "the entity is disabled, and stays so that its aliases are refused").await
        }
        Key::Lease(id) => {
            let body = json!({ "lease_id": id, "sync": true });
            let answer = api.ask("POST", &["sys", "leases", "revoke"], Some(body)).await?;
            if answer.status >= 400 && !answer.words().contains("invalid lease") {
                return Err(ConnectorError::Rejected(answer.words()));
            }
            let left = api.ask("POST", &["sys", "leases", "lookup"], Some(json!({ "lease_id": id }))).await?;
            if left.status < 300 {
                return Err(ConnectorError::Rejected("it was told to revoke the lease, and has it still".to_owned()));
            }
            Ok(nothing("the lease is revoked"))
        }
    }
}

/// The entity of a role goes, and with it whatever token has it.
async fn end_entity(api: &Api<'_>, entity: &Value) -> Result<Ending, ConnectorError> {
    let ending = end_tokens(api, Some(entity), "the role and its entity are deleted").await?;
    let deleted = api.ask("DELETE", &["identity", "entity", "id", text(entity, "/id")], None).await?;
    deleted.done()?;
    Ok(ending)
}

/// Ends the tokens of an entity; with them ends what they leased.
async fn end_tokens(api: &Api<'_>, entity: Option<&Value>, said: &str) -> Result<Ending, ConnectorError> {
    let Some(entity) = entity else { return Ok(nothing(said)) };
    let Some(tokens) = tokens_of(api, text(entity, "/id")).await? else {
        let words = format!("{said}; its tokens are too many to be looked up, and are left");
        return Ok(Ending { words, sessions_ended: 0, sessions_left: None });
    };
    let mut left = 0;
    let mut ended = 0;
    for accessor in tokens {
        let body = json!({ "accessor": accessor });
        let answer = api.ask("POST", &["auth", "token", "revoke-accessor"], Some(body)).await?;
        if answer.status < 300 { ended += 1 } else { left += 1 }
    }
    Ok(Ending { words: words(said), sessions_ended: ended, sessions_left: Some(left) })
}

fn nothing(said: &str) -> Ending {
    Ending { words: said.to_owned(), sessions_ended: 0, sessions_left: Some(0) }
}

/// Whether it was us who disabled an entity.
fn is_held(entity: &Value) -> bool {
    entity.get("metadata").and_then(|metadata| metadata.get(HELD)).is_some()
}

async fn set(api: &Api<'_>, entity: &Value, disabled: bool, held: bool) -> Result<(), ConnectorError> {
    let mut metadata = entity.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    if held {
        metadata.insert(HELD.to_owned(), "true".into());
    } else {
        metadata.remove(HELD);
    }
    let path = ["identity", "entity", "id", text(entity, "/id")];
    let body = json!({ "disabled": disabled, "metadata": metadata });
    api.ask("POST", &path, Some(body)).await?.done().map(|_| ())
}

async fn entity_at(api: &Api<'_>, id: &str) -> Result<Option<Value>, ConnectorError> {
    let found = api.ask("GET", &["identity", "entity", "id", id], None).await?.found()?;
    Ok(found.and_then(|body| body.get("data").cloned()))
}

/// The entity of a role: made, if nobody has logged in by it yet. One that has other aliases is not this role alone.
async fn entity_for(api: &Api<'_>, mount: &str, name: &str) -> Result<Value, ConnectorError> {
    if let Some(entity) = entity_of(api, mount, name).await? {
        let aliases = entity.get("aliases").and_then(Value::as_array).map_or(0, Vec::len);
        if aliases > 1 {
            let why = "its entity has other aliases, which would be stopped with it: stop the entity";
            return Err(ConnectorError::Rejected(why.to_owned()));
        }
        return Ok(entity);
    }
    let id = role_id(api, mount, name).await?;
    let id = id.ok_or_else(|| ConnectorError::Rejected("there is no such role".to_owned()))?;
    let made = api.ask("POST", &["identity", "entity"], Some(json!({}))).await?.done()?;
    let accessor = mount_accessor(api, mount).await?;
    let alias = json!({ "name": id, "canonical_id": text(&made, "/data/id"), "mount_accessor": accessor });
    api.ask("POST", &["identity", "entity-alias"], Some(alias)).await?.done()?;
    let entity = entity_of(api, mount, name).await?;
    entity.ok_or_else(|| ConnectorError::Rejected("the entity that was made isn't there".to_owned()))
}

/// Whether an account is what the connector itself logs in by.
async fn is_ourselves(api: &Api<'_>, key: &Key) -> Result<bool, ConnectorError> {
    let own = api.ask("GET", &["auth", "token", "lookup-self"], None).await?.done()?;
    let entity = text(&own, "/data/entity_id");
    Ok(match key {
        Key::Token(accessor) => text(&own, "/data/accessor") == accessor,
        Key::Entity(id) => entity == id,
        Key::Role(_, name) => !entity.is_empty() && text(&own, "/data/meta/role_name") == name,
        Key::Lease(_) => false,
    })
}
