//! Words of requests, votes and who stands in.

use tenure_core::request::RequestState;

use super::shared::{plain, sentence};

words! {
    WAITING = "Waiting for your vote";
    NOTHING_WAITS = "No request waits for your vote.";
    NO_REQUESTS = "There are no requests.";
    ASK_BACK = "Ask back";
    ASK_BACK_HINT = "whoever asked is told; it stays open, and votes stand";
    ASK = "Ask";
    ANSWER_BACK = "Answer what was asked";
    ANSWER_BACK_HINT = "whoever asked back is told; votes stand";
    SEND_ANSWER = "Send the answer";
    ASKED_BACK = "asked back";
    ANSWERED_BACK = "answered";
    CHANGED_IT = "changed it";
    VOTES_VOID = "votes of before don’t count";
    ASSURED = "by a sign-in that can’t be phished";
    BY_A_TOKEN = "an operator token stood for them";
    STAND_IN_HINT = "who votes in your place: e-mail address, name or id";
    AWAY_LEAD = "While you are away, somebody else votes where you are named: as accountable owner or as manager. They do nothing that they couldn’t do on their own, and nothing that you couldn’t.";
    AWAY_FROM = "First day";
    AWAY_UNTIL_HINT = "the last day that you are away; at most 90 days later";
    AT_ONCE_HINT = "at once, if left empty";
    NAME_THEM = "Name them";
    BACK_LEAD = "Nobody stands in for you any more. Votes that they cast and that still wait for others count no more.";
}

/// The route of what a rule approves.
pub const BY_A_RULE: &str = "a rule, without a vote";

/// What a request became.
pub const fn became(state: RequestState) -> &'static str {
    match state {
        RequestState::Open => "It is open",
        RequestState::Approved => "It is approved, and waits for its start",
        RequestState::Denied => "It is denied",
        RequestState::Withdrawn => "It is taken back",
        RequestState::Lapsed => "It has lapsed",
        RequestState::Fulfilled => "It is approved, and in force",
    }
}

/// A field of a charter or a request as people read it: the API's path of it, in words.
pub fn field(path: &str) -> String {
    let known = match path {
        "access" => "What it may do",
        "charter.scope" | "scope" => "Scope",
        "expires_at" | "charter.expires_at" => "Ends at the latest",
        "until" => "Goes on until",
        "credential_ttl" | "charter.credential_ttl" => "Life of a credential",
        "parties.operator" | "charter.parties.operator" => "Run by",
        "parties.beneficiary" | "charter.parties.beneficiary" => "Serves",
        "parties.requester" | "charter.parties.requester" => "Asked for by",
        "owner" | "charter.owner" => "Accountable owner",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let path = path.strip_prefix("charter.").unwrap_or(path);
    // Items are counted from 1 where people read: `retirement[0].after` is `Retirement 1: after`.
    let mut words = String::new();
    for (n, part) in path.split('[').enumerate() {
        match (n, part.split_once(']')) {
            (0, _) | (_, None) => words.push_str(part),
            (_, Some((item, rest))) => {
                let item = item.parse::<usize>().map_or_else(|_| item.to_owned(), |item| (item + 1).to_string());
                words.push_str(&format!(" {item}{rest}"));
            }
        }
    }
    sentence(&plain(&words.replace('.', ": ")))
}

/// In which place somebody voted.
pub fn voted_as(place: &str) -> String {
    format!("as {place}")
}

/// How long an answer took.
pub fn decided_after(span: &str, reminders: u8) -> String {
    format!("{span}{}", reminded(reminders))
}

/// For how long something waits.
pub fn waits_since(span: &str, reminders: u8) -> String {
    format!("has waited for {span}{}", reminded(reminders))
}

fn reminded(reminders: u8) -> String {
    match reminders {
        0 => String::new(),
        1 => "; its approvers were reminded once".to_owned(),
        count => format!("; its approvers were reminded {count} times"),
    }
}
