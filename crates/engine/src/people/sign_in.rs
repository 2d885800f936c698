//! Sessions, what they are worth, and what entitles somebody to bind a sign-in (S-7, S-10).
//!
//! That people sign in is a stored fact ([`SignInSetUp`]), written by the commit that binds the deployment's first
//! sign-in. Until then an operator token stands for a person everywhere; from then on it no longer approves, enables or
//! changes what others rest on. Whoever is let through because the fact is absent demands in the same commit that it
//! still is.

use tenure_api::sign_in::{Me, SessionView};
use tenure_api::views::Page;
use tenure_core::base::id::{InvitationKind, PersonId, SessionId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::people::sign_in::{Assurance, Invitation, Passkey, SESSION_LIFE, Session, SignInBinding};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{ControlPoint, Via};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, Stored};
use tenure_core::store::secret::Pending;
use tenure_core::store::term::Field;
use tenure_credentials::opaque::{Minted, OpaqueKind, Parsed};

use crate::kernel::authority::{administration, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, SignInSetUp};
use crate::kernel::operation::Asked;
use crate::kernel::query::{Pages, Query};
use crate::kernel::{Kernel, epoch};

/// Sign-ins of one sort that a person can have at once.
pub(crate) const MAX_SIGN_INS: usize = 16;
/// Live sessions that a person can have at once: few enough for one commit to end them all, however many a thief
/// begins.
const MAX_SESSIONS: usize = 64;

/// What entitles somebody to bind a sign-in to a person.
pub(crate) struct Entitled {
    /// To whom.
    pub person: Stored<Person>,
    /// By which invitation; without one, by a fresh session of their own.
    invitation: Option<Stored<Invitation>>,
}

impl Entitled {
    /// By which invitation, if by one: for the record.
    pub(crate) fn invitation(&self) -> Option<&Invitation> {
        self.invitation.as_ref().map(|invitation| &*invitation.value)
    }
}

/// Begins a session in this commit, for a person who stands when it happens; its secret is out once the commit is
/// durable. One too many ends the oldest.
pub(crate) async fn start_session(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: &Stored<Person>,
    assurance: Assurance,
    browser: bool,
    now: Timestamp,
) -> Result<(Pending<String>, Session), OpError> {
    let mut live = of_person(kernel, Session::PERSON, person.id).readable().await?;
    live.retain(|session| session.revoked_at.is_none() && now < session.expires_at);
    live.sort_by_key(|session| session.created_at);
    let over = (live.len() + 1).saturating_sub(MAX_SESSIONS);
    for stored in live.iter().take(over) {
        if !changeset.puts.iter().any(|put| put.key == stored.value.key()) {
            let event = kernel.event(now, EventKind::SessionRevoked).subject(stored.id).subject(person.id);
            changeset.event(event).replace(stored, &revoked(stored, now));
        }
    }
    let id = SessionId::generate(now, kernel.entropy.as_ref());
    let Minted { token, hash } = kernel.opaque.session(id, changeset.id, kernel.entropy.as_ref());
    let session = Session {
        id,
        person: person.id,
        hash,
        assurance,
        browser,
        created_at: now,
        expires_at: now.plus(SESSION_LIFE),
        revoked_at: None,
    };
    let event = kernel
        .event(now, EventKind::SessionStarted)
        .subject(person.id)
        .subject(session.id)
        .fact("assurance", assurance)
        .fact("browser", browser)
        .fact("expires_at", session.expires_at);
    changeset.event(event).expect(person).insert(&session);
    // Who can stop everything has to get in where nothing else is written any more.
    changeset.stands_for_stopping = person.is_active() && person.roles.contains(&Role::Security);
    Ok((token, session))
}

/// Ends the session that a browser had until now, which its new cookie replaces: nobody could sign it out any more.
pub(crate) async fn end_earlier_session(
    kernel: &Kernel,
    changeset: &mut Changeset,
    caller: Option<&Caller>,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(Caller::Person { via: Via::Session(id), .. }) = caller else {
        return Ok(());
    };
    let Some(stored) = kernel.one::<Session>(id).await? else {
        return Ok(());
    };
    // What an invitation replaces has ended in this commit already.
    let ended = changeset.puts.iter().any(|put| put.key == stored.value.key());
    if !ended && stored.revoked_at.is_none() {
        let event = kernel.event(now, EventKind::SessionRevoked).subject(id).subject(stored.person);
        changeset.event(event).replace(&stored, &revoked(&stored, now));
    }
    Ok(())
}

/// What entitles somebody to bind a sign-in: an invitation, else a fresh session of the person themselves.
pub(crate) async fn may_bind(
    kernel: &Kernel,
    caller: Option<&Caller>,
    invitation: Option<&str>,
    now: Timestamp,
) -> Result<Entitled, OpError> {
    match (invitation, caller) {
        (Some(secret), _) => invited(kernel, secret, now).await,
        (None, Some(Caller::Person { person, assurance: Some(assurance), .. })) => {
            if !assurance.is_fresh(now) {
                return Err(OpError::refused(Reason::FreshSignInNeeded));
            }
            Ok(Entitled { person: person.clone(), invitation: None })
        }
        (None, Some(_)) => Err(OpError::because(
            Reason::FreshSignInNeeded,
            "a sign-in is bound with an invitation, or by a person who has just signed in",
        )),
        (None, None) => Err(OpError::Unauthenticated(Reason::ProofMissing)),
    }
}

/// Whether an invitation can be used now, before a browser takes it along.
///
/// # Errors
/// It can't.
pub async fn check_invitation(kernel: &Kernel, secret: &str, source: &str) -> Result<(), OpError> {
    let result = invited(kernel, secret, kernel.now()).await;
    if let Err(OpError::Unauthenticated(reason)) = &result {
        kernel.count_stranger(*reason, source);
    }
    result.map(|_| ())
}

async fn invited(kernel: &Kernel, secret: &str, now: Timestamp) -> Result<Entitled, OpError> {
    let invalid = || OpError::Unauthenticated(Reason::InvitationInvalid);
    let parsed =
        Parsed::parse(secret).ok().filter(|parsed| parsed.kind() == OpaqueKind::Invitation).ok_or_else(invalid)?;
    let id = parsed.id::<InvitationKind>().ok_or_else(invalid)?;
    let invitation = kernel.one::<Invitation>(id).await?.ok_or_else(invalid)?;
    let stands = invitation.is_good(now) && epoch::of_this_epoch(kernel, invitation.created).await?;
    if !kernel.opaque.matches(&parsed, &invitation.hash) || !stands {
        return Err(invalid());
    }
    let person = kernel.one::<Person>(invitation.person).await?.ok_or_else(invalid)?;
    if person.state != PersonState::Active {
        return Err(invalid());
    }
    Ok(Entitled { person, invitation: Some(invitation) })
}

/// Adds to the commit that binds a sign-in what goes with every such binding: the person still stands, the invitation
/// is used up with whatever it replaces, and from now on the deployment knows that people sign in. The event that
/// explains it is the caller's.
pub(crate) async fn bind_sign_in(
    kernel: &Kernel,
    changeset: &mut Changeset,
    entitled: &Entitled,
    now: Timestamp,
) -> Result<(), OpError> {
    changeset.expect(&entitled.person);
    if let Some(invitation) = &entitled.invitation {
        let used = Invitation { used_at: Some(now), ..(*invitation.value).clone() };
        changeset.replace(invitation, &used);
        if invitation.replaces {
            end_sign_ins(kernel, changeset, entitled.person.id, now).await?;
        }
    }
    if !freshness::sign_in_is_set_up(kernel).await? {
        let event = kernel.event(now, EventKind::DeploymentSignInSetUp).subject(entitled.person.id);
        changeset.event(event).insert(&SignInSetUp { at: now });
    }
    Ok(())
}

/// Ends every sign-in and session that a person has.
async fn end_sign_ins(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: PersonId,
    now: Timestamp,
) -> Result<(), OpError> {
    // What can't be read would open again what is closed here.
    for stored in of_person(kernel, Passkey::PERSON, person).whole().await? {
        if stored.removed_at.is_none() {
            let ended = Passkey { removed_at: Some(now), ..(*stored.value).clone() };
            changeset.replace(&stored, &ended);
        }
    }
    for stored in of_person(kernel, SignInBinding::PERSON, person).whole().await? {
        if stored.removed_at.is_none() {
            let ended = SignInBinding { removed_at: Some(now), ..(*stored.value).clone() };
            changeset.replace(&stored, &ended);
        }
    }
    for stored in of_person(kernel, Session::PERSON, person).whole().await? {
        if stored.revoked_at.is_none() && now < stored.expires_at {
            changeset.replace(&stored, &revoked(&stored, now));
        }
    }
    let event = kernel.event(now, EventKind::SignInEnded).subject(person);
    changeset.event(event);
    Ok(())
}

/// A person's own records of a kind: all of them, so that nobody keeps a session by having many.
pub(crate) fn of_person<T: Record>(kernel: &Kernel, theirs: Field<T, PersonId>, person: PersonId) -> Pages<'_, T> {
    kernel.pages(Query::of([theirs.of(person)]).limit(1_000))
}

/// Who the caller is, and what their sign-in is worth.
pub fn me(kernel: &Kernel, caller: &Caller) -> Me {
    match caller {
        Caller::Person { person, via, assurance } => Me {
            person: Some((*person.value).clone()),
            identity: None,
            actions: Vec::new(),
            via: Some(*via),
            assurance: *assurance,
            fresh: assurance.is_some_and(|assurance| assurance.is_fresh(kernel.now())),
        },
        Caller::Identity { identity, actions } => Me {
            person: None,
            identity: Some(identity.id),
            actions: actions.clone(),
            via: None,
            assurance: None,
            fresh: false,
        },
    }
}

/// The caller's own sessions that have not ended.
///
/// # Errors
/// The caller is no person.
pub async fn sessions(kernel: &Kernel, caller: &Caller) -> Result<Page<SessionView>, OpError> {
    let person = kernel.only_person(caller, "session.list").await?;
    let now = kernel.now();
    let this = match caller {
        Caller::Person { via: Via::Session(id), .. } => Some(*id),
        _ => None,
    };
    let live = of_person(kernel, Session::PERSON, person).readable().await?.into_iter();
    let items = live
        .filter(|session| session.revoked_at.is_none() && now < session.expires_at)
        .map(|session| session_view(&session, this))
        .collect();
    Ok(Page::whole(items))
}

/// Ends a session: one's own; for security and administrators anyone's.
///
/// # Errors
/// No such session, or it is neither.
pub async fn revoke_session(kernel: &Kernel, caller: &Caller, id: SessionId) -> Result<SessionView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "session.revoke", id), async {
            let (session, _) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Session>("session", id).await?;
                    // Nothing keeps people from ending their own.
                    if caller.person_id() != Some(stored.person)
                        && kernel.allow(caller, Action::Revoke, inventory("session", id, ""), owns(false)).is_err()
                    {
                        kernel.allow(
                            caller,
                            Action::Administer,
                            inventory("session", id, ""),
                            administration(false, false),
                        )?;
                    }
                    let session = revoked(&stored, now);
                    let event = kernel.event(now, EventKind::SessionRevoked).subject(id).subject(stored.person);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &session);
                    Ok((changeset, session))
                })
                .await?;
            Ok(session_view(&session, None))
        })
        .await
}

fn revoked(session: &Session, now: Timestamp) -> Session {
    Session { revoked_at: session.revoked_at.or(Some(now)), ..session.clone() }
}

pub(crate) fn session_view(session: &Session, this: Option<SessionId>) -> SessionView {
    SessionView {
        id: session.id,
        person: session.person,
        assurance: session.assurance,
        browser: session.browser,
        created_at: session.created_at,
        expires_at: session.expires_at,
        revoked_at: session.revoked_at,
        current: this == Some(session.id),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::time::Span;
    use tenure_core::people::sign_in::SignInMethod;
    use tenure_core::store::event::Actor;

    use super::*;
    use crate::log::seal::tests::world;

    #[tokio::test]
    async fn nobody_keeps_a_session_by_having_many() {
        let world = world().await;
        let id = world.person(Role::Security).await.person_id().unwrap();
        let assurance = Assurance { method: SignInMethod::Passkey, at: world.engine.now(), phishing_resistant: true };
        let live = async || {
            let mut sessions = of_person(&world.engine, Session::PERSON, id).readable().await.unwrap();
            sessions.retain(|session| session.revoked_at.is_none());
            sessions
        };
        let mut last = None;
        for _ in 0..MAX_SESSIONS + 3 {
            let now = world.engine.now();
            let event = world.engine.event(now, EventKind::SignInSucceeded);
            let mut changeset = Changeset::new(Actor::System { part: "sign-in".into() }, now, event);
            let person = world.engine.must::<Person>("person", id).await.unwrap();
            let (_, session) =
                start_session(&world.engine, &mut changeset, &person, assurance, true, now).await.unwrap();
            world.engine.settle(changeset).await.unwrap().unwrap();
            last = Some(session.id);
            world.clock.advance(Span::from_secs(1));
        }
        let sessions = live().await;
        assert_eq!((sessions.len(), sessions.iter().any(|session| Some(session.id) == last)), (MAX_SESSIONS, true));
        let now = world.engine.now();
        let event = world.engine.event(now, EventKind::SignInBound);
        let mut lost = Changeset::new(Actor::System { part: "sign-in".into() }, now, event);
        end_sign_ins(&world.engine, &mut lost, id, now).await.unwrap();
        world.engine.settle(lost).await.unwrap().unwrap();
        assert_eq!(live().await.len(), 0);
    }
}
