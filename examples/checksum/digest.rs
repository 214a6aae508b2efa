//! The SHA-256 of one file.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::gauge::Gauge;
use crate::source::{Allowance, Source};

/// Bytes held of a file at a time.
const CHUNK: usize = 64 * 1024;

/// Shown as 64 hexadecimal digits.
#[derive(Debug)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads `path` to its end; blocks. Also returns how many bytes it was. Once `allowance` is over, it fails soon.
    pub fn of(path: &Path, allowance: &Allowance, gauge: &Gauge) -> io::Result<(Digest, u64)> {
        let mut source = Source::open(path)?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut bytes = 0;
        loop {
            let read = source.read(&mut chunk, allowance)?;
            if read == 0 {
                return Ok((Digest(hasher.finalize().into()), bytes));
            }
            hasher.update(&chunk[..read]);
            gauge.add_bytes(read);
            bytes += read as u64;
        }
    }
}

impl Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
