//! The lines that `sha256sum -c` reads.

use std::io::{self, Write};
use std::path::Path;

use crate::digest::Digest;

/// Writes `digest` and `path` as GNU sha256sum does: two spaces between, the name's bytes as they are. If the name holds a
/// backslash, line feed or carriage return, these are escaped and a backslash leads the line.
pub fn write(out: &mut impl Write, digest: &Digest, path: &Path) -> io::Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    if !name.iter().any(|&byte| escape(byte).is_some()) {
        write!(out, "{digest}  ")?;
        out.write_all(name)?;
        return out.write_all(b"\n");
    }
    write!(out, "\\{digest}  ")?;
    for &byte in name {
        match escape(byte) {
            Some(letter) => out.write_all(&[b'\\', letter])?,
            None => out.write_all(&[byte])?,
        }
    }
    out.write_all(b"\n")
}

fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        _ => None,
    }
}
