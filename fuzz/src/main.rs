//! Looks for inputs that break the library: bytes that say what happens to a semaphore, a fan-out, a timer queue. Each step
//! is compared with a model that is too simple to be wrong; the models are those of the library's own tests.
//!
//! ```text
//! tollgate-fuzz TARGET SECONDS [--seed N] [--keep]   hunts; --keep writes what it learned to corpus/TARGET.hex
//! tollgate-fuzz TARGET --replay HEX                  one input
//! ```

#![allow(clippy::duplicate_mod, reason = "each oracle has its tools with it")]

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

mod corpus;
mod counters;
mod hunt;
mod mutate;

#[path = "../../tests/fan_out_simulated.rs"]
#[allow(dead_code, unused_imports, reason = "its test has the rest")]
mod fan_out;
#[path = "../../tests/semaphore_oracle.rs"]
#[allow(dead_code, unused_imports, reason = "its tests have the rest")]
mod semaphore;
#[path = "../../tests/time_oracle.rs"]
#[allow(dead_code, unused_imports, reason = "its tests have the rest")]
mod timer_queue;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 3] = [
    ("semaphore", |bytes| semaphore::follow(&mut semaphore::support::seeded::Seeded::of(bytes))),
    ("fan-out", |bytes| {
        fan_out::follow(&mut fan_out::support::seeded::Seeded::of(bytes));
    }),
    ("timer-queue", |bytes| timer_queue::follow(&mut timer_queue::support::seeded::Seeded::of(bytes))),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let target = |name: &str| TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target);
    let (name, target, options) = match &words[..] {
        [name, options @ ..] if target(name).is_some() => (*name, target(name).unwrap(), options),
        _ => return usage(),
    };
    let mut options = options.iter();
    let mut hunt = hunt::Hunt { target, name, time: Duration::ZERO, seed: 0, keep: false };
    hunt.seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    while let Some(option) = options.next() {
        match *option {
            "--keep" => hunt.keep = true,
            "--seed" => match options.next().and_then(|seed| seed.parse().ok()) {
                Some(seed) => hunt.seed = seed,
                None => return usage(),
            },
            "--replay" => match options.next().and_then(|hex| corpus::bytes(hex)) {
                Some(bytes) => {
                    target(&bytes);
                    println!("nothing wrong with it");
                    return ExitCode::SUCCESS;
                }
                None => return usage(),
            },
            seconds => match seconds.parse() {
                Ok(seconds) => hunt.time = Duration::from_secs(seconds),
                Err(_) => return usage(),
            },
        }
    }
    hunt.run()
}

fn usage() -> ExitCode {
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    eprintln!("usage: tollgate-fuzz {} SECONDS [--seed N] [--keep]", names.join("|"));
    eprintln!("       tollgate-fuzz TARGET --replay HEX");
    ExitCode::from(2)
}
