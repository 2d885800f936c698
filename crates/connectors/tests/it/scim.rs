//! SCIM service providers: a library's own, and the same as those that understand less.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, NewAccount, Probe, TargetKind, TargetLogin,
};
use tenure_outbound::{Authorities, Call, Destination};

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, builtin, ca, endpoint, fresh, login, mine, outbound, reach, said};
use crate::strangers;

const KIND: &str = "scim";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

struct Provider {
    builtin: Builtin,
    /// By what it does with requests.
    sort: &'static str,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    groups: [String; 2],
}

async fn send(method: Method, url: &str, body: &Value) -> (u16, Value) {
    let to: Destination = url.parse().unwrap();
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", said(KIND, "secret"));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    let authorities = Authorities::from_pem(&ca()).unwrap();
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    let call =
        Call { method, authorities: &authorities, headers, body, patience: Duration::from_secs(30), limit: 1 << 26 };
    let answer = outbound().call(&to, call).await.unwrap();
    (answer.status.as_u16(), serde_json::from_slice(&answer.body.unwrap()).unwrap_or(Value::Null))
}

impl Provider {
    async fn start(sort: &'static str) -> Self {
        let connectors = builtin();
        let connector = connectors.of(TargetKind::Scim).unwrap();
        let endpoint = Endpoint { url: format!("{}/{sort}/v2", said(KIND, "base")), ..endpoint(KIND, &[]) };
        let mut site = Self {
            builtin: builtin(),
            sort,
            endpoint,
            logins: [(); 4].map(|()| login("", "")),
            groups: ["kept", "dropped"].map(fresh),
        };
        for mode in Mode::ALL {
            site.logins[*mode as usize] = site.token(connector.rights(*mode)).await;
        }
        site.logins[3] = site.token("GET /Users\nGET /Groups\n").await;
        for group in &site.groups {
            site.must(Method::POST, "Groups", json!({ "schemas": [GROUP], "displayName": group })).await;
        }
        site
    }

    /// A token that may do what these lines say, of a user of its own.
    async fn token(&self, lines: &str) -> TargetLogin {
        let (user, token) = (fresh("connector"), fresh("token"));
        self.must(Method::POST, "Users", json!({ "schemas": [USER], "userName": user })).await;
        let may: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
        let told = json!({ "sort": self.sort, "token": token, "user": user, "may": may });
        assert_eq!(send(Method::POST, &format!("{}/tokens", said(KIND, "base")), &told).await.0, 204);
        login(&user, &token)
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        send(method, &format!("{}/{path}", self.endpoint.url), &body).await
    }

    async fn must(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, told) = self.ask(method, path, body).await;
        assert!(status < 300, "{path}: {status} {told}");
        told
    }

    async fn user(&self, body: Value) -> String {
        let mut user = json!({ "schemas": [USER], "userName": fresh("peoples") });
        user.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.must(Method::POST, "Users", user).await["id"].as_str().unwrap().to_owned()
    }

    async fn group_id(&self, name: &str) -> String {
        let filter = format!("Groups?filter=displayName%20eq%20%22{name}%22");
        self.must(Method::GET, &filter, Value::Null).await["Resources"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn made(&self, name: &str, grants: &[String]) -> Result<String, ConnectorError> {
        let issue = reach(&self.endpoint, self.login(Mode::Issue), Mode::Issue);
        let secret = login("", "a-Secret").secret;
        let ends_at = Timestamp::from_secs(4_000_000_000);
        let new = NewAccount { name, secret: &secret, grants, ends_at, mark: "idn_1" };
        self.connector().provision(&issue, &new).await.map(|made| made.key)
    }
}

impl Site for Provider {
    type Session = ();

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Scim).unwrap()
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
        self.groups.clone().map(|group| format!("GROUP {group}"))
    }
    /// What a group allows is an application's to say: whether it is a member is the provider's.
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let users = format!("Users?filter=userName%20eq%20%22{}%22", login.name);
        let id = self.must(Method::GET, &users, Value::Null).await["Resources"][0]["id"].clone();
        let group = self.group_id(grant.strip_prefix("GROUP ").unwrap()).await;
        let told = self.must(Method::GET, &format!("Groups/{group}"), Value::Null).await;
        told["members"].as_array().is_some_and(|members| members.iter().any(|member| member["value"] == id))
    }
    async fn open(&self, _login: &TargetLogin) -> Option<()> {
        None
    }
    async fn is_open(&self, _session: &mut ()) -> bool {
        false
    }
    async fn by_people(&self, name: &str, secret: &str) {
        let user = json!({ "schemas": [USER], "userName": name, "password": secret, "externalId": "hr:7",
            "displayName": "of Ada's team", "roles": [{ "value": "auditor" }] });
        self.must(Method::POST, "Users", user).await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        for i in 0..number {
            self.must(Method::POST, "Users", json!({ "schemas": [USER], "userName": format!("{name}_{i}") })).await;
        }
    }
    async fn contents(&self) -> String {
        let mut text = String::new();
        for what in ["Users", "Groups"] {
            let mut start = 1;
            loop {
                let page = self.must(Method::GET, &format!("{what}?startIndex={start}"), Value::Null).await;
                let items = page["Resources"].as_array().cloned().unwrap_or_default();
                start += items.len();
                let ours = items.iter().map(Value::to_string).filter(|item| item.contains(&mine()));
                text.extend(ours);
                if items.is_empty() {
                    break;
                }
            }
        }
        text
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Provider::start("plain").await).await;
}

/// The same at providers that understand one form of a removal, or of a change, and answer 200 to the other.
#[tokio::test]
async fn an_account_lives_and_ends_at_providers_that_understand_one_form_alone() {
    conformance::life(&Provider::start("lists").await).await;
    conformance::life(&Provider::start("pathless").await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Provider::start("plain").await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Provider::start("plain").await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Provider::start("plain").await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
    // Also where whoever handed the token in said nothing of whose it is.
    let nameless = login("", site.login(Mode::End).secret.expose());
    let end = reach(&site.endpoint, &nameless, Mode::End);
    let own = &site.login(Mode::End).name;
    let users = format!("Users?filter=userName%20eq%20%22{own}%22");
    let id = site.must(Method::GET, &users, Value::Null).await["Resources"][0]["id"].as_str().unwrap().to_owned();
    assert!(matches!(site.connector().revoke(&end, &id).await, Err(ConnectorError::Unable(_))));
    // And where they wrote its name in another way, as providers compare names without case, of a token that tells nothing
    // of whose it is.
    let other = fresh("Robot");
    let id = site.user(json!({ "userName": other })).await;
    for name in [other.to_uppercase(), other.to_lowercase()] {
        let ours = login(&name, site.login(Mode::End).secret.expose());
        let end = reach(&site.endpoint, &ours, Mode::Issue);
        let secret = login("", "another-Secret").secret;
        for said in [
            site.connector().revoke(&end, &id).await.map(drop),
            site.connector().hold(&end, &id).await.map(drop),
            site.connector().narrow(&end, &id, &[]).await.map(drop),
            site.connector().rotate(&end, &id, &secret).await.map(drop),
        ] {
            assert!(matches!(said, Err(ConnectorError::Unable(_))), "{name}: {said:?}");
        }
    }
    let seen = site.must(Method::GET, &format!("Users/{id}"), Value::Null).await;
    assert_ne!(seen["active"], false);
}

/// A page that is longer than was asked for: behind which user the next one begins isn't known.
#[tokio::test]
async fn no_page_is_longer_than_was_asked_for() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::Scim).unwrap();
    for (users, is_longer) in [(500, false), (501, true)] {
        let users: Vec<Value> =
            (0..users).map(|id| json!({ "id": id.to_string(), "userName": format!("u{id}") })).collect();
        let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": users.len(), "Resources": users });
        let body = body.to_string();
        let port = strangers::answering(body).await;
        let url = format!("http://127.0.0.1:{port}/v2");
        let place = Endpoint { url, ca: None, plaintext: true, ..endpoint(KIND, &[]) };
        let said = connector.discover(&reach(&place, &login("a", "b"), Mode::Observe), None).await;
        match said {
            Err(ConnectorError::Unreachable(why)) => assert!(is_longer && why.contains("a page of 501"), "{why}"),
            said => assert!(!is_longer && said.as_ref().is_ok_and(|found| found.accounts.len() == 500), "{said:?}"),
        }
    }
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Provider::start("plain").await;
    let names = ["tenure\" or userName pr", "tenure/../Users", "tenureü漢😀", "..", "", "a:b", "a\u{0}b", "a\nb", " "];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::Scim).unwrap();
    let real = endpoint(KIND, &[]);
    let at = |port| format!("http://127.0.0.1:{port}/v2");
    let half =
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 900\r\n\r\n{\"schemas\":[\"urn:ietf:params:scim:api:messages";
    strangers::unreachable(connector, &real, at, half, "a").await;
    for said in [
        &b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 14\r\n\r\n<html>no</html"[..],
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
    ] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..real.clone() };
        let probed = connector.probe(&place, &login("a", "b"), PATIENCE).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
        let us = login("a", "b");
        let read = connector.read(&reach(&place, &us, Mode::End), "1").await;
        assert!(matches!(read, Err(ConnectorError::Unreachable(_))), "{read:?}");
    }
}

/// What people wrote, gave and stopped is as it was when a hold is taken back.
#[tokio::test]
async fn a_held_user_comes_back_as_people_had_it_and_whoever_they_stopped_stays_stopped() {
    for sort in ["plain", "strong"] {
        let site = Provider::start(sort).await;
        let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
        let told = json!({ "externalId": "hr:7", "entitlements": [{ "value": "export", "type": "work" }] });
        let standing = site.user(told.clone()).await;
        let stopped = site.user(json!({ "active": false })).await;
        let bare = site.user(json!({})).await;
        for (id, comes_back) in [(&standing, true), (&bare, true), (&stopped, false)] {
            let path = format!("Users/{id}");
            let mut before = site.must(Method::GET, &path, Value::Null).await;
            site.connector().hold(&end, id).await.unwrap();
            let held = site.must(Method::GET, &path, Value::Null).await;
            assert_eq!(held["active"], false, "{sort}");
            let seen = site.connector().read(&end, id).await.unwrap().unwrap();
            assert!(!seen.grants.iter().any(|grant| grant.contains("tenure")), "{seen:?}");
            site.connector().release(&end, id).await.unwrap();
            let mut after = site.must(Method::GET, &path, Value::Null).await;
            for told in [&mut before, &mut after] {
                let told = told.as_object_mut().unwrap();
                told.remove("meta");
                told.entry("active").or_insert(json!(true));
            }
            assert_eq!(before, after, "{sort}");
            assert_eq!(after["active"], comes_back, "{sort}");
        }
    }
}

/// A provider that answers 200 and keeps no mark: its user is stopped all the same, and the words say what that means.
#[tokio::test]
async fn a_provider_that_keeps_no_mark_stops_whom_people_have_to_let_in_again() {
    let site = Provider::start("markless").await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let id = site.user(json!({})).await;
    let ending = site.connector().hold(&end, &id).await.unwrap();
    assert!(ending.words.contains("it takes no mark"), "{ending:?}");
    site.connector().release(&end, &id).await.unwrap();
    assert!(!site.connector().read(&end, &id).await.unwrap().unwrap().enabled);
}

/// Where nothing is deleted, what is ended is stopped, and no release lets it in again.
#[tokio::test]
async fn a_provider_that_keeps_its_users_has_them_stopped_for_good() {
    let site = Provider::start("lasting").await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let id = site.user(json!({})).await;
    site.connector().hold(&end, &id).await.unwrap();
    for _ in 0..2 {
        let ending = site.connector().revoke(&end, &id).await.unwrap();
        assert!(ending.words.contains("DELETE left it there (403"), "{ending:?}");
    }
    site.connector().release(&end, &id).await.unwrap();
    assert!(!site.connector().read(&end, &id).await.unwrap().unwrap().enabled);
}

/// Roles and entitlements are grants as groups are.
#[tokio::test]
async fn roles_and_entitlements_are_narrowed_as_groups_are() {
    for sort in ["plain", "strong"] {
        let site = Provider::start(sort).await;
        let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
        let id = site
            .user(json!({ "roles": [{ "value": "auditor", "primary": true }, { "value": "admin" }],
            "entitlements": [{ "value": "export" }] }))
            .await;
        let group = site.group_id(&site.groups[0]).await;
        let members = json!({ "schemas": [GROUP], "displayName": site.groups[0], "members": [{ "value": id }] });
        site.must(Method::PUT, &format!("Groups/{group}"), members).await;
        let seen = site.connector().read(&end, &id).await.unwrap().unwrap();
        let group = format!("GROUP {}", site.groups[0]);
        let (auditor, admin, export) =
            ("ROLE auditor".to_owned(), "ROLE admin".to_owned(), "ENTITLEMENT export".to_owned());
        assert_eq!(seen.grants, [export, group, admin, auditor.clone()]);
        site.connector().narrow(&end, &id, std::slice::from_ref(&auditor)).await.unwrap();
        let told = site.must(Method::GET, &format!("Users/{id}"), Value::Null).await;
        assert_eq!(told["roles"], json!([{ "value": "auditor", "primary": true }]), "{sort}");
        assert_eq!(site.connector().read(&end, &id).await.unwrap().unwrap().grants, [auditor]);
    }
}

/// Which users are accounts: those of the endpoint's type, and what is made is one of them.
#[tokio::test]
async fn accounts_are_users_of_the_type_that_the_endpoint_names() {
    let mut site = Provider::start("plain").await;
    let service = fresh("Service");
    site.endpoint.options.insert("user_type".to_owned(), service.clone());
    let person = site.user(json!({ "userType": "Employee" })).await;
    let robot = site.user(json!({ "userType": service })).await;
    let ours = site.made(&fresh("tenure_"), &[]).await.unwrap();
    let observe = reach(&site.endpoint, site.login(Mode::Observe), Mode::Observe);
    let found = site.connector().discover(&observe, None).await.unwrap();
    let keys: Vec<&String> = found.accounts.iter().map(|account| &account.key).collect();
    assert!(keys.len() == 2 && keys.contains(&&robot) && keys.contains(&&ours) && !keys.contains(&&person), "{keys:?}");
    assert_eq!(found.unseen, Vec::<String>::new(), "others are none that is looked for");
}

/// Nothing shows whether a password is one where the provider takes none; and where it changes none, none is changed.
#[tokio::test]
async fn what_a_provider_cannot_is_said() {
    let site = Provider::start("tokens").await;
    let name = fresh("peoples");
    site.by_people(&name, "peoples-Secret").await;
    let probed = site.connector().probe(&site.endpoint, &login(&name, "peoples-Secret"), PATIENCE).await;
    assert!(matches!(probed, Err(ConnectorError::Unable(_))), "{probed:?}");
    let site = Provider::start("unfiltered").await;
    let name = fresh("tenure_");
    let key = site.made(&name, &site.grants()).await.unwrap();
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    assert_eq!(site.connector().read(&issue, &key).await.unwrap().unwrap().grants.len(), 2);
    let secret = login("", "another-Secret").secret;
    assert!(matches!(site.connector().rotate(&issue, &key, &secret).await, Err(ConnectorError::Unable(_))));
    let probed = site.connector().probe(&site.endpoint, &login(&name, "a-Secret"), PATIENCE).await;
    assert_eq!(probed, Ok(Probe::Accepted));
}

/// A name that the provider takes for another one, and a group that there are two of.
#[tokio::test]
async fn names_that_mean_two_are_refused() {
    let site = Provider::start("plain").await;
    let name = fresh("Tenure_");
    site.by_people(&name, "peoples-Secret").await;
    assert_eq!(site.made(&name.to_uppercase(), &[]).await, Err(ConnectorError::Taken));
    for _ in 0..2 {
        site.must(Method::POST, "Groups", json!({ "schemas": [GROUP], "displayName": format!("{name}s") })).await;
    }
    for group in [format!("GROUP {name}s"), format!("GROUP {name}none")] {
        let made = site.made(&fresh("tenure_"), &[group]).await;
        assert!(matches!(made, Err(ConnectorError::Rejected(_))), "{made:?}");
    }
}
