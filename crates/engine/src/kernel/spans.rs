//! What the span under way says of a caller and of a commit: ids and positions alone, never a name, an address or a
//! secret.
//!
//! The span is the one that whoever began the work has opened: the server around a request, a loop around a deadline.
//! What is said here fills fields in which that left empty; a span without them stays as it is.

use tenure_core::store::event::{Actor, Via};
use tenure_core::store::row::Position;
use tracing::Span;

/// Says who is known to call, and what stands for a person; the prefix of an id is its kind.
pub(crate) fn note_caller(actor: &Actor) {
    let span = Span::current();
    match actor {
        Actor::Person { id, via } => {
            span.record("caller", tracing::field::display(id));
            match via {
                Via::OperatorToken(id) => span.record("via", tracing::field::display(id)),
                Via::Session(id) => span.record("via", tracing::field::display(id)),
            };
        }
        Actor::Identity { id } => {
            span.record("caller", tracing::field::display(id));
        }
        Actor::Source { id } => {
            span.record("caller", tracing::field::display(id));
        }
        Actor::System { .. } | Actor::Stranger => {}
    }
}

/// Says where in the log the newest commit stands, and whose it is.
pub(crate) fn note_commit(actor: &Actor, position: Position) {
    note_caller(actor);
    Span::current().record("commit", tracing::field::display(position));
}
