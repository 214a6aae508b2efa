//! A small generator whose seed is told when a test fails.

use std::env;
use std::thread;

/// SplitMix64 (Steele, Lea, Flood 2014). Repeatable, and good enough to pick operations.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    state: u64,
}

impl Seeded {
    /// Starts from `TOLLGATE_SEED` if it is set, else from `seed`.
    pub fn new(seed: u64) -> Self {
        let seed = variable("TOLLGATE_SEED").unwrap_or(seed);
        Self { seed, state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        if thread::panicking() {
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
