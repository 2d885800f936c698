//! Accounts at targets as people meet them: read, proposed to whoever may answer for them, claimed.
//!
//! Nobody is made an owner by a rule: a proposal says to whom an account may belong and why, and the claim is that
//! person's own.

use tenure_api::targets::{Claim, Proposal, Proposed, ProposedAccounts};
use tenure_api::views::{IdentityView, Names, Page, Revised};
use tenure_core::base::id::{AccountId, IdentityId, PersonId, TargetId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::rules;
use tenure_core::identity::account_grants::AccountGrants;
use tenure_core::identity::{Identity, IdentityState, MAX_ITEMS};
use tenure_core::people::person::{Person, Role};
use tenure_core::policy::Action;
use tenure_core::request::Matter;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, ProposedOwner};
use tenure_core::target::connector::MAX_WORDS;
use tenure_core::target::drift;
use tenure_core::target::sighting::Sighting;
use tenure_core::target::suggestion::SuggestionReason;
use tenure_core::target::system::TargetSystem;

use crate::identities::{identity_facts, view};
use crate::inventory::{ownership, references};
use crate::kernel::Kernel;
use crate::kernel::authority::{self, bootstrap, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{ListAsk, Listed, Query};
use crate::requests::route;
use crate::targets::suggestions::Around;
use crate::targets::{rotation, systems};

/// Accounts that one proposal concerns at most.
const MOST: usize = 500;
const KIND: &str = "account";

impl Listed for Account {
    const NAME: &'static str = KIND;
}

/// One account, by whoever may read accounts, answers for its identity, or was proposed to.
///
/// # Errors
/// No such account, or the caller may not read it.
pub async fn account(kernel: &Kernel, caller: &Caller, id: AccountId) -> Result<Revised<Account>, OpError> {
    let row = kernel.one::<Account>(id).await?;
    let own = match &row {
        Some(row) => is_concerned(kernel, caller, row).await?,
        None => false,
    };
    authority::may_read(kernel, caller, KIND, &id.to_string(), own).await?;
    let row = row.ok_or(OpError::NotFound(KIND))?;
    Ok(as_shown(&row))
}

/// A page of accounts. Who may not read all of them names what is theirs: an identity of theirs, or themselves as those
/// to whom accounts were proposed.
///
/// # Errors
/// The caller may not read them.
pub async fn accounts(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Account>,
) -> Result<Page<Revised<Account>>, OpError> {
    let me = caller.person_id().map(|me| me.to_string());
    let own = match ask.value_of(Account::IDENTITY) {
        Some(identity) => authority::owns_subject(kernel, caller, identity).await?,
        None => me.is_some() && ask.value_of(Account::PROPOSED) == me.as_deref(),
    };
    authority::may_read(kernel, caller, KIND, "", own).await?;
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.iter().map(as_shown).collect()))
}

/// An account without what only workers open.
fn as_shown(row: &Stored<Account>) -> Revised<Account> {
    Revised { record: (*row.value).clone().shown(), revision: row.revision, hold: None, log: None, names: Names::new() }
}

/// That the caller may claim an identity, or read it: of anybody else's nothing is told.
///
/// # Errors
/// It can't be claimed by the caller, and they may not read it.
pub async fn claimable(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<(), OpError> {
    let identity = kernel.sought::<Identity>(caller, "identity", id).await?;
    let own = authority::owns_identity(caller, &identity) || may_claim(kernel, caller, &identity).await?;
    authority::may_read(kernel, caller, "identity", &id.to_string(), own).await
}

/// Whether nobody answers for an account's identity, and it can be claimed.
///
/// # Errors
/// The store can't be asked.
pub async fn is_unclaimed(kernel: &Kernel, account: &Account) -> Result<bool, OpError> {
    let identity = kernel.one::<Identity>(account.identity).await?;
    Ok(identity.is_some_and(|identity| identity.state == IdentityState::Discovered))
}

/// Whether the caller may give an account another secret now.
pub async fn is_rotatable(kernel: &Kernel, caller: &Caller, id: AccountId) -> bool {
    to_rotate(kernel, caller, id).await.is_ok()
}

/// An account that the caller may give another secret now, as it stands.
///
/// # Errors
/// There is no such account, the caller doesn't answer for its identity, or it can't be given one.
pub async fn rotatable(kernel: &Kernel, caller: &Caller, id: AccountId) -> Result<Revised<Account>, OpError> {
    let asked = Asked::new(ControlPoint::Issue, "account.rotate", id);
    kernel.recorded(caller, asked, to_rotate(kernel, caller, id)).await
}

async fn to_rotate(kernel: &Kernel, caller: &Caller, id: AccountId) -> Result<Revised<Account>, OpError> {
    if kernel.one::<Account>(id).await?.is_none() {
        // Whoever may give none a secret isn't told by that which there are.
        let of_none = bootstrap(false, true, Span::default());
        kernel.allow(caller, Action::Bootstrap, inventory("identity", "", ""), of_none)?;
        return Err(OpError::NotFound(KIND));
    }
    let (account, _) = rotation::concerned(kernel, caller, id).await?;
    let target = kernel.must::<TargetSystem>(systems::KIND, account.target).await?;
    rotation::may_rotate(&account, &target)?;
    Ok(as_shown(&account))
}

async fn is_concerned(kernel: &Kernel, caller: &Caller, account: &Account) -> Result<bool, OpError> {
    let proposed = account.proposed.as_ref().map(|proposed| proposed.owner);
    if proposed.is_some() && proposed == caller.person_id() {
        return Ok(true);
    }
    let identity = kernel.one::<Identity>(account.identity).await?;
    Ok(identity.is_some_and(|identity| authority::owns_identity(caller, &identity)))
}

/// Proposes the accounts of a target that nobody answers for to somebody, by the beginning of their names: nobody is
/// their owner by that, and whoever it is proposed to is told and may claim them.
///
/// # Errors
/// No such target, nobody of that name is there, there is no reason, or the caller may not.
pub async fn propose(
    kernel: &Kernel,
    caller: &Caller,
    target: TargetId,
    ask: Proposal,
) -> Result<ProposedAccounts, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Transfer, "target.propose", target), async {
            let by = caller.must_be_person()?;
            let stored = kernel.must::<TargetSystem>(systems::KIND, target).await?;
            let owner = caller.person_id() == Some(stored.owner);
            kernel.allow(caller, Action::Suspend, inventory(systems::KIND, target, ""), owns(owner))?;
            let to = proposed_to(kernel, &ask).await?;
            let around = match ask.by_suggestion {
                Some(_) => Some(Around::of(kernel, target).await?),
                None => None,
            };
            let mut chosen = ProposedAccounts { accounts: Vec::new(), dry_run: ask.dry_run, more: false };
            let mut pages = kernel.pages(Query::<Account>::of([Account::TARGET.of(target)]));
            'pages: while let Some(found) = pages.next().await? {
                for account in found.whole()? {
                    if !is_meant(&ask, &account) {
                        continue;
                    }
                    let identity = kernel.one::<Identity>(account.identity).await?;
                    if identity.is_none_or(|identity| identity.state != IdentityState::Discovered) {
                        continue;
                    }
                    let (owner, reasons) = match &around {
                        Some(around) => match suggested(kernel, around, &ask, &account).await? {
                            Some(suggested) => suggested,
                            None => continue,
                        },
                        None => (to.as_ref().map(|to| to.id), Vec::new()),
                    };
                    let Some(owner) = owner else { continue };
                    if chosen.accounts.len() >= MOST {
                        chosen.more = true;
                        break 'pages;
                    }
                    chosen.accounts.push(Proposed {
                        account: account.id,
                        identity: account.identity,
                        name: account.seen.name.clone(),
                        owner,
                        reasons,
                        claim_by: account.claim_by,
                    });
                    if !ask.dry_run {
                        let to = kernel.must::<Person>("person", owner).await?;
                        proposed(kernel, caller, account, &to, by, &ask.reason).await?;
                    }
                }
            }
            Ok(chosen)
        })
        .await
}

/// To whom everything is proposed, if to one.
async fn proposed_to(kernel: &Kernel, ask: &Proposal) -> Result<Option<Stored<Person>>, OpError> {
    let mut problems = Vec::new();
    if ask.marks.len() > MAX_ITEMS || ask.marks.iter().any(|(name, text)| name.is_empty() || text.len() > MAX_WORDS) {
        let hint = "name at most 32 marks, each with at most 500 bytes of text";
        problems.push(FieldProblem::new("marks", "marks_malformed", hint));
    }
    let to = match ask.owner {
        Some(owner) => ownership::who_answers(kernel, owner, &mut problems).await?,
        None if ask.by_suggestion.is_some() => None,
        None => {
            let hint = "name who may answer for them, or say how strong a suggestion has to be: by_suggestion";
            problems.push(FieldProblem::new("owner", "owner_missing", hint));
            None
        }
    };
    if problems.is_empty() { Ok(to) } else { Err(OpError::Invalid(problems)) }
}

/// Whether a rule is about an account.
fn is_meant(ask: &Proposal, account: &Account) -> bool {
    let has = |(name, text): (&String, &String)| {
        let mark = account.seen.marks.get(name);
        mark.is_some_and(|mark| mark.to_lowercase().contains(&text.to_lowercase()))
    };
    account.seen.name.starts_with(&ask.name_prefix) && ask.marks.iter().all(has)
}

/// Whom the first suggestion for an account names, if it is worth what is asked, with what speaks for it.
async fn suggested(
    kernel: &Kernel,
    around: &Around,
    ask: &Proposal,
    account: &Account,
) -> Result<Option<(Option<PersonId>, Vec<SuggestionReason>)>, OpError> {
    let first = around.suggest(kernel, account).await?.into_iter().next();
    let first = first.filter(|first| ask.by_suggestion.is_none_or(|least| first.strength >= least));
    let first = first.filter(|first| ask.owner.is_none_or(|owner| owner == first.owner));
    Ok(first.map(|first| (Some(first.owner), first.reasons)))
}

async fn proposed(
    kernel: &Kernel,
    caller: &Caller,
    account: Stored<Account>,
    to: &Stored<Person>,
    by: PersonId,
    reason: &str,
) -> Result<(), OpError> {
    kernel
        .decide(|| async {
            let now = kernel.now();
            let read = kernel.must::<Account>(KIND, account.id).await?;
            let proposed = ProposedOwner { owner: to.id, by, at: now, reason: reason.to_owned() };
            let event = kernel
                .event(now, EventKind::AccountProposed)
                .subject(read.id)
                .subject(read.identity)
                .subject(to.id)
                .fact("name", &read.seen.name)
                .fact("reason", reason)
                .fact("claim_by", read.claim_by);
            let text = format!(
                "{} at the target {} may be yours. Claim it until {}: tenure identity claim {}. Where it isn't, do nothing: it is \
                 held then.",
                read.id, read.target, read.claim_by, read.identity
            );
            let event = notify(event, &[to.id], &[], "an account may be yours", &text);
            let mut changeset = Changeset::new(caller.author(), now, event);
            changeset.expect(to);
            changeset.replace(&read, &Account { proposed: Some(proposed), ..(*read.value).clone() });
            Ok((changeset, ()))
        })
        .await
        .map(drop)
}

/// Claims an identity that was found at a target: the caller answers for it from now on, and its charter is what they
/// write. It is a draft then, and goes the way of every other one.
///
/// # Errors
/// It wasn't found at a target or was claimed before, a field is wrong, or the caller may not.
pub async fn claim(kernel: &Kernel, caller: &Caller, id: IdentityId, ask: Claim) -> Result<IdentityView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "identity.claim", id), async {
            let by = caller.must_be_person()?;
            let (identity, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Identity>("identity", id).await?;
                    if !may_claim(kernel, caller, &stored).await? {
                        authority::can_read(kernel, caller, "identity", &id.to_string(), false)?;
                    }
                    let answers = matches!(caller, Caller::Person { person, .. } if person.holds(Role::Owner));
                    if !answers {
                        let detail = "only who holds the role owner answers for an identity";
                        return Err(OpError::because(Reason::NotAllowed, detail));
                    }
                    let identity = claimed(kernel, caller, &stored, &ask, by, now).await?;
                    Ok(identity)
                })
                .await?;
            view::identity_view(kernel, identity.0, identity.1, Some(&committed)).await
        })
        .await
}

/// What the accounts of an identity have at their targets now: whoever approves the claim reads it, and what they have
/// besides from then on is drift (R102).
async fn grants_of(kernel: &Kernel, identity: &Identity) -> Result<Vec<AccountGrants>, OpError> {
    let accounts = kernel.find(Query::<Account>::of([Account::IDENTITY.of(identity.id)])).await?.whole()?;
    Ok(accounts.iter().take(MAX_ITEMS).map(|account| drift::grants_of(account)).collect())
}

async fn may_claim(kernel: &Kernel, caller: &Caller, identity: &Identity) -> Result<bool, OpError> {
    if caller.person_id() == Some(identity.registered_by) {
        return Ok(true);
    }
    let seen = kernel.first(Query::of([Sighting::IDENTITY.of(identity.id)])).await?;
    let proposed = seen.and_then(|seen| seen.proposed.as_ref().map(|proposed| proposed.owner));
    if proposed.is_some() && proposed == caller.person_id() {
        return Ok(true);
    }
    let mut accounts = kernel.pages(Query::<Account>::of([Account::IDENTITY.of(identity.id)]));
    while let Some(found) = accounts.next().await? {
        let is_proposed = |account: &Stored<Account>| {
            account.proposed.as_ref().is_some_and(|proposed| Some(proposed.owner) == caller.person_id())
        };
        if found.readable().iter().any(is_proposed) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn claimed(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Identity>,
    ask: &Claim,
    by: PersonId,
    now: Timestamp,
) -> Result<(Changeset, (Identity, u64)), OpError> {
    let mut problems = Vec::new();
    let mut charter = ask.charter.clone();
    charter.owner = charter.owner.or(Some(by));
    if charter.environment.is_none() {
        charter.environment.clone_from(&stored.charter.environment);
    }
    if charter.environment != stored.charter.environment {
        let hint = "it is in the environment of the target where it was found: leave it out";
        problems.push(FieldProblem::new("charter.environment", "environment_fixed", hint));
    }
    if charter.owner != Some(by) {
        let hint = "a claim is the owner's own: propose it to somebody else instead";
        problems.push(FieldProblem::new("charter.owner", "owner_is_somebody_else", hint));
    }
    if charter.account_grants.is_empty() {
        charter.account_grants = grants_of(kernel, stored).await?;
    }
    let mut identity = (*stored.value).clone().claim(by)?;
    identity.kind = ask.kind.unwrap_or(identity.kind);
    let references = Box::pin(references::check_references(kernel, identity.kind, &charter, &mut problems)).await?;
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    identity.charter = charter;
    identity.tier = references.tier(identity.kind, &identity.charter);
    let matter = Matter::Activation { identity: identity.id };
    let facts =
        Box::pin(identity_facts::facts_of_identity(kernel, &matter, &identity, &identity.charter, &references, now))
            .await?;
    route::may_ask(kernel, caller, &facts)?;
    let event = kernel
        .event(now, EventKind::IdentityClaimed)
        .subject(identity.id)
        .subject(by)
        .fact("name", &identity.name)
        .fact("identity_kind", identity.kind)
        .fact("charter", &identity.charter)
        .fact("tier", identity.tier);
    let mut changeset = Changeset::new(caller.author(), now, event);
    changeset.replace(stored, &identity);
    let (nobodys, how) = ([&rules::UNCLAIMED_LISTED, &rules::UNCLAIMED_BUILT_IN], "somebody answers for it");
    finding::no_longer(kernel, &mut changeset, &nobodys, identity.id, how, now).await?;
    Ok((changeset, (identity, stored.revision + 1)))
}
