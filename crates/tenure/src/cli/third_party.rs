//! Vendors, cloud accounts, data domains and naming standards.

use clap::Subcommand;
use tenure_api::ownership::{OwnerEdit, VendorEdit};
use tenure_api::requests::Because;
use tenure_api::third_party::{Classification, NewCloudAccount, NewDataDomain, NewNamingStandard, NewVendor};
use tenure_core::base::id::{CloudAccountId, PersonId, VendorId};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Kind;
use tenure_core::inventory::third_party::Sensitivity;

use super::context::{Context, confirm, revision_if_any, revision_or, word};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, Search};

const VENDORS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("OWNER", "/owner"),
    ("DATA DOMAINS", "/data_domains"),
    ("ENDS", "/ends_at"),
    ("STANDING", "/standing"),
];
const ACCOUNTS: &[Column] = &[
    ("ID", "/id"),
    ("PROVIDER", "/provider"),
    ("ACCOUNT", "/account"),
    ("ENVIRONMENT", "/environment"),
    ("OWNER", "/owner"),
    ("STANDING", "/standing"),
];
const DOMAINS: &[Column] = &[("NAME", "/name"), ("SENSITIVITY", "/sensitivity"), ("CREATED", "/created_at")];
const STANDARDS: &[Column] = &[("KIND", "/kind"), ("PATTERN", "/pattern"), ("EXAMPLE", "/example"), ("SET", "/set_at")];

/// Vendors, third parties that operate integrations.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure vendor create --name acme --contact soc@acme.example --owner per_… --data-domain orders
  tenure vendor update ven_… --owner per_…
  tenure vendor update ven_… --ends-at 2027-06-30T00:00:00Z     earlier at once; later with --purpose, and another administrator approves
  tenure vendor list --standing open
  tenure vendor breached ven_… --reason \"its CI was taken over\"   each identity that it operates has a finding while it works
  tenure cut vendor ven_… --suspend --reason \"breached\"           stops all of them at once
  tenure vendor breach-over ven_… --reason \"all keys replaced\"    somebody else says so
  tenure vendor end ven_… --reason \"contract terminated\"")]
pub enum Vendor {
    /// Registers a vendor.
    Create {
        /// The name, unique for ever.
        #[arg(long)]
        name: String,
        /// Whom to reach there.
        #[arg(long)]
        contact: String,
        /// The person who answers for it here.
        #[arg(long)]
        owner: PersonId,
        /// A data domain that its contract allows; may be given several times.
        #[arg(long = "data-domain", value_name = "NAME", required = true)]
        data_domains: Vec<String>,
        /// When the contract ends; no identity of the vendor outlives it.
        #[arg(long, value_name = "TIME")]
        ends_at: Option<Timestamp>,
    },
    /// Changes a vendor: a contract that allows less at once and for what it operates here, too; one that allows more
    /// by a request that another administrator approves.
    Update {
        /// Its id.
        id: VendorId,
        /// The person who answers for it from now on.
        #[arg(long)]
        owner: Option<PersonId>,
        /// Whom to reach there.
        #[arg(long)]
        contact: Option<String>,
        /// A data domain that its contract allows, of all that it is to allow; may be given several times.
        #[arg(long = "data-domain", value_name = "NAME")]
        data_domains: Vec<String>,
        /// When the contract ends.
        #[arg(long, value_name = "TIME")]
        ends_at: Option<Timestamp>,
        /// The contract has no end.
        #[arg(long, conflicts_with = "ends_at")]
        no_end: bool,
        /// For which need, where it takes a request.
        #[arg(long)]
        purpose: Option<String>,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists vendors.
    List {
        /// Only with this name.
        #[arg(long)]
        name: Option<String>,
        /// Only of this owner.
        #[arg(long)]
        owner: Option<PersonId>,
        /// Only open or closed ones.
        #[arg(long)]
        standing: Option<String>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a vendor.
    Show {
        /// The vendor's id.
        id: VendorId,
    },
    /// Declares that a vendor was breached: each identity that it operates has a finding as long as it works. What stops
    /// all of them is `tenure cut vendor --suspend`.
    Breached {
        /// The vendor's id.
        id: VendorId,
        /// What is known of it.
        #[arg(long)]
        reason: String,
    },
    /// Says that a vendor's breach is over: somebody of security other than who declared it.
    BreachOver {
        /// The vendor's id.
        id: VendorId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ends a vendor for ever: everything that its identities hold is revoked, they are held, and retire after the
    /// hold.
    End {
        /// The vendor's id.
        id: VendorId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

impl Vendor {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { name, contact, owner, data_domains, ends_at } => {
                let ask = NewVendor { name, contact, owner, data_domains, ends_at };
                context.out.record(&client.create_vendor(&ask).await?)
            }
            Self::Update { id, owner, contact, data_domains, ends_at, no_end, purpose, revision } => {
                let ask = VendorEdit {
                    owner,
                    contact,
                    data_domains: Some(data_domains).filter(|names| !names.is_empty()),
                    ends_at: if no_end { Some(None) } else { ends_at.map(Some) },
                    purpose,
                };
                if ask.is_empty() {
                    return Err(Failure::usage("say what is to change")
                        .hint("--owner per_…, --contact TEXT, --data-domain NAME, --ends-at TIME or --no-end")
                        .into());
                }
                let revision = revision_or(revision, client.vendor(id)).await?;
                context.out.edited(&client.update_vendor(id, revision, &ask).await?)
            }
            Self::List { name, owner, standing, search, paging } => {
                let query =
                    filtered([("name", name), ("owner", owner.map(|id| id.to_string())), ("standing", standing)]);
                context.out.list(&paging, search.of(query), VENDORS, async |query| client.vendors(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.vendor(id).await?),
            Self::Breached { id, reason } => {
                let vendor = client.declare_breach(id, &Because { reason }).await?;
                eprintln!("hint: stop everything that it operates: tenure cut vendor {id} --suspend --reason TEXT");
                context.out.record(&vendor)
            }
            Self::BreachOver { id, reason } => context.out.record(&client.breach_over(id, &Because { reason }).await?),
            Self::End { id, reason, yes } => {
                confirm(
                    &format!("this ends {id} for ever, and revokes and holds everything that it operates here"),
                    yes,
                )?;
                let ended = client.end_vendor(id, &Because { reason }).await?;
                if let Some(receipt) = ended.receipt {
                    eprintln!("hint: whether it is refused everywhere is being checked: tenure receipt show {receipt}");
                }
                context.out.record(&ended)
            }
        }
    }
}

/// Cloud accounts, which identities are bound to.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure cloud-account create --provider aws --account 123456789012 --owner per_… --environment prod
  tenure cloud-account update cla_… --owner per_…
  tenure cloud-account list --provider aws")]
pub enum CloudAccount {
    /// Registers a cloud account.
    Create {
        /// The provider, e.g. aws.
        #[arg(long)]
        provider: String,
        /// Its id there; with the provider unique for ever.
        #[arg(long)]
        account: String,
        /// The person who answers for it.
        #[arg(long)]
        owner: PersonId,
        /// The environment that it belongs to.
        #[arg(long)]
        environment: String,
    },
    /// Changes who answers for a cloud account, as it stands now or at the revision that was read.
    Update {
        /// Its id.
        id: CloudAccountId,
        /// The person who answers for it from now on.
        #[arg(long)]
        owner: PersonId,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists cloud accounts.
    List {
        /// Only of this provider.
        #[arg(long)]
        provider: Option<String>,
        /// Only with this id there.
        #[arg(long)]
        account: Option<String>,
        /// Only in this environment.
        #[arg(long)]
        environment: Option<String>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a cloud account.
    Show {
        /// The account's id here.
        id: CloudAccountId,
    },
}

impl CloudAccount {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { provider, account, owner, environment } => {
                let ask = NewCloudAccount { provider, account, owner, environment };
                context.out.record(&client.create_cloud_account(&ask).await?)
            }
            Self::Update { id, owner, revision } => {
                let revision = revision_or(revision, client.cloud_account(id)).await?;
                context.out.record(&client.update_cloud_account(id, revision, &OwnerEdit { owner }).await?)
            }
            Self::List { provider, account, environment, search, paging } => {
                let query = filtered([("provider", provider), ("account", account), ("environment", environment)]);
                context
                    .out
                    .list(&paging, search.of(query), ACCOUNTS, async |query| client.cloud_accounts(&query).await)
                    .await
            }
            Self::Show { id } => context.out.record(&client.cloud_account(id).await?),
        }
    }
}

/// Data domains, the kinds of data that resources hold; their sensitivity is part of every risk tier.
#[derive(Subcommand)]
#[command(after_help = "\
Sensitivity: public, internal, confidential, restricted

Examples:
  tenure data-domain create orders --sensitivity internal
  tenure data-domain classify orders --sensitivity restricted     derives the tiers of what touches it again
  tenure data-domain classify orders --sensitivity public --purpose 'published since May'     asks for it: another administrator approves")]
pub enum DataDomain {
    /// Registers a data domain.
    Create {
        /// The name.
        name: String,
        /// How sensitive its data is.
        #[arg(long, value_parser = word::<Sensitivity>)]
        sensitivity: Sensitivity,
    },
    /// Lists data domains.
    List {
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Says how sensitive a data domain is: more at once, less by a request that another administrator approves.
    Classify {
        /// The name.
        name: String,
        /// How sensitive its data is.
        #[arg(long, value_parser = word::<Sensitivity>)]
        sensitivity: Sensitivity,
        /// For which need it is to count as less.
        #[arg(long)]
        purpose: Option<String>,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
}

impl DataDomain {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { name, sensitivity } => {
                context.out.record(&client.create_data_domain(&NewDataDomain { name, sensitivity }).await?)
            }
            Self::List { search, paging } => {
                context
                    .out
                    .list(&paging, search.of(filtered([])), DOMAINS, async |query| client.data_domains(&query).await)
                    .await
            }
            Self::Classify { name, sensitivity, purpose, revision } => {
                let revision = revision_or(revision, client.data_domain(&name)).await?;
                context.out.edited(&client.classify(&name, revision, &Classification { sensitivity, purpose }).await?)
            }
        }
    }
}

/// Naming standards: the pattern that the names of a kind match.
#[derive(Subcommand)]
#[command(after_help = "\
Kinds: service_account, workload, pipeline, bot, agent, integration, device

Example:
  tenure naming set service_account --pattern 'svc-[a-z]+-(prod|staging)' --example svc-billing-prod")]
pub enum Naming {
    /// Sets the standard of a kind.
    Set {
        /// The kind.
        #[arg(value_parser = word::<Kind>)]
        kind: Kind,
        /// A regular expression that the whole name must match.
        #[arg(long)]
        pattern: String,
        /// A name that does.
        #[arg(long)]
        example: String,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists the standards.
    List {
        #[command(flatten)]
        paging: Paging,
    },
}

impl Naming {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Set { kind, pattern, example, revision } => {
                let revision = revision_if_any(revision, client.naming_standard(kind)).await?;
                context
                    .out
                    .record(&client.set_naming_standard(kind, revision, &NewNamingStandard { pattern, example }).await?)
            }
            Self::List { paging } => {
                context
                    .out
                    .list(&paging, filtered([]), STANDARDS, async |query| client.naming_standards(&query).await)
                    .await
            }
        }
    }
}
