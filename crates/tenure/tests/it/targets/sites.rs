//! The real servers of this run, as the tests of the product meet them: each with its own client. A kind of target that is
//! new joins by its line in [`SITES`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::described;

/// A kind of target, and its own client.
pub(super) struct Site {
    pub(super) kind: &'static str,
    /// What its endpoint needs to know besides its address.
    options: fn(&Place) -> Value,
    /// What has to be there before anybody has an account.
    prepare: fn(&Place),
    /// Makes an account, as its people do.
    make: fn(&Place, &str),
    /// Whether the server lets it in.
    lets_in: fn(&Place, &str) -> bool,
}

/// Every kind of target.
pub(super) const SITES: [Site; 8] = [
    Site { kind: "postgresql", options: none, prepare: nothing, make: postgresql_make, lets_in: postgresql_lets_in },
    Site { kind: "mariadb", options: none, prepare: nothing, make: mariadb_make, lets_in: mariadb_lets_in },
    Site { kind: "redis", options: none, prepare: nothing, make: redis_make, lets_in: redis_lets_in },
    Site { kind: "rabbitmq", options: none, prepare: nothing, make: rabbitmq_make, lets_in: rabbitmq_lets_in },
    Site { kind: "ldap", options: ldap_options, prepare: ldap_prepare, make: ldap_make, lets_in: ldap_lets_in },
    Site {
        kind: "openbao",
        options: openbao_options,
        prepare: openbao_prepare,
        make: openbao_make,
        lets_in: openbao_lets_in,
    },
    Site { kind: "scim", options: scim_options, prepare: nothing, make: scim_make, lets_in: scim_lets_in },
    Site { kind: "nats", options: nats_options, prepare: nats_prepare, make: nats_make, lets_in: nats_lets_in },
];

/// Where a server of this run is, and how its administrator logs in; names with the mark are of one test alone.
pub(super) struct Place {
    url: String,
    pub(super) name: String,
    pub(super) secret: String,
    ca: tempfile::NamedTempFile,
    ca_text: String,
    mark: String,
    /// Who makes users and stays connected as each, where that is how they are found; over with the test.
    people: Mutex<Option<People>>,
}

/// A program that is asked by lines, and answers each.
struct People {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Place {
    pub(super) fn of(site: &Site, mark: &str) -> Self {
        let targets = described();
        let said = |pointer: &str| targets.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let ca_text = said("/ca");
        let mut ca = tempfile::NamedTempFile::new().unwrap();
        ca.write_all(ca_text.as_bytes()).unwrap();
        let place = Self {
            url: said(&format!("/{}/url", site.kind)),
            name: said(&format!("/{}/name", site.kind)),
            secret: said(&format!("/{}/secret", site.kind)),
            ca,
            ca_text,
            mark: mark.to_owned(),
            people: Mutex::default(),
        };
        (site.prepare)(&place);
        place
    }

    pub(super) fn endpoint(&self, site: &Site) -> Value {
        json!({"url": self.url, "ca": self.ca_text, "options": (site.options)(self)})
    }

    fn ca(&self) -> &str {
        self.ca.path().to_str().unwrap()
    }

    fn port(&self) -> &str {
        let place = self.url.split_once("://").unwrap().1.trim_start_matches("localhost:");
        place.split_once('/').map_or(place, |(port, _)| port)
    }

    fn is_done(&self, mut command: Command) {
        let said = command.stdin(Stdio::null()).output().unwrap();
        assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

/// The secret of an account that its people made.
fn secret_of(name: &str) -> String {
    format!("of-{name}")
}

fn none(_: &Place) -> Value {
    json!({})
}

fn nothing(_: &Place) {}

fn said(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn psql(place: &Place, name: &str, secret: &str, sql: &str) -> Command {
    let mut command = Command::new("psql");
    command
        .arg(format!("postgres://{name}@localhost:{}/postgres?sslmode=require&connect_timeout=10", place.port()))
        .args(["--no-psqlrc", "--tuples-only", "--command", sql])
        .env("PGPASSWORD", secret);
    command
}

fn postgresql_make(place: &Place, name: &str) {
    let sql = format!("CREATE ROLE {name} LOGIN PASSWORD '{}'", secret_of(name));
    place.is_done(psql(place, &place.name, &place.secret, &sql));
}

fn postgresql_lets_in(place: &Place, name: &str) -> bool {
    said(psql(place, name, &secret_of(name), "SELECT 1")).status.success()
}

fn mariadb(place: &Place, name: &str, secret: &str, sql: &str) -> Command {
    let mut command = Command::new("mariadb");
    command
        .args(["--no-defaults", "--host=localhost", "--protocol=tcp", "--connect-timeout=10"])
        .arg(format!("--port={}", place.port()))
        .arg(format!("--ssl-ca={}", place.ca()))
        .arg(format!("--user={name}"))
        .arg(format!("--execute={sql}"))
        .env("MYSQL_PWD", secret);
    command
}

fn mariadb_make(place: &Place, name: &str) {
    let sql = format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{}'", secret_of(name));
    place.is_done(mariadb(place, &place.name, &place.secret, &sql));
}

fn mariadb_lets_in(place: &Place, name: &str) -> bool {
    said(mariadb(place, name, &secret_of(name), "SELECT 1")).status.success()
}

fn redis(place: &Place, name: &str, secret: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("redis-cli");
    command
        .args(["--tls", "--cacert", place.ca(), "-h", "localhost", "-p", place.port(), "--user", name])
        .env("REDISCLI_AUTH", secret)
        .args(arguments);
    command
}

fn redis_make(place: &Place, name: &str) {
    let secret = format!(">{}", secret_of(name));
    place.is_done(redis(place, &place.name, &place.secret, &["ACL", "SETUSER", name, "on", &secret, "+ping"]));
}

fn redis_lets_in(place: &Place, name: &str) -> bool {
    let answer = said(redis(place, name, &secret_of(name), &["PING"]));
    String::from_utf8_lossy(&answer.stdout).trim() == "PONG"
}

fn curl(place: &Place, method: &str, path: &str, body: &Value) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--cacert", place.ca(), "--request", method]);
    command.args(["--header", "content-type: application/json"]);
    if !body.is_null() {
        command.args(["--data", &body.to_string()]);
    }
    command.arg(format!("{}{path}", place.url));
    command
}

fn rabbitmq_make(place: &Place, name: &str) {
    let body = json!({"password": secret_of(name), "tags": "management"});
    let mut command = curl(place, "PUT", &format!("/api/users/{name}"), &body);
    command.arg("--user").arg(format!("{}:{}", place.name, place.secret));
    place.is_done(command);
}

fn rabbitmq_lets_in(place: &Place, name: &str) -> bool {
    let mut command = curl(place, "GET", "/api/whoami", &Value::Null);
    command.arg("--user").arg(format!("{name}:{}", secret_of(name)));
    said(command).status.success()
}

const BASE: &str = "dc=acme,dc=example";

/// Debian's client trusts what its own library does; who answers there is no question of these tests.
fn ldap_url(place: &Place) -> String {
    place.url.replace("localhost", "127.0.0.1")
}

fn ldap_options(place: &Place) -> Value {
    json!({"base": BASE, "accounts": format!("ou={},{BASE}", place.mark)})
}

/// Adds entries, whatever of them is there.
fn ldap_add(place: &Place, entries: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(entries.as_bytes()).unwrap();
    let mut command = Command::new("ldapadd");
    command
        .args(["-c", "-x", "-H", &ldap_url(place), "-D", &place.name, "-w", &place.secret, "-f"])
        .arg(file.path())
        .env("LDAPTLS_REQCERT", "never");
    let added = said(command);
    let exists = [0, 68].contains(&added.status.code().unwrap());
    assert!(exists, "{}", String::from_utf8_lossy(&added.stderr));
}

fn ldap_prepare(place: &Place) {
    ldap_add(
        place,
        &format!(
            "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: acme\ndc: acme\n\n\
             dn: ou={0},{BASE}\nobjectClass: organizationalUnit\nou: {0}\n",
            place.mark
        ),
    );
}

fn ldap_dn(place: &Place, name: &str) -> String {
    format!("uid={name},ou={},{BASE}", place.mark)
}

fn ldap_make(place: &Place, name: &str) {
    let dn = ldap_dn(place, name);
    let entry = "objectClass: account\nobjectClass: simpleSecurityObject";
    ldap_add(place, &format!("dn: {dn}\n{entry}\nuid: {name}\nuserPassword: {}\n", secret_of(name)));
}

fn ldap_lets_in(place: &Place, name: &str) -> bool {
    let mut command = Command::new("ldapwhoami");
    command
        .args(["-x", "-H", &ldap_url(place), "-D", &ldap_dn(place, name), "-w", &secret_of(name)])
        .env("LDAPTLS_REQCERT", "never");
    said(command).status.success()
}

fn openbao_options(place: &Place) -> Value {
    json!({"mount": place.mark})
}

fn openbao(place: &Place, path: &str, body: &Value) {
    let mut command = curl(place, "POST", &format!("/v1/{path}"), body);
    command.arg("--header").arg(format!("x-vault-token: {}", place.secret));
    place.is_done(command);
}

fn openbao_prepare(place: &Place) {
    openbao(place, &format!("sys/auth/{}", place.mark), &json!({"type": "approle"}));
}

fn openbao_make(place: &Place, name: &str) {
    let role = format!("auth/{}/role/{name}", place.mark);
    openbao(place, &role, &json!({"token_policies": ["default"]}));
    openbao(place, &format!("{role}/role-id"), &json!({"role_id": name}));
    openbao(place, &format!("{role}/custom-secret-id"), &json!({"secret_id": secret_of(name)}));
}

fn openbao_lets_in(place: &Place, name: &str) -> bool {
    let body = json!({"role_id": name, "secret_id": secret_of(name)});
    said(curl(place, "POST", &format!("/v1/auth/{}/login", place.mark), &body)).status.success()
}

fn scim_options(place: &Place) -> Value {
    json!({"user_type": place.mark})
}

fn scim_make(place: &Place, name: &str) {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "password": secret_of(name),
        "userType": place.mark,
    });
    let mut command = curl(place, "POST", "/Users", &user);
    command.arg("--header").arg(format!("authorization: Bearer {}", place.secret));
    place.is_done(command);
}

fn scim_lets_in(place: &Place, name: &str) -> bool {
    let mut command = curl(place, "GET", "/Me", &Value::Null);
    command.arg("--user").arg(format!("{name}:{}", secret_of(name)));
    said(command).status.success()
}

fn nats_options(_: &Place) -> Value {
    described().pointer("/nats/options").cloned().unwrap()
}

fn nats_prepare(place: &Place) {
    // The login of the connector holds the key that signs for users of the account.
    let signs = place.secret.split(' ').find(|word| word.starts_with("SA")).unwrap();
    let account = nats_options(place)["account"].as_str().unwrap().to_owned();
    let mut command = Command::new(crate::peers::folder().join("venv-targets/bin/python3"));
    command.args(["-c", include_str!("nats_users.py"), place.port(), place.ca(), &account, signs]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    *place.people.lock().unwrap() = Some(People { child, answers });
}

fn nats(place: &Place, ask: &str, name: &str) -> String {
    let mut people = place.people.lock().unwrap();
    let people = people.as_mut().unwrap();
    writeln!(people.child.stdin.as_mut().unwrap(), "{ask} {name}").unwrap();
    let mut answer = String::new();
    people.answers.read_line(&mut answer).unwrap();
    answer.trim().to_owned()
}

fn nats_make(place: &Place, name: &str) {
    assert_eq!(nats(place, "make", name), "made");
}

fn nats_lets_in(place: &Place, name: &str) -> bool {
    nats(place, "lets-in", name) == "yes"
}

impl Drop for People {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Site {
    pub(super) fn make(&self, place: &Place, name: &str) {
        (self.make)(place, name);
    }

    pub(super) fn lets_in(&self, place: &Place, name: &str) -> bool {
        (self.lets_in)(place, name)
    }
}
