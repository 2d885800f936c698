//! Several roles made or ended in one transaction. Whatever goes wrong in it leaves nothing of it behind, and each role is
//! then taken by itself: so what is wrong with one is said of that one.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use tenure_core::target::connector::{ConnectorError, Ending, Gone, NewAccount, SeenAccount};

use super::acts::{ATTRIBUTES, Act, DROPPED, ROLE, Role, comment, login, oid, wanted};
use super::catalogue::{Which, get, roles};
use super::grant::Grant;
use super::privileges::{Change, Guest};
use super::quote::ident;
use crate::comment::check_mark;
use crate::place::{may_provision, not_ourselves};

type Each<T> = Vec<Result<T, ConnectorError>>;

/// A role that can be made beside others: nobody has its name, and all that it is granted is granted in the endpoint's
/// database.
struct New<'a> {
    account: &'a NewAccount<'a>,
    wanted: BTreeSet<Grant>,
}

/// Makes accounts.
pub(super) async fn provision(act: &mut Act<'_>, accounts: &[NewAccount<'_>]) -> Each<SeenAccount> {
    let mut made: BTreeMap<usize, Result<u32, ConnectorError>> = BTreeMap::new();
    match make_new(act, accounts).await {
        Ok(oids) => made.extend(oids.into_iter().map(|(n, oid)| (n, Ok(oid)))),
        Err(error) if act.session.client.is_closed() => return accounts.iter().map(|_| Err(error.clone())).collect(),
        // A lock, a conflict, or something that is one account's fault alone.
        Err(_) => {}
    }
    for (n, account) in accounts.iter().enumerate() {
        if let Entry::Vacant(place) = made.entry(n) {
            place.insert(match may_provision(act.reach, account) {
                Ok(()) => act.provision(account).await.and_then(|key| oid(&key)),
                Err(error) => Err(error),
            });
        }
    }
    let oids: Vec<u32> = made.values().filter_map(|one| one.as_ref().ok().copied()).collect();
    let mut seen = read(act, &oids).await;
    let missing = || ConnectorError::Rejected("the role that was made isn't there".to_owned());
    let mut read = |oid: u32| seen.remove(&oid).unwrap_or(Ok(None))?.ok_or_else(missing);
    made.into_values().map(|one| one.and_then(&mut read)).collect()
}

/// Makes those that are new, in one transaction; gives their places and oids.
async fn make_new(act: &mut Act<'_>, accounts: &[NewAccount<'_>]) -> Result<BTreeMap<usize, u32>, ConnectorError> {
    let names: Vec<&str> = accounts.iter().map(|account| account.name).collect();
    let known = oids(act, &names).await?;
    let new: BTreeMap<usize, New<'_>> = accounts
        .iter()
        .enumerate()
        .filter(|(_, account)| !known.contains_key(account.name) && may_provision(act.reach, account).is_ok())
        .filter_map(|(n, account)| Some((n, new(account, &act.database)?)))
        .collect();
    if new.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut make = String::new();
    let mut alike: BTreeMap<&BTreeSet<Grant>, Vec<&str>> = BTreeMap::new();
    for New { account, wanted } in new.values() {
        let (name, login, comment) = (ident(account.name)?, login(act.place, account)?, comment(account)?);
        make.push_str(&format!("CREATE ROLE {name} {ATTRIBUTES} {login}; {comment};"));
        alike.entry(wanted).or_default().push(account.name);
        // What makes a verifier slow is meant to be: others have their turn between two of them.
        tokio::task::yield_now().await;
    }
    let mut guest = Guest::begin(&mut act.session).await?;
    guest.run("CREATE ROLE", &make).await?;
    for (grants, roles) in alike {
        guest.change(&roles, &grants.iter().collect::<Vec<_>>(), Change::Give).await?;
    }
    guest.commit().await?;
    let made = oids(act, &names).await?;
    Ok(new.iter().filter_map(|(n, new)| Some((*n, *made.get(new.account.name)?))).collect())
}

fn new<'a>(account: &'a NewAccount<'a>, database: &str) -> Option<New<'a>> {
    check_mark(account.mark).ok()?;
    ident(account.name).ok()?;
    let wanted = wanted(account).ok()?;
    let is_here = |grant: &Grant| match grant {
        Grant::On(privilege) => privilege.database().is_none_or(|name| name == database),
        Grant::Member { .. } => true,
        Grant::Attribute(_) => false,
    };
    wanted.iter().all(is_here).then_some(New { account, wanted })
}

/// The oids of the roles that have one of these names.
async fn oids(act: &Act<'_>, names: &[&str]) -> Result<BTreeMap<String, u32>, ConnectorError> {
    let sql = "SELECT oid, rolname::text AS name FROM pg_roles WHERE rolname = ANY($1::text[])";
    let rows = act.session.query(sql, &[&names]).await?;
    rows.iter().map(|row| Ok((get(row, "name")?, get(row, "oid")?))).collect()
}

/// Ends accounts, and reads them.
pub(super) async fn revoke(act: &mut Act<'_>, keys: &[String]) -> Each<Gone> {
    let ended = match end(act, keys).await {
        Ok(ended) => ended,
        Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
    };
    let oids: Vec<u32> = keys.iter().filter_map(|key| oid(key).ok()).collect();
    let mut seen = read(act, &oids).await;
    let with = |(key, ending): (&String, Result<Ending, ConnectorError>)| {
        let ending = ending?;
        Ok((ending, oid(key).ok().and_then(|oid| seen.remove(&oid)).unwrap_or(Ok(None))?))
    };
    keys.iter().zip(ended).map(with).collect()
}

async fn end(act: &mut Act<'_>, keys: &[String]) -> Result<Each<Ending>, ConnectorError> {
    let mut gone = end_known(act, keys).await?;
    let mut ended = Vec::with_capacity(keys.len());
    for key in keys {
        ended.push(match gone.remove(key) {
            Some(ending) => ending,
            None => act.revoke(key).await,
        });
    }
    Ok(ended)
}

/// Ends those roles that are there and can be stopped in one go; gives what came of them by their keys.
async fn end_known(
    act: &mut Act<'_>,
    keys: &[String],
) -> Result<BTreeMap<String, Result<Ending, ConnectorError>>, ConnectorError> {
    let oids: Vec<u32> = keys.iter().filter_map(|key| oid(key).ok()).collect();
    let sql = format!("{ROLE} oid = ANY($1)");
    let rows = act.session.query(&sql, &[&oids]).await?;
    let known = rows.iter().map(Role::of).collect::<Result<Vec<_>, _>>()?;
    let known: Vec<Role> = known.into_iter().filter(|role| not_ourselves(role.ourselves).is_ok()).collect();
    if known.is_empty() {
        return Ok(BTreeMap::new());
    }
    // From here on these logins are refused, whatever comes.
    match stop_all(act, &known).await {
        Ok(()) => {}
        Err(error) if act.session.client.is_closed() => return Err(error),
        Err(_) => return Ok(BTreeMap::new()),
    }
    let alone = bound_elsewhere(act, &oids).await?;
    let together: Vec<&Role> = known.iter().filter(|role| !alone.contains(&role.oid)).collect();
    // A session keeps nobody from dropping its role, and would have no name afterwards.
    let oids: Vec<u32> = known.iter().map(|role| role.oid).collect();
    let mut stopped = BTreeMap::new();
    for (oid, (sessions_ended, left)) in act.end_sessions(&oids).await? {
        stopped.insert(oid, Ending { words: DROPPED.to_owned(), sessions_ended, sessions_left: Some(left) });
    }
    let are_dropped = match drop_all(act, &together).await {
        Err(error) if act.session.client.is_closed() => return Err(error),
        dropped => dropped.is_ok(),
    };
    let mut ended = BTreeMap::new();
    for role in &known {
        let Some(ending) = stopped.remove(&role.oid) else { continue };
        let ending = match are_dropped && !alone.contains(&role.oid) {
            true => Ok(ending),
            false => act.dropped(role, ending).await,
        };
        ended.insert(role.oid.to_string(), ending);
    }
    Ok(ended)
}

async fn stop_all(act: &mut Act<'_>, known: &[Role]) -> Result<(), ConnectorError> {
    let stop = known.iter().map(Role::stop).collect::<Result<String, _>>()?;
    let guest = Guest::begin(&mut act.session).await?;
    guest.run("ALTER ROLE", &stop).await?;
    guest.commit().await
}

/// The roles among these that own something, or hold something in another database: each of them is taken by itself.
async fn bound_elsewhere(act: &Act<'_>, oids: &[u32]) -> Result<BTreeSet<u32>, ConnectorError> {
    let sql = "SELECT DISTINCT refobjid FROM pg_shdepend
               WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY($1)
                 AND (deptype <> 'a' OR dbid NOT IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))";
    let rows = act.session.query(sql, &[&oids]).await?;
    rows.iter().map(|row| get(row, "refobjid")).collect()
}

async fn drop_all(act: &mut Act<'_>, gone: &[&Role]) -> Result<(), ConnectorError> {
    if gone.is_empty() {
        return Ok(());
    }
    let (oids, names): (Vec<u32>, Vec<&str>) = gone.iter().map(|role| (role.oid, role.name.as_str())).unzip();
    let dropped = gone.iter().map(|role| role.ident()).collect::<Result<Vec<_>, _>>()?.join(", ");
    let mut guest = Guest::begin(&mut act.session).await?;
    guest.drop_owned(&oids, &names, None, &act.database).await?;
    guest.leave().await?;
    guest.run("DROP ROLE", &format!("DROP ROLE {dropped}")).await?;
    guest.commit().await
}

/// Roles as they stand, by their oids. What can't be read of one keeps nobody from reading the others.
async fn read(act: &Act<'_>, oids: &[u32]) -> BTreeMap<u32, Result<Option<SeenAccount>, ConnectorError>> {
    let together = read_some(act, oids).await;
    let mut seen = BTreeMap::new();
    for oid in oids {
        let one = match &together {
            Ok(all) => Ok(all.get(oid).cloned()),
            Err(error) if act.session.client.is_closed() => Err(error.clone()),
            Err(_) => read_some(act, &[*oid]).await.map(|mut one| one.remove(oid)),
        };
        seen.insert(*oid, one);
    }
    seen
}

async fn read_some(act: &Act<'_>, oids: &[u32]) -> Result<BTreeMap<u32, SeenAccount>, ConnectorError> {
    let read = roles(act.outbound, act.place, act.reach, &act.session, Which::These(oids)).await?;
    read.seen().into_iter().map(|account| Ok((oid(&account.key)?, account))).collect()
}
