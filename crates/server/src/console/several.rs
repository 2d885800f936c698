//! The same for several identities of a list: what would happen to each is shown first, and then it is done one by one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tenure_console::frame::Place;
use tenure_console::several::{Came, DEEDS, Several};
use tenure_console::{several as pages, text};
use tenure_core::base::id::IdentityId;
use tenure_core::identity::Identity;
use tenure_core::people::person::Person;
use tenure_engine::access::several::{self, Deed, MOST, Outcome};
use tenure_engine::identities::registration;
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
struct Chosen {
    ids: Vec<IdentityId>,
    has_more: bool,
}

async fn act(State(app): State<App>, sent: Sent) -> Shown {
    let (kernel, reader) = (&app.kernel, &sent.reader);
    let word = sent.text("deed");
    let Some(deed_word) = DEEDS.iter().copied().find(|known| *known == word) else {
        return Err(Failure::malformed("the form is not the page's: load it anew").into());
    };
    let chosen = Box::pin(chosen(&app, reader, &sent)).await?;
    // By name is told what may be read: an id that somebody sent is theirs, and what it stands for is not.
    let typed: Vec<(String, String)> = chosen.ids.iter().map(|id| ("id".to_owned(), id.to_string())).collect();
    let names = listed_names(&app, &reader.caller, &(), &typed).await?;
    let (to, reason) = (sent.text("to"), sent.text("reason"));
    let is_meant = sent.text("decision") == "do";
    let (outcomes, wrong) = match deed(&app, reader, deed_word, &to).await {
        Ok(None) => (Vec::new(), None),
        Ok(Some(deed)) => {
            let (caller, ids) = (&reader.caller, chosen.ids.as_slice());
            let outcomes = match is_meant {
                true => Box::pin(several::several(kernel, caller, deed, ids, &reason)).await?,
                // What it is done for is said before it is done; what it comes to is the same whatever is said.
                false if reason.is_empty() => {
                    Box::pin(several::several_rehearsed(kernel, caller, deed, ids, text::TO_BE_SAID)).await?
                }
                false => Box::pin(several::several_rehearsed(kernel, caller, deed, ids, &reason)).await?,
            };
            (outcomes, None)
        }
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let status = wrong.as_ref().map_or(StatusCode::OK, status_of);
    let is_done = is_meant && !outcomes.is_empty();
    let came = outcomes.into_iter().map(|outcome| {
        Some(match outcome {
            Outcome::Done => Came::Done,
            Outcome::StandsSo => Came::StandsSo,
            Outcome::Refused(error) => Came::Refused((*Failure::from(error).0).into()),
        })
    });
    let each = chosen.ids.iter().map(ToString::to_string).zip(came.chain(std::iter::repeat_with(|| None)));
    let several = Several {
        deed: deed_word,
        each: each.collect(),
        has_more: chosen.has_more,
        is_done,
        to,
        reason,
        wrong: wrong.map(|failure| (*failure.0).into()),
    };
    let title = text::several_title(deed_word, several.each.len());
    Ok(page(status, &pages::page(reader.frame(title, Place::Identities), several, &names)))
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
    let mut ask = List::<Identity>::of(&sent.text("query"))?.ask;
    (ask.limit, ask.after) = (Some(MAX_PAGE), None);
    let mut ids: Vec<IdentityId> = Vec::new();
    loop {
        let found = Box::pin(registration::identities(&app.kernel, &reader.caller, ask.clone())).await?;
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
