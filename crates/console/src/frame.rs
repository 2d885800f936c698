//! The frame of the console's pages: where one is, who reads, what can be gone to.

use tenure_core::base::time::Timestamp;

use crate::assets;
use crate::text;
use crate::when;

/// What stands around a page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The page's title; of a record's page its name, and never its id.
    pub title: String,
    /// Where in the console it is.
    pub place: Place,
    /// Who reads it.
    pub reader: Reader,
    /// What is looked for, if it is a search.
    pub search: String,
    /// When it was made.
    pub now: Timestamp,
}

/// Who reads a page.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Their name, unless it was erased.
    pub name: Option<String>,
    /// Whether their sign-in is good for approving and enabling now (S-7).
    pub fresh: bool,
}

/// Where in the console a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What waits for whoever reads.
    Home,
    /// The inventory.
    Identities,
    /// Requests and their votes.
    Requests,
    /// What is stopped.
    Stop,
    /// What revocations are proven by.
    Receipts,
    /// Rules that are broken.
    Findings,
    /// What findings are about.
    Rules,
    /// Questions whether something is still needed.
    Reviews,
    /// Many reviews by one deadline.
    Campaigns,
    /// Identities that change owners.
    Transfers,
    /// Controls that are waived.
    Exceptions,
    /// What machines were let do at once, for an hour at most.
    BreakGlass,
    /// What is allowed for a while and has to be paid off.
    Debt,
    /// What goes on a day.
    Deprecations,
    /// What ends because something ended.
    Removals,
    /// What is on hold.
    Holds,
    /// What sources say, and what came of it.
    Signals,
    /// What people hold for a while, and what lets somebody in besides the ordinary way.
    Access,
    /// People.
    People,
    /// Teams.
    Teams,
    /// Applications.
    Applications,
    /// Vendors.
    Vendors,
    /// Resources.
    Resources,
    /// Environments.
    Environments,
    /// Cloud accounts.
    CloudAccounts,
    /// Targets.
    Targets,
    /// Accounts at targets.
    Accounts,
    /// What targets have and nobody approved.
    Drift,
    /// The log.
    Log,
    /// The policy set in force.
    Policy,
    /// How the server does: its health, its configuration, its notices.
    System,
    /// What isn't there yet.
    Later,
    /// Reader's own account, and whatever stands in no other place.
    Elsewhere,
}

/// A place that can be gone to from every page.
pub struct Item {
    /// Which.
    pub place: Place,
    /// Its address.
    pub to: &'static str,
    /// How it is called.
    pub word: &'static str,
    /// The letter that leads to it after `g`; none if none does.
    pub key: &'static str,
}

/// Places that belong together.
pub struct Group {
    /// What they have in common; nothing of the first.
    pub word: &'static str,
    /// The places.
    pub items: &'static [Item],
}

const fn item(place: Place, to: &'static str, word: &'static str, key: &'static str) -> Item {
    Item { place, to, word, key }
}

/// Every place that can be gone to.
pub const GROUPS: &[Group] = &[
    Group {
        word: "",
        items: &[
            item(Place::Home, "/", text::HOME, "h"),
            item(Place::Identities, "/identities", text::IDENTITIES, "i"),
            item(Place::Requests, "/requests?state=open", text::REQUESTS, "r"),
            item(Place::Stop, "/stop", text::STOP, "s"),
        ],
    },
    Group {
        word: text::WATCHED,
        items: &[
            item(Place::Findings, "/findings?state=open", text::FINDINGS, "f"),
            item(Place::Rules, "/rules", text::RULES, ""),
            item(Place::Reviews, "/reviews?state=open", text::REVIEWS, "v"),
            item(Place::Campaigns, "/campaigns", text::CAMPAIGNS, ""),
            item(Place::Transfers, "/transfers", text::TRANSFERS, "t"),
            item(Place::Exceptions, "/exceptions?state=active", text::EXCEPTIONS, "x"),
            item(Place::BreakGlass, "/break-glass?state=unreviewed", text::BREAK_GLASS, ""),
            item(Place::Deprecations, "/deprecations?state=announced", text::DEPRECATIONS, ""),
            item(Place::Debt, "/debt", text::DEBT, ""),
            item(Place::Removals, "/removals", text::REMOVALS, "m"),
            item(Place::Holds, "/holds", text::HOLDS_IN_FORCE, ""),
            item(Place::Signals, "/signals", text::SIGNALS, "n"),
            item(Place::Access, "/person-grants?state=live", text::PERSON_GRANTS, "b"),
            item(Place::Receipts, "/receipts", text::RECEIPTS, "c"),
        ],
    },
    Group {
        word: text::ORGANISATION,
        items: &[
            item(Place::People, "/people", text::PEOPLE, "p"),
            item(Place::Teams, "/teams", text::TEAMS, ""),
            item(Place::Applications, "/applications", text::APPLICATIONS, "a"),
            item(Place::Vendors, "/vendors", text::VENDORS, ""),
            item(Place::Resources, "/resources", text::RESOURCES, "e"),
            item(Place::Environments, "/environments", text::ENVIRONMENTS, ""),
            item(Place::CloudAccounts, "/cloud-accounts", text::CLOUD_ACCOUNTS, ""),
        ],
    },
    Group {
        word: text::ELSEWHERE,
        items: &[
            item(Place::Targets, "/targets", text::TARGETS, "g"),
            item(Place::Accounts, "/accounts", text::ACCOUNTS, "u"),
            item(Place::Drift, "/drift?state=open", text::DRIFT, "k"),
        ],
    },
    Group {
        word: text::RECORD,
        items: &[
            item(Place::Log, "/log", text::LOG, "l"),
            item(Place::Policy, "/policy", text::POLICY, "y"),
            item(Place::System, "/health", text::SYSTEM, "d"),
        ],
    },
    Group { word: "", items: &[item(Place::Later, "/later", text::LATER, "")] },
];

impl Frame {
    /// The frame of a page.
    pub fn new(title: impl Into<String>, place: Place, reader: Reader, now: Timestamp) -> Self {
        Self { title: title.into(), place, reader, search: String::new(), now }
    }

    /// The same, of a page that shows what was looked for.
    #[must_use]
    pub fn searching(self, words: &str) -> Self {
        Self { search: words.to_owned(), ..self }
    }

    pub(crate) fn groups(&self) -> &'static [Group] {
        GROUPS
    }

    pub(crate) fn style(&self) -> String {
        assets::STYLE.address()
    }

    pub(crate) fn script(&self) -> String {
        assets::SCRIPT.address()
    }

    pub(crate) fn made(&self) -> String {
        when::exact(self.now)
    }

    pub(crate) fn icon(&self) -> String {
        assets::ICON.address()
    }
}

impl Reader {
    /// Their name, or that it was erased.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(text::ERASED)
    }
}
