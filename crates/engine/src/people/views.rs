//! Saved views of the inventory: everybody keeps their own, and may let a team of theirs see one. A view is an address
//! under a name: it shows whoever opens it what they may see, and nothing else.

use tenure_api::saved_views::{NewView, SavedView, ViewChange};
use tenure_api::views::{Names, Page};
use tenure_core::base::id::{PersonId, ViewId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::people::view::{SavedViews, View};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{RowKey, RowKind, Stored};

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;
use crate::people::setup::personal;

/// People of a team whose shared views are told of at most.
const SHARING: u16 = 20;

/// The views that the caller keeps, and behind them those that others let a team of theirs see.
///
/// # Errors
/// The caller is no person.
pub async fn views(kernel: &Kernel, caller: &Caller) -> Result<Page<SavedView>, OpError> {
    let person = kernel.only_person(caller, "view.list").await?;
    let own = kernel.one::<SavedViews>(person).await?;
    let mut told: Vec<SavedView> =
        own.iter().flat_map(|own| own.views.iter()).map(|view| told_of(person, view.clone())).collect();
    let teams = caller.person().map(|person| person.teams.clone()).unwrap_or_default();
    for team in teams {
        let sharing = kernel.find(Query::of([SavedViews::TEAM.of(team)]).limit(SHARING)).await?.readable();
        for others in sharing.into_iter().filter(|others| others.person != person) {
            // Who left, or left the team, shares nothing with it any more.
            let owner = kernel.one::<Person>(others.person).await?;
            if owner.is_some_and(|owner| owner.is_active() && owner.teams.contains(&team)) {
                let shared = others.views.iter().filter(|view| view.team == Some(team));
                told.extend(shared.map(|view| told_of(others.person, view.clone())));
            }
        }
    }
    Ok(Page::whole(told))
}

/// Keeps a view. Its query was read as the inventory reads it.
///
/// # Errors
/// The caller is no person, or keeps as many as anybody may; the name is taken or unfit; the team is none of theirs.
pub async fn save_view(kernel: &Kernel, caller: &Caller, ask: NewView) -> Result<SavedView, OpError> {
    let asked = Asked::new(ControlPoint::Change, "view.save", "");
    changed(kernel, caller, asked, |views, now| {
        let view = View {
            id: ViewId::generate(now, kernel.entropy.as_ref()),
            name: ask.name.trim().to_owned(),
            query: ask.query.clone(),
            team: ask.team,
            saved_at: now,
        };
        if views.views.len() >= SavedViews::MOST {
            let hint = format!("delete one first: everybody keeps at most {}", SavedViews::MOST);
            return Err(OpError::field("name", "too_many", &hint));
        }
        views.views.push(view.clone());
        Ok((EventKind::ViewSaved, view))
    })
    .await
}

/// Gives a view of the caller's another name, or has it show something else, or to others.
///
/// # Errors
/// They keep none by that id; else as [`save_view`].
pub async fn change_view(kernel: &Kernel, caller: &Caller, id: ViewId, ask: ViewChange) -> Result<SavedView, OpError> {
    changed(kernel, caller, Asked::new(ControlPoint::Change, "view.change", id), |views, now| {
        let view = one(views, id)?;
        if let Some(name) = &ask.name {
            name.trim().clone_into(&mut view.name);
        }
        if let Some(query) = &ask.query {
            view.query.clone_from(query);
        }
        view.team = ask.team.unwrap_or(view.team);
        view.saved_at = now;
        Ok((EventKind::ViewChanged, view.clone()))
    })
    .await
}

/// Deletes a view of the caller's.
///
/// # Errors
/// They keep none by that id.
pub async fn delete_view(kernel: &Kernel, caller: &Caller, id: ViewId) -> Result<SavedView, OpError> {
    changed(kernel, caller, Asked::new(ControlPoint::Change, "view.delete", id), |views, _| {
        let view = one(views, id)?.clone();
        views.views.retain(|other| other.id != id);
        Ok((EventKind::ViewDeleted, view))
    })
    .await
}

/// What somebody's views come to when they are erased: none.
pub(crate) async fn erased(kernel: &Kernel, changeset: &mut Changeset, person: PersonId) -> Result<(), OpError> {
    match kernel.one::<SavedViews>(person).await? {
        Some(stored) if !stored.views.is_empty() => {
            changeset.replace(&stored, &SavedViews { person, views: Vec::new() });
        }
        Some(stored) => {
            changeset.expect(&stored);
        }
        None => {
            changeset.expect_absent(RowKey::new(RowKind::SavedViews, person));
        }
    }
    Ok(())
}

/// Of others nothing is said, not even whether they keep one.
fn one(views: &mut SavedViews, id: ViewId) -> Result<&mut View, OpError> {
    views.views.iter_mut().find(|view| view.id == id).ok_or(OpError::NotFound("view of yours"))
}

fn told_of(person: PersonId, view: View) -> SavedView {
    let View { id, name, query, team, saved_at } = view;
    SavedView { id, name, query, person, team, saved_at, names: Names::new() }
}

/// One step of the caller's views, and the view that it is about.
async fn changed(
    kernel: &Kernel,
    caller: &Caller,
    asked: Asked,
    step: impl Fn(&mut SavedViews, Timestamp) -> Result<(EventKind, View), OpError>,
) -> Result<SavedView, OpError> {
    let step = &step;
    kernel
        .recorded(caller, asked, async {
            let person = caller.must_be_person()?;
            let (view, _) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.one::<SavedViews>(person).await?;
                    let mut views = match &stored {
                        Some(stored) => (*stored.value).clone(),
                        None => SavedViews { person, views: Vec::new() },
                    };
                    let (kind, view) = step(&mut views, now)?;
                    if kind != EventKind::ViewDeleted {
                        check(caller, &views, &view)?;
                    }
                    let mut changeset = Changeset::new(caller.author(), now, event(kernel, kind, person, &view, now));
                    written(&mut changeset, stored.as_ref(), &views);
                    Ok((changeset, view))
                })
                .await?;
            Ok(told_of(person, view))
        })
        .await
}

fn written(changeset: &mut Changeset, stored: Option<&Stored<SavedViews>>, views: &SavedViews) {
    match stored {
        Some(stored) => changeset.replace(stored, views),
        None => changeset.insert(views),
    };
}

/// What somebody calls a view, and what they look for, is theirs: of both the log has only that it was so.
fn event(kernel: &Kernel, kind: EventKind, person: PersonId, view: &View, now: Timestamp) -> Event {
    let event = kernel.event(now, kind).subject(view.id).subject(person).fact("team", view.team);
    match kind {
        EventKind::ViewDeleted => event,
        _ => event.personal(personal(kernel, person, "view_name", &view.name)).personal(personal(
            kernel,
            person,
            "view_query",
            &view.query,
        )),
    }
}

fn check(caller: &Caller, views: &SavedViews, view: &View) -> Result<(), OpError> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, code: &str, hint: String| problems.push(FieldProblem::new(field, code, hint));
    if view.name.is_empty() || view.name.chars().nth(View::LONGEST_NAME).is_some() {
        wrong("name", "name_unfit", format!("call it something, in at most {} characters", View::LONGEST_NAME));
    }
    if views.views.iter().any(|other| other.id != view.id && other.name == view.name) {
        wrong("name", "name_taken", "another view of yours is called so: call this one otherwise".to_owned());
    }
    if view.query.len() > View::LONGEST_QUERY {
        wrong("query", "too_long", format!("it takes at most {} bytes", View::LONGEST_QUERY));
    }
    let is_of = |team| caller.person().is_some_and(|person| person.teams.contains(team));
    if view.team.as_ref().is_some_and(|team| !is_of(team)) {
        wrong("team", "team_unknown", "name a team of your own".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}

#[cfg(test)]
mod tests;
