//! What a list is asked: where to go on, how many, and what it is narrowed by. One extractor for all lists, and one
//! table that says what each takes: an unknown parameter, a value that no record can have, or a limit out of bounds is
//! told, never an empty list.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::value::Error as ValueError;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::{Value, json};
use tenure_core::base::id::{
    AccountId, ApplicationId, CampaignId, CloudAccountId, CredentialId, IdentityId, NeedId, PersonGrantId, PersonId,
    ResourceId, SourceId, TargetId, TeamId, VendorId,
};
use tenure_core::base::problem::FieldProblem;
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::Receipt;
use tenure_core::finding::exceptional::{Access, ExceptionalAccess};
use tenure_core::finding::{Finding, FindingState, Severity, rules};
use tenure_core::identity::naming::NamingStandard;
use tenure_core::identity::scope::Hold;
use tenure_core::identity::template::Template;
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState, Kind, RiskTier};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::deprecation::{Deprecation, DeprecationState};
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Need, Standing, Vendor};
use tenure_core::people::difference::Difference;
use tenure_core::people::person::{Person, PersonClass, PersonState, Role};
use tenure_core::people::person_grant::{Package, PersonGrant, PersonGrantState};
use tenure_core::people::sign_in::Invitation;
use tenure_core::people::team::Team;
use tenure_core::policy::set::{PolicySet, PolicySetState};
use tenure_core::request::break_glass::{BreakGlass, BreakGlassState};
use tenure_core::request::campaign::{Campaign, CampaignCause, CampaignState};
use tenure_core::request::exception::{Exception, ExceptionState, ExceptionType};
use tenure_core::request::review::{Review, ReviewState, ReviewTrigger};
use tenure_core::request::{Class, Matter, Request, RequestState};
use tenure_core::signal::removal::{Removal, RemovalState};
use tenure_core::signal::{Format, Signal, SignalKind, SignalState, Source, SubjectKind};
use tenure_core::store::document::{Order, words};
use tenure_core::store::row::{Record, RowKind};
use tenure_core::store::term::Field;
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::connector::TargetKind;
use tenure_core::target::drift::{Drift, DriftKind, DriftState};
use tenure_core::target::login::{Login, LoginState};
use tenure_core::target::sighting::Sighting;
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::issuer::Issuer;
use tenure_core::trust::state::TrustState;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::{DEFAULT_PAGE, ListAsk, MAX_PAGE};

use crate::contract::api::{Operation, Takes};
use crate::contract::error::Failure;
use crate::contract::query::{parameter, parameters};

/// Words that records of a searched kind are looked for by.
const SEARCH: &str = "q";
/// Their order.
const SORT: &str = "sort";
/// Whether they are counted.
const COUNT: &str = "count";
/// How many words may be looked for at once.
const MAX_WORDS: usize = 16;
/// The longest value of a filter in bytes: what an index of a store takes, without the filter's name.
const MAX_VALUE: usize = 480;

/// Says what a text should be, if it isn't.
type Check = fn(&str) -> Result<(), String>;

/// What a list of these records can be narrowed by: a field that they are listed by, and what its values are.
type Filter<T> = (Field<T>, Check);

/// Records that are listed.
pub(crate) trait Filtered: Record {
    /// What the list can be narrowed by.
    const FILTERS: &'static [Filter<Self>];

    /// Whether it takes an order: those of the index of records, or by ids the newest first.
    fn is_sorted() -> bool {
        Self::KIND.is_searched() || matches!(Self::KIND, RowKind::Request | RowKind::Receipt)
    }
}

/// What the list of a kind of record is asked.
pub(crate) struct List<T> {
    pub ask: ListAsk<T>,
}

impl<T: Filtered, S: Send + Sync> FromRequestParts<S> for List<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

impl<T: Filtered> List<T> {
    /// What a query asks of the list.
    pub(crate) fn of(query: &str) -> Result<Self, Failure> {
        Ok(Self { ask: read::<T>(query).map_err(OpError::Invalid)? })
    }
}

impl<T: Filtered> Takes for List<T> {
    fn describe(operation: &mut Operation<'_>) {
        let text = json!({"type": "string"});
        for (filter, check) in T::FILTERS {
            // Whatever a filter takes, it isn't nothing; what it takes stands in the refusal of that.
            let taken = check("").err().unwrap_or_default();
            operation.parameter(
                "query",
                filter.name(),
                &format!("Only those with this: {taken}."),
                &values(*check, &taken),
            );
        }
        if T::KIND.is_searched() {
            let any = json!({"type": "string", "minLength": 1, "maxLength": MAX_VALUE});
            let words =
                "Only those of which a word begins like each of these: of name, purpose, e-mail address or URI.";
            operation.parameter("query", SEARCH, words, &any);
            let count = json!({"type": "string", "enum": ["true"]});
            operation.parameter("query", COUNT, "Whether to say how many there are on all pages.", &count);
            operation.problem(503);
        }
        if T::is_sorted() {
            let sorts: Vec<String> = sorts::<T>().collect();
            let sort = json!({"type": "string", "enum": sorts});
            operation.parameter("query", SORT, "In which order; with `-` before it, the other way round.", &sort);
        }
        operation.parameter("query", "after", "Only what follows the page that named this as its `next`.", &text);
        let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE});
        operation.parameter("query", "limit", "How many at most.", &limit);
        operation.problem(422);
    }
}

/// The orders of a kind as its list takes them, both ways.
fn sorts<T: Record>() -> impl Iterator<Item = String> {
    let orders = std::iter::once(Order::Id).chain(T::ORDERS.iter().copied());
    orders.flat_map(|order| [order.to_string(), format!("-{order}")])
}

/// The order that a text means, and whether it is turned round.
fn sort_of<T: Record>(text: &str) -> Result<(Order, bool), String> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let order = name.parse().ok().filter(|order| *order == Order::Id || T::ORDERS.contains(order));
    order.map(|order| (order, descending)).ok_or_else(|| {
        let words: Vec<String> = sorts::<T>().map(|sort| format!("`{sort}`")).collect();
        format!("one of {}", words.join(", "))
    })
}

/// The values that a filter takes: the words that its refusal names, if it takes these, or a text.
fn values(check: Check, taken: &str) -> Value {
    let words: Vec<&str> = taken.split('`').skip(1).step_by(2).filter(|word| check(word).is_ok()).collect();
    let is_a_word = check("no word at all").is_err();
    match words.is_empty() || !is_a_word {
        true => json!({"type": "string", "minLength": 1, "maxLength": MAX_VALUE}),
        false => json!({"type": "string", "enum": words}),
    }
}

/// Reads the query of a list, or names everything that is wrong with it.
fn read<T: Filtered>(query: &str) -> Result<ListAsk<T>, Vec<FieldProblem>> {
    let filters = T::FILTERS;
    let (is_searched, is_sorted) = (T::KIND.is_searched(), T::is_sorted());
    let mut ask = ListAsk::default();
    let mut problems = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in parameters(query)? {
        let problem = |code: &str, hint: String| FieldProblem::new(parameter(&name), code, hint);
        if seen.contains(&name) {
            problems.push(problem("parameter_repeated", "give it once".to_owned()));
            continue;
        }
        match (name.as_str(), filters.iter().find(|(filter, _)| filter.name() == name)) {
            ("after", _) => ask.after = Some(value),
            ("limit", _) => match value.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)) {
                Some(limit) => ask.limit = Some(limit),
                None => problems.push(problem("limit_unfit", format!("ask for 1 to {MAX_PAGE} records"))),
            },
            (SEARCH, _) if is_searched => match text(&value) {
                Ok(()) if !(1..=MAX_WORDS).contains(&words(&value).len()) => {
                    problems.push(problem(
                        "value_unknown",
                        format!("it takes 1 to {MAX_WORDS} words of letters and digits"),
                    ));
                }
                Ok(()) => ask.text = Some(value),
                Err(taken) => problems.push(problem("value_unknown", format!("it takes {taken}"))),
            },
            (SORT, _) if is_sorted => match sort_of::<T>(&value) {
                Ok(sort) => ask.sort = Some(sort),
                Err(taken) => problems.push(problem("value_unknown", format!("it takes {taken}"))),
            },
            (COUNT, _) if is_searched => match flag(&value) {
                Ok(()) => ask.count = true,
                Err(taken) => problems.push(problem("value_unknown", format!("it takes {taken}"))),
            },
            (_, Some((filter, check))) => match check(&value) {
                Ok(()) => ask.filters.push(filter.of(value)),
                Err(taken) => problems.push(problem("value_unknown", format!("it takes {taken}"))),
            },
            (_, None) => {
                let takes = [(is_searched, SEARCH), (is_sorted, SORT), (is_searched, COUNT)];
                let orders = takes.into_iter().filter_map(|(takes, parameter)| takes.then_some(parameter));
                let besides = orders.chain(["after", "limit"]);
                let names: Vec<&str> = filters.iter().map(|(filter, _)| filter.name()).chain(besides).collect();
                problems.push(problem("parameter_unknown", format!("this list takes {}", names.join(", "))));
            }
        }
        seen.push(name);
    }
    if problems.is_empty() { Ok(ask) } else { Err(problems) }
}

/// The scope of a campaign, as the list of identities reads it.
pub(crate) fn scope_of(scope: &str) -> Result<ListAsk<Identity>, Failure> {
    let named = |problem: FieldProblem| FieldProblem { field: format!("scope.{}", problem.field), ..problem };
    let asked =
        read::<Identity>(scope).map_err(|problems| OpError::Invalid(problems.into_iter().map(named).collect()))?;
    if asked.after.is_some() || asked.limit.is_some() || asked.sort.is_some() || asked.count {
        let hint = "give only words (`q`) and filters: a campaign has no pages";
        return Err(OpError::field("scope", "scope_unfit", hint).into());
    }
    Ok(asked)
}

/// A word of an enumeration, as records spell it.
fn word<T: DeserializeOwned>(text: &str) -> Result<(), String> {
    let read: Result<T, ValueError> = T::deserialize(text.into_deserializer());
    read.map(drop).map_err(|error| {
        let error = error.to_string();
        // What stands before it is what was given.
        error.rsplit_once(", expected ").map_or("another value", |(_, expected)| expected).to_owned()
    })
}

fn one_of(words: &[&str], text: &str) -> Result<(), String> {
    if words.contains(&text) {
        return Ok(());
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    Err(format!("one of {}", quoted.join(", ")))
}

fn id<T: FromStr<Err: Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string().trim_start_matches("expected ").to_owned())
}

/// A name of somebody's choice.
fn text(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_VALUE || text.chars().any(char::is_control) {
        return Err(format!("a text of 1 to {MAX_VALUE} bytes without control characters"));
    }
    Ok(())
}

fn flag(text: &str) -> Result<(), String> {
    one_of(&["true"], text)
}

fn decided(text: &str) -> Result<(), String> {
    one_of(&["open", "decided"], text)
}

/// What a request is about.
fn matter(text: &str) -> Result<(), String> {
    one_of(&Matter::NAMES, text)
}

fn rule(text: &str) -> Result<(), String> {
    if rules::ALL.iter().any(|rule| rule.id == text) {
        return Ok(());
    }
    Err("the id of a rule: GET /v1/finding-rules names them".to_owned())
}

/// Whoever asked: a person, or an identity itself.
fn asker(text: &str) -> Result<(), String> {
    id::<PersonId>(text).or_else(|person| id::<IdentityId>(text).map_err(|identity| format!("{person}, or {identity}")))
}

/// What a signal is about, e.g. `application:payments`.
fn signalled(value: &str) -> Result<(), String> {
    let known =
        value.split_once(':').is_some_and(|(kind, name)| word::<SubjectKind>(kind).is_ok() && text(name).is_ok());
    known.then_some(()).ok_or_else(|| "type:name, e.g. application:payments".to_owned())
}

/// A sort of thing that can be deprecated.
fn deprecated_kind(value: &str) -> Result<(), String> {
    one_of(&["application", "vendor", "need", "identity"], value)
}

/// A sort of scope.
fn scope_kind(value: &str) -> Result<(), String> {
    one_of(&["identity", "owner", "application", "environment", "vendor", "cloud_account"], value)
}

/// What was revoked, e.g. `identity/idn_…`.
fn target(value: &str) -> Result<(), String> {
    let known = value.split_once('/').is_some_and(|(kind, subject)| {
        let good = match kind {
            "credential" => id::<CredentialId>(subject),
            "identity" => id::<IdentityId>(subject),
            "owner" | "person" => id::<PersonId>(subject),
            "application" => id::<ApplicationId>(subject),
            "environment" => text(subject),
            "vendor" => id::<VendorId>(subject),
            "cloud_account" => id::<CloudAccountId>(subject),
            _ => return false,
        };
        good.is_ok()
    });
    let taken =
        "type/id, with a type of credential, identity, person, owner, application, environment, vendor, cloud_account";
    known.then_some(()).ok_or_else(|| taken.to_owned())
}

macro_rules! filters {
    ($($record:ty { $($field:ident: $check:expr),* $(,)? })*) => {
        $(impl Filtered for $record { const FILTERS: &'static [Filter<Self>] = &[$((<$record>::$field.as_text(), $check)),*]; })*
    };
}

// What stands here is a field of the record's terms: the store finds nothing by anything else.
filters! {
    Person { STATE: word::<PersonState>, ROLE: word::<Role>, CLASS: word::<PersonClass>, MANAGER: id::<PersonId>, TEAM: id::<TeamId>, SOURCE: text }
    Team { NAME: text }
    Difference { STATE: decided, SOURCE: text, PERSON: id::<PersonId> }
    Transfer { STATE: word::<TransferState>, IDENTITY: id::<IdentityId>, FROM: id::<PersonId>, OFFERED_TO: id::<PersonId> }
    Application { NAME: text, OWNER: id::<PersonId>, STANDING: word::<Standing> }
    Environment {}
    Resource { URI: text, ENVIRONMENT: text, APPLICATION: id::<ApplicationId>, TYPE: text }
    Issuer { URL: text }
    Vendor { NAME: text, OWNER: id::<PersonId>, STANDING: word::<Standing> }
    CloudAccount { PROVIDER: text, ACCOUNT: text, ENVIRONMENT: text, STANDING: word::<Standing> }
    DataDomain {}
    NamingStandard {}
    BreakGlass { IDENTITY: id::<IdentityId>, STATE: word::<BreakGlassState> }
    Deprecation { STATE: word::<DeprecationState>, OF_KIND: deprecated_kind }
    Need { NAME: text, OWNER: id::<PersonId>, STANDING: word::<Standing> }
    Identity {
        NAME: text, STATE: word::<IdentityState>, OF_KIND: word::<Kind>, OWNER: id::<PersonId>, APPLICATION: id::<ApplicationId>,
        ENVIRONMENT: text, ENFORCES: id::<ResourceId>, VENDOR: id::<VendorId>, CLOUD_ACCOUNT: id::<CloudAccountId>, NEED: id::<NeedId>,
        SHARED: flag, TIER: word::<RiskTier>, UNOWNED: flag,
    }
    Credential {}
    Receipt { TARGET: target }
    Template { OF_KIND: word::<Kind> }
    Package {}
    PersonGrant { STATE: word::<PersonGrantState>, PERSON: id::<PersonId>, RESOURCE: id::<ResourceId> }
    Request {
        STATE: word::<RequestState>, TYPE: matter, CLASS: word::<Class>, IDENTITY: id::<IdentityId>, PERSON: id::<PersonId>,
        REQUESTER: asker,
    }
    PolicySet { STATE: word::<PolicySetState> }
    Review {
        STATE: word::<ReviewState>, IDENTITY: id::<IdentityId>, PERSON_GRANT: id::<PersonGrantId>, REVIEWER: id::<PersonId>,
        TRIGGER: word::<ReviewTrigger>, CAMPAIGN: id::<CampaignId>,
    }
    Campaign { STATE: word::<CampaignState>, CAUSE: word::<CampaignCause> }
    Exception { STATE: word::<ExceptionState>, TYPE: word::<ExceptionType>, IDENTITY: id::<IdentityId>, PERSON: id::<PersonId> }
    Finding { SUBJECT: text, RULE: rule, STATE: word::<FindingState>, SEVERITY: word::<Severity> }
    Source { NAME: text, FORMAT: word::<Format>, OWNER: id::<PersonId>, STATE: word::<TrustState> }
    TargetSystem { NAME: text, OF_KIND: word::<TargetKind>, STATE: word::<TrustState>, OWNER: id::<PersonId>, IDENTITY: id::<IdentityId> }
    Account { TARGET: id::<TargetId>, IDENTITY: id::<IdentityId>, STATE: word::<AccountState>, NAME: text, PROPOSED: id::<PersonId> }
    Login { TARGET: id::<TargetId>, IDENTITY: id::<IdentityId>, STATE: word::<LoginState> }
    Drift {
        TARGET: id::<TargetId>, IDENTITY: id::<IdentityId>, ACCOUNT: id::<AccountId>, OF_KIND: word::<DriftKind>,
        STATE: word::<DriftState>,
    }
    Sighting { SOURCE: text, IDENTITY: id::<IdentityId>, PROPOSED: id::<PersonId> }
    Signal { SOURCE: id::<SourceId>, OF_KIND: word::<SignalKind>, SUBJECT: signalled, STATE: word::<SignalState> }
    Removal { STATE: word::<RemovalState>, SUBJECT: signalled, OF_KIND: word::<SignalKind>, IDENTITY: id::<IdentityId> }
    ExceptionalAccess { ACCESS: word::<Access>, IDENTITY: id::<IdentityId>, WITH: text }
    Invitation {}
    Hold { KIND_OF_SCOPE: scope_kind, PLACED_BY: id::<PersonId> }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(query: &str) -> Vec<(String, String)> {
        let problems = read::<Person>(query).unwrap_err();
        problems.into_iter().map(|problem| (problem.field, problem.code)).collect()
    }

    #[test]
    fn d12_everything_that_is_wrong_with_a_query_is_named_at_once() {
        let ask = read::<Person>("state=active&limit=200&after=x&source=hr%20one").unwrap();
        assert_eq!(ask.filters, [Person::STATE.of(PersonState::Active), Person::SOURCE.of("hr one")]);
        assert_eq!((ask.limit, ask.after.as_deref()), (Some(200), Some("x")));
        let pairs = |wanted: &[(&str, &str)]| {
            wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(
            problems("state=bogus&manager=per_x&limit=0&nobody=1&role=owner&role=owner&source="),
            pairs(&[
                ("state", "value_unknown"),
                ("manager", "value_unknown"),
                ("limit", "limit_unfit"),
                ("nobody", "parameter_unknown"),
                ("role", "parameter_repeated"),
                ("source", "value_unknown"),
            ])
        );
        for limit in ["201", "-1", "x", "70000", "", "1.0"] {
            assert_eq!(problems(&format!("limit={limit}")), pairs(&[("limit", "limit_unfit")]));
        }
        let hint = |query: &str| read::<Person>(query).unwrap_err().remove(0).hint;
        assert_eq!(hint("state=bogus"), "it takes one of `preboarding`, `active`, `suspended`, `departed`");
        assert_eq!(hint("class=bogus"), "it takes `employee` or `contractor`");
        assert!(hint("nobody=1").contains("state, role, class, manager, team, source, q, sort, count, after, limit"));
        assert!(!hint("state=tnr_op_secret").contains("secret"));
        assert_eq!(
            problems("tnr_op_secret=1"),
            pairs(&[("query", "parameter_unknown")]),
            "a secret in the wrong place does not come back"
        );
    }

    /// The words of a filter are what the records' terms say.
    #[test]
    fn d12_the_words_are_those_of_the_terms() {
        for state in [PersonState::Preboarding, PersonState::Departed] {
            assert!(word::<PersonState>(state.as_str()).is_ok());
        }
        for kind in Kind::ALL {
            assert!(word::<Kind>(kind.as_str()).is_ok(), "{kind:?}");
        }
        for kind in [SignalKind::RunEnded, SignalKind::CloudAccountDeleted] {
            assert!(word::<SignalKind>(kind.as_str()).is_ok(), "{kind:?}");
        }
        assert!(word::<Format>(Format::CloudEvents.as_str()).is_ok());
        assert!(word::<Class>(Class::NonHuman.as_str()).is_ok());
        assert!(word::<Access>(Access::JoinTokenRefused.as_str()).is_ok());
        assert!(word::<PolicySetState>(PolicySetState::InForce.as_str()).is_ok());
        assert!(word::<ExceptionType>(ExceptionType::FastOnboarding.as_str()).is_ok());
        // A matter's type is a tag: each word names one.
        let unknown = serde_json::from_value::<Matter>(serde_json::json!({"type": "none"})).unwrap_err().to_string();
        for word in unknown.split('`').skip(3).step_by(2) {
            assert!(matter(word).is_ok(), "{word}");
        }
        assert!(unknown.contains("activation"), "{unknown}");
    }
}
