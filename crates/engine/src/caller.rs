//! Who calls: a person for whom an operator token stands, or an identity that proved itself.

use tenure_core::event::Actor;
use tenure_core::id::{OperatorTokenId, OperatorTokenKind, PersonId};
use tenure_core::identity::Identity;
use tenure_core::person::{OperatorToken, Person, PersonState};
use tenure_core::problem::Reason;
use tenure_core::row::{RowKey, RowKind, Stored};
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
        /// The operator token that stands for them.
        token: OperatorTokenId,
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
            Self::Person { person, token } => Actor::Person {
                id: person.id,
                operator_token: *token,
            },
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

impl Engine {
    /// The caller as they are now, if their token still stands for them: streams ask this again and again.
    ///
    /// # Errors
    /// The token has ended or its person isn't active any more.
    pub async fn still(&self, caller: &Caller) -> Result<Caller, OpError> {
        let Caller::Person { person, token } = caller else {
            return Err(OpError::Unauthenticated(Reason::ProofInvalid));
        };
        let (_, person) = self.stands(person.id, *token).await?;
        Ok(Caller::Person { person, token: *token })
    }

    /// An operator token and its person, if the one stands for the other now.
    pub(crate) async fn stands(&self, person: PersonId, token: OperatorTokenId) -> Result<(Stored<OperatorToken>, Stored<Person>), OpError> {
        let snapshot = self
            .store
            .load(&[RowKey::new(RowKind::OperatorToken, token), RowKey::new(RowKind::Person, person)])
            .await?;
        let (Some(token), Some(person)) = (snapshot.get::<OperatorToken>(0)?, snapshot.get::<Person>(1)?) else {
            return Err(OpError::Unauthenticated(Reason::ProofInvalid));
        };
        if token.person != person.id || person.state != PersonState::Active {
            return Err(OpError::Unauthenticated(Reason::ProofInvalid));
        }
        if token.revoked_at.is_some() {
            return Err(OpError::Unauthenticated(Reason::CredentialRevoked));
        }
        if self.now() >= token.expires_at {
            return Err(OpError::Unauthenticated(Reason::CredentialExpired));
        }
        Ok((token, person))
    }

    /// The person for whom an operator token stands.
    ///
    /// # Errors
    /// The token is unknown, revoked or over, or its person isn't active.
    pub async fn authenticate_operator(&self, bearer: &str) -> Result<Caller, OpError> {
        let invalid = || OpError::Unauthenticated(Reason::ProofInvalid);
        let parsed = Parsed::parse(bearer).map_err(|_| invalid())?;
        if parsed.kind() != OpaqueKind::Operator {
            return Err(invalid());
        }
        let id = parsed.id::<OperatorTokenKind>().ok_or_else(invalid)?;
        let token = self.one::<OperatorToken>(id).await?.ok_or_else(invalid)?;
        if !self.opaque.matches(&parsed, &token.hash) {
            return Err(invalid());
        }
        let (_, person) = self.stands(token.person, id).await?;
        Ok(Caller::Person { person, token: id })
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
        let caller = world.engine.authenticate_operator(&issued.operator_token).await.unwrap();
        world.clock.advance(Span::from_secs(59));
        world.engine.authenticate_operator(&issued.operator_token).await.unwrap();
        world.engine.still(&caller).await.unwrap();
        world.clock.advance(Span::from_secs(1));
        let ended = world.engine.authenticate_operator(&issued.operator_token).await;
        assert!(matches!(ended, Err(OpError::Unauthenticated(Reason::CredentialExpired))));
        assert!(world.engine.still(&caller).await.is_err());
    }
}
