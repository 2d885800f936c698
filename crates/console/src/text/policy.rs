//! Words of policy sets.

words! {
    POLICY_SETS = "Policy sets that were proposed";
    PERMITS = "permits";
    FORBIDS = "forbids";
    IN_PLAIN_WORDS = "In plain words";
    POLICY_SET = "A change of policy";
    PROPOSE_POLICY = "Propose a change of policy";
    GRANTS_NOTHING_NEW = "No: it is proven to allow nothing that wasn’t allowed.";
    GRANTS_MORE = "Yes: here is what becomes allowed.";
    UNDECIDED = "It could not be proven either way.";
    NOT_ANALYSED = "Nobody looked here. Where the server has a solver, tenure policy review asks it.";
    IS_NEW = "is new";
    GOES = "goes";
    READS_OTHERWISE = "reads otherwise";
}

/// How many decisions of lately would be others, and how many of them stand below.
pub fn otherwise(count: usize, shown: usize) -> String {
    if count > shown { format!("{count} decided otherwise, the first {shown}") } else { "Decided otherwise".to_owned() }
}

/// How many decisions were asked again.
pub fn asked_again(asked: usize, otherwise: usize) -> String {
    match otherwise {
        0 => format!("Of {asked} questions none is decided otherwise."),
        count => format!("Of {asked} questions {count} are decided otherwise."),
    }
}

/// How a set does in the cases of the built-in one.
pub fn cases(passed: usize, all: usize) -> String {
    match passed == all {
        true => format!("All {all} cases of the built-in set come out as they do there."),
        false => format!("{passed} of {all} cases of the built-in set come out as they do there; these don’t:"),
    }
}
