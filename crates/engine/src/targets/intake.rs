//! Lists of accounts from elsewhere: spreadsheets, inventories, exports of what no connector sees.
//!
//! Nothing happens before every line is good. A dry run says what would come of each line, and its digest has exactly
//! that done. Each line is brought in once, by its key in the list, in bounded commits: what is left when one fails is
//! done when the list is handed in again. Whom a list names as an owner is only proposed; what is brought in is an
//! identity that nobody answers for, with what the list said as evidence. Where a target is registered for a system, a
//! scan is the way, and the line says so.

use std::collections::{BTreeMap, BTreeSet};

use tenure_api::intake::{AccountRow, ImportAccounts, IntakeItem, IntakeOutcome, IntakeReport};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{IdentityId, PersonId, SightingId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::rules;
use tenure_core::identity::scope::{Cut, Membership, Scope};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, Kind, RiskTier};
use tenure_core::inventory::environment::Environment;
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{Position, Stored};
use tenure_core::target::account::ProposedOwner;
use tenure_core::target::sighting::Sighting;
use tenure_core::target::system::{CLAIM_WITHIN, TargetSystem};
use tenure_core::trust::state::TrustState;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::digest::sha256;
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::load::expect_optional;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Listed, Query};
use crate::kernel::work::{acknowledge, postponed, system};
use crate::people::feed::is_plain;

const KIND: &str = "sighting";
/// Lines of one list at most.
pub const MAX_LINES: usize = 10_000;
/// Wrong places that are named; a list that is wrong throughout is wrong for one reason.
const MAX_PROBLEMS: usize = 100;
/// Lines that one commit brings in.
const BATCH: usize = 50;
const CLAIM: (Span, Span) = (Span::from_mins(60), Span::from_days(90));
const MAX_TEXT: usize = 200;
const MAX_EVIDENCE: usize = 1_000;
/// The longest name of an identity that is made of a line, in characters.
const MAX_NAME: usize = 100;

impl Listed for Sighting {
    const NAME: &'static str = KIND;
}

/// A line that was understood.
struct Line<'a> {
    row: &'a AccountRow,
    key: String,
    environment: String,
    seen_at: Option<Timestamp>,
}

/// What the lines are held against.
struct Known {
    targets: BTreeMap<String, String>,
    people: BTreeMap<String, PersonId>,
    environments: BTreeSet<String>,
}

/// Brings a list of accounts in, or says what would come of each line.
///
/// # Errors
/// Every place in the list that is wrong; it would do something else than what was expected; or the caller may not.
pub async fn import_accounts(kernel: &Kernel, caller: &Caller, ask: ImportAccounts) -> Result<IntakeReport, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "identity.import", ""), async {
            let by = caller.must_be_person()?;
            kernel.allow(caller, Action::Import, inventory("identity", "", ""), owns(false))?;
            let known = known(kernel).await?;
            let lines = understood(&ask, &known)?;
            let mut items = Vec::with_capacity(lines.len());
            for line in &lines {
                items.push(planned(kernel, &ask, &known, line).await?);
            }
            let digest = digest(&ask, &items);
            if ask.expect.as_ref().is_some_and(|expected| *expected != digest) {
                let detail = "the list would do something else now than in the dry run: read it again";
                return Err(OpError::because(Reason::RequestChanged, detail));
            }
            if !ask.dry_run {
                let fresh: Vec<usize> = (0..items.len())
                    .filter(|n| items.get(*n).is_some_and(|item| item.outcome == IntakeOutcome::Discovered))
                    .collect();
                for batch in fresh.chunks(BATCH) {
                    bring_in(kernel, caller, by, &ask, &lines, &mut items, batch, &digest).await?;
                }
            }
            Ok(IntakeReport { source: ask.source.clone(), dry_run: ask.dry_run, items, digest })
        })
        .await
}

async fn known(kernel: &Kernel) -> Result<Known, OpError> {
    let mut known = Known { targets: BTreeMap::new(), people: BTreeMap::new(), environments: BTreeSet::new() };
    let mut targets = kernel.pages(Query::<TargetSystem>::every());
    while let Some(found) = targets.next().await? {
        for target in found.readable().iter().filter(|target| target.state != TrustState::Removed) {
            known.targets.insert(target.name.to_lowercase(), target.name.clone());
        }
    }
    let owners = Query::of([Person::STATE.of(PersonState::Active), Person::ROLE.of(Role::Owner)]);
    let mut people = kernel.pages(owners);
    while let Some(found) = people.next().await? {
        for person in found.readable() {
            let words = person.email.iter().chain(&person.name).map(|word| word.to_lowercase());
            known.people.extend(words.map(|word| (word, person.id)));
        }
    }
    let mut environments = kernel.pages(Query::<Environment>::every());
    while let Some(found) = environments.next().await? {
        known.environments.extend(found.readable().iter().map(|environment| environment.name.clone()));
    }
    Ok(known)
}

/// Every line, or each place that is wrong, by line and column.
fn understood<'a>(ask: &'a ImportAccounts, known: &Known) -> Result<Vec<Line<'a>>, OpError> {
    let mut problems = Vec::new();
    let mut wrong = |field: String, code: &str, hint: &str| {
        if problems.len() < MAX_PROBLEMS {
            problems.push(FieldProblem::new(field, code, hint));
        }
    };
    if !is_plain(&ask.source, MAX_TEXT) || ask.source.contains('/') {
        wrong("source".to_owned(), "source_malformed", "name the list, e.g. cmdb: 200 bytes at most, without a /");
    }
    if !known.environments.contains(&ask.environment) {
        let hint = "name a registered environment: tenure environment list";
        wrong("environment".to_owned(), "environment_unknown", hint);
    }
    if ask.claim_within.is_some_and(|within| within < CLAIM.0 || within > CLAIM.1) {
        wrong("claim_within".to_owned(), "claim_within_out_of_range", "give an hour to 90 days");
    }
    if ask.rows.is_empty() || ask.rows.len() > MAX_LINES {
        wrong("rows".to_owned(), "rows_out_of_range", "hand in 1 to 10000 lines; a longer list in parts");
    }
    let mut keys = BTreeSet::new();
    let mut lines = Vec::with_capacity(ask.rows.len().min(MAX_LINES));
    for row in ask.rows.iter().take(MAX_LINES) {
        let place = |column: &str| format!("lines[{}].{column}", row.line);
        for (column, text) in [("name", &row.name), ("system", &row.system)] {
            if !is_plain(text, MAX_TEXT) {
                wrong(place(column), "text_malformed", "give 1 to 200 bytes on one line");
            }
        }
        let optional = [
            ("key", row.key.as_ref(), MAX_TEXT),
            ("owner_name", row.owner_name.as_ref(), MAX_TEXT),
            ("evidence", row.evidence.as_ref(), MAX_EVIDENCE),
        ];
        for (column, text, longest) in optional {
            if text.is_some_and(|text| !is_plain(text, longest)) {
                wrong(place(column), "text_malformed", "give some text on one line, or leave it out");
            }
        }
        let environment = row.environment.clone().unwrap_or_else(|| ask.environment.clone());
        if !known.environments.contains(&environment) {
            wrong(
                place("environment"),
                "environment_unknown",
                "name a registered environment: tenure environment list",
            );
        }
        let seen_at = row.seen_at.as_ref().map(|text| time(text));
        if seen_at == Some(None) {
            wrong(place("seen_at"), "time_malformed", "give a day such as 2027-03-31, or an RFC 3339 time");
        }
        let key = row.key.clone().unwrap_or_else(|| format!("{}:{}", row.system, row.name));
        if !keys.insert(key.clone()) {
            wrong(place("key"), "key_repeated", "a key names one account: it stands here a second time");
        }
        lines.push(Line { row, key, environment, seen_at: seen_at.flatten() });
    }
    if problems.is_empty() { Ok(lines) } else { Err(OpError::Invalid(problems)) }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

async fn planned(kernel: &Kernel, ask: &ImportAccounts, known: &Known, line: &Line<'_>) -> Result<IntakeItem, OpError> {
    let (row, mut item) = (
        line.row,
        IntakeItem {
            line: line.row.line,
            name: line.row.name.clone(),
            system: line.row.system.clone(),
            outcome: IntakeOutcome::Discovered,
            identity: None,
            proposed_to: None,
            hint: None,
        },
    );
    if let Some(target) = known.targets.get(&row.system.to_lowercase()) {
        item.outcome = IntakeOutcome::AtTarget;
        item.hint = Some(format!("it is a registered target: tenure target scan {target}"));
        return Ok(item);
    }
    let place = Sighting::place(&ask.source, &line.key);
    if let Some(before) = kernel.first(Query::of([Sighting::KEY.of(&place)])).await? {
        item.outcome = IntakeOutcome::Known;
        item.identity = Some(before.identity);
        return Ok(item);
    }
    if let Some(owner) = &row.owner_name {
        item.proposed_to = known.people.get(&owner.to_lowercase()).copied();
        if item.proposed_to.is_none() {
            item.hint =
                Some("nobody who may own is called so: it is kept as the list says it, and proposed to nobody".into());
        }
    }
    Ok(item)
}

fn digest(ask: &ImportAccounts, items: &[IntakeItem]) -> String {
    // What was brought in meanwhile by the same import leaves it the same one: it is gone on with.
    let told = |item: &IntakeItem| {
        let is_ours = item.outcome != IntakeOutcome::AtTarget;
        serde_json::json!([item.line, item.name, item.system, is_ours])
    };
    let items: Vec<_> = items.iter().map(told).collect();
    let bound = serde_json::json!({
        "source": ask.source,
        "environment": ask.environment,
        "claim_within": ask.claim_within,
        "rows": ask.rows,
        "items": items,
    });
    sha256(&bound.to_string())
}

#[expect(clippy::too_many_arguments, reason = "one batch of an import, with what it belongs to")]
async fn bring_in(
    kernel: &Kernel,
    caller: &Caller,
    by: PersonId,
    ask: &ImportAccounts,
    lines: &[Line<'_>],
    items: &mut [IntakeItem],
    batch: &[usize],
    digest: &str,
) -> Result<(), OpError> {
    let (made, _) = kernel
        .decide(|| async {
            let now = kernel.now();
            let event = kernel
                .event(now, EventKind::IdentityImported)
                .fact("source", &ask.source)
                .fact("lines", batch.len())
                .fact("digest", digest);
            let mut changeset = Changeset::new(caller.author(), now, event);
            let mut made = Vec::with_capacity(batch.len());
            for n in batch {
                let (Some(line), Some(item)) = (lines.get(*n), items.get(*n)) else { continue };
                let identity = identity_of(kernel, &mut changeset, line, by, now).await?;
                let proposed = item.proposed_to.map(|owner| ProposedOwner {
                    owner,
                    by,
                    at: now,
                    reason: format!("the list {} names them as its owner", ask.source),
                });
                let sighting = Sighting {
                    id: SightingId::generate(now, kernel.entropy.as_ref()),
                    identity,
                    source: ask.source.clone(),
                    key: line.key.clone(),
                    system: line.row.system.clone(),
                    name: line.row.name.clone(),
                    line: line.row.line,
                    seen_at: line.seen_at,
                    evidence: line.row.evidence.clone(),
                    owner_said: line.row.owner_name.clone(),
                    proposed,
                    claim_by: now.plus(ask.claim_within.unwrap_or(CLAIM_WITHIN)),
                    import: digest.to_owned(),
                    by,
                    at: now,
                };
                let key = Sighting::place(&ask.source, &line.key);
                changeset.once.push(Once { space: "sighting", key, until: None });
                changeset.insert(&sighting);
                changeset.due.push(DueChange::Set(DueKind::Sighting, sighting.id.to_string(), sighting.claim_by));
                made.push((*n, identity));
            }
            Ok((changeset, made))
        })
        .await?;
    for (n, identity) in made {
        if let Some(item) = items.get_mut(n) {
            item.identity = Some(identity);
        }
    }
    Ok(())
}

/// An identity that nobody answers for, of a line.
async fn identity_of(
    kernel: &Kernel,
    changeset: &mut Changeset,
    line: &Line<'_>,
    by: PersonId,
    now: Timestamp,
) -> Result<IdentityId, OpError> {
    let id = IdentityId::generate(now, kernel.entropy.as_ref());
    let environment = Scope::Environment(line.environment.clone());
    let snapshot = kernel.store.load(&[environment.cut_key()]).await?;
    let cut: Option<Stored<Cut>> = snapshot.get::<Cut>(0)?;
    let joined = Position::at(snapshot.head);
    let later = cut.as_ref().map_or(joined, |cut| joined.later(cut.position));
    let number = id.to_string();
    let ending = number.get(number.len().saturating_sub(8)..).unwrap_or_default().to_owned();
    let plain = |c: char| match c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    let name: String = format!("{}.{}", line.row.name, line.row.system).chars().take(MAX_NAME).map(plain).collect();
    let name = format!("{}-{ending}", name.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    let identity = Identity {
        id,
        kind: Kind::ServiceAccount,
        name: name.clone(),
        state: IdentityState::Discovered,
        charter: CharterDraft { environment: Some(line.environment.clone()), ..CharterDraft::default() },
        tier: RiskTier::High,
        tier_kept: None,
        struck: Vec::new(),
        deferred: Vec::new(),
        suspensions: Vec::new(),
        valid_after: None,
        bindings: Vec::new(),
        grants: Vec::new(),
        memberships: vec![
            Membership { scope: Scope::Identity(id), joined },
            Membership { scope: environment.clone(), joined: later },
        ],
        activation: None,
        retirement: None,
        template: None,
        request: None,
        transfer: None,
        exceptions: Vec::new(),
        resumed_at: None,
        reviewed_at: None,
        has_accounts: false,
        registered_by: by,
        created_at: now,
    };
    let event = kernel
        .event(now, EventKind::IdentityDiscovered)
        .subject(id)
        .fact("name", &identity.name)
        .fact("environment", &line.environment)
        .fact("system", &line.row.system)
        .fact("line", line.row.line);
    changeset.event(event);
    expect_optional(changeset, environment.cut_key(), cut.as_ref());
    changeset.once.push(Once { space: "identity_name", key: name, until: None });
    changeset.insert(&identity);
    Ok(id)
}

/// Notes that the time to claim what a list told of is over, where nobody answers for it: no connector asks its system,
/// so nothing can be held there, and it is told instead. The claim resolves that, and so does the identity's end.
pub(crate) async fn work_sighting(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<SightingId>() else { return Ok(None) };
    let Some(sighting) = kernel.one::<Sighting>(id).await? else { return Ok(None) };
    if now < sighting.claim_by {
        return Ok(Some(postponed(kernel, claimed, sighting.claim_by, now)));
    }
    let identity = kernel.one::<Identity>(sighting.identity).await?;
    let Some(identity) = identity.filter(|identity| identity.state == IdentityState::Discovered) else {
        return Ok(None);
    };
    let event = kernel
        .event(now, EventKind::DeadlineDropped)
        .subject(id)
        .subject(identity.id)
        .fact("kind", claimed.kind.as_str());
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(&identity);
    let mut evidence = serde_json::Map::new();
    for (name, said) in [("source", &sighting.source), ("system", &sighting.system), ("name", &sighting.name)] {
        evidence.insert(name.into(), said.clone().into());
    }
    evidence.insert("line".into(), sighting.line.into());
    finding::raise(kernel, &mut changeset, &rules::UNCLAIMED_LISTED, identity.id, "", evidence, now).await?;
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}

/// A page of sightings. Who may not read all of them names those that were proposed to them, or of an identity of
/// theirs.
///
/// # Errors
/// The caller may not read them.
pub async fn sightings(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Sighting>,
) -> Result<Page<Revised<Sighting>>, OpError> {
    let me = caller.person_id().map(|me| me.to_string());
    let own = match ask.value_of(Sighting::IDENTITY) {
        Some(identity) => authority::owns_subject(kernel, caller, identity).await?,
        None => me.is_some() && ask.value_of(Sighting::PROPOSED) == me.as_deref(),
    };
    authority::may_read(kernel, caller, KIND, "", own).await?;
    let (rows, end) = kernel.page(ask).await?;
    let shown = |row: Stored<Sighting>| Revised {
        record: (*row.value).clone(),
        revision: row.revision,
        hold: None,
        log: None,
        names: Names::new(),
    };
    Ok(end.page(rows.into_iter().map(shown).collect()))
}
