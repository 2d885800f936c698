//! Targets and the accounts that were found there: where each is, whose it is, what was done to it and what shows that.

use tenure_api::logins::LoginView;
use tenure_api::overview::RefusalTimes;
use tenure_api::targets::TargetView;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::connector::{Mode, TargetKind};
use tenure_core::target::login::{LoginPurpose, LoginState};
use tenure_core::target::rotation::Rotation;
use tenure_core::target::suggestion::Suggestion;
use tenure_core::trust::state::TrustState;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, Table, listed};
use crate::problem::Wrong;
use crate::records::Named;
use crate::sheet::{Button, Form, Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::when::{self, When};
use crate::{plot, text};

/// The list of targets.
pub fn targets(frame: Frame, address: Address, page: Page<Revised<TargetView>>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[
                Column::new("Name"),
                Column::new("State"),
                Column::new("Kind"),
                Column::new("May"),
                Column::new("Owner"),
                Column::new("Accounts"),
                Column::new("Looked through"),
            ]
        },
        views: &[],
        choices: vec![
            Choice { name: "kind", label: "Kind", words: TargetKind::ALL.iter().map(|kind| kind.as_str()).collect() },
            Choice { name: "state", label: "State", words: vec!["proposed", "active", "removed"] },
        ],
        is_searched: false,
        empty: text::NO_TARGETS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let target = &row.record;
        vec![
            Cell::Record {
                record: Named { name: target.name.clone(), ..Named::of(target.id, names) },
                lesser: target.endpoint.url.clone(),
            },
            Cell::State(standing(target)),
            Cell::Text(text::plain(target.kind.as_str())),
            Cell::Text(target.mode.as_str().to_owned()),
            Cell::Named(Named::of(target.owner, names)),
            Cell::of(target.scanned.as_ref().map(|scan| scan.seen)),
            Cell::of(target.scanned.as_ref().map(|scan| When::new(scan.ended_at, now))),
        ]
    })
}

/// The page of a target.
pub fn target(
    frame: Frame,
    view: &Revised<TargetView>,
    accounts: &Page<Revised<Account>>,
    logins: &[Revised<LoginView>],
    times: Option<RefusalTimes>,
    names: &Names,
) -> SheetPage {
    let (now, target) = (frame.now, &view.record);
    let mut sheet = Sheet { state: Some(standing(target)), ..Sheet::default() };
    sheet.back = Some((Address::new("/targets"), text::TARGETS.to_owned()));
    sheet.lead = match target.mode {
        Mode::Observe => text::OBSERVES,
        Mode::End => text::ENDS_ACCOUNTS,
        Mode::Issue => text::ISSUES_ACCOUNTS,
    }
    .to_owned();
    sheet.fact(text::WHERE, [Cell::Text(target.endpoint.url.clone())]);
    sheet.fact(text::OWNER, [Cell::Named(Named::of(target.owner, names))]);
    sheet.fact(text::CONNECTOR, [Cell::Named(Named::of(target.identity, names))]);
    sheet.fact(text::ENVIRONMENT, [Cell::Text(target.environment.clone())]);
    match &target.login {
        Some(login) => {
            sheet.fact(text::LOGIN, [Cell::Text(login.name.clone()), Cell::Time(When::new(login.at, now))]);
        }
        None => sheet.fact(text::LOGIN, [Cell::Text(text::NO_LOGIN.to_owned())]),
    }
    if let Some(trouble) = &target.trouble {
        sheet.fact(text::TROUBLE, [Cell::Text(trouble.why.clone()), Cell::Time(When::new(trouble.since, now))]);
    }
    if let Some(gone) = &target.gone {
        let said = |by| Cell::Named(Named::of(by, names));
        let said_too = gone.confirmed_by.map_or(Cell::Text(text::ONE_SAYS_SO.to_owned()), said);
        let why = [&gone.reason, &gone.evidence].map(|text| Cell::Text(text.clone()));
        let when = Cell::Time(When::new(gone.confirmed_at.unwrap_or(gone.at), now));
        sheet.fact(text::GONE_FOR_GOOD, why.into_iter().chain([said(gone.by), said_too, when]));
    }
    if let Some(scan) = &target.scanned {
        sheet.fact(text::LOOKED_THROUGH, [Cell::Time(When::new(scan.ended_at, now))]);
        sheet.fact(text::SEEN_THERE, [Cell::Text(text::seen_there(scan.seen, scan.fresh))]);
        sheet.fact(text::NOT_SEEN, scan.unseen.iter().cloned().map(Cell::Text));
    }
    sheet.fact(text::CLAIMED_WITHIN, [Cell::Text(when::span(target.claim_within))]);
    let here = |times: RefusalTimes| {
        let by_target = times.by_target.into_iter().filter(|one| one.target == target.id).collect();
        plot::at_targets(&RefusalTimes { by_target, ..times })
    };
    sheet.tables.extend(times.and_then(here));
    if target.state == TrustState::Active {
        let to = Address::new("/targets").below(&target.id.to_string()).verb("propose");
        sheet.ways.push(Way { word: text::PROPOSE_BY_RULE, to, class: "" });
    }
    if !accounts.items.is_empty() {
        let rows = accounts.items.iter().map(|account| account_row(&account.record, names, now)).collect();
        sheet.tables.push(Table::new(text::ACCOUNTS, &ACCOUNT_COLUMNS.map(|column| column.name()), rows));
    }
    sheet.tables.extend(logins_of(logins, Beside::Identity, names, now));
    SheetPage { frame: Frame { title: target.name.clone(), ..frame }, sheet }
}

/// What stands beside a login in a table: what the page isn't about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Whose it is.
    Identity,
    /// Where it is.
    Target,
}

/// Logins made just in time, without canaries: those that are left first, and of what is ended what shows it.
pub(crate) fn logins_of(logins: &[Revised<LoginView>], beside: Beside, names: &Names, now: Timestamp) -> Option<Table> {
    let mut shown: Vec<&LoginView> = logins.iter().map(|view| &view.record).collect();
    shown.retain(|login| login.record.purpose == LoginPurpose::Work);
    shown.sort_by_key(|login| login.record.is_over());
    let row = |view: &LoginView| {
        let login = &view.record;
        let resource = login.resource.map(|resource| resource.to_string()).unwrap_or_default();
        let resource = names.get(&resource).unwrap_or(&resource);
        let (state, said) = match (&login.outcome, &login.trouble) {
            (Some(of_end), _) => (outcome(of_end).0, outcome(of_end).1),
            (None, trouble) => (stands(login.state), trouble.clone().unwrap_or_default()),
        };
        vec![
            Cell::Record {
                record: Named { name: view.name.clone(), ..Named::of(login.id, names) },
                lesser: login.end.as_ref().map(|end| text::plain(&end.because)).unwrap_or_default(),
            },
            match beside {
                Beside::Identity => Cell::Named(Named::of(login.identity, names)),
                Beside::Target => Cell::Named(Named::of(login.target, names)),
            },
            Cell::State(state),
            Cell::Text(format!("{} on {resource}", login.actions.join(", "))),
            Cell::of(login.made_at.map(|made| When::new(made, now))),
            Cell::Time(When::new(login.end.as_ref().map_or(login.ends_at, |end| end.since), now)),
            Cell::Text(said),
        ]
    };
    let rows: Vec<Vec<Cell>> = shown.into_iter().map(row).collect();
    let other = if beside == Beside::Identity { "Identity" } else { "Target" };
    let columns = ["Login", other, "State", "Grant", "Since", "Until", "What its target said"];
    (!rows.is_empty()).then(|| Table::new(text::LOGINS, &columns, rows))
}

fn stands(state: LoginState) -> State {
    let shape = match state {
        LoginState::Asked | LoginState::Ending => Shape::Wait,
        LoginState::Standing => Shape::Good,
        LoginState::Ended => Shape::Over,
    };
    State::new(shape, state.as_str())
}

const ACCOUNT_COLUMNS: [Column; 6] = [
    Column::new("Account"),
    Column::new("State"),
    Column::new("Identity"),
    Column::new("Target"),
    Column::new("Last used"),
    Column::new("To be claimed by"),
];

/// The list of accounts.
pub fn accounts(frame: Frame, address: Address, page: Page<Revised<Account>>, names: &Names) -> ListPage {
    const STATES: [AccountState; 3] = [AccountState::Standing, AccountState::Held, AccountState::Ended];
    let look = Look {
        columns: &ACCOUNT_COLUMNS,
        views: &[],
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(AccountState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_ACCOUNTS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| account_row(&row.record, names, now))
}

fn account_row(account: &Account, names: &Names, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::Record {
            record: Named { name: account.seen.name.clone(), ..Named::of(account.id, names) },
            lesser: text::plain(account.seen.sort.as_str()),
        },
        Cell::State(done(account)),
        Cell::Named(Named::of(account.identity, names)),
        Cell::Named(Named::of(account.target, names)),
        Cell::of(account.seen.last_used_at.map(|used| When::new(used, now))),
        Cell::Time(When::new(account.claim_by, now)),
    ]
}

/// The page of an account.
pub fn account(
    frame: Frame,
    view: &Revised<Account>,
    suggestions: &[Suggestion],
    may_rotate: bool,
    names: &Names,
) -> SheetPage {
    let (now, account) = (frame.now, &view.record);
    let seen = &account.seen;
    let mut sheet = Sheet { state: Some(done(account)), ..Sheet::default() };
    sheet.back = Some((Address::new("/accounts"), text::ACCOUNTS.to_owned()));
    sheet.fact(text::TARGET, [Cell::Named(Named::of(account.target, names))]);
    sheet.fact(text::BELONGS_TO, [Cell::Named(Named::of(account.identity, names))]);
    if let Some(proposed) = &account.proposed {
        let to = Cell::Named(Named::of(proposed.owner, names));
        sheet.fact(text::PROPOSED_TO, [to, Cell::Text(proposed.reason.clone())]);
    }
    sheet.fact(text::CLAIM_BY, [Cell::Time(When::new(account.claim_by, now))]);
    let lets_in = if seen.enabled { text::LETS_IT_IN } else { text::LETS_IT_NOT_IN };
    let absent = account.absent_since.map(|since| Cell::Time(When::new(since, now)));
    match absent {
        Some(since) => sheet.fact(text::NOT_IN_THE_CATALOGUE, [since]),
        None => sheet.fact(
            text::THE_CATALOGUE_SAYS,
            [Cell::Text(lets_in.to_owned()), Cell::Time(When::new(account.seen_at, now))],
        ),
    }
    if seen.privileged {
        sheet.fact(text::MAY_ALL, [Cell::Text(text::YES.to_owned())]);
    }
    sheet.fact(text::SESSIONS, seen.sessions.map(|sessions| Cell::Number(sessions.into())));
    sheet.fact(text::LAST_USED_THERE, seen.last_used_at.map(|used| Cell::Time(When::new(used, now))));
    sheet.fact(text::TARGET_ENDS_IT, seen.ends_at.map(|end| Cell::Time(When::new(end, now))));
    let mut grants: Vec<Cell> = seen.grants.iter().take(GRANTS).cloned().map(Cell::Text).collect();
    let more = seen.grants.len().saturating_sub(GRANTS) as u64 + u64::from(seen.more_grants);
    if more > 0 {
        grants.push(Cell::Text(text::and_more(more)));
    }
    sheet.fact(text::MAY_THERE, grants);
    sheet.fact(text::MARKS, seen.marks.iter().map(|(name, value)| Cell::Text(format!("{name}: {value}"))));
    if let Some(intent) = &account.intent {
        if let Some(because) = intent.because {
            sheet.fact(text::DONE_BECAUSE, [Cell::Text(text::plain(because.as_str()))]);
        }
        let (state, said, at) = outcome(&intent.outcome);
        let at = at.map(|at| Cell::Time(When::new(at, now)));
        sheet.fact(text::WHAT_SHOWS_IT, [Cell::State(state), Cell::Text(said)].into_iter().chain(at));
    }
    if let Some(narrowing) = &account.narrowing {
        let (state, said, at) = outcome(&narrowing.outcome);
        let at = at.map(|at| Cell::Time(When::new(at, now)));
        sheet.fact(text::NARROWED, [Cell::State(state), Cell::Text(said)].into_iter().chain(at));
        sheet.fact(text::DROPPED, narrowing.dropped.iter().take(GRANTS).cloned().map(Cell::Text));
    }
    if let Some(rotation) = &account.rotation {
        rotated(&mut sheet, account, rotation, names, now);
    }
    if may_rotate {
        let to = Address::new("/accounts").below(&account.id.to_string()).verb("rotate");
        sheet.ways.push(Way { word: text::ANOTHER_SECRET, to, class: "" });
    }
    if account.stray {
        sheet.fact(text::STRAY, [Cell::Text(text::YES.to_owned())]);
    }
    if !suggestions.is_empty() {
        sheet.lead = text::SUGGESTIONS_BIND_NOBODY.to_owned();
        let claim = Address::new("/identities").below(&account.identity.to_string()).verb("claim");
        sheet.ways.push(Way { word: text::CLAIM_IT, to: claim, class: "main" });
        let rows = suggestions.iter().map(|suggestion| suggestion_row(suggestion, names)).collect();
        sheet.tables.push(Table::new(text::MAY_BE_WHOSE, &["Who", "How strong", "Why"], rows));
    }
    SheetPage { frame: Frame { title: seen.name.clone(), ..frame }, sheet }
}

/// How far another secret has come, and by which command it is fetched: no page shows it.
fn rotated(sheet: &mut Sheet, account: &Account, rotation: &Rotation, names: &Names, now: Timestamp) {
    let (said, at) = match (rotation.rotated_at, &rotation.trouble) {
        (Some(at), _) => (text::SECRET_THERE.to_owned(), at),
        (None, Some(trouble)) => (trouble.clone(), rotation.asked_at),
        (None, None) => (text::SECRET_ASKED.to_owned(), rotation.asked_at),
    };
    let by = Cell::Named(Named::of(rotation.by, names));
    sheet.fact(text::SECRET_GIVEN, [Cell::Text(said), by, Cell::Time(When::new(at, now))]);
    match (rotation.rotated_at, rotation.fetched_at) {
        (_, Some(at)) => sheet.fact(text::SECRET_SHOWN, [Cell::Time(When::new(at, now))]),
        (Some(_), None) => {
            sheet.fact(text::SECRET_FETCHED_BY, [Cell::Text(text::secret_command(&account.id.to_string()))]);
        }
        (None, None) => {}
    }
    if let Some(old) = &rotation.old {
        let (state, said, at) = outcome(old);
        let at = at.map(|at| Cell::Time(When::new(at, now)));
        sheet.fact(text::OLD_SECRET, [Cell::State(state), Cell::Text(said)].into_iter().chain(at));
    }
}

/// The page on which an account is given another secret.
pub fn rotation(frame: Frame, view: &Revised<Account>, names: &Names, wrong: Option<Wrong>) -> SheetPage {
    let account = &view.record;
    let here = Address::new("/accounts").below(&account.id.to_string());
    let mut sheet = Sheet { lead: text::ANOTHER_SECRET_LEAD.to_owned(), ..Sheet::default() };
    sheet.back = Some((here.clone(), account.seen.name.clone()));
    sheet.fact(text::TARGET, [Cell::Named(Named::of(account.target, names))]);
    sheet.fact(text::BELONGS_TO, [Cell::Named(Named::of(account.identity, names))]);
    sheet.form = Some(Form {
        action: here.verb("rotate"),
        wrong,
        fields: Vec::new(),
        buttons: vec![Button::only(text::ANOTHER_SECRET, true)],
        takes_fresh: true,
    });
    SheetPage { frame: Frame { title: text::ANOTHER_SECRET.to_owned(), ..frame }, sheet }
}

fn suggestion_row(suggestion: &Suggestion, names: &Names) -> Vec<Cell> {
    let reasons: Vec<String> = suggestion.reasons.iter().map(|reason| reason.said.clone()).collect();
    vec![
        Cell::Named(Named::of(suggestion.owner, names)),
        Cell::Text(suggestion.strength.as_str().to_owned()),
        Cell::Text(reasons.join("; ")),
    ]
}

/// The accounts of an identity, with what each target says of it.
pub(crate) fn accounts_of(accounts: &[Revised<Account>], names: &Names, now: Timestamp) -> Table {
    let row = |view: &Revised<Account>| {
        let account = &view.record;
        let grants = account.seen.grants.len() as u64 + u64::from(account.seen.more_grants);
        vec![
            Cell::Record {
                record: Named { name: account.seen.name.clone(), ..Named::of(account.id, names) },
                lesser: text::plain(account.seen.sort.as_str()),
            },
            Cell::Named(Named::of(account.target, names)),
            Cell::State(done(account)),
            Cell::Number(grants),
            Cell::of(account.seen.last_used_at.map(|used| When::new(used, now))),
            Cell::of(account.seen.sessions.map(u64::from)),
        ]
    };
    let columns = ["Account", "Target", "State", "Grants", "Last used", "Open sessions"];
    Table::new(text::ACCOUNTS, &columns, accounts.iter().map(row).collect())
}

/// Grants of an account that its page shows.
const GRANTS: usize = 40;

fn standing(target: &TargetView) -> State {
    if target.gone.as_ref().is_some_and(|gone| gone.confirmed_by.is_some()) {
        return State::new(Shape::Over, text::GONE);
    }
    match (target.state, &target.trouble, &target.login) {
        (TrustState::Proposed, _, _) => State::new(Shape::Wait, text::WAITS_FOR_A_SECOND),
        (TrustState::Removed, _, _) => State::new(Shape::Over, "removed"),
        (TrustState::Active, Some(_), _) => State::new(Shape::Bad, text::CANT_BE_ASKED),
        (TrustState::Active, None, None) => State::new(Shape::Warn, text::NO_LOGIN),
        (TrustState::Active, None, Some(_)) => State::new(Shape::Good, "active"),
    }
}

/// What was done to an account, or is being done.
fn done(account: &Account) -> State {
    let word = |outcome: &AccountOutcome| matches!(outcome, AccountOutcome::AttestedGone { .. });
    if let Some(intent) = account.intent.as_ref().filter(|intent| account.open().is_some() || word(&intent.outcome)) {
        return outcome(&intent.outcome).0;
    }
    match account.state {
        AccountState::Standing if account.absent_since.is_some() => State::new(Shape::Over, text::MISSING),
        AccountState::Standing => State::new(Shape::Good, "standing"),
        AccountState::Held => State::new(Shape::Bad, "held"),
        AccountState::Ended => State::new(Shape::Over, "ended"),
    }
}

/// What an act at a target came to, in words, and when.
pub(crate) fn outcome(outcome: &AccountOutcome) -> (State, String, Option<Timestamp>) {
    match outcome {
        AccountOutcome::Requested => (State::new(Shape::Wait, text::ASKED), text::NOT_ANSWERED.to_owned(), None),
        AccountOutcome::StandsAgain { at } => {
            (State::new(Shape::Good, "standing"), text::STANDS_AGAIN.to_owned(), Some(*at))
        }
        AccountOutcome::EndedReadBack { at, words, sessions_ended, sessions_left } => {
            let said = text::ended_there(words, *sessions_ended, *sessions_left);
            (State::new(Shape::Warn, text::ENDED_READ_BACK), said, Some(*at))
        }
        AccountOutcome::RefusedVerified { at, words, sessions_ended, sessions_left, .. } => {
            let said = text::refused_there(words, *sessions_ended, *sessions_left);
            (State::new(Shape::Good, text::REFUSED), said, Some(*at))
        }
        AccountOutcome::Refused { at, words, sessions_ended, sessions_left, .. } => {
            let said = text::refused_there(words, *sessions_ended, *sessions_left);
            (State::new(Shape::Warn, text::REFUSED), said, Some(*at))
        }
        AccountOutcome::NarrowedReadBack { at, words } => {
            (State::new(Shape::Warn, text::NARROWED_READ_BACK), words.clone(), Some(*at))
        }
        AccountOutcome::AttestedGone { at, .. } => {
            (State::new(Shape::Warn, text::ATTESTED_GONE), text::BY_TWO_PEOPLE.to_owned(), Some(*at))
        }
        AccountOutcome::Unreachable { at, why } => {
            (State::new(Shape::Bad, text::CANT_BE_ASKED), why.clone(), Some(*at))
        }
        AccountOutcome::CannotRevoke { at, why, .. } => (State::new(Shape::Bad, text::GOES_ON), why.clone(), Some(*at)),
        AccountOutcome::Unproven { at, why } => (State::new(Shape::Bad, text::UNPROVEN), why.clone(), Some(*at)),
    }
}
