//! The part of `cargo metadata` that the checks read.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace::output;

/// What cargo says about the workspace.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// All packages; only the workspace's own if loaded without dependencies.
    pub packages: Vec<Package>,
    /// The folder of the root Cargo.toml.
    pub workspace_root: PathBuf,
    /// The target folder.
    pub target_directory: PathBuf,
}

/// A package.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its Cargo.toml.
    #[serde(default)]
    pub manifest_path: PathBuf,
    /// Its licence as an SPDX expression.
    pub license: Option<String>,
    /// What its manifest asks for.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
}

/// A dependency as the manifest states it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// `dev`, `build`, or nothing for a normal one.
    pub kind: Option<String>,
}

impl Dependency {
    /// Whether it ends up in, or takes part in building, what is shipped.
    pub fn is_shipped(&self) -> bool {
        self.kind.as_deref() != Some("dev")
    }
}

impl Metadata {
    /// Asks cargo in `folder`.
    pub fn load(folder: &Path, without_dependencies: bool) -> Result<Self> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(folder).args(["metadata", "--format-version", "1"]);
        if without_dependencies {
            command.arg("--no-deps");
        }
        serde_json::from_str(&output(&mut command)?).context("cargo metadata printed something unexpected")
    }
}
