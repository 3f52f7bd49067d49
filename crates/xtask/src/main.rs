//! The project's chores: `cargo run -p xtask -- testdata` writes `testdata/` anew.

#[cfg(test)]
mod parity;
mod testdata;
#[cfg(test)]
mod tidy;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let chore = std::env::args().nth(1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match chore.as_deref() {
        Some("testdata") => testdata::write(&root.join("testdata")),
        _ => Err("the chores are: testdata".into()),
    }
}
