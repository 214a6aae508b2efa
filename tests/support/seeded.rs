//! A small generator whose seed is told when a test fails, or bytes in its place.

use std::env;
use std::thread;
use std::vec::IntoIter;

/// SplitMix64 (Steele, Lea, Flood 2014). Repeatable, and good enough to pick operations.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    state: u64,
    bytes: Option<IntoIter<u8>>,
}

impl Seeded {
    /// Starts from `TOLLGATE_SEED` if it is set, else from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::exactly(variable("TOLLGATE_SEED").unwrap_or(seed))
    }

    /// Starts from `seed`.
    pub fn exactly(seed: u64) -> Self {
        Self { seed, state: seed, bytes: None }
    }

    /// Does what the bytes say, as a fuzzer has them. After the last one it goes on the same way each time.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: Some(Vec::from(bytes).into_iter()), ..Self::exactly(0) }
    }

    /// Whether there were bytes and all are used.
    pub fn is_over(&self) -> bool {
        self.bytes.as_ref().is_some_and(|bytes| bytes.len() == 0)
    }

    pub fn next(&mut self) -> u64 {
        self.take(8)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        // As few as can make any of them.
        let bytes = (n as u64 - 1).checked_ilog2().map_or(1, |bit| bit as usize / 8 + 1);
        (self.take(bytes) % n as u64) as usize
    }

    /// So many bytes as a number, if there are any, else a random one.
    fn take(&mut self, count: usize) -> u64 {
        match &mut self.bytes {
            Some(bytes) if bytes.len() > 0 => bytes.take(count).fold(0, |number, byte| number << 8 | u64::from(byte)),
            _ => self.random(),
        }
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        if thread::panicking() && self.bytes.is_none() {
            eprintln!("repeat this run with TOLLGATE_SEED={}", self.seed);
        }
    }
}

/// How many steps to do: `TOLLGATE_STEPS`, or few in a debug build and many in a release build.
pub fn steps(debug: u64, release: u64) -> u64 {
    variable("TOLLGATE_STEPS").unwrap_or(if cfg!(debug_assertions) { debug } else { release })
}

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} has to be a number")))
}
