//! One run of one case on one executor, with an end to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tollgate_conformance::{Outcome, Run};

use crate::executors::{Executor, Task};
use crate::suite::Entry;

/// In seconds, unless `LONGEST` in the environment says something else.
const LONGEST: u64 = 120;

fn longest() -> u64 {
    std::env::var("LONGEST").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(LONGEST)
}

/// Runs `entry` on a thread of its own.
///
/// # Errors
///
/// What is wrong, of the first part that says so.
pub fn run(label: &str, executor: &Executor, entry: &Entry, seed: u64) -> Result<(), String> {
    let (sender, outcomes) = channel();
    let (parts, verdict) = entry.parts(executor);
    let left = parts.len();
    let tasks: Vec<Task> = parts.into_iter().map(|part| Reporting::task(part, sender.clone())).collect();
    let run = executor.run;
    let thread = std::thread::spawn(move || {
        run(tasks, seed);
        drop(sender);
    });
    let end = Instant::now() + Duration::from_secs(longest());
    let mut ended = 0;
    loop {
        match outcomes.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Ok(())) => ended += 1,
            // The others may wait for this one for ever: they are left alone.
            Ok(Err(wrong)) => return Err(format!("{wrong} (seed {seed})")),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("FAILED {label}: not over after {} s (seed {seed}): a wake is lost", longest());
                std::process::exit(1);
            }
        }
    }
    if thread.join().is_err() {
        return Err(format!("the executor panicked (seed {seed})"));
    }
    if ended != left {
        return Err(format!("only {ended} of {left} tasks came to an end (seed {seed})"));
    }
    verdict().map_err(|wrong| format!("{wrong} (seed {seed})"))
}

/// Tells what came of a part, a panic too: executors do different things about those.
struct Reporting {
    part: Option<Run>,
    sender: Sender<Result<(), String>>,
}

impl Reporting {
    fn task(part: Run, sender: Sender<Result<(), String>>) -> Task {
        Box::pin(Self { part: Some(part), sender })
    }
}

impl Future for Reporting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(part) = &mut this.part else { return Poll::Ready(()) };
        let outcome = match catch_unwind(AssertUnwindSafe(|| part.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome.map_err(String::from),
            Err(panic) => Err(message(&*panic)),
        };
        // What the part has left behind is gone before anybody hears of it.
        let outcome = match catch_unwind(AssertUnwindSafe(|| this.part = None)) {
            Ok(()) => outcome,
            Err(panic) => outcome.and(Err(message(&*panic))),
        };
        _ = this.sender.send(outcome);
        Poll::Ready(())
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with no text"))
}

/// What is said once all parts have ended.
pub type Verdict = Box<dyn FnOnce() -> Outcome>;
