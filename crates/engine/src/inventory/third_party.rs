//! What lies outside: vendors, cloud accounts, and the data domains that bound them (R12, R35).

use tenure_api::third_party::{NewCloudAccount, NewDataDomain, NewVendor};
use tenure_api::views::Revised;
use tenure_core::base::id::{CloudAccountId, PersonId, RemovalId, VendorId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::CharterDraft;
use tenure_core::identity::scope::Scope;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::{Environment, parse_name};
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Standing, Vendor};
use tenure_core::policy::Action;
use tenure_core::signal::removal::{Removal, RemovalState};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::inventory::ownership;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::{Listed, Query};

const MAX_TEXT: usize = 200;
const MAX_DOMAINS: usize = 32;

impl Listed for Vendor {
    const NAME: &'static str = "vendor";
    fn scope(&self) -> Option<Scope> {
        Some(Scope::Vendor(self.id))
    }
    fn accountable(&self) -> Option<PersonId> {
        Some(self.owner)
    }
}
impl Listed for CloudAccount {
    const NAME: &'static str = "cloud_account";
    fn scope(&self) -> Option<Scope> {
        Some(Scope::CloudAccount(self.id))
    }
    fn accountable(&self) -> Option<PersonId> {
        Some(self.owner)
    }
}
impl Listed for DataDomain {
    const NAME: &'static str = "data_domain";
    const OPEN: bool = true;
}

/// Registers a vendor.
///
/// # Errors
/// The fields are wrong, the name is taken, or the caller is no administrator.
pub async fn create_vendor(kernel: &Kernel, caller: &Caller, ask: NewVendor) -> Result<Revised<Vendor>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "vendor.create", ""), async {
            kernel.allow(caller, Action::Administer, inventory("vendor", "", ""), administration(false, false))?;
            let (vendor, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut problems: Vec<FieldProblem> = parse_name("name", &ask.name).err().into_iter().collect();
                    problems.extend(contact_problem(&ask.contact));
                    problems.extend(contract_problems(kernel, &ask.data_domains, ask.ends_at, now).await?);
                    let owner = ownership::who_answers(kernel, ask.owner, &mut problems).await?;
                    let (Some(owner), true) = (owner, problems.is_empty()) else {
                        return Err(OpError::Invalid(problems));
                    };
                    let vendor = Vendor {
                        id: VendorId::generate(now, kernel.entropy.as_ref()),
                        name: ask.name.clone(),
                        contact: ask.contact.clone(),
                        owner: ask.owner,
                        data_domains: ask.data_domains.clone(),
                        ends_at: ask.ends_at,
                        standing: Standing::Open,
                        breach: None,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::VendorCreated)
                        .subject(vendor.id)
                        .subject(ask.owner)
                        .fact("name", &ask.name)
                        .fact("data_domains", &ask.data_domains)
                        .fact("ends_at", ask.ends_at);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.expect(&owner).insert(&vendor);
                    changeset.once.push(Once { space: "vendor_name", key: ask.name.clone(), until: None });
                    Ok((changeset, vendor))
                })
                .await?;
            kernel.changed(vendor, 1, &committed).await
        })
        .await
}

/// That a scope hasn't ended for ever: nobody lets go what its end holds.
pub(crate) async fn still_open(kernel: &Kernel, scope: &Scope) -> Result<(), OpError> {
    if let Some(removal) = removal_holding(kernel, scope).await? {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("{removal} holds it: tenure removal release {removal}"),
        ));
    }
    let closed = match scope {
        Scope::Vendor(id) => kernel.one::<Vendor>(id).await?.is_some_and(|vendor| vendor.standing == Standing::Closed),
        Scope::CloudAccount(id) => {
            kernel.one::<CloudAccount>(id).await?.is_some_and(|account| account.standing == Standing::Closed)
        }
        Scope::Application(id) => {
            kernel.one::<Application>(id).await?.is_some_and(|application| application.standing == Standing::Closed)
        }
        _ => false,
    };
    if closed {
        return Err(OpError::because(
            Reason::IllegalTransition,
            "it has ended for ever: its identities stay held, and are retired",
        ));
    }
    Ok(())
}

/// Registers a cloud account.
///
/// # Errors
/// The fields are wrong, the account is known, or the caller is no administrator.
pub async fn create_cloud_account(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewCloudAccount,
) -> Result<Revised<CloudAccount>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "cloud_account.create", ""), async {
            kernel.allow(
                caller,
                Action::Administer,
                inventory("cloud_account", "", &ask.environment),
                administration(false, false),
            )?;
            let (account, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut problems: Vec<FieldProblem> =
                        parse_name("provider", &ask.provider).err().into_iter().collect();
                    let good = |account: &str| {
                        !account.is_empty()
                            && account.len() <= MAX_TEXT
                            && account.bytes().all(|b| b.is_ascii_graphic())
                    };
                    if !good(&ask.account) {
                        problems.push(FieldProblem::new(
                            "account",
                            "account_malformed",
                            "give the provider's id of the account: 1 to 200 characters without blanks",
                        ));
                    }
                    if kernel.one::<Environment>(&ask.environment).await?.is_none() {
                        problems.push(FieldProblem::new(
                            "environment",
                            "environment_unknown",
                            "name a registered environment",
                        ));
                    }
                    let owner = ownership::who_answers(kernel, ask.owner, &mut problems).await?;
                    let (Some(owner), true) = (owner, problems.is_empty()) else {
                        return Err(OpError::Invalid(problems));
                    };
                    let account = CloudAccount {
                        id: CloudAccountId::generate(now, kernel.entropy.as_ref()),
                        provider: ask.provider.clone(),
                        account: ask.account.clone(),
                        owner: ask.owner,
                        environment: ask.environment.clone(),
                        standing: Standing::Open,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::CloudAccountCreated)
                        .subject(account.id)
                        .subject(ask.owner)
                        .fact("provider", &ask.provider)
                        .fact("account", &ask.account)
                        .fact("environment", &ask.environment);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.expect(&owner).insert(&account);
                    changeset.once.push(Once {
                        space: "cloud_account",
                        key: format!("{} {}", ask.provider, ask.account),
                        until: None,
                    });
                    Ok((changeset, account))
                })
                .await?;
            kernel.changed(account, 1, &committed).await
        })
        .await
}

/// Registers a data domain.
///
/// # Errors
/// The name is malformed or taken, or the caller is no administrator.
pub async fn create_data_domain(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewDataDomain,
) -> Result<Revised<DataDomain>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "data_domain.create", &ask.name), async {
            kernel.allow(caller, Action::Administer, inventory("data_domain", "", ""), administration(false, false))?;
            parse_name("name", &ask.name).map_err(|problem| OpError::Invalid(vec![problem]))?;
            let (domain, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    // The row's own key is the name: without this look, a taken name would only ever conflict.
                    if kernel.one::<DataDomain>(&ask.name).await?.is_some() {
                        return Err(OpError::Taken { what: "name" });
                    }
                    let domain = DataDomain { name: ask.name.clone(), sensitivity: ask.sensitivity, created_at: now };
                    let event = kernel
                        .event(now, EventKind::DataDomainCreated)
                        .subject(&ask.name)
                        .fact("sensitivity", ask.sensitivity);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.insert(&domain);
                    Ok((changeset, domain))
                })
                .await?;
            kernel.changed(domain, 1, &committed).await
        })
        .await
}

/// What is wrong with the data domains that a vendor's contract allows, and with its end.
pub(crate) async fn contract_problems(
    kernel: &Kernel,
    data_domains: &[String],
    ends_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<FieldProblem>, OpError> {
    let mut problems = Vec::new();
    if data_domains.is_empty() || data_domains.len() > MAX_DOMAINS {
        let hint = "list the 1 to 32 data domains that the contract allows";
        problems.push(FieldProblem::new("data_domains", "data_domains_missing", hint));
    } else {
        problems.extend(unknown_domains(kernel, "data_domains", data_domains).await?);
    }
    if ends_at.is_some_and(|end| end <= now) {
        problems.push(FieldProblem::new("ends_at", "end_past", "set an end in the future, or none"));
    }
    Ok(problems)
}

/// The names among these that are no registered data domain.
pub(crate) async fn unknown_domains(
    kernel: &Kernel,
    field: &str,
    names: &[String],
) -> Result<Vec<FieldProblem>, OpError> {
    for name in names {
        let known = parse_name(field, name).is_ok() && kernel.one::<DataDomain>(name).await?.is_some();
        if !known {
            let hint = format!(
                "{:?} is not registered: see `tenure data-domain list`",
                name.chars().take(64).collect::<String>()
            );
            return Ok(vec![FieldProblem::new(field, "data_domain_unknown", hint)]);
        }
    }
    Ok(Vec::new())
}

/// What is wrong with whom to reach at a vendor.
pub(crate) fn contact_problem(contact: &str) -> Option<FieldProblem> {
    text("contact", contact, "say whom to reach there, in 1 to 200 bytes")
}

fn text(field: &str, text: &str, hint: &str) -> Option<FieldProblem> {
    let good = !text.trim().is_empty() && text.len() <= MAX_TEXT;
    (!good).then(|| FieldProblem::new(field, format!("{field}_missing"), hint))
}

/// The removal that holds a scope, if one does: the scope isn't let go behind its back.
pub(crate) async fn removal_holding(kernel: &Kernel, scope: &Scope) -> Result<Option<RemovalId>, OpError> {
    for state in [RemovalState::Held, RemovalState::Retiring] {
        let holding = Query::of([Removal::SCOPE.of(scope), Removal::STATE.of(state)]);
        // One that can't be read holds it, too.
        if let Some(found) = kernel.first(holding).await? {
            return Ok(Some(found.id));
        }
    }
    Ok(None)
}

/// A charter as far as a vendor's contract allows it.
pub(crate) fn within_contract(charter: &CharterDraft, vendor: &Vendor) -> CharterDraft {
    let mut within = charter.clone();
    within.data_domains.retain(|domain| vendor.data_domains.contains(domain));
    if let Some(contract) = vendor.ends_at {
        within.expires_at = within.expires_at.map(|end| end.min(contract));
    }
    within
}
