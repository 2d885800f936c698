//! What a release consists of: the stripped binary with its symbols beside it, checksums, the licences of third
//! parties, and an SBOM.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::metadata::Metadata;
use crate::workspace::{Workspace, make_folder, must, output};

const CYCLONEDX: &str = "0.5.9";
const ABOUT: &str = "0.9.3";
/// The package that is released, and what it is built with.
const BUILD: [&str; 6] = ["--profile", "dist", "--package", "tenure", "--features", FEATURES];
/// The analysis of policies, and spans to a collector.
const FEATURES: &str = "solver,otlp";

/// Options of `release`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Leave out licences and SBOM, whose tools take minutes to install.
    #[arg(long)]
    without_documents: bool,
}

/// Builds everything into `target/release-<version>` and says how large it is.
///
/// # Errors
/// A part can't be built.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let version = version(workspace)?;
    let folder = workspace.target.join(format!("release-{version}"));
    let _ = std::fs::remove_dir_all(&folder);
    make_folder(&folder)?;
    let mut files = Vec::new();
    // First: a licence that isn't accepted is found before the long build.
    if !args.without_documents {
        files.push(licences(workspace, &folder)?);
        files.push(bill_of_materials(workspace, &folder)?);
    }
    must(&mut workspace.cargo(["build", "--locked"].into_iter().chain(BUILD)))?;
    files.extend(split(&workspace.target.join("dist/tenure"), &folder)?);
    files.push(checksums(&folder, &files)?);
    for file in &files {
        let bytes = std::fs::metadata(file).with_context(|| format!("{} is missing", file.display()))?.len();
        eprintln!("release: {:>12} bytes  {}", bytes, file.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn version(workspace: &Workspace) -> Result<String> {
    let metadata = Metadata::load(&workspace.root, true)?;
    let package = metadata.packages.into_iter().find(|package| package.name == "tenure");
    Ok(package.context("the workspace has no package tenure")?.version)
}

/// The binary without its symbols, and the symbols, which it names: a debugger finds them beside it.
fn split(built: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let (binary, symbols) = (folder.join("tenure"), folder.join("tenure.debug"));
    must(Command::new("objcopy").args(["--only-keep-debug", "--compress-debug-sections"]).arg(built).arg(&symbols))?;
    must(Command::new("objcopy").arg("--strip-all").arg(built).arg(&binary))?;
    must(Command::new("objcopy").current_dir(folder).args(["--add-gnu-debuglink=tenure.debug", "tenure"]))?;
    Ok(vec![binary, symbols])
}

/// Every licence text that what is linked in asks to be shown.
fn licences(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    installed(workspace, "cargo-about", ABOUT, &["--features", "cli"])?;
    let file = folder.join("THIRD-PARTY-LICENSES.html");
    let mut about = workspace.cargo([
        "about",
        "generate",
        "--locked",
        "--fail",
        "--manifest-path",
        "crates/tenure/Cargo.toml",
        "--features",
        FEATURES,
    ]);
    must(about.args(["--config", "xtask/about.toml", "--output-file"]).arg(&file).arg("xtask/about.hbs"))?;
    Ok(file)
}

/// A CycloneDX SBOM of the binary's crates.
fn bill_of_materials(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    installed(workspace, "cargo-cyclonedx", CYCLONEDX, &[])?;
    // It writes beside each manifest and takes no other place: only the one asked for is kept.
    let name = "tenure.cdx";
    let mut cyclonedx = workspace.cargo([
        "cyclonedx",
        "--manifest-path",
        "crates/tenure/Cargo.toml",
        "--features",
        FEATURES,
        "--format",
        "json",
    ]);
    must(cyclonedx.args(["--spec-version", "1.5", "--override-filename", name]))?;
    let mut made = None;
    for package in Metadata::load(&workspace.root, true)?.packages {
        let beside = package.manifest_path.with_file_name(format!("{name}.json"));
        if !beside.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&beside)?;
        std::fs::remove_file(&beside)?;
        if package.name == "tenure" {
            made = Some(text);
        }
    }
    let text = made.context("cargo-cyclonedx wrote no SBOM of the package tenure")?;
    let parts = serde_json::from_str::<serde_json::Value>(&text).context("the SBOM is no JSON")?;
    if parts.get("bomFormat").and_then(serde_json::Value::as_str) != Some("CycloneDX") {
        bail!("what cargo-cyclonedx wrote is no CycloneDX SBOM");
    }
    let file = folder.join("tenure.cdx.json");
    // Where it was built is nobody's business, and would make each machine's another.
    std::fs::write(&file, text.replace(&format!("file://{}", workspace.root.display()), "file:///tenure"))?;
    Ok(file)
}

/// `sha256sum -c SHA256SUMS` checks them.
fn checksums(folder: &Path, files: &[PathBuf]) -> Result<PathBuf> {
    let mut command = Command::new("sha256sum");
    command.current_dir(folder).args(files.iter().filter_map(|file| file.file_name()));
    let file = folder.join("SHA256SUMS");
    std::fs::write(&file, output(&mut command)?)?;
    Ok(file)
}

/// Installs a tool of cargo's where it is missing.
fn installed(workspace: &Workspace, name: &str, version: &str, options: &[&str]) -> Result<()> {
    let subcommand = name.trim_start_matches("cargo-");
    let mut asked = workspace.cargo([subcommand, "--version"]);
    if output(&mut asked).is_ok_and(|said| said.contains(version)) {
        return Ok(());
    }
    eprintln!("release: installing {name} {version}");
    must(workspace.cargo(["install", "--locked", name, "--version", version]).args(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbols_stand_beside_the_binary_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let files = split(&std::env::current_exe().unwrap(), folder.path()).unwrap();
        let size = |file: &PathBuf| std::fs::metadata(file).unwrap().len();
        assert!(size(&files[0]) < std::fs::metadata(std::env::current_exe().unwrap()).unwrap().len());
        let sections = output(Command::new("readelf").args(["--sections", "--wide"]).arg(&files[0])).unwrap();
        assert!(sections.contains(".gnu_debuglink") && !sections.contains(".debug_line"), "{sections}");
        let sums = checksums(folder.path(), &files).unwrap();
        assert_eq!(std::fs::read_to_string(sums).unwrap().lines().count(), 2);
        must(Command::new("sha256sum").current_dir(folder.path()).args(["--check", "--quiet", "SHA256SUMS"])).unwrap();
    }
}
