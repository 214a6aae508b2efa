//! What the command line asks for.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};

use crate::duration;
use crate::shown::Shown;

/// More threads than this help no disk, and each costs its stack.
const MAX_JOBS: usize = 4096;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    Help,
    Version,
    Hash(Arguments),
}

/// How to hash, and what.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Files read at a time.
    pub jobs: usize,
    pub order: Order,
    /// Longest time to read one file; `Duration::MAX`, which no clock reaches, without `--timeout`.
    pub timeout: Duration,
    /// Never empty.
    pub paths: Vec<PathBuf>,
}

/// The order of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Input,
    Completed,
    /// In order within each folder, whose files are read one at a time.
    Key,
}

/// Reads the words after the program's name. The error is one line for the user.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut jobs = default_jobs();
    let mut order = Order::Input;
    let mut timeout = Duration::MAX;
    let mut paths = Vec::new();
    let mut words = lexopt::Parser::from_args(words);
    while let Some(word) = words.next().map_err(one_line)? {
        match word {
            Short('j') | Long("jobs") => jobs = parse_jobs(&words.value().map_err(one_line)?)?,
            Long("order") => order = parse_order(&words.value().map_err(one_line)?)?,
            Long("timeout") => timeout = parse_timeout(&words.value().map_err(one_line)?)?,
            Short('h') | Long("help") => return alone(Request::Help, &mut words),
            Short('V') | Long("version") => return alone(Request::Version, &mut words),
            Value(path) => paths.push(PathBuf::from(path)),
            other => return Err(one_line(other.unexpected())),
        }
    }
    if paths.is_empty() {
        paths.push(PathBuf::from("."));
    }
    Ok(Request::Hash(Arguments { jobs, order, timeout, paths }))
}

/// The text of `--help`.
pub fn help() -> String {
    format!(
        "\
Prints the SHA-256 of files, as sha256sum does and `sha256sum -c` reads, many files at a time.

Usage: checksum [--jobs N] [--order input|completed|key] [--timeout DUR] [PATH ...]

A folder is walked; without PATH the current folder is. `-` is the standard input. Met in a walk, links to
files are followed; links to folders, pipes, sockets and devices are passed over. Named as PATH, all are read.

  -j, --jobs N       files read and hashed at a time, 1 to {MAX_JOBS} [default: the processors at hand, here {jobs}]
      --order WHAT   input: sorted by the bytes of the path within each PATH, the same for every N [default]
                     completed: as files finish
                     key: sorted within each folder, of which one file at a time is read; folders side by side
      --timeout DUR  longest time to read one file: 500ms, 2s, 1.5s, 1m [default: no limit]
  -h, --help         print this
  -V, --version      print the version

On a terminal, progress is shown. Ctrl-C takes no more files and finishes those being read; twice, it quits.

Exit code: 0 all hashed; 1 a file could not be read, timed out, is still being read at the end, or the output
could not be written; 2 the arguments are unusable; 130 Ctrl-C; 141 the reader of the output went away, as for
any program in a pipe.
",
        jobs = default_jobs()
    )
}

/// The text of `--version`.
pub fn version() -> String {
    format!("checksum {}, an example of tollgate\n", env!("CARGO_PKG_VERSION"))
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_JOBS)
}

fn parse_jobs(value: &OsStr) -> Result<usize, String> {
    match value.to_str().map(str::parse::<usize>) {
        Some(Ok(jobs)) if (1..=MAX_JOBS).contains(&jobs) => Ok(jobs),
        _ => Err(format!("--jobs '{}': want a number from 1 to {MAX_JOBS}", Shown(value))),
    }
}

fn parse_order(value: &OsStr) -> Result<Order, String> {
    match value.to_str() {
        Some("input") => Ok(Order::Input),
        Some("completed") => Ok(Order::Completed),
        Some("key") => Ok(Order::Key),
        _ => Err(format!("--order '{}': want 'input', 'completed' or 'key'", Shown(value))),
    }
}

fn parse_timeout(value: &OsStr) -> Result<Duration, String> {
    match value.to_str().and_then(duration::parse) {
        Some(timeout) if !timeout.is_zero() => Ok(timeout),
        _ => Err(format!("--timeout '{}': want a time above zero as 500ms, 2s, 1.5s or 1m", Shown(value))),
    }
}

/// `request`, unless its option came with a value.
fn alone(request: Request, words: &mut lexopt::Parser) -> Result<Request, String> {
    match words.optional_value() {
        None => Ok(request),
        Some(value) => Err(format!("--help and --version take no value such as '{}'", Shown(&value))),
    }
}

/// A word of the user's may hold line breaks; the message about it stays on one line.
fn one_line(error: impl Display) -> String {
    Shown(OsStr::new(&error.to_string())).to_string()
}
