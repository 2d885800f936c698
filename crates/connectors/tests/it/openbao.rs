//! OpenBao.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, Probe, TargetKind, TargetLogin,
};
use tenure_outbound::{Authorities, Call, Destination, Outbound};

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, administrator, builtin, ca, endpoint, fresh, login, outbound, reach, said};
use crate::strangers;

const KIND: &str = "openbao";

struct Bao {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    mount: String,
    outbound: Arc<Outbound>,
}

async fn call(outbound: &Outbound, method: &str, path: &str, body: Value, token: &str) -> (u16, Value) {
    let to: Destination = format!("{}/v1/{path}", said(KIND, "url")).parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-vault-token"), HeaderValue::from_str(token).unwrap());
    let authorities = Authorities::from_pem(&ca()).unwrap();
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let call =
        Call { method, authorities: &authorities, headers, body, patience: Duration::from_secs(30), limit: 1 << 26 };
    let answer = outbound.call(&to, call).await.unwrap();
    (answer.status.as_u16(), serde_json::from_slice(&answer.body.unwrap()).unwrap_or(Value::Null))
}

impl Bao {
    async fn start() -> Self {
        let mount = fresh("approle");
        let outbound = outbound();
        let root = administrator(KIND);
        let ask = async |method: &str, path: &str, body: Value| {
            let (status, body) = call(&outbound, method, path, body, root.secret.expose()).await;
            assert!(status < 300, "{path}: {status} {body}");
            body
        };
        ask("POST", &format!("sys/auth/{mount}"), json!({ "type": "approle" })).await;
        for (policy, rule) in [("kept", "sys/mounts"), ("dropped", "sys/policies/acl/default")] {
            let rule = format!("path \"{rule}\" {{ capabilities = [\"read\"] }}");
            ask("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": rule })).await;
        }
        let builtin = builtin();
        let connector = builtin.of(TargetKind::Openbao).unwrap();
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            let name = fresh("connector");
            ask("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": connector.rights(*mode) })).await;
            let made = ask("POST", "auth/token/create", json!({ "policies": [name], "ttl": "1h" })).await;
            logins.push(login("", made["auth"]["client_token"].as_str().unwrap()));
        }
        let made = ask("POST", "auth/token/create", json!({ "policies": ["default"], "ttl": "1h" })).await;
        logins.push(login("", made["auth"]["client_token"].as_str().unwrap()));
        let endpoint = endpoint(KIND, &[("mount", &mount)]);
        Self { builtin, endpoint, logins: logins.try_into().unwrap(), mount, outbound }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = call(&self.outbound, method, path, body, &said(KIND, "secret")).await;
        assert!(status < 300, "{path}: {status} {body}");
        body
    }

    async fn log_in(&self, login: &TargetLogin) -> String {
        let body = json!({ "role_id": login.name, "secret_id": login.secret.expose() });
        let made = self.ask("POST", &format!("auth/{}/login", self.mount), body).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

impl Site for Bao {
    type Session = String;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Openbao).unwrap()
    }
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    fn login(&self, mode: Mode) -> &TargetLogin {
        &self.logins[mode as usize]
    }
    fn weaker(&self) -> &TargetLogin {
        &self.logins[3]
    }
    fn grants(&self) -> [String; 2] {
        ["POLICY kept", "POLICY dropped"].map(str::to_owned)
    }
    fn key(&self) -> String {
        "token:x".to_owned()
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let token = self.log_in(login).await;
        let path = if grant == "POLICY kept" { "sys/mounts" } else { "sys/policies/acl/default" };
        call(&self.outbound, "GET", path, Value::Null, &token).await.0 == 200
    }
    async fn open(&self, login: &TargetLogin) -> Option<String> {
        Some(self.log_in(login).await)
    }
    async fn is_open(&self, session: &mut String) -> bool {
        call(&self.outbound, "GET", "sys/internal/ui/namespaces", Value::Null, session).await.0 == 200
    }
    async fn by_people(&self, name: &str, secret: &str) {
        let role = format!("auth/{}/role/{name}", self.mount);
        self.ask("POST", &role, json!({ "token_policies": ["default"] })).await;
        self.ask("POST", &format!("{role}/role-id"), json!({ "role_id": name })).await;
        self.ask("POST", &format!("{role}/custom-secret-id"), json!({ "secret_id": secret })).await;
    }
    async fn crowd(&self, number: usize) {
        for _ in 0..number {
            self.ask("POST", "auth/token/create", json!({ "policies": ["default"], "ttl": "1h" })).await;
        }
    }
    async fn contents(&self) -> String {
        let roles =
            call(&self.outbound, "LIST", &format!("auth/{}/role", self.mount), Value::Null, &said(KIND, "secret"))
                .await;
        let mut text = roles.1["data"].to_string();
        for role in roles.1["data"]["keys"].as_array().into_iter().flatten() {
            let role = format!("auth/{}/role/{}", self.mount, role.as_str().unwrap());
            text.push_str(&self.ask("GET", &role, Value::Null).await["data"].to_string());
            text.push_str(&self.ask("LIST", &format!("{role}/secret-id"), Value::Null).await["data"].to_string());
        }
        text
    }
    fn seen_under(&self, own: &TargetLogin) -> Option<String> {
        assert!(own.name.is_empty());
        None
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Bao::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Bao::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Bao::start().await).await;
}

#[tokio::test]
async fn names_of_others_are_let_alone() {
    let site = Bao::start().await;
    conformance::taken(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Bao::start().await;
    let names = ["../../sys/policies", "a/b", "Upper", "a b", "tenure_%2e", "tenure-1.x", "", "."];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let half = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 90\r\n\r\n{\"errors\":[\"permission";
    let connector = builtin.of(TargetKind::Openbao).unwrap();
    strangers::unreachable(connector, &endpoint(KIND, &[]), |port| format!("http://127.0.0.1:{port}"), half, "token:x")
        .await;
    // Somebody in between who forbids, in words of their own.
    let proxy = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nForbidden";
    let port = strangers::stranger(strangers::Manner::Says(proxy)).await;
    let place = Endpoint { url: format!("http://127.0.0.1:{port}"), ca: None, plaintext: true, ..endpoint(KIND, &[]) };
    let probed = connector.probe(&place, &login("", "s.x"), PATIENCE).await;
    assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
}

/// A token is an account by itself: found with its role and its entity, told refused where its entity is disabled,
/// ended for good, never held.
#[tokio::test]
async fn tokens_are_found_with_their_entities_and_ended() {
    let site = Bao::start().await;
    let name = fresh("role");
    site.by_people(&name, "peoples-Secret").await;
    let token = site.log_in(&login(&name, "peoples-Secret")).await;
    let looked = call(&site.outbound, "GET", "auth/token/lookup-self", Value::Null, &token).await.1;
    let (accessor, entity) = (&looked["data"]["accessor"], looked["data"]["entity_id"].as_str().unwrap());
    let key = format!("token:{}", accessor.as_str().unwrap());
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let seen = site.connector().read(&end, &key).await.unwrap().unwrap();
    assert_eq!(
        (seen.enabled, seen.marks["role"].as_str(), seen.marks["entity"].as_str()),
        (true, name.as_str(), entity)
    );
    assert!(seen.ends_at.is_some() && seen.made_at.is_some());
    let refused = |login: TargetLogin| async move {
        let probed = builtin().of(TargetKind::Openbao).unwrap().probe(&endpoint(KIND, &[]), &login, PATIENCE).await;
        matches!(probed.unwrap(), Probe::Refused { .. })
    };
    assert!(!refused(login("", &token)).await);
    assert!(matches!(site.connector().hold(&end, &key).await, Err(ConnectorError::Unable(_))));
    // The look-up of the token says nothing of a disabled entity; the reading does.
    site.ask("POST", &format!("identity/entity/id/{entity}"), json!({ "disabled": true })).await;
    assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled && refused(login("", &token)).await);
    site.ask("POST", &format!("identity/entity/id/{entity}"), json!({ "disabled": false })).await;
    assert!(site.connector().read(&end, &key).await.unwrap().unwrap().enabled && !refused(login("", &token)).await);
    for _ in 0..2 {
        site.connector().revoke(&end, &key).await.unwrap();
        assert_eq!(site.connector().read(&end, &key).await.unwrap(), None);
    }
    assert!(refused(login("", &token)).await);
    // A token that may do nothing at all is let in nevertheless.
    let made = site
        .ask("POST", "auth/token/create", json!({ "policies": ["none"], "no_default_policy": true, "ttl": "1h" }))
        .await;
    assert!(!refused(login("", made["auth"]["client_token"].as_str().unwrap())).await);
}

/// An entity is stopped and let in again; ended, it stays and is refused, so that its aliases get no other one.
#[tokio::test]
async fn entities_are_held_and_ended() {
    let site = Bao::start().await;
    let name = fresh("role");
    site.by_people(&name, "peoples-Secret").await;
    let us = login(&name, "peoples-Secret");
    let token = site.log_in(&us).await;
    let looked = call(&site.outbound, "GET", "auth/token/lookup-self", Value::Null, &token).await.1;
    let key = format!("entity:{}", looked["data"]["entity_id"].as_str().unwrap());
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let accepted = async || site.connector().probe(&site.endpoint, &us, PATIENCE).await.unwrap() == Probe::Accepted;
    let ending = site.connector().hold(&end, &key).await.unwrap();
    assert_eq!((ending.sessions_ended, ending.sessions_left), (1, Some(0)));
    assert!(!accepted().await);
    site.connector().release(&end, &key).await.unwrap();
    assert!(accepted().await);
    for _ in 0..2 {
        site.connector().revoke(&end, &key).await.unwrap();
        assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled && !accepted().await);
    }
    site.connector().release(&end, &key).await.unwrap();
    assert!(!accepted().await, "a hold taken back revives nothing that was ended");
}

/// The connector's login may be an AppRole: its token goes with each call.
#[tokio::test]
async fn the_connector_may_be_an_approle_and_leaves_no_token_behind() {
    let site = Bao::start().await;
    let name = fresh("connector");
    let policy = site.connector().rights(Mode::End);
    site.ask("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": policy })).await;
    site.by_people(&name, "connectors-Secret").await;
    site.ask("POST", &format!("auth/{}/role/{name}", site.mount), json!({ "token_policies": [name] })).await;
    let us = login(&name, "connectors-Secret");
    let end = reach(&site.endpoint, &us, Mode::End);
    assert_eq!(site.connector().whoami(&end).await.unwrap(), Vec::<String>::new());
    let role = format!("role:{}:{name}", site.mount);
    for said in
        [site.connector().revoke(&end, &role).await.map(|_| ()), site.connector().hold(&end, &role).await.map(|_| ())]
    {
        assert!(matches!(said, Err(ConnectorError::Unable(_))), "{said:?}");
    }
    let accessors = site.ask("LIST", "auth/token/accessors", Value::Null).await;
    for accessor in accessors["data"]["keys"].as_array().unwrap() {
        let (_, looked) = call(
            &site.outbound,
            "POST",
            "auth/token/lookup-accessor",
            json!({ "accessor": accessor }),
            &said(KIND, "secret"),
        )
        .await;
        assert_ne!(
            looked["data"]["meta"]["role_name"],
            Value::String(name.clone()),
            "a token of the connector's is left"
        );
    }
}

/// A lease is a login elsewhere, found by its path and ended there. TARGETS.md: the server's own way to end a database
/// login fails where that holds CREATE; then nothing is said to be done, and the login is told as what it is: alive.
#[tokio::test]
async fn leases_are_the_logins_that_they_are() {
    let site = Bao::start().await;
    let mount = fresh("database");
    site.ask("POST", &format!("sys/mounts/{mount}"), json!({ "type": "database" })).await;
    let url = said("postgresql", "url").replace("postgres://", "postgresql://{{username}}:{{password}}@");
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": format!("{url}?sslmode=require"),
        "username": said("postgresql", "name"), "password": said("postgresql", "secret"),
    });
    site.ask("POST", &format!("{mount}/config/pg"), config).await;
    let make = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    for (role, grants, ends) in
        [("plain", "", true), ("creator", "; GRANT CREATE ON SCHEMA public TO \"{{name}}\"", false)]
    {
        let statements =
            json!({ "db_name": "pg", "creation_statements": format!("{make}{grants}"), "default_ttl": "1h" });
        site.ask("POST", &format!("{mount}/roles/{role}"), statements).await;
        let lease = site.ask("GET", &format!("{mount}/creds/{role}"), Value::Null).await;
        let text = |pointer: &str| lease.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let theirs = login(&text("/data/username"), &text("/data/password"));
        assert!(crate::postgresql::connect("postgres", &theirs).await.is_ok());
        let (mut found, mut after) = (None, None);
        while found.is_none() {
            let page = site.connector().discover(&end, after.as_deref()).await.unwrap();
            found = page.accounts.into_iter().find(|account| account.key == format!("lease:{}", text("/lease_id")));
            after = page.next;
            assert!(found.is_some() || after.is_some(), "the lease is not found");
        }
        let found = found.unwrap();
        assert_eq!((found.name.as_str(), found.ends_at.is_some()), (format!("{mount}/creds/{role}").as_str(), true));
        assert!(matches!(site.connector().hold(&end, &found.key).await, Err(ConnectorError::Unable(_))));
        for _ in 0..2 {
            let ended = site.connector().revoke(&end, &found.key).await;
            assert_eq!(ended.is_ok(), ends, "{ended:?}");
            assert_eq!(site.connector().read(&end, &found.key).await.unwrap().is_none(), ends);
            assert_eq!(crate::postgresql::connect("postgres", &theirs).await.is_err(), ends);
        }
    }
}

#[tokio::test]
async fn s17_what_the_connector_signs_in_with_is_none_of_what_is_found() {
    let bao = Bao::start().await;
    let (policy, role) = (fresh("own_policy"), fresh("own"));
    let connector = bao.connector();
    bao.ask("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": connector.rights(Mode::Observe) })).await;
    let path = format!("auth/{}/role/{role}", bao.mount);
    bao.ask("POST", &path, json!({ "token_policies": [policy] })).await;
    let id = bao.ask("GET", &format!("{path}/role-id"), Value::Null).await;
    let secret = bao.ask("POST", &format!("{path}/secret-id"), json!({})).await;
    let (id, secret) = (id["data"]["role_id"].as_str().unwrap(), secret["data"]["secret_id"].as_str().unwrap());
    let own = login(id, secret);
    bao.by_people("other", "others-Secret_0123456789").await;
    let other = bao.log_in(&login("other", "others-Secret_0123456789")).await;
    // What it does there at the same time has a token, too.
    let beside = bao.log_in(&own).await;
    for _ in 0..2 {
        let reach = reach(bao.endpoint(), &own, Mode::Observe);
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let found = connector.discover(&reach, after.as_deref()).await.unwrap();
            for account in found.accounts {
                assert_ne!(account.marks.get("role"), Some(&role), "{account:?}");
                assert!(!account.marks.get("aliases").is_some_and(|aliases| aliases.contains(id)), "{account:?}");
                names.push(account.name);
            }
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        assert!(!names.contains(&role) && names.contains(&"other".to_owned()));
    }
    drop((other, beside));
}
