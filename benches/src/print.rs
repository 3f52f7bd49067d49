//! Lines on the standard output.

use std::fmt::Display;
use std::io::{Write, stdout};
use std::process::exit;

/// Prints a line. Where nobody reads any more, as after `head`, the program ends, with the code of a
/// report that is not met: nobody was told that it is.
pub fn line(text: impl Display) {
    if writeln!(stdout(), "{text}").is_err() {
        exit(1);
    }
}
