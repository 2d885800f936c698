//! The layer check: which crate of the workspace may know which other.
//!
//! The rules are ARCHITECTURE.md's "Layers". They count for normal and build dependencies; tests may use what they
//! like.

use anyhow::Result;

use crate::metadata::{Metadata, Package};
use crate::workspace::Workspace;

struct Rule {
    name: &'static str,
    layer: &'static str,
    may_use: &'static [&'static str],
}

const fn rule(name: &'static str, layer: &'static str, may_use: &'static [&'static str]) -> Rule {
    Rule { name, layer, may_use }
}

const RULES: &[Rule] = &[
    rule("tenure-log", "L0", &[]),
    rule("tenure-core", "L0", &["tenure-log"]),
    rule("tenure-policy", "L1", &["tenure-core", "tenure-log"]),
    rule("tenure-store", "L1", &["tenure-core", "tenure-log"]),
    rule("tenure-credentials", "L1", &["tenure-core", "tenure-log"]),
    rule("tenure-outbound", "L1", &["tenure-core"]),
    rule("tenure-signals", "L1", &["tenure-core"]),
    rule("tenure-api", "L1", &["tenure-core"]),
    // What it shows are the API's views.
    rule("tenure-console", "L1", &["tenure-core", "tenure-api"]),
    rule(
        "tenure-engine",
        "L2",
        &["tenure-core", "tenure-log", "tenure-policy", "tenure-credentials", "tenure-signals", "tenure-api"],
    ),
    rule("tenure-connectors", "L2", &["tenure-core", "tenure-outbound"]),
    rule("tenure-client", "L2", &["tenure-core", "tenure-api"]),
    rule(
        "tenure-server",
        "L3",
        &[
            "tenure-core",
            "tenure-log",
            "tenure-policy",
            "tenure-credentials",
            "tenure-outbound",
            "tenure-api",
            "tenure-console",
            "tenure-engine",
        ],
    ),
    rule(
        "tenure",
        "L4",
        &[
            "tenure-core",
            "tenure-log",
            "tenure-policy",
            "tenure-store",
            "tenure-credentials",
            "tenure-connectors",
            "tenure-outbound",
            "tenure-signals",
            "tenure-api",
            "tenure-console",
            "tenure-engine",
            "tenure-client",
            "tenure-server",
        ],
    ),
    rule(
        "tenure-sim",
        "dev",
        &[
            "tenure-core",
            "tenure-log",
            "tenure-policy",
            "tenure-store",
            "tenure-credentials",
            "tenure-connectors",
            "tenure-api",
            "tenure-engine",
        ],
    ),
    // It has the engine play what it tells of others.
    rule(
        "tenure-seed",
        "dev",
        &[
            "tenure-core",
            "tenure-log",
            "tenure-policy",
            "tenure-store",
            "tenure-credentials",
            "tenure-api",
            "tenure-engine",
        ],
    ),
    // It feeds every parser.
    rule(
        "tenure-fuzz",
        "dev",
        &[
            "tenure-core",
            "tenure-log",
            "tenure-policy",
            "tenure-store",
            "tenure-credentials",
            "tenure-connectors",
            "tenure-outbound",
            "tenure-signals",
            "tenure-engine",
            "tenure-server",
        ],
    ),
    // It measures the product through its public interfaces.
    rule("tenure-bench", "dev", &["xtask"]),
    // It runs the checks, so it must build while the rest doesn't.
    rule("xtask", "dev", &[]),
];

/// Checks this workspace; each item says what is wrong and what to do.
pub fn check(workspace: &Workspace) -> Result<Vec<String>> {
    Ok(violations(&Metadata::load(&workspace.root, true)?.packages))
}

fn violations(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(rule) = find(name) else {
            found.push(format!(
                "{name} has no layer: give it a line in RULES of xtask/src/layers.rs, after ARCHITECTURE.md's \"Layers\""
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.is_shipped()) {
            let used = dependency.name.as_str();
            let is_member = packages.iter().any(|package| package.name == used);
            if is_member && !rule.may_use.contains(&used) {
                found.push(explain(rule, used));
            }
        }
    }
    found
}

fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

fn explain(rule: &Rule, used: &str) -> String {
    let Rule { name, layer, may_use } = rule;
    let layer_used = find(used).map_or("no layer", |rule| rule.layer);
    let allowed = if may_use.is_empty() { "no crate of the workspace".to_owned() } else { may_use.join(", ") };
    let way_out = if used == "tenure-store" {
        "take the port trait of tenure-core instead and let the binary hand in the store; tests may have it under [dev-dependencies]"
    } else {
        "move what both need down to a crate that both may use, or state a trait in tenure-core that a higher layer implements; tests may have it under [dev-dependencies]"
    };
    format!("{name} ({layer}) depends on {used} ({layer_used}) but may use {allowed}: {way_out}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) })
            .collect();
        Package { name: name.to_owned(), dependencies, ..Package::default() }
    }

    /// All crates with exactly what they may use.
    fn everything_allowed() -> Vec<Package> {
        RULES
            .iter()
            .map(|rule| package(rule.name, &rule.may_use.iter().map(|used| (*used, None)).collect::<Vec<_>>()))
            .collect()
    }

    fn with(name: &str, used: &str, kind: Option<&str>) -> Vec<String> {
        let mut packages = everything_allowed();
        let package = packages.iter_mut().find(|package| package.name == name).unwrap();
        package.dependencies.push(Dependency { name: used.to_owned(), kind: kind.map(str::to_owned) });
        violations(&packages)
    }

    #[test]
    fn what_the_design_allows_passes() {
        assert_eq!(violations(&everything_allowed()), Vec::<String>::new());
    }

    #[test]
    fn every_edge_that_is_not_allowed_is_found() {
        for rule in RULES {
            for other in RULES.iter().filter(|other| !rule.may_use.contains(&other.name)) {
                let found = with(rule.name, other.name, None);
                assert_eq!(found.len(), 1, "{} -> {}: {found:?}", rule.name, other.name);
                assert!(
                    found[0].starts_with(&format!(
                        "{} ({}) depends on {} ({})",
                        rule.name, rule.layer, other.name, other.layer
                    )),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn the_design_in_its_own_words() {
        let allowed = |name: &str, used: &str| find(name).unwrap().may_use.contains(&used);
        let level =
            ["tenure-policy", "tenure-store", "tenure-credentials", "tenure-outbound", "tenure-signals", "tenure-api"];
        for one in level {
            assert!(level.iter().all(|other| !allowed(one, other)), "{one}: crates of L1 never know each other");
        }
        let seers: Vec<_> =
            RULES.iter().filter(|rule| rule.may_use.contains(&"tenure-store")).map(|rule| rule.name).collect();
        assert_eq!(seers, ["tenure", "tenure-sim", "tenure-seed", "tenure-fuzz"], "who sees the store");
        assert_eq!(find("tenure-core").unwrap().may_use, ["tenure-log"], "core knows only log");
        assert!(!allowed("tenure-server", "tenure-client"));
    }

    #[test]
    fn dependencies_of_tests_are_free_and_those_of_build_scripts_are_not() {
        assert!(with("tenure-engine", "tenure-store", Some("dev")).is_empty());
        assert_eq!(with("tenure-engine", "tenure-store", Some("build")).len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_found_and_foreign_crates_do_not_count() {
        let mut packages = everything_allowed();
        packages.push(package("tenure-surprise", &[("serde", None)]));
        let found = violations(&packages);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("tenure-surprise has no layer"));
    }

    #[test]
    fn the_store_gets_advice_of_its_own() {
        assert!(with("tenure-server", "tenure-store", None)[0].contains("port trait"));
    }
}
