//! One answer to several reviews: rehearsed first, then given one by one. In bulk something is taken away or handed over;
//! kept is only what is of tier low (R95).

use tenure_api::reviews::{OneReviewed, ReviewCompleted, ReviewDeed, ReviewHandOver, SeveralReviewed, SeveralReviews};
use tenure_api::views::Names;
use tenure_core::base::id::{PersonId, ReviewId};
use tenure_core::base::problem::Reason;
use tenure_core::identity::{Identity, RiskTier};
use tenure_core::request::review::{Review, ReviewAnswer, ReviewSubject};

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::digest::sha256;
use crate::kernel::error::OpError;
use crate::kernel::operation::check_reason;
use crate::kernel::rehearsal::rehearsed;
use crate::reviews::{answers, handing_over};

/// Reviews at once.
pub const MOST: usize = 100;

/// Answers several reviews alike, or says what that would come to. One that is refused stops none of the others.
///
/// # Errors
/// The caller is no person, they are none or too many, the reason is missing, or it would come to something else by now.
pub async fn several(kernel: &Kernel, caller: &Caller, ask: SeveralReviews) -> Result<SeveralReviewed, OpError> {
    kernel.only_person(caller, "review.bulk").await?;
    check_reason(&ask.reason)?;
    if ask.reviews.is_empty() || ask.reviews.len() > MOST {
        return Err(OpError::field("reviews", "too_many", &format!("choose 1 to {MOST} at once")));
    }
    let to = match (ask.deed, ask.to) {
        (ReviewDeed::HandOver, None) => return Err(OpError::field("to", "to_missing", "name who takes them over")),
        (ReviewDeed::HandOver, to) => to,
        (_, Some(_)) => return Err(OpError::field("to", "to_unfit", "only what is handed over goes to somebody")),
        (_, None) => None,
    };
    let mut each = Vec::with_capacity(ask.reviews.len());
    for id in &ask.reviews {
        let outcome = Box::pin(rehearsed(one(kernel, caller, *id, ask.deed, to, &ask.reason))).await;
        each.push(told(*id, outcome.map(drop)));
    }
    let digest = digest(&ask, &each);
    if ask.dry_run {
        return Ok(SeveralReviewed { each, digest, names: Names::new() });
    }
    if ask.expect.as_ref().is_some_and(|shown| *shown != digest) {
        return Err(OpError::refused(Reason::PlanChanged));
    }
    for one_of in &mut each {
        if one_of.outcome == DONE {
            let done = Box::pin(one(kernel, caller, one_of.review, ask.deed, to, &ask.reason)).await;
            *one_of = told(one_of.review, done);
        }
    }
    Ok(SeveralReviewed { each, digest, names: Names::new() })
}

const DONE: &str = "done";

async fn one(
    kernel: &Kernel,
    caller: &Caller,
    id: ReviewId,
    deed: ReviewDeed,
    to: Option<PersonId>,
    reason: &str,
) -> Result<(), OpError> {
    let answer = match (deed, to) {
        (ReviewDeed::HandOver, Some(to)) => {
            return Box::pin(handing_over::hand_over(kernel, caller, id, ReviewHandOver { to })).await.map(drop);
        }
        (ReviewDeed::Keep | ReviewDeed::HandOver, _) => {
            must_be_low(kernel, id).await?;
            ReviewAnswer::Keep
        }
        (ReviewDeed::Narrow, _) => ReviewAnswer::Narrow,
        (ReviewDeed::Revoke, _) => ReviewAnswer::Revoke,
    };
    let ask = ReviewCompleted { answer, comment: reason.to_owned(), scope: None };
    Box::pin(answers::complete_review(kernel, caller, id, ask)).await.map(drop)
}

/// What can do more than little is kept one by one.
async fn must_be_low(kernel: &Kernel, id: ReviewId) -> Result<(), OpError> {
    let review = kernel.must::<Review>("review", id).await?;
    let tier = match review.subject {
        ReviewSubject::Identity(id) => kernel.one::<Identity>(id).await?.map(|identity| identity.tier),
        ReviewSubject::PersonGrant(_) => None,
    };
    match tier {
        Some(RiskTier::Low) => Ok(()),
        _ => Err(OpError::because(
            Reason::NotAllowed,
            "only what is of tier low is kept in bulk: open this review, look, and answer it by itself",
        )),
    }
}

fn told(review: ReviewId, outcome: Result<(), OpError>) -> OneReviewed {
    let (outcome, hint) = match outcome {
        Ok(()) => (DONE.to_owned(), None),
        Err(OpError::Refused { reason, detail, .. }) => {
            (reason.code().to_owned(), Some(detail.unwrap_or_else(|| reason.hint().to_owned())))
        }
        Err(OpError::Invalid(problems)) => {
            let first = problems.into_iter().next();
            let code = first.as_ref().map_or_else(|| "invalid".to_owned(), |problem| problem.code.clone());
            (code, first.map(|problem| problem.hint))
        }
        Err(OpError::NotFound(what)) => ("not_found".to_owned(), Some(format!("no such {what}"))),
        Err(_) => ("failed".to_owned(), Some("it could not be decided now: try it again".to_owned())),
    };
    OneReviewed { review, outcome, hint }
}

fn digest(ask: &SeveralReviews, each: &[OneReviewed]) -> String {
    let each: Vec<_> = each.iter().map(|one| (one.review, &one.outcome)).collect();
    let bound = serde_json::json!({"deed": ask.deed, "to": ask.to, "each": each});
    sha256(&bound.to_string())
}
