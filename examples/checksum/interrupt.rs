//! Ctrl-C.

use std::io::Write;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate::Semaphore;

use crate::progress;

/// As a shell counts a program that SIGINT ended.
pub const EXIT_CODE: u8 = 130;

static TOLD: AtomicBool = AtomicBool::new(false);

/// Never holds a permit; it is closed to tell all who wait.
static GATE: Semaphore = Semaphore::new(0);

/// From here on the first Ctrl-C makes `told` ready, the second ends the program.
pub fn watch() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        // ORDERING: a flag alone; no data goes with it.
        if TOLD.swap(true, Ordering::Relaxed) {
            process::exit(EXIT_CODE.into());
        }
        GATE.close();
        let notice = "checksum: interrupted, finishing the files being read; once more to quit";
        let _ = writeln!(std::io::stderr(), "{}{notice}", progress::clear_line());
    })
}

/// Ready at the first Ctrl-C.
pub async fn told() {
    let _closed = GATE.acquire().await;
}

/// Whether there was a Ctrl-C.
pub fn is_told() -> bool {
    TOLD.load(Ordering::Relaxed)
}
