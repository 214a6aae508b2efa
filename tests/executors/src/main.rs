//! Runs the conformance suite on every executor and prints what came of it.
//!
//! ```text
//! cargo run                                      all of it; writes TABLE.md
//! cargo run -- [EXECUTOR or CASE, in part] ...   what matches all words; writes nothing
//! ```
//!
//! Exits with 1 if a case fails. A run that does not end in two minutes is a failure, names its executor and its case, and
//! ends the program, since what it hangs on may be shared with the rest.

mod executors;
mod report;
mod suite;
mod watch;

use std::process::ExitCode;

use executors::EXECUTORS;
use report::Table;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let entries = suite::entries();
    let mut table = Table::new(&entries);
    for (column, executor) in EXECUTORS.iter().enumerate() {
        for entry in &entries {
            let label = format!("{}: {}", executor.name, entry.title());
            if !entry.runs_on(executor) || !words.iter().all(|word| label.contains(word)) {
                continue;
            }
            let failure = (0..entry.rounds(executor)).find_map(|seed| watch::run(&label, executor, entry, seed).err());
            if let Some(failure) = &failure {
                eprintln!("FAILED {label}: {failure}");
            }
            table.enter(entry.noun(), column, failure.is_none());
        }
    }
    print!("{table}");
    if words.is_empty() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/TABLE.md");
        std::fs::write(path, table.to_string()).expect("TABLE.md can be written");
    }
    if table.is_empty() {
        eprintln!("nothing matches {words:?}");
        return ExitCode::FAILURE;
    }
    if table.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
