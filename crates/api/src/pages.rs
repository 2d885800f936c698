//! Where people look at things: the page of each sort of record. Whatever tells somebody of a record (a notice, an
//! answer, the command line) takes its address from here.

/// Where the pages of each sort of record are, by the prefix of its ids.
pub const PAGES: &[(&str, &str)] = &[
    ("acc", "/accounts"),
    ("app", "/applications"),
    ("cla", "/cloud-accounts"),
    ("cmp", "/campaigns"),
    ("crd", "/credentials"),
    ("drf", "/drift"),
    ("exc", "/exceptions"),
    ("fin", "/findings"),
    ("idn", "/identities"),
    ("per", "/people"),
    ("pol", "/policies"),
    ("rct", "/receipts"),
    ("rem", "/removals"),
    ("req", "/requests"),
    ("res", "/resources"),
    ("rvw", "/reviews"),
    ("sig", "/signals"),
    ("src", "/sources"),
    ("tea", "/teams"),
    ("tgt", "/targets"),
    ("tra", "/transfers"),
    ("ven", "/vendors"),
];

/// Where the pages of environments are, whose ids are their names.
pub const ENVIRONMENTS: &str = "/environments";

/// Whether a text is of the form of an id: a prefix of three letters, `_` and 26 characters.
pub fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, rest)| {
        prefix.len() == 3 && rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// The list of pages that the page of a record is below, if its sort has pages.
pub fn list_of(id: &str) -> Option<&'static str> {
    let (prefix, _) = id.split_once('_').filter(|_| is_id(id))?;
    PAGES.iter().find(|(known, _)| *known == prefix).map(|(_, list)| *list)
}

/// The path of a record's page, if its sort has one.
pub fn page_of(id: &str) -> Option<String> {
    // What has the form of an id has nothing in it that a path would have to escape.
    list_of(id).map(|list| format!("{list}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_id_has_a_page() {
        let id = |prefix: &str| format!("{prefix}_{}", "0".repeat(26));
        assert_eq!(page_of(&id("req")), Some(format!("/requests/{}", id("req"))));
        for other in [&*id("gra"), "req_", "req_../../x", "/requests", ""] {
            assert_eq!(page_of(other), None, "{other}");
        }
    }
}
