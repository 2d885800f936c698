//! Naming standards: for each kind the pattern that its names must match (R30).

use regex::{Regex, RegexBuilder};
use tenure_api::third_party::NewNamingStandard;
use tenure_api::views::Revised;
use tenure_core::base::problem::FieldProblem;
use tenure_core::identity::Kind;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::inventory::environment::parse_name;
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::kernel::query::Listed;

const MAX_PATTERN: usize = 200;
/// The compiled form of a pattern; names have at most 63 characters, so that matching is cheap whatever the pattern is.
const MAX_COMPILED: usize = 64 * 1024;

impl Listed for NamingStandard {
    const NAME: &'static str = "naming_standard";
    const OPEN: bool = true;
}

/// Sets the naming standard of a kind. Names that are there already stay; names are never changed.
///
/// # Errors
/// The pattern is none, the example doesn't match it or is no valid name, there is one and `if_match` is missing or
/// doesn't hold, or the caller is no administrator.
pub async fn set_naming_standard(
    kernel: &Kernel,
    caller: &Caller,
    kind: Kind,
    if_match: IfMatch,
    ask: NewNamingStandard,
) -> Result<Revised<NamingStandard>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "naming_standard.set", kind.as_str()), async {
            kernel.allow(
                caller,
                Action::Administer,
                inventory("naming_standard", kind.as_str(), ""),
                administration(false, false),
            )?;
            check(&ask).map_err(|problem| OpError::Invalid(vec![problem]))?;
            let ((standard, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.one::<NamingStandard>(kind.as_str()).await?;
                    if_match.demand(stored.as_ref().map(|stored| stored.revision))?;
                    let standard = NamingStandard {
                        kind,
                        pattern: ask.pattern.clone(),
                        example: ask.example.clone(),
                        set_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::NamingStandardSet)
                        .subject(kind.as_str())
                        .fact("from", stored.as_ref().map(|stored| &stored.pattern))
                        .fact("pattern", &ask.pattern)
                        .fact("example", &ask.example);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    let revision = match &stored {
                        Some(stored) => {
                            changeset.replace(stored, &standard);
                            stored.revision + 1
                        }
                        None => {
                            changeset.insert(&standard);
                            1
                        }
                    };
                    Ok((changeset, (standard, revision)))
                })
                .await?;
            kernel.changed(standard, revision, &committed).await
        })
        .await
}

/// What is wrong with a name, by its kind's standard.
pub(crate) async fn against_standard(kernel: &Kernel, kind: Kind, name: &str) -> Result<Option<FieldProblem>, OpError> {
    let Some(standard) = kernel.one::<NamingStandard>(kind.as_str()).await? else {
        return Ok(None);
    };
    let pattern = whole(&standard.pattern)
        .map_err(|why| OpError::Internal(format!("the naming standard of {}: {why}", kind.as_str())))?;
    if pattern.is_match(name) {
        return Ok(None);
    }
    let hint = format!("a {}'s name matches {}, e.g. {}", kind.as_str(), standard.pattern, standard.example);
    Ok(Some(FieldProblem::new("name", "name_against_standard", hint)))
}

/// The pattern as the whole name must match it.
fn whole(pattern: &str) -> Result<Regex, String> {
    compile(&format!("^(?:{pattern})$"))
}

/// Nesting and size are bounded: the parser of patterns recurses.
fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).nest_limit(16).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
            _ => "it is no regular expression".to_owned(),
        },
    )
}

fn check(ask: &NewNamingStandard) -> Result<(), FieldProblem> {
    if ask.pattern.is_empty()
        || ask.pattern.len() > MAX_PATTERN
        || tenure_core::base::text::check_line(&ask.pattern).is_err()
    {
        return Err(FieldProblem::new("pattern", "pattern_malformed", "give a regular expression of 1 to 200 bytes"));
    }
    // By itself, too: what closes our own bracket would be matched beside the anchors.
    let pattern = compile(&ask.pattern).and_then(|_| whole(&ask.pattern)).map_err(|why| {
        FieldProblem::new("pattern", "pattern_malformed", format!("{why}; e.g. svc-[a-z]+-(prod|staging)"))
    })?;
    parse_name("example", &ask.example)?;
    if pattern.is_match(&ask.example) {
        Ok(())
    } else {
        Err(FieldProblem::new("example", "example_mismatch", "give a name that the pattern matches whole"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(pattern: &str, example: &str) -> Result<(), String> {
        let ask = NewNamingStandard { pattern: pattern.into(), example: example.into() };
        check(&ask).map_err(|problem| problem.code)
    }

    #[test]
    fn a_standard_is_a_bounded_pattern_that_its_example_matches_whole() {
        assert_eq!(standard("svc-[a-z]+", "svc-billing"), Ok(()));
        assert_eq!(standard("svc|app", "svc-billing"), Err("example_mismatch".into()));
        assert_eq!(standard("svc-", "svc-billing"), Err("example_mismatch".into()));
        assert_eq!(standard("[A-Z]+", "SVC"), Err("name_malformed".into()));
        for bad in ["", "(", "a)|(?:.*", "(?:[a-z]{60}){60}{60}", &"a".repeat(201), "a\nb"] {
            assert_eq!(standard(bad, "a"), Err("pattern_malformed".into()), "{bad}");
        }
    }

    #[test]
    fn an_alternative_is_anchored_at_both_ends() {
        let pattern = whole("svc|app").unwrap();
        assert!(pattern.is_match("svc") && pattern.is_match("app"));
        assert!(!pattern.is_match("svc-x") && !pattern.is_match("my-app"));
    }
}
