//! Policy sets as pages: the one in force in its own words and in plain ones, those that were proposed, what a change would
//! change, and the form by which one is tried out and proposed.

use askama::Template;
use tenure_api::policies::PolicyInForceView;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::policy::set::{PolicySet, PolicySetState};

use crate::address::Address;
use crate::frame::Frame;
use crate::list::{Cell, Table};
use crate::markup::filters;
use crate::problem::Wrong;
use crate::records::Named;
use crate::state::{Shape, State};
use crate::text;
use crate::when::When;

/// A policy of a set, as it says what it does.
pub struct Said {
    /// Its name, which decisions cite.
    pub id: String,
    /// What it is for; nothing if it doesn't say.
    pub doc: String,
    /// The risk that it answers.
    pub control: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
}

fn in_plain_words(policies: Vec<Said>) -> Table {
    let row = |policy: Said| {
        let state = match policy.permits {
            true => State::new(Shape::Good, text::PERMITS),
            false => State::new(Shape::Bad, text::FORBIDS),
        };
        vec![
            Cell::Text(policy.id),
            Cell::State(state),
            Cell::of(Some(policy.doc).filter(|doc| !doc.is_empty())),
            Cell::of(Some(policy.control).filter(|control| !control.is_empty())),
        ]
    };
    let rows = policies.into_iter().map(row).collect();
    Table::new(text::IN_PLAIN_WORDS, &["Policy", "Does", "What it says", "Risk"], rows)
}

fn set_state(state: PolicySetState) -> State {
    let shape = match state {
        PolicySetState::InForce => Shape::Good,
        PolicySetState::Proposed => Shape::Wait,
        _ => Shape::Over,
    };
    State::new(shape, state.as_str())
}

/// The policy set in force.
#[derive(Template)]
#[template(path = "policy.html")]
pub struct PolicyPage {
    frame: Frame,
    version: String,
    is_shipped: bool,
    may_propose: bool,
    words: Table,
    text: String,
    sets: Table,
}

impl PolicyPage {
    /// The page of the set in force, with those that were proposed: who changed what, and when.
    pub fn new(
        frame: Frame,
        in_force: PolicyInForceView,
        policies: Vec<Said>,
        sets: &Page<Revised<PolicySet>>,
        names: &Names,
        may_propose: bool,
    ) -> Self {
        let now = frame.now;
        let row = |set: &Revised<PolicySet>| {
            let set = &set.record;
            vec![
                Cell::Record {
                    record: Named { name: set.purpose.clone(), ..Named::of(set.id, names) },
                    lesser: set.version.clone(),
                },
                Cell::State(set_state(set.state)),
                Cell::Named(Named::of(set.author, names)),
                Cell::Time(When::new(set.created_at, now)),
                Cell::of(set.in_force_at.map(|at| When::new(at, now))),
            ]
        };
        let sets = Table::new(
            text::POLICY_SETS,
            &["For which need", "State", "Author", "Proposed", "In force since"],
            sets.items.iter().rev().map(row).collect(),
        );
        let is_shipped = in_force.policy.is_none();
        let words = in_plain_words(policies);
        Self { frame, version: in_force.version, is_shipped, may_propose, words, text: in_force.text, sets }
    }
}

/// A policy of which the text differs.
pub struct Differing {
    /// Its name.
    pub id: String,
    /// As it is; nothing of one that is new.
    pub was: Option<String>,
    /// As it is to be; nothing of one that goes.
    pub becomes: Option<String>,
}

impl Differing {
    /// What becomes of it.
    fn how(&self) -> &'static str {
        match (&self.was, &self.becomes) {
            (None, _) => text::IS_NEW,
            (_, None) => text::GOES,
            _ => text::READS_OTHERWISE,
        }
    }
}

/// A question of lately that the other set decides otherwise.
pub struct Otherwise {
    /// Who asked.
    pub who: String,
    /// To do what.
    pub action: String,
    /// With what.
    pub what: String,
    /// What was answered.
    pub was: String,
    /// What would be.
    pub becomes: String,
}

/// What a change of policy changes.
#[derive(Default)]
pub struct Review {
    /// Why it can't be loaded; then there is nothing else.
    pub problems: Vec<String>,
    /// Policies that are new, gone, or read otherwise.
    pub differing: Vec<Differing>,
    /// How many questions of lately were asked again.
    pub asked: usize,
    /// How many of them are decided otherwise.
    pub otherwise_count: usize,
    /// The first of these.
    pub otherwise: Vec<Otherwise>,
    /// What the solver says.
    pub analysis: String,
    /// For each place where something new is allowed, one example.
    pub newly_allowed: Vec<String>,
    /// How many of the built-in set's cases come out as they do there, of how many; where they were tried.
    pub cases: Option<(usize, usize)>,
    /// Those that don't, by name; the first of them.
    pub failing: Vec<String>,
}

/// What a change changes, as a part of a page.
#[derive(Template)]
#[template(path = "policy_review.html")]
struct Reviewed {
    review: Review,
    asked: Option<String>,
    cases: Option<String>,
    otherwise: Table,
}

impl crate::markup::Markup for Reviewed {}

impl Reviewed {
    fn new(mut review: Review) -> Self {
        let row = |otherwise: Otherwise| {
            vec![
                Cell::Text(otherwise.who),
                Cell::Text(text::plain(&otherwise.action)),
                Cell::Text(otherwise.what),
                Cell::Text(otherwise.was),
                Cell::Text(otherwise.becomes),
            ]
        };
        let rows: Vec<Vec<Cell>> = std::mem::take(&mut review.otherwise).into_iter().map(row).collect();
        let caption = text::otherwise(review.otherwise_count, rows.len());
        let otherwise = Table::new(caption, &["Who", "Does", "With", "Was", "Becomes"], rows);
        Self {
            asked: (review.asked > 0).then(|| text::asked_again(review.asked, review.otherwise_count)),
            cases: review.cases.map(|(passed, all)| text::cases(passed, all)),
            review,
            otherwise,
        }
    }
}

/// A policy set that was proposed, with all that it changes.
#[derive(Template)]
#[template(path = "policy_set.html")]
pub struct PolicySetPage {
    frame: Frame,
    state: State,
    purpose: String,
    author: Named,
    proposed: When,
    in_force: Option<When>,
    request: Named,
    version: String,
    based_on: String,
    reviewed: Reviewed,
    words: Table,
    text: String,
}

impl PolicySetPage {
    /// The page of a set.
    pub fn new(frame: Frame, set: PolicySet, review: Review, policies: Vec<Said>, names: &Names) -> Self {
        let now = frame.now;
        Self {
            state: set_state(set.state),
            author: Named::of(set.author, names),
            proposed: When::new(set.created_at, now),
            in_force: set.in_force_at.map(|at| When::new(at, now)),
            request: Named { name: text::THE_REQUEST.to_owned(), ..Named::of(set.request, names) },
            version: set.version,
            based_on: set.based_on,
            reviewed: Reviewed::new(review),
            words: in_plain_words(policies),
            text: set.text,
            purpose: set.purpose,
            frame,
        }
    }
}

/// The form by which a policy set is tried out and proposed.
#[derive(Template)]
#[template(path = "policy_new.html")]
pub struct NewPolicyPage {
    frame: Frame,
    action: Address,
    wrong: Option<Wrong>,
    text: String,
    purpose: String,
    reviewed: Option<Reviewed>,
}

impl NewPolicyPage {
    /// The form, with what it would change if it was tried out.
    pub fn new(frame: Frame, text: String, purpose: String, review: Option<Review>, wrong: Option<Wrong>) -> Self {
        let action = Address::new("/policies").verb("new");
        Self { frame, action, wrong, text, purpose, reviewed: review.map(Reviewed::new) }
    }
}
