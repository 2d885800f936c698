//! Records as pages name them: by what people call them, leading to the page of each that has one.

use askama::Template;
use tenure_api::views::Names;

use crate::address::Address;
use crate::markup::Markup;

/// Where the pages of each sort of record are, by the prefix of its ids.
const PAGES: &[(&str, &str)] = &[
    ("app", "/applications"),
    ("cla", "/cloud-accounts"),
    ("crd", "/credentials"),
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
    ("tra", "/transfers"),
    ("ven", "/vendors"),
];

/// The page of a record, if its sort has one.
pub fn page_of(id: &str) -> Option<Address> {
    let (prefix, _) = id.split_once('_').filter(|_| is_id(id))?;
    PAGES.iter().find(|(known, _)| *known == prefix).map(|(_, pages)| Address::new(*pages).below(id))
}

/// A record with the name that people know it by.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"{% if let Some(to) = to %}<a href="{{ to }}" title="{{ id }}">{{ name }}</a>{% else %}<span title="{{ id }}">{{ name }}</span>{% endif %}"#,
    ext = "html"
)]
pub struct Named {
    /// What it is called: its name, or its id if it has none.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its page.
    pub to: Option<Address>,
}

impl Named {
    /// A record by its id.
    pub fn of(id: impl ToString, names: &Names) -> Self {
        let id = id.to_string();
        Self { name: names.get(&id).cloned().unwrap_or_else(|| id.clone()), to: page_of(&id), id }
    }
}

impl Markup for Named {}

/// A text in which ids stand behind the names of what they are of, as briefs and entries have it: `Ada (per_…)`. The id
/// becomes a way to its record.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"{% for part in self.parts() %}{% match part %}{% when Part::Text(text) %}{{ text }}{% when Part::Id(id) %}{% if let Some(to) = crate::records::page_of(id) %} <a class="open" href="{{ to }}" title="{{ id }}">open</a>{% else %} <code class="id">{{ id }}</code>{% endif %}{% endmatch %}{% endfor %}"#,
    ext = "html"
)]
pub struct Linked {
    text: String,
    has_ids: bool,
}

/// A part of a text.
enum Part<'a> {
    Text(&'a str),
    Id(&'a str),
}

impl Linked {
    /// A text that Tenure wrote.
    pub fn told(text: impl Into<String>) -> Self {
        Self { text: text.into(), has_ids: true }
    }

    /// What somebody wrote: an id in it was looked up by nobody, and leads nowhere.
    pub fn written(text: impl Into<String>) -> Self {
        Self { text: text.into(), has_ids: false }
    }

    fn parts(&self) -> Vec<Part<'_>> {
        if !self.has_ids {
            return vec![Part::Text(&self.text)];
        }
        let (mut parts, mut rest) = (Vec::new(), self.text.as_str());
        let mut from = 0;
        while let Some(open) = rest.get(from..).and_then(|tail| tail.find(" (")).map(|at| from + at) {
            let inside = rest.get(open + 2..).unwrap_or_default();
            match inside.split_once(')').filter(|(id, _)| is_id(id)) {
                Some((id, after)) => {
                    parts.push(Part::Text(rest.get(..open).unwrap_or_default()));
                    parts.push(Part::Id(id));
                    rest = after;
                    from = 0;
                }
                None => from = open + 2,
            }
        }
        parts.push(Part::Text(rest));
        parts
    }

    /// The text without its ids, as a title has it.
    pub fn plain(&self) -> String {
        let text = |part: Part<'_>| match part {
            Part::Text(text) => text.to_owned(),
            Part::Id(_) => String::new(),
        };
        self.parts().into_iter().map(text).collect()
    }
}

impl Markup for Linked {}

/// Whether a text is of the form of an id: a prefix of three letters, `_` and 26 characters.
pub fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, rest)| {
        prefix.len() == 3 && rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_no_ids() {
        let id = format!("per_{}", "0".repeat(26));
        let text = Linked::told(format!("Ada (Lovelace) ({id}) asks (now) that x ({id})"));
        assert_eq!(text.plain(), "Ada (Lovelace) asks (now) that x");
        assert!(text.render().unwrap().contains("class=\"open\""));
        let claimed = Linked::written(format!("Vetted by Ada ({id})"));
        assert_eq!(claimed.render().unwrap(), format!("Vetted by Ada ({id})"));
    }
}
