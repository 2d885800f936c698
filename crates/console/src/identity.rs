//! One identity as a page: who answers for it, what it is for, what it touches, for how long, what ends it and why it may
//! (R97, R115).

use askama::Template;
use tenure_api::exceptions::ExceptionView;
use tenure_api::findings::PostureView;
use tenure_api::log::{FeedEvent, Timeline};
use tenure_api::logins::LoginView;
use tenure_api::request::RequestView;
use tenure_api::usage::UsageView;
use tenure_api::views::{Access, AccessReport, CredentialView, IdentityView, Names, Page, Revised};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::right_size::{GrantedUse, UseVerdict};
use tenure_core::identity::scope::Hold;
use tenure_core::identity::{IdentityState, Kind, Releaser, RetirementCondition};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::review::{Review, ReviewAnswer};
use tenure_core::target::account::Account;

use crate::address::Address;
use crate::entry::Entry;
use crate::frame::Frame;
use crate::graph::Graph;
use crate::lineage::Lineage;
use crate::list::{Cell, Table};
use crate::markup::filters;
use crate::records::Named;
use crate::state::{Shape, State};
use crate::targets::Beside;
use crate::when::{self, When};
use crate::{identities, requests, reviews, targets, text, watch};

/// Grants that a page shows at once.
const GRANTS: usize = 16;
/// Letters of a need as a table says it; the request's page says all of it.
const LETTERS: usize = 280;

/// What an identity's page is made of.
pub struct Known {
    /// The identity.
    pub view: IdentityView,
    /// Whether the reader may see what hangs on it: who registered it for somebody else sees the record alone.
    pub is_whole: bool,
    /// What it may do, and why.
    pub access: AccessReport,
    /// The grant from which on they are shown.
    pub grants_from: usize,
    /// Its credentials.
    pub credentials: Page<CredentialView>,
    /// What it may do beside what it did, where the reader may see that.
    pub usage: Option<UsageView>,
    /// Which rules it breaks now.
    pub posture: PostureView,
    /// Its reviews, as far as they are the reader's.
    pub reviews: Vec<Revised<Review>>,
    /// Its exceptions that are in force.
    pub exceptions: Vec<ExceptionView>,
    /// Requests about it, the newest first, as far as they are the reader's.
    pub requests: Vec<RequestView>,
    /// Its accounts at targets, where the reader may read them.
    pub accounts: Vec<Revised<Account>>,
    /// Its logins just in time, the newest first, where the reader may read them.
    pub logins: Vec<Revised<LoginView>>,
    /// The last receipt of a removal of it, where the reader may read receipts.
    pub removal: Option<Receipt>,
    /// What happened, where the reader may read that.
    pub timeline: Option<Timeline>,
    /// The names of what all that names.
    pub names: Names,
}

/// One of the four answers of R97.
struct Answer {
    question: &'static str,
    state: State,
    said: String,
    evidence: Option<When>,
    none: &'static str,
    proof: Option<Address>,
}

/// Why an identity doesn't work.
struct Stopped {
    what: String,
    reason: String,
    by: Option<Named>,
    at: When,
    releaser: &'static str,
    resume: Option<Address>,
}

/// A removal of it that waits for the end of an exception.
struct Waits {
    reason: String,
    exception: Named,
    until: When,
}

/// A row of a list of facts.
struct Fact {
    label: &'static str,
    values: Vec<Cell>,
    hint: String,
}

/// A rule that is broken.
struct Broken {
    severity: State,
    rule: String,
    detail: String,
    action: String,
}

/// What it may do beside what it did.
struct Used {
    table: Table,
    share: String,
    proposal: String,
    /// Where a narrower charter is asked for, if one would do.
    narrow: Option<Address>,
}

/// What can be done.
struct Deed {
    word: &'static str,
    to: Address,
    class: &'static str,
}

/// The page of an identity.
#[derive(Template)]
#[template(path = "identity.html")]
pub struct IdentityPage {
    frame: Frame,
    kind: String,
    state: State,
    tier: State,
    environment: Option<String>,
    purpose: String,
    stopped: Vec<Stopped>,
    transfer: Option<When>,
    waits: Vec<Waits>,
    deeds: Vec<Deed>,
    answers: Vec<Answer>,
    facts: Vec<Fact>,
    picture: Option<Graph>,
    lineage: Option<Table>,
    grants: Table,
    more_grants: Option<Address>,
    used: Option<Used>,
    credentials: Table,
    more_credentials: bool,
    broken: Vec<Broken>,
    reviews: Table,
    exceptions: Table,
    requests: Table,
    accounts: Table,
    logins: Option<Table>,
    timeline: Vec<Entry>,
    is_whole: bool,
    has_timeline: bool,
    earlier: Option<Address>,
    list: Address,
    id: String,
}

impl IdentityPage {
    /// The page of an identity. The frame's title is its name.
    pub fn new(frame: Frame, known: Known) -> Self {
        let now = frame.now;
        let answers = answers(&known, now);
        let Known {
            view,
            is_whole,
            access,
            grants_from,
            credentials,
            usage,
            posture,
            reviews,
            exceptions,
            requests,
            accounts,
            logins,
            timeline,
            names,
            ..
        } = known;
        let names = &names;
        let address = Address::new("/identities").below(&view.record.id.to_string());
        let facts = facts(&view, names, now);
        let identity = &view.record;
        let (picture, lineage) = match is_whole {
            true => {
                let Lineage { picture, table } =
                    Lineage::of(&view, &access.access, &credentials.items, credentials.next.is_some(), names);
                (Some(picture), Some(table))
            }
            false => (None, None),
        };
        let has_timeline = timeline.is_some();
        let (events, before) = timeline.map(|timeline| (timeline.items, timeline.before)).unwrap_or_default();
        Self {
            kind: text::plain(identity.kind.as_str()),
            state: identities::state(&view),
            tier: identity.tier.into(),
            environment: identity.charter.environment.clone(),
            purpose: identity.charter.purpose.clone().unwrap_or_else(|| text::NO_PURPOSE.to_owned()),
            stopped: stopped(&view, &address, names, now),
            transfer: identity.transfer.as_ref().map(|window| When::new(window.deadline, now)),
            waits: waits(&view, names, now),
            deeds: deeds(&view, &address, is_whole),
            answers,
            facts,
            picture,
            lineage,
            grants: grants(access.access.iter().skip(grants_from), names, now),
            more_grants: (access.access.len() > grants_from.saturating_add(GRANTS))
                .then(|| address.clone().with("grants", grants_from.saturating_add(GRANTS).to_string())),
            used: usage.map(|usage| used(&usage, &address, names, now)),
            more_credentials: credentials.next.is_some(),
            credentials: credential_table(&credentials.items, names, now),
            broken: posture.broken.into_iter().map(broken).collect(),
            exceptions: exception_table(&exceptions, names, now),
            requests: request_table(&requests, names, now),
            accounts: targets::accounts_of(&accounts, names, now),
            logins: targets::logins_of(&logins, Beside::Target, names, now),
            reviews: review_table(&reviews, names, now),
            timeline: events.into_iter().map(|event: FeedEvent| Entry::new(event, names, now)).collect(),
            is_whole,
            has_timeline,
            earlier: before.map(|before| address.clone().with("before", before.to_string())),
            list: Address::new("/identities"),
            id: identity.id.to_string(),
            frame: Frame { title: identity.name.clone(), ..frame },
        }
    }
}

/// Actions on resources in words: `read, list on https://orders.internal`.
pub fn scope_line(entitlement: &Entitlement, names: &Names) -> String {
    let resource = names.get(&entitlement.resource).unwrap_or(&entitlement.resource);
    format!("{} on {resource}", entitlement.actions.join(", "))
}

/// Still needed, still scoped, still monitored, still removable: each by what did happen.
fn answers(known: &Known, now: Timestamp) -> Vec<Answer> {
    let Known { view, access, posture, reviews, .. } = known;
    let identity = &view.record;
    let kept = reviews.iter().filter_map(|review| review.record.answer.as_ref());
    let kept = kept.filter(|answer| answer.answer == ReviewAnswer::Keep).map(|answer| answer.at).max();
    let evidence = view.last_used.max(kept);
    let recent = |at: Timestamp| now.since(at) <= Span::from_days(30);
    let needed = Answer {
        question: text::STILL_NEEDED,
        state: match evidence {
            Some(at) if recent(at) => State::new(Shape::Good, text::YES),
            Some(_) => State::new(Shape::Warn, text::LONG_AGO),
            None => State::new(Shape::Warn, text::NEVER),
        },
        said: match (view.last_used, kept) {
            (Some(_), None) => text::BY_USE.to_owned(),
            (_, Some(_)) if evidence == kept => text::BY_REVIEW.to_owned(),
            (Some(_), Some(_)) => text::BY_USE.to_owned(),
            (None, _) => text::NEVER_USED.to_owned(),
        },
        evidence: evidence.map(|at| When::new(at, now)),
        none: "",
        proof: None,
    };
    let live = access.access.iter().filter(|access| access.live).count();
    let wide = posture.broken.iter().any(|broken| broken.rule.contains("scope"));
    let scoped = Answer {
        question: text::STILL_SCOPED,
        state: if wide { State::new(Shape::Bad, text::NO) } else { State::new(Shape::Good, text::YES) },
        said: text::scoped(identity.charter.scope.len(), live),
        evidence: Some(When::new(posture.at, now)),
        none: "",
        proof: None,
    };
    let findings = posture.broken.len();
    let monitored = Answer {
        question: text::STILL_MONITORED,
        state: if findings == 0 { State::new(Shape::Good, text::YES) } else { State::new(Shape::Warn, text::YES) },
        said: text::monitored(posture.rules.len(), findings),
        evidence: Some(When::new(posture.at, now)),
        none: "",
        proof: None,
    };
    // By what did happen: the last removal, or the last drill that proved something.
    let removed = known.removal.as_ref().map(|receipt| (receipt.in_force_at, Some(receipt.id)));
    let drilled = view.drill.as_ref().filter(|drill| drill.proven).map(|drill| (drill.at, drill.receipt));
    let tried = removed.max(drilled);
    let removable = Answer {
        question: text::STILL_REMOVABLE,
        state: match &view.removal_group {
            _ if !view.silent.is_empty() => State::new(Shape::Bad, text::NO),
            Some(group) if group.has_active_member => State::new(Shape::Good, text::YES),
            Some(_) => State::new(Shape::Bad, text::NO),
            None => State::new(Shape::Warn, text::NOBODY_NAMED),
        },
        said: match &view.removal_group {
            _ if !view.silent.is_empty() => text::silent(view.silent.iter().map(|silent| silent.name.as_str())),
            Some(group) if group.has_active_member => format!("{} {}", group.name, text::REMOVES_IT),
            Some(group) => format!("{} {}", group.name, text::HAS_NO_MEMBER),
            None => text::NO_REMOVAL_GROUP.to_owned(),
        },
        evidence: tried.map(|(at, _)| When::new(at, now)),
        none: if view.drill.is_some() { text::DRILL_UNPROVEN } else { text::NEVER_TRIED },
        proof: tried.and_then(|(_, id)| id).map(|id| Address::new("/receipts").below(&id.to_string())),
    };
    vec![needed, scoped, monitored, removable]
}

fn waits(view: &IdentityView, names: &Names, now: Timestamp) -> Vec<Waits> {
    let deferred = view.record.deferred.iter();
    let waits = deferred.map(|deferred| Waits {
        reason: text::reason(&deferred.reason),
        exception: Named { name: text::AN_EXCEPTION.to_owned(), ..Named::of(deferred.exception, names) },
        until: When::new(deferred.until, now),
    });
    waits.collect()
}

fn stopped(view: &IdentityView, address: &Address, names: &Names, now: Timestamp) -> Vec<Stopped> {
    let releaser = |releaser: Releaser| match releaser {
        Releaser::Owner => text::OWNER_RELEASES,
        Releaser::Security => text::SECURITY_RELEASES,
    };
    let causes = view.record.suspensions.iter().enumerate().map(|(n, cause)| Stopped {
        what: text::SUSPENDED.to_owned(),
        reason: text::reason(&cause.reason),
        by: cause.placed_by.map(|by| Named::of(by, names)),
        at: When::new(cause.at, now),
        releaser: releaser(cause.releasable_by),
        resume: Some(address.clone().verb("resume").with("cause", n.to_string())),
    });
    let holds = view.holds.iter().map(|hold: &Hold| Stopped {
        what: text::held(hold.scope.kind()),
        reason: text::reason(&hold.reason),
        by: hold.placed_by.map(|by| Named::of(by, names)),
        at: When::new(hold.at, now),
        releaser: releaser(hold.releasable_by),
        resume: None,
    });
    causes.chain(holds).collect()
}

fn deeds(view: &IdentityView, address: &Address, is_whole: bool) -> Vec<Deed> {
    let mut deeds = steps(view, address);
    let charter = &view.record.charter;
    let is_chained = view.record.kind == Kind::Agent || !charter.tasks.is_empty() || !charter.delegates.is_empty();
    if is_whole && is_chained {
        deeds.push(Deed { word: text::TASKS_AND_CHAINS, to: address.clone().verb("chains"), class: "" });
    }
    deeds
}

fn steps(view: &IdentityView, address: &Address) -> Vec<Deed> {
    let deed = |word, verb: &str, class| Deed { word, to: address.clone().verb(verb), class };
    let stop = Deed {
        word: text::STOP_IT,
        to: Address::new("/stop").verb("identity").below(&view.record.id.to_string()),
        class: "danger",
    };
    match view.record.state {
        IdentityState::Active => vec![
            stop,
            deed(text::ASK_ACCESS, "access", ""),
            deed(text::SUSPEND, "suspend", ""),
            deed(text::RENEW, "renew", ""),
            deed(text::TRANSFER, "transfer", ""),
            deed(text::RETIRE, "retire", ""),
        ],
        IdentityState::Suspended => vec![stop, deed(text::TRANSFER, "transfer", ""), deed(text::RETIRE, "retire", "")],
        IdentityState::Retiring => vec![stop],
        IdentityState::Discovered => vec![deed(text::CLAIM_IT, "claim", ""), deed(text::RETIRE, "retire", "")],
        IdentityState::Draft | IdentityState::Pending => vec![deed(text::CLOSE, "close", "")],
        IdentityState::Retired | IdentityState::Closed => Vec::new(),
    }
}

fn facts(view: &IdentityView, names: &Names, now: Timestamp) -> Vec<Fact> {
    let identity = &view.record;
    let charter = &identity.charter;
    let named = |id: String| Cell::Named(Named::of(id, names));
    let mut facts = Vec::new();
    let mut fact = |label, values: Vec<Cell>, hint: String| {
        if !values.is_empty() {
            facts.push(Fact { label, values, hint });
        }
    };
    fact(text::OWNER, charter.owner.map(|id| named(id.to_string())).into_iter().collect(), String::new());
    fact(text::BACKUP, charter.backup_owner.map(|id| named(id.to_string())).into_iter().collect(), String::new());
    if let Some(group) = &view.removal_group {
        let hint = if group.of_application { text::OF_THE_APPLICATION } else { "" };
        fact(text::REMOVAL_GROUP, vec![named(group.team.to_string())], hint.to_owned());
    }
    fact(text::APPLICATION, charter.application.map(|id| named(id.to_string())).into_iter().collect(), String::new());
    fact(text::VENDOR, charter.vendor.map(|id| named(id.to_string())).into_iter().collect(), String::new());
    let workload = charter.workload_binding.as_ref().map(|binding| Cell::Text(binding.workload().to_owned()));
    fact(text::WORKLOAD, workload.into_iter().collect(), String::new());
    let consumers = view.consumers.iter().map(|consumer| match (&consumer.workload, consumer.last_used) {
        (Some(workload), Some(at)) => {
            format!("{} ({workload}), used last {}", consumer.consumer, when::relative(at, now))
        }
        (Some(workload), None) => format!("{} ({workload}), {}", consumer.consumer, text::NOT_USED_YET),
        (None, _) => format!("{}, {}", consumer.consumer, text::NOT_TOLD_APART),
    });
    fact(text::CONSUMERS_OF_IT, consumers.map(Cell::Text).collect(), String::new());
    let scope = charter.scope.iter().map(|entitlement| Cell::Text(scope_line(entitlement, names)));
    fact(
        text::TOUCHES,
        scope.collect(),
        charter.coverage.map(|coverage| text::plain(coverage.as_str())).unwrap_or_default(),
    );
    let grants = charter.account_grants.iter().flat_map(|account| account.grants.iter().cloned());
    let there: Vec<Cell> = grants.take(GRANTS).map(Cell::Text).collect();
    let all = charter.account_grants.iter().map(|account| account.grants.len() as u64 + u64::from(account.more_grants));
    let beyond = all.sum::<u64>().saturating_sub(there.len() as u64);
    let more = if beyond > 0 { text::and_more(beyond) } else { String::new() };
    fact(text::MAY_THERE, there, more);
    fact(text::DATA, charter.data_domains.iter().cloned().map(Cell::Text).collect(), String::new());
    fact(
        text::ENDS_AT,
        charter.expires_at.map(|end| Cell::Time(When::new(end, now))).into_iter().collect(),
        String::new(),
    );
    if let Some(certificate) = &view.certificate {
        fact(
            text::CERTIFICATE_ENDS,
            vec![Cell::Time(When::new(certificate.not_after, now))],
            text::certificate(certificate.state, &certificate.serial),
        );
    }
    let sunsets = view.deprecations.iter().map(|sunset| Cell::Time(When::new(sunset.sunset, now)));
    fact(text::SUNSET, sunsets.collect(), String::new());
    fact(
        text::ENDS_IT,
        charter.retirement.iter().map(|condition| Cell::Text(retirement(condition))).collect(),
        String::new(),
    );
    if let Some(activation) = &identity.activation {
        let approved = activation.by.iter().map(|by| named(by.to_string()));
        let values =
            if activation.by.is_empty() { vec![Cell::Text(text::A_RULE.to_owned())] } else { approved.collect() };
        fact(text::APPROVED_BY, values, format!("{}, {}", when::exact(activation.at), activation.policies.join(", ")));
        fact(text::NEED_AS_APPROVED, vec![Cell::Text(activation.purpose.clone())], String::new());
        fact(
            text::APPROVED_IN,
            vec![Cell::Named(Named { name: text::THE_REQUEST.to_owned(), ..Named::of(activation.request, names) })],
            String::new(),
        );
    }
    if let Some(retirement) = &identity.retirement {
        fact(
            text::RETIRED_BECAUSE,
            vec![Cell::Text(text::plain(&retirement.because))],
            when::exact(retirement.started_at),
        );
    }
    let lives = charter.credential_types.iter().map(|kind| text::plain(kind.as_str())).collect::<Vec<_>>().join(", ");
    let ttl = charter.credential_ttl.map(|ttl| format!("{} {}", text::FOR, when::span(ttl))).unwrap_or_default();
    fact(
        text::CREDENTIAL_TYPES,
        Some(lives).filter(|lives| !lives.is_empty()).map(Cell::Text).into_iter().collect(),
        ttl,
    );
    if let Some(parties) = &charter.parties {
        let name = |party: &str| names.get(party).map_or_else(|| party.to_owned(), Clone::clone);
        fact(text::RUN_BY, vec![Cell::Text(name(&parties.operator))], String::new());
        fact(text::SERVES, vec![Cell::Text(name(&parties.beneficiary))], String::new());
    }
    fact(text::REGISTERED_BY, vec![named(identity.registered_by.to_string())], when::exact(identity.created_at));
    facts
}

fn retirement(condition: &RetirementCondition) -> String {
    match condition {
        RetirementCondition::Date { at } => format!("{} {}", text::ON, when::exact(*at)),
        RetirementCondition::Idle { after } => format!("{} {}", when::span(*after), text::WITHOUT_USE),
        RetirementCondition::TaskCompleted => text::TASK_COMPLETED.to_owned(),
    }
}

fn grants<'a>(access: impl Iterator<Item = &'a Access>, names: &Names, now: Timestamp) -> Table {
    let row = |access: &Access| {
        let approved: Vec<String> = access
            .approved_by
            .iter()
            .map(|by| names.get(&by.to_string()).cloned().unwrap_or_else(|| by.to_string()))
            .collect();
        vec![
            Cell::Text(scope_line(&access.entitlement, names)),
            Cell::State(if access.live {
                State::new(Shape::Good, text::LIVE)
            } else {
                State::new(Shape::Wait, text::NOT_LIVE)
            }),
            Cell::Time(When::new(access.until, now)),
            Cell::Text(if approved.is_empty() { text::A_RULE.to_owned() } else { approved.join(", ") }),
            Cell::Text(text::cut(&access.need, LETTERS)),
            Cell::Named(Named { name: text::THE_REQUEST.to_owned(), ..Named::of(access.request, names) }),
        ]
    };
    Table::new(
        text::GRANTS,
        &["What", "State", "Until", "Approved by", "For which need", "Request"],
        access.take(GRANTS).map(row).collect(),
    )
}

fn used(usage: &UsageView, address: &Address, names: &Names, now: Timestamp) -> Used {
    let row = |granted: &GrantedUse| {
        vec![
            Cell::Text(names.get(&granted.resource).cloned().unwrap_or_else(|| granted.resource.clone())),
            Cell::Text(granted.action.clone()),
            Cell::State(verdict(granted.verdict)),
            Cell::Number(granted.allowed),
            Cell::Number(granted.refused),
            Cell::of(granted.last_used.map(|at| When::new(at, now))),
        ]
    };
    let sized = &usage.right_size;
    let columns = ["Resource", "Action", "Use", "Allowed", "Refused", "Last used"];
    Used {
        table: Table::new(text::GRANTED_AND_USED, &columns, sized.granted.iter().map(row).collect()),
        share: text::unused_share(usage.unused.things, usage.unused.of, usage.window.days()),
        proposal: match sized.withheld {
            Some(withheld) => text::not_proposed(withheld.hint()),
            None => text::replayed(sized.replayed.would_deny, sized.replayed.of),
        },
        narrow: sized.proposal.as_ref().map(|_| address.clone().verb("right-size")),
    }
}

fn verdict(verdict: UseVerdict) -> State {
    match verdict {
        UseVerdict::Used => State::new(Shape::Good, text::WAS_USED),
        UseVerdict::New => State::new(Shape::Wait, text::NEWLY_GRANTED),
        UseVerdict::Untold => State::new(Shape::Wait, text::UNTOLD),
        UseVerdict::Rare => State::new(Shape::Warn, text::RARE),
        UseVerdict::Unused => State::new(Shape::Over, text::UNUSED),
    }
}

fn credential_table(items: &[CredentialView], names: &Names, now: Timestamp) -> Table {
    let row = |view: &CredentialView| {
        let credential = &view.record;
        let state = if view.state == "live" {
            State::new(Shape::Good, text::LIVE)
        } else {
            State::new(Shape::Over, &view.state)
        };
        vec![
            Cell::Text(text::plain(credential.kind.as_str())),
            Cell::State(state),
            Cell::Named(Named::of(credential.resource, names)),
            Cell::Text(credential.actions.join(", ")),
            Cell::of(view.consumer.clone().map(Cell::Text)),
            Cell::Time(When::new(credential.issued_at, now)),
            Cell::Time(When::new(credential.expires_at, now)),
            Cell::Text(if credential.confirmation.is_some() {
                text::KEY_BOUND.to_owned()
            } else {
                text::BEARER.to_owned()
            }),
        ]
    };
    Table::new(
        text::CREDENTIALS,
        &["Type", "State", "For", "Actions", "Consumer", "Issued", "Ends", "Good with"],
        items.iter().map(row).collect(),
    )
}

fn review_table(reviews: &[Revised<Review>], names: &Names, now: Timestamp) -> Table {
    let row = |review: &Revised<Review>| {
        let review = &review.record;
        vec![
            Cell::Named(Named { name: text::plain(review.trigger.as_str()), ..Named::of(review.id, names) }),
            Cell::State(reviews::review_state(review, now)),
            Cell::of(review.reviewer.map(|reviewer| Named::of(reviewer, names))),
            Cell::Time(When::new(review.due_at, now)),
        ]
    };
    Table::new(text::REVIEWS, &["Why", "State", "Reviewer", "Due"], reviews.iter().map(row).collect())
}

fn exception_table(exceptions: &[ExceptionView], names: &Names, now: Timestamp) -> Table {
    let row = |view: &ExceptionView| {
        let exception = &view.record;
        let waives = text::plain(exception.kind.as_str());
        vec![
            Cell::Record {
                record: Named { name: waives, ..Named::of(exception.id, names) },
                lesser: exception.reason.clone(),
            },
            Cell::State(watch::exception_state(*exception.state)),
            Cell::of(exception.ends_at.map(|end| When::new(end, now))),
        ]
    };
    Table::new(text::EXCEPTIONS, &["Waives", "State", "Ends"], exceptions.iter().map(row).collect())
}

fn request_table(requests: &[RequestView], names: &Names, now: Timestamp) -> Table {
    let row = |view: &RequestView| {
        let request = &view.request;
        vec![
            Cell::Record { record: requests::named(request, names), lesser: text::cut(&request.purpose, LETTERS) },
            Cell::State(request.state.into()),
            Cell::Named(requests::asker(request, names)),
            Cell::Time(When::new(request.opened_at, now)),
        ]
    };
    Table::new(text::REQUESTS, &["What", "State", "Asked by", "Asked"], requests.iter().map(row).collect())
}

fn broken(broken: tenure_api::findings::BrokenView) -> Broken {
    Broken {
        severity: broken.severity.into(),
        rule: text::sentence(&text::plain(&broken.rule.replace('-', " "))),
        detail: broken.detail,
        action: broken.action,
    }
}
