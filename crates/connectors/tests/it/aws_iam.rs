//! AWS IAM, as moto stands in for it: it checks signatures and policies, and lets a key in that is inactive (TARGETS.md),
//! so that what stops a key is read back here and tried by nobody.

mod sessions;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, NewAccount, NewSession, Probe, SeenAccount, TargetKind,
    TargetLogin,
};
use tenure_outbound::{Authorities, Call, Destination};

use crate::places::{PATIENCE, administrator, builtin, ca, endpoint, fresh, login, mine, outbound, reach, said};
use crate::strangers;

const KIND: &str = "aws_iam";

struct Account {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time as Signature Version 4 has it.
fn stamp() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = tenure_core::base::time::Timestamp::from_secs(now.cast_signed()).to_string();
    let (date, time) = now.split_once('T').unwrap();
    format!("{}T{}Z", date.replace('-', ""), time[..8].replace(':', ""))
}

/// An action, signed by hand as AWS's own documentation has it.
async fn action(name: &str, parameters: &[(&str, &str)]) -> (u16, String) {
    let us = administrator(KIND);
    let url = said(KIND, "url");
    let host = url.trim_start_matches("https://").to_owned();
    let fields = [&[("Action", name), ("Version", "2010-05-08")], parameters].concat();
    // moto signs what it reads of a form, written its own way: every byte that may be escaped is.
    let body = serde_urlencoded::to_string(fields).unwrap().replace('*', "%2A");
    let stamp = stamp();
    let (day, scope) = (&stamp[..8], format!("{}/us-east-1/iam/aws4_request", &stamp[..8]));
    let hashed = hex(digest(&SHA256, body.as_bytes()).as_ref());
    let canonical = format!("POST\n/\n\nhost:{host}\nx-amz-date:{stamp}\n\nhost;x-amz-date\n{hashed}");
    let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}");
    let sign =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let mut key = sign(format!("AWS4{}", us.secret.expose()).as_bytes(), day);
    for part in ["us-east-1", "iam", "aws4_request"] {
        key = sign(&key, part);
    }
    let signature = hex(&sign(&key, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}",
        us.name
    );
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(HeaderName::from_static("x-amz-date"), HeaderValue::from_str(&stamp).unwrap());
    headers.insert(HeaderName::from_static("authorization"), HeaderValue::from_str(&authorization).unwrap());
    let authorities = Authorities::from_pem(&ca()).unwrap();
    let to: Destination = format!("{url}/").parse().unwrap();
    let call = Call {
        method: Method::POST,
        authorities: &authorities,
        headers,
        body: Some(body.into_bytes()),
        patience: Duration::from_secs(30),
        limit: 1 << 26,
    };
    let answer = outbound().call(&to, call).await.unwrap();
    (answer.status.as_u16(), String::from_utf8(answer.body.unwrap()).unwrap())
}

async fn must(name: &str, parameters: &[(&str, &str)]) -> String {
    let (status, said) = action(name, parameters).await;
    assert_eq!(status, 200, "{name}: {said}");
    said
}

fn between(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

/// What AWS's stock client says to a line of Python, with a session's login or the administrator's: `c(service)` is the
/// client of a service.
fn boto(session: Option<&Value>, line: &str) -> Result<String, String> {
    const CLIENT: &str = r"
import boto3, json, sys
key, url, ca = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
c = lambda service: boto3.client(service, endpoint_url=url, verify=ca, region_name='us-east-1',
    aws_access_key_id=key['access_key_id'], aws_secret_access_key=key['secret_access_key'],
    aws_session_token=key.get('session_token'))
";
    let us = administrator(KIND);
    let own = json!({"access_key_id": us.name, "secret_access_key": us.secret.expose()});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca()).unwrap();
    let mut python = Command::new(said(KIND, "python"));
    python.arg("-c").arg(format!("{CLIENT}{line}")).arg(session.unwrap_or(&own).to_string());
    let output = python.arg(said(KIND, "url")).arg(&file).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()),
    }
}

/// A role that may list users, and that accounts may assume; its id.
async fn role(name: &str) -> String {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    let told = must("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust.to_string())]).await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}]}"#;
    must("PutRolePolicy", &[("RoleName", name), ("PolicyName", "people"), ("PolicyDocument", policy)]).await;
    between(&told, "RoleId")
}

/// A session of a role, as the stock client begins one.
fn session(role: &str) -> Value {
    session_named(role, "one")
}

fn session_named(role: &str, name: &str) -> Value {
    let begun = boto(
        None,
        &format!(
            "k = c('sts').assume_role(RoleArn='arn:aws:iam::123456789012:role/{role}', RoleSessionName='{name}')['Credentials']\n\
             print(json.dumps(dict(access_key_id=k['AccessKeyId'], secret_access_key=k['SecretAccessKey'], session_token=k['SessionToken'])))"
        ),
    );
    serde_json::from_str(&begun.unwrap()).unwrap()
}

const LIST: &str = "c('iam').list_users(); print(1)";

/// A user with a key; the key's login.
async fn user(name: &str) -> TargetLogin {
    must("CreateUser", &[("UserName", name), ("Tags.member.1.Key", "owner"), ("Tags.member.1.Value", "ada")]).await;
    key_of(name).await
}

async fn key_of(name: &str) -> TargetLogin {
    let told = must("CreateAccessKey", &[("UserName", name)]).await;
    login(&between(&told, "AccessKeyId"), &between(&told, "SecretAccessKey"))
}

/// What is there of ours.
async fn contents() -> String {
    let mut text = String::new();
    let users = must("ListUsers", &[]).await;
    let mut names: Vec<&str> = users.split("<UserName>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    names.retain(|name| name.contains(&mine()));
    for name in names {
        for action in ["ListAccessKeys", "ListUserTags", "ListUserPolicies"] {
            let said = must(action, &[("UserName", name)]).await;
            text.push_str(said.split("<ResponseMetadata>").next().unwrap());
        }
    }
    text
}

impl Account {
    async fn start() -> Self {
        let builtin = builtin();
        let connector = builtin.of(TargetKind::AwsIam).unwrap();
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            let name = fresh("connector");
            logins.push(user(&name).await);
            // The line that an administrator runs, without its shell.
            let rights = connector.rights(*mode).trim().to_owned();
            assert!(rights.starts_with("aws iam put-user-policy --user-name LOGIN --policy-name tenure"), "{rights}");
            let policy = rights.split('\'').nth(1).unwrap();
            let policy = [("UserName", name.as_str()), ("PolicyName", "tenure"), ("PolicyDocument", policy)];
            must("PutUserPolicy", &policy).await;
        }
        logins.push(user(&fresh("weaker")).await);
        Self { builtin, endpoint: endpoint(KIND, &[]), logins: logins.try_into().unwrap() }
    }

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::AwsIam).unwrap()
    }

    fn login(&self, mode: Mode) -> &TargetLogin {
        &self.logins[mode as usize]
    }

    async fn all(&self) -> (Vec<SeenAccount>, Vec<String>) {
        let reach = reach(&self.endpoint, self.login(Mode::Observe), Mode::Observe);
        let (mut accounts, mut unseen, mut after, mut keys) = (Vec::new(), Vec::new(), None, BTreeSet::new());
        loop {
            let found = self.connector().discover(&reach, after.as_deref()).await.unwrap();
            for account in found.accounts {
                assert!(keys.insert(account.key.clone()), "an account is told once");
                accounts.push(account);
            }
            unseen.extend(found.unseen);
            after = found.next;
            if after.is_none() {
                return (accounts, unseen);
            }
        }
    }

    async fn seen(&self, key: &TargetLogin) -> SeenAccount {
        let accounts = self.all().await.0;
        accounts.into_iter().find(|account| account.key.starts_with(&format!("{}:", key.name))).unwrap()
    }

    async fn probe(&self, login: &TargetLogin) -> Probe {
        self.connector().probe(&self.endpoint, login, PATIENCE).await.unwrap()
    }
}

#[tokio::test]
async fn a_key_lives_and_ends() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (name, live) = (fresh("peoples"), user(&fresh("live")).await);
    let key = user(&name).await;
    assert_eq!(site.probe(&key).await, Probe::Accepted);
    let seen = site.seen(&key).await;
    assert!(seen.enabled && seen.name == format!("{name}/{}", key.name) && seen.last_used_at.is_some(), "{seen:?}");
    assert_eq!(seen.marks.get("owner").map(String::as_str), Some("ada"));
    for _ in 0..2 {
        let ending = site.connector().hold(&end, &seen.key).await.unwrap();
        assert!(ending.words.contains("Inactive") && ending.sessions_left.is_none(), "{ending:?}");
        let held = site.connector().read(&end, &seen.key).await.unwrap().unwrap();
        assert!(!held.enabled && held.marks == seen.marks, "{held:?}");
    }
    for _ in 0..2 {
        site.connector().release(&end, &seen.key).await.unwrap();
        assert!(site.connector().read(&end, &seen.key).await.unwrap().unwrap().enabled);
    }
    for _ in 0..2 {
        let ending = site.connector().revoke(&end, &seen.key).await.unwrap();
        assert!(!ending.words.is_empty());
        assert_eq!(site.connector().read(&end, &seen.key).await.unwrap(), None);
    }
    let Probe::Refused { words } = site.probe(&key).await else { panic!("it is let in") };
    assert!(words.starts_with("InvalidClientTokenId") && !words.contains(key.secret.expose().as_str()), "{words}");
    assert_eq!(site.probe(&live).await, Probe::Accepted);
    assert!(matches!(site.probe(&login(&live.name, "another-Secret")).await, Probe::Refused { .. }));
    assert!(matches!(site.connector().release(&end, &seen.key).await, Err(ConnectorError::Rejected(_))));
    assert!(site.connector().hold(&end, &seen.key).await.is_ok(), "what is gone is stopped");
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    let site = Account::start().await;
    let name = fresh("crowd");
    for i in 0..90 {
        must("CreateUser", &[("UserName", &format!("{name}_{i}"))]).await;
        key_of(&format!("{name}_{i}")).await;
    }
    let second = key_of(&format!("{name}_0")).await;
    let before = contents().await;
    let observe = reach(&site.endpoint, site.login(Mode::Observe), Mode::Observe);
    assert_eq!(site.connector().whoami(&observe).await.unwrap(), Vec::<String>::new());
    let (accounts, unseen) = site.all().await;
    let ours = accounts.iter().filter(|account| account.name.starts_with(&format!("{name}_")));
    assert_eq!((ours.count(), unseen.len()), (91, 0));
    assert!(accounts.iter().any(|account| account.key.starts_with(&second.name)));
    assert!(accounts.iter().any(|account| account.key.starts_with(&site.login(Mode::Observe).name)), "our own too");
    let key = &site.seen(&second).await.key;
    let secret = login("", "a-Secret").secret;
    let new = NewAccount {
        name: "x",
        secret: &secret,
        grants: &[],
        ends_at: tenure_core::base::time::Timestamp::from_secs(4_000_000_000),
        mark: "m",
    };
    for said in [
        site.connector().hold(&observe, key).await.map(|_| ()),
        site.connector().release(&observe, key).await,
        site.connector().revoke(&observe, key).await.map(|_| ()),
        site.connector().narrow(&observe, key, &[]).await.map(|_| ()),
        site.connector().rotate(&observe, key, &secret).await.map(|_| ()),
        site.connector().provision(&observe, &new).await.map(|_| ()),
    ] {
        assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
    }
    assert_eq!(contents().await, before, "observing wrote something");
}

#[tokio::test]
async fn the_least_rights_are_enough_less_is_not_and_our_own_key_is_let_alone() {
    let site = Account::start().await;
    for mode in Mode::ALL {
        let reach = reach(&site.endpoint, site.login(*mode), *mode);
        assert_eq!(site.connector().whoami(&reach).await.unwrap(), Vec::<String>::new(), "{mode:?}");
        let weaker = crate::places::reach(&site.endpoint, &site.logins[3], *mode);
        assert!(!site.connector().whoami(&weaker).await.unwrap().is_empty(), "{mode:?}");
    }
    let observing = reach(&site.endpoint, site.login(Mode::Observe), Mode::End);
    assert!(!site.connector().whoami(&observing).await.unwrap().is_empty(), "what observes may end nothing");
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let own = site.seen(site.login(Mode::End)).await;
    for said in [site.connector().hold(&end, &own.key).await, site.connector().revoke(&end, &own.key).await] {
        assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
    }
    // Who isn't let in is told nothing, and nothing of the secret gets into what is said.
    let wrong = login(&site.login(Mode::End).name, "a-Wrong_secret_0123456789");
    let end = reach(&site.endpoint, &wrong, Mode::End);
    for said in [
        site.connector().whoami(&end).await.map(|_| ()),
        site.connector().discover(&end, None).await.map(|_| ()),
        site.connector().read(&end, "AKIA1:AIDA1").await.map(|_| ()),
        site.connector().hold(&end, "AKIA1:AIDA1").await.map(|_| ()),
        site.connector().revoke(&end, "AKIA1:AIDA1").await.map(|_| ()),
    ] {
        assert!(matches!(said, Err(ConnectorError::Unauthorized(_))), "{said:?}");
        assert!(!format!("{said:?} {end:?}").contains("a-Wrong_secret"));
    }
}

#[tokio::test]
async fn what_people_stopped_no_release_of_ours_lets_in_and_groups_make_privileged() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (name, group) = (fresh("stopped"), fresh("group"));
    let key = user(&name).await;
    must("UpdateAccessKey", &[("UserName", &name), ("AccessKeyId", &key.name), ("Status", "Inactive")]).await;
    let seen = site.seen(&key).await;
    site.connector().hold(&end, &seen.key).await.unwrap();
    site.connector().release(&end, &seen.key).await.unwrap();
    assert!(!site.connector().read(&end, &seen.key).await.unwrap().unwrap().enabled);
    assert!(!seen.privileged);
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#;
    let policy = [("PolicyName", "IAMFullAccess"), ("Path", "/"), ("PolicyDocument", policy)];
    let (status, said) = action("CreatePolicy", &policy).await;
    assert!(status == 200 || said.contains("EntityAlreadyExists"), "{said}");
    must("CreateGroup", &[("GroupName", &group)]).await;
    must("AddUserToGroup", &[("GroupName", &group), ("UserName", &name)]).await;
    let arn = "arn:aws:iam::123456789012:policy/IAMFullAccess";
    must("AttachGroupPolicy", &[("GroupName", &group), ("PolicyArn", arn)]).await;
    let seen = site.connector().read(&end, &seen.key).await.unwrap().unwrap();
    assert!(seen.privileged && seen.grants == [format!("GROUP {group}")], "{seen:?}");
}

#[tokio::test]
async fn a_role_is_denied_everything_while_it_is_held_and_sessions_from_before_stay_refused() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("role");
    let key = format!("role:{}:{name}", role(&name).await);
    let seen = site.all().await.0.into_iter().find(|account| account.key == key).unwrap();
    assert!(seen.enabled && !seen.built_in && seen.name == name, "{seen:?}");
    assert_eq!(seen.grants, ["INLINE people", "TRUST AWS *"]);
    let before = session(&name);
    assert_eq!(boto(Some(&before), LIST).as_deref(), Ok("1"));
    for _ in 0..2 {
        let ending = site.connector().hold(&end, &key).await.unwrap();
        assert!(ending.words.starts_with("PutRolePolicy tenure-held"), "{ending:?}");
        let held = site.connector().read(&end, &key).await.unwrap().unwrap();
        assert!(!held.enabled && held.grants == seen.grants, "{held:?}");
    }
    let during = session(&name);
    for session in [&before, &during] {
        assert!(boto(Some(session), LIST).unwrap_err().contains("AccessDenied"));
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..2 {
        site.connector().release(&end, &key).await.unwrap();
        assert!(site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for session in [&before, &during] {
        assert!(boto(Some(session), LIST).unwrap_err().contains("AccessDenied"), "what a hold ended stays so");
    }
    assert_eq!(boto(Some(&session(&name)), LIST).as_deref(), Ok("1"));
    // Somebody who takes the denial away, or weakens it, lets the role in again: that is seen.
    site.connector().hold(&end, &key).await.unwrap();
    let weaker = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#;
    must("PutRolePolicy", &[("RoleName", &name), ("PolicyName", "tenure-held"), ("PolicyDocument", weaker)]).await;
    assert!(site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    for _ in 0..2 {
        site.connector().revoke(&end, &key).await.unwrap();
        assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    }
    site.connector().release(&end, &key).await.unwrap();
    assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled, "no release revives what was ended");
    assert!(boto(Some(&session(&name)), LIST).unwrap_err().contains("AccessDenied"));
    must("DeleteRolePolicy", &[("RoleName", &name), ("PolicyName", "tenure-ended")]).await;
}

#[tokio::test]
async fn no_session_begins_on_a_token_that_vouches_for_nobody_or_of_a_role_that_is_not_there() {
    let site = Account::start().await;
    let federation = site.connector().federation().unwrap();
    let name = fresh("role");
    role(&name).await;
    let grants =
        |role: &str| vec![format!("ROLE arn:aws:iam::123456789012:role/{role}"), "ALLOW iam:ListUsers ON *".to_owned()];
    let (ours, other) = (grants(&name), grants("tenure-no-such-role"));
    let ends_at = tenure_core::base::time::Timestamp::from_secs(4_000_000_000);
    let session = |grants| NewSession { name: "tnr_none", grants, ends_at };
    assert_eq!(federation.plan(&session(&ours)).unwrap(), format!("session:{name}:tnr_none:4000000000"));
    let token = login("", "not.a.token").secret;
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    let said = federation.begin(&issue, &session(&ours), &token).await.unwrap_err();
    assert!(matches!(&said, ConnectorError::Rejected(why) if why.starts_with("InvalidIdentityToken")), "{said:?}");
    let said = federation.begin(&issue, &session(&other), &token).await.unwrap_err();
    assert!(matches!(&said, ConnectorError::Rejected(why) if why.contains("no such role")), "{said:?}");
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let said = federation.begin(&end, &session(&ours), &token).await.unwrap_err();
    assert!(matches!(said, ConnectorError::Unable(_)), "{said:?}");
}

#[tokio::test]
async fn a_role_of_awss_own_is_built_in_and_one_made_anew_by_its_name_is_another() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (status, said) = action("CreateServiceLinkedRole", &[("AWSServiceName", "autoscaling.amazonaws.com")]).await;
    assert!(status == 200 || said.contains("InvalidInput") || said.contains("EntityAlreadyExists"), "{said}");
    let accounts = site.all().await.0;
    let linked = accounts.iter().find(|account| account.name == "AWSServiceRoleForAutoScaling").unwrap();
    assert!(
        linked.built_in && linked.grants.contains(&"TRUST SERVICE autoscaling.amazonaws.com".to_owned()),
        "{linked:?}"
    );
    for said in [site.connector().hold(&end, &linked.key).await, site.connector().revoke(&end, &linked.key).await] {
        assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
    }
    let name = fresh("anew");
    let first = format!("role:{}:{name}", role(&name).await);
    must("DeleteRolePolicy", &[("RoleName", &name), ("PolicyName", "people")]).await;
    must("DeleteRole", &[("RoleName", &name)]).await;
    let second = format!("role:{}:{name}", role(&name).await);
    assert_eq!(site.connector().read(&end, &first).await.unwrap(), None);
    assert!(site.connector().hold(&end, &first).await.unwrap().words.contains("no such account"));
    assert!(matches!(site.connector().release(&end, &first).await, Err(ConnectorError::Rejected(_))));
    assert!(site.connector().read(&end, &second).await.unwrap().unwrap().enabled, "the other one is let alone");
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::AwsIam).unwrap();
    let real = endpoint(KIND, &[]);
    let at = |port| format!("http://127.0.0.1:{port}");
    let half = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 900\r\n\r\n<ErrorResponse><Error><Code>InvalidClientTokenId";
    strangers::unreachable(connector, &real, at, half, "AKIA1:AIDA1").await;
    for said in [
        &b"HTTP/1.1 403 Forbidden\r\ncontent-length: 14\r\n\r\n<html>no</html"[..],
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 69\r\n\r\n<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
        b"HTTP/1.1 200 OK\r\ncontent-length: 79\r\n\r\n<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>",
    ] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..real.clone() };
        let probed = connector.probe(&place, &login("AKIA1", "b"), PATIENCE).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
    }
}
