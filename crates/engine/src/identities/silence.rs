//! What an identity's end hangs on and can't be heard or reached now: a source that is silent for longer than its rhythm, a
//! target that doesn't answer. Until it is back nobody knows whether the identity would end, so it isn't said to be
//! removable (R97), and isn't renewed.

use std::collections::BTreeSet;

use tenure_api::views::SilentView;
use tenure_core::base::id::{SourceId, TargetId};
use tenure_core::finding::{Finding, FindingState, Rule, rules};
use tenure_core::identity::binding::Binding;
use tenure_core::identity::{Identity, WorkloadBinding};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::third_party::{CloudAccount, Need, Vendor};
use tenure_core::people::person::Person;
use tenure_core::signal::{Effect, SignalSubject, Source, SubjectKind};
use tenure_core::store::row::Stored;
use tenure_core::target::account::Account;
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::state::TrustState;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::query::Query;

/// Silent sources that are looked at: more of them at once are a trouble of the network.
const MAX_SILENT: u16 = 200;

/// What an identity's end hangs on that is silent now.
pub(crate) async fn silent_for(kernel: &Kernel, identity: &Identity) -> Result<Vec<SilentView>, OpError> {
    let mut silent = silent_sources(kernel, identity).await?;
    if identity.has_accounts {
        silent.extend(silent_targets(kernel, identity).await?);
    }
    Ok(silent)
}

async fn silent_sources(kernel: &Kernel, identity: &Identity) -> Result<Vec<SilentView>, OpError> {
    let open = open_of(kernel, &rules::SOURCE_SILENT).await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let subjects = subjects_of(kernel, identity).await?;
    let mut silent = Vec::new();
    for finding in open {
        let Ok(id) = finding.subject.parse::<SourceId>() else { continue };
        let source = kernel.one::<Source>(id).await?.filter(|source| source.state == TrustState::Active);
        if let Some(source) = source.filter(|source| ends(source, identity, &subjects)) {
            silent.push(SilentView { id: id.to_string(), name: source.name.clone(), since: finding.opened_at });
        }
    }
    Ok(silent)
}

async fn silent_targets(kernel: &Kernel, identity: &Identity) -> Result<Vec<SilentView>, OpError> {
    let accounts = kernel.find(Query::of([Account::IDENTITY.of(identity.id)])).await?.readable();
    let targets: BTreeSet<TargetId> = accounts.iter().map(|account| account.target).collect();
    let mut silent = Vec::new();
    for id in targets {
        let since = finding::open_since(kernel, &rules::TARGET_UNREACHABLE, &id.to_string()).await?;
        if let (Some(since), Some(target)) = (since, kernel.one::<TargetSystem>(id).await?) {
            silent.push(SilentView { id: id.to_string(), name: target.name.clone(), since });
        }
    }
    Ok(silent)
}

async fn open_of(kernel: &Kernel, rule: &Rule) -> Result<Vec<Stored<Finding>>, OpError> {
    let open = Query::of([Finding::RULE.of(rule.id), Finding::STATE.of(FindingState::Open)]);
    // One that can't be read may be of what it hangs on.
    kernel.find(open.limit(MAX_SILENT)).await?.whole()
}

/// Whether a source tells of the end of what an identity lives by.
fn ends(source: &Source, identity: &Identity, subjects: &[SignalSubject]) -> bool {
    let takes = |effect| matches!(effect, Effect::Leaver | Effect::Hold | Effect::TaskEnd | Effect::PersonLeaves);
    let environment = identity.charter.environment.as_deref();
    let speaks_of = |subject: &SignalSubject| match subject.kind {
        SubjectKind::Workload | SubjectKind::Repository => {
            source.environments.is_empty() || source.environments.iter().any(|name| environment == Some(name))
        }
        _ => true,
    };
    source.kinds.iter().any(|kind| takes(kind.effect()))
        && subjects.iter().any(|subject| speaks_of(subject) && source.covers(subject))
}

/// What an identity lives by, as sources name it.
async fn subjects_of(kernel: &Kernel, identity: &Identity) -> Result<Vec<SignalSubject>, OpError> {
    let charter = &identity.charter;
    let mut subjects = vec![SignalSubject { kind: SubjectKind::Identity, id: identity.id.to_string() }];
    let mut add = |kind, id: String| subjects.push(SignalSubject { kind, id });
    charter.repositories.iter().for_each(|name| add(SubjectKind::Repository, name.clone()));
    if let Some(workload) = charter.workload_binding.as_ref().map(WorkloadBinding::workload) {
        add(SubjectKind::Workload, workload.to_owned());
    }
    for id in &identity.bindings {
        if let Some(binding) = kernel.one::<Binding>(id).await? {
            add(SubjectKind::Workload, binding.workload.clone());
        }
    }
    if let Some(id) = charter.application
        && let Some(application) = kernel.one::<Application>(id).await?
    {
        add(SubjectKind::Application, application.name.clone());
    }
    if let Some(id) = charter.vendor
        && let Some(vendor) = kernel.one::<Vendor>(id).await?
    {
        add(SubjectKind::Vendor, vendor.name.clone());
    }
    if let Some(id) = charter.need
        && let Some(need) = kernel.one::<Need>(id).await?
    {
        add(SubjectKind::Need, need.name.clone());
    }
    if let Some(id) = charter.cloud_account
        && let Some(account) = kernel.one::<CloudAccount>(id).await?
    {
        add(SubjectKind::CloudAccount, format!("{}/{}", account.provider, account.account));
    }
    if let Some(id) = charter.owner
        && let Some(owner) = kernel.one::<Person>(id).await?
    {
        owner.source.iter().for_each(|at| add(SubjectKind::Person, format!("{}/{}", at.source, at.key)));
    }
    Ok(subjects)
}
