//! Asking back: who may vote asks something about an open request, and who asked for it answers.
//!
//! A note changes nothing of what is asked: the content hash stays, and with it every vote; the request's clock runs on.

use tenure_api::request::{NewNote, RequestView};
use tenure_core::base::id::{PersonId, RequestId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Role;
use tenure_core::request::{Asker, BadNote, Note, NoteKind, Request, RequestState};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::caller::{self, Caller};
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::matters::matter_facts;
use crate::requests::route::{self, in_one_line, not_open};
use crate::requests::{stand_in, vote};

impl From<BadNote> for OpError {
    fn from(bad: BadNote) -> Self {
        match bad {
            BadNote::NotOpen(state) => not_open(state),
            BadNote::TooMany | BadNote::NoQuestion => Self::because(Reason::IllegalTransition, bad.to_string()),
        }
    }
}

/// Writes a note on an open request: a question of somebody who may vote, or the answer of who asked for it. Whoever it
/// is for is told.
///
/// # Errors
/// It isn't open, the text is empty or too long, there are too many notes, or the caller neither asked nor may vote.
pub async fn write_note(kernel: &Kernel, caller: &Caller, id: RequestId, ask: NewNote) -> Result<RequestView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Approve, "request.note", id), async {
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let caller = &caller::renewed(kernel, caller).await?;
                    let stored = kernel.must::<Request>("request", id).await?;
                    let kind = Box::pin(kind_of(kernel, caller, &stored, now)).await?;
                    let text = ask.text.trim();
                    if text.is_empty() || text.len() > Note::MAX_TEXT {
                        return Err(OpError::field("text", "note_malformed", "write 1 to 1000 bytes"));
                    }
                    let note = Note { by: route::asker(caller), at: now, kind, text: text.to_owned() };
                    let request = (*stored.value).clone().note(note)?;
                    let event_kind = match kind {
                        NoteKind::Question => EventKind::RequestAskedBack,
                        NoteKind::Answer => EventKind::RequestExplained,
                    };
                    let event = kernel
                        .event(now, event_kind)
                        .subject(id)
                        .fact("workflow", request.workflow())
                        .fact("note", text)
                        .fact("votes", request.votes.len());
                    let (people, title) = told(&request, kind);
                    // In one line, as everything that somebody wrote.
                    let said = format!(
                        "{id} ({}): {}\nIt stays open until {}, and votes stand.\nLook: tenure request show {id}",
                        request.workflow(),
                        in_one_line(text),
                        request.lapses_at
                    );
                    let mut changeset = Changeset::new(caller.author(), now, notify(event, &people, &[], title, &said));
                    changeset.replace(&stored, &request);
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            route::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// Whether the caller asks or answers. For a request of software its accountable owner may answer, too.
async fn kind_of(kernel: &Kernel, caller: &Caller, request: &Request, now: Timestamp) -> Result<NoteKind, OpError> {
    if request.requested_by == route::asker(caller) {
        return Ok(NoteKind::Answer);
    }
    // Whoever it doesn't concern learns nothing of it, not even whether it is open.
    let neither =
        || OpError::because(Reason::NotEligible, "who may vote on a request asks back, and who asked for it answers");
    let votes_by_role =
        caller.person().is_some_and(|person| person.holds(Role::Security) || person.holds(Role::Administrator));
    if !votes_by_role && !route::concerns_now(kernel, caller, request).await? {
        return Err(neither());
    }
    if request.state != RequestState::Open {
        return Err(not_open(request.state));
    }
    if Box::pin(may_vote(kernel, caller, request, now)).await? {
        return Ok(NoteKind::Question);
    }
    let owns = caller.person_id().is_some() && request.owner == caller.person_id();
    match request.requested_by {
        Asker::Identity(_) if owns => Ok(NoteKind::Answer),
        _ => Err(neither()),
    }
}

/// Whether the caller could vote on it, were their sign-in fresh: asking back takes none, since it enables nothing.
async fn may_vote(kernel: &Kernel, caller: &Caller, request: &Request, now: Timestamp) -> Result<bool, OpError> {
    let mut facts = matter_facts::facts(kernel, request.requested_by, &request.matter, now).await?;
    facts.keep_out(request);
    let absent = stand_in::absent(kernel, caller, request, now).await?;
    Ok(vote::could_vote(kernel, caller, request, &facts, &absent, now))
}

/// Whom a note is for: a question for who asked, an answer for those who asked back.
fn told(request: &Request, kind: NoteKind) -> (Vec<PersonId>, &'static str) {
    let person = |asker: Asker| match asker {
        Asker::Person(id) => Some(id),
        Asker::Identity(_) => request.owner,
    };
    match kind {
        NoteKind::Question => (person(request.requested_by).into_iter().collect(), "Somebody asks about your request"),
        NoteKind::Answer => {
            let questions = request.notes.iter().filter(|note| note.kind == NoteKind::Question);
            (questions.filter_map(|note| person(note.by)).collect(), "What you asked about a request was answered")
        }
    }
}
