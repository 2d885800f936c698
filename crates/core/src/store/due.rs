//! Timed work: one queue for each kind of deadline.

use serde::{Deserialize, Serialize};

macro_rules! due_kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)*) => {
        /// Kinds of timed work: one queue each.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum DueKind { $($(#[$doc])* $variant = $code,)* }

        impl DueKind {
            /// Every kind: whoever works off what falls due goes by this.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// The number in a store.
            pub const fn code(self) -> u8 { self as u8 }
            /// The name in metrics.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
        }
    };
}

due_kinds! {
    /// An identity's end by date.
    IdentityExpiry = 1, "identity_expiry";
    /// An identity's idleness.
    IdentityIdle = 2, "identity_idle";
    /// A grant's start or end.
    Grant = 3, "grant";
    /// A retiring identity or a revocation whose receipt is open.
    Receipt = 4, "receipt";
    /// A request: its reminders, its lapse, its start.
    Request = 5, "request";
    /// A person's start or end.
    Person = 6, "person";
    /// A person who left and whose identities need another owner.
    Leaver = 7, "leaver";
    /// A transfer's deadline.
    Transfer = 8, "transfer";
    /// An exception's end, or a breach's grace period.
    Exception = 9, "exception";
    /// A review's deadline.
    Review = 10, "review";
    /// A person's grant: its start, its early review, its end.
    PersonGrant = 11, "person_grant";
    /// An identity that may have gone dormant.
    Dormancy = 12, "dormancy";
    /// An identity's automatic renewal.
    Renewal = 13, "renewal";
    /// A business need that has ended and whose identities are worked off.
    Need = 14, "need";
    /// Identities whose risk tier has to be derived again, a data domain or an environment having changed.
    Tier = 15, "tier";
    /// A signal that was received and has no effect yet.
    Signal = 16, "signal";
    /// A removal whose hold is over, or whose identities retire.
    Removal = 17, "removal";
    /// An answer that an identity is to be called back about.
    Callback = 18, "callback";
    /// A target whose accounts are looked through.
    TargetScan = 19, "target_scan";
    /// Accounts of a scope, which may have to be stopped or let go at their targets.
    Enforcement = 20, "enforcement";
    /// An account that something is done to at its target, or that has to be claimed.
    Account = 21, "account";
    /// A login that is made at its target, fetched there, or ended.
    Login = 22, "login";
    /// A difference at a target that is taken away, or that is left alone until a day.
    Drift = 25, "drift";
    /// What a list told of that has to be claimed.
    Sighting = 26, "sighting";
    /// A campaign whose reviews are opened, whose deadline draws near, or is over.
    Campaign = 27, "campaign";
    /// A source that may not be silent for longer.
    Silence = 40, "silence";
    /// Something deprecated whose day has come.
    Sunset = 41, "sunset";
    /// A break-glass access that somebody has to look at.
    BreakGlass = 42, "break_glass";
}
