//! Inputs on paper: one a line, in hexadecimal digits.

use std::fs;
use std::io;
use std::path::PathBuf;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", &format!("{name}.hex")].iter().collect()
}

/// What is known of a target; nothing if there is no file.
pub fn read(name: &str) -> io::Result<Vec<Vec<u8>>> {
    match fs::read_to_string(file(name)) {
        Ok(text) => text
            .lines()
            .map(|line| bytes(line).ok_or_else(|| io::Error::other(format!("not hexadecimal: {line}"))))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

pub fn write(name: &str, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut lines: Vec<String> = inputs.iter().map(|input| hex(input) + "\n").collect();
    lines.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    fs::write(file(name), lines.concat())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
