//! Markup: how somebody's text becomes HTML that says what it looks like.

use std::fmt;

use askama::filters::{Escaper, Html};
use tenure_core::base::text;

/// The escaper of every template: text is escaped for HTML, in and outside of quoted attributes, and what reorders or
/// hides it becomes U+FFFD, so that a reader sees that something was there (CVE-2021-42574).
#[derive(Debug, Clone, Copy)]
pub struct Shown;

impl Escaper for Shown {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, string: &str) -> fmt::Result {
        Html.write_escaped_str(dest, &text::lines(string))
    }
}

/// What is markup already, because a template of this crate made it. Nothing that somebody wrote is.
pub trait Markup: fmt::Display {}

impl<T: Markup> Markup for &T {}

/// Filters of templates.
pub(crate) mod filters {
    use askama::filters::Safe;
    use askama::{Result, Values};

    use super::Markup;

    /// Puts markup of ours in as it is. There is no other way around the escaper: askama's own `safe` is in no template.
    #[askama::filter_fn]
    pub(crate) fn markup<T: Markup>(made: T, _: &dyn Values) -> Result<Safe<T>> {
        Ok(Safe(made))
    }
}

#[cfg(test)]
mod tests {
    use askama::Template;

    #[derive(Template)]
    #[template(source = "<p title=\"{{ text }}\">{{ text }}</p>", ext = "html")]
    struct Said<'a> {
        text: &'a str,
    }

    #[test]
    fn text_stays_text() {
        let html = Said { text: "\"><script>'&" }.render().unwrap();
        assert_eq!(html, "<p title=\"&#34;&#62;&#60;script&#62;&#39;&#38;\">&#34;&#62;&#60;script&#62;&#39;&#38;</p>");
    }

    #[test]
    fn no_template_goes_around_the_escaper() {
        let mut files = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates")];
        let sources = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
        files.push(sources);
        let around = ["safe", "escape(\"", "{% filter"]
            .map(|way| if way == "safe" { ["|", way].concat() } else { way.to_owned() });
        while let Some(file) = files.pop() {
            if file.is_dir() {
                files.extend(std::fs::read_dir(file).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap().replace("| ", "|");
            for way in around.iter().filter(|_| !file.ends_with("markup.rs")) {
                assert!(!text.contains(way.as_str()), "{}: {way}", file.display());
            }
        }
    }

    #[test]
    fn what_reorders_text_is_shown_as_something_that_was_there() {
        let html = Said { text: "gnp.\u{202e}exe\u{200b}\u{7}" }.render().unwrap();
        assert!(!html.contains(['\u{202e}', '\u{200b}', '\u{7}']) && html.contains('\u{fffd}'), "{html}");
    }
}
