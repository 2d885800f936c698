//! Ways from a record to what is done with it on a page of its own, where both pages know them.

use tenure_api::findings::FindingView;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{FindingState, Rule};
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};

use crate::address::Address;
use crate::sheet::Way;
use crate::text;

/// Whether a finding may be let be at all.
pub(crate) fn may_be_accepted(view: &FindingView) -> bool {
    view.record.state == FindingState::Open
        && view.record.subject.starts_with("idn_")
        && Rule::find(&view.record.rule).is_some_and(Rule::may_be_accepted)
}

/// The way from a finding to the form by which it is let be.
pub(crate) fn accept(view: &FindingView) -> Option<Way> {
    let to = Address::new("/findings").below(&view.record.id.to_string()).verb("accept");
    may_be_accepted(view).then_some(Way { word: text::ACCEPT_FINDING, to, class: "" })
}

/// The way from the exception that approves break-glass to the form that starts it.
pub(crate) fn break_glass(exception: &Exception, now: Timestamp) -> Option<Way> {
    let ExceptionSubject::Identity(identity) = exception.subject else { return None };
    let to = Address::new("/identities").below(&identity.to_string()).verb("break-glass");
    let is_approved = exception.kind == ExceptionType::BreakGlass && exception.is_in_force(now);
    is_approved.then_some(Way { word: text::START_GLASS, to, class: "danger" })
}
