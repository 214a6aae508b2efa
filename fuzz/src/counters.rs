//! Which code ran, and how often: counters that the compiler puts on each edge of the flow. Without the flags that
//! `ci/fuzz` gives it there are none, and the hunt is blind.

use std::slice;
use std::sync::Mutex;

/// Begin and length of each crate's counters.
static ALL: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by what the compiler adds, before `main`, once for each unit of code.
///
/// # Safety
///
/// Counters lie from `start` to `stop`, for as long as the program runs.
#[unsafe(no_mangle)]
unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let mut all = ALL.lock().unwrap();
    let unit = (start.expose_provenance(), stop.addr() - start.addr());
    if unit.1 > 0 && !all.contains(&unit) {
        all.push(unit);
    }
}

/// What a program has seen so far: for each counter, a bit for each order of magnitude.
#[derive(Debug, Default)]
pub struct Seen(Vec<u8>);

impl Seen {
    /// How many counters there are.
    pub fn edges() -> usize {
        ALL.lock().unwrap().iter().map(|(_, len)| len).sum()
    }

    /// Notes what happened since `clear`, and returns how much of it is new.
    pub fn note(&mut self) -> usize {
        let mut new = 0;
        let mut at = 0;
        for (start, len) in ALL.lock().unwrap().iter() {
            self.0.resize(self.0.len().max(at + len), 0);
            for (place, seen) in self.0[at..at + len].iter_mut().enumerate() {
                // SAFETY: counters, as `__sanitizer_cov_8bit_counters_init` was told. Code that counts in between is our
                // own, on this thread; a thread that only waits has nothing to count.
                let count = unsafe { std::ptr::with_exposed_provenance::<u8>(start + place).read_volatile() };
                if count > 0 {
                    let bit = 1 << magnitude(count);
                    new += usize::from(*seen & bit == 0);
                    *seen |= bit;
                }
            }
            at += len;
        }
        new
    }

    /// How many edges were reached.
    pub fn reached(&self) -> usize {
        self.0.iter().filter(|seen| **seen != 0).count()
    }
}

/// Sets all counters to zero.
pub fn clear() {
    for (start, len) in ALL.lock().unwrap().iter() {
        // SAFETY: as in `note`.
        unsafe { slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(*start), *len) }.fill(0);
    }
}

fn magnitude(count: u8) -> u32 {
    match count {
        0..=3 => u32::from(count).saturating_sub(1),
        4..=7 => 3,
        8..=15 => 4,
        16..=31 => 5,
        32..=127 => 6,
        _ => 7,
    }
}
