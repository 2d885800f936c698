//! Who calls: a person who signed in or for whom an operator token stands, or an identity that proved itself.

use tenure_core::base::id::{OperatorTokenId, OperatorTokenKind, PersonId, SessionId, SessionKind};
use tenure_core::base::problem::Reason;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::{OperatorToken, Person, PersonState, Role};
use tenure_core::people::sign_in::{Assurance, Session};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::epoch::{Contradiction, Epoch, Trust};
use tenure_core::store::event::{Actor, Author, Via};
use tenure_core::store::row::{RowKey, RowKind, Stored};
use tenure_credentials::opaque::{OpaqueKind, Parsed};

use crate::kernel::error::OpError;
use crate::kernel::{Kernel, epoch, spans};

/// Who is let in while the log is contradicted (S-1).
const LOOK_INTO_IT: [Role; 3] = [Role::Security, Role::Administrator, Role::Auditor];

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
        /// What it proved to be good for here: the actions of its access token for Tenure, or what an assertion of its
        /// own is taken for.
        actions: Vec<String>,
    },
}

impl Caller {
    /// The caller as the log names it.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Person { person, via, .. } => Actor::Person { id: person.id, via: *via },
            Self::Identity { identity, .. } => Actor::Identity { id: identity.id },
        }
    }

    /// The caller as who makes a change.
    pub(crate) fn author(&self) -> Author {
        let as_of = match self {
            Self::Person { person, .. } => person.revision,
            Self::Identity { identity, .. } => identity.revision,
        };
        Author { actor: self.actor(), as_of: Some(as_of) }
    }

    /// The id of whoever it is.
    pub fn id(&self) -> String {
        match self {
            Self::Person { person, .. } => person.id.to_string(),
            Self::Identity { identity, .. } => identity.id.to_string(),
        }
    }

    /// The record of the person, if it is one.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Person { person, .. } => Some(person),
            Self::Identity { .. } => None,
        }
    }

    /// The person, if it is one.
    pub fn person_id(&self) -> Option<PersonId> {
        match self {
            Self::Person { person, .. } => Some(person.id),
            Self::Identity { .. } => None,
        }
    }

    /// That the access token with which an identity came is good for this control point. What approves, enables or runs
    /// Tenure is nobody's token's (S-7), whatever the policy says.
    pub(crate) fn token_allows(&self, action: Action) -> Result<(), OpError> {
        let Self::Identity { actions, .. } = self else {
            return Ok(());
        };
        let needed = match action {
            Action::Read | Action::Audit | Action::Request | Action::Import | Action::Complete => action.as_str(),
            _ => {
                return Err(OpError::because(Reason::NotAllowed, format!("{} takes a person", action.as_str())));
            }
        };
        if actions.iter().any(|held| held == needed) {
            Ok(())
        } else {
            Err(OpError::because(
                Reason::NotAllowed,
                format!("the access token is not good for {needed} here: ask for one with that action"),
            ))
        }
    }

    /// The person, where only a person may do it.
    pub(crate) fn must_be_person(&self) -> Result<PersonId, OpError> {
        self.person_id().ok_or_else(|| OpError::because(Reason::NotAllowed, "only a person may do this"))
    }
}

/// A person and what stands for them, both as read.
pub(crate) struct PersonProof {
    pub person: Stored<Person>,
    proof: StandingProof,
    /// Whether a checkpoint outside contradicts the log, by its row.
    pub contradicted: bool,
}

enum StandingProof {
    Token(Stored<OperatorToken>),
    Session(Stored<Session>),
}

impl PersonProof {
    /// Demands that they still stand when the commit happens.
    pub(crate) fn expect(&self, changeset: &mut Changeset) {
        changeset.expect(&self.person);
        match &self.proof {
            StandingProof::Token(token) => changeset.expect(token),
            StandingProof::Session(session) => changeset.expect(session),
        };
    }

    /// What the sign-in was worth, if there was one.
    pub(crate) fn assurance(&self) -> Option<Assurance> {
        match &self.proof {
            StandingProof::Token(_) => None,
            StandingProof::Session(session) => Some(session.assurance),
        }
    }

    fn into_caller(self) -> Caller {
        let (via, assurance) = match &self.proof {
            StandingProof::Token(token) => (Via::OperatorToken(token.id), None),
            StandingProof::Session(session) => (Via::Session(session.id), Some(session.assurance)),
        };
        Caller::Person { person: self.person, via, assurance }
    }
}

/// The caller as they are now, if their token or session still stands for them: streams ask this again and again.
///
/// # Errors
/// It has ended, or its person isn't active any more.
pub async fn still(kernel: &Kernel, caller: &Caller) -> Result<Caller, OpError> {
    let Caller::Person { person, via, .. } = caller else {
        return Err(OpError::Unauthenticated(Reason::ProofInvalid));
    };
    Ok(stands(kernel, person.id, *via).await?.into_caller())
}

/// The caller as they are now, for an operation of several commits.
///
/// # Errors
/// They aren't who may call any more.
pub(crate) async fn renewed(kernel: &Kernel, caller: &Caller) -> Result<Caller, OpError> {
    let Caller::Identity { identity, actions } = caller else { return still(kernel, caller).await };
    let identity =
        kernel.one::<Identity>(identity.id).await?.filter(|identity| identity.state == IdentityState::Active);
    let identity = identity.ok_or(OpError::Unauthenticated(Reason::IdentityNotActive))?;
    Ok(Caller::Identity { identity, actions: actions.clone() })
}

/// What stands for a person, if it does now.
pub(crate) async fn stands(kernel: &Kernel, person: PersonId, via: Via) -> Result<PersonProof, OpError> {
    let invalid = || OpError::Unauthenticated(Reason::ProofInvalid);
    let key = match via {
        Via::OperatorToken(token) => RowKey::new(RowKind::OperatorToken, token),
        Via::Session(session) => RowKey::new(RowKind::Session, session),
    };
    kernel.look().await?;
    let keys = [key, RowKey::new(RowKind::Person, person), Epoch::row_key(), Contradiction::row_key()];
    let snapshot = kernel.store.load(&keys).await?;
    let trust = Trust::of(snapshot.get::<Epoch>(2)?.as_ref(), snapshot.get::<Contradiction>(3)?.as_ref());
    let person = snapshot.get::<Person>(1)?.ok_or_else(invalid)?;
    let (proof, whose, revoked, expires_at, made) = match via {
        Via::OperatorToken(_) => {
            let token = snapshot.get::<OperatorToken>(0)?.ok_or_else(invalid)?;
            let (whose, revoked, end, made) = (token.person, token.revoked_at, token.expires_at, token.created);
            (StandingProof::Token(token), whose, revoked, end, made)
        }
        Via::Session(_) => {
            let session = snapshot.get::<Session>(0)?.ok_or_else(invalid)?;
            let (whose, revoked, end, made) = (session.person, session.revoked_at, session.expires_at, session.created);
            (StandingProof::Session(session), whose, revoked, end, made)
        }
    };
    if whose != person.id || person.state != PersonState::Active {
        return Err(invalid());
    }
    if !trust.covers(made) {
        return Err(OpError::Unauthenticated(Reason::BeforeEpoch));
    }
    // Somebody has to look into it and to stop what it revived; whoever else left in what is lost must not be let in
    // again.
    if (trust.contradicted || epoch::is_contradicted(kernel))
        && !person.roles.iter().any(|role| LOOK_INTO_IT.contains(role))
    {
        return Err(OpError::Unauthenticated(Reason::LogContradicted));
    }
    if revoked.is_some() {
        return Err(OpError::Unauthenticated(Reason::CredentialRevoked));
    }
    if kernel.now() >= expires_at {
        return Err(OpError::Unauthenticated(Reason::CredentialExpired));
    }
    Ok(PersonProof { person, proof, contradicted: trust.contradicted })
}

/// The person for whom an operator token or a session stands.
///
/// # Errors
/// It is unknown, revoked or over, or its person isn't active.
pub async fn authenticate_person(kernel: &Kernel, secret: &str) -> Result<Caller, OpError> {
    person_behind(kernel, secret, false).await
}

/// The person whose browser sent this cookie.
///
/// # Errors
/// As [`Kernel::authenticate_person`].
pub async fn authenticate_browser(kernel: &Kernel, cookie: &str) -> Result<Caller, OpError> {
    person_behind(kernel, cookie, true).await
}

/// What a browser holds is good as a cookie only, and what a command line holds as a bearer only: where a request may
/// come from is checked for the one and not for the other.
async fn person_behind(kernel: &Kernel, secret: &str, browser: bool) -> Result<Caller, OpError> {
    let invalid = || OpError::Unauthenticated(Reason::ProofInvalid);
    let parsed = Parsed::parse(secret).map_err(|_| invalid())?;
    let (person, via, hash) = match parsed.kind() {
        OpaqueKind::Operator if !browser => {
            let id: OperatorTokenId = parsed.id::<OperatorTokenKind>().ok_or_else(invalid)?;
            let token = kernel.one::<OperatorToken>(id).await?.ok_or_else(invalid)?;
            (token.person, Via::OperatorToken(id), token.hash.clone())
        }
        OpaqueKind::Session => {
            let id: SessionId = parsed.id::<SessionKind>().ok_or_else(invalid)?;
            let session =
                kernel.one::<Session>(id).await?.filter(|session| session.browser == browser).ok_or_else(invalid)?;
            (session.person, Via::Session(id), session.hash.clone())
        }
        _ => return Err(invalid()),
    };
    if !kernel.opaque.matches(&parsed, &hash) {
        return Err(invalid());
    }
    let caller = stands(kernel, person, via).await?.into_caller();
    spans::note_caller(&caller.actor());
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use tenure_api::requests::{NewHold, NewOperatorToken};
    use tenure_core::base::time::Span;
    use tenure_core::identity::scope::Scope;
    use tenure_core::people::person::Role;
    use tenure_core::store::event_kind::EventKind;

    use super::*;
    use crate::credentials::holds;
    use crate::kernel::work::system;
    use crate::log::seal::tests::world;
    use crate::people::operator_tokens;

    #[tokio::test]
    async fn an_operator_token_ends_at_its_time_and_its_streams_with_it() {
        let world = world().await;
        let person = world.person(Role::Auditor).await.person_id().unwrap();
        let life = Span::from_mins(1);
        let issued = operator_tokens::create_operator_token(
            &world.engine,
            &world.admin,
            person,
            NewOperatorToken { ttl: Some(life) },
        )
        .await
        .unwrap();
        let caller = authenticate_person(&world.engine, &issued.operator_token).await.unwrap();
        world.clock.advance(Span::from_secs(59));
        authenticate_person(&world.engine, &issued.operator_token).await.unwrap();
        still(&world.engine, &caller).await.unwrap();
        world.clock.advance(Span::from_secs(1));
        let ended = authenticate_person(&world.engine, &issued.operator_token).await;
        assert!(matches!(ended, Err(OpError::Unauthenticated(Reason::CredentialExpired))));
        assert!(still(&world.engine, &caller).await.is_err());
    }

    #[tokio::test]
    async fn s9_roles_that_were_lost_since_the_caller_was_authenticated_count_no_more() {
        let world = world().await;
        let security = world.person(Role::Security).await;
        let person = security.person_id().unwrap();
        let hold = || NewHold {
            scope: Scope::Owner(world.admin.person_id().unwrap()),
            reason: "drill".into(),
            dry_run: false,
        };
        let stored = world.engine.must::<Person>("person", person).await.unwrap();
        let without = Person { roles: Vec::new(), ..(*stored.value).clone() };
        let now = world.engine.now();
        let event = world.engine.event(now, EventKind::PersonRolesChanged);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&stored, &without);
        assert!(world.engine.settle(changeset).await.unwrap().is_some());
        // As a request that was authenticated before and is carried out after.
        let size = world.size().await;
        let placed = holds::hold(&world.engine, &security, hold()).await;
        assert!(matches!(placed, Err(OpError::Unavailable(_))), "{:?}", placed.err());
        assert_eq!(world.size().await, size, "nothing was done");
        let now = still(&world.engine, &security).await.unwrap();
        let placed = holds::hold(&world.engine, &now, hold()).await;
        assert!(matches!(placed, Err(OpError::Refused { .. })), "{:?}", placed.err());
    }
}
