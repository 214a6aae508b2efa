//! SHA-256 of whole trees of files, many at a time: tollgate's fan-out, semaphore, deadlines, contexts, cancellation and leak
//! tracking at work, in one small program.
//!
//! ```text
//! cargo run --release --example checksum -- [--jobs N] [--order input|completed|key] [--timeout DUR] [PATH ...]
//! ```
//!
//! No runtime: a walk on one thread feeds [`fan_out_with`](tollgate::FanOutExt::fan_out_with) on the main thread, whose futures
//! wait for reads on other threads, at most N, each in a context with a deadline. Ctrl-C cancels a token, and at the end a
//! tracker tells whether anything is still alive.
//!
//! ```text
//! walk ──> fan-out ──> readers: permit, thread, context ──> report ──> leak check
//!             ^
//!         interrupt
//! ```

mod arguments;
mod digest;
mod duration;
mod failure;
mod gauge;
mod interrupt;
mod line;
mod progress;
mod readers;
mod report;
mod shown;
mod source;
mod walk;

use std::convert::identity;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use blocking::Unblock;
use futures_lite::{StreamExt, future};
use tollgate::time::ThreadTimer;
use tollgate::{FanOutExt, Tracker};

use crate::arguments::{Arguments, Order, Request};
use crate::failure::{Failure, io_reason};
use crate::interrupt::INTERRUPT;
use crate::progress::Progress;
use crate::readers::{Checksum, Readers};
use crate::report::{Report, complain};
use crate::walk::Walk;

const FAILED: u8 = 1;
const UNUSABLE_ARGUMENTS: u8 = 2;
/// As a shell counts a program that SIGPIPE ended, which is how others leave a pipe that nobody reads.
const NOBODY_READS: u8 = 141;

/// Paths that the walk may be ahead of the readers.
const WALKED_AHEAD: usize = 64;
/// Files a job that may be done and wait for an earlier one to be printed.
const WINDOW_PER_JOB: usize = 8;
/// With `--order key`, files that may wait for others of their folder, so that other folders are reached.
const WINDOW_OF_FOLDERS: usize = 1024;
/// How long the end waits for what has been told to end.
const LEAVE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => end(print(&arguments::help())),
        Ok(Request::Version) => end(print(&arguments::version())),
        Ok(Request::Hash(arguments)) => end(run(arguments)),
        Err(reason) => {
            complain(format_args!("{reason} (see --help)"));
            ExitCode::from(UNUSABLE_ARGUMENTS)
        }
    }
}

/// Hashes what the arguments ask for; the error is the output's.
fn run(arguments: Arguments) -> io::Result<u8> {
    let Arguments { jobs, order, timeout, paths } = arguments;
    if let Err(error) = interrupt::watch() {
        complain(format_args!("Ctrl-C cannot be watched: {error}"));
    }
    source::make_room(jobs);
    // The readers, the walk, and the walk that counts for the progress bar.
    blocking::set_max_blocking_threads(NonZeroUsize::MIN.saturating_add(jobs + 1));

    let walks = Arc::new(Tracker::new());
    let readers = Readers::new(jobs, timeout);
    let mut report = Report::new(Progress::new(&paths, &walks), readers.gauge());
    let alive = walks.owned().named("walk").guard();
    let walk = Walk::new(paths).inspect(move |_| _ = &alive);
    let results = Unblock::with_capacity(WALKED_AHEAD, walk)
        .fan_out_with(jobs, |found| read(&readers, found))
        .window(jobs * WINDOW_PER_JOB)
        .stop_when(INTERRUPT.cancelled());
    let reported = match order {
        Order::Input => future::block_on(report.of(results.ordered().filter_map(identity))),
        Order::Completed => future::block_on(report.of(results.unordered().filter_map(identity))),
        Order::Key => {
            let results = results.window(WINDOW_OF_FOLDERS.max(jobs * WINDOW_PER_JOB)).keyed(folder);
            future::block_on(report.of(results.filter_map(identity)))
        }
    };
    report.end();
    let left = [readers.gauge().reads(), &walks].into_iter().filter(|tracker| is_left(tracker)).count();
    reported?;

    complain(&report);
    Ok(if INTERRUPT.is_cancelled() {
        interrupt::EXIT_CODE
    } else if report.failures() > 0 || left > 0 {
        FAILED
    } else {
        0
    })
}

/// Reads what the walk has found. After Ctrl-C, what waits in the window is not begun any more.
async fn read(readers: &Readers, found: Result<PathBuf, Failure>) -> Option<Result<Checksum, Failure>> {
    if INTERRUPT.is_cancelled() {
        return None;
    }
    Some(match found {
        Ok(path) => readers.read(path).await,
        Err(failure) => Err(failure),
    })
}

/// The folder that what the walk has found is in.
fn folder(found: &Result<PathBuf, Failure>) -> PathBuf {
    let path = found.as_ref().map_or_else(Failure::path, PathBuf::as_path);
    path.parent().unwrap_or(path).to_owned()
}

/// Whether something that is tracked does not end; if so, says what. A thread that the system holds cannot be ended from here.
fn is_left(tracker: &Tracker) -> bool {
    match future::block_on(tracker.verify_none_within(ThreadTimer, LEAVE)) {
        Ok(()) => false,
        Err(leaks) => {
            complain(format_args!("still alive at the end: {leaks}"));
            true
        }
    }
}

fn print(text: &str) -> io::Result<u8> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// The exit code of what was done with the output. Whoever closed it knows, so nothing is said of that.
fn end(done: io::Result<u8>) -> ExitCode {
    ExitCode::from(match done {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => NOBODY_READS,
        Err(error) => {
            complain(format_args!("standard output: {}", io_reason(&error)));
            FAILED
        }
    })
}
