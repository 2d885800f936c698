//! The dependency check: which packages and licences may enter, as deny.toml says.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::metadata::{Metadata, Package};
use crate::workspace::{Workspace, output};

/// The part of deny.toml that is checked here.
#[derive(Debug, Deserialize)]
struct Rules {
    bans: Bans,
    licenses: Licenses,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Checks this workspace; each item says what is wrong and what to do.
pub fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let path = workspace.root.join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let rules: Rules = toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
    let tree = output(&mut workspace.cargo([
        "tree",
        "--workspace",
        // As releases are built.
        "--features",
        "tenure/solver,tenure/otlp",
        "--edges",
        "normal,build",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let metadata = Metadata::load(&workspace.root, false)?;
    let mut found = banned(&rules.bans, &names(&tree));
    found.extend(unlicensed(&rules.licenses, &metadata.packages));
    Ok(found)
}

/// The packages of `cargo tree --prefix none --format {p}`.
fn names(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

fn banned(bans: &Bans, used: &BTreeSet<&str>) -> Vec<String> {
    let hits = bans.deny.iter().filter(|ban| used.contains(ban.name.as_str()));
    hits.map(|Ban { name, reason }| format!("{name} is banned: {reason}; see who brings it: cargo tree --workspace --target all -e normal,build -i {name}"))
        .collect()
}

fn unlicensed(licenses: &Licenses, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let Package { name, version, .. } = package;
        let exception = licenses.exceptions.iter().find(|exception| exception.name == *name);
        let allowed = |term: &str| {
            licenses.allow.iter().chain(exception.iter().flat_map(|e| &e.allow)).any(|allowed| allowed == term)
        };
        let Some(text) = package.license.as_deref() else {
            found.push(format!(
                "{name} {version} states no licence: read its sources and replace it, or ask its authors"
            ));
            continue;
        };
        // Old manifests write `MIT/Apache-2.0`.
        match Expression::parse_mode(text, ParseMode::LAX) {
            Err(why) => found.push(format!("{name} {version} has the licence \"{text}\", which is no SPDX expression ({}): replace it", why.reason)),
            Ok(expression) if !expression.evaluate(|term| allowed(&term.to_string())) => found.push(format!(
                "{name} {version} has the licence \"{text}\", which deny.toml doesn't allow: replace it, or, if it is compatible with Apache-2.0, add an exception for this crate with a reason"
            )),
            Ok(_) => {}
        }
    }
    for exception in
        licenses.exceptions.iter().filter(|exception| !packages.iter().any(|package| package.name == exception.name))
    {
        found.push(format!("deny.toml has an exception for {}, which nothing uses: remove it", exception.name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        toml::from_str(include_str!("../../deny.toml")).unwrap()
    }

    fn licences(packages: &[(&str, Option<&str>)]) -> Vec<String> {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, license)| Package {
                name: (*name).to_owned(),
                license: license.map(str::to_owned),
                ..Package::default()
            })
            .collect();
        let licenses = Licenses {
            allow: ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into(),
            exceptions: vec![Exception { name: "roots".to_owned(), allow: vec!["MPL-2.0".to_owned()] }],
        };
        unlicensed(&licenses, &packages).into_iter().filter(|line| !line.starts_with("deny.toml")).collect()
    }

    #[test]
    fn each_ban_is_found_in_the_output_of_cargo_tree() {
        let bans = rules().bans;
        for name in ["ring", "openssl-sys", "native-tls", "rsa"] {
            let tree = format!("tenure v0.1.0 (/somewhere/crates/tenure)\n{name} v1.2.3\nstring v1.0.0 (*)\n");
            let found = banned(&bans, &names(&tree));
            assert_eq!(found.len(), 1, "{name}");
            assert!(found[0].starts_with(&format!("{name} is banned: ")), "{found:?}");
        }
        assert!(banned(&bans, &names("aws-lc-rs v1.0.0\nstring v1.0.0\n")).is_empty(), "names are compared whole");
    }

    #[test]
    fn alternatives_need_one_allowed_licence_and_conjunctions_need_all() {
        assert!(
            licences(&[
                ("a", Some("MIT OR GPL-3.0-only")),
                ("b", Some("MIT/Apache-2.0")),
                ("c", Some("Apache-2.0 / MIT"))
            ])
            .is_empty()
        );
        assert!(licences(&[("d", Some("(MIT OR ISC) AND Apache-2.0 WITH LLVM-exception"))]).is_empty());
        assert_eq!(licences(&[("e", Some("MIT AND GPL-3.0-only"))]).len(), 1);
        assert_eq!(licences(&[("f", Some("GPL-3.0-or-later"))]).len(), 1);
    }

    #[test]
    fn an_exception_counts_for_its_crate_only() {
        assert!(licences(&[("roots", Some("MPL-2.0"))]).is_empty());
        assert_eq!(licences(&[("other", Some("MPL-2.0"))]).len(), 1);
    }

    #[test]
    fn no_licence_and_no_expression_are_found() {
        let found = licences(&[("g", None), ("h", Some("see LICENSE"))]);
        assert!(found[0].contains("states no licence"), "{found:?}");
        assert!(found[1].contains("no SPDX expression"), "{found:?}");
    }

    #[test]
    fn an_exception_that_nothing_needs_is_found() {
        assert_eq!(unlicensed(&rules().licenses, &[]).len(), rules().licenses.exceptions.len());
    }
}
