//! Policy sets: the one in force, those that were proposed, and the form by which a change is tried out and proposed.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use tenure_api::policies::NewPolicySet;
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::policy::{Differing, NewPolicyPage, Otherwise, PolicyPage, PolicySetPage, Review, Said};
use tenure_console::problem::Wrong;
use tenure_console::text;
use tenure_core::people::person::Role;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::{ListAsk, MAX_PAGE};
use tenure_engine::matters::policies;
use tenure_policy::{Analysis, CedarPolicy, DEFAULT_CASES, PlainQuestion, PolicyReview, Verdict, bench};

use crate::app::App;
use crate::caller::named::names_in;
use crate::console::reader::{Reader, Refusal, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;
use crate::contract::reply::id;

/// The largest form with a policy set: its text, each of its bytes escaped.
const MAX_FORM: usize = 160 * 1024;
/// Changed decisions, and failing cases, that a page shows.
const SHOWN: usize = 25;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/policy", get(in_force))
        .page("/policies/new", get(new).merge(post(change).layer(DefaultBodyLimit::max(MAX_FORM))))
        .page("/policies/{id}", get(one))
}

async fn in_force(State(app): State<App>, reader: Reader) -> Shown {
    let in_force = policies::policy_in_force(&app.kernel, &reader.caller).await?;
    let ask = ListAsk { limit: Some(MAX_PAGE), ..ListAsk::default() };
    let sets = policies::policy_sets(&app.kernel, &reader.caller, ask).await?;
    let names = names_in(&app, &reader.caller, &sets).await?;
    let words = said(in_force.text.clone()).await?;
    let frame = reader.frame(text::POLICY, Place::Policy);
    let may_propose = reader.holds(Role::Administrator) || reader.holds(Role::Security);
    Ok(page(StatusCode::OK, &PolicyPage::new(frame, in_force, words, &sets, &names, may_propose)))
}

async fn one(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let ask = policies::policy_to_review(&app.kernel, &reader.caller, id(&which, "policy set")?).await?;
    let set = ask.set.record;
    // The solver takes seconds, and a page may not.
    let review = tenure_policy::review(&ask.in_force, &set.text, &ask.recent, None).await;
    let review = reviewed(review.map_err(|error| OpError::Internal(error.to_string()))?);
    let words = said(set.text.clone()).await?;
    let names = names_in(&app, &reader.caller, &set).await?;
    let frame = reader.frame(text::POLICY_SET, Place::Policy);
    Ok(page(StatusCode::OK, &PolicySetPage::new(frame, set, review, words, &names)))
}

async fn new(State(app): State<App>, reader: Reader) -> Shown {
    let in_force = policies::policy_in_force(&app.kernel, &reader.caller).await?;
    Ok(form(&reader, StatusCode::OK, in_force.text, String::new(), None, None))
}

/// Says what a change would change, or proposes it.
async fn change(State(app): State<App>, sent: Sent) -> Shown {
    let (reader, purpose) = (&sent.reader, sent.text("purpose"));
    // Whoever may not even read the set in force learns here that they may not, and is shown no form of it.
    policies::policy_in_force(&app.kernel, &reader.caller).await?;
    let text = sent.text("text").replace("\r\n", "\n");
    let done = sent.done(async {
        match sent.text("decision").as_str() {
            "try" => tried(&app, reader, &text).await.map(Done::Tried),
            "propose" => {
                let ask = NewPolicySet { text: text.clone(), purpose: purpose.clone() };
                let proposed = policies::propose_policy(&app.kernel, &reader.caller, ask).await?;
                Ok(Done::Proposed(proposed.request.id.to_string()))
            }
            _ => Err(Failure::from(OpError::field("decision", "value_unknown", "it takes `try` or `propose`"))),
        }
    });
    match done.await {
        Ok(Done::Proposed(request)) => {
            Ok(Redirect::to(&Address::new("/requests").below(&request).to_string()).into_response())
        }
        Ok(Done::Tried(review)) => Ok(form(reader, StatusCode::OK, text, purpose, Some(review), None)),
        Err(failure) => {
            let status = status_of(&failure);
            Ok(form(reader, status, text, purpose, None, Some((*failure.0).into())))
        }
    }
}

enum Done {
    Tried(Review),
    Proposed(String),
}

fn form(
    reader: &Reader,
    status: StatusCode,
    text: String,
    purpose: String,
    review: Option<Review>,
    wrong: Option<Wrong>,
) -> axum::response::Response {
    let frame = reader.frame(text::PROPOSE_POLICY, Place::Policy);
    page(status, &NewPolicyPage::new(frame, text, purpose, review, wrong))
}

/// What a text would change, against what was decided lately and the cases of the built-in set.
async fn tried(app: &App, reader: &Reader, text: &str) -> Result<Review, Failure> {
    let ask = policies::policy_to_try(&app.kernel, &reader.caller, text).await?;
    let review = tenure_policy::review(&ask.in_force, text, &ask.recent, None).await;
    let mut review = reviewed(review.map_err(|error| OpError::Internal(error.to_string()))?);
    if review.problems.is_empty() {
        let text = text.to_owned();
        let cases = off_thread(move || cases(&text)).await?;
        (review.cases, review.failing) = (Some((cases.0, cases.1)), cases.2);
    }
    Ok(review)
}

/// How many of the built-in set's cases a text answers as it does, of how many, and the first that it doesn't.
fn cases(text: &str) -> (usize, usize, Vec<String>) {
    let (Ok(policy), Ok(cases)) = (CedarPolicy::with_policies(text), bench::parse(DEFAULT_CASES)) else {
        return (0, 0, Vec::new());
    };
    let outcomes = bench::run(&policy, &cases);
    let failing: Vec<&bench::Outcome<'_>> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let names = failing.iter().take(SHOWN).map(|outcome| outcome.case.name.clone()).collect();
    (outcomes.len() - failing.len(), outcomes.len(), names)
}

/// What each policy of a set says of itself.
async fn said(text: String) -> Result<Vec<Said>, Refusal> {
    let read = off_thread(move || {
        let policy = CedarPolicy::with_policies(&text).ok()?;
        let said = policy.policies().iter().map(|policy| Said {
            id: policy.id.clone(),
            doc: policy.doc.clone(),
            control: policy.control.clone(),
            permits: policy.permits,
        });
        Some(said.collect())
    });
    // A set that an earlier release took and this one doesn't is shown as the text that it is.
    Ok(read.await?.unwrap_or_default())
}

/// Reading policies is work for the processor, which would hold up everybody else's requests.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|stopped| OpError::Internal(format!("the policies could not be read: {stopped}")).into())
}

fn reviewed(review: PolicyReview) -> Review {
    let PolicyReview { problems, diff, replay, analysis } = review;
    let changed = diff.changed.into_iter().map(|policy| Differing {
        id: policy.id,
        was: Some(policy.was),
        becomes: Some(policy.becomes),
    });
    let added = diff.added.into_iter().map(|policy| Differing { id: policy.id, was: None, becomes: Some(policy.text) });
    let removed =
        diff.removed.into_iter().map(|policy| Differing { id: policy.id, was: Some(policy.text), becomes: None });
    let otherwise = replay.changed.iter().take(SHOWN).map(|changed| Otherwise {
        who: entity(&changed.question.principal.kind, &changed.question.principal.id),
        action: changed.question.action.clone(),
        what: entity(&changed.question.resource.kind, &changed.question.resource.id),
        was: changed.was.to_string(),
        becomes: changed.becomes.to_string(),
    });
    Review {
        problems: problems.iter().map(ToString::to_string).collect(),
        differing: changed.chain(added).chain(removed).collect(),
        asked: replay.asked,
        otherwise_count: replay.changed_count,
        otherwise: otherwise.collect(),
        newly_allowed: analysis.newly_allowed.iter().map(|new| asked(&new.question)).collect(),
        analysis: verdict(&analysis),
        cases: None,
        failing: Vec::new(),
    }
}

fn entity(kind: &str, id: &str) -> String {
    if id.is_empty() { kind.to_owned() } else { format!("{kind} {id}") }
}

fn asked(question: &PlainQuestion) -> String {
    let PlainQuestion { principal, action, resource, .. } = question;
    format!("{} {action} {}", entity(&principal.kind, &principal.id), entity(&resource.kind, &resource.id))
}

fn verdict(analysis: &Analysis) -> String {
    let said = match analysis.verdict {
        Verdict::GrantsNothingNew => text::GRANTS_NOTHING_NEW,
        Verdict::GrantsMore => text::GRANTS_MORE,
        Verdict::Undecided => text::UNDECIDED,
        Verdict::NotAvailable => text::NOT_ANALYSED,
    };
    said.to_owned()
}
