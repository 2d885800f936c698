//! The same deed for several identities.

use axum::extract::State;
use tenure_api::bulk::{BulkDeed, BulkOutcome, BulkReport, BulkWord, NewBulk};
use tenure_api::views::Names;
use tenure_engine::access::several::{self, Carried, Deed, MOST, Outcome};
use tenure_engine::kernel::error::OpError;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::console::several::{Chosen, fitting};
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::error::Failure;
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/bulk", "Does the same to several identities, or says what that would come to for each.", bulk)
}

async fn bulk(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewBulk>) -> Reply<BulkReport> {
    let deed = deed(&ask)?;
    let Chosen { ids, has_more } = match &ask.query {
        None => Chosen { ids: ask.identities, has_more: false },
        Some(_) if !ask.dry_run || !ask.identities.is_empty() => {
            let hint =
                "give it in a dry run, in place of identities: what is done is done to those that a dry run named";
            return Err(OpError::field("query", "query_unfit", hint).into());
        }
        Some(query) => Box::pin(fitting(&app, &caller, query)).await?,
    };
    let (outcomes, digest) = match (ask.dry_run, &ask.digest) {
        (true, _) => {
            let rehearsed = several::several_rehearsed(&app.kernel, &caller, deed, &ids, &ask.reason);
            let rehearsal = Box::pin(rehearsed).await?;
            (rehearsal.each.into_iter().map(|one| one.outcome).collect(), Some(rehearsal.digest))
        }
        (false, Some(digest)) => {
            let does = several::several(&app.kernel, &caller, deed, &ids, &ask.reason, digest, MOST);
            let Carried { outcomes, .. } = Box::pin(does).await?;
            (outcomes, None)
        }
        (false, None) => {
            let hint = "give the one of a dry run: what is done is what was shown";
            return Err(OpError::field("digest", "digest_missing", hint).into());
        }
    };
    let each = ids.into_iter().zip(outcomes).map(|(identity, outcome)| {
        let (outcome, problem) = match outcome {
            Outcome::Done => (BulkWord::Done, None),
            Outcome::StandsSo => (BulkWord::StandsSo, None),
            Outcome::Refused(error) => (BulkWord::Refused, Some(*Failure::from(error).0)),
        };
        BulkOutcome { identity, outcome, problem }
    });
    let (each, names) = (each.collect(), Names::new());
    ok(BulkReport { deed: ask.deed, dry_run: ask.dry_run, digest, more: has_more, each, names })
}

fn deed(ask: &NewBulk) -> Result<Deed, OpError> {
    Ok(match (ask.deed, ask.to) {
        (BulkDeed::Transfer, Some(to)) => Deed::Transfer(to),
        (BulkDeed::Transfer, None) => return Err(OpError::field("to", "to_missing", "say to whom")),
        (_, Some(_)) => return Err(OpError::field("to", "to_unfit", "only a transfer is to somebody")),
        (BulkDeed::Suspend, None) => Deed::Suspend,
        (BulkDeed::Resume, None) => Deed::Resume,
        (BulkDeed::Retire, None) => Deed::Retire,
        (BulkDeed::Close, None) => Deed::Close,
    })
}
