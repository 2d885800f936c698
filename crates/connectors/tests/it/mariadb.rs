//! MariaDB.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use tenure_connectors::Builtin;
use tenure_core::target::connector::{Connector, ConnectorError, Connectors, Endpoint, Mode, TargetKind, TargetLogin};
use tokio::sync::Mutex;

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, administrator, builtin, ca, endpoint, fresh, login, mine, reach};
use crate::strangers;

const KIND: &str = "mariadb";

struct Maria {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    database: String,
    admin: Mutex<Conn>,
}

async fn connect(login: &TargetLogin) -> Result<Conn, mysql_async::Error> {
    let url = endpoint(KIND, &[]).url;
    let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
    let tls = SslOpts::default().with_disable_built_in_roots(true).with_root_certs(vec![ca().into_bytes().into()]);
    let options = OptsBuilder::default()
        .ip_or_hostname("localhost")
        .resolved_ips(Some(vec!["127.0.0.1".parse().unwrap()]))
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(&login.name))
        .pass(Some(login.secret.expose()))
        .ssl_opts(tls);
    Conn::new(Opts::from(options)).await
}

impl Maria {
    async fn start() -> Self {
        let builtin = builtin();
        let database = fresh("db");
        let mut admin = connect(&administrator(KIND)).await.unwrap();
        for sql in [
            format!("CREATE DATABASE {database}"),
            format!("CREATE TABLE {database}.kept (n int)"),
            format!("CREATE TABLE {database}.dropped (n int)"),
        ] {
            admin.query_drop(sql).await.unwrap();
        }
        let connector = builtin.of(TargetKind::Mariadb).unwrap();
        let mut logins = Vec::new();
        for name in ["observe", "end", "issue", "weaker"].map(|mode| format!("{database}_{mode}")) {
            admin.query_drop(format!("CREATE USER {name} IDENTIFIED BY 'connectors-Secret'")).await.unwrap();
            logins.push(login(&name, "connectors-Secret"));
        }
        for mode in Mode::ALL {
            let name = &logins[*mode as usize].name;
            for sql in connector.rights(*mode).lines().filter(|line| !line.starts_with("--")) {
                admin.query_drop(sql.replace("LOGIN", name)).await.unwrap();
            }
        }
        admin.query_drop(format!("GRANT CREATE USER, PROCESS ON *.* TO {database}_weaker")).await.unwrap();
        let logins = logins.try_into().unwrap();
        Self { builtin, endpoint: endpoint(KIND, &[]), logins, database, admin: Mutex::new(admin) }
    }

    async fn run(&self, sql: &str) {
        self.admin.lock().await.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

impl Site for Maria {
    type Session = Conn;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Mariadb).unwrap()
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
        ["kept", "dropped"].map(|table| format!("SELECT ON {}.{table}", self.database))
    }
    fn key(&self) -> String {
        "nobody@%".to_owned()
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let mut session = connect(login).await.unwrap();
        session.query_drop(format!("SELECT * FROM {}", grant.rsplit_once(' ').unwrap().1)).await.is_ok()
    }
    async fn open(&self, login: &TargetLogin) -> Option<Conn> {
        Some(connect(login).await.unwrap())
    }
    async fn is_open(&self, session: &mut Conn) -> bool {
        session.query_drop("SELECT 1").await.is_ok()
    }
    async fn by_people(&self, name: &str, secret: &str) {
        self.run(&format!("CREATE USER '{name}' IDENTIFIED BY '{secret}'")).await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        for i in 0..number {
            self.run(&format!("CREATE USER {name}_{i}")).await;
        }
    }
    async fn contents(&self) -> String {
        let mine = format!("%{}%", mine());
        let sql = format!(
            "SELECT CONCAT((SELECT ifnull(group_concat(User, Host, Priv ORDER BY User, Host), '') FROM mysql.global_priv WHERE User LIKE '{mine}'),
                           (SELECT ifnull(group_concat(User, Role ORDER BY User, Role), '') FROM mysql.roles_mapping WHERE User LIKE '{mine}'),
                           (SELECT ifnull(group_concat(User, Table_name, Table_priv ORDER BY User, Table_name), '') FROM mysql.tables_priv WHERE User LIKE '{mine}'))"
        );
        let mut admin = self.admin.lock().await;
        admin.query_drop("SET SESSION group_concat_max_len = 10000000").await.unwrap();
        admin.query_first(sql).await.unwrap().unwrap()
    }
    fn seen_under(&self, own: &TargetLogin) -> Option<String> {
        Some(own.name.clone())
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Maria::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Maria::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Maria::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Maria::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Maria::start().await;
    let names = [
        "tenure'; DROP USER x; --",
        "tenure \\' back",
        "TENURE ü 漢",
        "tenure 😀",
        "tenure ",
        "",
        "a\u{0}b",
        "a@b",
        &"x".repeat(81),
    ];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let half = b"\x4a\x00\x00\x00\x0a5.5.5-10.11";
    let connector = builtin.of(TargetKind::Mariadb).unwrap();
    strangers::unreachable(connector, &endpoint(KIND, &[]), |port| format!("mariadb://127.0.0.1:{port}"), half, "a@%")
        .await;
}

/// TARGETS.md: what counts everywhere stays in the open session; and what people locked, people unlock.
#[tokio::test]
async fn a_privilege_everywhere_is_taken_from_open_sessions_and_peoples_locks_stay() {
    let site = Maria::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("peoples");
    site.by_people(&name, "peoples-Secret").await;
    site.run(&format!("GRANT SELECT ON *.* TO {name}")).await;
    let mut session = site.open(&login(&name, "peoples-Secret")).await.unwrap();
    let key = format!("{name}@%");
    let kept = format!("SELECT ON {}.kept", site.database);
    site.run(&format!("GRANT {kept} TO {name}")).await;
    let ending = site.connector().narrow(&end, &key, std::slice::from_ref(&kept)).await.unwrap();
    assert_eq!((ending.sessions_ended, ending.sessions_left), (1, Some(0)));
    assert!(!site.is_open(&mut session).await);
    site.run(&format!("ALTER USER {name} ACCOUNT LOCK")).await;
    site.connector().hold(&end, &key).await.unwrap();
    site.connector().release(&end, &key).await.unwrap();
    assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    // An account of the same name at another host is another account, and is nobody's to be made.
    site.run(&format!("CREATE USER '{name}x'@'10.1.2.3'")).await;
    let secret = tenure_core::store::secret::Secret::new("made-Secret".to_owned());
    let account = tenure_core::target::connector::NewAccount {
        name: &format!("{name}x"),
        secret: &secret,
        grants: &[],
        ends_at: tenure_core::base::time::Timestamp::from_secs(4_000_000_000),
        mark: "m",
    };
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    assert_eq!(site.connector().provision(&issue, &account).await, Err(ConnectorError::Taken));
    assert!(site.connector().probe(&site.endpoint, &login(&name, "peoples-Secret"), PATIENCE).await.is_ok());
}
