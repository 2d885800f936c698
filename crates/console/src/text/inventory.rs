//! Words of the inventory: its list, its views, the same for several.

use super::shared::sentence;

words! {
    WAS_DONE = "done";
    WOULD_BE_DONE = "would be done";
    STANDS_SO = "stands so already";
    LOOK_AGAIN = "What would happen";
    DO_IT = "Do it";
    TO_BE_SAID = "to be said";
    GO_ON = "Go on";
    SEVERAL_GOING = "It is done to some at a time. If you leave this page, the others stay as they are.";
    NONE_CHOSEN = "choose at least one of the list";
    SEVERAL_MORE = "More of them fit: these are the first 500, the others are for the next time.";
    VIEWS = "Saved views";
    VIEWS_LEAD = "A view is the inventory by a name: its filters, its order, its columns. Whoever opens one sees what they may see.";
    NO_VIEWS = "None is saved yet. Narrow the inventory down and save it by a name.";
    SAVE_VIEW = "Save this view";
    VIEW_NAME_HINT = "At most 80 characters";
    SHARED_WITH = "Who sees it too";
    NOBODY_ELSE = "nobody else";
    OPEN_VIEW = "Open";
    RENAME = "Rename or delete";
    WHOSE = "Whose";
    SHOWS = "Shows";
    SAVED_AT = "Saved";
    CHANGE_IT = "Change";
    ALL_OF_IT = "all of it";
    OWN_TEAM = "name a team of your own";
    SAVE = "Save";
    DELETE = "Delete";
    SELECTED = "Those selected";
    ALL_THAT_FIT = "All that fit, at most 500";
    COLUMNS = "Columns";
    NOT_ALL = "THIS FILE IS NOT ALL: the server could not read on. Get it again.";
    NOTHING_DISCOVERED = "Nothing discovers identities yet: what stands here was registered.";
    NO_IDENTITIES = "There are no identities yet: tenure identity register makes the first.";
}

/// The title of a page that does the same to several identities.
pub fn several_title(deed: &str, count: usize) -> String {
    match count {
        1 => format!("{} one identity", sentence(deed)),
        _ => format!("{} {count} identities", sentence(deed)),
    }
}

/// How many were chosen, before anything was looked at.
pub fn several_chosen(count: usize) -> String {
    format!("{count} chosen. Nothing is done before you have seen what would happen to each.")
}

/// What would become of several, by what was looked at just now.
pub fn several_would(good: usize, refused: usize, all: usize) -> String {
    format!(
        "Of {all} it would be done to {good}, {refused} would be refused, {} stand so already. Nothing is done yet; each is decided anew when it is.",
        all.saturating_sub(good + refused)
    )
}

/// What became of several.
pub fn several_done(good: usize, refused: usize, all: usize) -> String {
    format!(
        "Of {all} it was done to {good}, {refused} were refused, {} stood so already. Sent again, it does nothing twice.",
        all.saturating_sub(good + refused)
    )
}
