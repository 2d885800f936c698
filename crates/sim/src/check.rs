//! What must hold after each step, checked on the store's content and not on what the engine says of it.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem::Finder;
use serde_json::Value;
use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{Receipt, Target};
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::signal::Signal;
use tenure_core::store::changeset::{Changeset, DueChange, Put};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::floor::Floor;
use tenure_core::store::port::{Outcome, RowSealer};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_log::{Leaf, leaf_hash};
use tenure_store::Dump;

use crate::model::{Broken, record};
use crate::store::Observed;
use crate::workload::base64url;

/// What was checked so far, and what later checks compare with.
pub struct Checker {
    root: RootKey,
    sealer: RowMac,
    /// Issuances of one identity in a minute that are allowed.
    budget: u32,
    events: BTreeSet<String>,
    /// The newest revision of each row that the log names: revision, entry, digest.
    logged: BTreeMap<(String, String), (u64, u64, [u8; 32])>,
    seen: u64,
    last_at: i64,
    fences: BTreeMap<(DueKind, String), u64>,
    once: BTreeMap<(&'static str, String), (EventId, Option<Timestamp>)>,
    spent: BTreeMap<(String, Timestamp), u32>,
    /// The commits that took a source's deliveries.
    deliveries: BTreeMap<String, EventId>,
    secrets: Vec<Finder<'static>>,
    kinds: BTreeMap<String, u64>,
}

impl Checker {
    /// Nothing checked yet.
    pub fn new(root: RootKey, budget: u32) -> Self {
        Self {
            sealer: RowMac::new(&root),
            root,
            budget,
            events: BTreeSet::new(),
            logged: BTreeMap::new(),
            seen: 0,
            last_at: 0,
            fences: BTreeMap::new(),
            once: BTreeMap::new(),
            spent: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            secrets: Vec::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// How often each kind of event happened.
    pub const fn kinds(&self) -> &BTreeMap<String, u64> {
        &self.kinds
    }

    /// A commit: what it rests on, and what it may change.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn commit(&mut self, observed: &Observed, after: &Dump) -> Result<(), Broken> {
        let Observed { changeset, before, told, written } = observed;
        if let Outcome::Committed(committed) = told {
            let issuance = changeset.events.iter().any(|event| event.kind() == EventKind::CredentialIssued);
            let entry = usize::try_from(committed.position().index).ok().and_then(|index| after.entries.get(index));
            if entry.is_none_or(|entry| committed.leaf_hashes().first() != Some(&leaf_hash(&entry.leaf))) {
                let what = format!(
                    "the commit {} was acknowledged at {} and is not there",
                    changeset.id,
                    committed.position()
                );
                return Err((if issuance { "inv2" } else { "inv3" }, what));
            }
        }
        if !written {
            return Ok(());
        }
        for put in &changeset.puts {
            check_put(put, before)?;
            check_gate(put, changeset.at, before)?;
        }
        crate::effects::check(changeset, before)?;
        crate::authority::check(changeset, before)?;
        self.check_deliveries(changeset)?;
        self.check_once(changeset)?;
        self.check_spends(changeset)?;
        for change in &changeset.due {
            if let DueChange::Ack(kind, subject, fence) | DueChange::Retry(kind, subject, fence, _) = change
                && before.due.get(&(*kind, subject.clone())).map(|due| due.fence) != Some(*fence)
            {
                return Err((
                    "fence",
                    format!("the lease {fence} of {} {subject} was lost, and its work was taken", kind.as_str()),
                ));
            }
        }
        Ok(())
    }

    /// A delivery is taken once, however often it comes.
    fn check_deliveries(&mut self, changeset: &Changeset) -> Result<(), Broken> {
        for put in changeset.puts.iter().filter(|put| put.key.kind == RowKind::Signal && put.replaces == 0) {
            let Ok(signal) = serde_json::from_slice::<Signal>(&put.body) else {
                continue;
            };
            let by = self.deliveries.insert(format!("{} {}", signal.source, signal.digest), changeset.id);
            if by.is_some_and(|by| by != changeset.id) {
                return Err(("s12", format!("{} was taken before", put.key)));
            }
        }
        Ok(())
    }

    fn check_once(&mut self, changeset: &Changeset) -> Result<(), Broken> {
        for once in &changeset.once {
            let used = self.once.insert((once.space, once.key.clone()), (changeset.id, once.until));
            if let Some((by, until)) = used
                && by != changeset.id
                && until.is_none_or(|until| until >= changeset.at)
            {
                return Err(("once", format!("the {} {} was used twice", once.space, once.key)));
            }
        }
        Ok(())
    }

    fn check_spends(&mut self, changeset: &Changeset) -> Result<(), Broken> {
        for spend in changeset.spends.iter().filter(|spend| spend.budget.starts_with("issue/")) {
            let count = self.spent.entry((spend.budget.clone(), spend.window)).or_default();
            *count += spend.by;
            if *count > self.budget {
                return Err(("budget", format!("{} was overspent", spend.budget)));
            }
        }
        Ok(())
    }

    /// The whole content after a step: new entries, changed rows, deadlines.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn content(&mut self, dump: &Dump, secrets: &[String]) -> Result<(), Broken> {
        if dump.head.size != dump.entries.len() as u64 || dump.head.size < self.seen {
            return Err((
                "inv3",
                format!(
                    "the log has {} entries, its head says {}, {} were seen",
                    dump.entries.len(),
                    dump.head.size,
                    self.seen
                ),
            ));
        }
        let from = self.seen;
        for entry in dump.entries.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            self.entry(entry.index, &entry.leaf)?;
            for personal in &entry.personal {
                self.search(personal.value.as_bytes())?;
            }
        }
        for (key, row) in dump.rows.iter().filter(|(_, row)| row.position.index >= from) {
            let named = self.logged.get(&(key.kind.as_str().to_owned(), key.id.clone()));
            let digest = self.sealer.digest(key, row.revision, &row.body);
            if named != Some(&(row.revision, row.position.index, digest)) {
                return Err(("inv3", format!("the log doesn't name {key} at revision {} as it is", row.revision)));
            }
            self.learn_seed(key, &row.body);
            self.search(&row.body)?;
        }
        self.learn(secrets, dump)?;
        for ((kind, subject), due) in &dump.due {
            let last = self.fences.entry((*kind, subject.clone())).or_insert(due.fence);
            if due.fence < *last {
                return Err(("fence", format!("the fence of {} {subject} went back", kind.as_str())));
            }
            *last = due.fence;
        }
        Ok(())
    }

    fn entry(&mut self, index: u64, bytes: &[u8]) -> Result<(), Broken> {
        let leaf = Leaf::parse(bytes).map_err(|error| ("inv3", format!("the entry {index}: {error}")))?;
        // As JSON: packed, a secret might stand there in a form that is not looked for.
        let text = leaf.encode_json().map_err(|error| ("inv3", format!("the entry {index}: {error}")))?;
        self.search(&text)?;
        if index != self.seen {
            return Err(("merkle", format!("the entry {index} is out of order")));
        }
        if leaf.at < self.last_at {
            return Err(("time", format!("the entry {index} is older than the one before")));
        }
        if !self.events.insert(leaf.id.clone()) {
            return Err(("once", format!("the event {} is twice in the log", leaf.id)));
        }
        *self.kinds.entry(leaf.kind).or_default() += 1;
        self.last_at = leaf.at;
        self.seen = index + 1;
        for row in leaf.rows {
            let last = self.logged.insert((row.kind.clone(), row.id.clone()), (row.revision, index, row.digest));
            let fits = match last {
                Some((revision, ..)) => row.revision == revision + 1,
                None => row.revision == 1,
            };
            if !fits {
                return Err(("inv3", format!("the entry {index} skips a revision of {}/{}", row.kind, row.id)));
            }
        }
        Ok(())
    }

    fn search(&self, content: &[u8]) -> Result<(), Broken> {
        if self.secrets.iter().any(|secret| secret.find(content).is_some()) {
            return Err(("inv8", format!("a secret stands in {}", String::from_utf8_lossy(content))));
        }
        Ok(())
    }

    /// New secrets are looked for in everything, as they may be known later than they were written.
    fn learn(&mut self, secrets: &[String], dump: &Dump) -> Result<(), Broken> {
        for secret in secrets {
            // Of a token its signature is the secret, of an opaque one its random part.
            let part = match secret.rsplit_once('.') {
                Some((_, signature)) => signature,
                None => secret.get(secret.len().saturating_sub(35)..secret.len().saturating_sub(6)).unwrap_or(secret),
            };
            let secret = Finder::new(part).into_owned();
            let mut everywhere = dump
                .entries
                .iter()
                .map(|entry| entry.leaf.as_slice())
                .chain(dump.rows.values().map(|row| row.body.as_slice()));
            if everywhere.any(|content| secret.find(content).is_some()) {
                return Err(("inv8", format!("the secret part {part} was stored")));
            }
            self.secrets.push(secret);
        }
        Ok(())
    }

    /// The seeds of signing keys, opened with the root key: no row may show one.
    fn learn_seed(&mut self, key: &RowKey, body: &[u8]) {
        let sealed = (key.kind == RowKind::SigningKey).then(|| serde_json::from_slice::<Value>(body).ok()).flatten();
        let sealed = sealed.as_ref().and_then(|row| row.get("sealed")).and_then(Value::as_str);
        if let Some(seed) = sealed.and_then(|sealed| self.root.open_seed("signing-key", &key.id, sealed).ok()) {
            let hex: String = seed.expose().iter().map(|byte| format!("{byte:02x}")).collect();
            self.secrets.extend([base64url(seed.expose()), hex].map(|written| Finder::new(&written).into_owned()));
        }
    }

    /// Every row once more, and that none is missing but what may be dropped.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn all_rows(&self, dump: &Dump) -> Result<(), Broken> {
        let rows: BTreeMap<(&str, &str), _> =
            dump.rows.iter().map(|(key, row)| ((key.kind.as_str(), key.id.as_str()), (key, row))).collect();
        for ((kind, id), (revision, index, digest)) in &self.logged {
            match rows.get(&(kind.as_str(), id.as_str())) {
                Some((key, row))
                    if row.revision == *revision
                        && row.position.index == *index
                        && self.sealer.digest(key, *revision, &row.body) == *digest => {}
                None if may_be_dropped(kind, id) => {}
                _ => return Err(("inv3", format!("the row {kind}/{id} is not as the log says"))),
            }
        }
        for content in dump
            .entries
            .iter()
            .map(|entry| entry.leaf.as_slice())
            .chain(dump.rows.values().map(|row| row.body.as_slice()))
        {
            self.search(content)?;
        }
        Ok(())
    }
}

/// What ended stays ended, and nothing takes a step that the state table lacks (invariant 5).
fn check_put(put: &Put, before: &Dump) -> Result<(), Broken> {
    let broken = |what: &str| Err(("inv5", format!("{}: {what}", put.key)));
    let Some(old) = before.rows.get(&put.key) else {
        return Ok(());
    };
    match put.key.kind {
        RowKind::Identity => {
            let (Some(old), Ok(new)) =
                (record::<Identity>(before, &put.key), serde_json::from_slice::<Identity>(&put.body))
            else {
                return broken("the row can't be read");
            };
            if !may_go(old.state, new.state) {
                return broken(&format!("{} can't become {}", old.state.as_str(), new.state.as_str()));
            }
            if new.state == IdentityState::Active && !new.suspensions.is_empty() {
                return broken("active with a cause of suspension");
            }
            if new.state == IdentityState::Retired && old.state == IdentityState::Retiring {
                let open = before
                    .rows
                    .values()
                    .filter(|row| row.key.kind == RowKind::Receipt)
                    .find(|row| is_open_for(&row.body, &new));
                if let Some(row) = open {
                    return Err(("inv4", format!("{} is retired before its last receipt, {}", put.key, row.key)));
                }
            }
        }
        RowKind::Credential | RowKind::OperatorToken => {
            let revoked = |body: &[u8]| {
                serde_json::from_slice::<Value>(body)
                    .ok()
                    .and_then(|row| row.get("revoked_at").cloned())
                    .filter(|at| !at.is_null())
            };
            let was = revoked(&old.body);
            if was.is_some() && was != revoked(&put.body) {
                return broken("its revocation changed");
            }
        }
        RowKind::Grant => {
            let state = |body: &[u8]| serde_json::from_slice::<Grant>(body).map(|grant| grant.state).ok();
            if state(&old.body) != Some(GrantState::Live) {
                return broken("an ended grant changed");
            }
        }
        RowKind::JoinToken => {
            let enrolled =
                |body: &[u8]| serde_json::from_slice::<Value>(body).ok().and_then(|row| row.get("enrolled").cloned());
            if enrolled(&old.body).is_some_and(|was| !was.is_null()) {
                return broken("a spent join token changed");
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a receipt of the identity's own revocation says that something may still be accepted, at the identity's end.
fn is_open_for(body: &[u8], identity: &Identity) -> bool {
    let Ok(receipt) = serde_json::from_slice::<Receipt>(body) else {
        return true;
    };
    let at = identity.retirement.as_ref().and_then(|retirement| retirement.retired_at).unwrap_or_default();
    receipt.target == Target::Scope(Scope::Identity(identity.id))
        && receipt.accepted_until().is_some_and(|until| until > at)
}

const fn may_go(from: IdentityState, to: IdentityState) -> bool {
    use IdentityState as S;
    matches!(
        (from, to),
        // A rule may approve what is handed in, in the same commit.
        (S::Draft, S::Draft | S::Pending | S::Active | S::Closed)
            | (S::Pending, S::Pending | S::Active | S::Closed)
            | (S::Active | S::Suspended, S::Active | S::Suspended | S::Retiring)
            | (S::Retiring, S::Retiring | S::Retired)
            | (S::Retired, S::Retired)
    )
}

/// A credential is written only for an identity that stands at that very moment (invariant 1).
fn check_gate(put: &Put, at: Timestamp, before: &Dump) -> Result<(), Broken> {
    if put.key.kind != RowKind::Credential || put.replaces != 0 {
        return Ok(());
    }
    let broken = |what: String| Err(("inv1", format!("{} was issued: {what}", put.key)));
    let row = |kind: RowKind, id: &str| {
        before.rows.get(&RowKey::new(kind, id)).and_then(|row| serde_json::from_slice::<Value>(&row.body).ok())
    };
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Ok(credential) = serde_json::from_slice::<Value>(&put.body) else {
        return broken("its record can't be read".into());
    };
    let Some(identity) = row(RowKind::Identity, &text(&credential, "identity")) else {
        return broken("its identity is not there".into());
    };
    if text(&identity, "state") != "active" {
        return broken(format!("the identity is {}", text(&identity, "state")));
    }
    let charter = identity.get("charter").cloned().unwrap_or_default();
    let facts = [
        "owner",
        "purpose",
        "scope",
        "trust_boundary",
        "environment",
        "application",
        "workload_binding",
        "expires_at",
        "retirement",
        "coverage",
        "parties",
    ];
    let lacks =
        |name: &&str| charter.get(name).is_none_or(|fact| fact.is_null() || fact.as_array().is_some_and(Vec::is_empty));
    if let Some(fact) = facts.into_iter().find(lacks) {
        return broken(format!("the charter lacks {fact}"));
    }
    let owner = text(&charter, "owner");
    let own = text(&identity, "id");
    let in_transfer = record::<Identity>(before, &RowKey::new(RowKind::Identity, &own))
        .and_then(|identity| identity.transfer)
        .is_some_and(|window| at < window.deadline);
    if !in_transfer && row(RowKind::Person, &owner).is_none_or(|person| text(&person, "state") != "active") {
        return Err(("inv7", format!("{} was issued: the owner {owner} is not active", put.key)));
    }
    for (scope, id) in [
        ("identity", own),
        ("owner", owner),
        ("application", text(&charter, "application")),
        ("environment", text(&charter, "environment")),
    ] {
        let hold = row(RowKind::Hold, &format!("{scope}/{id}"));
        if hold.is_some_and(|hold| hold.get("placed_by").is_some_and(|by| !by.is_null())) {
            return broken(format!("{scope}/{id} is on hold"));
        }
    }
    for grant in credential.get("grants").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if row(RowKind::Grant, grant).is_none_or(|grant| text(&grant, "state") != "live") {
            return broken(format!("the grant {grant} is not live"));
        }
    }
    Ok(())
}

/// Whether a row that the log names may have been dropped at its end.
fn may_be_dropped(kind: &str, id: &str) -> bool {
    let kind = RowKind::ALL.iter().find(|known| known.as_str() == kind);
    kind.is_some_and(|kind| Floor::may_be_dropped(&RowKey::new(*kind, id)))
}
