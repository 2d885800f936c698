//! OpenLDAP.

use std::collections::HashSet;
use std::sync::Arc;

use ldap3::{LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry, StdStream};
use rustls::pki_types::ServerName;
use tenure_connectors::Builtin;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, Probe, TargetKind, TargetLogin,
};
use tenure_outbound::Authorities;

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, administrator, builtin, ca, endpoint, fresh, login, outbound, reach};
use crate::strangers;

const KIND: &str = "ldap";
const BASE: &str = "dc=acme,dc=example";

struct Directory {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    services: String,
    groups: [String; 2],
    admin: ldap3::Ldap,
}

async fn bound(dn: &str, secret: &str) -> Option<ldap3::Ldap> {
    let port: u16 = endpoint(KIND, &[]).url.rsplit_once(':').unwrap().1.parse().unwrap();
    let line = outbound().dial("localhost", port, true, 1 << 26).await.unwrap();
    let tls = Authorities::from_pem(&ca()).unwrap().client_config().unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let mut line = tls.connect(ServerName::try_from("localhost").unwrap(), line).await.unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
    tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut ours, &mut line).await) });
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (connection, mut ldap) = LdapConnAsync::with_settings(settings, "ldapi://x").await.unwrap();
    tokio::spawn(async move { drop(connection.drive().await) });
    (ldap.simple_bind(dn, secret).await.unwrap().rc == 0).then_some(ldap)
}

fn one(value: &str) -> HashSet<String> {
    HashSet::from([value.to_owned()])
}

async fn add(admin: &mut ldap3::Ldap, dn: &str, attributes: &[(&str, &[&str])]) {
    let attributes = attributes
        .iter()
        .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()));
    let result = admin.add(dn, attributes.collect::<Vec<(String, HashSet<String>)>>()).await.unwrap();
    assert!(matches!(result.rc, 0 | 68), "{dn}: {result:?}");
}

impl Directory {
    async fn start() -> Self {
        let builtin = builtin();
        let root = administrator(KIND);
        let mut admin = bound(&root.name, root.secret.expose()).await.unwrap();
        add(&mut admin, BASE, &[("objectClass", &["dcObject", "organization"]), ("o", &["acme"]), ("dc", &["acme"])])
            .await;
        add(&mut admin, &format!("ou=connectors,{BASE}"), &[("objectClass", &["organizationalUnit"])]).await;
        let unit = fresh("services");
        let services = format!("ou={unit},{BASE}");
        add(&mut admin, &services, &[("objectClass", &["organizationalUnit"])]).await;
        // The rights that the connector names stand in the server's configuration for these four.
        let logins = ["observe", "end", "issue", "weaker"].map(|mode| format!("cn={mode},ou=connectors,{BASE}"));
        for dn in &logins {
            let class = ["applicationProcess", "simpleSecurityObject"];
            add(&mut admin, dn, &[("objectClass", &class), ("userPassword", &["connectors-Secret"])]).await;
        }
        let groups = ["kept", "dropped"].map(|name| format!("cn={name},{services}"));
        for group in &groups {
            add(&mut admin, group, &[("objectClass", &["groupOfNames"]), ("member", &[BASE])]).await;
        }
        let endpoint = endpoint(KIND, &[("base", BASE), ("accounts", &services)]);
        let logins = logins.map(|dn| login(&dn, "connectors-Secret"));
        Self { builtin, endpoint, logins, services, groups, admin }
    }

    fn dn(&self, name: &str) -> String {
        format!("uid={name},{}", self.services)
    }
}

impl Site for Directory {
    type Session = ldap3::Ldap;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Ldap).unwrap()
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
        self.groups.each_ref().map(|group| format!("MEMBER OF {group}"))
    }
    fn key(&self) -> String {
        "00000000-0000-0000-0000-000000000000".to_owned()
    }
    /// What a membership allows, programs ask the directory.
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let mut session = bound(&self.dn(&login.name), login.secret.expose()).await.unwrap();
        let group = grant.strip_prefix("MEMBER OF ").unwrap();
        let filter = format!("(member={})", self.dn(&login.name));
        let (found, result) = session.search(group, Scope::Base, &filter, ["cn"]).await.unwrap().success().unwrap();
        assert_eq!(result.rc, 0);
        !found.is_empty()
    }
    async fn open(&self, login: &TargetLogin) -> Option<ldap3::Ldap> {
        bound(&self.dn(&login.name), login.secret.expose()).await
    }
    async fn is_open(&self, session: &mut ldap3::Ldap) -> bool {
        session.search(BASE, Scope::Base, "(objectClass=*)", ["dc"]).await.is_ok_and(|found| found.success().is_ok())
    }
    async fn by_people(&self, name: &str, secret: &str) {
        let class = ["account", "simpleSecurityObject"];
        let attributes: [(&str, &[&str]); 4] =
            [("objectClass", &class), ("uid", &[name]), ("userPassword", &[secret]), ("description", &["owner: Ada"])];
        add(&mut self.admin.clone(), &self.dn(name), &attributes).await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        for i in 0..number {
            let uid = format!("{name}_{i}");
            add(&mut self.admin.clone(), &self.dn(&uid), &[("objectClass", &["account"]), ("uid", &[&uid])]).await;
        }
    }
    async fn contents(&self) -> String {
        let search = self
            .admin
            .clone()
            .search(&self.services, Scope::Subtree, "(objectClass=*)", ["*", "modifyTimestamp"])
            .await;
        let mut entries: Vec<String> = search
            .unwrap()
            .success()
            .unwrap()
            .0
            .into_iter()
            .map(|entry| {
                let entry = SearchEntry::construct(entry);
                let mut attributes: Vec<String> = entry
                    .attrs
                    .into_iter()
                    .map(|(name, mut values)| {
                        values.sort();
                        format!("{name} {values:?}")
                    })
                    .collect();
                attributes.sort();
                format!("{} {attributes:?}", entry.dn)
            })
            .collect();
        entries.sort();
        entries.join("\n")
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Directory::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Directory::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Directory::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Directory::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Directory::start().await;
    let names = [
        "tenure,dc=x",
        "tenure+a\"b",
        "tenure*)(uid=*",
        "tenure\\2c",
        "#tenure",
        "Tenureü 漢",
        " a",
        "a  b",
        "",
        "a\u{0}b",
        "a/b;c<d>",
    ];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    // The beginning of an answer to a login that says: invalid credentials.
    let half = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31";
    let connector = builtin.of(TargetKind::Ldap).unwrap();
    let endpoint = endpoint(KIND, &[("base", BASE)]);
    strangers::unreachable(connector, &endpoint, |port| format!("ldap://127.0.0.1:{port}"), half, "a").await;
}

/// A directory may take a name without a password for nobody, and say that it let it in (RFC 4513 §5.1.2).
#[tokio::test]
async fn an_empty_password_is_never_tried() {
    let site = Directory::start().await;
    let name = fresh("peoples");
    site.by_people(&name, "peoples-Secret").await;
    for us in [login(&name, ""), login("", "x"), login("", "")] {
        let probed = site.connector().probe(&site.endpoint, &us, PATIENCE).await;
        assert!(matches!(probed, Err(ConnectorError::Misconfigured(_))), "{probed:?}");
    }
}

/// An entry with others below it can't be deleted: it stays, and lets nobody in. What people locked stays locked.
#[tokio::test]
async fn what_stays_lets_nobody_in() {
    let site = Directory::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("parent");
    site.by_people(&name, "peoples-Secret").await;
    add(&mut site.admin.clone(), &format!("cn=below,{}", site.dn(&name)), &[("objectClass", &["applicationProcess"])])
        .await;
    let found =
        site.connector().discover(&end, None).await.unwrap().accounts.into_iter().find(|account| account.name == name);
    let key = match found {
        Some(account) => account.key,
        None => {
            let search =
                site.admin.clone().search(&site.dn(&name), Scope::Base, "(objectClass=*)", ["entryUUID"]).await;
            SearchEntry::construct(search.unwrap().success().unwrap().0.remove(0)).attrs["entryUUID"][0].clone()
        }
    };
    for _ in 0..2 {
        let ending = site.connector().revoke(&end, &key).await.unwrap();
        assert!(ending.words.contains("the entry stays"), "{}", ending.words);
        let seen = site.connector().read(&end, &key).await.unwrap().unwrap();
        assert_eq!((seen.enabled, seen.marks["description"].as_str()), (false, "owner: Ada"));
    }
    site.connector().release(&end, &key).await.unwrap();
    let probed = site.connector().probe(&site.endpoint, &login(&name, "peoples-Secret"), PATIENCE).await;
    assert!(matches!(probed, Ok(Probe::Refused { .. })), "{probed:?}");
    let locked = fresh("locked");
    site.by_people(&locked, "peoples-Secret").await;
    let lock = Mod::Add("pwdAccountLockedTime".to_owned(), one("000001010000Z"));
    site.admin.clone().modify(&site.dn(&locked), vec![lock]).await.unwrap().success().unwrap();
    let search = site.admin.clone().search(&site.dn(&locked), Scope::Base, "(objectClass=*)", ["entryUUID"]).await;
    let key = SearchEntry::construct(search.unwrap().success().unwrap().0.remove(0)).attrs["entryUUID"][0].clone();
    site.connector().hold(&end, &key).await.unwrap();
    site.connector().release(&end, &key).await.unwrap();
    assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
}
