//! Tests that need a process of their own.

use std::process::Command;

use hypernodes::prelude::*;

/// Set in such a process.
const ALONE: &str = "HYPERNODES_TEST_ALONE";

/// Runs `test`, whose full name is `name`, in a process without other tests, which the shell
/// starts after `prepare`.
pub(crate) fn alone(name: &str, prepare: &str, test: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let ended = Command::new("sh")
        .arg("-c")
        .arg(format!("{prepare} exec \"$@\""))
        .arg("sh")
        .arg(std::env::current_exe().expect("this test"))
        .args([name, "--exact"])
        .env(ALONE, "1")
        .output();
    let ended = ended.expect("a process");
    let said = String::from_utf8_lossy(&ended.stdout);
    let passed = ended.status.success() && said.contains("1 passed");
    assert!(passed, "{said}{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
