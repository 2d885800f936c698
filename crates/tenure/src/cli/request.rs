//! Requests: asking, answering, changing.

use std::path::PathBuf;

use clap::Subcommand;
use tenure_api::request::{Amendment, NewNote, NewRequest, NewVote, RequestView};
use tenure_core::base::id::{IdentityId, PersonId, RequestId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::CharterDraft;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::{Asker, Matter, NoteKind};

use super::context::{Context, ask, read_json, today};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{self, Column, Paging, clean};
use super::reading::{Reading, Readings};

const REQUESTS: &[Column] = &[
    ("ID", "/id"),
    ("WORKFLOW", "/workflow"),
    ("STATE", "/state"),
    ("ROUTE", "/route"),
    ("WAITS FOR", "/waits_for"),
    ("PURPOSE", "/purpose"),
    ("LAPSES", "/lapses_at"),
];

/// Requests: ask for access, and answer what others ask.
#[derive(Subcommand)]
#[command(after_help = "\
A request goes the lightest way that policy permits: by a named rule at once, or past the approvers that it names. What an approver
reads is what they vote on: approve and deny show it, with what differs from the last time, and ask. Without a terminal they take the
content hash that `tenure request show` printed; a request that changed meanwhile has to be read again.

Examples:
  tenure request access --identity idn_… --action write --resource res_… --for 30m --purpose \"repair ticket 7\"
  tenure request waiting
  tenure request list --state open --newest-first
  tenure request show req_…
  tenure request approve req_… --comment \"agreed with the team\"
  tenure request approve req_… --content-hash v2:sha256:… --comment \"agreed\"      by a script
  tenure request note req_… --text \"until when does the repair take?\"
  tenure request deny req_… --comment \"use the staging copy\"")]
pub enum Request {
    /// Asks for something by a file: JSON as `POST /v1/requests` takes it.
    Open {
        /// The file; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Asks for a bounded grant for an identity, inside its charter.
    Access {
        /// The identity.
        #[arg(long)]
        identity: IdentityId,
        /// An action; may be given several times.
        #[arg(long = "action", value_name = "ACTION", required = true)]
        actions: Vec<String>,
        /// The resource's id.
        #[arg(long)]
        resource: String,
        /// For how long, e.g. 30m.
        #[arg(long = "for", value_name = "SPAN")]
        duration: Span,
        /// From when; at once if not given.
        #[arg(long, value_name = "TIME")]
        starts_at: Option<Timestamp>,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
    /// Asks for a wider charter of an active identity. A narrower one needs nobody: tenure identity charter.
    Charter {
        /// The identity.
        #[arg(long)]
        identity: IdentityId,
        /// The charter as it is to be; `-` is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
    /// Asks for a later end of an identity.
    Renewal {
        /// The identity.
        #[arg(long)]
        identity: IdentityId,
        /// The new end.
        #[arg(long, value_name = "TIME")]
        until: Timestamp,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
    /// Asks for something that a person is to hold: a package, or actions on a resource.
    PersonAccess {
        /// The person.
        #[arg(long)]
        person: PersonId,
        /// A package by name.
        #[arg(long, conflicts_with_all = ["actions", "resource"])]
        package: Option<String>,
        /// An action; may be given several times.
        #[arg(long = "action", value_name = "ACTION", requires = "resource")]
        actions: Vec<String>,
        /// The resource's id.
        #[arg(long)]
        resource: Option<String>,
        /// For how long, e.g. 30d.
        #[arg(long = "for", value_name = "SPAN")]
        duration: Span,
        /// From when; at the person's start or at once if not given.
        #[arg(long, value_name = "TIME")]
        starts_at: Option<Timestamp>,
        /// Before the usual steps, for a contractor, for at most 14 days.
        #[arg(long)]
        fast_onboarding: bool,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
    /// Lists requests.
    List {
        /// Only in this state: open, approved, denied, withdrawn, lapsed, fulfilled.
        #[arg(long)]
        state: Option<String>,
        /// Only of this sort: activation, access, charter, renewal, person_access, exception, roles, policy, template,
        /// inventory.
        #[arg(long = "type")]
        kind: Option<String>,
        /// Only about this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
        /// Only about this person.
        #[arg(long)]
        person: Option<PersonId>,
        /// Only by this person or identity.
        #[arg(long)]
        requester: Option<String>,
        /// The newest first.
        #[arg(long)]
        newest_first: bool,
        #[command(flatten)]
        paging: Paging,
    },
    /// Lists open requests that wait for your vote, the oldest first.
    Waiting {
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a request: all that a vote on it means, with names beside ids, and whom it waits for.
    Show {
        /// The request.
        id: RequestId,
    },
    /// Shows a request, asks, and approves what was shown.
    Approve {
        /// The request.
        id: RequestId,
        /// The content hash that you read, in place of being shown it and asked.
        #[arg(long, value_name = "HASH")]
        content_hash: Option<String>,
        /// What you have to say.
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Shows a request, asks, and denies what was shown.
    Deny {
        /// The request.
        id: RequestId,
        /// The content hash that you read, in place of being shown it and asked.
        #[arg(long, value_name = "HASH")]
        content_hash: Option<String>,
        /// What you have to say.
        #[arg(long)]
        comment: String,
    },
    /// Asks back about a request that you may vote on, or answers what was asked about yours: votes stand, and its clock
    /// runs on.
    Note {
        /// The request.
        id: RequestId,
        /// The question, or the answer.
        #[arg(long)]
        text: String,
    },
    /// Takes your request back.
    Withdraw {
        /// The request.
        id: RequestId,
    },
    /// Changes your open request; its votes are void.
    Amend {
        /// The request.
        id: RequestId,
        /// What is asked now, as JSON; as before if not given.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
}

impl Request {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Open { file } => opened(context, client.open_request(&read_json::<NewRequest>(&file)?).await?),
            Self::Access { identity, actions, resource, duration, starts_at, purpose } => {
                let matter = Matter::Access {
                    identity,
                    entitlement: Entitlement { actions, resource },
                    starts_at,
                    duration,
                    task: None,
                };
                opened(context, client.open_request(&NewRequest { matter, purpose }).await?)
            }
            Self::Charter { identity, file, purpose } => {
                let charter: Box<CharterDraft> = Box::new(super::identity::charter(read_json(&file)?)?);
                let matter = Matter::Charter { identity, charter };
                opened(context, client.open_request(&NewRequest { matter, purpose }).await?)
            }
            Self::Renewal { identity, until, purpose } => {
                let matter = Matter::Renewal { identity, until };
                opened(context, client.open_request(&NewRequest { matter, purpose }).await?)
            }
            Self::PersonAccess {
                person,
                package,
                actions,
                resource,
                duration,
                starts_at,
                fast_onboarding,
                purpose,
            } => {
                let matter = Matter::PersonAccess {
                    person,
                    package,
                    entitlements: resource.map(|resource| Entitlement { actions, resource }).into_iter().collect(),
                    starts_at,
                    duration,
                    fast_onboarding,
                };
                opened(context, client.open_request(&NewRequest { matter, purpose }).await?)
            }
            Self::List { state, kind, identity, person, requester, newest_first, paging } => {
                let filters = [
                    ("state", state),
                    ("type", kind),
                    ("identity", identity.map(|id| id.to_string())),
                    ("person", person.map(|id| id.to_string())),
                    ("requester", requester),
                    ("sort", newest_first.then(|| "-id".to_owned())),
                ];
                context
                    .out
                    .list(&paging, filtered(filters), REQUESTS, async |query| client.requests(&query).await)
                    .await
            }
            Self::Waiting { paging } => {
                let none = filtered::<0>([]);
                context.out.list(&paging, none, REQUESTS, async |query| client.waiting(&query).await).await
            }
            Self::Show { id } => {
                let view = client.access_request(id).await?;
                let shown = read(context, &view);
                if context.out.is_json() {
                    return context.out.record(&view);
                }
                output::line(&shown)?;
                context.out.tell_page(&id.to_string());
                Ok(())
            }
            Self::Approve { id, content_hash, comment } => {
                let content_hash = voted_on(context, &client, id, content_hash, "Approve this").await?;
                answered(context, client.approve(id, &NewVote { content_hash, comment }).await?)
            }
            Self::Deny { id, content_hash, comment } => {
                let content_hash = voted_on(context, &client, id, content_hash, "Deny this").await?;
                answered(context, client.deny(id, &NewVote { content_hash, comment }).await?)
            }
            Self::Note { id, text } => {
                let view = client.write_note(id, &NewNote { text }).await?;
                eprintln!("{} is {}; whom it is for is told", view.request.id, view.request.state.as_str());
                context.out.record(&view)
            }
            Self::Withdraw { id } => answered(context, client.withdraw(id).await?),
            Self::Amend { id, file, purpose } => {
                let matter = file.map(|file| read_json::<Matter>(&file)).transpose()?;
                answered(context, client.amend_request(id, &Amendment { matter, purpose }).await?)
            }
        }
    }
}

/// The hash of what the voter read: given, or of what they are shown here and say yes to.
async fn voted_on(
    context: &Context,
    client: &tenure_client::Client,
    id: RequestId,
    content_hash: Option<String>,
    question: &str,
) -> anyhow::Result<String> {
    if let Some(hash) = content_hash {
        return Ok(hash);
    }
    let view = client.access_request(id).await?;
    let shown = read(context, &view);
    let said = ask(&format!("{shown}\n{question}?")).ok_or_else(|| {
        Failure::usage(format!("{id}: there is no terminal to show it and ask on, and a vote is about what was read"))
            .hint(format!(
                "read it with `tenure request show {id}`, then give the hash that stands there: --content-hash v2:sha256:…"
            ))
    })?;
    if said? { Ok(view.request.content_hash) } else { Err(Failure::new("nothing was voted").into()) }
}

/// A request as text for whoever votes on it, with what differs from the last time that it was read here; this time is
/// kept for the next.
fn read(context: &Context, view: &RequestView) -> String {
    let request = &view.request;
    let reading = Reading::of(view, today());
    let mut rows = vec![("state".to_owned(), request.state.as_str().to_owned())];
    rows.extend(reading.facts.iter().cloned());
    let before = Readings::new(context.data()).exchange(request.id, reading.clone());
    let named = |id: PersonId| {
        let names = view.brief.as_ref().map(|brief| &brief.names);
        match names.and_then(|names| names.get(&id.to_string())) {
            Some(name) => format!("{name} ({id})"),
            None => id.to_string(),
        }
    };
    let people = view.approvers.iter().map(|person| named(*person));
    let roles = view.approver_roles.iter().map(|role| format!("anyone with the role {}", role.as_str()));
    let stand_ins = view.stand_ins.iter().map(|stands_in| {
        format!("{} for {} until {}", named(stands_in.person), named(stands_in.instead_of), stands_in.until)
    });
    let waits: Vec<String> = people.chain(roles).chain(stand_ins).collect();
    if !waits.is_empty() {
        rows.push(("waits for".to_owned(), waits.join(", ")));
        rows.push(("lapses at".to_owned(), request.lapses_at.to_string()));
    }
    rows.extend(request.votes.iter().map(|vote| {
        let said = if vote.comment.is_empty() { String::new() } else { format!(": {}", vote.comment) };
        let vote_is = if vote.approves { "approved by" } else { "denied by" };
        let absent = vote.instead_of.map(|absent| format!(" for {}", named(absent))).unwrap_or_default();
        (vote_is.to_owned(), format!("{} as {}{absent}{said}", named(vote.by), vote.place.as_str()))
    }));
    rows.extend(request.notes.iter().map(|note| {
        let by = match note.by {
            Asker::Person(person) => named(person),
            Asker::Identity(identity) => identity.to_string(),
        };
        let what = match note.kind {
            NoteKind::Question => "question",
            NoteKind::Answer => "answer",
        };
        (what.to_owned(), format!("{by}: {}", note.text))
    }));
    rows.push(("content hash".to_owned(), request.content_hash.clone()));
    let summary = view.brief.as_ref().map_or_else(|| view.workflow.clone(), |brief| brief.summary.clone());
    let mut shown = format!("{}: {}\n\n{}", request.id, clean(&summary), output::paired(rows, output::width_of_talk()));
    if let Some(before) = before.filter(|before| before.content_hash != request.content_hash) {
        shown.push_str(&format!("\nSince you read it at {}:\n", before.at));
        shown.push_str(&output::paired(reading.since(&before), output::width_of_talk()));
    }
    if view.brief.as_ref().is_some_and(|brief| !brief.current)
        && request.state == tenure_core::request::RequestState::Open
    {
        shown.push_str(
            "\nWhat it is about was changed since it was asked: no vote counts before who asked amends it.\n",
        );
    }
    if let Matter::Policy { policy } = &request.matter {
        shown.push_str(&format!("\nWhat the set changes: tenure policy review {policy}\n"));
    }
    shown
}

pub(super) fn opened(context: &Context, view: RequestView) -> anyhow::Result<()> {
    if view.waits_for.is_empty() {
        eprintln!("{} is {}, by {}", view.request.id, view.request.state.as_str(), view.request.policies.join(", "));
    } else {
        let people = view.approvers.iter().map(ToString::to_string);
        let roles = view.approver_roles.iter().map(|role| format!("anyone with the role {}", role.as_str()));
        let who: Vec<String> = people.chain(roles).collect();
        eprintln!("{} waits for {} until {}", view.request.id, who.join(", "), view.request.lapses_at);
    }
    context.out.record(&view)
}

fn answered(context: &Context, view: RequestView) -> anyhow::Result<()> {
    eprintln!("{} is {}", view.request.id, view.request.state.as_str());
    context.out.record(&view)
}
