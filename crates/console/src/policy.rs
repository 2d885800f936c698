//! The policy set in force as a page, and the list of sets that were proposed.

use askama::Template;
use tenure_api::policies::PolicyInForceView;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::policy::set::{PolicySet, PolicySetState};

use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::markup::filters;
use crate::records::Named;
use crate::state::{Shape, State};
use crate::text;
use crate::when::When;

/// The policy set in force.
#[derive(Template)]
#[template(path = "policy.html")]
pub struct PolicyPage {
    frame: Frame,
    version: String,
    is_shipped: bool,
    text: String,
    sets: Table,
}

impl PolicyPage {
    /// The page of the set in force, with those that were proposed.
    pub fn new(frame: Frame, in_force: PolicyInForceView, sets: &Page<Revised<PolicySet>>, names: &Names) -> Self {
        let now = frame.now;
        let row = |set: &Revised<PolicySet>| {
            let set = &set.record;
            let shape = match set.state {
                PolicySetState::InForce => Shape::Good,
                PolicySetState::Proposed => Shape::Wait,
                _ => Shape::Over,
            };
            vec![
                Cell::Record {
                    record: Named { name: set.purpose.clone(), ..Named::of(set.request, names) },
                    lesser: set.version.clone(),
                },
                Cell::State(State::new(shape, set.state.as_str())),
                Cell::Named(Named::of(set.author, names)),
                Cell::Time(When::new(set.created_at, now)),
                Cell::of(set.in_force_at.map(|at| When::new(at, now))),
            ]
        };
        let sets = Table::new(
            text::POLICY_SETS,
            &["For which need", "State", "Author", "Proposed", "In force since"],
            sets.items.iter().map(row).collect(),
        );
        let is_shipped = in_force.policy.is_none();
        Self { frame, version: in_force.version, is_shipped, text: in_force.text, sets }
    }
}
