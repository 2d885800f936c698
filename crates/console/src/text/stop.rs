//! Words of what is stopped, its proof, and holds.

use tenure_core::credential::receipt::{ReceiptOf, ReceiptState};

use super::shared::plain;

words! {
    ACCEPTED_UNTIL = "accepted until";
    CHECKS_BY_ITSELF = "It checks signatures by itself, so what was revoked is good there until its own end.";
    NOTHING_LIVE = "nothing live";
    NOTHING_TO_REFUSE = "There was nothing live to refuse.";
    NO_CONTROL = "no live credential was there to compare with";
    LAST_RECEIPTS = "The last of them, the newest first.";
    NO_RECEIPTS = "Nothing was revoked yet.";
    STOPS = "What stops";
    NOTHING_RETURNS = "Nothing: what was stopped can’t get new credentials before somebody lets it.";
    LOOKED_AT = "Looked at";
    PROOF = "Proof";
    A_SESSION = "A session";
    AN_OPERATOR_TOKEN = "An operator token";
    GRANT_OF_THEIRS = "A grant";
    DECIDES_BY_ITSELF = "its enforcement points decide by themselves: what they let the person do isn’t known here";
    COMES_BACK = "What can come back by itself";
    STOP_AND_HOLD = "Stop, and keep it from coming back.";
    STOP_AND_HOLD_HINT = "What it holds is refused for good, and it gets nothing new until somebody else releases it.";
    STOP_ONLY = "Refuse what it holds now.";
    STOP_ONLY_HINT = "What can prove itself gets new credentials at once: for a secret that leaked.";
    STOP_NOW = "Stop now";
    THE_FIRST_OF_THEM = "The first of them";
    ALL_OF_THEM = "All of them";
}

/// What a receipt is about, in its title.
pub const fn receipt_of(what: ReceiptOf) -> &'static str {
    match what {
        ReceiptOf::Revocation => "Stopped",
        ReceiptOf::Suspension => "Suspended",
        ReceiptOf::Narrowing => "Narrowed",
    }
}

/// Where a receipt stands.
pub const fn receipt(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Requested => "being proven",
        ReceiptState::NothingToRefuse => "nothing to refuse",
        ReceiptState::RefusedVerified => "refused, verified",
        ReceiptState::Refused => "refused",
        ReceiptState::CannotRevoke => "accepted until it ends",
        ReceiptState::EndedReadBack => "ended, as its catalogue says",
        ReceiptState::NarrowedReadBack => "narrowed, as its catalogue says",
        ReceiptState::AttestedGone => "not proven: two people say a target is gone",
        ReceiptState::Lifted => "taken back before it was proven",
        ReceiptState::Unreachable => "a target can't be asked",
        ReceiptState::Unproven => "unproven",
    }
}

/// What stopping something does.
pub fn stop_lead(kind: &str) -> String {
    match kind {
        "identity" => "Everything that was issued to it until now is refused for good, here and everywhere that asks. The proof follows.".to_owned(),
        kind => format!(
            "Everything that was issued to the identities of this {} until now is refused for good, here and everywhere that asks. The proof follows.",
            plain(kind)
        ),
    }
}

/// How many identities something takes with it.
pub fn active_identities(count: u64, more: bool) -> String {
    match count {
        0 => "No active identity that you may see.".to_owned(),
        1 => "1 active identity.".to_owned(),
        count => format!("{count} active identities{}.", if more { ", of which the first stand below" } else { "" }),
    }
}

/// That no more than these were looked at.
pub fn the_first(count: u16) -> String {
    format!("The first {count} of them: what follows is of these.")
}

/// How many of what is named can prove themselves and get new credentials; of the first so many, if these aren't all.
pub fn returning(count: usize, is_identity: bool, of_the_first: Option<u16>) -> String {
    let of = of_the_first.map_or_else(|| "of them".to_owned(), |first| format!("of the first {first}"));
    match (count, is_identity) {
        (0, _) => "None of what is named here has a way to prove itself.".to_owned(),
        (_, true) => "It can prove itself, and would get new credentials at once unless it is kept from it.".to_owned(),
        (1, false) => {
            format!("1 {of} can prove itself, and would get new credentials at once unless it is kept from it.")
        }
        (count, false) => format!(
            "{count} {of} can prove themselves, and would get new credentials at once unless they are kept from it."
        ),
    }
}

/// What somebody who was suspended, or has left, answers for and goes on.
pub fn goes_on(count: u32) -> String {
    match count {
        0 => "Nothing of theirs can. No identity that they answer for can get new credentials.".to_owned(),
        1 => "Nothing of theirs can. 1 identity that they answer for goes on until somebody takes it over, or its transfer ends:".to_owned(),
        count => format!("Nothing of theirs can. {count} identities that they answer for go on until somebody takes them over, or their transfers end:"),
    }
}

/// What can get new credentials after a revocation.
pub fn comes_back(count: u32) -> String {
    match count {
        1 => "1 can prove itself and get new credentials, since it is neither suspended nor held:".to_owned(),
        count => {
            format!("{count} can prove themselves and get new credentials, since they are neither suspended nor held:")
        }
    }
}
