//! Who could touch a resource at a moment that has passed, told from the log alone: a fold over its leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use tenure_api::why::{PastAccess, Reach};
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::entitlement::WILDCARD;
use tenure_core::store::event_kind::EventKind;
use tenure_log::Leaf;

/// What the log has said about access so far.
#[derive(Debug, Default)]
pub struct History {
    grants: BTreeMap<String, PastAccess>,
    holders: HashMap<String, Holder>,
    holds: HashSet<String>,
}

/// What the log has said about who holds grants.
#[derive(Debug, Default)]
struct Holder {
    /// Why it could do nothing, if it couldn't.
    blocked: Option<String>,
    /// The scopes that it belongs to, as holds name them.
    scopes: Vec<String>,
}

impl History {
    /// Takes in one leaf.
    pub fn apply(&mut self, leaf: &Leaf) {
        let subject = |n: usize| leaf.subjects.get(n).map(String::as_str).unwrap_or_default();
        // What a later version says is none of this one's.
        let Some(kind) = EventKind::named(&leaf.kind) else {
            return;
        };
        match kind {
            EventKind::GrantOpened | EventKind::PersonGrantOpened => self.opened(leaf),
            EventKind::GrantRevoked
            | EventKind::GrantExpired
            | EventKind::PersonGrantRevoked
            | EventKind::PersonGrantExpired => self.closed(subject(0), leaf.at),
            EventKind::IdentityRegistered | EventKind::IdentityCharterWritten | EventKind::IdentityCharterChanged => {
                self.chartered(subject(0), &leaf.data)
            }
            EventKind::IdentityActivated => self.block(subject(0), None),
            EventKind::IdentitySuspended | EventKind::PersonSuspended => self.block(subject(0), Some("suspended")),
            EventKind::IdentityResumed if leaf.data.get("causes_left").and_then(Value::as_u64) == Some(0) => {
                self.block(subject(0), None)
            }
            EventKind::PersonResumed => self.block(subject(0), None),
            EventKind::IdentityRetiring | EventKind::IdentityRetired => self.block(subject(0), Some("retired")),
            EventKind::PersonDeparted => self.block(subject(0), Some("departed")),
            EventKind::ScopeHeld | EventKind::ScopeReleased => {
                let scope = Self::scope_of(leaf);
                if kind == EventKind::ScopeHeld {
                    self.holds.insert(scope);
                } else {
                    self.holds.remove(&scope);
                }
            }
            EventKind::IdentityTransferred => self.owned(subject(0), &text(&leaf.data, "to")),
            _ => {}
        }
    }

    /// The grants on a resource that were open at `at`, the moment up to which leaves were taken in.
    pub fn open(&self, resource: &str, at: Timestamp) -> Vec<PastAccess> {
        let open = |grant: &&PastAccess| {
            (grant.resource == resource || grant.resource == WILDCARD)
                && grant.starts_at <= at
                && at < grant.until
                && grant.ended_at.is_none_or(|end| at < end)
        };
        self.grants.values().filter(open).cloned().collect()
    }

    /// The scopes that whoever holds these grants belongs to, as holds name them.
    pub fn scopes(&self, grants: &[PastAccess]) -> BTreeSet<String> {
        let holders = grants.iter().filter_map(|grant| self.holders.get(&grant.holder));
        holders.flat_map(|holder| holder.scopes.iter().cloned()).collect()
    }

    /// The scope that a leaf holds or releases.
    pub fn scope_of(leaf: &Leaf) -> String {
        format!("{}/{}", text(&leaf.data, "scope"), leaf.subjects.first().map(String::as_str).unwrap_or_default())
    }

    /// Who could touch a resource at `at`, the moment up to which leaves were taken in.
    pub fn reach(&self, resource: &str, at: Timestamp) -> Vec<PastAccess> {
        let mut found = self.open(resource, at);
        for grant in &mut found {
            let holder = self.holders.get(&grant.holder);
            let held = holder.and_then(|holder| holder.scopes.iter().find(|scope| self.holds.contains(*scope)));
            let blocked = holder.and_then(|holder| holder.blocked.clone());
            grant.reach = match blocked.or_else(|| held.map(|scope| format!("{scope} was on hold"))) {
                None => Reach::Could,
                Some(because) => Reach::Blocked { because },
            };
        }
        found
    }

    fn opened(&mut self, leaf: &Leaf) {
        let Some(id) = leaf.subjects.first().cloned() else {
            return;
        };
        let holder = leaf.subjects.get(1).cloned().unwrap_or_default();
        let entitlement = leaf.data.get("entitlement").and_then(Value::as_object).cloned().unwrap_or_default();
        let time = |name: &str| text(&leaf.data, name).parse::<Timestamp>().ok();
        let (Some(starts_at), Some(until)) = (time("starts_at"), time("ends_at")) else {
            return;
        };
        let earlier = self.grants.get(&id);
        let access = PastAccess {
            grant: id.clone(),
            holder,
            resource: text(&entitlement, "resource"),
            actions: texts(&entitlement, "actions"),
            starts_at,
            until,
            ended_at: None,
            // A grant that is written again with a narrower charter keeps the approval that made it.
            request: earlier.map_or_else(|| text(&leaf.data, "request"), |earlier| earlier.request.clone()),
            approved_by: earlier
                .map_or_else(|| texts(&leaf.data, "approved_by"), |earlier| earlier.approved_by.clone()),
            policies: earlier.map_or_else(|| texts(&leaf.data, "policies"), |earlier| earlier.policies.clone()),
            purpose: earlier.map_or_else(|| text(&leaf.data, "purpose"), |earlier| earlier.purpose.clone()),
            reach: Reach::Could,
        };
        self.grants.insert(id, access);
    }

    fn closed(&mut self, grant: &str, at: i64) {
        if let Some(grant) = self.grants.get_mut(grant) {
            grant.ended_at = Some(Timestamp::from_micros(at));
        }
    }

    fn chartered(&mut self, identity: &str, data: &serde_json::Map<String, Value>) {
        let Some(charter) = data.get("charter").and_then(Value::as_object) else {
            return;
        };
        let mut scopes = vec![format!("identity/{identity}")];
        for scope in ["owner", "application", "environment", "vendor", "cloud_account"] {
            let id = text(charter, scope);
            if !id.is_empty() {
                scopes.push(format!("{scope}/{id}"));
            }
        }
        let holder = self.holders.entry(identity.to_owned()).or_default();
        holder.scopes = scopes;
    }

    fn owned(&mut self, identity: &str, owner: &str) {
        if let Some(holder) = self.holders.get_mut(identity) {
            holder.scopes.retain(|scope| !scope.starts_with("owner/"));
            holder.scopes.push(format!("owner/{owner}"));
        }
    }

    fn block(&mut self, holder: &str, because: Option<&str>) {
        self.holders.entry(holder.to_owned()).or_default().blocked = because.map(str::to_owned);
    }
}

fn text(data: &serde_json::Map<String, Value>, name: &str) -> String {
    data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(data: &serde_json::Map<String, Value>, name: &str) -> Vec<String> {
    let list = data.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
