//! Target systems and their accounts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tenure_api::requests::Because;
use tenure_api::targets::{GoneAsk, NarrowAccount, NewTarget, Proposal, TargetEdit, TargetLoginAsk};
use tenure_client::Client;
use tenure_connectors::Builtin;
use tenure_core::base::id::{AccountId, IdentityId, PersonId, TargetId};
use tenure_core::base::time::{Clock, Span};
use tenure_core::target::connector::{Connectors as _, Endpoint, Mode, TargetKind};
use tenure_core::target::suggestion::Strength;

use tenure_outbound::Outbound;

use super::context::{Context, read_input, read_secret, replace_secret, revision_or, word};
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

const PROPOSED: &[Column] = &[
    ("ACCOUNT", "/account"),
    ("NAME", "/name"),
    ("IDENTITY", "/identity"),
    ("TO", "/owner"),
    ("BECAUSE", "/reasons/0/said"),
    ("CLAIM BY", "/claim_by"),
];

const SUGGESTED: &[Column] =
    &[("OWNER", "/owner"), ("STRENGTH", "/strength"), ("CLUE", "/reasons/0/clue"), ("BECAUSE", "/reasons/0/said")];

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
  tenure target propose orders-db --mark comment=billing --by-suggestion strong --reason 'as suggested' --dry-run
  tenure identity claim billing_ro.orders-db charter.json")]
pub enum Target {
    /// Registers a target; a second administrator confirms it, and one hands in its connector's login.
    Register(Box<Register>),
    /// Says what rights the connector's login needs at a target, as its administrator gives them.
    Rights {
        /// The kind of target: postgresql, mariadb, redis, rabbitmq, ldap, openbao, mosquitto, aws_iam, github, gitlab,
        /// scim, nats or webhook.
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
        /// Only those with this mark at the target that has this text in it, as name=text, e.g. comment=billing; may be
        /// given several times.
        #[arg(long = "mark", value_name = "NAME=TEXT")]
        marks: Vec<String>,
        /// Who may answer for them.
        #[arg(long, required_unless_present = "by_suggestion")]
        to: Option<PersonId>,
        /// Propose each to whom its first suggestion names, if that is at least weak, likely or strong.
        #[arg(long, value_name = "STRENGTH", value_parser = word::<Strength>)]
        by_suggestion: Option<Strength>,
        /// Why it is thought so.
        #[arg(long)]
        reason: String,
        /// Only say which ones.
        #[arg(long)]
        dry_run: bool,
    },
    /// Says that a target is gone for good, and what shows it. Once somebody else says so, too, whatever waits for its
    /// accounts ends with that word: it is never called proven.
    AttestGone {
        /// The target's id or name.
        id: TargetId,
        /// Why it is thought so.
        #[arg(long)]
        reason: String,
        /// What shows it: a ticket, a record of its end, an order number.
        #[arg(long)]
        evidence: String,
    },
    /// Says, too, that a target is gone for good: by somebody else than who said so first.
    ConfirmGone {
        /// The target's id or name.
        id: TargetId,
    },
    /// Takes back that a target is gone: what was left to it is asked of it again.
    WithdrawGone {
        /// The target's id or name.
        id: TargetId,
        /// Why.
        #[arg(long)]
        reason: String,
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
    /// The kind of target: postgresql, mariadb, redis, rabbitmq, ldap, openbao, mosquitto, aws_iam, github, gitlab,
    /// scim, nats or webhook.
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
        // What stands in this build is told to anybody, wherever there is no server yet.
        let client = match &self {
            Self::Rights { .. } => context.anonymous()?,
            _ => context.client()?,
        };
        match self {
            Self::Rights { kind, mode } => rights(kind, mode),
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
            Self::AttestGone { id, reason, evidence } => {
                let gone = client.attest_target_gone(id, &GoneAsk { reason, evidence }).await?;
                let name = &gone.record.name;
                eprintln!("hint: it counts once somebody else runs: tenure target confirm-gone {name}");
                context.out.record(&gone)
            }
            Self::ConfirmGone { id } => context.out.record(&client.confirm_target_gone(id).await?),
            Self::WithdrawGone { id, reason } => {
                context.out.record(&client.withdraw_target_gone(id, &Because { reason }).await?)
            }
            Self::Propose { id, name_prefix, marks, to, by_suggestion, reason, dry_run } => {
                let pair = |mark: &String| {
                    let (name, text) = mark.split_once('=').ok_or_else(|| Failure::usage("--mark: give name=text"))?;
                    Ok::<_, Failure>((name.to_owned(), text.to_owned()))
                };
                let marks = marks.iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?;
                let ask = Proposal { name_prefix, marks, owner: to, by_suggestion, reason, dry_run };
                let chosen = client.propose_accounts(id, &ask).await?;
                let (what, count) = (if dry_run { "would be" } else { "were" }, chosen.accounts.len());
                eprintln!("{count} accounts {what} proposed{}", if chosen.more { "; there are more" } else { "" });
                context.out.rows(&chosen, &chosen.accounts, PROPOSED)
            }
            Self::Remove { id, reason } => context.out.record(&client.remove_target(id, &Because { reason }).await?),
        }
    }
}

/// What the connector in this build needs: nothing is reached, and no server is asked.
fn rights(kind: TargetKind, mode: Mode) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let connectors = Builtin::new(&Arc::new(Outbound::new(Vec::new())), &clock);
    let connector =
        connectors.of(kind).with_context(|| format!("this build has no connector for {}", kind.as_str()))?;
    line(connector.rights(mode))
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
  tenure account suggest acc_…                     who may answer for it, and what speaks for that
  tenure account show acc_…                        what its target says of it, and what was done to it there
  tenure account narrow acc_… --keep 'SELECT ON TABLE public.orders' --reason 'it only reads'
  tenure account rotate acc_… --out app.password   another secret, by whoever answers for its identity")]
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
    /// Leaves an account these grants at its target, and no others; a receipt says what its catalogue shows then.
    Narrow {
        /// Its id.
        id: AccountId,
        /// A grant that it keeps, as `account show` tells it; may be given several times, and none keeps none.
        #[arg(long)]
        keep: Vec<String>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Gives an account another secret, and shows it this once. The one before is tried afterwards, where it was given
    /// here too.
    Rotate {
        /// Its id.
        id: AccountId,
        /// A file for the secret alone, which only you can read; one of before is replaced.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Shows the secret that an account was given, where nobody has seen it yet.
    Secret {
        /// Its id.
        id: AccountId,
        /// A file for it, which only you can read; one of before is replaced.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Suggests who may answer for an account, and why. Nobody does so by being suggested.
    Suggest {
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
            Self::Narrow { id, keep, reason } => {
                let narrowed = client.narrow_account(id, &NarrowAccount { keep, reason }).await?;
                let identity = narrowed.record.identity;
                eprintln!("hint: what its target shows then: tenure receipt list --target identity/{identity}");
                context.out.record(&narrowed)
            }
            Self::Rotate { id, out } => {
                client.rotate_account(id).await?;
                shown_secret(context, &client, id, out).await
            }
            Self::Secret { id, out } => shown_secret(context, &client, id, out).await,
            Self::Suggest { id } => {
                let suggested = client.suggestions(id).await?;
                context.out.rows(&suggested, &suggested.items, SUGGESTED)
            }
        }
    }
}

/// Shows the secret of an account as soon as its target has it: for half a minute at most it is waited for.
async fn shown_secret(context: &Context, client: &Client, id: AccountId, out: Option<PathBuf>) -> anyhow::Result<()> {
    let mut waited = 0;
    loop {
        let rotation = client.account(id).await?.record.rotation;
        let is_there = rotation.as_ref().is_none_or(|rotation| rotation.rotated_at.is_some());
        if is_there {
            break;
        }
        if waited >= 60 {
            let why =
                rotation.and_then(|rotation| rotation.trouble).unwrap_or_else(|| "it hasn't answered yet".to_owned());
            let hint = format!("tenure account secret {id}, once it has");
            return Err(Failure::new(format!("the target hasn't got it yet: {why}")).hint(hint).into());
        }
        waited += 1;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let shown = client.account_secret(id).await?;
    match out {
        Some(path) => {
            replace_secret(&path, &shown.secret)?;
            eprintln!("the secret of {} is in {}", shown.name, path.display());
            Ok(())
        }
        None => context.out.record(&shown),
    }
}
