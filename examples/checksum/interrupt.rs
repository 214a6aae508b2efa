//! Ctrl-C.

use std::io::Write;
use std::process;

use tollgate::CancellationToken;
use tollgate::cancel::Cause;

use crate::progress;

/// As a shell counts a program that SIGINT ended.
pub const EXIT_CODE: u8 = 130;

const CTRL_C: Cause = Cause::new("interrupted");

/// Cancelled by the first Ctrl-C.
pub static INTERRUPT: CancellationToken = CancellationToken::new();

/// From here on the first Ctrl-C cancels [`INTERRUPT`], the second ends the program.
pub fn watch() -> Result<(), ctrlc::Error> {
    // On a thread of its own, and one call after another.
    ctrlc::set_handler(|| {
        if INTERRUPT.is_cancelled() {
            process::exit(EXIT_CODE.into());
        }
        INTERRUPT.cancel_with(CTRL_C);
        let notice = "finishing the files being read; once more to quit";
        let _ = writeln!(std::io::stderr(), "{}checksum: {CTRL_C}, {notice}", progress::clear_line());
    })
}
