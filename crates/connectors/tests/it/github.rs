//! GitHub, as a stand-in has it whose answers are held against GitHub's published OpenAPI description: nobody runs GitHub
//! itself here. Of the conformance list `life`, `taken` and `hostile_names` can't apply: no account is made, and none is
//! given a secret or held.

use serde_json::json;
use tenure_connectors::Builtin;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, Probe, SeenAccount, TargetKind, TargetLogin,
};

use crate::places::{PATIENCE, builtin, endpoint, fresh, login, reach};
use crate::stand_ins::{all, observes, people, unauthorized};
use crate::strangers;

const KIND: &str = "github";

/// An organisation that nobody else has, with the connector's app in it.
struct Org {
    builtin: Builtin,
    endpoint: Endpoint,
    name: String,
    app: TargetLogin,
    installation: u64,
}

/// The permissions that the connector's rights name for a mode.
fn permissions(connector: &dyn Connector, mode: Mode) -> serde_json::Value {
    let lines = connector.rights(mode).lines().filter_map(|line| line.strip_prefix("  ")?.split_once(": "));
    lines
        .map(|(name, rest)| (name.to_owned(), rest.split_whitespace().next().unwrap().into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Org {
    async fn start(mode: Mode) -> Self {
        let (builtin, name) = (builtin(), fresh("acme-"));
        let permissions = permissions(builtin.of(TargetKind::Github).unwrap(), mode);
        let made = people(KIND, "orgs", json!({"org": name, "slug": "tenure", "permissions": permissions})).await;
        let app = login(made["app_id"].as_str().unwrap(), made["pem"].as_str().unwrap());
        let endpoint = endpoint(KIND, &[("org", &name)]);
        Self { builtin, endpoint, name, app, installation: made["installation"].as_u64().unwrap() }
    }

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Github).unwrap()
    }

    /// What its people make, with its number.
    async fn made(&self, what: &str, mut body: serde_json::Value) -> u64 {
        body["org"] = self.name.as_str().into();
        people(KIND, what, body).await["id"].as_u64().unwrap_or_default()
    }

    async fn contents(&self) -> String {
        people(KIND, "contents", json!({"org": self.name})).await.to_string()
    }

    async fn all(&self) -> (Vec<SeenAccount>, Vec<String>) {
        all(self.connector(), &self.endpoint, &self.app).await
    }
}

#[tokio::test]
async fn apps_tokens_and_deploy_keys_are_found_with_what_they_may_do() {
    let org = Org::start(Mode::Observe).await;
    org.made("installations", json!({"slug": "bot", "permissions": {"contents": "write", "metadata": "read"}})).await;
    org.made("installations", json!({"slug": "off", "suspended": true, "permissions": {"members": "write"}})).await;
    let pat = json!({"owner": "ada", "name": "ci", "permissions": {"repository": {"contents": "write"}, "organization": {"members": "read"}},
        "ends_at": "2027-01-01T00:00:00Z", "last_used_at": "2026-11-29T10:00:00Z"});
    org.made("pats", pat).await;
    org.made("pats", json!({"owner": "ada", "name": "old", "expired": true, "permissions": {}})).await;
    for number in 0..120 {
        org.made("repositories", json!({"name": format!("repository-{number}")})).await;
    }
    org.made("keys", json!({"repo": "repository-7", "title": "deploy", "read_only": true, "by": "ada"})).await;
    for number in 0..230 {
        org.made("keys", json!({"repo": "repository-119", "title": format!("k{number}"), "read_only": false, "by": "bo", "last_used": "2026-11-01T00:00:00Z"})).await;
    }
    for number in 0..220 {
        org.made("pats", json!({"owner": "bo", "name": format!("p{number}"), "permissions": {}})).await;
    }
    let before = org.contents().await;
    let (accounts, unseen) = org.all().await;
    assert_eq!((accounts.len(), unseen.len()), (3 + 222 + 231, 0), "{unseen:?}");
    let found = |name: &str| accounts.iter().find(|account| account.name == name).unwrap();
    let bot = found("bot");
    assert!(
        bot.enabled && bot.grants == ["PERMISSION contents write", "PERMISSION metadata read", "REPOSITORIES all"],
        "{bot:?}"
    );
    let off = found("off");
    assert!(!off.enabled && off.privileged && off.marks["suspended_by"] == "ada", "{off:?}");
    assert_eq!(found("tenure").key, format!("installation:{}", org.installation), "our own is among them");
    let ci = found("ada/ci");
    let grants = ["PERMISSION contents write", "PERMISSION organization members read", "REPOSITORIES subset"];
    assert!(ci.enabled && ci.grants == grants && ci.last_used_at.is_some() && ci.ends_at.is_some(), "{ci:?}");
    assert_eq!(ci.marks["owner"], "ada");
    assert!(!found("ada/old").enabled);
    let deploy = found("repository-7/deploy");
    assert!(deploy.grants == ["REPOSITORY repository-7 read"] && deploy.marks["added_by"] == "ada", "{deploy:?}");
    assert!(found("repository-119/k229").last_used_at.is_some());
    let observe = reach(&org.endpoint, &org.app, Mode::Observe);
    for account in [bot, off, ci, deploy] {
        assert_eq!(org.connector().read(&observe, &account.key).await.unwrap().as_ref(), Some(account));
    }
    let again = org.all().await.0;
    assert!(accounts.iter().map(|one| &one.key).eq(again.iter().map(|one| &one.key)), "always in the same order");
    observes(org.connector(), &org.endpoint, &org.app, &ci.key).await;
    assert_eq!(org.contents().await, before, "observing wrote something");
}

#[tokio::test]
async fn a_token_loses_its_access_a_deploy_key_is_deleted_and_an_app_is_peoples_to_end() {
    let org = Org::start(Mode::End).await;
    let end = reach(&org.endpoint, &org.app, Mode::End);
    let bot = org.made("installations", json!({"slug": "bot", "permissions": {"contents": "read"}})).await;
    let pats = [
        org.made("pats", json!({"owner": "ada", "name": "a", "permissions": {}})).await,
        org.made("pats", json!({"owner": "ada", "name": "b", "permissions": {}})).await,
    ];
    let web = org.made("repositories", json!({"name": "web.app"})).await;
    let key = org.made("keys", json!({"repo": "web.app", "title": "deploy", "read_only": true, "by": "ada"})).await;
    let connector = org.connector();
    for (key, said) in [(format!("pat:{}", pats[0]), "revoked"), (format!("deploy_key:{web}:{key}"), "deleted")] {
        assert!(connector.read(&end, &key).await.unwrap().unwrap().enabled);
        assert!(connector.revoke(&end, &key).await.unwrap().words.contains(said));
        assert_eq!(connector.read(&end, &key).await.unwrap(), None);
        assert!(connector.revoke(&end, &key).await.unwrap().words.contains("no such account"), "twice is once");
    }
    assert!(connector.read(&end, &format!("pat:{}", pats[1])).await.unwrap().unwrap().enabled);
    for installation in [bot, org.installation] {
        let said = connector.revoke(&end, &format!("installation:{installation}")).await;
        assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
    }
    assert!(connector.revoke(&end, "installation:1").await.unwrap().words.contains("no such account"));
    // One that is gone takes its keys with it: the app is installed on all repositories.
    let said = connector.read(&end, "deploy_key:999999:5").await;
    assert!(said.is_ok_and(|seen| seen.is_none()));
}

#[tokio::test]
async fn a_deploy_key_is_of_its_repository_whatever_that_is_called_and_wherever_it_goes() {
    let org = Org::start(Mode::End).await;
    let end = reach(&org.endpoint, &org.app, Mode::End);
    let connector = org.connector();
    let web = org.made("repositories", json!({"name": "web"})).await;
    let deploy = json!({"repo": "web", "title": "deploy", "read_only": false, "by": "ada"});
    let key = format!("deploy_key:{web}:{}", org.made("keys", deploy.clone()).await);
    // Renamed, and another one made by its old name, with a key of its own.
    org.made("rename", json!({"from": "web", "to": "shop"})).await;
    let other = org.made("repositories", json!({"name": "web"})).await;
    let others = format!("deploy_key:{other}:{}", org.made("keys", deploy).await);
    let found = org.all().await.0;
    let name = |key: &str| found.iter().find(|seen| seen.key == key).unwrap().name.as_str();
    assert_eq!((name(&key), name(&others)), ("shop/deploy", "web/deploy"), "the same key, by its new name");
    let seen = connector.read(&end, &key).await.unwrap().unwrap();
    assert_eq!((seen.enabled, seen.grants.as_slice()), (true, ["REPOSITORY shop write".to_owned()].as_slice()));
    // The number of the one under the other's repository is nobody's.
    let mixed = format!("deploy_key:{other}:{}", key.rsplit(':').next().unwrap());
    assert_eq!(connector.read(&end, &mixed).await.unwrap(), None);
    assert!(connector.revoke(&end, &key).await.unwrap().words.contains("deleted"));
    assert_eq!(connector.read(&end, &key).await.unwrap(), None);
    assert!(connector.read(&end, &others).await.unwrap().unwrap().enabled, "the other one is let alone");
    // What went to another organisation is none of ours, and isn't gone.
    org.made("transfer", json!({"repo": "web", "to": "elsewhere"})).await;
    for said in [connector.read(&end, &others).await.map(|_| ()), connector.revoke(&end, &others).await.map(|_| ())] {
        assert!(
            matches!(&said, Err(ConnectorError::Rejected(why)) if why.contains("another organisation")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn no_page_is_longer_than_was_asked_for() {
    let org = Org::start(Mode::Observe).await;
    for number in 0..45 {
        org.made("repositories", json!({"name": format!("repository-{number}")})).await;
    }
    for number in 0..101 {
        org.made("pats", json!({"owner": "bo", "name": format!("p{number}"), "permissions": {}})).await;
    }
    let observe = reach(&org.endpoint, &org.app, Mode::Observe);
    assert!(org.connector().discover(&observe, Some("repositories:1")).await.unwrap().next.is_some());
    org.made("longer", json!({})).await;
    for place in ["repositories:1", "pat:0"] {
        let said = org.connector().discover(&observe, Some(place)).await;
        assert!(matches!(&said, Err(ConnectorError::Unreachable(why)) if why.contains("a page of")), "{said:?}");
    }
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_told() {
    for mode in Mode::ALL {
        let org = Org::start(*mode).await;
        let reach = reach(&org.endpoint, &org.app, *mode);
        assert_eq!(org.connector().whoami(&reach).await.unwrap(), Vec::<String>::new(), "{mode:?}");
    }
    let org = Org::start(Mode::Observe).await;
    let end = reach(&org.endpoint, &org.app, Mode::End);
    let problems = org.connector().whoami(&end).await.unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let pat = org.made("pats", json!({"owner": "ada", "name": "a", "permissions": {}})).await;
    let said = org.connector().revoke(&end, &format!("pat:{pat}")).await;
    assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{said:?}");
}

#[tokio::test]
async fn a_personal_access_token_sees_no_other_ones_and_says_so() {
    let org = Org::start(Mode::Observe).await;
    org.made("pats", json!({"owner": "ada", "name": "a", "permissions": {}})).await;
    let permissions = json!({"organization_administration": "read", "administration": "read"});
    let token = people(KIND, "tokens", json!({"org": org.name, "permissions": permissions})).await;
    let us = login("ada", token["token"].as_str().unwrap());
    let observe = reach(&org.endpoint, &us, Mode::Observe);
    assert_eq!(org.connector().whoami(&observe).await.unwrap(), Vec::<String>::new());
    let (accounts, unseen) = all(org.connector(), &org.endpoint, &us).await;
    assert_eq!(accounts.len(), 1, "the app alone");
    assert!(unseen.iter().any(|unseen| unseen.contains("to apps alone")), "{unseen:?}");
    assert_eq!(org.connector().probe(&org.endpoint, &us, PATIENCE).await, Ok(Probe::Accepted));
    let Ok(Probe::Refused { words }) =
        org.connector().probe(&org.endpoint, &login("ada", "github_pat_x"), PATIENCE).await
    else {
        panic!("it is let in")
    };
    assert_eq!(words, "401 Bad credentials");
}

#[tokio::test]
async fn a_spent_rate_limit_says_nothing_of_what_was_asked() {
    let org = Org::start(Mode::End).await;
    let pat = format!("pat:{}", org.made("pats", json!({"owner": "ada", "name": "a", "permissions": {}})).await);
    let end = reach(&org.endpoint, &org.app, Mode::End);
    for kind in ["primary", "secondary"] {
        org.made("limits", json!({"kind": kind})).await;
        for said in
            [org.connector().read(&end, &pat).await.map(|_| ()), org.connector().revoke(&end, &pat).await.map(|_| ())]
        {
            assert!(matches!(&said, Err(ConnectorError::Unreachable(why)) if why.contains("rate limit")), "{said:?}");
        }
    }
    org.made("limits", json!({"kind": null})).await;
    assert!(org.connector().read(&end, &pat).await.unwrap().is_some());
}

#[tokio::test]
async fn who_is_nobody_is_told_nothing_and_endpoints_name_an_organisation() {
    let org = Org::start(Mode::Observe).await;
    let other = Org::start(Mode::Observe).await;
    // Another app's key under this one's id, a token of nobody's, an app that isn't installed there.
    for wrong in [login(&org.app.name, other.app.secret.expose()), login("", "github_pat_nobodys_0123456789")] {
        unauthorized(org.connector(), &org.endpoint, &wrong, "pat:1").await;
    }
    unauthorized(org.connector(), &org.endpoint, &other.app, "pat:1").await;
    let broken = login(&org.app.name, "-----BEGIN RSA PRIVATE KEY-----\nbm90IGEga2V5\n-----END RSA PRIVATE KEY-----\n");
    let said = org.connector().whoami(&reach(&org.endpoint, &broken, Mode::Observe)).await;
    assert!(matches!(&said, Err(ConnectorError::Misconfigured(why)) if !why.contains("bm90")), "{said:?}");
    for org_name in ["", "a/b", "a b", "..", "a?b"] {
        let bad = endpoint(KIND, &[("org", org_name)]);
        assert!(matches!(org.connector().check(&bad), Err(ConnectorError::Misconfigured(_))), "{org_name}");
    }
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::Github).unwrap();
    let real = endpoint(KIND, &[("org", "acme")]);
    let at = |port| format!("http://127.0.0.1:{port}");
    let half = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 900\r\n\r\n{\"message\":\"Bad credentials\"";
    strangers::unreachable(connector, &real, at, half, "pat:1").await;
    for said in [
        &b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 13\r\n\r\n<html>no</htm"[..],
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 25\r\n\r\n{\"message\":\"Server Error\"}",
    ] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..real.clone() };
        let probed = connector.probe(&place, &login("a", "b"), PATIENCE).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
    }
}
