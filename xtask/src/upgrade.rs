//! Live upgrades: a build of an earlier release writes, and this tree's build opens what it wrote.
//!
//! Tags may not travel with a clone, so `xtask/releases.toml` names each release with its commit.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::suite;
use crate::workspace::{Workspace, must};

/// Options of `upgrade`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The release to come from; the newest one if not given.
    #[arg(long, value_name = "VERSION")]
    from: Option<String>,
    /// Keep what it wrote in tests/upgrade/VERSION, where every later build opens it.
    #[arg(long)]
    keep: bool,
}

/// `xtask/releases.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// The releases, the oldest first.
    pub release: Vec<Release>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// The whole id of its commit.
    pub commit: String,
    /// The day it was made (RFC 3339 full-date).
    pub date: String,
}

impl Releases {
    /// Reads `xtask/releases.toml`.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn load(workspace: &Workspace) -> Result<Self> {
        let path = workspace.root.join("xtask/releases.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    fn find(&self, version: Option<&str>) -> Result<&Release> {
        let found = match version {
            Some(version) => self.release.iter().find(|release| release.version == version),
            None => self.release.last(),
        };
        let known: Vec<&str> = self.release.iter().map(|release| release.version.as_str()).collect();
        found.with_context(|| format!("no such release; xtask/releases.toml knows {}", known.join(", ")))
    }
}

/// Builds the release and upgrades from it, on each engine.
///
/// # Errors
/// Its commit isn't in this clone, or it doesn't build.
pub async fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let releases = Releases::load(workspace)?;
    let release = releases.find(args.from.as_deref())?;
    let program = build(workspace, release)?;
    let mut suite = suite::Args::default()
        .with(&["-p", "tenure", "--run-ignored", "only", "-E", "test(/^upgrade::live::/)"])
        .telling("TENURE_TEST_RELEASE", program.display().to_string());
    if args.keep {
        let folder = workspace.root.join("tests/upgrade").join(&release.version);
        suite = suite.telling("TENURE_TEST_KEEP", folder.display().to_string());
    }
    suite::run(workspace, &suite).await
}

/// The release's binary, built in a checkout of its own.
fn build(workspace: &Workspace, release: &Release) -> Result<PathBuf> {
    let folder = workspace.target.join("upgrade").join(&release.version);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(&workspace.root).args(arguments);
        command
    };
    if git(&["cat-file", "-e", &release.commit]).status().is_ok_and(|status| !status.success()) {
        bail!("this clone lacks {}, the commit of {}; hint: git fetch --unshallow", release.commit, release.version);
    }
    if !folder.join("Cargo.toml").is_file() {
        let place = folder.to_str().context("the target folder's name is not UTF-8")?;
        must(&mut git(&["worktree", "prune"]))?;
        must(&mut git(&["worktree", "add", "--detach", place, &release.commit]))?;
    }
    let target = workspace.target.join("upgrade/target");
    let mut cargo = workspace.cargo(["build", "--locked", "--package", "tenure"]);
    cargo.current_dir(&folder).env("CARGO_TARGET_DIR", &target);
    must(&mut cargo)?;
    Ok(target.join("debug/tenure"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Releases {
        toml::from_str(include_str!("../releases.toml")).unwrap()
    }

    #[test]
    fn releases_are_named_whole_and_in_order() {
        let releases = named().release;
        assert_eq!(releases[0].version, "0.1.0");
        let version =
            |release: &Release| -> Vec<u32> { release.version.split('.').map(|part| part.parse().unwrap()).collect() };
        assert!(releases.windows(2).all(|pair| version(&pair[0]) < version(&pair[1]) && pair[0].date <= pair[1].date));
        for release in &releases {
            assert!(
                release.commit.len() == 40 && release.commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{release:?}"
            );
            assert_eq!(release.date.len(), "2026-11-28".len(), "{release:?}");
        }
    }

    #[test]
    fn each_release_has_its_section_in_the_changelog() {
        let changes = include_str!("../../CHANGELOG.md");
        for release in named().release {
            assert!(changes.contains(&format!("\n## {} ({})\n", release.version, release.date)), "{release:?}");
        }
    }

    #[test]
    fn a_release_is_found_by_its_version_and_the_newest_without() {
        let releases = named();
        assert_eq!(releases.find(None).unwrap(), releases.release.last().unwrap());
        assert_eq!(releases.find(Some("0.1.0")).unwrap().version, "0.1.0");
        let error = releases.find(Some("9.9.9")).unwrap_err().to_string();
        assert!(error.contains("0.1.0"), "{error}");
    }
}
