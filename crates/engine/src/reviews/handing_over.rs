//! "It isn't mine": a review is handed over together with its identity, and stays to be answered by the same deadline.

use tenure_api::reviews::ReviewHandOver;
use tenure_api::views::Revised;
use tenure_core::base::id::ReviewId;
use tenure_core::base::problem::Reason;
use tenure_core::identity::Identity;
use tenure_core::request::review::{HandedOver, MAX_HANDED_OVER, Review, ReviewSubject};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::access::transfers;
use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::reviews::answers::{May, may_answer, must_be_open};

/// Offers the identity to somebody else, who answers the review from now on. Until they accept, its owner answers for
/// it; without an answer it ends as it would have.
///
/// # Errors
/// It isn't open, isn't of an identity, was handed over too often, or the caller may not; or the person can't own it.
pub async fn hand_over(
    kernel: &Kernel,
    caller: &Caller,
    id: ReviewId,
    ask: ReviewHandOver,
) -> Result<Revised<Review>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Transfer, "review.hand_over", id), async {
            let by = caller.must_be_person()?;
            let ((review, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Review>("review", id).await?;
                    must_be_open(&stored)?;
                    let ReviewSubject::Identity(identity) = stored.subject else {
                        let hint = "what a person holds is nobody else's: keep it or revoke it";
                        return Err(OpError::because(Reason::IllegalTransition, hint));
                    };
                    let identity = kernel.must::<Identity>("identity", identity).await?;
                    let May { .. } = may_answer(kernel, caller, &stored, Some(&identity), now).await?;
                    if stored.handed_over.len() >= MAX_HANDED_OVER {
                        let hint = format!("it was handed over {MAX_HANDED_OVER} times: answer it, or ask security to");
                        return Err(OpError::because(Reason::IllegalTransition, hint));
                    }
                    let (mut changeset, _) = transfers::offering_to(kernel, caller, identity, ask.to, now).await?;
                    let handed = HandedOver { by, to: ask.to, at: now };
                    let review = (*stored.value).clone().hand_over(handed)?;
                    let event = kernel.event(now, EventKind::ReviewHandedOver).subject(id).subject(ask.to);
                    let event = event.fact("by", by).fact("to", ask.to).fact("due_at", stored.due_at);
                    let text = format!(
                        "{by} says that what {id} is about is yours: take it over, or decline, and answer by {}.\n\
                         Answer: tenure review complete {id} --answer keep|narrow|revoke",
                        stored.due_at
                    );
                    changeset.event(notify(event, &[ask.to], &[], "A review was handed over to you", &text));
                    changeset.replace(&stored, &review);
                    Ok((changeset, (review, stored.revision + 1)))
                })
                .await?;
            kernel.changed(review, revision, &committed).await
        })
        .await
}
