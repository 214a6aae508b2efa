//! Names in messages to people.

use std::ffi::OsStr;
use std::fmt::{self, Display, Write};

/// Shows a name on one line: control characters and bytes that are no text are escaped, so that a file's name can neither
/// fake a message nor command the terminal. Lines for `sha256sum -c` are another matter, see `line`.
pub struct Shown<'a>(pub &'a OsStr);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("''");
        }
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}
