//! What is changed of a user: each change in the forms that providers are known to take.

use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{ConnectorError, NewAccount};

use super::api::{Api, Change, Config};
use super::user::{LISTS, User, Wanted, external, held, is_held, values};
use crate::place::gone;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn set(told: &mut Value, name: &str, value: Value) {
    if let Some(told) = told.as_object_mut() {
        told.insert(name.to_owned(), value);
    }
}

fn is_active(told: &Value) -> bool {
    told.get("active").and_then(Value::as_bool).unwrap_or(true)
}

/// Stops a user, or lets it in.
pub(super) async fn activate(
    api: &Api<'_>,
    config: &Config,
    id: &str,
    active: bool,
) -> Result<Option<Value>, ConnectorError> {
    let change = Change {
        patches: vec![
            json!([{ "op": "replace", "path": "active", "value": active }]),
            json!([{ "op": "replace", "value": { "active": active } }]),
        ],
        edit: &|told| set(told, "active", active.into()),
        is_done: &|told| is_active(told) == active,
    };
    api.change(config, &["Users", id], change).await
}

/// Leaves a user these values of a list and no others; the list is named as the user has it.
pub(super) async fn relist(
    api: &Api<'_>,
    config: &Config,
    id: &str,
    list: &str,
    left: &[Value],
) -> Result<(), ConnectorError> {
    let kept: Vec<String> = values(&json!({ list: left }), list);
    let whole = if left.is_empty() {
        json!([{ "op": "remove", "path": list }])
    } else {
        json!([{ "op": "replace", "path": list, "value": left }])
    };
    let change = Change {
        patches: vec![whole, json!([{ "op": "replace", "value": { list: left } }])],
        edit: &|told| set(told, list, left.into()),
        is_done: &|told| values(told, list).iter().all(|value| kept.contains(value)),
    };
    api.change(config, &["Users", id], change).await.map(|_| ())
}

/// The items of a user's list that are left by a rule.
pub(super) async fn items(
    api: &Api<'_>,
    id: &str,
    list: &str,
    keep: impl Fn(&str) -> bool,
) -> Result<Option<Vec<Value>>, ConnectorError> {
    let Some(told) = api.get(&["Users", id]).await? else { return Ok(None) };
    let items = told.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_kept = |item: &Value| values(&json!({ list: [item] }), list).iter().all(|value| keep(value));
    Ok(Some(items.into_iter().filter(is_kept).collect()))
}

/// Notes at a user that it was us who stopped it.
pub(super) async fn mark(api: &Api<'_>, config: &Config, id: &str) -> Result<(), ConnectorError> {
    let edit = |told: &mut Value| {
        let mut entitlements = told.get("entitlements").and_then(Value::as_array).cloned().unwrap_or_default();
        entitlements.push(held());
        set(told, "entitlements", entitlements.into());
    };
    let change = Change {
        patches: vec![
            json!([{ "op": "add", "path": "entitlements", "value": [held()] }]),
            json!([{ "op": "add", "value": { "entitlements": [held()] } }]),
        ],
        edit: &edit,
        is_done: &is_held,
    };
    api.change(config, &["Users", id], change).await.map(|_| ())
}

pub(super) async fn unmark(api: &Api<'_>, config: &Config, id: &str) -> Result<(), ConnectorError> {
    let ours = held();
    let ours = values(&json!({ "all": [ours] }), "all");
    match items(api, id, "entitlements", |value| !ours.iter().any(|it| it == value)).await? {
        Some(left) => relist(api, config, id, "entitlements", &left).await,
        None => Ok(()),
    }
}

/// Gives a user of ours that is there this secret and these lists, and lets it in.
pub(super) async fn renew(
    api: &Api<'_>,
    config: &Config,
    user: &User,
    account: &NewAccount<'_>,
    wanted: &Wanted,
) -> Result<(), ConnectorError> {
    let lists = LISTS.map(|(list, _)| (list, wanted.list(list)));
    set_password(api, config, &user.id, account.secret).await?;
    for (list, left) in &lists {
        relist(api, config, &user.id, list, left.as_array().map_or(&[], Vec::as_slice)).await?;
        let add = json!([{ "op": "add", "path": list, "value": left }]);
        let change = Change {
            patches: vec![add],
            edit: &|told| set(told, list, left.clone()),
            is_done: &|told| values(&json!({ *list: left }), list).iter().all(|it| values(told, list).contains(it)),
        };
        if left.as_array().is_some_and(|left| !left.is_empty()) {
            api.change(config, &["Users", &user.id], change).await?;
        }
    }
    activate(api, config, &user.id, true).await.map(|_| ())
}

/// No provider tells a password: that it has another one isn't read back.
pub(super) async fn set_password(
    api: &Api<'_>,
    config: &Config,
    id: &str,
    secret: &Secret<String>,
) -> Result<(), ConnectorError> {
    if !config.change_password {
        return Err(ConnectorError::Unable("the provider says that it changes no passwords".to_owned()));
    }
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "password", "value": secret.expose() }] });
    let answer = api.ask(Method::PATCH, &["Users", id], &[], Some(&body)).await?;
    match answer.status {
        200..=299 => Ok(()),
        404 => Err(gone()),
        _ => Err(ConnectorError::Rejected(answer.words())),
    }
}

/// Makes a user; gives its id.
pub(super) async fn create(api: &Api<'_>, account: &NewAccount<'_>, wanted: &Wanted) -> Result<String, ConnectorError> {
    let mut user = json!({
        "schemas": [USER],
        "userName": account.name,
        "externalId": external(account.mark),
        "password": account.secret.expose(),
        "active": true,
    });
    for (list, _) in LISTS {
        if wanted.lists.contains_key(list) {
            set(&mut user, list, wanted.list(list));
        }
    }
    if let Some(user_type) = api.user_type {
        set(&mut user, "userType", user_type.into());
    }
    let answer = api.ask(Method::POST, &["Users"], &[], Some(&user)).await?;
    match answer.status {
        409 => Err(ConnectorError::Taken),
        200..=299 => {
            let id = answer.body.get("id").and_then(Value::as_str).map(str::to_owned);
            id.ok_or_else(|| ConnectorError::Unreachable("it made a user, and told no id".to_owned()))
        }
        _ => Err(ConnectorError::Rejected(answer.words())),
    }
}
