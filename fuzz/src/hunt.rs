//! The hunt: change an input, run it, keep it if it reached something new.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::counters::{self, Seen};
use crate::mutate::{self, Random};
use crate::{Target, corpus};

/// An input takes milliseconds; one that takes this long does not end.
const FOR_EVER: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Hunt<'a> {
    pub target: Target,
    pub name: &'a str,
    pub time: Duration,
    pub seed: u64,
    pub keep: bool,
}

impl Hunt<'_> {
    pub fn run(&self) -> ExitCode {
        // Many panics are part of what is tested. One that is not is made again, and then it may speak.
        let loud = take_hook();
        set_hook(Box::new(|_| {}));
        let watched = watch(self.name.to_owned());
        let mut inputs = match corpus::read(self.name) {
            Ok(inputs) => inputs,
            Err(error) => {
                eprintln!("corpus/{}.hex: {error}", self.name);
                return ExitCode::FAILURE;
            }
        };
        let known = inputs.len();
        let mut seen = Seen::default();
        let mut random = Random(self.seed);
        let begin = Instant::now();
        let mut runs = 0_u64;
        loop {
            let input = match inputs.get(runs as usize) {
                Some(input) if runs < known as u64 => input.clone(),
                _ if begin.elapsed() >= self.time => break,
                _ => mutate::changed(&inputs, &mut random),
            };
            *watched.lock().unwrap() = Some((Instant::now(), input.clone()));
            counters::clear();
            if !self.is_fine(&input) {
                *watched.lock().unwrap() = None;
                let input = self.smallest(input);
                set_hook(loud);
                *watched.lock().unwrap() = Some((Instant::now(), input.clone()));
                let again = if self.is_fine(&input) { "failed once" } else { "fails" };
                eprintln!("{}: {again}; again with ci/fuzz --replay {0} {}", self.name, corpus::hex(&input));
                return ExitCode::FAILURE;
            }
            if seen.note() > 0 && runs >= known as u64 {
                inputs.push(input);
            }
            runs += 1;
        }
        *watched.lock().unwrap() = None;
        println!(
            "{}: seed {}, {runs} inputs in {} s, {known} of them known, {} reached something new; {} of {} edges",
            self.name,
            self.seed,
            begin.elapsed().as_secs(),
            inputs.len() - known,
            seen.reached(),
            Seen::edges(),
        );
        if Seen::edges() == 0 {
            println!("{}: built without counters, so this was blind; ci/fuzz builds with them", self.name);
        }
        if self.keep && !self.kept(inputs) {
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }

    fn is_fine(&self, input: &[u8]) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.target)(input))).is_ok()
    }

    /// Without what it fails without.
    fn smallest(&self, mut input: Vec<u8>) -> Vec<u8> {
        let until = Instant::now() + Duration::from_secs(20);
        let mut size = input.len();
        while size > 0 {
            let mut at = 0;
            while at < input.len() && Instant::now() < until {
                let mut less = input.clone();
                less.drain(at..(at + size).min(input.len()));
                if self.is_fine(&less) {
                    at += size;
                } else {
                    input = less;
                }
            }
            size /= 2;
        }
        input
    }

    /// Writes the shortest inputs that together reach all edges that are known.
    fn kept(&self, mut inputs: Vec<Vec<u8>>) -> bool {
        inputs.sort_by_key(Vec::len);
        let mut seen = Seen::default();
        inputs.retain(|input| {
            counters::clear();
            (self.target)(input);
            let before = seen.reached();
            seen.note();
            seen.reached() > before
        });
        println!("{}: {} inputs kept", self.name, inputs.len());
        corpus::write(self.name, &inputs).inspect_err(|error| eprintln!("corpus/{}.hex: {error}", self.name)).is_ok()
    }
}

type Watched = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Ends the program when an input does not.
fn watch(name: String) -> Watched {
    let watched = Watched::default();
    let ours = watched.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(5));
            if let Some((begin, input)) = &*ours.lock().unwrap()
                && begin.elapsed() > FOR_EVER
            {
                eprintln!("{name}: does not end; again with ci/fuzz --replay {name} {}", corpus::hex(input));
                process::exit(1);
            }
        }
    });
    watched
}
