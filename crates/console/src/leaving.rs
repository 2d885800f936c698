//! What is done to a person: stopped for a while, let go on, invited; and what leaves with them, before they do.

use tenure_api::people::{Departure, LeftBehind};
use tenure_api::sign_in::InvitationView;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::PersonId;
use tenure_core::people::person::Person;

use crate::address::Address;
use crate::directory::Entity;
use crate::frame::Frame;
use crate::list::{Cell, Column, ListPage, Look, Table, listed};
use crate::problem::{Kept, Wrong};
use crate::records::Named;
use crate::sheet::{Button, Choice, Field, Form, Sheet, SheetPage};
use crate::state::{Shape, State};
use crate::text;
use crate::watch::sheet_page;
use crate::when::When;

/// What was typed, and what was wrong with it.
#[derive(Default)]
pub struct Typed {
    /// Why.
    pub reason: String,
    /// What was wrong.
    pub wrong: Option<Wrong>,
}

/// The page of a person.
pub fn home(id: PersonId) -> Address {
    Address::new(Person::PATH).below(&id.to_string())
}

fn deed(frame: Frame, person: &Person, word: &'static str, sheet: Sheet) -> SheetPage {
    let (name, back) = (Entity::name(person), home(person.id).to_string());
    sheet_page(frame, format!("{word}: {name}"), (&back, &name), sheet)
}

fn reasoned(action: Address, typed: Typed, buttons: Vec<Button>, takes_fresh: bool) -> Option<Form> {
    Some(Form { action, wrong: typed.wrong, fields: vec![Field::reason(typed.reason)], buttons, takes_fresh })
}

/// Takes somebody's authority away for a while.
pub fn suspend(frame: Frame, person: &Person, typed: Typed) -> SheetPage {
    let buttons = vec![Button::only(text::SUSPEND, true)];
    let sheet = Sheet {
        lead: text::SUSPEND_PERSON_LEAD.to_owned(),
        form: reasoned(home(person.id).verb("suspend"), typed, buttons, false),
        ..Sheet::default()
    };
    deed(frame, person, text::SUSPEND, sheet)
}

/// Gives it back.
pub fn resume(frame: Frame, person: &Person, typed: Typed) -> SheetPage {
    let buttons = vec![Button::only(text::RESUME, false)];
    let mut sheet = Sheet {
        lead: text::RESUME_PERSON_LEAD.to_owned(),
        form: reasoned(home(person.id).verb("resume"), typed, buttons, true),
        ..Sheet::default()
    };
    sheet.fact(text::SUSPENDED_BECAUSE, person.suspension.iter().map(|cause| Cell::Text(cause.reason.clone())));
    deed(frame, person, text::RESUME, sheet)
}

/// What leaves with somebody, and then that they do.
pub fn depart(frame: Frame, person: &Person, plan: Option<&Departure>, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let look = |class| Button { decision: "look", word: text::WHAT_LEAVES, class };
    let mut sheet = Sheet { lead: text::DEPART_LEAD.to_owned(), ..Sheet::default() };
    let mut buttons = vec![look("main")];
    if let Some(plan) = plan {
        buttons = vec![Button { decision: "leave", word: text::THEY_LEAVE, class: "danger" }, look("")];
        sheet.lead = text::WOULD_LEAVE.to_owned();
        let count = plan.left_behind.len();
        sheet.fact(text::IDENTITIES, [Cell::Text(text::left_behind(count, plan.more))]);
        sheet.fact(text::PERSON_GRANTS, [Cell::Text(text::grants_end(plan.ended_grants.len()))]);
        let row = |left: &LeftBehind| {
            vec![
                Cell::Named(Named { name: left.name.clone(), ..Named::of(left.identity, names) }),
                Cell::State(left.state.into()),
                Cell::of(left.offered_to.map(|to| Named::of(to, names))),
                Cell::of(left.until.map(|until| When::new(until, now))),
            ]
        };
        sheet.tables.push(Table::new(
            text::LEFT_BEHIND,
            &["Identity", "Then", "Offered to", "Suspended unless taken"],
            plan.left_behind.iter().map(row).collect(),
        ));
    }
    sheet.form = reasoned(home(person.id).verb("depart"), typed, buttons, false);
    if let (Some(form), true) = (&mut sheet.form, plan.is_some()) {
        form.fields.push(Field::Hidden { name: "seen", value: "plan".to_owned() });
    }
    deed(frame, person, text::LEAVES_FOR_GOOD, sheet)
}

/// Invites somebody to bind how they sign in.
pub fn invite(frame: Frame, person: &Person, replaces: bool, wrong: Option<Wrong>) -> SheetPage {
    let choice = |value, label, hint, chosen| Choice { value, label, hint, chosen };
    let options = vec![
        choice("add", text::ONE_MORE_WAY, text::ONE_MORE_WAY_HINT, !replaces),
        choice("replace", text::REPLACES, text::REPLACES_HINT, replaces),
    ];
    let sheet = Sheet {
        lead: text::INVITE_LEAD.to_owned(),
        form: Some(Form {
            action: home(person.id).verb("invite"),
            wrong,
            fields: vec![Field::Choice { name: "replaces", label: text::HOW, options }],
            buttons: vec![Button::only(text::INVITE, false)],
            takes_fresh: true,
        }),
        ..Sheet::default()
    };
    deed(frame, person, text::INVITE, sheet)
}

/// An invitation that was just made: its link stands here this once.
pub fn invited(frame: Frame, person: &Person, made: &InvitationView, link: String) -> SheetPage {
    let mut sheet = Sheet { lead: text::INVITED_LEAD.to_owned(), ..Sheet::default() };
    sheet.fact(text::LINK, [Cell::Text(link)]);
    sheet.fact(text::GOOD_UNTIL, [Cell::Time(When::new(made.expires_at, frame.now))]);
    if !made.good {
        let to = Some(Address::new("/invitations").below(&made.id.to_string()));
        let waits = Named { name: text::WAITS_FOR_ANOTHER.to_owned(), id: made.id.to_string(), to };
        sheet.fact(text::BUT, [Cell::Named(waits)]);
    }
    deed(frame, person, text::INVITE, sheet)
}

fn invitation_state(invitation: &InvitationView) -> State {
    match (invitation.good, invitation.used_at) {
        (_, Some(_)) => State::new(Shape::Over, text::USED),
        (true, None) => State::new(Shape::Good, text::GOOD),
        (false, None) => State::new(Shape::Wait, text::NOT_GOOD),
    }
}

/// The list of invitations of the last day.
pub fn invitations(frame: Frame, address: Address, page: Page<Revised<InvitationView>>, names: &Names) -> ListPage {
    let look = Look {
        columns: const {
            &[
                Column::new("For"),
                Column::new("State"),
                Column::new("Made by"),
                Column::new("Confirmed by"),
                Column::new("Ends"),
            ]
        },
        views: &[],
        choices: Vec::new(),
        is_searched: false,
        empty: text::NO_INVITATIONS,
        make: None,
    };
    listed(frame, address, page, names, look, |row, now| {
        let invitation = &row.record;
        let to = Some(Address::new("/invitations").below(&invitation.id.to_string()));
        vec![
            Cell::Named(Named { to, ..Named::of(invitation.person, names) }),
            Cell::State(invitation_state(invitation)),
            Cell::Named(Named::of(invitation.proposed_by, names)),
            Cell::of(invitation.confirmed_by.map(|by| Named::of(by, names))),
            Cell::Time(When::new(invitation.expires_at, now)),
        ]
    })
}

/// An invitation, without its secret: its confirmation, and its end.
pub fn invitation(
    frame: Frame,
    invitation: &InvitationView,
    names: &Names,
    may_change: bool,
    wrong: Option<Wrong>,
) -> SheetPage {
    let now = frame.now;
    let named = |id: PersonId| Cell::Named(Named::of(id, names));
    let mut sheet = Sheet { state: Some(invitation_state(invitation)), ..Sheet::default() };
    sheet.fact(text::FOR_WHOM, [named(invitation.person)]);
    sheet.fact(text::PROPOSED_BY, [named(invitation.proposed_by)]);
    sheet.fact(text::CONFIRMED_BY, invitation.confirmed_by.map(named));
    sheet.fact(text::REPLACES, invitation.replaces.then(|| Cell::Text(text::REPLACES_HINT.to_owned())));
    sheet.fact(text::MADE, [Cell::Time(When::new(invitation.created_at, now))]);
    sheet.fact(text::GOOD_UNTIL, [Cell::Time(When::new(invitation.expires_at, now))]);
    sheet.fact(text::USED_AT, invitation.used_at.map(|at| Cell::Time(When::new(at, now))));
    if may_change && invitation.used_at.is_none() && invitation.expires_at > now {
        let mut buttons = Vec::new();
        if !invitation.good {
            buttons.push(Button { decision: "confirm", word: text::CONFIRM, class: "main" });
        }
        buttons.push(Button { decision: "revoke", word: text::TAKE_BACK, class: "danger" });
        let action = Address::new("/invitations").below(&invitation.id.to_string());
        sheet.form = Some(Form { action, wrong, fields: Vec::new(), buttons, takes_fresh: true });
    } else {
        sheet.kept = Kept::of(wrong, String::new());
    }
    let title = text::invitation_of(&Named::of(invitation.person, names).name);
    sheet_page(frame, title, ("/invitations", text::INVITATIONS), sheet)
}
