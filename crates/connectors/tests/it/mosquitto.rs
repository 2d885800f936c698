//! Mosquitto.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tenure_connectors::Builtin;
use tenure_core::target::connector::{
    Connector, ConnectorError, Connectors, Endpoint, Mode, NewAccount, TargetKind, TargetLogin,
};
use tenure_outbound::{Authorities, Line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use crate::conformance::{self, Site};
use crate::places::{administrator, builtin, ca, endpoint, fresh, login, mine, outbound, reach, said};
use crate::strangers;

const KIND: &str = "mosquitto";
const COMMANDS: &str = "$CONTROL/dynamic-security/v1";

struct Broker {
    builtin: Builtin,
    endpoint: Endpoint,
    logins: [TargetLogin; 4],
    /// Roles whose clients may subscribe to a topic of the same name.
    roles: [String; 2],
}

/// A connection as a device has it, by the protocol that most of them speak (MQTT 3.1.1).
struct Mqtt(TlsStream<Line>);

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

impl Mqtt {
    async fn open(login: &TargetLogin, client_id: &str) -> Result<Self, u8> {
        let port: u16 = said(KIND, "url").rsplit_once(':').unwrap().1.parse().unwrap();
        let line = outbound().dial("localhost", port, true, 1 << 26).await.unwrap();
        let tls = Authorities::from_pem(&ca()).unwrap().client_config().unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let mut mqtt = Self(tls.connect(ServerName::try_from("localhost").unwrap(), line).await.unwrap());
        let (name, secret) = (text(&login.name), text(login.secret.expose()));
        let connect = [&text("MQTT")[..], &[4, 0b1100_0010, 0, 60], &text(client_id), &name, &secret].concat();
        mqtt.send(0x10, &connect).await;
        let (_, answer) = mqtt.next().await.unwrap();
        if answer[1] == 0 { Ok(mqtt) } else { Err(answer[1]) }
    }

    async fn send(&mut self, kind: u8, body: &[u8]) {
        let (mut head, mut length) = (vec![kind], body.len());
        loop {
            let byte = u8::try_from(length % 128).unwrap();
            length /= 128;
            head.push(if length > 0 { byte | 0x80 } else { byte });
            if length == 0 {
                break;
            }
        }
        let _ = self.0.write_all(&[head, body.to_vec()].concat()).await;
        let _ = self.0.flush().await;
    }

    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.0.read_u8().await.ok()?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let byte = self.0.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some((kind & 0xf0, body))
    }

    async fn subscribe(&mut self, topic: &str) -> bool {
        self.send(0x82, &[&[0, 1][..], &text(topic), &[0]].concat()).await;
        self.next().await.is_some_and(|(kind, body)| kind == 0x90 && body[2] != 0x80)
    }

    /// Whether the broker answers a ping.
    async fn is_open(&mut self) -> bool {
        self.send(0xc0, &[]).await;
        matches!(tokio::time::timeout(Duration::from_secs(5), self.next()).await, Ok(Some((0xd0, _))))
    }
}

/// Sends commands as the administrator; what each came to. The broker tells answers to all who listen.
async fn run(commands: &[Value]) -> Vec<Value> {
    let mut commands = commands.to_vec();
    let ours = fresh("asked");
    for command in &mut commands {
        command["correlationData"] = ours.as_str().into();
    }
    let mut admin = Mqtt::open(&administrator(KIND), "").await.unwrap();
    assert!(admin.subscribe(&format!("{COMMANDS}/response")).await);
    let payload = json!({ "commands": commands }).to_string();
    admin.send(0x30, &[text(COMMANDS), payload.into_bytes()].concat()).await;
    loop {
        let (_, answer) = admin.next().await.unwrap();
        let payload = &answer[2 + usize::from(u16::from_be_bytes([answer[0], answer[1]]))..];
        let told: Value = serde_json::from_slice(payload).unwrap();
        let mut answers = told["responses"].as_array().unwrap().clone();
        if answers.iter().all(|answer| answer["correlationData"] == ours.as_str()) {
            for answer in &mut answers {
                answer.as_object_mut().unwrap().remove("correlationData");
            }
            return answers;
        }
    }
}

async fn must(commands: &[Value]) {
    for answer in run(commands).await {
        assert!(answer.get("error").is_none(), "{answer}");
    }
}

/// The command that a line of `mosquitto_ctrl` sends. The tool itself takes the first answer that comes for its own, be
/// it another's: beside other tests it is no use.
fn sent_by(line: &str) -> Value {
    let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
    match words.as_slice() {
        ["mosquitto_ctrl", "dynsec", command @ "createRole", role] => json!({ "command": command, "rolename": role }),
        ["mosquitto_ctrl", "dynsec", command @ "addRoleACL", role, acl, topic, "allow"] => {
            json!({ "command": command, "rolename": role, "acltype": acl, "topic": topic, "allow": true })
        }
        ["mosquitto_ctrl", "dynsec", command @ "addClientRole", name, role] => {
            json!({ "command": command, "username": name, "rolename": role })
        }
        _ => panic!("{line}"),
    }
}

impl Broker {
    async fn start() -> Self {
        let builtin = builtin();
        let connector = builtin.of(TargetKind::Mosquitto).unwrap();
        let mut logins = Vec::new();
        for mode in Mode::ALL {
            let (name, role) = (fresh("connector"), fresh("rights"));
            must(&[json!({ "command": "createClient", "username": name, "password": "connectors-Secret" })]).await;
            for line in connector.rights(*mode).lines().filter(|line| !line.starts_with('#')) {
                must(&[sent_by(&line.replace("LOGIN", &name).replace("tenure", &role))]).await;
            }
            logins.push(login(&name, "connectors-Secret"));
        }
        let weaker = fresh("weaker");
        must(&[json!({ "command": "createClient", "username": weaker, "password": "connectors-Secret" })]).await;
        logins.push(login(&weaker, "connectors-Secret"));
        let roles = ["kept", "dropped"].map(fresh);
        for role in &roles {
            let acl = json!({ "acltype": "subscribeLiteral", "topic": role, "allow": true });
            must(&[json!({ "command": "createRole", "rolename": role, "acls": [acl] })]).await;
        }
        Self { builtin, endpoint: endpoint(KIND, &[]), logins: logins.try_into().unwrap(), roles }
    }
}

impl Site for Broker {
    type Session = Mqtt;

    fn connector(&self) -> &dyn Connector {
        self.builtin.of(TargetKind::Mosquitto).unwrap()
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
        self.roles.clone().map(|role| format!("ROLE {role}"))
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        let mut mqtt = Mqtt::open(login, "").await.ok().unwrap();
        mqtt.subscribe(grant.strip_prefix("ROLE ").unwrap()).await
    }
    async fn open(&self, login: &TargetLogin) -> Option<Mqtt> {
        let mut mqtt = Mqtt::open(login, "").await.ok().unwrap();
        assert!(mqtt.is_open().await);
        Some(mqtt)
    }
    async fn is_open(&self, session: &mut Mqtt) -> bool {
        session.is_open().await
    }
    async fn by_people(&self, name: &str, secret: &str) {
        let client = json!({ "command": "createClient", "username": name, "password": secret,
            "textname": "a device", "textdescription": "owner: Ada\nbought in May" });
        must(&[client]).await;
    }
    async fn crowd(&self, number: usize) {
        let name = fresh("crowd");
        let client = |i| json!({ "command": "createClient", "username": format!("{name}_{i}") });
        must(&(0..number).map(client).collect::<Vec<_>>()).await;
    }
    async fn contents(&self) -> String {
        let list = |what| json!({ "command": what, "verbose": true, "count": -1, "offset": 0 });
        let told = run(&["listClients", "listGroups", "listRoles"].map(list)).await;
        let items = told.iter().zip(["clients", "groups", "roles"]).flat_map(|(told, what)| {
            told["data"][what].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>()
        });
        items.filter(|item| item.contains(&mine())).collect::<Vec<_>>().join("\n")
    }
}

#[tokio::test]
async fn an_account_lives_and_ends() {
    conformance::life(&Broker::start().await).await;
}

#[tokio::test]
async fn observing_writes_nothing_and_tells_all() {
    conformance::observes(&Broker::start().await).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_less_is_not() {
    conformance::rights(&Broker::start().await).await;
}

#[tokio::test]
async fn names_of_others_and_our_own_login_are_let_alone() {
    let site = Broker::start().await;
    conformance::taken(&site).await;
    conformance::ourselves(&site).await;
    conformance::unauthorized(&site).await;
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let site = Broker::start().await;
    let long = "x".repeat(63);
    let names = ["tenure\"'\\x", "tenureü漢😀", "a b", "", "a\u{0}b", "a\nb", "+/#", "$SYS", "a:b", &long, " "];
    conformance::hostile_names(&site, &names).await;
}

#[tokio::test]
async fn strangers_and_dead_ports_are_no_refusal() {
    let builtin = builtin();
    let connector = builtin.of(TargetKind::Mosquitto).unwrap();
    let real = endpoint(KIND, &[]);
    let at = |port| format!("mqtt://127.0.0.1:{port}");
    // The beginning of a refusal, a broker that is busy, and one of an earlier protocol.
    strangers::unreachable(connector, &real, at, &[0x20, 3, 0, 135], "a").await;
    for said in [&[0x20, 3, 0, 137, 0][..], &[0x20, 3, 0, 133, 0], &[0x20, 2, 0, 5]] {
        let port = strangers::stranger(strangers::Manner::Says(said)).await;
        let place = Endpoint { url: at(port), ca: None, plaintext: true, ..real.clone() };
        let probed = connector.probe(&place, &login("a", "b"), crate::places::PATIENCE).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{probed:?}");
    }
}

/// What people wrote, gave and stopped is as it was when a hold is taken back.
#[tokio::test]
async fn a_held_client_comes_back_as_people_had_it_and_whoever_they_stopped_stays_stopped() {
    let site = Broker::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (standing, stopped) = (fresh("standing"), fresh("stopped"));
    for name in [&standing, &stopped] {
        site.by_people(name, "peoples-Secret").await;
        must(&[json!({ "command": "addClientRole", "username": name, "rolename": site.roles[0], "priority": 7 })])
            .await;
    }
    must(&[json!({ "command": "disableClient", "username": stopped })]).await;
    for (name, comes_back) in [(&standing, true), (&stopped, false)] {
        let get = [json!({ "command": "getClient", "username": name })];
        let before = run(&get).await;
        site.connector().hold(&end, name).await.unwrap();
        assert_eq!(Mqtt::open(&login(name, "peoples-Secret"), "").await.err(), Some(5));
        site.connector().release(&end, name).await.unwrap();
        assert_eq!(run(&get).await, before);
        assert_eq!(Mqtt::open(&login(name, "peoples-Secret"), "").await.is_ok(), comes_back, "{name}");
    }
}

/// Answers go to all who listen where they come: somebody else's are not taken for ours.
#[tokio::test]
async fn answers_to_others_are_not_ours() {
    let site = Broker::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let names: Vec<String> = (0..20).map(|_| fresh("peoples")).collect();
    for name in &names {
        site.by_people(name, "peoples-Secret").await;
    }
    let read = names.iter().map(|name| site.connector().read(&end, name));
    let read = futures_util::future::join_all(read).await;
    let told: Vec<_> = read.into_iter().map(|account| account.unwrap().unwrap().name).collect();
    assert_eq!(told, names);
}

/// A refusal of a login that is bound to a client id says nothing of its password, so it gets none of ours.
#[tokio::test]
async fn a_login_that_is_bound_to_a_client_id_is_given_no_secret_of_ours() {
    let site = Broker::start().await;
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    let (name, id) = (fresh("bound"), fresh("device"));
    let client = json!({ "command": "createClient", "username": name, "password": "peoples-Secret", "clientid": id });
    must(&[client]).await;
    assert!(Mqtt::open(&login(&name, "peoples-Secret"), "").await.is_err_and(|code| code == 5));
    let seen = site.connector().read(&issue, &name).await.unwrap().unwrap();
    assert_eq!(seen.marks.get("clientid"), Some(&id));
    let secret = login("", "another-Secret").secret;
    assert!(matches!(site.connector().rotate(&issue, &name, &secret).await, Err(ConnectorError::Unable(_))));
    assert!(Mqtt::open(&login(&name, "peoples-Secret"), &id).await.is_ok());
}

/// A role by which clients are changed makes its holder an administrator, through a group too; and we make none.
#[tokio::test]
async fn whoever_may_change_clients_is_privileged() {
    let site = Broker::start().await;
    let issue = reach(&site.endpoint, site.login(Mode::Issue), Mode::Issue);
    let (role, group, name) = (fresh("role"), fresh("group"), fresh("member"));
    let acl = json!({ "acltype": "publishClientSend", "topic": "$CONTROL/+/v1", "allow": true });
    must(&[
        json!({ "command": "createRole", "rolename": role, "acls": [acl] }),
        json!({ "command": "createGroup", "groupname": group, "roles": [{ "rolename": role }] }),
        json!({ "command": "createClient", "username": name, "groups": [{ "groupname": group }] }),
    ])
    .await;
    let seen = site.connector().read(&issue, &name).await.unwrap().unwrap();
    assert!(seen.privileged && seen.grants == [format!("GROUP {group}")], "{seen:?}");
    let grants = [format!("GROUP {group}")];
    let secret = login("", "a-Secret").secret;
    let new = NewAccount {
        name: &fresh("tenure_"),
        secret: &secret,
        grants: &grants,
        ends_at: tenure_core::base::time::Timestamp::from_secs(4_000_000_000),
        mark: "idn_1",
    };
    assert!(matches!(site.connector().provision(&issue, &new).await, Err(ConnectorError::Unable(_))));
}
