//! Users and their access keys: read, stopped and ended.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use roxmltree::Node;
use tenure_core::target::connector::{ConnectorError, Ending, SeenAccount};

use super::api::{Api, members, text};
use super::key::{Key, Surroundings, User, held};
use super::{AT_ONCE, PAGE, PAGES, ended};
use crate::list::{Room, fits, no_room};
use crate::place::{GONE, gone};

const GOES_ON: &str = "sessions that it began by GetSessionToken go on until their own end, 36 hours at most";

/// Every user. Markers are AWS's own and nothing that stays, so all pages are read.
pub(super) async fn users(api: &Api<'_>) -> Result<Vec<User>, ConnectorError> {
    every(api, "ListUsers", "Users", User::of).await
}

/// Everything of a list of the account's own.
pub(super) async fn every<T>(
    api: &Api<'_>,
    action: &str,
    list: &str,
    of: impl Fn(Node<'_, '_>) -> T,
) -> Result<Vec<T>, ConnectorError> {
    let absent = || ConnectorError::Rejected(format!("{action}: the account has no such list"));
    pages(api, action, None, list, of).await?.ok_or_else(absent)
}

/// Everything of a list; none where whose list it is, is gone. AWS gives fewer than are asked for, and says that there are
/// more.
async fn pages<T>(
    api: &Api<'_>,
    action: &str,
    whose: Option<(&str, &str)>,
    list: &str,
    of: impl Fn(Node<'_, '_>) -> T,
) -> Result<Option<Vec<T>>, ConnectorError> {
    let (room, count) = (Room::new(), PAGE.to_string());
    let (mut all, mut marker) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let mut parameters = vec![("MaxItems", count.as_str())];
        parameters.extend(whose);
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let Some(answer) = api.find(action, &parameters).await? else { return Ok(None) };
        let (page, next) = answer.read(|told| {
            let page: Vec<T> = members(told, list).into_iter().map(&of).collect();
            (page, (text(told, "IsTruncated") == "true").then(|| text(told, "Marker")))
        })?;
        fits(page.len(), PAGE)?;
        if !room.takes(answer.bytes()) {
            return Err(ConnectorError::Rejected(format!("{action}: {}", no_room())));
        }
        all.extend(page);
        match next {
            None => return Ok(Some(all)),
            Some(next) if next.is_empty() || marker.as_ref() == Some(&next) => {
                let why = format!("{action}: it says that there are more, and not where they begin");
                return Err(ConnectorError::Unreachable(why));
            }
            next => marker = next,
        }
    }
    Err(ConnectorError::Rejected(format!("{action}: there are more than {}", PAGES * PAGE)))
}

async fn keys(api: &Api<'_>, user: &User) -> Result<Vec<Key>, ConnectorError> {
    let whose = Some(("UserName", user.name.as_str()));
    Ok(pages(api, "ListAccessKeys", whose, "AccessKeyMetadata", Key::of).await?.unwrap_or_default())
}

pub(super) async fn find(api: &Api<'_>, id: &str, user: &str) -> Result<Option<(User, Key)>, ConnectorError> {
    let Some(user) = users(api).await?.into_iter().find(|known| known.id == user) else { return Ok(None) };
    let key = keys(api, &user).await?.into_iter().find(|key| key.id == id);
    Ok(key.map(|key| (user, key)))
}

/// One key as it stands now.
pub(super) async fn read(api: &Api<'_>, id: &str, user: &str) -> Result<Option<SeenAccount>, ConnectorError> {
    let Some((user, key)) = find(api, id, user).await? else { return Ok(None) };
    Ok(seen(api, &user, vec![key]).await?.pop())
}

/// The keys of these users.
pub(super) async fn accounts(api: &Api<'_>, users: Vec<User>) -> Result<Vec<SeenAccount>, ConnectorError> {
    let told = stream::iter(users).map(async |user| seen(api, &user, keys(api, &user).await?).await);
    let accounts: Vec<Vec<SeenAccount>> = told.buffered(AT_ONCE).try_collect().await?;
    Ok(accounts.into_iter().flatten().collect())
}

/// The values of one name in a list; none where whose list it is, is gone meanwhile.
pub(super) async fn list(
    api: &Api<'_>,
    action: &str,
    whose: (&str, &str),
    (list, name): (&str, &str),
) -> Result<Vec<String>, ConnectorError> {
    let value = |member: Node<'_, '_>| if name.is_empty() { own_text(member) } else { text(member, name) };
    Ok(pages(api, action, Some(whose), list, value).await?.unwrap_or_default())
}

fn own_text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

async fn surroundings(api: &Api<'_>, user: &User) -> Result<Surroundings, ConnectorError> {
    let mut around = Surroundings::default();
    let whose = ("UserName", user.name.as_str());
    let tag = |told: Node<'_, '_>| (text(told, "Key"), text(told, "Value"));
    let tags = pages(api, "ListUserTags", Some(whose), "Tags", tag).await?.unwrap_or_default();
    around.tags = tags.into_iter().collect();
    for policy in list(api, "ListAttachedUserPolicies", whose, ("AttachedPolicies", "PolicyArn")).await? {
        around.grants.insert(format!("POLICY {policy}"));
        around.policies.insert(policy);
    }
    for name in list(api, "ListUserPolicies", whose, ("PolicyNames", "")).await? {
        around.grants.insert(format!("INLINE {name}"));
    }
    for group in list(api, "ListGroupsForUser", whose, ("Groups", "GroupName")).await? {
        let attached = ("AttachedPolicies", "PolicyArn");
        around.policies.extend(list(api, "ListAttachedGroupPolicies", ("GroupName", &group), attached).await?);
        around.grants.insert(format!("GROUP {group}"));
    }
    Ok(around)
}

/// Keys of a user, as the port has them: all of them, or one.
async fn seen(api: &Api<'_>, user: &User, keys: Vec<Key>) -> Result<Vec<SeenAccount>, ConnectorError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let around = surroundings(api, user).await?;
    let mut accounts = Vec::new();
    for key in keys {
        let used = api.find("GetAccessKeyLastUsed", &[("AccessKeyId", &key.id)]).await?;
        let used = used.map(|answer| answer.read(|told| text(told, "LastUsedDate"))).transpose()?;
        accounts.push(key.seen(user, &used.unwrap_or_default(), &around));
    }
    Ok(accounts)
}

async fn set(api: &Api<'_>, user: &User, key: &Key, status: &str) -> Result<(), ConnectorError> {
    let parameters = [("UserName", user.name.as_str()), ("AccessKeyId", &key.id), ("Status", status)];
    api.must("UpdateAccessKey", &parameters).await.map(|_| ())
}

async fn untag(api: &Api<'_>, user: &User, key: &str) -> Result<(), ConnectorError> {
    api.find("UntagUser", &[("UserName", &user.name), ("TagKeys.member.1", &held(key))]).await.map(|_| ())
}

/// Makes a key inactive.
pub(super) async fn hold(api: &Api<'_>, id: &str, user: &str) -> Result<Ending, ConnectorError> {
    let Some((user, key)) = find(api, id, user).await? else { return Ok(ended(GONE)) };
    if key.active {
        let name = held(&key.id);
        let tag = [("UserName", user.name.as_str()), ("Tags.member.1.Key", &name), ("Tags.member.1.Value", "yes")];
        api.must("TagUser", &tag).await?;
        set(api, &user, &key, "Inactive").await?;
    }
    Ok(ended(&format!("UpdateAccessKey: Inactive; {GOES_ON}")))
}

/// Makes a key active that we made inactive.
pub(super) async fn release(api: &Api<'_>, id: &str, user: &str) -> Result<(), ConnectorError> {
    let (user, key) = find(api, id, user).await?.ok_or_else(gone)?;
    if surroundings(api, &user).await?.tags.contains_key(&held(&key.id)) {
        set(api, &user, &key, "Active").await?;
        untag(api, &user, &key.id).await?;
    }
    Ok(())
}

/// Deletes a key.
pub(super) async fn revoke(api: &Api<'_>, id: &str, user: &str) -> Result<Ending, ConnectorError> {
    let Some((user, key)) = find(api, id, user).await? else { return Ok(ended(GONE)) };
    api.find("DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &key.id)]).await?;
    untag(api, &user, &key.id).await?;
    Ok(ended(&format!("DeleteAccessKey: it is deleted; {GOES_ON}")))
}
