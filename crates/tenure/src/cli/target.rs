//! Target systems and their accounts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tenure_api::requests::Because;
use tenure_api::targets::{NewTarget, Proposal, TargetEdit, TargetLoginAsk};
use tenure_connectors::Builtin;
use tenure_core::base::id::{AccountId, IdentityId, PersonId, TargetId};
use tenure_core::base::time::{Clock, Span};
use tenure_core::target::connector::{Connectors as _, Endpoint, Mode, TargetKind};

use tenure_outbound::Outbound;

use super::context::{Context, read_input, read_secret, revision_or, word};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, line};
use crate::server::SystemClock;

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("MODE", "/mode"),
    ("OWNER", "/owner"),
    ("STATE", "/state"),
    ("ACCOUNTS", "/scanned/seen"),
    ("LOOKED AT", "/scanned/ended_at"),
    ("TROUBLE", "/trouble/why"),
];

const ACCOUNTS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/seen/name"),
    ("TARGET", "/target"),
    ("IDENTITY", "/identity"),
    ("ENABLED", "/seen/enabled"),
    ("PRIVILEGED", "/seen/privileged"),
    ("LAST USED", "/seen/last_used_at"),
    ("STATE", "/state"),
    ("OUTCOME", "/intent/outcome/state"),
];

/// Target systems: databases, directories, vaults and others with accounts of their own.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure target rights postgresql --mode end       what its administrator gives the connector's login
  tenure target register --name orders-db --kind postgresql --url postgres://db.acme.example:5432/orders \\
    --mode end --identity orders-db-connector --owner ada@acme.example --environment prod
  tenure target confirm orders-db                  by a second administrator
  tenure target login orders-db --login tenure --secret-file tenure.password
  tenure target show orders-db                     what a look through it came to, and what it could not see
  tenure account list --target orders-db
  tenure target propose orders-db --name-prefix billing_ --to ada@acme.example --reason 'the billing team made them'
  tenure identity claim billing_ro.orders-db charter.json")]
pub enum Target {
    /// Registers a target; a second administrator confirms it, and one hands in its connector's login.
    Register(Box<Register>),
    /// Says what rights the connector's login needs at a target, as its administrator gives them.
    Rights {
        /// The kind of target: postgresql, mariadb, redis, rabbitmq, ldap, openbao, mosquitto or aws_iam.
        #[arg(value_parser = word::<TargetKind>)]
        kind: TargetKind,
        /// What the connector may do: observe, end or issue.
        #[arg(long, value_parser = word::<Mode>, default_value = "observe")]
        mode: Mode,
    },
    /// Lists targets.
    List {
        /// Only in this state: proposed, active or removed.
        #[arg(long)]
        state: Option<String>,
        /// Only of this kind.
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a target.
    Show {
        /// Its id or name.
        id: TargetId,
    },
    /// Changes a target. Where it goes, or may do more, its connector's login doesn't follow.
    Update(Box<Update>),
    /// Confirms a registered target.
    Confirm {
        /// Its id or name.
        id: TargetId,
    },
    /// Hands in the login of a target's connector.
    Login {
        /// The target's id or name.
        id: TargetId,
        /// The login's name there; none where a token needs none.
        #[arg(long, default_value = "")]
        login: String,
        /// The file with its password, key or token; - reads it from standard input.
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// Looks through a target's accounts now.
    Scan {
        /// The target's id or name.
        id: TargetId,
    },
    /// Lets more of a target's accounts that nobody claimed be held today than its cap.
    ConfirmHolds {
        /// The target's id or name.
        id: TargetId,
    },
    /// Proposes accounts that nobody answers for to somebody, who is told and may claim them.
    Propose {
        /// The target's id or name.
        id: TargetId,
        /// How the accounts' names begin; all that nobody answers for if not given.
        #[arg(long, default_value = "")]
        name_prefix: String,
        /// Who may answer for them.
        #[arg(long)]
        to: PersonId,
        /// Why it is thought so.
        #[arg(long)]
        reason: String,
        /// Only say which ones.
        #[arg(long)]
        dry_run: bool,
    },
    /// Asks a target no more, for ever. What stands there goes on standing.
    Remove {
        /// Its id or name.
        id: TargetId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// What a target is registered with.
#[derive(Args)]
pub struct Register {
    /// Its name.
    #[arg(long)]
    name: String,
    /// The kind of target: postgresql, mariadb, redis, rabbitmq, ldap, openbao, mosquitto or aws_iam.
    #[arg(long, value_parser = word::<TargetKind>)]
    kind: TargetKind,
    #[command(flatten)]
    place: Place,
    /// What the connector may do there: observe, end or issue.
    #[arg(long, value_parser = word::<Mode>, default_value = "observe")]
    mode: Mode,
    /// The identity that the connector is; it works while that is active.
    #[arg(long)]
    identity: IdentityId,
    /// Who answers for it.
    #[arg(long)]
    owner: PersonId,
    /// The environment that its accounts are in.
    #[arg(long)]
    environment: String,
    /// How often its accounts are looked through, e.g. 1h; a day if not given.
    #[arg(long, value_name = "SPAN")]
    scan_every: Option<Span>,
    /// How long an account that was found has until an active identity answers for it; 14d if not given.
    #[arg(long, value_name = "SPAN")]
    claim_within: Option<Span>,
    /// Accounts that nobody claimed which are held in a day without a word of security; 25 if not given.
    #[arg(long, value_name = "N")]
    blast_cap: Option<u32>,
}

/// Where a target is.
#[derive(Args)]
struct Place {
    /// Its URL, without user and password.
    #[arg(long)]
    url: String,
    /// The file with the certificate authorities of its certificate, in PEM; those of the system if not given.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Reach it without encryption: on this machine only.
    #[arg(long)]
    plaintext: bool,
    /// What else its kind needs to know, as name=value, e.g. base_dn=dc=acme; may be given several times.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
}

impl Place {
    fn endpoint(self) -> anyhow::Result<Endpoint> {
        let ca = self.ca.map(|path| read_input(&path)).transpose()?;
        let pair = |option: &String| {
            let (name, value) = option.split_once('=').ok_or_else(|| Failure::usage("--option: give name=value"))?;
            Ok::<_, Failure>((name.to_owned(), value.to_owned()))
        };
        let options = self.options.iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(Endpoint { url: self.url, ca, plaintext: self.plaintext, options })
    }
}

/// What of a target is changed.
#[derive(Args)]
pub struct Update {
    /// Its id or name.
    id: TargetId,
    /// Its new URL; with it the certificate authorities, --plaintext and every --option are given anew.
    #[arg(long)]
    url: Option<String>,
    /// The file with the certificate authorities of its certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// Reach it without encryption: on this machine only.
    #[arg(long, requires = "url")]
    plaintext: bool,
    /// What else its kind needs to know, as name=value.
    #[arg(long = "option", value_name = "NAME=VALUE", requires = "url")]
    options: Vec<String>,
    /// What the connector may do there: observe, end or issue.
    #[arg(long, value_parser = word::<Mode>)]
    mode: Option<Mode>,
    /// Who answers for it.
    #[arg(long)]
    owner: Option<PersonId>,
    /// How often its accounts are looked through.
    #[arg(long, value_name = "SPAN")]
    scan_every: Option<Span>,
    /// How long an account that is found from now on has until an active identity answers for it.
    #[arg(long, value_name = "SPAN")]
    claim_within: Option<Span>,
    /// Accounts that nobody claimed which are held in a day without a word of security.
    #[arg(long, value_name = "N")]
    blast_cap: Option<u32>,
    /// The revision that the change is meant for; what it is now if not given.
    #[arg(long)]
    revision: Option<u64>,
}

impl Target {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Register(register) => {
                let made = client.create_target(&register.ask()?).await?;
                let target = &made.record;
                if !target.single_person {
                    eprintln!(
                        "hint: nothing is asked of it before another administrator runs: tenure target confirm {}",
                        target.name
                    );
                }
                eprintln!(
                    "hint: then hand in what its connector signs in with: tenure target login {} --secret-file FILE",
                    target.name
                );
                context.out.record(&made)
            }
            Self::Rights { kind, mode } => {
                // Nothing is reached: what is asked of it stands in the connector.
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let connectors = Builtin::new(&Arc::new(Outbound::new(Vec::new())), &clock);
                let connector = connectors
                    .of(kind)
                    .with_context(|| format!("this build has no connector for {}", kind.as_str()))?;
                line(connector.rights(mode))
            }
            Self::List { state, kind, paging } => {
                let query = filtered([("state", state), ("kind", kind)]);
                context.out.list(&paging, query, COLUMNS, async |query| client.targets(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.target(id).await?),
            Self::Update(update) => {
                let (id, revision) = (update.id, update.revision);
                let ask = update.ask()?;
                let revision = revision_or(revision, client.target(id)).await?;
                context.out.record(&client.update_target(id, revision, &ask).await?)
            }
            Self::Confirm { id } => context.out.record(&client.confirm_target(id).await?),
            Self::Login { id, login, secret_file } => {
                let ask = TargetLoginAsk { name: login, secret: read_secret(&secret_file)? };
                context.out.record(&client.set_target_login(id, &ask).await?)
            }
            Self::Scan { id } => context.out.record(&client.scan_target(id).await?),
            Self::ConfirmHolds { id } => context.out.record(&client.confirm_target_holds(id).await?),
            Self::Propose { id, name_prefix, to, reason, dry_run } => {
                let ask = Proposal { name_prefix, owner: to, reason, dry_run };
                context.out.record(&client.propose_accounts(id, &ask).await?)
            }
            Self::Remove { id, reason } => context.out.record(&client.remove_target(id, &Because { reason }).await?),
        }
    }
}

impl Register {
    fn ask(self) -> anyhow::Result<NewTarget> {
        Ok(NewTarget {
            name: self.name,
            kind: self.kind,
            endpoint: self.place.endpoint()?,
            mode: self.mode,
            identity: self.identity,
            owner: self.owner,
            environment: self.environment,
            scan_every: self.scan_every,
            claim_within: self.claim_within,
            blast_cap: self.blast_cap,
        })
    }
}

impl Update {
    fn ask(self) -> anyhow::Result<TargetEdit> {
        let place = self.url.map(|url| Place { url, ca: self.ca, plaintext: self.plaintext, options: self.options });
        Ok(TargetEdit {
            endpoint: place.map(Place::endpoint).transpose()?,
            mode: self.mode,
            owner: self.owner,
            scan_every: self.scan_every,
            claim_within: self.claim_within,
            blast_cap: self.blast_cap,
        })
    }
}

/// Accounts at targets.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure account list --target orders-db
  tenure account list --proposed me@acme.example
  tenure account show acc_…                        what its target says of it, and what was done to it there")]
pub enum Account {
    /// Lists accounts.
    List {
        /// Only at this target.
        #[arg(long)]
        target: Option<TargetId>,
        /// Only of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only in this state: standing, held or ended.
        #[arg(long)]
        state: Option<String>,
        /// Only those that were proposed to this person.
        #[arg(long)]
        proposed: Option<PersonId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows an account.
    Show {
        /// Its id.
        id: AccountId,
    },
}

impl Account {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { target, identity, state, proposed, paging } => {
                let query = filtered([
                    ("target", target.map(|id| id.to_string())),
                    ("identity", identity.map(|id| id.to_string())),
                    ("state", state),
                    ("proposed", proposed.map(|id| id.to_string())),
                ]);
                context.out.list(&paging, query, ACCOUNTS, async |query| client.accounts(&query).await).await
            }
            Self::Show { id } => context.out.record(&client.account(id).await?),
        }
    }
}
