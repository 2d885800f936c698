//! Sources of signals, what they delivered, and what each signal did (S-12).

use tenure_api::signals::{SourceAuth, SourceView};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::signal::{Effect, Format, Signal, SignalKind, SignalState};
use tenure_core::trust::state::TrustState;

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Choice, Column, ListPage, Look, View, listed};
use crate::problem::Kept;
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::{Typed, sheet_page};
use crate::when::When;

const TRUST_STATES: [TrustState; 3] = [TrustState::Proposed, TrustState::Active, TrustState::Removed];

/// Where what is trusted to speak for others stands.
pub(crate) fn trust_state(state: TrustState) -> State {
    let shape = match state {
        TrustState::Proposed => Shape::Wait,
        TrustState::Active => Shape::Good,
        TrustState::Removed => Shape::Over,
    };
    State::new(shape, state.as_str())
}

/// The list of sources.
pub fn sources(frame: Frame, address: Address, page: Page<Revised<SourceView>>, names: &Names) -> ListPage {
    const FORMATS: [Format; 5] = [Format::Set, Format::CloudEvents, Format::Github, Format::Gitlab, Format::Kubernetes];
    let look = Look {
        columns: const {
            &[
                Column::new("Source"),
                Column::new("State"),
                Column::new("Speaks as"),
                Column::new("Owner"),
                Column::new("About"),
                Column::new("Holds an hour"),
            ]
        },
        views: &[],
        choices: vec![
            Choice { name: "state", label: "State", words: TRUST_STATES.map(TrustState::as_str).to_vec() },
            Choice { name: "format", label: "Speaks as", words: FORMATS.map(Format::as_str).to_vec() },
        ],
        is_searched: false,
        empty: text::NO_SOURCES,
        make: None,
    };
    listed(frame, address, page, names, look, |row, _| {
        let source = &row.record;
        let kinds: Vec<String> = source.kinds.iter().map(|kind| text::plain(kind.as_str())).collect();
        vec![
            Cell::Record {
                record: Named { name: source.name.clone(), ..Named::of(source.id, names) },
                lesser: kinds.join(", "),
            },
            Cell::State(trust_state(source.state)),
            Cell::Text(text::plain(source.format.as_str())),
            Cell::Named(Named::of(source.owner, names)),
            Cell::Text(source.subjects.join(", ")),
            Cell::Number(source.blast_cap.into()),
        ]
    })
}

/// A source: what it may say, about what, how it proves itself; its confirmation and its end.
pub fn source(frame: Frame, view: &Revised<SourceView>, names: &Names, may_change: bool, typed: Typed) -> SheetPage {
    let now = frame.now;
    let source = &view.record;
    let named = |id: String| Cell::Named(Named::of(id, names));
    let mut sheet = Sheet { state: Some(trust_state(source.state)), ..Sheet::default() };
    sheet.ways.push(Way {
        word: text::ITS_SIGNALS,
        to: Address::new("/signals").with("source", source.id.to_string()),
        class: "",
    });
    sheet.fact(text::OWNER, [named(source.owner.to_string())]);
    sheet.fact(text::SPEAKS_AS, [Cell::Text(text::plain(source.format.as_str()))]);
    let says = |kind: &SignalKind| {
        Cell::Text(format!("{}: {}", text::sentence(&text::plain(kind.as_str())), does(kind.effect())))
    };
    sheet.fact(text::MAY_SAY, source.kinds.iter().map(says));
    sheet.fact(text::ABOUT, source.subjects.iter().cloned().map(Cell::Text));
    sheet.fact(text::ENVIRONMENTS, source.environments.iter().cloned().map(Cell::Text));
    sheet.fact(text::PROVES_ITSELF, [Cell::Text(proof(&source.auth))]);
    sheet.fact(text::DELIVERS_TO, [Cell::Text(source.delivery_url.clone())]);
    sheet.fact(text::RATE, [Cell::Text(text::a_minute(source.rate_per_minute))]);
    sheet.fact(text::BLAST_CAP, [Cell::Text(text::an_hour(source.blast_cap))]);
    sheet.fact(text::TEMPLATE, source.template.clone().map(Cell::Text));
    sheet.fact(text::ISSUER, source.issuer.clone().map(Cell::Text));
    sheet.fact(text::PROPOSED_BY, [named(source.proposed_by.to_string())]);
    sheet.fact(text::CONFIRMED_BY, source.confirmed_by.map(|by| named(by.to_string())));
    sheet.fact(text::ONE_PERSON, source.single_person.then(|| Cell::Text(text::ALONE.to_owned())));
    sheet.fact(text::MADE, [Cell::Time(When::new(source.created_at, now))]);
    if may_change && source.state != TrustState::Removed {
        let mut buttons = Vec::new();
        if source.state == TrustState::Proposed {
            buttons.push(Button { decision: "confirm", word: text::CONFIRM, class: "main" });
        }
        buttons.push(Button { decision: "remove", word: text::REMOVE, class: "danger" });
        sheet.form = Some(Form {
            action: Address::new("/sources").below(&source.id.to_string()),
            wrong: typed.wrong,
            fields: vec![Field::comment(typed.comment)],
            buttons,
            takes_fresh: true,
        });
    } else {
        sheet.kept = Kept::of(typed.wrong, typed.comment);
    }
    sheet_page(frame, source.name.clone(), ("/sources", text::SOURCES), sheet)
}

/// What a kind of signal sets off.
const fn does(effect: Effect) -> &'static str {
    match effect {
        Effect::Joiner => text::DRAFTS,
        Effect::Mover => text::VERIFIES_AGAIN,
        Effect::Leaver => text::HOLDS_AND_RETIRES,
        Effect::Hold => text::HOLDS,
        Effect::TaskEnd => text::ENDS_THE_TASK,
        Effect::Review => text::ASKS_A_REVIEW,
        Effect::PersonLeaves => text::PERSON_LEAVES,
    }
}

fn proof(auth: &SourceAuth) -> String {
    match auth {
        SourceAuth::Hmac {} => text::BY_HMAC.to_owned(),
        SourceAuth::Token {} => text::BY_SECRET.to_owned(),
        SourceAuth::Keys { issuer, audience, .. } => text::by_keys(issuer, audience),
    }
}

fn signal_state(state: SignalState) -> State {
    let shape = match state {
        SignalState::Received => Shape::Wait,
        SignalState::Done => Shape::Good,
        SignalState::Ignored | SignalState::Stale => Shape::Over,
    };
    State::new(shape, state.as_str())
}

fn said(signal: &Signal, names: &Names) -> String {
    format!(
        "{}: {}",
        text::sentence(&text::plain(signal.word.kind.as_str())),
        Named::of(&signal.word.subject.id, names).name
    )
}

/// The list of signals.
pub fn signals(frame: Frame, address: Address, page: Page<Revised<Signal>>, names: &Names) -> ListPage {
    const STATES: [SignalState; 4] =
        [SignalState::Received, SignalState::Done, SignalState::Ignored, SignalState::Stale];
    let look = Look {
        columns: const { &[Column::new("What was said"), Column::new("State"), Column::new("By"), Column::new("Received")] },
        views: const {
            &[
                View { name: "All", parameters: &[] },
                View { name: "Done", parameters: &[("state", "done")] },
                View { name: "Ignored", parameters: &[("state", "ignored")] },
            ]
        },
        choices: vec![
            Choice { name: "state", label: "State", words: STATES.map(SignalState::as_str).to_vec() },
            Choice { name: "kind", label: "Kind", words: SignalKind::ALL.iter().map(|kind| kind.as_str()).collect() },
        ],
        is_searched: false,
        empty: text::NO_SIGNALS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let signal = &row.record;
        vec![
            Cell::Record {
                record: Named { name: said(signal, names), ..Named::of(signal.id, names) },
                lesser: signal.outcome.what.clone(),
            },
            Cell::State(signal_state(signal.state)),
            Cell::Named(Named::of(signal.source, names)),
            Cell::Time(When::new(signal.received_at, now)),
        ]
    })
}

/// A signal: what was said, and all that came of it.
pub fn signal(frame: Frame, signal: &Signal, names: &Names) -> SheetPage {
    let now = frame.now;
    let named = |id: String| Cell::Named(Named::of(id, names));
    let outcome = &signal.outcome;
    let mut sheet =
        Sheet { state: Some(signal_state(signal.state)), lead: text::sentence(&outcome.what), ..Sheet::default() };
    sheet.fact(text::SOURCE, [named(signal.source.to_string())]);
    sheet.fact(text::SETS_OFF, [Cell::Text(text::sentence(does(signal.word.kind.effect())))]);
    sheet.fact(text::ABOUT, [Cell::Text(signal.word.subject.to_string())]);
    sheet.fact(text::HAPPENED_AT, signal.word.occurred_at.map(|at| Cell::Time(When::new(at, now))));
    sheet.fact(text::RECEIVED, [Cell::Time(When::new(signal.received_at, now))]);
    let facts = signal.word.facts.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Cell::Text(format!("{}: {value}", text::plain(name)))
    });
    sheet.fact(text::WHAT_IT_SAID, facts);
    sheet.fact(text::REMOVAL, outcome.removal.map(|id| removal(id, names)));
    sheet.fact(text::REVIEWS, outcome.reviews.iter().map(|id| named(id.to_string())));
    sheet.fact(text::WHO_LEFT, outcome.person.map(|id| named(id.to_string())));
    sheet.fact(text::IDENTITIES, outcome.identities.iter().map(|id| named(id.to_string())));
    sheet.fact(text::DIGEST, [Cell::Text(signal.digest.clone())]);
    sheet_page(frame, said(signal, names), ("/signals", text::SIGNALS), sheet)
}

fn removal(id: impl ToString, names: &Names) -> Cell {
    Cell::Named(Named { name: text::WHAT_IT_TAKES.to_owned(), ..Named::of(id, names) })
}
