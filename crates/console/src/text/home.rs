//! Words of the first page.

words! {
    PAST_DUE = "Overdue";
    VOTES = "Votes";
    ENDING = "Ends this week";
    ASKED_BY = "Asked by";
    LAPSES = "lapses";
    DECIDE = "Decide";
    OFFERED_BY = "Offered by";
    ANSWER = "Answer";
    DUE = "due";
    ENDS = "ends";
    SINCE = "found";
    LOOK = "Look";
}

/// How many identities there are to a person.
pub fn ratio(identities: u64, people: u64) -> String {
    let tenths = identities.saturating_mul(10) / people.max(1);
    format!("{}.{} active identities to each active person ({people}).", tenths / 10, tenths % 10)
}

/// Identities that nobody owns.
pub fn unowned(count: u64) -> String {
    format!("{count} without an owner")
}
