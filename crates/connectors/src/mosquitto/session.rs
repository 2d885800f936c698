//! A session at an MQTT broker, and what its answers mean (MQTT 5).
//!
//! The packets are a library's, the line is ours: so it is dialled and secured as every other one.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectReturnCode, Filter, Login, Packet, PubAckReason, Publish, Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use serde_json::{Value, json};
use tenure_core::target::connector::{ConnectorError, Endpoint, Reach, TargetLogin, words};
use tenure_outbound::Outbound;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::FORM;
use super::client::check_name;
use crate::place::{MAX_ANSWER, Place, Wire, secured};

/// Where commands are sent.
pub(super) const COMMANDS: &str = "$CONTROL/dynamic-security/v1";
/// Where they are answered, to all who listen.
const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";
/// The longest packet of ours in bytes.
const MAX_SAID: u32 = 1 << 20;
/// Longer than a call waits.
const KEEP_ALIVE: u16 = 600;

/// A broker that took a login.
pub(super) struct Session {
    line: Box<dyn Wire>,
    read: BytesMut,
    /// What nobody else there is called. The broker tells each answer to all who listen where answers come: ours is known
    /// by this and a number.
    client_id: String,
    asked: u64,
    subscribed: bool,
}

/// What a broker said to a login.
pub(super) enum Greeting {
    Accepted(Session),
    /// In its own words.
    Refused(String),
}

fn strange(error: &Error) -> ConnectorError {
    ConnectorError::Unreachable(words(&format!("it answered, and not as MQTT 5 has it: {error}")))
}

fn broken(error: &std::io::Error) -> ConnectorError {
    ConnectorError::Unreachable(words(&error.to_string()))
}

impl Session {
    /// Connects as somebody, by a client id that the broker makes up: it takes nobody's place.
    pub async fn connect(
        outbound: &Outbound,
        endpoint: &Endpoint,
        login: &TargetLogin,
    ) -> Result<Greeting, ConnectorError> {
        let place = Place::of(endpoint, &FORM)?;
        check_name(&login.name)?;
        if login.secret.expose().is_empty() {
            return Err(ConnectorError::Misconfigured("a login without a password is none".to_owned()));
        }
        let line = secured(outbound, &place, MAX_ANSWER).await?;
        let mut session = Self { line, read: BytesMut::new(), client_id: String::new(), asked: 0, subscribed: false };
        let connect = Connect { keep_alive: KEEP_ALIVE, client_id: String::new(), clean_start: true, properties: None };
        let login = Login::new(login.name.clone(), login.secret.expose().clone());
        session.send(&Packet::Connect(connect, None, Some(login))).await?;
        match session.next().await? {
            Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, properties, .. }) => {
                let given = properties.and_then(|properties| properties.assigned_client_identifier);
                session.client_id = given
                    .ok_or_else(|| ConnectorError::Unreachable("it gave no client id, as MQTT 5 has it".to_owned()))?;
                Ok(Greeting::Accepted(session))
            }
            Packet::ConnAck(ConnAck { code, .. }) => match refusal(code) {
                Some(said) => Ok(Greeting::Refused(said.to_owned())),
                None => Err(ConnectorError::Unreachable(words(&format!("CONNACK: {code:?}")))),
            },
            _ => Err(ConnectorError::Unreachable("it answered CONNECT with something else".to_owned())),
        }
    }

    /// A session of the connector itself.
    pub async fn own(outbound: &Outbound, reach: &Reach<'_>) -> Result<Self, ConnectorError> {
        match Self::connect(outbound, reach.endpoint, reach.login).await? {
            Greeting::Accepted(session) => Ok(session),
            Greeting::Refused(said) => Err(ConnectorError::Unauthorized(said)),
        }
    }

    async fn send(&mut self, packet: &Packet) -> Result<(), ConnectorError> {
        let mut bytes = BytesMut::new();
        packet
            .write(&mut bytes, Some(MAX_SAID))
            .map_err(|_| ConnectorError::Misconfigured("what is to be sent is no packet, or too long".to_owned()))?;
        self.line.write_all(&bytes).await.map_err(|error| broken(&error))?;
        self.line.flush().await.map_err(|error| broken(&error))
    }

    async fn next(&mut self) -> Result<Packet, ConnectorError> {
        let most = u32::try_from(MAX_ANSWER).unwrap_or(u32::MAX);
        loop {
            match Packet::read(&mut self.read, Some(most)) {
                Ok(packet) => return Ok(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => return Err(strange(&error)),
            }
            if self.line.read_buf(&mut self.read).await.map_err(|error| broken(&error))? == 0 {
                return Err(ConnectorError::Unreachable("it closed the connection".to_owned()));
            }
        }
    }

    /// Listens where answers come.
    async fn subscribe(&mut self) -> Result<(), ConnectorError> {
        let mut subscribe = Subscribe::new(Filter::new(ANSWERS, QoS::AtMostOnce), None);
        subscribe.pkid = 1;
        self.send(&Packet::Subscribe(subscribe)).await?;
        loop {
            let Packet::SubAck(answer) = self.next().await? else { continue };
            return match answer.return_codes.as_slice() {
                [SubscribeReasonCode::Success(_)] => {
                    self.subscribed = true;
                    Ok(())
                }
                codes => Err(ConnectorError::Rejected(format!("it may not subscribe to {ANSWERS}: {codes:?}"))),
            };
        }
    }

    /// Sends a command, and gives what it came to: its data, or the broker's words for an error.
    pub async fn command(&mut self, mut command: Value) -> Result<Result<Value, String>, ConnectorError> {
        if !self.subscribed {
            self.subscribe().await?;
        }
        self.asked = self.asked.wrapping_add(1);
        let number = format!("{}.{}", self.client_id, self.asked);
        if let Some(command) = command.as_object_mut() {
            command.insert("correlationData".to_owned(), number.as_str().into());
        }
        let mut publish = Publish::new(COMMANDS, QoS::AtLeastOnce, json!({ "commands": [command] }).to_string(), None);
        publish.pkid = 2;
        self.send(&Packet::Publish(publish)).await?;
        let (mut taken, mut answer) = (false, None);
        loop {
            if let Some(answer) = answer.take_if(|_| taken) {
                return Ok(answer);
            }
            match self.next().await? {
                Packet::PubAck(ack) => match ack.reason {
                    PubAckReason::Success | PubAckReason::NoMatchingSubscribers => taken = true,
                    reason => {
                        return Err(ConnectorError::Rejected(format!("it may not publish to {COMMANDS}: {reason:?}")));
                    }
                },
                Packet::Publish(publish) if publish.topic == ANSWERS.as_bytes() => {
                    answer = answered(&publish.payload, &number)?.or(answer);
                }
                Packet::Disconnect(said) => {
                    return Err(ConnectorError::Unreachable(format!("DISCONNECT: {:?}", said.reason_code)));
                }
                _ => {}
            }
        }
    }

    /// The data of a command; none where what it names isn't there.
    pub async fn ask(&mut self, command: Value) -> Result<Option<Value>, ConnectorError> {
        match self.command(command).await? {
            Ok(data) => Ok(Some(data)),
            Err(said) if said == "Client not found" => Ok(None),
            Err(said) => Err(ConnectorError::Rejected(words(&said))),
        }
    }
}

/// The answer to the command of this number, if it is one.
fn answered(payload: &[u8], number: &str) -> Result<Option<Result<Value, String>>, ConnectorError> {
    let strange = || ConnectorError::Unreachable("its answer is none of dynamic security".to_owned());
    let told: Value = serde_json::from_slice(payload).map_err(|_| strange())?;
    let answers = told.get("responses").and_then(Value::as_array).ok_or_else(strange)?;
    let is_ours = |answer: &&Value| answer.get("correlationData").and_then(Value::as_str) == Some(number);
    Ok(answers.iter().find(is_ours).map(|answer| match answer.get("error").and_then(Value::as_str) {
        Some(said) => Err(said.to_owned()),
        None => Ok(answer.get("data").cloned().unwrap_or(Value::Null)),
    }))
}

/// The words of a refusal of the login itself; none for every other one, such as a broker that is full.
const fn refusal(code: ConnectReturnCode) -> Option<&'static str> {
    match code {
        ConnectReturnCode::NotAuthorized => Some("CONNACK 135: not authorized"),
        ConnectReturnCode::BadUserNamePassword => Some("CONNACK 134: bad user name or password"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_ours_by_its_number_alone() {
        let told = br#"{"responses":[{"command":"getClient","correlationData":"1"},
            {"command":"getClient","error":"Client not found","correlationData":"2"}]}"#;
        assert_eq!(answered(told, "1").unwrap(), Some(Ok(Value::Null)));
        assert_eq!(answered(told, "2").unwrap(), Some(Err("Client not found".to_owned())));
        assert_eq!(answered(told, "3").unwrap(), None);
        assert!(answered(b"{}", "1").is_err() && answered(b"no", "1").is_err());
    }

    #[test]
    fn only_what_is_said_of_the_login_is_a_refusal() {
        assert!(refusal(ConnectReturnCode::NotAuthorized).is_some());
        for code in [
            ConnectReturnCode::ServerBusy,
            ConnectReturnCode::ServerUnavailable,
            ConnectReturnCode::QuotaExceeded,
            ConnectReturnCode::ClientIdentifierNotValid,
            ConnectReturnCode::Banned,
        ] {
            assert!(refusal(code).is_none(), "{code:?}");
        }
    }
}
