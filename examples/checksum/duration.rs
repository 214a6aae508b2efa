//! Times as people write them: `500ms`, `2s`, `1.5s`, `1m`.

use std::time::Duration;

/// Units and their nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits after the point that count: finer than any unit needs, and their product with a unit fits.
const MAX_FRACTION: usize = 20;

/// One decimal number, with digits on both sides of its point, and one unit. Parts of a nanosecond are rounded up.
pub fn parse(text: &str) -> Option<Duration> {
    let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(number_ends);
    let (_, nanos_per_unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;

    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fraction = &fraction[..fraction.len().min(MAX_FRACTION)];
    let scale = 10_u128.pow(fraction.len() as u32);
    let parts = (digits(fraction)? * nanos_per_unit).div_ceil(scale);
    let nanos = digits(whole)?.checked_mul(nanos_per_unit)?.checked_add(parts)?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// The number that `text` is, if it is nothing but digits and at least one.
fn digits(text: &str) -> Option<u128> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
