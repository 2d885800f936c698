//! What a batch of changesets comes to: the same judgement for every engine, so that they can't differ.
//!
//! A changeset is [prepared](prepare) outside the writer: row digests and leaf bytes cost the most. The writer then
//! [judges](judge) the batch in order, each changeset against what the engine holds ([`View`]) and what the earlier
//! ones of the batch write. A rejected changeset leaves no trace. What comes out is one outcome each and one set of
//! [`Writes`], which the engine makes durable before it tells anybody.
//!
//! The order of the checks, which decides the outcome when several fail: written before → [`Outcome::Committed`] as
//! it was; rows; keys used once; fences; budgets.

use std::borrow::Cow;
use std::collections::HashMap;

use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::{Changeset, DueChange, Expect, Once, Put, Spend};
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{Committed, Conflict, EntryPersonal, Head, Outcome, RowSealer, StoreError};
use tenure_core::store::row::{Position, RowKey};
use tenure_log::packed::{pack, pack_key};
use tenure_log::{Hash, Leaf, RowDigest, leaf_hash};

use crate::leaf::leaf_of;
use crate::row::terms_column;

/// The longest id, term, key, budget, subject or field in bytes: what every engine's index takes.
const MAX_KEY_BYTES: usize = 512;

/// A changeset with all that can be computed before its turn.
pub(crate) struct Prepared {
    id: EventId,
    pub(crate) at: Timestamp,
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) expects: Vec<Expect>,
    pub(crate) puts: Vec<PreparedPut>,
    pub(crate) once: Vec<Once>,
    pub(crate) spends: Vec<Spend>,
    pub(crate) due: Vec<DueChange>,
    erase: Vec<String>,
    /// Whether space is reserved for it (S-16).
    pub(crate) essential: bool,
}

/// A row to write, with the digest that its leaf carries and the form in which it is kept.
pub(crate) struct PreparedPut {
    pub(crate) put: Put,
    digest: [u8; 32],
    pub(crate) kept: Kept,
}

/// A row's columns as an engine keeps them; empty for one that keeps the row itself.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) id: Vec<u8>,
    pub(crate) terms: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Kept {
    fn of(put: &Put) -> Self {
        Self { id: pack_key(&put.key.id), terms: terms_column(&put.terms), body: pack(&put.body, &put.key.id) }
    }
}

/// Whether an engine keeps rows in columns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Columns,
    Rows,
}

/// An event whose leaf was encoded with the time of the decision.
pub(crate) struct PreparedEvent {
    leaf: Leaf,
    bytes: Vec<u8>,
    hash: Hash,
    personal: Vec<EntryPersonal>,
}

impl PreparedEvent {
    pub(crate) fn id(&self) -> &str {
        &self.leaf.id
    }
}

/// Does the work on a changeset that needs no lock, or says why no engine can take it.
pub(crate) fn prepare(changeset: Changeset, sealer: &dyn RowSealer, keeps: Keeps) -> Result<Prepared, Outcome> {
    if let Some(unwritable) = changeset.unwritable() {
        return Err(Outcome::Unwritable(unwritable.to_string()));
    }
    check_lengths(&changeset).map_err(|what| Outcome::Unwritable(format!("{what} of the changeset is too long")))?;
    let essential = changeset.is_essential();
    let puts: Vec<PreparedPut> = changeset
        .puts
        .into_iter()
        .map(|put| {
            let digest = sealer.digest(&put.key, put.replaces.saturating_add(1), &put.body);
            let kept = if keeps == Keeps::Columns { Kept::of(&put) } else { Kept::default() };
            PreparedPut { put, digest, kept }
        })
        .collect();
    let mut digests: Vec<RowDigest> = puts
        .iter()
        .map(|PreparedPut { put, digest, .. }| RowDigest {
            kind: put.key.kind.as_str().to_owned(),
            id: put.key.id.clone(),
            revision: put.replaces.saturating_add(1),
            digest: *digest,
        })
        .collect();
    let mut events = Vec::with_capacity(changeset.events.len());
    for event in changeset.events {
        let (mut leaf, personal) = leaf_of(&changeset.actor, event, std::mem::take(&mut digests));
        leaf.at = changeset.at.as_micros();
        let bytes = encode(&leaf)?;
        events.push(PreparedEvent { hash: leaf_hash(&bytes), leaf, bytes, personal });
    }
    Ok(Prepared {
        id: changeset.id,
        at: changeset.at,
        events,
        expects: changeset.expects,
        puts,
        once: changeset.once,
        spends: changeset.spends,
        due: changeset.due,
        erase: changeset.erase,
        essential,
    })
}

fn encode(leaf: &Leaf) -> Result<Vec<u8>, Outcome> {
    leaf.encode().map_err(|e| Outcome::Unwritable(format!("the event {} can't be recorded: {e}", leaf.kind)))
}

fn check_lengths(changeset: &Changeset) -> Result<(), &'static str> {
    let fits = |text: &str| text.len() <= MAX_KEY_BYTES;
    let rows = changeset.puts.iter().all(|put| fits(&put.key.id) && put.terms.iter().all(|term| fits(term)));
    let personal = changeset.events.iter().flat_map(|event| &event.personal);
    let due = |change: &DueChange| match change {
        DueChange::Set(_, subject, _)
        | DueChange::Clear(_, subject)
        | DueChange::Ack(_, subject, _)
        | DueChange::Retry(_, subject, ..) => fits(subject),
    };
    match () {
        () if !rows => Err("a row's id or term"),
        () if !changeset.once.iter().all(|once| fits(&once.key)) => Err("a key"),
        () if !changeset.spends.iter().all(|spend| fits(&spend.budget)) => Err("a budget"),
        () if !changeset.due.iter().all(due) => Err("a deadline's subject"),
        () if !personal.clone().all(|personal| fits(&personal.subject)) => Err("a personal field's subject"),
        () => Ok(()),
    }
}

/// What a commit was when it was first written.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) index: u64,
    pub(crate) at: Timestamp,
    pub(crate) leaf_hashes: Vec<[u8; 32]>,
}

/// A row that is to be replaced, its MAC checked.
#[derive(Debug, Clone)]
pub(crate) struct Replaced {
    pub(crate) revision: u64,
    pub(crate) created: Position,
    pub(crate) terms: Vec<String>,
}

/// What an engine holds, as of a moment at which nobody else can write.
///
/// [`StoreError::Unavailable`] ends the whole batch; the other errors only the changeset that ran into them.
pub(crate) trait View {
    /// The commit whose first event has this id, with the hashes of as many entries.
    fn original(&mut self, id: &str, events: usize) -> Result<Option<Original>, StoreError>;
    /// A row's revision.
    fn revision(&mut self, key: &RowKey) -> Result<Option<u64>, StoreError>;
    /// A row that is to be replaced.
    fn replaced(&mut self, key: &RowKey) -> Result<Option<Replaced>, StoreError>;
    /// Until when a key is remembered, if it is.
    fn once(&mut self, space: &str, key: &str) -> Result<Option<Option<Timestamp>>, StoreError>;
    /// What a budget's window counts and until when.
    fn spent(&mut self, budget: &str, window: Timestamp) -> Result<Option<(u32, Timestamp)>, StoreError>;
    /// A deadline's newest fencing token.
    fn fence(&mut self, kind: DueKind, subject: &str) -> Result<Option<u64>, StoreError>;
}

/// An entry to append.
pub(crate) struct NewEntry<'a> {
    pub(crate) index: u64,
    pub(crate) id: &'a str,
    /// Whether it is its commit's first one.
    pub(crate) begins: bool,
    pub(crate) hash: Hash,
    pub(crate) leaf: Cow<'a, [u8]>,
    pub(crate) personal: Vec<&'a EntryPersonal>,
}

/// A row as the batch leaves it.
pub(crate) struct NewRow<'a> {
    pub(crate) put: &'a Put,
    pub(crate) kept: &'a Kept,
    pub(crate) revision: u64,
    pub(crate) created: Position,
    pub(crate) position: Position,
    pub(crate) mac: [u8; 32],
    /// The terms that the engine holds for it from before the batch; `None` if it holds no such row.
    pub(crate) held_terms: Option<Vec<String>>,
}

/// All that a batch writes.
pub(crate) struct Writes<'a> {
    pub(crate) head: Head,
    pub(crate) entries: Vec<NewEntry<'a>>,
    pub(crate) rows: Vec<NewRow<'a>>,
    pub(crate) once: HashMap<(&'a str, &'a str), Option<Timestamp>>,
    pub(crate) spends: HashMap<(&'a str, Timestamp), (u32, Timestamp)>,
    /// When a deadline falls due, under a new fencing token and without a lease; `None` removes it.
    pub(crate) due: HashMap<(DueKind, &'a str), Option<Timestamp>>,
    /// Subjects whose values from before the batch go.
    pub(crate) erase: Vec<&'a str>,
}

/// Judges a batch in its order.
pub(crate) fn judge<'a>(
    batch: &'a [Prepared],
    head: Head,
    view: &mut dyn View,
    sealer: &dyn RowSealer,
) -> Result<(Vec<Outcome>, Writes<'a>), StoreError> {
    let writes = Writes {
        head,
        entries: Vec::with_capacity(batch.len()),
        rows: Vec::new(),
        once: HashMap::new(),
        spends: HashMap::new(),
        due: HashMap::new(),
        erase: Vec::new(),
    };
    let mut judge = Judge {
        view,
        sealer,
        writes,
        rows: HashMap::new(),
        commits: HashMap::new(),
        outcomes: Vec::with_capacity(batch.len()),
    };
    for changeset in batch {
        let outcome = match judge.changeset(changeset) {
            Ok(outcome) => outcome,
            Err(Stop::Rejected(outcome)) => outcome,
            Err(Stop::Failed(StoreError::Unavailable(why))) => return Err(StoreError::Unavailable(why)),
            Err(Stop::Failed(error)) => Outcome::Unavailable(error.to_string()),
        };
        judge.outcomes.push(outcome);
    }
    Ok((judge.outcomes, judge.writes))
}

/// Why a changeset is not written.
enum Stop {
    Rejected(Outcome),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<Conflict> for Stop {
    fn from(conflict: Conflict) -> Self {
        Self::Rejected(Outcome::Conflict(conflict))
    }
}

/// What a put finds in its place.
struct Base {
    created: Option<Position>,
    held_terms: Option<Vec<String>>,
}

type Spent<'a> = ((&'a str, Timestamp), (u32, Timestamp));

struct Judge<'a, 'v> {
    view: &'v mut dyn View,
    sealer: &'v dyn RowSealer,
    writes: Writes<'a>,
    /// Where in `writes.rows` a row stands.
    rows: HashMap<&'a RowKey, usize>,
    /// The commits of this batch by their first event's id: the outcome's number.
    commits: HashMap<&'a str, usize>,
    outcomes: Vec<Outcome>,
}

impl<'a> Judge<'a, '_> {
    fn changeset(&mut self, changeset: &'a Prepared) -> Result<Outcome, Stop> {
        if let Some(outcome) = self.settled(changeset)? {
            return Ok(outcome);
        }
        self.check_expects(changeset)?;
        let bases = self.check_puts(changeset)?;
        self.check_once(changeset)?;
        self.check_fences(changeset)?;
        let spent = self.check_spends(changeset)?;
        let counts = spent.iter().map(|(_, (count, _))| *count).collect();
        let committed = self.append(changeset)?.counting(counts);
        self.write(changeset, committed.position(), bases, spent);
        Ok(Outcome::Committed(committed))
    }

    /// How the changeset ended, if it was written before: a commit is known by its first event's id.
    fn settled(&mut self, changeset: &'a Prepared) -> Result<Option<Outcome>, Stop> {
        let Some(first) = changeset.events.first() else {
            return Ok(Some(Outcome::Unwritable("a changeset without an event".into())));
        };
        if let Some(outcome) = self.commits.get(first.id()) {
            return Ok(self.outcomes.get(*outcome).cloned());
        }
        let original = self.view.original(first.id(), changeset.events.len())?;
        Ok(original.map(|original| {
            let position = Position::at(original.index);
            Outcome::Committed(durable(changeset.id, position, original.at, original.leaf_hashes))
        }))
    }

    fn revision(&mut self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        match self.rows.get(key).and_then(|place| self.writes.rows.get(*place)) {
            Some(row) => Ok(Some(row.revision)),
            None => self.view.revision(key),
        }
    }

    fn check_expects(&mut self, changeset: &Prepared) -> Result<(), Stop> {
        for expect in &changeset.expects {
            let (key, wanted) = match expect {
                Expect::Revision(key, revision) => (key, Some(*revision)),
                Expect::Absent(key) => (key, None),
            };
            if self.revision(key)? != wanted {
                return Err(Conflict::Row(key.clone()).into());
            }
        }
        Ok(())
    }

    fn check_puts(&mut self, changeset: &'a Prepared) -> Result<Vec<Base>, Stop> {
        let mut bases = Vec::with_capacity(changeset.puts.len());
        for (n, PreparedPut { put, .. }) in changeset.puts.iter().enumerate() {
            let conflict = || Stop::from(Conflict::Row(put.key.clone()));
            // A changeset writes a row once: of a second write, the revision that it replaces is gone.
            if changeset.puts.iter().take(n).any(|earlier| earlier.put.key == put.key) {
                return Err(conflict());
            }
            let written = self.rows.get(&put.key).and_then(|place| self.writes.rows.get(*place));
            let (revision, base) = match written {
                Some(row) => (row.revision, Base { created: Some(row.created), held_terms: row.held_terms.clone() }),
                None if put.replaces == 0 => {
                    (self.view.revision(&put.key)?.unwrap_or(0), Base { created: None, held_terms: None })
                }
                None => match self.view.replaced(&put.key)? {
                    Some(row) => (row.revision, Base { created: Some(row.created), held_terms: Some(row.terms) }),
                    None => return Err(conflict()),
                },
            };
            if revision != put.replaces {
                return Err(conflict());
            }
            bases.push(base);
        }
        Ok(bases)
    }

    fn check_once(&mut self, changeset: &'a Prepared) -> Result<(), Stop> {
        for (n, once) in changeset.once.iter().enumerate() {
            let key = (once.space, once.key.as_str());
            let remembered = match self.writes.once.get(&key) {
                Some(until) => Some(*until),
                None => self.view.once(once.space, &once.key)?,
            };
            // A key whose time is over by the log's own clock may have been forgotten already: nobody can tell any
            // more.
            let forgotten = once.until.is_some_and(|until| until < self.writes.head.last_at);
            let used = forgotten
                || match remembered {
                    Some(None) => true,
                    Some(Some(until)) => until >= changeset.at,
                    None => false,
                };
            let twice =
                changeset.once.iter().take(n).any(|earlier| earlier.space == once.space && earlier.key == once.key);
            if used || twice {
                return Err(Conflict::Once { space: once.space, key: once.key.clone() }.into());
            }
        }
        Ok(())
    }

    fn check_fences(&mut self, changeset: &'a Prepared) -> Result<(), Stop> {
        for change in &changeset.due {
            let (DueChange::Ack(kind, subject, token) | DueChange::Retry(kind, subject, token, _)) = change else {
                continue;
            };
            // What the batch changed has a token that nobody was given yet.
            let changed = self.writes.due.contains_key(&(*kind, subject.as_str()));
            if changed || self.view.fence(*kind, subject)? != Some(*token) {
                return Err(Conflict::Fence { kind: *kind, subject: subject.clone() }.into());
            }
        }
        Ok(())
    }

    fn check_spends(&mut self, changeset: &'a Prepared) -> Result<Vec<Spent<'a>>, Stop> {
        let mut staged: Vec<Spent<'a>> = Vec::with_capacity(changeset.spends.len());
        for spend in &changeset.spends {
            let key = (spend.budget.as_str(), spend.window);
            let so_far = match staged.iter().rev().find(|(other, _)| *other == key).map(|(_, spent)| *spent) {
                Some(spent) => Some(spent),
                None => match self.writes.spends.get(&key) {
                    Some(spent) => Some(*spent),
                    None => self.view.spent(&spend.budget, spend.window)?,
                },
            };
            let (count, until) = so_far.unwrap_or((0, spend.until));
            match count.checked_add(spend.by).filter(|sum| *sum <= spend.limit) {
                Some(sum) => staged.push((key, (sum, until.max(spend.until)))),
                None => {
                    return Err(Stop::Rejected(Outcome::Refused { budget: spend.budget.clone() }));
                }
            }
        }
        Ok(staged)
    }

    /// Numbers the events. The time never goes back, whatever the clock of the decision said (S-4).
    fn append(&mut self, changeset: &'a Prepared) -> Result<Committed, Stop> {
        let from = self.writes.head.size;
        let at = changeset.at.max(self.writes.head.last_at);
        let mut entries = Vec::with_capacity(changeset.events.len());
        for (index, event) in (from..).zip(&changeset.events) {
            let (leaf, hash) = if at == changeset.at {
                (Cow::Borrowed(event.bytes.as_slice()), event.hash)
            } else {
                let bytes = encode(&Leaf { at: at.as_micros(), ..event.leaf.clone() }).map_err(Stop::Rejected)?;
                let hash = leaf_hash(&bytes);
                (Cow::Owned(bytes), hash)
            };
            let (id, begins) = (event.id(), index == from);
            entries.push(NewEntry { index, id, begins, hash, leaf, personal: event.personal.iter().collect() });
        }
        if let Some(first) = changeset.events.first() {
            self.commits.insert(first.id(), self.outcomes.len());
        }
        let leaf_hashes = entries.iter().map(|entry| entry.hash).collect();
        self.writes.head = Head { size: from + entries.len() as u64, last_at: at };
        self.writes.entries.append(&mut entries);
        Ok(durable(changeset.id, Position::at(from), at, leaf_hashes))
    }

    fn write(&mut self, changeset: &'a Prepared, position: Position, bases: Vec<Base>, spent: Vec<Spent<'a>>) {
        for (PreparedPut { put, digest, kept }, base) in changeset.puts.iter().zip(bases) {
            let created = base.created.unwrap_or(position);
            let mac = self.sealer.mac(digest, created, position);
            let (revision, held_terms) = (put.replaces + 1, base.held_terms);
            let row = NewRow { put, kept, revision, created, position, mac, held_terms };
            match self.rows.get(&put.key).and_then(|place| self.writes.rows.get_mut(*place)) {
                Some(place) => *place = row,
                None => {
                    self.rows.insert(&put.key, self.writes.rows.len());
                    self.writes.rows.push(row);
                }
            }
        }
        for once in &changeset.once {
            self.writes.once.insert((once.space, once.key.as_str()), once.until);
        }
        self.writes.spends.extend(spent);
        for change in &changeset.due {
            let (kind, subject, at) = match change {
                DueChange::Set(kind, subject, at) | DueChange::Retry(kind, subject, _, at) => {
                    (kind, subject, Some(*at))
                }
                DueChange::Clear(kind, subject) | DueChange::Ack(kind, subject, _) => (kind, subject, None),
            };
            self.writes.due.insert((*kind, subject.as_str()), at);
        }
        // The values that this changeset itself and the batch before it brought go too.
        for subject in &changeset.erase {
            for entry in &mut self.writes.entries {
                entry.personal.retain(|personal| personal.subject != *subject);
            }
            self.writes.erase.push(subject);
        }
    }
}

/// What every store tells of a commit that it has made durable.
#[expect(clippy::disallowed_methods, reason = "here the stores prove it")]
const fn durable(id: EventId, position: Position, at: Timestamp, leaf_hashes: Vec<[u8; 32]>) -> Committed {
    Committed::by_store(id, position, at, leaf_hashes)
}
