//! Signed links to the approval page: each is one person's, for one request as it read when it was made (S-7, S-8).
//!
//! A link says who was asked, and gives nobody a vote: it takes that very person's own fresh sign-in to see the page
//! and to answer on it. What it is signed over includes the content hash, so that an amendment voids every link that is
//! out. It is made when a notice is delivered and stands in no record.

use tenure_api::request::{NewVote, RequestView};
use tenure_core::base::id::{PersonId, RequestId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::request::{Asker, Matter, Request};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::row::Stored;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::{Kernel, authority, freshness, notice};
use crate::matters::{brief, votes};
use crate::requests::route::{self, not_open};
use crate::requests::stand_in;

/// What an approver sees before they answer.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The request.
    pub request: RequestView,
    /// Who asks, as people know them.
    pub asker: Named,
    /// The identity that it is about, if it is about one.
    pub identity: Option<Box<Identity>>,
    /// Its accountable owner.
    pub owner: Option<Named>,
    /// The identifier of the resource that it is about, if it is about one.
    pub resource: Option<String>,
    /// The person that it is about, if it is about one.
    pub person: Option<Named>,
    /// Who has voted.
    pub voters: Vec<Named>,
    /// Whose link it is.
    pub reader: PersonId,
}

/// Somebody with the name that people know them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The id.
    pub id: String,
    /// The name, unless it was erased.
    pub name: Option<String>,
    /// What they are: `person`, or an identity's kind.
    pub what: &'static str,
}

/// The request that a link leads to, and whose link it is. Every link that isn't good is the same answer.
///
/// # Errors
/// It is none of ours, altered, over, or from before the request was changed.
pub async fn linked(kernel: &Kernel, link: &str) -> Result<(Stored<Request>, PersonId), OpError> {
    let bad = || OpError::NotFound("approval link");
    let parts: Vec<&str> = link.split('.').collect();
    let [request, person, until, tag] = parts.as_slice() else {
        return Err(bad());
    };
    let (id, whose) =
        (request.parse::<RequestId>().map_err(|_| bad())?, person.parse::<PersonId>().map_err(|_| bad())?);
    let end = until.parse().map(Timestamp::from_secs).map_err(|_| bad())?;
    let stored = kernel.one::<Request>(id).await?.ok_or_else(bad)?;
    let ours = notice::links(kernel).holds(&[request, &stored.content_hash, person, until], tag);
    if !ours || kernel.now() >= end {
        return Err(bad());
    }
    Ok((stored, whose))
}

/// What stands on the approval page.
///
/// # Errors
/// The link isn't good, is another person's, or the sign-in isn't fresh.
pub async fn approval(kernel: &Kernel, caller: &Caller, link: &str) -> Result<Approval, OpError> {
    let (stored, whose) = linked(kernel, link).await?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Approve, "request.open_link", stored.id), async {
            is_theirs(kernel, caller, whose).await?;
            let owned = route::concerns_now(kernel, caller, &stored).await?;
            authority::can_read(kernel, caller, "request", &stored.id.to_string(), owned)?;
            let identity = match stored.matter.identity() {
                Some(id) => kernel.one::<Identity>(id).await?,
                None => None,
            };
            let owner = match identity.as_ref().and_then(|identity| identity.charter.owner).or(stored.owner) {
                Some(owner) => Some(named_person(kernel, owner).await?),
                None => None,
            };
            let resource = match &stored.matter {
                Matter::Access { entitlement, .. } => {
                    kernel.one::<Resource>(&entitlement.resource).await?.map(|resource| resource.uri.clone())
                }
                _ => None,
            };
            let person = match stored.matter.person() {
                Some(person) => Some(named_person(kernel, person).await?),
                None => None,
            };
            let mut voters = Vec::with_capacity(stored.votes.len());
            for vote in &stored.votes {
                voters.push(named_person(kernel, vote.by).await?);
            }
            let mut request = route::request_view(kernel, (*stored.value).clone(), stored.revision, None).await?;
            request.stand_ins = stand_in::standing_in(kernel, &stored, kernel.now()).await?;
            request.brief = Some(brief::brief(kernel, &stored).await?);
            Ok(Approval {
                asker: named_asker(kernel, stored.requested_by).await?,
                identity: identity.map(|identity| Box::new((*identity.value).clone())),
                owner,
                resource,
                person,
                voters,
                reader: whose,
                request,
            })
        })
        .await
}

/// Votes on the approval page. What the voter read is what the page showed: its content hash comes with the vote.
///
/// # Errors
/// As [`Kernel::approval`] and [`Kernel::vote`].
pub async fn answer_by_link(
    kernel: &Kernel,
    caller: &Caller,
    link: &str,
    approves: bool,
    ask: NewVote,
) -> Result<RequestView, OpError> {
    let (stored, whose) = linked(kernel, link).await?;
    kernel
        .recorded(
            caller,
            Asked::new(ControlPoint::Approve, "request.open_link", stored.id),
            is_theirs(kernel, caller, whose),
        )
        .await?;
    if stored.state != tenure_core::request::RequestState::Open {
        return Err(not_open(stored.state));
    }
    votes::vote(kernel, caller, stored.id, approves, ask).await
}

async fn is_theirs(kernel: &Kernel, caller: &Caller, whose: PersonId) -> Result<(), OpError> {
    if caller.must_be_person()? != whose {
        return Err(OpError::because(Reason::NotEligible, "the link was made for somebody else: answer by your own"));
    }
    freshness::freshness(kernel, caller, kernel.now()).await.map(|_| ())
}

async fn named_person(kernel: &Kernel, id: PersonId) -> Result<Named, OpError> {
    Ok(Named {
        id: id.to_string(),
        name: kernel.one::<Person>(id).await?.and_then(|person| person.name.clone()),
        what: "person",
    })
}

async fn named_asker(kernel: &Kernel, asker: Asker) -> Result<Named, OpError> {
    match asker {
        Asker::Person(id) => named_person(kernel, id).await,
        Asker::Identity(id) => {
            let identity = kernel.one::<Identity>(id).await?;
            Ok(Named {
                id: id.to_string(),
                name: identity.as_ref().map(|identity| identity.name.clone()),
                what: identity.map_or("identity", |identity| identity.kind.as_str()),
            })
        }
    }
}
