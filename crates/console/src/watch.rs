//! What is watched: findings, exceptions, transfers, removals; their lists and the page of each.

use tenure_api::exceptions::ExceptionView;
use tenure_api::findings::FindingView;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{FindingState, Severity, rules};
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::request::exception::{Exception, ExceptionState, ExceptionSubject};
use tenure_core::signal::removal::{Removal, RemovalState};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, Table, View, listed};
use crate::problem::{Kept, Wrong};
use crate::records::Named;
use crate::rules::named_rule;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::stop::released_at;
use crate::text;
use crate::ways;
use crate::when::{self, When};

/// What was typed into the form of a sheet.
#[derive(Default)]
pub struct Typed {
    /// What was wrong with it.
    pub wrong: Option<Wrong>,
    /// The comment or reason.
    pub comment: String,
    /// Who is to take it over.
    pub to: String,
}

/// A record of the row, by what it is about.
fn subject(id: impl ToString, about: &str, lesser: String, names: &Names) -> Cell {
    Cell::Record { record: Named { name: Named::of(about, names).name, ..Named::of(id, names) }, lesser }
}

pub(crate) fn sheet_page(frame: Frame, title: String, back: (&str, &str), sheet: Sheet) -> SheetPage {
    let back = Some((Address::new(back.0), back.1.to_owned()));
    SheetPage { frame: Frame { title, ..frame }, sheet: Sheet { back, ..sheet } }
}

/// The list of findings.
pub fn findings(frame: Frame, address: Address, page: Page<FindingView>, names: &Names) -> ListPage {
    const VIEWS: &[View] = &[
        View { name: "Open", parameters: &[("state", "open")] },
        View { name: "Critical", parameters: &[("state", "open"), ("severity", "critical")] },
        View { name: "High", parameters: &[("state", "open"), ("severity", "high")] },
        View { name: "Orphaned", parameters: &[("state", "open"), ("rule", "orphaned")] },
        View { name: "Accepted", parameters: &[("state", "accepted")] },
        View { name: "All", parameters: &[] },
    ];
    let look = Look {
        columns: const {
            &[
                Column::new("What"),
                Column::new("Severity"),
                Column::new("State"),
                Column::new("About"),
                Column::new("Since"),
                Column::new("Seen"),
            ]
        },
        views: VIEWS,
        choices: vec![
            Choice {
                name: "state",
                label: "State",
                words: [FindingState::Open, FindingState::Accepted, FindingState::Resolved]
                    .map(FindingState::as_str)
                    .to_vec(),
            },
            Choice {
                name: "severity",
                label: "Severity",
                words: [Severity::Critical, Severity::High, Severity::Medium, Severity::Low]
                    .map(Severity::as_str)
                    .to_vec(),
            },
        ],
        is_searched: false,
        empty: text::NO_FINDINGS,
        make: None,
    };
    listed(frame, address, page, names, look, |view, now| {
        let finding = &view.record;
        vec![
            Cell::Record {
                record: Named { name: title_of(view), ..Named::of(finding.id, names) },
                lesser: Named::of(&finding.detail, names).name,
            },
            Cell::State(finding.severity.into()),
            Cell::State(finding.state.into()),
            Cell::Named(Named::of(&finding.subject, names)),
            Cell::Time(When::new(finding.opened_at, now)),
            Cell::Number(finding.seen.into()),
        ]
    })
}

pub(crate) fn title_of(view: &FindingView) -> String {
    view.explanation.as_ref().map_or_else(|| text::plain(&view.record.rule), |rule| rule.title.clone())
}

/// A finding, with what its rule says, can't see, and what fixes it.
pub fn finding(frame: Frame, view: &FindingView, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let finding = &view.record;
    let mut sheet = Sheet {
        state: Some(finding.severity.into()),
        lead: Named::of(&finding.detail, names).name,
        ..Sheet::default()
    };
    sheet.fact(text::ABOUT, [Cell::Named(Named::of(&finding.subject, names))]);
    sheet.fact(text::STATE, [Cell::State(finding.state.into())]);
    if let Some(rule) = &view.explanation {
        sheet.fact(text::THE_RULE, [Cell::Named(named_rule(&rule.id, &rule.id))]);
        sheet.fact(text::FIXED_BY, [Cell::Text(rule.action.clone())]);
        sheet.fact(text::SHOWN_BY, [Cell::Text(rule.evidence.clone())]);
        sheet.fact(text::BLIND_SPOTS, [Cell::Text(rule.blind_spots.clone())]);
        sheet.fact(text::FALSE_POSITIVES, [Cell::Text(rule.false_positives.clone())]);
        sheet.fact(text::FRAMEWORKS, [Cell::Text(rule.frameworks.join(", "))]);
    }
    let evidence = finding.evidence.iter().map(|(name, value)| {
        let named = |id: &str| Named::of(id, names).name;
        let path = value.as_array().filter(|_| name == "path");
        let value = match (value.as_str(), path) {
            (Some(id), _) => named(id),
            (None, Some(path)) => {
                path.iter().filter_map(|id| id.as_str()).map(named).collect::<Vec<_>>().join(" \u{2192} ")
            }
            (None, None) => value.to_string(),
        };
        Cell::Text(format!("{}: {value}", text::plain(name)))
    });
    sheet.fact(text::EVIDENCE, evidence);
    if finding.rule == rules::ROTATION_DUE.id && finding.resolved.is_none() {
        let to = Address::new("/accounts").below(&finding.detail).verb("rotate");
        sheet.ways.push(Way { word: text::ANOTHER_SECRET, to, class: "" });
    }
    if let Some(accepted) = finding.accepted {
        let by = Named { name: text::THE_EXCEPTION.to_owned(), ..Named::of(accepted.exception, names) };
        sheet.fact(text::LET_BE_UNTIL, [Cell::Time(When::new(accepted.until, now)), Cell::Named(by)]);
    }
    sheet.ways.extend(ways::accept(view));
    sheet.fact(text::FIRST_SEEN, [Cell::Time(When::new(finding.opened_at, now))]);
    sheet.fact(text::LAST_SEEN, [Cell::Time(When::new(finding.last_seen_at, now))]);
    if let Some(resolved) = &finding.resolved {
        sheet.kept = Kept::of(typed.wrong, typed.comment);
        let by = resolved.by.map_or_else(|| text::TENURE.to_owned(), |by| Named::of(by, names).name);
        sheet.fact(text::RESOLVED, [Cell::Text(format!("{} ({by}, {})", resolved.how, when::exact(resolved.at)))]);
    } else {
        sheet.form = Some(Form {
            action: Address::new("/findings").below(&finding.id.to_string()),
            wrong: typed.wrong,
            fields: vec![Field::Lines {
                name: "comment",
                label: text::WHAT_WAS_DONE,
                hint: text::REASON_HINT,
                value: typed.comment,
                required: true,
            }],
            buttons: vec![Button::only(text::RESOLVE, false)],
            takes_fresh: false,
        });
    }
    sheet_page(frame, title_of(view), ("/findings?state=open", text::FINDINGS), sheet)
}

/// Where an exception stands.
pub(crate) fn exception_state(state: ExceptionState) -> State {
    let shape = match state {
        ExceptionState::Proposed => Shape::Wait,
        ExceptionState::Active => Shape::Warn,
        ExceptionState::Breached => Shape::Bad,
        ExceptionState::Expired | ExceptionState::Withdrawn => Shape::Over,
    };
    State::new(shape, state.as_str())
}

fn exception_subject(exception: &Exception) -> String {
    match &exception.subject {
        ExceptionSubject::Identity(id) => id.to_string(),
        ExceptionSubject::Person(id) => id.to_string(),
    }
}

/// The list of exceptions.
pub fn exceptions(frame: Frame, address: Address, page: Page<ExceptionView>, names: &Names) -> ListPage {
    const STATES: [ExceptionState; 5] = [
        ExceptionState::Proposed,
        ExceptionState::Active,
        ExceptionState::Breached,
        ExceptionState::Expired,
        ExceptionState::Withdrawn,
    ];
    let look = Look {
        columns: const {
            &[
                Column::new("About"),
                Column::new("Waives"),
                Column::new("State"),
                Column::new("Approved by"),
                Column::new("Ends"),
                Column::new("Renewed"),
            ]
        },
        views: const {
            &[
                View { name: "In force", parameters: &[("state", "active")] },
                View { name: "Breached", parameters: &[("state", "breached")] },
                View { name: "Proposed", parameters: &[("state", "proposed")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(ExceptionState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_EXCEPTIONS,
        make: None,
    };
    listed(frame, address, page, names, look, |view, now| {
        let exception = &view.record;
        let approved: Vec<String> = exception.approved_by.iter().map(|by| Named::of(by, names).name).collect();
        vec![
            subject(exception.id, &exception_subject(exception), exception.reason.clone(), names),
            Cell::Text(text::plain(exception.kind.as_str())),
            Cell::State(exception_state(*exception.state)),
            Cell::of(Some(approved.join(", ")).filter(|approved| !approved.is_empty())),
            Cell::of(exception.ends_at.map(|end| When::new(end, now))),
            Cell::Number(exception.renewals.into()),
        ]
    })
}

/// An exception: what is waived, until when, and what makes up for it.
pub fn exception(frame: Frame, view: &ExceptionView, names: &Names) -> SheetPage {
    let now = frame.now;
    let exception = &view.record;
    let mut sheet =
        Sheet { state: Some(exception_state(*exception.state)), lead: exception.reason.clone(), ..Sheet::default() };
    sheet.fact(text::ABOUT, [Cell::Named(Named::of(exception_subject(exception), names))]);
    sheet.fact(text::WAIVES, [Cell::Text(text::plain(exception.kind.as_str()))]);
    sheet.fact(text::PROPOSED_BY, [Cell::Named(Named::of(exception.proposed_by, names))]);
    sheet.fact(text::APPROVED_BY, exception.approved_by.iter().map(|by| Cell::Named(Named::of(by, names))));
    sheet.fact(
        text::APPROVED_IN,
        [Cell::Named(Named { name: text::THE_REQUEST.to_owned(), ..Named::of(exception.request, names) })],
    );
    sheet.fact(text::STARTS, exception.starts_at.map(|at| Cell::Time(When::new(at, now))));
    sheet.fact(text::ENDS_AT, exception.ends_at.map(|at| Cell::Time(When::new(at, now))));
    sheet.fact(text::DEMANDS, view.demands.iter().map(|demand| Cell::Text(text::plain(demand))));
    sheet.fact(text::RENEWALS, [Cell::Text(text::renewals(exception.renewals, view.renewals_left))]);
    sheet.fact(text::BREACHED, exception.breached_at.map(|at| Cell::Time(When::new(at, now))));
    if let Some(accepts) = &exception.accepts {
        let finding = Named { name: text::plain(&accepts.rule), ..Named::of(accepts.finding, names) };
        sheet.fact(text::ACCEPTS, [Cell::Named(finding)]);
    }
    sheet.ways.extend(ways::break_glass(exception, now));
    sheet_page(
        frame,
        text::exception_of(&Named::of(exception_subject(exception), names).name),
        ("/exceptions?state=active", text::EXCEPTIONS),
        sheet,
    )
}

fn transfer_state(state: TransferState) -> State {
    let shape = match state {
        TransferState::Open => Shape::Warn,
        TransferState::Offered => Shape::Wait,
        TransferState::Accepted => Shape::Good,
        TransferState::Lapsed => Shape::Bad,
        TransferState::Closed => Shape::Over,
    };
    State::new(shape, state.as_str())
}

/// The list of transfers.
pub fn transfers(frame: Frame, address: Address, page: Page<Revised<Transfer>>, names: &Names) -> ListPage {
    const STATES: [TransferState; 5] = [
        TransferState::Open,
        TransferState::Offered,
        TransferState::Accepted,
        TransferState::Lapsed,
        TransferState::Closed,
    ];
    let look = Look {
        columns: const {
            &[
                Column::new("Identity"),
                Column::new("State"),
                Column::new("From"),
                Column::new("Offered to"),
                Column::new("Lapses"),
            ]
        },
        views: const {
            &[
                View { name: "Nobody asked", parameters: &[("state", "open")] },
                View { name: "Offered", parameters: &[("state", "offered")] },
                View { name: "Lapsed", parameters: &[("state", "lapsed")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(TransferState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_TRANSFERS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let transfer = &row.record;
        vec![
            subject(transfer.id, &transfer.identity.to_string(), text::plain(&transfer.because), names),
            Cell::State(transfer_state(*transfer.state)),
            Cell::Named(Named::of(transfer.from, names)),
            Cell::of(transfer.offered_to.map(|to| Named::of(to, names))),
            Cell::Time(When::new(transfer.deadline, now)),
        ]
    })
}

/// A transfer, and the answer of whom it is offered to.
pub fn transfer(frame: Frame, transfer: &Transfer, is_theirs: bool, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let about = Named::of(transfer.identity, names);
    let title = text::transfer_of(&about.name);
    let mut sheet = Sheet {
        state: Some(transfer_state(*transfer.state)),
        lead: text::TRANSFER_ASKS.to_owned(),
        ..Sheet::default()
    };
    sheet.fact(text::IDENTITY, [Cell::Named(about)]);
    sheet.fact(text::FROM, [Cell::Named(Named::of(transfer.from, names))]);
    sheet.fact(text::OFFERED_TO, transfer.offered_to.map(|to| Cell::Named(Named::of(to, names))));
    sheet.fact(text::DECLINED_BY, transfer.declined_by.iter().map(|by| Cell::Named(Named::of(by, names))));
    sheet.fact(text::BECAUSE, [Cell::Text(text::plain(&transfer.because))]);
    sheet.fact(text::LAPSES_AT, [Cell::Time(When::new(transfer.deadline, now))]);
    let action = Address::new("/transfers").below(&transfer.id.to_string());
    let is_open = matches!(*transfer.state, TransferState::Open | TransferState::Offered);
    let answers = is_theirs && *transfer.state == TransferState::Offered;
    // Whoever answers types nothing, and whoever finds it over has typed in vain.
    if answers && !typed.comment.is_empty() || !is_open {
        sheet.kept = Kept::of(typed.wrong.clone(), typed.comment.clone());
    }
    sheet.form = match answers {
        true => Some(Form {
            action,
            wrong: typed.wrong.filter(|_| sheet.kept.is_none()),
            fields: Vec::new(),
            buttons: vec![
                Button { decision: "accept", word: text::ACCEPT, class: "main" },
                Button { decision: "decline", word: text::DECLINE, class: "" },
            ],
            takes_fresh: true,
        }),
        false => is_open.then(|| Form {
            action,
            wrong: typed.wrong,
            fields: vec![Field::line("comment", text::TO_WHOM, text::TO_WHOM_HINT, typed.comment)],
            buttons: vec![Button { decision: "offer", word: text::OFFER, class: "main" }],
            takes_fresh: false,
        }),
    };
    sheet_page(frame, title, ("/transfers", text::TRANSFERS), sheet)
}

fn removal_state(state: RemovalState) -> State {
    let shape = match state {
        RemovalState::Waiting => Shape::Bad,
        RemovalState::Held => Shape::Warn,
        RemovalState::Retiring => Shape::Wait,
        RemovalState::Done => Shape::Good,
        RemovalState::Released => Shape::Over,
    };
    State::new(shape, state.as_str())
}

/// The list of removals.
pub fn removals(frame: Frame, address: Address, page: Page<Revised<Removal>>, names: &Names) -> ListPage {
    const STATES: [RemovalState; 5] =
        [RemovalState::Waiting, RemovalState::Held, RemovalState::Retiring, RemovalState::Done, RemovalState::Released];
    let look = Look {
        columns: const {
            &[
                Column::new("What ended"),
                Column::new("State"),
                Column::new("Identities"),
                Column::new("Live credentials"),
                Column::new("Began"),
                Column::new("Retires"),
            ]
        },
        views: const {
            &[
                View { name: "Waiting for security", parameters: &[("state", "waiting")] },
                View { name: "On hold", parameters: &[("state", "held")] },
                View { name: "Done", parameters: &[("state", "done")] },
                View { name: "All", parameters: &[] },
            ]
        },
        choices: vec![Choice { name: "state", label: "State", words: STATES.map(RemovalState::as_str).to_vec() }],
        is_searched: false,
        empty: text::NO_REMOVALS,
        make: Some((text::SAY_IT_ENDED, "/removals/new")),
    };
    listed(frame, address, page, names, look, |row, now| {
        let removal = &row.record;
        vec![
            Cell::Record {
                record: Named { name: ended(removal, names), ..Named::of(removal.id, names) },
                lesser: text::reason(&removal.reason),
            },
            Cell::State(removal_state(*removal.state)),
            Cell::Number(removal.blast.count.into()),
            Cell::Number(removal.blast.live_credentials.into()),
            Cell::Time(When::new(removal.created_at, now)),
            Cell::of(removal.retire_at.map(|at| When::new(at, now))),
        ]
    })
}

fn ended(removal: &Removal, names: &Names) -> String {
    format!(
        "{} {}",
        text::sentence(&text::plain(removal.subject.kind.as_str())),
        Named::of(&removal.subject.id, names).name
    )
}

/// A removal: what ended, all that it takes with it, and, for who may, its confirmation and its release.
pub fn removal(frame: Frame, removal: &Removal, names: &Names, may_release: bool, typed: Typed) -> SheetPage {
    let mut sheet = planned(removal, names, frame.now);
    sheet.state = Some(removal_state(*removal.state));
    sheet.lead = text::reason(&removal.reason);
    let release = Button { decision: "release", word: text::LET_GO, class: "" };
    let buttons = match *removal.state {
        RemovalState::Waiting => {
            vec![Button { decision: "confirm", word: text::CONFIRM_REMOVAL, class: "danger" }, release]
        }
        RemovalState::Held => vec![release],
        RemovalState::Retiring | RemovalState::Done | RemovalState::Released => Vec::new(),
    };
    if may_release && !buttons.is_empty() {
        sheet.form = Some(Form {
            action: Address::new("/removals").below(&removal.id.to_string()),
            wrong: typed.wrong,
            fields: vec![
                Field::Hidden { name: "digest", value: removal.digest.clone() },
                Field::Lines {
                    name: "comment",
                    label: text::WHY_RELEASED,
                    hint: text::REASON_HINT,
                    value: typed.comment,
                    required: false,
                },
            ],
            buttons,
            takes_fresh: true,
        });
    } else {
        sheet.kept = Kept::of(typed.wrong, typed.comment);
    }
    sheet_page(frame, ended(removal, names), ("/removals", text::REMOVALS), sheet)
}

/// What was typed to say that something has ended.
#[derive(Default)]
pub struct Raising {
    /// What sort of thing.
    pub kind: String,
    /// Its name or id.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Whether it is in other hands.
    pub compromise: String,
    /// What was wrong.
    pub wrong: Option<Wrong>,
}

/// The word by which somebody says that what ended is in other hands.
pub const YES: &str = "yes";

/// The sorts of things whose end can be said by hand.
pub const ENDABLE: [&str; 7] = ["application", "vendor", "cloud_account", "need", "repository", "workload", "identity"];

/// Says by hand that something has ended: first what that would do, then exactly that.
pub fn raising(frame: Frame, planned_removal: Option<&Removal>, names: &Names, typed: Raising) -> SheetPage {
    let mut sheet = match planned_removal {
        Some(removal) => {
            let mut sheet = planned(removal, names, frame.now);
            sheet.lead = text::WOULD_DO.to_owned();
            sheet
        }
        None => Sheet { lead: text::RAISE_LEAD.to_owned(), ..Sheet::default() },
    };
    let Raising { kind, subject, reason, compromise, wrong } = typed;
    let mut fields = vec![
        Field::select("kind", text::TYPE, &ENDABLE, &kind),
        Field::line("subject", text::WHAT_ENDED, text::WHAT_ENDED_HINT, subject),
        Field::select("compromise", text::COMPROMISED, &["no", YES], &compromise),
        Field::reason(reason),
    ];
    let look =
        Button { decision: "look", word: text::LOOK_FIRST, class: if planned_removal.is_some() { "" } else { "main" } };
    let buttons = match planned_removal {
        Some(removal) => {
            fields.push(Field::Hidden { name: "expect", value: removal.digest.clone() });
            vec![Button { decision: "do", word: text::DO_EXACTLY, class: "danger" }, look]
        }
        None => vec![look],
    };
    sheet.form =
        Some(Form { action: Address::new("/removals").verb("new"), wrong, fields, buttons, takes_fresh: false });
    sheet_page(frame, text::SAY_IT_ENDED.to_owned(), ("/removals", text::REMOVALS), sheet)
}

/// What a removal does, to whom.
fn planned(removal: &Removal, names: &Names, now: Timestamp) -> Sheet {
    let blast = &removal.blast;
    let mut sheet = Sheet::default();
    let named = |id: String| Cell::Named(Named::of(id, names));
    sheet.fact(text::WHAT_HAPPENED, [Cell::Text(text::sentence(&text::plain(removal.kind.as_str())))]);
    sheet.fact(text::BEGAN, [Cell::Time(When::new(removal.created_at, now))]);
    sheet.fact(text::HELD_SINCE, removal.held_at.map(|at| Cell::Time(When::new(at, now))));
    sheet.fact(text::RETIRES, removal.retire_at.map(|at| Cell::Time(When::new(at, now))));
    sheet.fact(text::LIVE_CREDENTIALS, [Cell::Number(blast.live_credentials.into())]);
    sheet.fact(text::ENFORCED, blast.enforced_resources.iter().map(|id| named(id.clone())));
    sheet.fact(text::CONSUMERS, blast.consumers.iter().cloned().map(Cell::Text));
    sheet.fact(text::DELEGATES, blast.delegates.iter().map(|id| named(id.to_string())));
    sheet.fact(text::WAIT_FOR_EXCEPTION, blast.deferred.iter().map(|id| named(id.to_string())));
    sheet.fact(text::HITS, blast.owners.iter().map(|id| named(id.to_string())));
    sheet.fact(text::CONFIRMED_BY, removal.confirmed_by.map(|by| named(by.to_string())));
    if let Some((by, reason)) = &removal.released {
        sheet.fact(text::RELEASED, [Cell::Text(format!("{reason} ({})", Named::of(by, names).name))]);
    }
    sheet.fact(
        text::RECEIPTS,
        removal
            .receipts
            .iter()
            .map(|id| Cell::Named(Named { name: text::THE_PROOF.to_owned(), ..Named::of(id, names) })),
    );
    let rows = blast.identities.iter().map(|id| vec![named(id.to_string())]).collect();
    sheet.tables.push(Table::new(
        text::its_identities(blast.count.into(), blast.identities.len()),
        &["Identity"],
        rows,
    ));
    sheet
}

/// The list of holds in force.
pub fn holds(frame: Frame, address: Address, page: Page<Hold>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[
                Column::new("What is held"),
                Column::new("Sort"),
                Column::new("Placed by"),
                Column::new("Since"),
                Column::new("Release"),
            ]
        },
        views: &[],
        choices: vec![Choice { name: "kind", label: "Sort", words: Scope::KINDS.to_vec() }],
        is_searched: false,
        empty: text::NO_HOLDS,
        make: None,
    };
    listed(frame, address, page, names, look, |hold, now| {
        let subject = hold.scope.subject();
        let placed: Vec<String> = hold.placers().map(|by| Named::of(by, names).name).collect();
        let release = Named { name: text::RESUME.to_owned(), id: subject.clone(), to: Some(released_at(&hold.scope)) };
        vec![
            Cell::Record { record: Named::of(&subject, names), lesser: hold.reason.clone() },
            Cell::Text(text::plain(hold.scope.kind())),
            Cell::Text(placed.join(", ")),
            Cell::Time(When::new(hold.at, now)),
            Cell::Named(release),
        ]
    })
}

/// The release of a hold.
pub fn release(frame: Frame, scope: &Scope, names: &Names, typed: Typed) -> SheetPage {
    let name = Named::of(scope.subject(), names).name;
    let form = Form {
        action: Address::new("/holds").verb("release"),
        wrong: typed.wrong,
        fields: vec![
            Field::Hidden { name: "kind", value: scope.kind().to_owned() },
            Field::Hidden { name: "id", value: scope.subject() },
            Field::reason(typed.comment),
        ],
        buttons: vec![Button::only(text::RESUME, false)],
        takes_fresh: true,
    };
    let sheet = Sheet { lead: text::RELEASE_LEAD.to_owned(), form: Some(form), ..Sheet::default() };
    sheet_page(
        frame,
        format!("{}: {} {name}", text::RESUME, text::plain(scope.kind())),
        ("/holds", text::HOLDS_IN_FORCE),
        sheet,
    )
}
