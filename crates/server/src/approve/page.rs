//! What the approval page says.

use axum::http::StatusCode;
use axum::response::Response;
use tenure_api::views::Names;
use tenure_console::door::NoSuchLink;
use tenure_console::frame::{self, Frame, Place};
use tenure_console::request::{Noted, RequestPage, VoteForm};
use tenure_core::people::person::Person;
use tenure_engine::matters::link::Approval;

use crate::app::App;
use crate::contract::error::Failure;
use crate::contract::page::{page, problem_page};

/// The page of a request, with its buttons as long as it waits for this reader.
pub(super) fn approval(
    app: &App,
    status: StatusCode,
    person: &Person,
    names: &Names,
    approval: Approval,
    form: VoteForm,
) -> Response {
    let reader = frame::Reader { name: person.name.clone(), fresh: true };
    let frame = Frame::new(String::new(), Place::Requests, reader, app.kernel.now());
    page(status, &RequestPage::new(frame, approval.request, names, person, form, Noted::default()))
}

/// The page of a link that leads nowhere; it doesn't say why, which nobody but its person may know.
pub(super) fn not_good() -> Response {
    page(StatusCode::NOT_FOUND, &NoSuchLink {})
}

/// The page of an answer that was not taken.
pub(super) fn problem(failure: Failure) -> Response {
    problem_page(failure, Vec::new())
}
