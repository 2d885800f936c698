//! That the bench runs, against the binary that the tests of the product use. Figures come from `cargo xtask bench`
//! alone.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_operation_runs_without_errors() {
    let bench = Path::new(env!("CARGO_BIN_EXE_tenure-bench"));
    let program: PathBuf = bench.parent().unwrap().join("tenure");
    assert!(program.is_file(), "{}: build the package `tenure` first, as `cargo xtask test` does", program.display());
    let output =
        Command::new(bench).args(["--smoke", "--connections", "4", "--program"]).arg(&program).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out, "14 operations ran, without errors\n");
}
