//! Rows: how records stand in a store, whatever the engine.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::time::Timestamp;
use crate::store::document::{Document, Order};
use crate::store::due::DueKind;
use crate::store::term::Terms;

/// A place in the log: entries are numbered within their shard, and only positions of one shard compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Position {
    /// The shard.
    pub shard: u16,
    /// The entry's number in the shard's log, from 0.
    pub index: u64,
}

impl Position {
    /// The entry `index` of the deployment's first shard.
    pub const fn at(index: u64) -> Self {
        Self { shard: 0, index }
    }
    /// Whether this entry comes after `other` in the same log.
    pub const fn is_after(self, other: Self) -> bool {
        self.shard == other.shard && self.index > other.index
    }
    /// The later of two positions of one shard.
    pub const fn later(self, other: Self) -> Self {
        if other.is_after(self) { other } else { self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.shard, self.index)
    }
}

macro_rules! row_kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)*) => {
        /// What a row holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum RowKind { $($(#[$doc])* $variant = $code,)* }
        impl RowKind {
            /// Every kind.
            pub const ALL: &[RowKind] = &[$(RowKind::$variant),*];
            /// The kind's name in the log and in conflicts.
            pub const fn as_str(self) -> &'static str { match self { $(RowKind::$variant => $text,)* } }
            /// The kind with this name.
            pub fn named(name: &str) -> Option<Self> { match name { $($text => Some(RowKind::$variant),)* _ => None } }
            /// The kind's number in a store.
            pub const fn code(self) -> u8 { self as u8 }
            /// The kind with this number.
            pub const fn from_code(code: u8) -> Option<Self> { match code { $($code => Some(RowKind::$variant),)* _ => None } }
        }
    };
}

row_kinds! {
    /// A person.
    Person = 1, "person";
    /// An operator token.
    OperatorToken = 2, "operator_token";
    /// An application.
    Application = 3, "application";
    /// An environment.
    Environment = 4, "environment";
    /// A resource.
    Resource = 5, "resource";
    /// An external issuer.
    Issuer = 6, "issuer";
    /// An identity.
    Identity = 7, "identity";
    /// A binding.
    Binding = 8, "binding";
    /// A grant.
    Grant = 9, "grant";
    /// A credential.
    Credential = 10, "credential";
    /// A cut of a scope; the row's position is the cut's.
    Cut = 11, "cut";
    /// A hold on a scope.
    Hold = 12, "hold";
    /// A receipt.
    Receipt = 13, "receipt";
    /// A signing key.
    SigningKey = 14, "signing_key";
    /// A join token.
    JoinToken = 15, "join_token";
    /// The stored answer to an idempotent request.
    Idempotency = 16, "idempotency";
    /// A policy set, proposed or in force.
    Policy = 17, "policy";
    /// What is true of the whole deployment, such as that set-up is done.
    Deployment = 18, "deployment";
    /// A team.
    Team = 19, "team";
    /// A vendor.
    Vendor = 20, "vendor";
    /// A cloud account.
    CloudAccount = 21, "cloud_account";
    /// A data domain.
    DataDomain = 22, "data_domain";
    /// A business need.
    Need = 23, "need";
    /// The naming standard of a kind.
    NamingStandard = 24, "naming_standard";
    /// A template of identities.
    Template = 25, "template";
    /// A package of entitlements for people.
    Package = 26, "package";
    /// A request.
    Request = 27, "request";
    /// An exception.
    Exception = 28, "exception";
    /// A finding.
    Finding = 29, "finding";
    /// A review.
    Review = 30, "review";
    /// A transfer of ownership.
    Transfer = 31, "transfer";
    /// A person's grant.
    PersonGrant = 32, "person_grant";
    /// A person's session.
    Session = 33, "session";
    /// A person's passkey.
    Passkey = 34, "passkey";
    /// An invitation.
    Invitation = 35, "invitation";
    /// A provider that people sign in with.
    SignInProvider = 36, "sign_in_provider";
    /// A subject of such a provider, bound to a person.
    SignInBinding = 37, "sign_in_binding";
    /// A difference to an authoritative source.
    Difference = 38, "difference";
    /// How far a reader of the log has come.
    Cursor = 39, "cursor";
    /// A registered source of signals.
    Source = 40, "source";
    /// A signal.
    Signal = 41, "signal";
    /// The newest word of a source on a subject.
    Heard = 42, "heard";
    /// A removal.
    Removal = 43, "removal";
    /// A use of access that is exceptional by itself (R106, R107).
    ExceptionalAccess = 44, "exceptional_access";
    /// What an identity asked for while it runs, and how it is told.
    Backchannel = 45, "backchannel";
    /// What a source's signals held lately.
    Blast = 46, "blast";
    /// The epoch of the deployment.
    Epoch = 47, "epoch";
    /// That a checkpoint outside contradicts the log.
    Contradiction = 48, "contradiction";
    /// The revision below which a row of authority is not believed.
    Floor = 49, "floor";
    /// What the log said of every row as of one of its entries.
    StateDigest = 50, "state_digest";
    /// A target system.
    Target = 51, "target";
    /// An account at a target.
    Account = 52, "account";
    /// The views of the inventory that a person keeps.
    SavedViews = 53, "saved_views";
    /// A login made just in time.
    Login = 54, "login";
    /// A difference between what a target has and what was approved.
    Drift = 56, "drift";
    /// What a list from elsewhere says of an account that nothing here can see.
    Sighting = 57, "sighting";
    /// A campaign of reviews.
    Campaign = 58, "campaign";
    /// How a source speaks.
    Rhythm = 70, "rhythm";
    /// How what is owed went, day by day.
    DebtTrend = 71, "debt_trend";
    /// That something goes on a day.
    Deprecation = 72, "deprecation";
    /// A break-glass access of an identity.
    BreakGlass = 73, "break_glass";
    /// The last removal drill of an identity.
    Drill = 74, "drill";
}

impl RowKind {
    /// The kinds whose records people look for by words.
    pub const SEARCHED: &[Self] = &[
        Self::Person,
        Self::Application,
        Self::Environment,
        Self::Resource,
        Self::Issuer,
        Self::Identity,
        Self::Team,
        Self::Vendor,
        Self::CloudAccount,
        Self::DataDomain,
        Self::Need,
    ];

    /// Whether people look for its records by words.
    pub fn is_searched(self) -> bool {
        Self::SEARCHED.contains(&self)
    }
}

/// A row's name: its kind and its id, which is unique within the kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// What the row holds.
    pub kind: RowKind,
    /// Which one: at most 200 bytes.
    pub id: String,
}

impl RowKey {
    /// The key of the row `id` of this kind.
    pub fn new(kind: RowKind, id: impl fmt::Display) -> Self {
        Self { kind, id: id.to_string() }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id)
    }
}

/// A stored row. Stores check its MAC before they hand it out (S-2).
pub struct Row {
    /// Its name.
    pub key: RowKey,
    /// 1 when first written, one more with each write.
    pub revision: u64,
    /// The position of the commit that first wrote it.
    pub created: Position,
    /// The position of the commit that wrote this revision.
    pub position: Position,
    /// The record as JSON.
    pub body: Vec<u8>,
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Row {
    /// A row as a store read it.
    pub const fn new(key: RowKey, revision: u64, created: Position, position: Position, body: Vec<u8>) -> Self {
        Self { key, revision, created, position, body, decoded: OnceLock::new() }
    }

    /// The record, decoded once however often the row is used.
    ///
    /// # Errors
    /// The body is not what the kind demands; as MACs are checked before, this means a newer or a broken writer.
    pub fn decode<T: Record>(self: &Arc<Self>) -> Result<Stored<T>, BadRow> {
        let any = match self.decoded.get() {
            Some(any) => Arc::clone(any),
            None => {
                let value: T = serde_json::from_slice(&self.body)
                    .map_err(|e| BadRow { key: self.key.clone(), why: e.to_string() })?;
                let fresh: Arc<dyn Any + Send + Sync> = Arc::new(value);
                Arc::clone(self.decoded.get_or_init(|| fresh))
            }
        };
        let value =
            any.downcast::<T>().map_err(|_| BadRow { key: self.key.clone(), why: "decoded as another type".into() })?;
        Ok(Stored { value, revision: self.revision, created: self.created, position: self.position })
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// A row whose body can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row {key} can't be read: {why}")]
pub struct BadRow {
    /// Which row.
    pub key: RowKey,
    /// What is wrong with it.
    pub why: String,
}

/// What can be stored as a row.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of its rows.
    const KIND: RowKind;
    /// Its id within the kind.
    fn row_id(&self) -> String;
    /// What lists of this kind can be filtered by: all of them, up to what the record itself is bounded to. Where a
    /// record stands for more than it names, it bears a term that says so ([`crate::store::term::Bounded`]), which
    /// every query for the missing ones reads too.
    fn terms(&self) -> Terms<Self>
    where
        Self: Sized,
    {
        Terms::none()
    }
    /// By what else than its id records of a [searched kind](RowKind::is_searched) are sorted.
    const ORDERS: &'static [Order] = &[];
    /// What records of a searched kind are looked for by.
    fn document(&self) -> Document<'_> {
        Document::default()
    }
    /// By what else the index of records finds those of a searched kind. It is no part of the terms beside a row, so that
    /// another one takes no migration; nothing is decided by it.
    fn facets(&self) -> Terms<Self> {
        Terms::none()
    }
    /// When the row may be dropped without an event, if ever: only for what its end makes worthless (expired
    /// credentials).
    fn droppable_after(&self) -> Option<Timestamp> {
        None
    }
    /// The work that falls due at once whenever this is written, whoever writes it: what rests on the record elsewhere is
    /// looked at again, and nobody has to think of it.
    fn follows(&self) -> Option<(DueKind, String)> {
        None
    }
    /// The row's key.
    fn key(&self) -> RowKey {
        RowKey { kind: Self::KIND, id: self.row_id() }
    }
}

/// A record with where it stands.
#[derive(Debug)]
pub struct Stored<T> {
    /// The record.
    pub value: Arc<T>,
    /// Its revision: what an `ETag` carries and a precondition names.
    pub revision: u64,
    /// The position of the commit that first wrote it.
    pub created: Position,
    /// The position of the commit that wrote this revision.
    pub position: Position,
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), revision: self.revision, created: self.created, position: self.position }
    }
}

impl<T> std::ops::Deref for Stored<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
