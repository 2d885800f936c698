//! Why: what was refused, and who could touch what, both told from the log.

pub mod history;

use std::collections::BTreeSet;

use tenure_api::views::Names;
use tenure_api::why::{PastAccess, PastAccessReport, RefusalView, Refusals};
use tenure_core::base::id::ResourceId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::entitlement::WILDCARD;
use tenure_core::inventory::resource::Resource;
use tenure_core::policy::Action;
use tenure_core::store::event::ControlPoint;
use tenure_log::Leaf;

use crate::identities::why::history::History;
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns, owns_subject};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::log_index::search::Search;
use crate::kernel::log_index::terms::{self, Class};
use crate::kernel::operation::Asked;
use crate::kernel::query::MAX_PAGE;

/// Refusals that concern a subject, the newest first: what was asked, which rule said no, and what to do.
///
/// # Errors
/// The caller may not read the log, and is not the subject; or the limit is none of 1 to [`MAX_PAGE`], or
/// the subject no text that one could be.
pub async fn refusals(
    kernel: &Kernel,
    caller: &Caller,
    subject: &str,
    before: Option<u64>,
    limit: u16,
) -> Result<Refusals, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "refusals.read", terms::named(subject)), async {
            let own = caller.person_id().is_some_and(|person| person.to_string() == subject)
                || owns_subject(kernel, caller, subject).await?;
            if own {
                caller.token_allows(Action::Read)?;
            } else {
                kernel.allow(caller, Action::Audit, inventory("log", "", ""), owns(false))?;
            }
            if !(1..=MAX_PAGE).contains(&limit) {
                return Err(OpError::field("limit", "limit_unfit", &format!("ask for 1 to {MAX_PAGE} refusals")));
            }
            terms::check_subject(subject)?;
            let limit = usize::from(limit);
            let mut search = Search::begin(kernel).await?;
            let found = search.newest(Class::Refused, subject, before.unwrap_or(u64::MAX), limit).await?;
            let next = found.last().filter(|_| found.len() == limit).map(|(index, _)| *index);
            let items = found.into_iter().map(|(index, leaf)| refusal(index, leaf)).collect();
            Ok(Refusals { items, before: next, names: Names::new() })
        })
        .await
}

/// Who could touch a resource at a moment, and why: each grant that was in force then, with the need, the approval and
/// what had ended or blocked it. It is told from the entries that concern these grants and whoever held them, and is what
/// the whole log up to that moment says.
///
/// # Errors
/// No such resource, the moment is ahead, the caller may not read the log, or its index is being made.
pub async fn past_access(
    kernel: &Kernel,
    caller: &Caller,
    id: ResourceId,
    at: Option<Timestamp>,
) -> Result<PastAccessReport, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "access.history", id), async {
            let resource = kernel.must::<Resource>("resource", id).await?;
            kernel.allow(caller, Action::Audit, inventory("log", "", &resource.environment), owns(false))?;
            let now = kernel.now();
            let at = at.unwrap_or(now);
            if at > now {
                return Err(OpError::field("at", "time_ahead", "name a moment that has passed"));
            }
            let mut search = Search::begin(kernel).await?;
            let entries = search.first_after(at.as_micros()).await?;
            let access = reach_at(&mut search, &id.to_string(), at, entries).await?;
            Ok(PastAccessReport { resource: id, at, entries, access, names: Names::new() })
        })
        .await
}

/// Who could touch a resource at a moment, the first `entries` of the log being those up to it.
pub(crate) async fn reach_at(
    search: &mut Search<'_>,
    resource: &str,
    at: Timestamp,
    entries: u64,
) -> Result<Vec<PastAccess>, OpError> {
    let mut told = search.all(&[(Class::Opened, resource), (Class::Opened, WILDCARD)]).await?;
    told.retain(|index, _| *index < entries);
    let mut history = History::default();
    told.values().for_each(|leaf| history.apply(leaf));
    let open = history.open(resource, at);
    let concerned: BTreeSet<&str> =
        open.iter().flat_map(|grant| [grant.grant.as_str(), grant.holder.as_str()]).collect();
    let concerned: Vec<(Class, &str)> = concerned.into_iter().map(|id| (Class::Authority, id)).collect();
    told.extend(search.all(&concerned).await?.into_iter().filter(|(index, _)| *index < entries));
    let mut history = History::default();
    told.values().for_each(|leaf| history.apply(leaf));
    let scopes = history.scopes(&history.open(resource, at));
    let held: Vec<(Class, &str)> =
        scopes.iter().filter_map(|scope| scope.split_once('/')).map(|(_, id)| (Class::Held, id)).collect();
    // Holds concern nothing else, so they can be taken in behind the rest; and the last word on a scope is what counts.
    // Of scopes of two kinds with one id it may be on the other one: then all of them are read.
    let ids: BTreeSet<&str> = held.iter().map(|(_, id)| *id).collect();
    let mut words = search.last(&held, entries).await?;
    if ids.len() < scopes.len() || words.values().any(|leaf| !scopes.contains(&History::scope_of(leaf))) {
        words = search.all(&held).await?;
    }
    words.range(..entries).for_each(|(_, leaf)| history.apply(leaf));
    Ok(history.reach(resource, at))
}

fn refusal(index: u64, leaf: Leaf) -> RefusalView {
    let text = |name: &str| leaf.data.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let reason = text("reason");
    let hint = Reason::ALL.iter().find(|known| known.code() == reason).map(|known| known.hint().to_owned());
    RefusalView {
        index,
        at: Timestamp::from_micros(leaf.at),
        actor: leaf.actor.id,
        control: leaf.control,
        asked: text("asked"),
        subjects: leaf.subjects,
        fields: leaf.data.get("fields").cloned().unwrap_or(serde_json::Value::Array(Vec::new())),
        policies: leaf
            .data
            .get("policies")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|policy| policy.as_str().map(str::to_owned))
            .collect(),
        policy_version: leaf.data.get("policy_version").and_then(serde_json::Value::as_str).map(str::to_owned),
        hint,
        reason,
    }
}
