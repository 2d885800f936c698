//! Agents and chains: what an identity says that it is for, who may act for it, and for whom it acts now (R54, R57,
//! S-14).

use tenure_api::views::{CredentialView, IdentityView, Names, Page};
use tenure_core::identity::delegation::{Delegate, Task};
use tenure_core::inventory::entitlement::Entitlement;

use crate::address::Address;
use crate::frame::Frame;
use crate::graph::Graph;
use crate::list::{Cell, Table};
use crate::problem::Kept;
use crate::records::Named;
use crate::sheet::{Button, Field, Form, Sheet, SheetPage};
use crate::watch::{Typed, sheet_page};
use crate::when::When;
use crate::{identities, text};

fn allowed(scope: &[Entitlement], names: &Names) -> String {
    let part = |entitlement: &Entitlement| {
        format!("{} on {}", entitlement.actions.join(", "), Named::of(&entitlement.resource, names).name)
    };
    scope.iter().map(part).collect::<Vec<_>>().join("; ")
}

/// What an identity declares, who may act for it, and every live credential with which it acts for somebody else.
pub fn chains(frame: Frame, view: &IdentityView, credentials: &Page<CredentialView>, names: &Names) -> SheetPage {
    let now = frame.now;
    let charter = &view.record.charter;
    let mut sheet =
        Sheet { state: Some(identities::state(view)), lead: text::CHAINS_LEAD.to_owned(), ..Sheet::default() };
    let chained: Vec<&CredentialView> =
        credentials.items.iter().filter(|credential| credential.record.delegation.is_some()).collect();
    sheet.fact(text::ACTS_FOR, chained.is_empty().then(|| Cell::Text(text::FOR_NOBODY.to_owned())));
    sheet.fact(text::MORE, credentials.next.as_ref().map(|_| Cell::Text(text::FIRST_CREDENTIALS.to_owned())));
    sheet.picture = Graph::of_chains(&chained, names);
    let task = |task: &Task| {
        vec![Cell::Text(task.name.clone()), Cell::Text(task.purpose.clone()), Cell::Text(allowed(&task.scope, names))]
    };
    let tasks = charter.tasks.iter().map(task).collect();
    let delegate = |delegate: &Delegate| {
        vec![
            Cell::Named(Named::of(delegate.actor, names)),
            Cell::Text(allowed(&delegate.scope, names)),
            Cell::Number(delegate.onward.into()),
        ]
    };
    let delegates = charter.delegates.iter().map(delegate).collect();
    let chain = |credential: &&CredentialView| {
        let record = &credential.record;
        let named = Named {
            name: links(record, names),
            id: record.id.to_string(),
            to: Some(Address::new("/credentials").below(&record.id.to_string())),
        };
        vec![
            Cell::Record { record: named, lesser: record.task.clone().unwrap_or_default() },
            Cell::Text(record.actions.join(", ")),
            Cell::Named(Named::of(record.resource, names)),
            Cell::Text(text::plain(&credential.state)),
            Cell::Time(When::new(record.expires_at, now)),
        ]
    };
    sheet.tables.push(Table::new(
        text::CHAINS,
        &["Who acts for whom", "May", "On", "State", "Ends"],
        chained.iter().map(chain).collect(),
    ));
    sheet.tables.push(Table::new(text::TASKS, &["Task", "What for", "May"], tasks));
    sheet.tables.push(Table::new(text::MAY_ACT_FOR_IT, &["Who", "May", "Hands on"], delegates));
    let home = Address::new("/identities").below(&view.record.id.to_string()).to_string();
    sheet_page(frame, text::chains_of(&view.record.name), (&home, &view.record.name), sheet)
}

/// Who acts for whom, the first who lets somebody act, the holder last.
fn links(credential: &tenure_core::credential::Credential, names: &Names) -> String {
    let chain = credential.delegation.iter().flat_map(|delegation| &delegation.chain);
    let links: Vec<String> = chain.map(|link| Named::of(link, names).name).collect();
    match links.is_empty() {
        true => Named::of(credential.identity, names).name,
        false => links.join(" → "),
    }
}

/// A credential: whose it is, for whom its holder acts, what it is good for, and its end.
pub fn credential(frame: Frame, view: &CredentialView, names: &Names, typed: Typed) -> SheetPage {
    let now = frame.now;
    let record = &view.record;
    let named = |id: String| Cell::Named(Named::of(id, names));
    let mut sheet = Sheet { lead: view.purpose.clone().unwrap_or_default(), ..Sheet::default() };
    sheet.fact(text::STATE, [Cell::Text(text::plain(&view.state))]);
    sheet.fact(text::IDENTITY, [named(record.identity.to_string())]);
    sheet.fact(text::OWNER, view.owner.map(|owner| named(owner.to_string())));
    sheet.fact(text::TYPE, [Cell::Text(text::plain(record.kind.as_str()))]);
    if let Some(delegation) = &record.delegation {
        sheet.fact(text::WHO_ACTS, delegation.chain.iter().map(|link| named(link.to_string())));
        sheet.fact(
            text::DERIVED_FROM,
            delegation.parents.iter().map(|parent| {
                let to = Some(Address::new("/credentials").below(&parent.to_string()));
                Cell::Named(Named { name: text::A_CREDENTIAL.to_owned(), id: parent.to_string(), to })
            }),
        );
        sheet.fact(
            text::TASKS,
            delegation.declared().map(|(link, task)| Cell::Text(format!("{}: {task}", Named::of(link, names).name))),
        );
    }
    sheet.fact(text::ACTIONS, [Cell::Text(record.actions.join(", "))]);
    sheet.fact(text::RESOURCE, [named(record.resource.to_string())]);
    sheet.fact(text::ENVIRONMENT, [Cell::Text(record.environment.clone())]);
    sheet.fact(text::ISSUED, [Cell::Time(When::new(record.issued_at, now))]);
    sheet.fact(text::ENDS_AT, [Cell::Time(When::new(record.expires_at, now))]);
    sheet.fact(text::REVOKED_AT, record.revoked_at.map(|at| Cell::Time(When::new(at, now))));
    sheet.fact(text::LAST_SEEN, view.last_used.or(view.identity_last_used).map(|at| Cell::Time(When::new(at, now))));
    if record.revoked_at.is_none() && record.expires_at > now {
        let with_it = match record.delegation.is_some() || record.may_act.is_some() {
            true => text::STOP_CHAIN,
            false => text::STOP_IT,
        };
        sheet.form = Some(Form {
            action: Address::new("/credentials").below(&record.id.to_string()),
            wrong: typed.wrong,
            fields: vec![Field::reason(typed.comment)],
            buttons: vec![Button::only(with_it, true)],
            takes_fresh: false,
        });
    } else {
        sheet.kept = Kept::of(typed.wrong, typed.comment);
    }
    let home = Address::new("/identities").below(&record.identity.to_string()).verb("chains").to_string();
    let holder = Named::of(record.identity, names).name;
    sheet_page(frame, text::credential_of(&links(record, names)), (&home, &text::chains_of(&holder)), sheet)
}
