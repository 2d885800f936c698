//! Who calls: a person who signed in or for whom an operator token stands, or an identity that proved itself.

use tenure_core::changeset::Changeset;
use tenure_core::event::{Actor, Via};
use tenure_core::id::{OperatorTokenId, OperatorTokenKind, PersonId, SessionId, SessionKind};
use tenure_core::identity::Identity;
use tenure_core::person::{OperatorToken, Person, PersonState};
use tenure_core::problem::Reason;
use tenure_core::row::{RowKey, RowKind, Stored};
use tenure_core::sign_in::{Assurance, Session};
use tenure_credentials::opaque::{OpaqueKind, Parsed};

use crate::Engine;
use crate::error::OpError;

/// An authenticated caller.
#[derive(Clone)]
pub enum Caller {
    /// A person.
    Person {
        /// Who.
        person: Stored<Person>,
        /// What shows that it is them.
        via: Via,
        /// What their sign-in was worth; none if an operator token stands for them.
        assurance: Option<Assurance>,
    },
    /// A non-human identity.
    Identity {
        /// Which.
        identity: Stored<Identity>,
    },
}

impl Caller {
    /// The caller as the log names it.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Person { person, via, .. } => Actor::Person { id: person.id, via: *via },
            Self::Identity { identity } => Actor::Identity { id: identity.id },
        }
    }

    /// The person, if it is one.
    pub fn person_id(&self) -> Option<PersonId> {
        match self {
            Self::Person { person, .. } => Some(person.id),
            Self::Identity { .. } => None,
        }
    }

    /// The person, where only a person may do it.
    pub(crate) fn must_be_person(&self) -> Result<PersonId, OpError> {
        self.person_id()
            .ok_or_else(|| OpError::because(Reason::NotAllowed, "only a person may do this"))
    }
}

/// A person and what stands for them, both as read.
pub(crate) struct Standing {
    pub person: Stored<Person>,
    proof: StandingProof,
}

enum StandingProof {
    Token(Stored<OperatorToken>),
    Session(Stored<Session>),
}

impl Standing {
    /// Demands that they still stand when the commit happens.
    pub(crate) fn expect(&self, changeset: &mut Changeset) {
        changeset.expect(&self.person);
        match &self.proof {
            StandingProof::Token(token) => changeset.expect(token),
            StandingProof::Session(session) => changeset.expect(session),
        };
    }

    fn into_caller(self) -> Caller {
        let (via, assurance) = match &self.proof {
            StandingProof::Token(token) => (Via::OperatorToken(token.id), None),
            StandingProof::Session(session) => (Via::Session(session.id), Some(session.assurance)),
        };
        Caller::Person {
            person: self.person,
            via,
            assurance,
        }
    }
}

impl Engine {
    /// The caller as they are now, if their token or session still stands for them: streams ask this again and again.
    ///
    /// # Errors
    /// It has ended, or its person isn't active any more.
    pub async fn still(&self, caller: &Caller) -> Result<Caller, OpError> {
        let Caller::Person { person, via, .. } = caller else {
            return Err(OpError::Unauthenticated(Reason::ProofInvalid));
        };
        Ok(self.stands(person.id, *via).await?.into_caller())
    }

    /// What stands for a person, if it does now.
    pub(crate) async fn stands(&self, person: PersonId, via: Via) -> Result<Standing, OpError> {
        let invalid = || OpError::Unauthenticated(Reason::ProofInvalid);
        let key = match via {
            Via::OperatorToken(token) => RowKey::new(RowKind::OperatorToken, token),
            Via::Session(session) => RowKey::new(RowKind::Session, session),
        };
        let snapshot = self.store.load(&[key, RowKey::new(RowKind::Person, person)]).await?;
        let person = snapshot.get::<Person>(1)?.ok_or_else(invalid)?;
        let (proof, whose, revoked, expires_at) = match via {
            Via::OperatorToken(_) => {
                let token = snapshot.get::<OperatorToken>(0)?.ok_or_else(invalid)?;
                let (whose, revoked, end) = (token.person, token.revoked_at, token.expires_at);
                (StandingProof::Token(token), whose, revoked, end)
            }
            Via::Session(_) => {
                let session = snapshot.get::<Session>(0)?.ok_or_else(invalid)?;
                let (whose, revoked, end) = (session.person, session.revoked_at, session.expires_at);
                (StandingProof::Session(session), whose, revoked, end)
            }
        };
        if whose != person.id || person.state != PersonState::Active {
            return Err(invalid());
        }
        if revoked.is_some() {
            return Err(OpError::Unauthenticated(Reason::CredentialRevoked));
        }
        if self.now() >= expires_at {
            return Err(OpError::Unauthenticated(Reason::CredentialExpired));
        }
        Ok(Standing { person, proof })
    }

    /// The person for whom an operator token or a session stands.
    ///
    /// # Errors
    /// It is unknown, revoked or over, or its person isn't active.
    pub async fn authenticate_person(&self, secret: &str) -> Result<Caller, OpError> {
        let invalid = || OpError::Unauthenticated(Reason::ProofInvalid);
        let parsed = Parsed::parse(secret).map_err(|_| invalid())?;
        let (person, via, hash) = match parsed.kind() {
            OpaqueKind::Operator => {
                let id: OperatorTokenId = parsed.id::<OperatorTokenKind>().ok_or_else(invalid)?;
                let token = self.one::<OperatorToken>(id).await?.ok_or_else(invalid)?;
                (token.person, Via::OperatorToken(id), token.hash.clone())
            }
            OpaqueKind::Session => {
                let id: SessionId = parsed.id::<SessionKind>().ok_or_else(invalid)?;
                let session = self.one::<Session>(id).await?.ok_or_else(invalid)?;
                (session.person, Via::Session(id), session.hash.clone())
            }
            _ => return Err(invalid()),
        };
        if !self.opaque.matches(&parsed, &hash) {
            return Err(invalid());
        }
        Ok(self.stands(person, via).await?.into_caller())
    }
}

#[cfg(test)]
mod tests {
    use tenure_api::requests::NewOperatorToken;
    use tenure_core::person::Role;
    use tenure_core::time::Span;

    use super::*;
    use crate::run::seal::tests::world;

    #[tokio::test]
    async fn an_operator_token_ends_at_its_time_and_its_streams_with_it() {
        let world = world().await;
        let person = world.person(Role::Auditor).await.person_id().unwrap();
        let life = Span::from_mins(1);
        let issued = world
            .engine
            .create_operator_token(&world.admin, person, NewOperatorToken { ttl: Some(life) })
            .await
            .unwrap();
        let caller = world.engine.authenticate_person(&issued.operator_token).await.unwrap();
        world.clock.advance(Span::from_secs(59));
        world.engine.authenticate_person(&issued.operator_token).await.unwrap();
        world.engine.still(&caller).await.unwrap();
        world.clock.advance(Span::from_secs(1));
        let ended = world.engine.authenticate_person(&issued.operator_token).await;
        assert!(matches!(ended, Err(OpError::Unauthenticated(Reason::CredentialExpired))));
        assert!(world.engine.still(&caller).await.is_err());
    }
}
