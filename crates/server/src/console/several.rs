//! The same for several identities of a list: what would happen to each is shown first, and then it is done one by one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tenure_console::frame::Place;
use tenure_console::problem::Wrong;
use tenure_console::several::{DEEDS, Several, Step};
use tenure_console::{several as pages, text};
use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::identity::Identity;
use tenure_core::people::person::Person;
use tenure_engine::access::several::{self, Carried, Deed, MOST, Outcome};
use tenure_engine::identities::registration;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::MAX_PAGE;

use crate::app::App;
use crate::caller::named::{listed_names, meant};
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::page::{page, status_of};

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities/several", post(act))
}

/// The chosen ones, and whether more fit than can be chosen at once.
pub(crate) struct Chosen {
    pub ids: Vec<IdentityId>,
    pub has_more: bool,
}

/// To how many it is done before the page shows how far it has come.
const AT_ONCE: usize = 50;

async fn act(State(app): State<App>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let word = sent.text("deed");
    let Some(deed_word) = DEEDS.iter().copied().find(|known| *known == word) else {
        return Err(Failure::malformed("the form is not the page's: load it anew").into());
    };
    let Chosen { ids, has_more } = Box::pin(chosen(&app, reader, &sent)).await?;
    let earlier = pages::of_kept(&sent.text("kept"));
    // By name is told what may be read: an id that somebody sent is theirs, and what it stands for is not.
    let sent_ids = earlier.iter().map(|(id, _)| id.clone()).chain(ids.iter().map(ToString::to_string));
    let typed: Vec<(String, String)> = sent_ids.map(|id| ("id".to_owned(), id)).collect();
    let names = listed_names(&app, &reader.caller, &(), &typed).await?;
    let to = sent.text("to");
    let Came { step, earlier, each, digest, wrong } = match deed(&app, reader, deed_word, &to).await {
        Ok(Some(deed)) => Box::pin(came(&app, &sent, deed, &ids, earlier)).await?,
        asked => Came {
            step: Step::Chosen,
            earlier,
            each: ids.iter().map(|id| (id.to_string(), None)).collect(),
            digest: String::new(),
            wrong: asked.err(),
        },
    };
    let status = wrong.as_ref().map_or(StatusCode::OK, status_of);
    let title = text::several_title(deed_word, earlier.len() + each.len());
    let several = Several {
        deed: deed_word,
        step,
        earlier,
        each,
        has_more,
        digest,
        to,
        reason: sent.text("reason"),
        wrong: wrong.map(|failure| (*failure.0).into()),
    };
    Ok(page(status, &pages::page(reader.frame(title, Place::Identities), several, &names)))
}

/// What a deed came to, or would come to.
struct Came {
    step: Step,
    earlier: Vec<(String, pages::Came)>,
    each: Vec<(String, Option<pages::Came>)>,
    digest: String,
    wrong: Option<Failure>,
}

/// Does it to the next of them, if it is meant and was shown; else shows what it would come to.
async fn came(
    app: &App,
    sent: &Sent,
    deed: Deed,
    ids: &[IdentityId],
    mut earlier: Vec<(String, pages::Came)>,
) -> Result<Came, Failure> {
    let (kernel, caller, reason) = (&app.kernel, &sent.reader.caller, sent.text("reason"));
    let mut wrong = None;
    if sent.text("decision") == "do" {
        sent.checked()?;
        match Box::pin(several::several(kernel, caller, deed, ids, &reason, &sent.text("digest"), AT_ONCE)).await {
            Ok(Carried { outcomes, rest }) => {
                let left = ids.get(outcomes.len()..).unwrap_or_default();
                let done = ids.iter().zip(outcomes);
                earlier.extend(done.map(|(id, outcome)| (id.to_string(), told(outcome, pages::Came::Done))));
                let each = left.iter().map(|id| (id.to_string(), None)).collect();
                let step = if rest.is_some() { Step::Going } else { Step::Over };
                return Ok(Came { step, earlier, each, digest: rest.unwrap_or_default(), wrong });
            }
            // What it would come to now is shown with that.
            Err(error @ OpError::Refused { reason: Reason::PlanChanged, .. }) => wrong = Some(error.into()),
            Err(error) => return Err(error.into()),
        }
    }
    // What it is done for is said before it is done; what it comes to is the same whatever is said.
    let said = if reason.is_empty() { text::TO_BE_SAID } else { &reason };
    let rehearsal = Box::pin(several::several_rehearsed(kernel, caller, deed, ids, said)).await?;
    let shown = rehearsal.each.into_iter();
    let each = shown.map(|one| (one.identity.to_string(), Some(told(one.outcome, pages::Came::Would)))).collect();
    Ok(Came { step: Step::Shown, earlier, each, digest: rehearsal.digest, wrong })
}

fn told(outcome: Outcome, done: pages::Came) -> pages::Came {
    match outcome {
        Outcome::Done => done,
        Outcome::StandsSo => pages::Came::StandsSo,
        Outcome::Refused(error) => pages::Came::Refused(Wrong::from(*Failure::from(error).0).told()),
    }
}

/// Those that the form names: by its boxes, by what it keeps to itself, or all that fit the list's address.
async fn chosen(app: &App, reader: &Reader, sent: &Sent) -> Result<Chosen, Failure> {
    if sent.text("which") != "fitting" {
        let kept = sent.text("ids");
        let given = sent.all("id").chain(kept.split(',')).filter(|id| !id.is_empty());
        let mut ids = Vec::new();
        for id in given {
            let id: IdentityId = id.parse().map_err(|_| Failure::malformed("the form names no identity by that"))?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.is_empty() {
            return Err(OpError::field("id", "none_chosen", text::NONE_CHOSEN).into());
        }
        return Ok(Chosen { ids, has_more: false });
    }
    fitting(app, &reader.caller, &sent.text("query")).await
}

/// The first of those that fit a query of the inventory.
pub(crate) async fn fitting(app: &App, caller: &Caller, query: &str) -> Result<Chosen, Failure> {
    let mut ask = List::<Identity>::of(query)?.ask;
    (ask.limit, ask.after) = (Some(MAX_PAGE), None);
    let mut ids: Vec<IdentityId> = Vec::new();
    loop {
        let found = Box::pin(registration::identities(&app.kernel, caller, ask.clone())).await?;
        ids.extend(found.items.iter().map(|view| view.record.id));
        ask.after = found.next;
        if ask.after.is_none() || ids.len() > MOST {
            break;
        }
    }
    let has_more = ids.len() > MOST || ask.after.is_some();
    ids.truncate(MOST);
    Ok(Chosen { ids, has_more })
}

/// What the form asks for; nothing yet where it doesn't say to whom.
async fn deed(app: &App, reader: &Reader, word: &str, to: &str) -> Result<Option<Deed>, Failure> {
    Ok(Some(match word {
        "suspend" => Deed::Suspend,
        "resume" => Deed::Resume,
        "retire" => Deed::Retire,
        "close" => Deed::Close,
        _ if to.is_empty() => return Ok(None),
        _ => Deed::Transfer(meant::<Person>(app, &reader.caller, to).await?),
    }))
}
