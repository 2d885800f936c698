//! Why: what was refused, and who could touch what, both told from the log.

pub mod history;

use tenure_api::views::Names;
use tenure_api::why::{PastAccessReport, RefusalView, Refusals};
use tenure_core::base::id::ResourceId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::resource::Resource;
use tenure_core::policy::Action;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_log::Leaf;

use crate::identities::why::history::History;
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::MAX_PAGE;

/// Entries that one call looks through for refusals; the reply says where it stopped.
const WINDOW: u64 = 20_000;
const PAGE: u16 = 1_000;

/// Refusals that concern a subject, the newest first: what was asked, which rule said no, and what to do.
///
/// # Errors
/// The caller may not read the log, and is not the subject; or the limit is none of 1 to [`MAX_PAGE`].
pub async fn refusals(
    kernel: &Kernel,
    caller: &Caller,
    subject: &str,
    before: Option<u64>,
    limit: u16,
) -> Result<Refusals, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "refusals.read", subject), async {
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
            let limit = usize::from(limit);
            let end = before.unwrap_or(u64::MAX).min(kernel.store.head().await?.size);
            let floor = end.saturating_sub(WINDOW);
            let mut found = Vec::new();
            let mut at = end;
            while at > floor && found.len() < limit {
                let from = at.saturating_sub(u64::from(PAGE)).max(floor);
                let n = u16::try_from(at - from).unwrap_or(PAGE);
                let mut page: Vec<RefusalView> = Vec::new();
                for entry in kernel.store.entries(from, n).await? {
                    if let Ok(leaf) = Leaf::parse(&entry.leaf)
                        && leaf.kind == EventKind::AccessRefused.as_str()
                        && (leaf.actor.id == subject || leaf.subjects.iter().any(|s| s == subject))
                    {
                        page.push(refusal(entry.index, leaf));
                    }
                }
                page.reverse();
                found.extend(page);
                at = from;
            }
            found.truncate(limit);
            let next = match found.last() {
                Some(last) if found.len() == limit => Some(last.index),
                _ if at > 0 => Some(at),
                _ => None,
            };
            Ok(Refusals { items: found, before: next, names: Names::new() })
        })
        .await
}

async fn owns_subject(kernel: &Kernel, caller: &Caller, subject: &str) -> Result<bool, OpError> {
    let Ok(id) = subject.parse::<tenure_core::base::id::IdentityId>() else {
        return Ok(false);
    };
    let identity = kernel.one::<tenure_core::identity::Identity>(id).await?;
    Ok(identity.is_some_and(|identity| crate::kernel::authority::owns_identity(caller, &identity)))
}

/// Who could touch a resource at a moment, and why: each grant that was in force then, with the need, the approval and
/// what had ended or blocked it. The whole log up to that moment is read.
///
/// # Errors
/// No such resource, the moment is ahead, or the caller may not read the log.
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
            let mut history = History::default();
            let mut read = 0_u64;
            'log: loop {
                let entries = kernel.store.entries(read, PAGE).await?;
                if entries.is_empty() {
                    break;
                }
                for entry in entries {
                    let leaf = Leaf::parse(&entry.leaf)
                        .map_err(|error| OpError::Internal(format!("entry {} can't be read: {error}", entry.index)))?;
                    if leaf.at > at.as_micros() {
                        break 'log;
                    }
                    history.apply(&leaf);
                    read = entry.index + 1;
                }
            }
            Ok(PastAccessReport {
                resource: id,
                at,
                entries: read,
                access: history.reach(&id.to_string(), at),
                names: Names::new(),
            })
        })
        .await
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
