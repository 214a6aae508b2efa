//! A file that has no checksum, and why.

use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};

use crate::shown::Shown;

/// Shown as `PATH: reason`.
#[derive(Debug)]
pub struct Failure {
    path: PathBuf,
    reason: String,
}

impl Failure {
    pub fn new(path: PathBuf, reason: impl Into<String>) -> Failure {
        Failure { path, reason: reason.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn io(path: PathBuf, error: &io::Error) -> Failure {
        Failure::new(path, io_reason(error))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Shown(self.path.as_os_str()), self.reason)
    }
}

/// The system's own words; std adds ` (os error 2)`, which tells a user nothing.
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}
