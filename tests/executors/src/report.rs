//! The table.

use std::fmt;

use crate::executors::EXECUTORS;
use crate::suite::Entry;

/// Rows are nouns, columns executors, and a cell how many passed of how many.
pub struct Table {
    rows: Vec<(String, Vec<(usize, usize)>)>,
}

impl Table {
    pub fn new(entries: &[Entry]) -> Self {
        let mut rows: Vec<(String, Vec<(usize, usize)>)> = Vec::new();
        for entry in entries {
            let noun = entry.noun();
            if rows.iter().all(|row| row.0 != noun) {
                rows.push((noun, vec![(0, 0); EXECUTORS.len()]));
            }
        }
        Self { rows }
    }

    pub fn enter(&mut self, noun: String, column: usize, passed: bool) {
        let row = self.rows.iter_mut().find(|row| row.0 == noun).expect("every noun has a row");
        row.1[column].0 += usize::from(passed);
        row.1[column].1 += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.1).all(|cell| cell.1 == 0)
    }

    pub fn all_passed(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.1).all(|cell| cell.0 == cell.1)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# The conformance suite on every executor\n")?;
        writeln!(f, "Written by `cargo run` in `tests/executors`; not by hand. Cases passed / cases run.\n")?;
        write!(f, "| |")?;
        for executor in EXECUTORS {
            write!(f, " {} |", executor.name)?;
        }
        write!(f, "\n|---|")?;
        for _ in EXECUTORS {
            write!(f, "---|")?;
        }
        writeln!(f)?;
        for (noun, cells) in &self.rows {
            write!(f, "| {noun} |")?;
            for (passed, all) in cells {
                match all {
                    0 => write!(f, " - |")?,
                    all => write!(f, " {passed} / {all} |")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for executor in EXECUTORS {
            writeln!(f, "* **{}**: {}.", executor.name, executor.what)?;
        }
        writeln!(f)?;
        f.write_str(
            "`-`: `TokioTimer` needs tokio's runtime around it. `EmbassyTimer`'s driver on a host wakes with its own lock held,\n\
            so it cannot be used from within a wake. The time of `TimerQueue` and of `ManualClock`, which a thread drives here as\n\
            an interrupt would, stands still while that thread is kept by whom it woke.\n",
        )
    }
}
