//! What happened to somebody or something, and what they did: told from the log, by its index.

use tenure_api::log::Timeline;
use tenure_api::views::Names;
use tenure_core::policy::Action;
use tenure_core::store::event::ControlPoint;

use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns, owns_subject};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::log_index::search::Search;
use crate::kernel::log_index::terms::{self, Class};
use crate::kernel::operation::Asked;
use crate::kernel::query::MAX_PAGE;
use crate::log::reading;

/// The events that concern a subject, or were caused by it, the newest first; all before the entry `before`, if one is
/// named. Those who may audit read anybody's; whoever answers for an identity reads that identity's.
///
/// # Errors
/// The caller may not; the limit is none of 1 to [`MAX_PAGE`]; the subject is none that has a timeline; or the log's
/// index is being made.
pub async fn timeline(
    kernel: &Kernel,
    caller: &Caller,
    subject: &str,
    before: Option<u64>,
    limit: u16,
) -> Result<Timeline, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "log.timeline", terms::named(subject)), async {
            if owns_subject(kernel, caller, subject).await? {
                caller.token_allows(Action::Read)?;
            } else {
                kernel.allow(caller, Action::Audit, inventory("log", "timeline", ""), owns(false))?;
            }
            if !(1..=MAX_PAGE).contains(&limit) {
                return Err(OpError::field("limit", "limit_unfit", &format!("ask for 1 to {MAX_PAGE} events")));
            }
            terms::check_subject(subject)?;
            if !terms::has_timeline(subject) {
                let hint = "name what lasts: an identity, a person, a resource, a request; what a credential did stands in its identity's timeline";
                return Err(OpError::field("subject", "subject_has_no_timeline", hint));
            }
            let limit = usize::from(limit);
            let mut search = Search::begin(kernel).await?;
            let found = search.newest(Class::All, subject, before.unwrap_or(u64::MAX), limit).await?;
            let before = found.last().filter(|_| found.len() == limit).map(|(index, _)| *index);
            let items = found.into_iter().map(|(index, leaf)| reading::told(index, leaf)).collect();
            Ok(Timeline { items, before, names: Names::new() })
        })
        .await
}
