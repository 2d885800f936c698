//! People, teams, feeds of people, and the questions that feeds raise.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use tenure_api::people::{
    ClassName, FeedFormat, ImportOutcome, ImportPeople, NewDecision, NewDeparture, NewJoinerCheck, NewPerson, NewRoles,
    NewStandIn, NewTeam, PersonChange,
};
use tenure_api::requests::{NewOperatorToken, ResumePerson};
use tenure_core::base::id::{DifferenceId, OperatorTokenId, PersonId, TeamId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::people::difference::DifferenceDecision;
use tenure_core::people::person::{JoinerCheckKind, PersonClass, Role};
use tenure_engine::people::feed::{Dialect, rewritten};

use super::context::{Context, must_be_new, read_input, word, write_new_secret};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, Search, line};
use super::package::{Held, TakeBack};

const PEOPLE: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("EMAIL", "/email"),
    ("STATE", "/state"),
    ("CLASS", "/class"),
    ("ROLES", "/roles"),
    ("SOURCE", "/source/source"),
    ("ENDS", "/ends_at"),
];
const TEAMS: &[Column] = &[("ID", "/id"), ("NAME", "/name"), ("SOURCE", "/source/source")];
const ITEMS: &[Column] =
    &[("LINE", "/line"), ("KEY", "/key"), ("OUTCOME", "/outcome"), ("PERSON", "/person"), ("FIELDS", "/fields")];
const LEFT: &[Column] = &[
    ("IDENTITY", "/identity"),
    ("NAME", "/name"),
    ("THEN", "/state"),
    ("OFFERED TO", "/offered_to"),
    ("SUSPENDED AT", "/until"),
];
const DIFFERENCES: &[Column] = &[
    ("ID", "/id"),
    ("SOURCE", "/source"),
    ("KEY", "/source_key"),
    ("PERSON", "/person"),
    ("WHAT", "/kind/type"),
    ("WHY", "/kind/why"),
    ("FOUND", "/found_at"),
    ("DECIDED", "/decision/what"),
];

/// People, whom identities belong to and who decide about them.
#[derive(Subcommand)]
#[command(after_help = "\
Roles: requester, owner, manager, security, administrator, auditor. A second administrator approves them; no feed confers any.

Examples:
  tenure person create --name \"Grace Hopper\" --role owner --role requester
  tenure person create --name \"Tim Temp\" --class contractor --ends-at 2027-03-31T17:00:00Z --manager per_…
  tenure person import --source hr --complete --dry-run people.csv
  tenure person depart per_… --reason \"left the company\" --dry-run
  tenure person depart per_… --reason \"left the company\"
  tenure person away --to grace@example.com --until 2027-01-07T08:00:00Z
  tenure person token per_… --ttl 8h --out grace.token")]
pub enum Person {
    Create(Box<Create>),
    Change(Box<Change>),
    /// Asks for other roles of a person; another administrator approves: tenure request approve.
    Roles {
        /// The person's id.
        id: PersonId,
        /// A role that they are to have; name all of them, none takes every role away.
        #[arg(long = "role", value_name = "ROLE", value_parser = word::<Role>)]
        roles: Vec<Role>,
        /// What they are for.
        #[arg(long)]
        purpose: String,
    },
    /// Takes a person's authority away for a while: sessions and tokens at once, with a receipt.
    Suspend(Step),
    /// Gives it back; by security, and not by who took it away.
    Resume {
        #[command(flatten)]
        step: Step,
        /// Whose suspension is lifted, where several people suspend them.
        #[arg(long)]
        placed_by: Option<PersonId>,
    },
    /// A person leaves for ever: what they answer for goes to others, or stops (tenure transfer list).
    Depart {
        #[command(flatten)]
        step: Step,
        /// Only say what would find another owner, be closed and end.
        #[arg(long)]
        dry_run: bool,
    },
    /// Records that a joiner has passed a control point: by their manager, security or an administrator. A policy may have
    /// access wait for it.
    Check {
        /// The person.
        id: PersonId,
        /// identity_proofing or orientation.
        #[arg(long, value_parser = word::<JoinerCheckKind>)]
        kind: JoinerCheckKind,
        /// How it was done, e.g. "in person, at the front desk".
        #[arg(long)]
        how: String,
    },
    /// Names who votes in your place while you are away; needs a fresh sign-in.
    Away {
        /// Who stands in.
        #[arg(long)]
        to: PersonId,
        /// From when; at once if not given.
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Until when: at most 90 days later.
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
    },
    /// You are back: nobody stands in for you any more.
    Back,
    Import(Import),
    List(List),
    /// Shows a person.
    Show {
        /// The person's id.
        id: PersonId,
    },
    Access(Held),
    RevokeAccess(TakeBack),
    /// Erases name and address for ever; the record and every proof in the log stay.
    Erase {
        /// The person's id.
        id: PersonId,
    },
    /// Invites a person to bind how they sign in; the invitation is shown this once.
    Invite {
        /// The person's id.
        id: PersonId,
        /// End the sign-ins and sessions that they have with its use: for what was lost.
        #[arg(long)]
        replace: bool,
        /// Write it to a new file that only you can read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    Token(Token),
    /// Revokes an operator token.
    RevokeToken {
        /// The token's id, opt_…, as its making named it.
        token_id: OperatorTokenId,
    },
}

impl Person {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create(create) => create.run(context).await,
            Self::Change(change) => change.run(context).await,
            Self::Roles { id, roles, purpose } => {
                context.out.record(&client.ask_for_roles(id, &NewRoles { roles, purpose }).await?)
            }
            Self::Suspend(step) => {
                let suspended = client.suspend_person(step.id, &step.reason).await?;
                say_what_proves_it(step.id);
                context.out.record(&suspended)
            }
            Self::Resume { step, placed_by } => {
                let ask = ResumePerson { reason: step.reason, placed_by };
                context.out.record(&client.resume_person(step.id, &ask).await?)
            }
            Self::Depart { step, dry_run } => {
                let ask = NewDeparture { reason: step.reason, dry_run };
                let gone = client.depart_person(step.id, &ask).await?;
                let (left, grants) = (gone.left_behind.len(), gone.ended_grants.len());
                let more = if gone.more { " and more" } else { "" };
                if dry_run {
                    eprintln!(
                        "nothing was done; {left}{more} identities would find another owner or be closed, and {grants} grants end"
                    );
                    return context.out.rows(&gone, &gone.left_behind, LEFT);
                }
                eprintln!("{left}{more} identities find another owner or are closed, and {grants} grants end");
                eprintln!("hint: what they answered for: tenure transfer list --from {}", step.id);
                say_what_proves_it(step.id);
                context.out.record(&gone)
            }
            Self::Check { id, kind, how } => {
                context.out.record(&client.record_joiner_check(id, &NewJoinerCheck { kind, how }).await?)
            }
            Self::Away { to, from, until } => {
                let me = oneself(&client).await?;
                context.out.record(&client.name_stand_in(me, &NewStandIn { person: to, from, until }).await?)
            }
            Self::Back => {
                let me = oneself(&client).await?;
                context.out.record(&client.end_stand_in(me).await?)
            }
            Self::Import(import) => import.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Show { id } => context.out.record(&client.person(id).await?),
            Self::Access(held) => held.run(context).await,
            Self::RevokeAccess(grant) => grant.run(context).await,
            Self::Erase { id } => context.out.record(&client.erase_person(id).await?),
            Self::Invite { id, replace, out } => super::sign_in::invite(context, id, replace, out).await,
            Self::Token(token) => token.run(context).await,
            Self::RevokeToken { token_id } => context.out.record(&client.revoke_operator_token(token_id).await?),
        }
    }
}

/// Who calls, if it is a person.
async fn oneself(client: &tenure_client::Client) -> anyhow::Result<PersonId> {
    let me = client.me().await?.person;
    Ok(me.ok_or_else(|| Failure::usage("software stands in for nobody: call as a person"))?.id)
}

/// Makes a person.
#[derive(Args)]
pub struct Create {
    /// The name.
    #[arg(long)]
    name: String,
    /// The e-mail address; it never identifies anyone.
    #[arg(long)]
    email: Option<String>,
    /// A role; may be given several times.
    #[arg(long = "role", value_name = "ROLE", value_parser = word::<Role>)]
    roles: Vec<Role>,
    /// What the roles are for.
    #[arg(long)]
    purpose: Option<String>,
    /// employee or contractor.
    #[arg(long, value_parser = word::<PersonClass>, default_value = "employee")]
    class: PersonClass,
    /// When they start; nothing of theirs works before.
    #[arg(long, value_name = "TIME")]
    starts_at: Option<Timestamp>,
    /// When they leave; a contractor needs one.
    #[arg(long, value_name = "TIME")]
    ends_at: Option<Timestamp>,
    /// Their manager.
    #[arg(long)]
    manager: Option<PersonId>,
    /// A team; may be given several times.
    #[arg(long = "team", value_name = "TEAM")]
    teams: Vec<TeamId>,
}

/// Where the receipt of a suspension, or of somebody's leaving, is.
fn say_what_proves_it(person: PersonId) {
    eprintln!("hint: what proves it: tenure receipt list --target person/{person} --newest-first");
}

impl Create {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let wants_roles = !self.roles.is_empty();
        let ask = NewPerson {
            name: self.name,
            email: self.email,
            roles: self.roles,
            purpose: self.purpose,
            class: match self.class {
                PersonClass::Employee => ClassName::Employee,
                PersonClass::Contractor => ClassName::Contractor,
            },
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            manager: self.manager,
            teams: self.teams,
            kind: None,
        };
        let made = context.client()?.create_person(&ask).await?;
        if let (Some(request), true) = (made.request, wants_roles && made.record.roles.is_empty()) {
            eprintln!("hint: the roles wait for another administrator: tenure request show {request}");
        }
        context.out.record(&made)
    }
}

/// Changes a person who is kept by hand; what a source keeps is changed there.
#[derive(Args)]
pub struct Change {
    /// The person's id.
    id: PersonId,
    /// The name.
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address; empty for none.
    #[arg(long)]
    email: Option<String>,
    /// employee or contractor.
    #[arg(long, value_parser = word::<PersonClass>)]
    class: Option<PersonClass>,
    /// When they start.
    #[arg(long, value_name = "TIME")]
    starts_at: Option<Timestamp>,
    /// When they leave.
    #[arg(long, value_name = "TIME", conflicts_with = "no_end")]
    ends_at: Option<Timestamp>,
    /// They leave at no known time.
    #[arg(long)]
    no_end: bool,
    /// Their manager.
    #[arg(long, conflicts_with = "no_manager")]
    manager: Option<PersonId>,
    /// They have no manager.
    #[arg(long)]
    no_manager: bool,
    /// A team; all that they are to be in.
    #[arg(long = "team", value_name = "TEAM", conflicts_with = "no_team")]
    teams: Vec<TeamId>,
    /// They are in no team.
    #[arg(long)]
    no_team: bool,
}

impl Change {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let ask = PersonChange {
            name: self.name,
            email: self.email.map(|email| Some(email).filter(|email| !email.is_empty())),
            class: self.class,
            starts_at: self.starts_at.map(Some),
            ends_at: self.ends_at.map(Some).or_else(|| self.no_end.then_some(None)),
            manager: self.manager.map(Some).or_else(|| self.no_manager.then_some(None)),
            teams: (self.no_team || !self.teams.is_empty()).then_some(self.teams),
        };
        context.out.record(&context.client()?.change_person(self.id, &ask).await?)
    }
}

/// Whom it is about, and why.
#[derive(Args)]
pub struct Step {
    /// The person's id.
    id: PersonId,
    /// Why; the record says so.
    #[arg(long)]
    reason: String,
}

/// Follows what an authoritative source says about people.
///
/// Keys that are new join, what differs moves, an end that has passed leaves. What a complete feed lacks is a question
/// (tenure difference list), never a deletion; a feed that lacks too much is refused. No feed confers a role. A feed
/// that is handed in again changes nothing.
#[derive(Args)]
#[command(after_help = "\
Columns: key and name; and of email, class (employee, contractor), starts_at, ends_at, manager_key and teams (with ; between them) what the
source knows. A column that is missing says nothing, an empty cell says that there is none. Dates are 2027-03-31 or RFC 3339 times.

Examples:
  tenure person import --source hr --complete --dry-run people.csv
  tenure person import --source hr --complete --expect sha256:… people.csv     exactly what the dry run said
  tenure person import --source contractors contractors.json                   an array of objects
  tenure person import --source hr --separator ';' --column key=Personalnummer --column name=Name --other-columns ignore leute.csv")]
pub struct Import {
    /// The source's name, always the same for the same system.
    #[arg(long)]
    source: String,
    /// The feed holds every record of the source.
    #[arg(long)]
    complete: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// The digest of a dry run: do exactly that, or nothing.
    #[arg(long, value_name = "DIGEST")]
    expect: Option<String>,
    /// What stands between the columns of the file, where it isn't a comma.
    #[arg(long, value_name = "CHARACTER")]
    separator: Option<char>,
    /// What one of our columns (key, name, email, class, starts_at, ends_at, manager_key, teams) is called in the file;
    /// may be given several times.
    #[arg(long = "column", value_name = "OURS=THEIRS", value_parser = column)]
    columns: Vec<(String, String)>,
    /// What becomes of columns that are none of ours.
    #[arg(long, value_enum, default_value = "refuse")]
    other_columns: OtherColumns,
    /// The feed: comma-separated values, or JSON if its name ends in .json; `-` is standard input.
    file: PathBuf,
}

/// What becomes of columns that are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OtherColumns {
    /// The feed is refused, and they are named.
    Refuse,
    /// They are left out before the feed is sent.
    Ignore,
}

fn column(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((ours, theirs)) if !ours.is_empty() && !theirs.is_empty() => Ok((ours.to_owned(), theirs.to_owned())),
        _ => Err("write it as OURS=THEIRS, e.g. name=\"Full name\"".to_owned()),
    }
}

impl Import {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let text = read_input(&self.file)?;
        let is_json = self.file.extension().is_some_and(|extension| extension == "json");
        let dialect = Dialect {
            separator: self.separator,
            ignores_others: self.other_columns == OtherColumns::Ignore,
            columns: self.columns,
        };
        let is_other = dialect.separator.is_some() || dialect.ignores_others || !dialect.columns.is_empty();
        if is_other && is_json {
            return Err(Failure::usage(
                "--separator, --column and --other-columns are for comma-separated values, and this is JSON",
            )
            .into());
        }
        let text = match is_other {
            true => rewritten(&text, &dialect).map_err(|problems| {
                let each: Vec<String> = problems
                    .iter()
                    .map(|problem| format!("  {}: {} [{}]", problem.field, problem.hint, problem.code))
                    .collect();
                Failure::new(format!("{} can't be read so", self.file.display()))
                    .hint(format!("fix what is named:\n{}", each.join("\n")))
            })?,
            false => text,
        };
        let people = match is_json {
            true => serde_json::from_str(&text)
                .with_context(|| format!("{} is no array of objects", self.file.display()))?,
            false => Vec::new(),
        };
        let ask = ImportPeople {
            source: self.source,
            complete: self.complete,
            format: if is_json { FeedFormat::Json } else { FeedFormat::Csv },
            content: (!is_json).then_some(text),
            people,
            dry_run: self.dry_run,
            expect: self.expect,
        };
        let report = context.client()?.import_people(&ask).await?;
        let count = |outcome| report.items.iter().filter(|item| item.outcome == outcome).count();
        eprintln!(
            "{}{} rows: {} joined, {} moved, {} left, {} unchanged; {} questions opened, {} settled",
            if report.dry_run { "nothing was done; would be: " } else { "" },
            report.rows,
            count(ImportOutcome::Joined),
            count(ImportOutcome::Moved),
            count(ImportOutcome::Left),
            report.unchanged,
            count(ImportOutcome::Asked),
            count(ImportOutcome::Settled),
        );
        if report.dry_run {
            eprintln!("hint: exactly this is done with --expect {}", report.digest);
        } else if count(ImportOutcome::Asked) > 0 {
            eprintln!("hint: tenure difference list --source {} --state open", report.source);
        }
        context.out.rows(&report, &report.items, ITEMS)
    }
}

/// Lists people.
#[derive(Args)]
pub struct List {
    /// Only in this state: preboarding, active, suspended, departed.
    #[arg(long)]
    state: Option<String>,
    /// Only with this role.
    #[arg(long)]
    role: Option<String>,
    /// Only of this class: employee, contractor.
    #[arg(long)]
    class: Option<String>,
    /// Only who report to this person.
    #[arg(long)]
    manager: Option<PersonId>,
    /// Only of this team.
    #[arg(long)]
    team: Option<TeamId>,
    /// Only from this source.
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    paging: Paging,
}

impl List {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let query = filtered([
            ("state", self.state),
            ("role", self.role),
            ("class", self.class),
            ("manager", self.manager.map(|id| id.to_string())),
            ("team", self.team.map(|id| id.to_string())),
            ("source", self.source),
        ]);
        context.out.list(&self.paging, self.search.of(query), PEOPLE, async |query| client.people(&query).await).await
    }
}

/// Makes an operator token that stands for a person until people sign in; it is shown this once.
#[derive(Args)]
pub struct Token {
    /// The person's id.
    id: PersonId,
    /// How long it is good for, at most 30d.
    #[arg(long)]
    ttl: Option<Span>,
    /// Write it to a new file that only you can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Token {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        must_be_new(self.out.as_deref())?;
        let issued = context.client()?.create_operator_token(self.id, &NewOperatorToken { ttl: self.ttl }).await?;
        eprintln!("the operator token {} stands for {} until {}", issued.id, issued.person, issued.expires_at);
        match self.out {
            Some(path) => write_new_secret(&path, &issued.operator_token),
            None if context.out.is_json() => context.out.record(&issued),
            None => line(&issued.operator_token),
        }
    }
}

/// Teams, which people belong to. Being in one confers nothing.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure team create platform
  tenure person change per_… --team tea_…")]
pub enum Team {
    /// Makes a team.
    Create {
        /// The name, unique for ever.
        name: String,
    },
    /// Lists teams.
    List {
        /// Only with this name.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Team {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { name } => context.out.record(&client.create_team(&NewTeam { name }).await?),
            Self::List { name, search, paging } => {
                let query = filtered([("name", name)]);
                context.out.list(&paging, search.of(query), TEAMS, async |query| client.teams(&query).await).await
            }
        }
    }
}

/// Questions that a feed of people raised: each is answered once, and by nobody but an administrator.
#[derive(Subcommand)]
#[command(after_help = "\
What differs, and its answers:
  missing_in_source   the source no longer has the record     keep: they are still here · depart: they have left
  looks_like          somebody made by hand has the address   bind: they are the same · create: they are two · keep: leave it out
  not_followed        what the source says can't be           keep: it stays as it is here
A question answers itself when the source and the record agree again.

Examples:
  tenure difference list --state open
  tenure difference decide dif_… depart")]
pub enum Difference {
    /// Lists questions.
    List {
        /// Only in this state: open, decided.
        #[arg(long)]
        state: Option<String>,
        /// Only of this source.
        #[arg(long)]
        source: Option<String>,
        /// Only about this person.
        #[arg(long)]
        person: Option<PersonId>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Answers a question.
    Decide {
        /// The question's id.
        id: DifferenceId,
        /// keep, depart, bind or create.
        #[arg(value_parser = word::<DifferenceDecision>)]
        decision: DifferenceDecision,
    },
}

impl Difference {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { state, source, person, paging } => {
                let query =
                    filtered([("state", state), ("source", source), ("person", person.map(|id| id.to_string()))]);
                context.out.list(&paging, query, DIFFERENCES, async |query| client.differences(&query).await).await
            }
            Self::Decide { id, decision } => {
                let decided = client.decide_difference(id, &NewDecision { decision }).await?;
                if matches!(decision, DifferenceDecision::Bind | DifferenceDecision::Create) {
                    eprintln!("hint: the next import of {} follows it", decided.record.source);
                }
                context.out.record(&decided)
            }
        }
    }
}
