//! Every page of the console as every role, in every width and theme: looked through by axe, with a picture of each.

use std::process::ExitCode;

use anyhow::Result;

use crate::suite;
use crate::workspace::{Workspace, make_folder};

/// Looks through all of them and leaves the pictures in `target/pages`, a folder for each role.
///
/// # Errors
/// The browser or the servers can't be had.
pub async fn run(workspace: &Workspace, args: &suite::Args) -> Result<ExitCode> {
    let folder = workspace.target.join("pages");
    make_folder(&folder)?;
    let test = "package(tenure) and test(/every_page_as_everybody_with_pictures$/)";
    let args = args.clone().telling("TENURE_PAGES", folder.display().to_string());
    let code = suite::run(workspace, &args.with(&["--run-ignored", "only", "-E", test])).await?;
    eprintln!("pages: the pictures are in {}", folder.display());
    Ok(code)
}
