//! Redis.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult, Value, cmd};
use rustls::pki_types::ServerName;
use tenure_connectors::Builtin;
use tenure_core::target::connector::{Connector, Connectors, Endpoint, Mode, TargetKind, TargetLogin};
use tenure_outbound::Authorities;

use crate::conformance::{self, Site};
use crate::places::{administrator, builtin, ca, endpoint, fresh, login, mine, outbound, reach};
use crate::strangers;

const KIND: &str = "redis";

struct Cache {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
}

async fn connect(login: &TargetLogin) -> RedisResult<MultiplexedConnection> {
    let port: u16 = endpoint(KIND, &[]).url.rsplit_once(':').unwrap().1.parse().unwrap();
    let line = outbound().dial("localhost", port, true, 1 << 26).await.unwrap();
    let tls = Authorities::from_pem(&ca()).unwrap().client_config().unwrap();
    let tls = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
    let line = tls.connect(ServerName::try_from("localhost").unwrap(), line).await.unwrap();
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (mut connection, driver) =
        MultiplexedConnection::new_with_config(&settings, line, AsyncConnectionConfig::default()).await?;
    tokio::spawn(driver);
    cmd("AUTH").arg(&login.name).arg(login.secret.expose()).exec_async(&mut connection).await?;
    Ok(connection)
}

async fn run(command: &[&str]) -> Value {
    let mut admin = connect(&administrator(KIND)).await.unwrap();
    let (name, rest) = command.split_first().unwrap();
    cmd(name).arg(rest).query_async(&mut admin).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

impl Cache {
    async fn start() -> Self {
        let builtin = builtin();
        let connector = builtin.of(TargetKind::Redis).unwrap();
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            let name = fresh("connector");
            run(&["ACL", "SETUSER", &name, "on", ">connectors-Secret"]).await;
            for line in connector.rights(*mode).lines() {
                let line = line.replace("LOGIN", &name);
                run(&line.split(' ').collect::<Vec<_>>()).await;
            }
            logins.push(login(&name, "connectors-Secret"));
        }
        let weaker = fresh("weaker");
        run(&["ACL", "SETUSER", &weaker, "on", ">connectors-Secret", "+acl|users", "+acl|whoami", "+acl|dryrun"]).await;
        logins.push(login(&weaker, "connectors-Secret"));
        Self { builtin, endpoint: endpoint(KIND, &[]), logins: logins.try_into().unwrap() }
    }
}

impl Site for Cache {
    type Session = MultiplexedConnection;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Redis).unwrap()
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
        ["+echo", "+ping"].map(str::to_owned)
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let mut session = connect(login).await.unwrap();
        cmd(grant.trim_start_matches('+')).arg("x").exec_async(&mut session).await.is_ok()
    }
    async fn open(&self, login: &TargetLogin) -> Option<MultiplexedConnection> {
        Some(connect(login).await.unwrap())
    }
    async fn is_open(&self, session: &mut MultiplexedConnection) -> bool {
        cmd("ECHO").arg("x").exec_async(session).await.is_ok()
    }
    async fn by_people(&self, name: &str, secret: &str) {
        run(&["ACL", "SETUSER", name, "on", &format!(">{secret}"), "~app:*", "+get", "&news", "(+set ~mine)"]).await;
    }
    async fn crowd(&self, number: usize) {
        let mut admin = connect(&administrator(KIND)).await.unwrap();
        let name = fresh("crowd");
        for i in 0..number {
            cmd("ACL").arg("SETUSER").arg(format!("{name}_{i}")).exec_async(&mut admin).await.unwrap();
        }
    }
    async fn contents(&self) -> String {
        let mut admin = connect(&administrator(KIND)).await.unwrap();
        let mut users: Vec<String> = cmd("ACL").arg("LIST").query_async(&mut admin).await.unwrap();
        users.retain(|user| user.contains(&mine()));
        users.join("\n")
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Cache::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Cache::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Cache::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Cache::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Cache::start().await;
    let names = [
        "tenure\"'\\x",
        "tenure\r\nACL SETUSER x",
        "tenure a",
        "TENURE ü",
        "tenureü漢😀",
        "",
        "a\u{0}b",
        "on",
        "(+@all)",
    ];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::Redis).unwrap();
    strangers::unreachable(
        connector,
        &endpoint(KIND, &[]),
        |port| format!("redis://127.0.0.1:{port}"),
        b"-WRONGPASS inv",
        "a",
    )
    .await;
}

/// TARGETS.md: a user that is off goes on in its open connections, a subscriber goes on receiving. Here they are closed;
/// and what people gave in selectors is as it was when they come back.
#[tokio::test]
async fn a_held_user_comes_back_as_people_made_it_and_whoever_people_stopped_stays_stopped() {
    let site = Cache::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("peoples");
    site.by_people(&name, "peoples-Secret").await;
    let before = site.connector().read(&end, &name).await.unwrap().unwrap();
    assert!(
        before.grants.contains(&"~app:*".to_owned()) && before.grants.iter().any(|grant| grant.starts_with('(')),
        "{before:?}"
    );
    site.connector().hold(&end, &name).await.unwrap();
    assert_eq!(site.connector().read(&end, &name).await.unwrap().unwrap().grants, before.grants);
    site.connector().release(&end, &name).await.unwrap();
    let after = site.connector().read(&end, &name).await.unwrap().unwrap();
    assert_eq!((after.enabled, &after.grants, &after.marks), (true, &before.grants, &before.marks));
    run(&["ACL", "SETUSER", &name, "off"]).await;
    site.connector().hold(&end, &name).await.unwrap();
    site.connector().release(&end, &name).await.unwrap();
    assert!(!site.connector().read(&end, &name).await.unwrap().unwrap().enabled);
}

/// A restart brings back no user that was ended: the server's file of users is written.
#[tokio::test]
async fn what_is_ended_is_ended_in_the_servers_file_too() {
    let site = Cache::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("peoples");
    site.by_people(&name, "peoples-Secret").await;
    run(&["ACL", "SAVE"]).await;
    let ending = site.connector().revoke(&end, &name).await.unwrap();
    assert_eq!(ending.words, "ACL DELUSER: 1");
    let file = std::env::var("TENURE_TEST_TARGETS").unwrap().replace("targets.json", "redis/users.acl");
    assert!(!std::fs::read_to_string(file).unwrap().contains(&name));
}
