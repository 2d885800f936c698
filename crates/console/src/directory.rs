//! Who and what there is besides identities: people, teams, applications, vendors, resources, environments, cloud
//! accounts; their lists and the page of each.

use tenure_api::request::RequestView;
use tenure_api::views::{IdentityView, Names, Page, Revised};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::scope::Hold;
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::{Resource, Verification, WhenUnreachable};
use tenure_core::inventory::third_party::{CloudAccount, Standing, Vendor};
use tenure_core::people::person::{Person, PersonClass, PersonState, Role};
use tenure_core::people::team::Team;
use tenure_core::request::review::{Review, ReviewState};

use crate::address::Address;
use crate::frame::{Frame, Place};
use crate::graph::Graph;
use crate::identities::identity_table;
use crate::list::{Cell, Choice, Column, ListPage, Look, Table, listed};
use crate::records::Named;
use crate::sheet::{Sheet, SheetPage, Way};
use crate::state::{Shape, State};
use crate::stop::released_at;
use crate::text;
use crate::when::{self, When};

/// A record that has a list and a page in the console.
pub trait Entity: Sized {
    /// Where in the console it is.
    const PLACE: Place;
    /// The path of its list.
    const PATH: &'static str;
    /// What its list is called.
    const TITLE: &'static str;

    /// Its list.
    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage;

    /// What it is called; none if its name was erased.
    fn name(&self) -> String;

    /// Its sheet.
    fn sheet(&self, names: &Names, now: Timestamp) -> Sheet;

    /// Ways to what this reader can do with it.
    fn ways(&self, reader: &Person) -> Vec<Way> {
        let edit = self.edit().filter(|_| reader.holds(Role::Administrator));
        edit.map(|to| Way { word: text::CHANGE, to, class: "" }).into_iter().collect()
    }

    /// Where it is changed, if it can be.
    fn edit(&self) -> Option<Address> {
        None
    }

    /// The sort of scope that it is, and its id, if it can be stopped as a whole.
    fn scope(&self) -> Option<(&'static str, String)> {
        None
    }
}

/// What the page of a record says beside the record.
pub struct Around {
    /// Its identities.
    pub identities: Page<IdentityView>,
    /// How a person keeps up with what waits for them.
    pub duties: Option<Duties>,
    /// The last receipt of a person's suspension, or of their leaving.
    pub receipt: Option<Receipt>,
}

/// What somebody answers for besides identities, and what waits for them (R120).
#[derive(Default)]
pub struct Duties {
    /// What else they own: its sort, how many, and where it stands.
    pub owns: Vec<(&'static str, u64, Address)>,
    /// Reviews that they answer.
    pub reviews: Vec<Revised<Review>>,
    /// Identities that are offered to them, or were.
    pub transfers: Vec<Revised<Transfer>>,
    /// Open requests that name them for a vote.
    pub votes: Vec<RequestView>,
    /// Whether there are more of any of these.
    pub more: bool,
}

/// The page of a record.
pub fn page<T: Entity>(
    frame: Frame,
    record: &Revised<T>,
    around: Option<Around>,
    names: &Names,
    reader: &Person,
) -> SheetPage {
    let now = frame.now;
    let mut sheet = record.record.sheet(names, now);
    sheet.ways.extend(record.record.ways(reader));
    sheet.back = Some((Address::new(T::PATH), T::TITLE.to_owned()));
    if let Some(hold) = &record.hold {
        sheet.state = Some(State::new(Shape::Bad, text::ON_HOLD));
        sheet.fact(text::HELD_BECAUSE, [Cell::Text(held(hold, names))]);
        sheet.ways.push(Way { word: text::RESUME, to: released_at(&hold.scope), class: "" });
    }
    if let Some((kind, id)) = record.record.scope() {
        sheet.ways.push(Way {
            word: if kind == "owner" { text::STOP_THEIRS } else { text::STOP_ALL },
            to: Address::new("/stop").verb(kind).below(&id),
            class: "danger",
        });
    }
    if let Some(Around { identities, duties, receipt }) = around {
        if let Some(receipt) = receipt {
            let name = format!("{}: {}", text::receipt_of(receipt.what), text::receipt(receipt.state()));
            sheet.fact(text::PROOF, [Cell::Named(Named { name, ..Named::of(receipt.id, names) })]);
        }
        let count = identities.count.unwrap_or(identities.items.len() as u64);
        let caption = text::its_identities(count, identities.items.len());
        if let Some(duties) = duties {
            let owned = |(what, count, to): (&'static str, u64, Address)| {
                let name = format!("{what}: {count}");
                Cell::Named(Named { id: what.to_owned(), name, to: Some(to) })
            };
            sheet.tables.push(waiting(&duties, now));
            sheet.fact(text::MORE, duties.more.then(|| Cell::Text(text::ONLY_THE_FIRST.to_owned())));
            sheet.fact(text::ANSWERS_FOR, duties.owns.into_iter().map(owned));
        }
        if count == 0 {
            sheet.fact(text::IDENTITIES, [Cell::Text(text::NONE.to_owned())]);
        }
        sheet.picture = Graph::of(&identities.items, names);
        sheet.tables.push(identity_table(caption, &identities.items, names, now));
    }
    SheetPage { frame: Frame { title: record.record.name(), ..frame }, sheet }
}

fn held(hold: &Hold, names: &Names) -> String {
    let by = hold.placed_by.map(|by| Named::of(by, names).name).unwrap_or_default();
    format!("{} ({by})", hold.reason)
}

/// How somebody keeps up: what of each sort is open, what of that is overdue, what they let lapse, and how long an answer
/// takes (R120).
fn waiting(duties: &Duties, now: Timestamp) -> Table {
    let row = |what: &str, open: usize, overdue: usize, lapsed: usize, took: Vec<Span>| {
        let count = |count: usize| Cell::Number(count as u64);
        vec![Cell::Text(what.to_owned()), count(open), count(overdue), count(lapsed), median(took)]
    };
    let of_reviews = |state| duties.reviews.iter().filter(move |review| *review.record.state == state);
    let overdue = of_reviews(ReviewState::Open).filter(|review| review.record.due_at < now).count();
    let answers = duties
        .reviews
        .iter()
        .filter_map(|review| Some(review.record.answer.as_ref()?.at.since(review.record.opened_at)));
    let reviews = row(
        text::OF_REVIEWS,
        of_reviews(ReviewState::Open).count(),
        overdue,
        of_reviews(ReviewState::Lapsed).count(),
        answers.collect(),
    );
    let of_transfers = |state| duties.transfers.iter().filter(move |transfer| *transfer.record.state == state);
    let late = of_transfers(TransferState::Offered).filter(|transfer| transfer.record.deadline < now).count();
    let transfers = row(
        text::OF_TRANSFERS,
        of_transfers(TransferState::Offered).count(),
        late,
        of_transfers(TransferState::Lapsed).count(),
        Vec::new(),
    );
    // Whoever lets their approvers be reminded is late.
    let reminded = duties.votes.iter().filter(|view| view.request.reminders > 0).count();
    let waited = duties.votes.iter().map(|view| now.since(view.request.opened_at)).collect();
    let votes = row(text::OF_VOTES, duties.votes.len(), reminded, 0, waited);
    let columns = &["What", "Open", "Overdue", "Lapsed", "How long it takes"];
    Table::new(text::WAITS_FOR_THEM, columns, vec![reviews, transfers, votes])
}

fn median(mut times: Vec<Span>) -> Cell {
    times.sort_unstable();
    Cell::of(times.get(times.len() / 2).map(|median| text::median(&when::span(*median), times.len())))
}

fn record<T: ToString>(id: T, name: &str, lesser: String, names: &Names) -> Cell {
    Cell::Record { record: Named { name: name.to_owned(), ..Named::of(id, names) }, lesser }
}

/// Narrows a list to what stands, or doesn't any more.
fn standings() -> Choice {
    Choice { name: "standing", label: "State", words: vec![Standing::Open.as_str(), Standing::Closed.as_str()] }
}

fn standing(standing: Standing) -> State {
    match standing {
        Standing::Open => State::new(Shape::Good, text::IN_FORCE),
        Standing::Closed => State::new(Shape::Over, text::OVER),
    }
}

fn person_state(state: PersonState) -> State {
    let shape = match state {
        PersonState::Active => Shape::Good,
        PersonState::Preboarding => Shape::Wait,
        PersonState::Suspended => Shape::Bad,
        PersonState::Departed => Shape::Over,
    };
    State::new(shape, state.as_str())
}

impl Entity for Person {
    const PLACE: Place = Place::People;
    const PATH: &'static str = "/people";
    const TITLE: &'static str = text::PEOPLE;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let words = |words: &[PersonState]| words.iter().map(|state| state.as_str()).collect();
        let states = [PersonState::Active, PersonState::Preboarding, PersonState::Suspended, PersonState::Departed];
        let roles = [Role::Requester, Role::Owner, Role::Manager, Role::Security, Role::Administrator, Role::Auditor];
        let look = Look {
            columns: const {
                &[
                    Column::sorted("Name", "name"),
                    Column::new("State"),
                    Column::new("Class"),
                    Column::new("Roles"),
                    Column::new("Manager"),
                    Column::new("Leaves"),
                ]
            },
            views: &[],
            choices: vec![
                Choice { name: "state", label: "State", words: words(&states) },
                Choice { name: "role", label: "Role", words: roles.iter().map(|role| role.as_str()).collect() },
                Choice {
                    name: "class",
                    label: "Class",
                    words: vec![PersonClass::Employee.as_str(), PersonClass::Contractor.as_str()],
                },
            ],
            is_searched: true,
            empty: text::NO_PEOPLE,
            make: Some((text::NEW_PERSON, "/people/new")),
        };
        listed(frame, address, page, names, look, |row, now| {
            let person = &row.record;
            let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
            vec![
                record(person.id, &Entity::name(person), person.email.clone().unwrap_or_default(), names),
                Cell::State(person_state(person.state)),
                Cell::Text(person.class.as_str().to_owned()),
                Cell::of(Some(roles.join(", ")).filter(|roles| !roles.is_empty())),
                Cell::of(person.manager.map(|manager| Named::of(manager, names))),
                Cell::of(person.ends_at.map(|end| When::new(end, now))),
            ]
        })
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| text::sentence(text::ERASED))
    }

    fn sheet(&self, names: &Names, now: Timestamp) -> Sheet {
        let mut sheet = Sheet { state: Some(person_state(self.state)), ..Sheet::default() };
        sheet.fact(text::EMAIL, self.email.clone().map(Cell::Text));
        sheet.fact(text::CLASS, [Cell::Text(self.class.as_str().to_owned())]);
        sheet.fact(text::ROLES, self.roles.iter().map(|role| Cell::Text(role.as_str().to_owned())));
        sheet.fact(text::MANAGER, self.manager.map(|manager| Cell::Named(Named::of(manager, names))));
        sheet.fact(text::TEAMS, self.teams.iter().map(|team| Cell::Named(Named::of(team, names))));
        sheet.fact(text::STARTS, self.starts_at.map(|at| Cell::Time(When::new(at, now))));
        sheet.fact(text::LEAVES, self.ends_at.map(|at| Cell::Time(When::new(at, now))));
        if let Some(stand_in) = self.stand_in.filter(|stand_in| now < stand_in.until) {
            let person = Named::of(stand_in.person, names).name;
            let said = text::stands_in(&person, &when::exact(stand_in.from), &when::exact(stand_in.until));
            sheet.fact(text::STAND_IN, [Cell::Text(said)]);
        }
        if let Some(suspension) = &self.suspension {
            sheet.fact(text::SUSPENDED_BECAUSE, [Cell::Text(suspension.reason.clone())]);
        }
        sheet
    }

    fn ways(&self, reader: &Person) -> Vec<Way> {
        let home = Address::new(Self::PATH).below(&self.id.to_string());
        let way = |word, verb: &str, class| Way { word, to: home.clone().verb(verb), class };
        let mut ways = vec![way(text::WHAT_THEY_HOLD, "access", "")];
        if reader.id == self.id {
            ways.push(way(text::AWAY, "stand-in", ""));
            ways.extend(self.stand_in.map(|_| way(text::BACK_AGAIN, "end-stand-in", "")));
        }
        let administers = reader.holds(Role::Administrator);
        if administers && self.state == PersonState::Active {
            ways.push(way(text::INVITE, "invite", ""));
        }
        if administers || reader.holds(Role::Security) {
            match self.state {
                PersonState::Active => ways.push(way(text::SUSPEND, "suspend", "")),
                PersonState::Suspended => ways.push(way(text::RESUME, "resume", "")),
                PersonState::Preboarding | PersonState::Departed => {}
            }
            if self.state != PersonState::Departed {
                ways.push(way(text::LEAVES_FOR_GOOD, "depart", ""));
            }
        }
        ways
    }

    fn scope(&self) -> Option<(&'static str, String)> {
        Some(("owner", self.id.to_string()))
    }
}

impl Entity for Team {
    const PLACE: Place = Place::Teams;
    const PATH: &'static str = "/teams";
    const TITLE: &'static str = text::TEAMS;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let look = Look {
            columns: const { &[Column::sorted("Name", "name"), Column::new("Made")] },
            views: &[],
            choices: Vec::new(),
            is_searched: true,
            empty: text::NO_TEAMS,
            make: Some((text::NEW_TEAM, "/teams/new")),
        };
        listed(frame, address, page, names, look, |row, now| {
            let team = &row.record;
            vec![record(team.id, &team.name, String::new(), names), Cell::Time(When::new(team.created_at, now))]
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn sheet(&self, _: &Names, now: Timestamp) -> Sheet {
        let mut sheet = Sheet::default();
        sheet.ways.push(Way {
            word: text::ITS_MEMBERS,
            to: Address::new("/people").with("team", self.id.to_string()),
            class: "",
        });
        sheet.fact(text::MADE, [Cell::Time(When::new(self.created_at, now))]);
        sheet
    }
}

impl Entity for Application {
    const PLACE: Place = Place::Applications;
    const PATH: &'static str = "/applications";
    const TITLE: &'static str = text::APPLICATIONS;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let look = Look {
            columns: const {
                &[
                    Column::sorted("Name", "name"),
                    Column::new("State"),
                    Column::new("Owner"),
                    Column::new("Removes its identities"),
                ]
            },
            views: &[],
            choices: vec![standings()],
            is_searched: true,
            empty: text::NO_APPLICATIONS,
            make: Some((text::NEW_APPLICATION, "/applications/new")),
        };
        listed(frame, address, page, names, look, |row, _| {
            let application = &row.record;
            vec![
                record(application.id, &application.name, String::new(), names),
                Cell::State(standing(application.standing)),
                Cell::Named(Named::of(application.owner, names)),
                Cell::of(application.removal_group.map(|team| Named::of(team, names))),
            ]
        })
    }

    fn edit(&self) -> Option<Address> {
        Some(Address::new(Self::PATH).below(&self.id.to_string()).verb("edit"))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn sheet(&self, names: &Names, now: Timestamp) -> Sheet {
        let mut sheet = Sheet { state: Some(standing(self.standing)), ..Sheet::default() };
        sheet.ways.push(Way {
            word: text::ITS_RESOURCES,
            to: Address::new("/resources").with("application", self.id.to_string()),
            class: "",
        });
        sheet.fact(text::OWNER, [Cell::Named(Named::of(self.owner, names))]);
        sheet.fact(text::REMOVAL_GROUP, self.removal_group.map(|team| Cell::Named(Named::of(team, names))));
        sheet.fact(text::MADE, [Cell::Time(When::new(self.created_at, now))]);
        sheet
    }

    fn scope(&self) -> Option<(&'static str, String)> {
        Some(("application", self.id.to_string()))
    }
}

impl Entity for Vendor {
    const PLACE: Place = Place::Vendors;
    const PATH: &'static str = "/vendors";
    const TITLE: &'static str = text::VENDORS;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let look = Look {
            columns: const {
                &[
                    Column::sorted("Name", "name"),
                    Column::new("State"),
                    Column::new("Owner"),
                    Column::new("Data domains"),
                    Column::sorted("Contract ends", "end"),
                ]
            },
            views: &[],
            choices: vec![standings()],
            is_searched: true,
            empty: text::NO_VENDORS,
            make: None,
        };
        listed(frame, address, page, names, look, |row, now| {
            let vendor = &row.record;
            vec![
                record(vendor.id, &vendor.name, vendor.contact.clone(), names),
                Cell::State(standing(vendor.standing)),
                Cell::Named(Named::of(vendor.owner, names)),
                Cell::of(Some(vendor.data_domains.join(", ")).filter(|domains| !domains.is_empty())),
                Cell::of(vendor.ends_at.map(|end| When::new(end, now))),
            ]
        })
    }

    fn edit(&self) -> Option<Address> {
        Some(Address::new(Self::PATH).below(&self.id.to_string()).verb("edit"))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn sheet(&self, names: &Names, now: Timestamp) -> Sheet {
        let mut sheet = Sheet { state: Some(standing(self.standing)), ..Sheet::default() };
        sheet.fact(text::OWNER, [Cell::Named(Named::of(self.owner, names))]);
        sheet.fact(text::CONTACT, [Cell::Text(self.contact.clone())]);
        sheet.fact(text::DATA, self.data_domains.iter().cloned().map(Cell::Text));
        sheet.fact(text::CONTRACT_ENDS, self.ends_at.map(|end| Cell::Time(When::new(end, now))));
        sheet.ways.push(crate::breach::way(self));
        sheet
    }

    fn scope(&self) -> Option<(&'static str, String)> {
        Some(("vendor", self.id.to_string()))
    }
}

impl Entity for Resource {
    const PLACE: Place = Place::Resources;
    const PATH: &'static str = "/resources";
    const TITLE: &'static str = text::RESOURCES;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let look = Look {
            columns: const {
                &[
                    Column::sorted("URI", "name"),
                    Column::new("Type"),
                    Column::new("Application"),
                    Column::new("Environment"),
                    Column::new("Actions"),
                ]
            },
            views: &[],
            choices: Vec::new(),
            is_searched: true,
            empty: text::NO_RESOURCES,
            make: Some((text::NEW_RESOURCE, "/resources/new")),
        };
        listed(frame, address, page, names, look, |row, _| {
            let resource = &row.record;
            vec![
                record(resource.id, &resource.uri, resource.data_domains.join(", "), names),
                Cell::Text(text::plain(&resource.kind)),
                Cell::Named(Named::of(resource.application, names)),
                Cell::Text(resource.environment.clone()),
                Cell::Text(resource.actions.join(", ")),
            ]
        })
    }

    fn edit(&self) -> Option<Address> {
        Some(Address::new(Self::PATH).below(&self.id.to_string()).verb("edit"))
    }

    fn name(&self) -> String {
        self.uri.clone()
    }

    fn sheet(&self, names: &Names, _: Timestamp) -> Sheet {
        let mut sheet = Sheet::default();
        sheet.fact(text::TYPE, [Cell::Text(text::plain(&self.kind))]);
        sheet.fact(text::APPLICATION, [Cell::Named(Named::of(self.application, names))]);
        sheet.fact(text::ENVIRONMENT, [Cell::Text(self.environment.clone())]);
        sheet.fact(text::ACTIONS, [Cell::Text(self.actions.join(", "))]);
        sheet.fact(text::DATA, self.data_domains.iter().cloned().map(Cell::Text));
        let checked = match self.verification {
            Verification::Online => text::CHECKED_ONLINE,
            Verification::Offline => text::CHECKED_OFFLINE,
        };
        sheet.fact(text::CHECKED, [Cell::Text(checked.to_owned())]);
        let unreachable = match self.when_unreachable {
            WhenUnreachable::Deny => text::UNREACHABLE_DENIES,
            WhenUnreachable::Accept => text::UNREACHABLE_ACCEPTS,
        };
        sheet.fact(text::UNREACHABLE, [Cell::Text(unreachable.to_owned())]);
        sheet
    }
}

impl Entity for Environment {
    const PLACE: Place = Place::Environments;
    const PATH: &'static str = "/environments";
    const TITLE: &'static str = text::ENVIRONMENTS;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let look = Look {
            columns: const { &[Column::sorted("Name", "name"), Column::new("Counts as"), Column::new("Signing keys")] },
            views: &[],
            choices: Vec::new(),
            is_searched: true,
            empty: text::NO_ENVIRONMENTS,
            make: Some((text::NEW_ENVIRONMENT, "/environments/new")),
        };
        listed(frame, address, page, names, look, |row, _| {
            let environment = &row.record;
            let name = environment.name.clone();
            let to = Some(Address::new(Self::PATH).below(&name));
            vec![
                Cell::Named(Named { id: name.clone(), name, to }),
                Cell::Text(production(environment.production).to_owned()),
                Cell::Number(environment.keys.len() as u64),
            ]
        })
    }

    fn edit(&self) -> Option<Address> {
        Some(Address::new(Self::PATH).below(&self.name).verb("edit"))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn sheet(&self, _: &Names, now: Timestamp) -> Sheet {
        let mut sheet = Sheet::default();
        sheet.fact(text::COUNTS_AS, [Cell::Text(production(self.production).to_owned())]);
        sheet.fact(text::SIGNING_KEYS, [Cell::Number(self.keys.len() as u64)]);
        sheet.fact(text::MADE, [Cell::Time(When::new(self.created_at, now))]);
        sheet
    }

    fn scope(&self) -> Option<(&'static str, String)> {
        Some(("environment", self.name.clone()))
    }
}

const fn production(is: bool) -> &'static str {
    if is { text::PRODUCTION } else { text::NOT_PRODUCTION }
}

impl Entity for CloudAccount {
    const PLACE: Place = Place::CloudAccounts;
    const PATH: &'static str = "/cloud-accounts";
    const TITLE: &'static str = text::CLOUD_ACCOUNTS;

    fn list(frame: Frame, address: Address, page: Page<Revised<Self>>, names: &Names) -> ListPage {
        let look = Look {
            columns: const {
                &[
                    Column::sorted("Account", "name"),
                    Column::new("State"),
                    Column::new("Owner"),
                    Column::new("Environment"),
                ]
            },
            views: &[],
            choices: vec![standings()],
            is_searched: true,
            empty: text::NO_CLOUD_ACCOUNTS,
            make: None,
        };
        listed(frame, address, page, names, look, |row, _| {
            let account = &row.record;
            vec![
                record(account.id, &Entity::name(account), String::new(), names),
                Cell::State(standing(account.standing)),
                Cell::Named(Named::of(account.owner, names)),
                Cell::Text(account.environment.clone()),
            ]
        })
    }

    fn edit(&self) -> Option<Address> {
        Some(Address::new(Self::PATH).below(&self.id.to_string()).verb("edit"))
    }

    fn name(&self) -> String {
        format!("{}/{}", self.provider, self.account)
    }

    fn sheet(&self, names: &Names, now: Timestamp) -> Sheet {
        let mut sheet = Sheet { state: Some(standing(self.standing)), ..Sheet::default() };
        sheet.fact(text::OWNER, [Cell::Named(Named::of(self.owner, names))]);
        sheet.fact(text::ENVIRONMENT, [Cell::Text(self.environment.clone())]);
        sheet.fact(text::MADE, [Cell::Time(When::new(self.created_at, now))]);
        sheet
    }

    fn scope(&self) -> Option<(&'static str, String)> {
        Some(("cloud_account", self.id.to_string()))
    }
}
