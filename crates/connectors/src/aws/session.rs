//! Sessions of roles, begun on our word (`AssumeRoleWithWebIdentity`): no key of anybody's is in it.
//!
//! A session may do what its role may and its session policy allows, and no longer than until its end: AWS begins none
//! shorter than fifteen minutes, so the policy itself says until when: by an end of what it allows, and by a denial of
//! everything from then on. Only that denial counts where a resource's own policy allows something to the session itself.
//! A session is ended by an inline policy of the role that denies everything to it, by the name that it has from its
//! credential (`denials`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenure_core::base::time::Timestamp;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{AccountSort, Begun, ConnectorError, Ending, Gone, NewSession, SeenAccount};

use super::api::{Api, Fault, Service, text};
use super::key::{SessionKey, is_name, time};
use super::role::{Role, named};
use super::{denials, ended};
use crate::place::GONE;

/// Whom the tokens are for that vouch for somebody.
pub(super) const AUDIENCE: &str = "sts.amazonaws.com";
/// The shortest session that AWS begins, in seconds.
pub(super) const SHORTEST: i64 = 900;
/// The longest session policy, in bytes.
const MAX_POLICY: usize = 2_048;

/// What a session is to be, in the words of its grants: `ROLE arn:…` once, and `ALLOW action ON resource`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<'a> {
    role_arn: &'a str,
    role: &'a str,
    allowed: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Plan<'a> {
    pub fn of(grants: &'a [String]) -> Result<Self, ConnectorError> {
        let bad = |why: &str| Err(ConnectorError::Misconfigured(why.to_owned()));
        let (mut roles, mut allowed) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for grant in grants {
            if let Some(arn) = grant.strip_prefix("ROLE ") {
                roles.insert(arn);
            } else if let Some((action, resource)) =
                grant.strip_prefix("ALLOW ").and_then(|rest| rest.split_once(" ON "))
                && is_action(action)
                && is_resource(resource)
            {
                allowed.entry(resource).or_default().insert(action);
            } else {
                return bad(
                    "a grant is none of a session's: ROLE arn:aws:iam::…:role/…, or ALLOW service:Action ON arn:…",
                );
            }
        }
        let mut roles = roles.into_iter();
        let (Some(role_arn), None) = (roles.next(), roles.next()) else {
            return bad("a session is of one role: name one by ROLE arn:aws:iam::…:role/…");
        };
        let Some(role) = role_of(role_arn) else { return bad("the role is none: arn:aws:iam::123456789012:role/name") };
        if allowed.is_empty() {
            return bad("nothing is allowed to the session: name what it may do by ALLOW service:Action ON arn:…");
        }
        Ok(Self { role_arn, role, allowed })
    }

    /// The session policy: what is allowed, and until when.
    fn policy(&self, ends_at: Timestamp) -> Result<String, ConnectorError> {
        let until = Timestamp::from_secs(ends_at.as_secs());
        let allowed = self.allowed.iter().map(|(resource, actions)| {
            let until = json!({"DateLessThan": {"aws:CurrentTime": until}});
            json!({"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": until})
        });
        let over = json!({"DateGreaterThanEquals": {"aws:CurrentTime": until}});
        let over = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": over});
        let statements: Vec<Value> = allowed.chain([over]).collect();
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        if policy.len() > MAX_POLICY {
            let why = format!("the session policy would have {} bytes, and AWS takes {MAX_POLICY}", policy.len());
            return Err(ConnectorError::Misconfigured(why));
        }
        Ok(policy)
    }
}

/// The name of a role, from what names it everywhere.
fn role_of(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(rest)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b));
    let name = rest.strip_prefix("role/").filter(|path| plain(path))?.rsplit('/').next()?;
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (partition.starts_with("aws") && is_account && is_name(name)).then_some(name)
}

fn is_action(text: &str) -> bool {
    let (service, action) = text.split_once(':').unwrap_or((text, text));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?-".contains(&b));
    text == "*" || (text.contains(':') && plain(service) && plain(action))
}

fn is_resource(text: &str) -> bool {
    text == "*" || (text.starts_with("arn:") && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'))
}

/// What names a session for good.
pub(super) fn plan(session: &NewSession<'_>) -> Result<String, ConnectorError> {
    let plan = Plan::of(session.grants)?;
    plan.policy(session.ends_at)?;
    let (role, name, ends_at) = (plan.role, session.name, session.ends_at.as_secs());
    Ok(SessionKey { role, name, ends_at, role_id: None }.to_string())
}

/// Begins a session on a token that vouches for its holder.
pub(super) async fn begin(
    api: &Api<'_>,
    session: &NewSession<'_>,
    token: &Secret<String>,
    now: Timestamp,
) -> Result<Begun, ConnectorError> {
    let rejected = |why: &str| Err(ConnectorError::Rejected(why.to_owned()));
    let plan = Plan::of(session.grants)?;
    // What can't be ended here isn't begun: a role of another account, or none.
    let Some(role) = named(api, plan.role).await?.filter(|role| role.arn == plan.role_arn) else {
        return rejected("the account has no such role");
    };
    let lasts = session.ends_at.since(now).as_secs().clamp(SHORTEST, role.longest.max(SHORTEST)).to_string();
    let policy = plan.policy(session.ends_at)?;
    let parameters = [
        ("RoleArn", plan.role_arn),
        ("RoleSessionName", session.name),
        ("WebIdentityToken", token.expose()),
        ("DurationSeconds", &lasts),
        ("Policy", &policy),
    ];
    let answer = api.unsigned(Service::Sts, "AssumeRoleWithWebIdentity", &parameters).await?;
    let answer = answer.map_err(Fault::of_token)?;
    let (id, secret) = answer.read(|told| {
        let ends_at = time(&text(told, "Expiration")).map_or(session.ends_at, |end| end.min(session.ends_at));
        let secret = json!({
            "access_key_id": text(told, "AccessKeyId"),
            "secret_access_key": text(told, "SecretAccessKey"),
            "session_token": text(told, "SessionToken"),
            "expiration": Timestamp::from_secs(ends_at.as_secs()),
        });
        (text(told, "AssumedRoleId"), secret.to_string())
    })?;
    if id != user_id(&role.key.id, session.name) {
        return rejected("AWS calls the session by another name than was asked for: it couldn't be ended");
    }
    let (name, ends_at) = (session.name, session.ends_at.as_secs());
    let key = SessionKey { role: plan.role, name, ends_at, role_id: Some(&role.key.id) };
    let mut account = seen(&key, true);
    account.grants = session.grants.to_vec();
    Ok(Begun { account, secret: Secret::new(secret) })
}

/// A session's holder as policies know it: `aws:userid`.
pub(super) fn user_id(role: &str, session: &str) -> String {
    format!("{role}:{session}")
}

pub(super) fn seen(key: &SessionKey<'_>, enabled: bool) -> SeenAccount {
    SeenAccount {
        key: key.to_string(),
        name: key.name.to_owned(),
        sort: AccountSort::Token,
        enabled,
        ends_at: Some(Timestamp::from_secs(key.ends_at)),
        made_at: None,
        last_used_at: None,
        sessions: None,
        built_in: false,
        privileged: false,
        grants: Vec::new(),
        more_grants: 0,
        marks: BTreeMap::new(),
    }
}

/// A session as it stands now; none where it is over.
pub(super) async fn read(
    api: &Api<'_>,
    key: &SessionKey<'_>,
    now: Timestamp,
) -> Result<Option<SeenAccount>, ConnectorError> {
    if key.is_over(now) {
        return Ok(None);
    }
    let Some(role) = role_of_session(api, key).await? else { return Ok(None) };
    Ok(denials::read(api, &role, std::slice::from_ref(key)).await?.pop())
}

/// Ends a session.
pub(super) async fn revoke(api: &Api<'_>, key: &SessionKey<'_>, now: Timestamp) -> Result<Ending, ConnectorError> {
    if key.is_over(now) {
        return Ok(over(key));
    }
    let Some(role) = role_of_session(api, key).await? else { return Ok(ended(GONE)) };
    denials::end(api, &role, std::slice::from_ref(key), now).await
}

/// The role of a session; none where it is gone, and what it let its sessions do with it.
async fn role_of_session(api: &Api<'_>, key: &SessionKey<'_>) -> Result<Option<Role>, ConnectorError> {
    let role = named(api, key.role).await?;
    Ok(role.filter(|role| key.role_id.is_none_or(|id| role.key.id == id)))
}

/// Ends sessions of one role, and tells each as it stands then.
pub(super) async fn revoke_all(
    api: &Api<'_>,
    keys: &[SessionKey<'_>],
    now: Timestamp,
) -> Result<Vec<Gone>, ConnectorError> {
    let left: Vec<SessionKey<'_>> = keys.iter().filter(|key| !key.is_over(now)).copied().collect();
    let role = match left.first() {
        Some(key) => role_of_session(api, key).await?,
        None => None,
    };
    let (mut ending, mut seen) = (ended(GONE), Vec::new());
    if let Some(role) = role {
        ending = denials::end(api, &role, &left, now).await?;
        seen = denials::read(api, &role, &left).await?;
    }
    let mut seen = seen.into_iter();
    let gone = |key: &SessionKey<'_>| match key.is_over(now) {
        true => (over(key), None),
        false => (ending.clone(), seen.next()),
    };
    Ok(keys.iter().map(gone).collect())
}

fn over(key: &SessionKey<'_>) -> Ending {
    ended(&format!("its end was at {}", Timestamp::from_secs(key.ends_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(grants: &[&str]) -> Vec<String> {
        grants.iter().map(|grant| (*grant).to_owned()).collect()
    }

    const ROLE: &str = "ROLE arn:aws:iam::123456789012:role/team/exporter";

    #[test]
    fn a_session_is_of_one_role_and_has_what_it_may_do_until_its_end() {
        let grants = grants(&[
            ROLE,
            "ALLOW s3:ListBucket ON arn:aws:s3:::exports",
            "ALLOW s3:GetObject ON arn:aws:s3:::exports/*",
            "ALLOW s3:PutObject ON arn:aws:s3:::exports/*",
        ]);
        let plan = Plan::of(&grants).unwrap();
        assert_eq!((plan.role, plan.role_arn), ("exporter", &ROLE[5..]));
        let policy: Value = serde_json::from_str(&plan.policy(Timestamp::from_secs(1_796_000_000)).unwrap()).unwrap();
        let until = json!({"DateLessThan": {"aws:CurrentTime": Timestamp::from_secs(1_796_000_000)}});
        let allowed = |actions: &[&str], resource: &str| json!({"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": until});
        let over = json!({"DateGreaterThanEquals": {"aws:CurrentTime": Timestamp::from_secs(1_796_000_000)}});
        let expected = [
            allowed(&["s3:ListBucket"], "arn:aws:s3:::exports"),
            allowed(&["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::exports/*"),
            json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": over}),
        ];
        assert_eq!(policy["Statement"], json!(expected));
    }

    #[test]
    fn grants_that_are_no_sessions_are_refused_before_anybody_is_asked() {
        let other = "ROLE arn:aws:iam::123456789012:role/other";
        let allow = "ALLOW s3:GetObject ON *";
        for bad in [
            &[][..],
            &[ROLE],
            &[allow],
            &[ROLE, other, allow],
            &[ROLE, "ALLOW s3:GetObject"],
            &[ROLE, "ALLOW s3 ON *"],
            &[ROLE, r#"ALLOW s3:Get"Object ON *"#],
            &[ROLE, r#"ALLOW s3:GetObject ON arn:x","Effect":"Allow"#],
            &[ROLE, "SELECT ON TABLE x"],
            &["ROLE arn:aws:iam::123:role/short", allow],
            &["ROLE arn:aws:iam::123456789012:user/ada", allow],
            &["ROLE arn:aws:iam::123456789012:role/", allow],
            &["ROLE arn:aws:sts::123456789012:role/exporter", allow],
            &["ROLE arn:aws:iam::123456789012:role/a&Action=DeleteUser", allow],
        ] {
            assert!(matches!(Plan::of(&grants(bad)), Err(ConnectorError::Misconfigured(_))), "{bad:?}");
        }
        let many: Vec<_> = (0..40).map(|i| format!("ALLOW s3:GetObject ON arn:aws:s3:::bucket-number-{i}/*")).collect();
        let grants = [vec![ROLE.to_owned()], many].concat();
        let session = NewSession { name: "tnr_1", grants: &grants, ends_at: Timestamp::from_secs(1) };
        assert!(matches!(plan(&session), Err(ConnectorError::Misconfigured(why)) if why.contains("2048")));
    }
}
