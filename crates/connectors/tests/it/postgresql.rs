//! PostgreSQL.

use std::time::Duration;

use tenure_connectors::Builtin;
use tenure_core::base::time::Timestamp;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, NewAccount, Probe, TargetKind, TargetLogin,
};
use tenure_outbound::Authorities;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::conformance::{self, Site};
use crate::places::{PATIENCE, administrator, builtin, ca, endpoint, fresh, login, mine, reach};
use crate::strangers;

const KIND: &str = "postgresql";

struct Postgres {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    database: String,
    admin: Client,
}

pub async fn connect(database: &str, login: &TargetLogin) -> Result<Client, tokio_postgres::Error> {
    let mut config: Config = endpoint(KIND, &[]).url.parse().unwrap();
    config.dbname(database).user(&login.name).password(login.secret.expose());
    let tls = Authorities::from_pem(&ca()).unwrap().client_config().unwrap();
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Postgres {
    async fn start() -> Self {
        let database = fresh("db");
        let general = connect("postgres", &administrator(KIND)).await.unwrap();
        general.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        let admin = connect(&database, &administrator(KIND)).await.unwrap();
        let owner = format!("{database}_owner");
        admin
            .batch_execute(&format!(
                "CREATE ROLE {owner}; SET ROLE {owner}; RESET ROLE; GRANT CREATE ON SCHEMA public TO {owner}; SET ROLE {owner};
                 CREATE TABLE kept (n int); CREATE TABLE dropped (n int); RESET ROLE"
            ))
            .await
            .unwrap();
        let builtin = builtin();
        let rights = builtin.of(TargetKind::Postgresql).unwrap();
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            let name = format!("{database}_{}", mode.as_str());
            admin.batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'connectors-Secret'")).await.unwrap();
            admin.batch_execute(&rights.rights(*mode).replace("LOGIN", &name)).await.unwrap();
            logins.push(login(&name, "connectors-Secret"));
        }
        let weaker = format!("{database}_weaker");
        let made = format!("CREATE ROLE {weaker} LOGIN CREATEROLE PASSWORD 'connectors-Secret'");
        admin.batch_execute(&made).await.unwrap();
        logins.push(login(&weaker, "connectors-Secret"));
        let mut endpoint = endpoint(KIND, &[]);
        endpoint.url = format!("{}/{database}", endpoint.url.rsplit_once('/').unwrap().0);
        Self { builtin, endpoint, logins: logins.try_into().unwrap(), database, admin }
    }

    fn table(grant: &str) -> &str {
        grant.rsplit_once('.').unwrap().1
    }

    async fn run(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    async fn make(&self, name: &str, grants: &[&str]) -> String {
        let grants: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
        let secret = Secret::new("made-Secret".to_owned());
        let account = NewAccount {
            name,
            secret: &secret,
            grants: &grants,
            ends_at: Timestamp::from_secs(4_000_000_000),
            mark: "m",
        };
        let reach = reach(&self.endpoint, self.login(Mode::Issue), Mode::Issue);
        self.connector().provision(&reach, &account).await.unwrap().key
    }
}

impl Site for Postgres {
    type Session = Client;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Postgresql).unwrap()
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
        ["kept", "dropped"].map(|table| format!("SELECT ON TABLE {}.public.{table}", self.database))
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let client = connect(&self.database, login).await.unwrap();
        client.batch_execute(&format!("SELECT * FROM {}", Self::table(grant))).await.is_ok()
    }
    async fn open(&self, login: &TargetLogin) -> Option<Client> {
        Some(connect(&self.database, login).await.unwrap())
    }
    async fn is_open(&self, session: &mut Client) -> bool {
        session.batch_execute("SELECT 1").await.is_ok()
    }
    async fn by_people(&self, name: &str, secret: &str) {
        self.run(&format!("CREATE ROLE {name} LOGIN PASSWORD '{secret}'; COMMENT ON ROLE {name} IS 'owner: Ada'"))
            .await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        let sql = format!("FOR i IN 1..{number} LOOP EXECUTE format('CREATE ROLE {name}_%s LOGIN', i); END LOOP");
        self.run(&format!("DO $$ BEGIN {sql}; END $$")).await;
    }
    async fn contents(&self) -> String {
        let sql = "SELECT (SELECT string_agg(r::text, ' ' ORDER BY oid) FROM pg_authid r WHERE rolname LIKE $1)
                     || (SELECT string_agg(d::text, ' ' ORDER BY objoid) FROM pg_shdescription d
                         JOIN pg_roles r ON r.oid = d.objoid WHERE r.rolname LIKE $1)
                     || (SELECT string_agg(relname || relacl::text, ' ' ORDER BY oid) FROM pg_class WHERE relacl IS NOT NULL)";
        let mine = format!("%{}%", mine());
        self.admin.query_one(sql, &[&mine]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Postgres::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Postgres::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Postgres::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Postgres::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Postgres::start().await;
    let exact = format!("{}{}", "é".repeat(20), fresh("tenure_exact_"));
    let long = format!("tenure_{}", "x".repeat(80));
    let names = [
        "tenure \"quoted\"; DROP ROLE postgres; --",
        "tenure '\\ back",
        "TENURE Upper ü 漢",
        "tenure\u{0}nul",
        "",
        &exact,
        &long,
    ];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    // The beginning of what says that a password is asked for.
    let half = b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM";
    let connector = builtin.of(TargetKind::Postgresql).unwrap();
    strangers::unreachable(
        connector,
        &endpoint(KIND, &[]),
        |port| format!("postgres://127.0.0.1:{port}/postgres"),
        half,
        "1",
    )
    .await;
}

/// TARGETS.md: `VALID UNTIL`, `NOLOGIN` and `DROP ROLE` leave sessions alone, and a role that is gone has no name in the
/// list of sessions.
#[tokio::test]
async fn sessions_of_a_role_that_somebody_dropped_are_found_by_its_number() {
    let site = Postgres::start().await;
    let name = fresh("tenure_dropped_");
    let key = site.make(&name, &[]).await;
    let mut session = site.open(&login(&name, "made-Secret")).await.unwrap();
    site.run(&format!("DROP ROLE {name}")).await;
    assert!(site.is_open(&mut session).await);
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let ending = site.connector().revoke(&end, &key).await.unwrap();
    assert_eq!((ending.sessions_ended, ending.sessions_left), (1, Some(0)));
    assert!(!site.is_open(&mut session).await);
}

/// TARGETS.md: a role with CREATE, EXECUTE, USAGE or TEMPORARY can't be dropped (2BP01). It loses all of that first, in
/// every database; by a login that owns none of it.
#[tokio::test]
async fn a_role_is_dropped_with_all_that_it_holds_anywhere() {
    let site = Postgres::start().await;
    let other = fresh("db");
    site.run(&format!("CREATE DATABASE {other}")).await;
    let name = fresh("tenure_holds_");
    let db = site.database.clone();
    site.run(&format!(
        "CREATE SCHEMA side AUTHORIZATION {db}_owner; SET ROLE {db}_owner; CREATE SEQUENCE side.s; CREATE TYPE side.ty AS (a int);
         CREATE FUNCTION side.f(a int, b text) RETURNS int LANGUAGE sql AS 'select 1';
         REVOKE ALL ON FUNCTION side.f FROM PUBLIC; RESET ROLE; ALTER DATABASE {db} OWNER TO {db}_owner; CREATE ROLE {db}_group"
    ))
    .await;
    let grants = [
        format!("CREATE ON SCHEMA {db}.side"),
        format!("EXECUTE ON ROUTINE {db}.side.f(a integer, b text)"),
        format!("SELECT (n) ON TABLE {db}.public.kept"),
        format!("USAGE ON SEQUENCE {db}.side.s WITH GRANT OPTION"),
        format!("USAGE ON TYPE {db}.side.ty"),
        format!("MEMBER OF {db}_group"),
    ];
    let key = site.make(&name, &grants.each_ref().map(String::as_str)).await;
    let admin_there = connect(&other, &administrator(KIND)).await.unwrap();
    let there = format!(
        "CREATE TABLE t (n int); ALTER TABLE t OWNER TO {db}_owner; SET ROLE {db}_owner; GRANT SELECT ON t TO {name}"
    );
    admin_there.batch_execute(&there).await.unwrap();
    site.run(&format!(
        "SET ROLE {db}_owner; GRANT TEMPORARY, CONNECT ON DATABASE {db} TO {name};
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {name}; RESET ROLE"
    ))
    .await;
    let observe = reach(&site.endpoint, site.login(Mode::Observe), Mode::Observe);
    let seen = site.connector().read(&observe, &key).await.unwrap().unwrap();
    for grant in
        grants.iter().chain(&[format!("SELECT ON TABLE {other}.public.t"), format!("TEMPORARY ON DATABASE {db}")])
    {
        assert!(seen.grants.contains(grant), "{grant}: {:?}", seen.grants);
    }
    assert!(seen.grants.iter().any(|grant| grant.starts_with("DEFAULT PRIVILEGES")), "{:?}", seen.grants);
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let ending = site.connector().revoke(&end, &key).await.unwrap();
    assert_eq!(ending.words, "DROP ROLE");
    assert_eq!(site.connector().read(&end, &key).await.unwrap(), None);
}

/// DROP OWNED by a login that may not take a privilege warns, and goes on: the role stays, without a login, and is said to.
#[tokio::test]
async fn what_a_superuser_granted_keeps_the_role_and_no_login() {
    let site = Postgres::start().await;
    let name = fresh("tenure_kept_");
    let key = site.make(&name, &[]).await;
    site.run(&format!("CREATE TABLE of_postgres (n int); GRANT SELECT ON of_postgres TO {name}")).await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let narrowed = site.connector().narrow(&end, &key, &[]).await;
    assert!(matches!(narrowed, Err(ConnectorError::Rejected(_))), "{narrowed:?}");
    let mut session = site.open(&login(&name, "made-Secret")).await.unwrap();
    for _ in 0..2 {
        let ending = site.connector().revoke(&end, &key).await.unwrap();
        assert!(ending.words.contains("the role stays") && ending.words.contains("2BP01"), "{}", ending.words);
        assert_eq!(ending.sessions_left, Some(0));
        assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    }
    assert!(!site.is_open(&mut session).await);
    let probed = site.connector().probe(&site.endpoint, &login(&name, "made-Secret"), PATIENCE).await;
    assert!(matches!(probed, Ok(Probe::Refused { .. })), "{probed:?}");
}

/// What it owns is dropped for nobody: the heir has it, or the role stays without a login.
#[tokio::test]
async fn what_a_role_owns_goes_to_the_heir_or_keeps_the_role() {
    let mut site = Postgres::start().await;
    let db = site.database.clone();
    let name = fresh("tenure_owns_");
    let key = site.make(&name, &[&format!("SELECT ON TABLE {db}.public.kept")]).await;
    site.run(&format!(
        "ALTER DATABASE {db} OWNER TO {db}_owner; SET ROLE {db}_owner; GRANT CREATE ON SCHEMA public TO {name}; RESET ROLE;
         SET ROLE {name}; CREATE TABLE mine (n int); RESET ROLE"
    ))
    .await;
    let us = login(&name, "made-Secret");
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    // Narrowing can't take what an owner may do, and says so, having taken the rest.
    let narrowed = site.connector().narrow(&end, &key, &[]).await;
    assert!(matches!(&narrowed, Err(ConnectorError::Rejected(why)) if why.contains("OWNER OF")), "{narrowed:?}");
    assert!(!site.may(&us, &site.grants()[0]).await);
    for _ in 0..2 {
        let ending = site.connector().revoke(&end, &key).await.unwrap();
        assert!(ending.words.contains("the role stays") && ending.words.contains("owns 1 objects"), "{}", ending.words);
        assert!(matches!(site.connector().probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
        assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    }
    // Somebody who gives it LOGIN again gives it no password.
    site.run(&format!("ALTER ROLE {name} LOGIN")).await;
    assert!(matches!(site.connector().probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
    site.endpoint.options.insert("heir".to_owned(), format!("{db}_owner"));
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    assert_eq!(site.connector().whoami(&end).await.unwrap(), Vec::<String>::new());
    assert_eq!(site.connector().revoke(&end, &key).await.unwrap().words, "DROP ROLE");
    site.run("SELECT * FROM mine").await;
    site.endpoint.options.insert("heir".to_owned(), "nobody_of_that_name".to_owned());
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    assert_eq!(site.connector().whoami(&end).await.unwrap().len(), 1);
}

/// What a role owns where the connector's login isn't at home keeps it, too.
#[tokio::test]
async fn what_a_role_owns_in_another_database_keeps_the_role_and_no_login() {
    let site = Postgres::start().await;
    let (name, other) = (fresh("tenure_far_"), fresh("far_"));
    let key = site.make(&name, &[]).await;
    let root = administrator(KIND);
    let far = connect("postgres", &root).await.unwrap();
    far.batch_execute(&format!("CREATE DATABASE {other}")).await.unwrap();
    far.batch_execute(&format!("GRANT {name} TO postgres")).await.unwrap();
    let far = connect(&other, &root).await.unwrap();
    far.batch_execute(&format!("CREATE TABLE theirs (n int); ALTER TABLE theirs OWNER TO {name}")).await.unwrap();
    let us = login(&name, "made-Secret");
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    for _ in 0..2 {
        let ended = site.connector().revoke(&end, &key).await.unwrap();
        assert!(ended.words.contains("the role stays"), "{}", ended.words);
        assert!(matches!(site.connector().probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
        assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    }
    far.batch_execute("SELECT * FROM theirs").await.unwrap();
}

/// A server that has no room says nothing of the login.
#[tokio::test]
async fn a_full_server_is_no_refusal() {
    let site = Postgres::start().await;
    let name = fresh("tenure_full_");
    site.make(&name, &[]).await;
    site.run(&format!("ALTER ROLE {name} CONNECTION LIMIT 0")).await;
    let probed = site.connector().probe(&site.endpoint, &login(&name, "made-Secret"), PATIENCE).await;
    assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
}

/// A commit that waits for a standby which is gone hangs, and nobody else sees it (TARGETS.md): the connector's own
/// don't wait.
#[tokio::test]
async fn a_standby_that_is_gone_holds_up_nothing_of_ours() {
    let site = Postgres::start().await;
    let name = fresh("tenure_standby_");
    let key = site.make(&name, &[]).await;
    let ours = site.login(Mode::End);
    site.run(&format!("ALTER ROLE {} SET synchronous_commit = on", ours.name)).await;
    // Somebody whose commits wait has to wait: so the standby is missed.
    let waits = connect(&site.database, &administrator(KIND)).await.unwrap();
    waits.batch_execute("SET synchronous_commit = on").await.unwrap();
    let statement = format!("CREATE ROLE {}", fresh("waits_"));
    let hung = tokio::time::timeout(Duration::from_secs(2), waits.batch_execute(&statement)).await;
    assert!(hung.is_err(), "the server of these tests waits for a standby that is none");
    site.run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await;
    let end = reach(&site.endpoint, ours, Mode::End);
    let us = login(&name, "made-Secret");
    site.connector().hold(&end, &key).await.unwrap();
    assert!(matches!(site.connector().probe(&site.endpoint, &us, PATIENCE).await, Ok(Probe::Refused { .. })));
    site.connector().revoke(&end, &key).await.unwrap();
    assert_eq!(site.connector().read(&end, &key).await.unwrap(), None);
}

/// Whoever has done `SET ROLE` stays in that role when the membership is gone.
#[tokio::test]
async fn a_membership_that_is_taken_is_taken_from_open_sessions() {
    let site = Postgres::start().await;
    let (db, name) = (site.database.clone(), fresh("tenure_member_"));
    let key = site.make(&name, &[&format!("MEMBER OF {db}_owner")]).await;
    let mut session = site.open(&login(&name, "made-Secret")).await.unwrap();
    session.batch_execute(&format!("SET ROLE {db}_owner; SELECT * FROM dropped")).await.unwrap();
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let ending = site.connector().narrow(&end, &key, &[]).await.unwrap();
    assert_eq!((ending.sessions_ended, ending.sessions_left), (1, Some(0)));
    assert!(!site.is_open(&mut session).await);
    assert!(!site.may(&login(&name, "made-Secret"), &site.grants()[1]).await);
}

/// A hold gives LOGIN back where it took it, and keeps what people wrote.
#[tokio::test]
async fn what_people_stopped_is_not_let_in_by_us() {
    let site = Postgres::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (stopped, standing) = (fresh("stopped"), fresh("standing"));
    for name in [&stopped, &standing] {
        site.by_people(name, "peoples-Secret").await;
    }
    site.run(&format!("ALTER ROLE {stopped} NOLOGIN")).await;
    for (name, comes_back) in [(&stopped, false), (&standing, true)] {
        let key: u32 =
            site.admin.query_one("SELECT oid FROM pg_roles WHERE rolname = $1", &[name]).await.unwrap().get(0);
        let key = key.to_string();
        site.connector().hold(&end, &key).await.unwrap();
        let held = site.connector().read(&end, &key).await.unwrap().unwrap();
        assert_eq!((held.enabled, held.marks.get("comment").map(String::as_str)), (false, Some("owner: Ada")));
        site.connector().release(&end, &key).await.unwrap();
        assert_eq!(site.connector().read(&end, &key).await.unwrap().unwrap().enabled, comes_back, "{name}");
        let sql = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
        assert_eq!(site.admin.query_one(sql, &[name]).await.unwrap().get::<_, String>(0), "owner: Ada");
    }
}

/// An administrator's account is none that a lesser login ends: it says so, and never that it is done.
#[tokio::test]
async fn a_superuser_is_not_said_to_be_ended() {
    let site = Postgres::start().await;
    let name = fresh("boss");
    site.run(&format!("CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'made-Secret'")).await;
    let key: u32 = site.admin.query_one("SELECT oid FROM pg_roles WHERE rolname = $1", &[&name]).await.unwrap().get(0);
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    assert!(site.connector().read(&end, &key.to_string()).await.unwrap().unwrap().privileged);
    for said in [
        site.connector().revoke(&end, &key.to_string()).await.map(|_| ()),
        site.connector().hold(&end, &key.to_string()).await.map(|_| ()),
        site.connector().narrow(&end, &key.to_string(), &[]).await.map(|_| ()),
    ] {
        assert!(matches!(said, Err(ConnectorError::Rejected(_))), "{said:?}");
    }
    assert_eq!(
        site.connector().probe(&site.endpoint, &login(&name, "made-Secret"), PATIENCE).await,
        Ok(Probe::Accepted)
    );
}

/// Who is known and may not enter this database was let in as far as the question who it is.
#[tokio::test]
async fn a_login_that_another_database_lets_in_is_no_refused_login() {
    let site = Postgres::start().await;
    let name = fresh("elsewhere");
    site.by_people(&name, "peoples-Secret").await;
    site.run(&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", site.database)).await;
    let probed = site.connector().probe(&site.endpoint, &login(&name, "peoples-Secret"), PATIENCE).await;
    assert_eq!(probed, Ok(Probe::Accepted));
}

/// A session is kept for the next act with the same login, sets nothing free that a new one wouldn't, and is gone soon.
#[tokio::test]
async fn a_session_is_kept_a_moment_for_the_same_login_alone() {
    let site = Postgres::start().await;
    let (connector, own) = (site.connector(), site.login(Mode::Issue).clone());
    let issue = reach(&site.endpoint, &own, Mode::Issue);
    let pids = async || -> Vec<i32> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE usename = $1 AND application_name = 'tenure' ORDER BY 1";
        site.admin.query(sql, &[&own.name]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let key = site.make(&fresh("tenure_kept_"), &[]).await;
    let kept = pids().await;
    assert_eq!(kept.len(), 1);
    assert!(connector.read(&issue, &key).await.unwrap().is_some());
    assert_eq!(pids().await, kept);

    // Another secret is another login, and whether this one is let in is asked of the server each time.
    let wrong = login(&own.name, "another-Secret");
    let refused = connector.read(&reach(&site.endpoint, &wrong, Mode::Issue), &key).await;
    assert!(matches!(refused, Err(ConnectorError::Unauthorized(_))), "{refused:?}");
    site.run(&format!("ALTER ROLE {} NOLOGIN", own.name)).await;
    assert!(matches!(connector.whoami(&issue).await, Err(ConnectorError::Unauthorized(_))));
    site.run(&format!("ALTER ROLE {} LOGIN", own.name)).await;

    // One that the server ended isn't used.
    site.run(&format!("SELECT pg_terminate_backend({})", kept[0])).await;
    assert!(connector.read(&issue, &key).await.unwrap().is_some());
    let next = pids().await;
    assert!(next.len() == 1 && next != kept, "{next:?}");
    // One in which something went wrong isn't kept.
    let none = NewAccount {
        name: &fresh("tenure_kept_"),
        secret: &own.secret,
        grants: &[format!("SELECT ON TABLE {}.public.none", site.database)],
        ends_at: Timestamp::from_secs(4_000_000_000),
        mark: "m",
    };
    assert!(matches!(connector.provision(&issue, &none).await, Err(ConnectorError::Rejected(_))));
    for _ in 0..100 {
        if pids().await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a session is left: {:?}", pids().await);
}

/// What is wrong with one of several roles is that role's, and none of the others waits for it.
#[tokio::test]
async fn several_are_made_and_ended_at_once_and_each_is_told_its_own() {
    let site = Postgres::start().await;
    let (db, batches) = (site.database.clone(), site.connector().batches().unwrap());
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let secret = Secret::new("made-Secret".to_owned());
    let on = |table: &str| vec![format!("SELECT ON TABLE {db}.public.{table}")];
    let new = |name, grants| NewAccount {
        name,
        secret: &secret,
        grants,
        ends_at: Timestamp::from_secs(4_000_000_000),
        mark: "m",
    };
    let (kept, dropped, none, bad, attribute) =
        (on("kept"), on("dropped"), Vec::new(), on("none"), vec!["SUPERUSER".to_owned()]);
    let names: Vec<String> = (0..8).map(|_| fresh("tenure_several_")).collect();
    let named = |n: usize| names[n].as_str();

    // All of them are right, and are made in one go.
    let right = [new(named(0), &kept), new(named(1), &dropped), new(named(2), &none), new(named(3), &kept)];
    let made = batches.provision_all(&issue, &right).await;
    let keys: Vec<String> = made.iter().map(|made| made.as_ref().unwrap().key.clone()).collect();
    for (made, asked) in made.iter().zip(&right) {
        let made = made.as_ref().unwrap();
        assert_eq!((made.name.as_str(), made.grants.as_slice(), made.enabled), (asked.name, asked.grants, true));
    }
    assert!(site.may(&login(named(0), "made-Secret"), &kept[0]).await);
    assert!(!site.may(&login(named(1), "made-Secret"), &kept[0]).await);

    // Some aren't; those that are there already and ours get what they are asked for.
    site.by_people(named(4), "theirs-Secret").await;
    let mixed = [
        new(named(4), &kept),
        new(named(5), &bad),
        new(named(6), &attribute),
        new(named(1), &kept),
        new(named(7), &kept),
    ];
    let made = batches.provision_all(&issue, &mixed).await;
    assert!(matches!(&made[0], Err(ConnectorError::Taken)), "{:?}", made[0]);
    assert!(matches!(&made[1], Err(ConnectorError::Rejected(why)) if why.contains("no such object")), "{:?}", made[1]);
    assert!(matches!(&made[2], Err(ConnectorError::Unable(_))), "{:?}", made[2]);
    assert_eq!(made[3].as_ref().unwrap().grants, kept);
    assert_eq!((&made[3].as_ref().unwrap().key, made[4].as_ref().unwrap().name.as_str()), (&keys[1], named(7)));
    // Whoever may not is told so before the target is asked for anything.
    assert!(matches!(batches.provision_all(&end, &right).await[0], Err(ConnectorError::Unable(_))));

    // One owns something, one has a session, one was dropped by somebody, one is ourselves, and one is no key.
    site.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {}; SET ROLE {}; CREATE TABLE theirs (n int); RESET ROLE",
        named(0),
        named(0)
    ))
    .await;
    let mut session = connect(&db, &login(named(1), "made-Secret")).await.unwrap();
    site.run(&format!("DROP ROLE {}", named(2))).await;
    let own = format!("SELECT oid::text FROM pg_roles WHERE rolname = '{}'", end.login.name);
    let own: String = site.admin.query_one(&own, &[]).await.unwrap().get(0);
    let asked = [&keys[..], &[own, "x".to_owned()]].concat();
    let observing = reach(&site.endpoint, site.login(Mode::Observe), Mode::Observe);
    assert!(matches!(batches.revoke_all(&observing, &asked).await[0], Err(ConnectorError::Unable(_))));
    let ended = batches.revoke_all(&end, &asked).await;
    let (owns, seen) = ended[0].as_ref().unwrap();
    assert!(owns.words.contains("owns 1 objects") && !seen.as_ref().unwrap().enabled, "{owns:?}");
    let (busy, seen) = ended[1].as_ref().unwrap();
    assert_eq!((busy.words.as_str(), busy.sessions_ended, busy.sessions_left, seen), ("DROP ROLE", 1, Some(0), &None));
    assert!(!site.is_open(&mut session).await);
    let (gone, seen) = ended[2].as_ref().unwrap();
    assert_eq!((gone.words.as_str(), seen), ("there is no such role", &None));
    assert_eq!(ended[3].as_ref().unwrap().0.words, "DROP ROLE");
    assert!(matches!(&ended[4], Err(ConnectorError::Unable(_))), "{:?}", ended[4]);
    assert!(matches!(&ended[5], Err(ConnectorError::Misconfigured(_))), "{:?}", ended[5]);
    for name in [named(0), named(1), named(3)] {
        let probe = site.connector().probe(&site.endpoint, &login(name, "made-Secret"), PATIENCE).await;
        assert!(matches!(probe, Ok(Probe::Refused { .. })), "{name}: {probe:?}");
    }
}
