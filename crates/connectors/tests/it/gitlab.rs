//! GitLab, as a stand-in has it: a reading of GitLab's documentation, whose shapes python-gitlab reads too. Of the
//! conformance list `life`, `taken` and `hostile_names` can't apply: no account is made, none given a secret or held.

use std::process::Command;

use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, Probe, SeenAccount, TargetKind, TargetLogin,
};

use crate::places::{PATIENCE, builtin, ca, endpoint, fresh, login, reach, said};
use crate::stand_ins::{all, observes, people, unauthorized};
use crate::strangers;

const KIND: &str = "gitlab";

/// A group that nobody else has, with the connector's token.
struct Group {
    builtin: Builtin,
    endpoint: Endpoint,
    path: String,
    id: u64,
    us: TargetLogin,
    /// The number of our own token.
    own: u64,
}

impl Group {
    async fn start(mode: Mode) -> Self {
        let (builtin, path) = (builtin(), fresh("acme-"));
        let rights = builtin.of(TargetKind::Gitlab).unwrap().rights(mode);
        let scope = if rights.contains("scope read_api") { "read_api" } else { "api" };
        let made = people(KIND, "groups", json!({"path": path, "scopes": [scope], "level": 50})).await;
        let us = login("tenure", made["token"].as_str().unwrap());
        let endpoint = endpoint(KIND, &[("group", &path)]);
        let (id, own) = (made["id"].as_u64().unwrap(), made["token_id"].as_u64().unwrap());
        Self { builtin, endpoint, path, id, us, own }
    }

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Gitlab).unwrap()
    }

    /// What its people make; its number.
    async fn made(&self, what: &str, body: Value) -> u64 {
        people(KIND, what, body).await["id"].as_u64().unwrap()
    }

    async fn project(&self, name: &str) -> u64 {
        self.made("projects", json!({"group": self.id, "path": name})).await
    }

    async fn contents(&self) -> String {
        people(KIND, "contents", json!({"group": self.id})).await.to_string()
    }

    async fn all(&self) -> (Vec<SeenAccount>, Vec<String>) {
        all(self.connector(), &self.endpoint, &self.us).await
    }

    /// What GitLab's stock client for Python says to a line; `gl` is the client.
    fn python(&self, line: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ca()).unwrap();
        let url = said(KIND, "url");
        let client =
            "import gitlab, sys\ngl = gitlab.Gitlab(sys.argv[1], private_token=sys.argv[2], ssl_verify=sys.argv[3])\n";
        let mut python = Command::new(said(KIND, "python"));
        python
            .arg("-c")
            .arg(format!("{client}{line}"))
            .arg(url.trim_end_matches("/api/v4"))
            .arg(self.us.secret.expose());
        let output = python.arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[tokio::test]
async fn tokens_of_groups_projects_and_services_and_deploy_keys_are_found() {
    let group = Group::start(Mode::Observe).await;
    let below = group.made("subgroups", json!({"group": group.id, "path": "team"})).await;
    let project = group.project("web").await;
    let token = json!({"of": "project", "in": project, "name": "ci", "scopes": ["read_repository"], "level": 30, "expires_at": "2027-01-01", "last_used_at": "2026-11-29T10:00:00.000Z"});
    let ci = group.made("tokens", token).await;
    group.made("tokens", json!({"of": "group", "in": below, "name": "owner", "scopes": ["api"], "level": 50})).await;
    group
        .made(
            "tokens",
            json!({"of": "project", "in": project, "name": "old", "scopes": ["api"], "level": 30, "revoked": true}),
        )
        .await;
    group
        .made("deploy_tokens", json!({"of": "group", "in": group.id, "name": "registry", "scopes": ["read_registry"]}))
        .await;
    group.made("deploy_keys", json!({"in": project, "title": "deploy", "can_push": true})).await;
    let robot = group.made("service_accounts", json!({"group": group.id, "username": "robot"})).await;
    let robots =
        group.made("service_tokens", json!({"group": group.id, "user": robot, "name": "bot", "scopes": ["api"]})).await;
    for number in 0..45 {
        let project = group.project(&format!("p{number}")).await;
        group
            .made("deploy_tokens", json!({"of": "project", "in": project, "name": "d", "scopes": ["read_repository"]}))
            .await;
    }
    for number in 0..130 {
        group.made("deploy_keys", json!({"in": project, "title": format!("k{number}"), "can_push": false})).await;
    }
    let before = group.contents().await;
    let (accounts, unseen) = group.all().await;
    assert_eq!(unseen.len(), 1, "a subgroup's service accounts are told by nobody: {unseen:?}");
    assert_eq!(accounts.len(), 1 + 1 + 2 + 1 + 1 + 1 + 45 + 130);
    let found = |key: &str| accounts.iter().find(|account| account.key == key).unwrap();
    let seen = found(&format!("project:{project}:token:{ci}"));
    assert!(seen.enabled && seen.name == format!("{}/web/ci", group.path) && seen.last_used_at.is_some(), "{seen:?}");
    assert_eq!(
        (seen.grants.join(", ").as_str(), seen.ends_at.unwrap().to_string().as_str()),
        ("ACCESS LEVEL 30, SCOPE read_repository", "2027-01-01T00:00:00Z")
    );
    assert!(accounts.iter().any(|account| account.name.ends_with("team/owner") && account.privileged));
    assert!(accounts.iter().any(|account| account.name.ends_with("web/old") && !account.enabled));
    assert!(accounts.iter().any(|account| account.name.ends_with("web/deploy") && account.grants == ["PUSH"]));
    assert!(
        accounts.iter().any(|account| account.name.ends_with("/registry") && account.grants == ["SCOPE read_registry"])
    );
    assert_eq!(found(&format!("group:{}:service_account:{robot}:{robots}", group.id)).name, "robot/bot");
    found(&format!("group:{}:token:{}", group.id, group.own));
    let observe = reach(&group.endpoint, &group.us, Mode::Observe);
    for account in accounts.iter().filter(|account| !account.name.contains("/k") && !account.name.contains("/p")) {
        assert_eq!(group.connector().read(&observe, &account.key).await.unwrap().as_ref(), Some(account));
    }
    let again = group.all().await.0;
    assert!(accounts.iter().map(|one| &one.key).eq(again.iter().map(|one| &one.key)), "always in the same order");
    observes(group.connector(), &group.endpoint, &group.us, &seen.key).await;
    assert_eq!(group.contents().await, before, "observing wrote something");
    // The stock client reads the same.
    let names = group.python(&format!("p = gl.projects.get({project})\nprint(sorted(t.name for t in p.access_tokens.list(get_all=True)), len(p.keys.list(get_all=True)))"));
    assert_eq!(names, "['ci', 'old'] 131");
}

#[tokio::test]
async fn what_ends_is_deleted_and_our_own_token_is_let_alone() {
    let group = Group::start(Mode::End).await;
    let end = reach(&group.endpoint, &group.us, Mode::End);
    let project = group.project("web").await;
    let token = group
        .made("tokens", json!({"of": "project", "in": project, "name": "ci", "scopes": ["api"], "level": 30}))
        .await;
    let other = group
        .made("tokens", json!({"of": "project", "in": project, "name": "other", "scopes": ["api"], "level": 30}))
        .await;
    let deploy = group
        .made("deploy_tokens", json!({"of": "group", "in": group.id, "name": "registry", "scopes": ["read_registry"]}))
        .await;
    let key = group.made("deploy_keys", json!({"in": project, "title": "deploy", "can_push": true})).await;
    let robot = group.made("service_accounts", json!({"group": group.id, "username": "robot"})).await;
    let robots =
        group.made("service_tokens", json!({"group": group.id, "user": robot, "name": "bot", "scopes": ["api"]})).await;
    let connector = group.connector();
    for key in [
        format!("project:{project}:token:{token}"),
        format!("group:{}:deploy_token:{deploy}", group.id),
        format!("project:{project}:deploy_key:{key}"),
        format!("group:{}:service_account:{robot}:{robots}", group.id),
    ] {
        assert!(connector.read(&end, &key).await.unwrap().unwrap().enabled, "{key}");
        for _ in 0..2 {
            assert!(!connector.revoke(&end, &key).await.unwrap().words.is_empty(), "{key}");
            assert!(connector.read(&end, &key).await.unwrap().is_none_or(|seen| !seen.enabled), "{key}");
        }
    }
    assert!(connector.read(&end, &format!("project:{project}:token:{other}")).await.unwrap().unwrap().enabled);
    assert_eq!(
        group
            .python(&format!("print([t.name for t in gl.projects.get({project}).access_tokens.list(state='active')])")),
        "['other']"
    );
    let said = connector.revoke(&end, &format!("group:{}:token:{}", group.id, group.own)).await;
    assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
    // A project that isn't shown is no sign that its tokens are gone.
    let said = connector.read(&end, "project:999999999:token:1").await;
    assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{said:?}");
}

#[tokio::test]
async fn a_list_that_is_not_told_hides_nothing_and_no_page_is_longer_than_was_asked_for() {
    let group = Group::start(Mode::End).await;
    let end = reach(&group.endpoint, &group.us, Mode::End);
    let project = group.project("web").await;
    group.made("deploy_keys", json!({"in": project, "title": "deploy", "can_push": true})).await;
    let robot = group.made("service_accounts", json!({"group": group.id, "username": "robot"})).await;
    let robots =
        group.made("service_tokens", json!({"group": group.id, "user": robot, "name": "bot", "scopes": ["api"]})).await;
    let robots = format!("group:{}:service_account:{robot}:{robots}", group.id);
    let faults = async |longer: bool, untold: Option<&str>| {
        people(KIND, "faults", json!({"group": group.id, "longer": longer, "untold": untold})).await;
    };
    assert_eq!(group.all().await.1, Vec::<String>::new());
    // A list of which a 404 is all that is said: what stands in it isn't gone.
    for (list, what) in [
        ("deploy_keys", "deploy keys of"),
        ("access_tokens", "access tokens of"),
        ("deploy_tokens", "deploy tokens of"),
        ("service_accounts", "service accounts of"),
        ("personal_access_tokens", "tokens of robot"),
    ] {
        faults(false, Some(list)).await;
        let unseen = group.all().await.1;
        assert!(unseen.iter().any(|unseen| unseen.starts_with(what)), "{list}: {unseen:?}");
        if matches!(list, "service_accounts" | "personal_access_tokens") {
            let said = group.connector().read(&end, &robots).await;
            assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{said:?}");
        }
    }
    for list in ["descendant_groups", "projects", group.path.as_str()] {
        faults(false, Some(list)).await;
        let after = (list == "projects").then_some("projects:1");
        let said = group.connector().discover(&end, after).await;
        assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{list}: {said:?}");
    }
    faults(false, Some(&group.id.to_string())).await;
    let said = group.connector().read(&end, &format!("group:{}:token:1", group.id)).await;
    assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{said:?}");
    // Longer pages: behind which project the next one begins isn't known.
    for number in 0..45 {
        group.project(&format!("p{number}")).await;
    }
    faults(true, None).await;
    let said = group.connector().discover(&end, Some("projects:1")).await;
    assert!(matches!(&said, Err(ConnectorError::Unreachable(why)) if why.contains("a page of 21")), "{said:?}");
    for number in 0..101 {
        group.made("deploy_keys", json!({"in": project, "title": format!("k{number}"), "can_push": false})).await;
    }
    faults(false, None).await;
    assert_eq!(group.all().await.1, Vec::<String>::new());
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_told() {
    for mode in Mode::ALL {
        let group = Group::start(*mode).await;
        let reach = reach(&group.endpoint, &group.us, *mode);
        assert_eq!(group.connector().whoami(&reach).await.unwrap(), Vec::<String>::new(), "{mode:?}");
    }
    let group = Group::start(Mode::Observe).await;
    let end = reach(&group.endpoint, &group.us, Mode::End);
    assert_eq!(group.connector().whoami(&end).await.unwrap().len(), 1);
    let project = group.project("web").await;
    let token = group
        .made("tokens", json!({"of": "project", "in": project, "name": "ci", "scopes": ["api"], "level": 30}))
        .await;
    let said = group.connector().revoke(&end, &format!("project:{project}:token:{token}")).await;
    assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{said:?}");
    // A developer's token is shown no tokens.
    let weaker = people(
        KIND,
        "tokens",
        json!({"of": "group", "in": group.id, "name": "weaker", "scopes": ["api"], "level": 30}),
    )
    .await;
    let weaker = login("weaker", weaker["token"].as_str().unwrap());
    let observe = reach(&group.endpoint, &weaker, Mode::Observe);
    assert_eq!(group.connector().whoami(&observe).await.unwrap().len(), 2);
}

#[tokio::test]
async fn who_is_nobody_is_told_nothing_a_spent_limit_too_and_endpoints_name_a_group() {
    let group = Group::start(Mode::End).await;
    unauthorized(group.connector(), &group.endpoint, &login("", "glpat-nobodys_0123456789"), "project:1:token:1").await;
    assert_eq!(group.connector().probe(&group.endpoint, &group.us, PATIENCE).await, Ok(Probe::Accepted));
    let Ok(Probe::Refused { words }) = group.connector().probe(&group.endpoint, &login("", "glpat-x"), PATIENCE).await
    else {
        panic!("it is let in")
    };
    assert_eq!(words, "401 401 Unauthorized");
    let end = reach(&group.endpoint, &group.us, Mode::End);
    people(KIND, "limits", json!({"token": group.us.secret.expose()})).await;
    let said = group.connector().read(&end, &format!("group:{}:token:{}", group.id, group.own)).await;
    assert!(matches!(&said, Err(ConnectorError::Unreachable(why)) if why.contains("60 s")), "{said:?}");
    for path in ["", "a b", "a/../b", "a?b"] {
        let bad = endpoint(KIND, &[("group", path)]);
        assert!(matches!(group.connector().check(&bad), Err(ConnectorError::Misconfigured(_))), "{path}");
    }
    let no_api = Endpoint { url: "https://gitlab.acme.example".to_owned(), ..group.endpoint.clone() };
    assert!(matches!(group.connector().check(&no_api), Err(ConnectorError::Misconfigured(_))));
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::Gitlab).unwrap();
    let real = endpoint(KIND, &[("group", "acme")]);
    let at = |port| format!("http://127.0.0.1:{port}/api/v4");
    let half = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 900\r\n\r\n{\"message\":\"401 Unauthorized\"";
    strangers::unreachable(connector, &real, at, half, "project:1:token:1").await;
    for said in [
        &b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 13\r\n\r\n<html>no</htm"[..],
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 17\r\n\r\n{\"message\":\"502\"}",
    ] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..real.clone() };
        let probed = connector.probe(&place, &login("a", "b"), PATIENCE).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
    }
}
