//! Reviews: somebody answers whether an access is still needed, by a deadline that is not to be sat out (R81, R88, R93,
//! R95). Many of them together are a campaign.

pub mod answers;
pub mod campaigns;
pub mod deadline;
pub mod facts;
pub mod handing_over;
pub mod plan;
mod recommendation;
pub mod several;

use tenure_api::reviews::ReviewView;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{PersonId, ReviewId};
use tenure_core::identity::Identity;
use tenure_core::people::person::Person;
use tenure_core::request::review::{Review, ReviewState, ReviewSubject};
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::{ListAsk, Listed};
use crate::people::stand_ins;

impl Listed for Review {
    const NAME: &'static str = "review";
}

/// A page of reviews. Who may not read all of them sees those that are addressed to them.
///
/// # Errors
/// The caller may read none.
pub async fn reviews(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: ListAsk<Review>,
) -> Result<Page<Revised<Review>>, OpError> {
    if authority::can_read(kernel, caller, "review", "", false).is_err() {
        authority::may_read(kernel, caller, "review", "", true).await?;
        let mine = kernel.only_person(caller, "review.list").await?;
        // Whoever stands in for somebody, or manages them, asks for theirs by their name.
        let asked = ask.value_of(Review::REVIEWER).and_then(|id| id.parse().ok());
        let of = match asked {
            Some(other) if other != mine && answers_for(kernel, mine, other).await? => other,
            _ => mine,
        };
        ask = ask.only(Review::REVIEWER.of(of));
    }
    let (rows, end) = kernel.page(ask).await?;
    let items = rows.into_iter().map(|row| revised(&row));
    Ok(end.page(items.collect()))
}

/// One review, with what helps to answer it.
///
/// # Errors
/// No such review, or the caller may not read it.
pub async fn review(kernel: &Kernel, caller: &Caller, id: ReviewId) -> Result<ReviewView, OpError> {
    let stored = kernel.sought::<Review>(caller, "review", id).await?;
    let mine = match (caller.person_id(), stored.reviewer) {
        (Some(mine), Some(reviewer)) => mine == reviewer || answers_for(kernel, mine, reviewer).await?,
        _ => false,
    };
    authority::may_read(kernel, caller, "review", &id.to_string(), mine).await?;
    let facts = match stored.subject {
        ReviewSubject::Identity(identity) if stored.state == ReviewState::Open => {
            match kernel.one::<Identity>(identity).await? {
                Some(identity) => {
                    let facts = facts::facts_of(kernel, &identity, kernel.now()).await?;
                    Some(if stored.light { facts::lightly(facts) } else { facts })
                }
                None => None,
            }
        }
        _ => None,
    };
    Ok(ReviewView { review: revised(&stored), facts })
}

/// Whether somebody answers for another one: they stand in for them now, or manage them.
async fn answers_for(kernel: &Kernel, person: PersonId, other: PersonId) -> Result<bool, OpError> {
    if stand_ins::who_named(kernel, person, kernel.now()).await?.iter().any(|absent| absent.id == other) {
        return Ok(true);
    }
    Ok(kernel.one::<Person>(other).await?.is_some_and(|other| other.manager == Some(person)))
}

fn revised(row: &Stored<Review>) -> Revised<Review> {
    Revised { record: (*row.value).clone(), revision: row.revision, hold: None, log: None, names: Names::new() }
}
