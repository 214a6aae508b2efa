//! Times, allocations and instructions of tollgate and of its peers, side by side. See `README.md`.

mod cancel;
mod fan_out;
mod harness;
mod polling;
mod semaphore;
mod time;
mod track;
mod workers;

use std::process::ExitCode;
use std::time::Duration;

use harness::{Plan, Scenario};

#[global_allocator]
static ALLOCATOR: harness::Counting = harness::Counting;

const USAGE: &str = "\
usage: tollgate-benches [--quick] [--rounds N] [--round-ms N] [--json FILE] [--csv FILE] [FILTER ...]
       tollgate-benches --list
       tollgate-benches --sizes
       tollgate-benches --count SCENARIO PEER ITERS

FILTER   run the scenarios whose name contains one of these
--list   print scenario, peer, operations in a turn, least turns, TABs between, for all that can be counted
--count  do one peer's work ITERS times and print nothing; for callgrind, see `benches/count`";

struct Options {
    plan: Plan,
    json: Option<String>,
    csv: Option<String>,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    // One line for each noun.
    let nouns: [fn() -> Vec<Scenario>; 6] = [
        semaphore::scenarios,
        fan_out::scenarios,
        time::scenarios,
        cancel::scenarios,
        track::scenarios,
        workers::scenarios,
    ];
    let scenarios: Vec<Scenario> = nouns.into_iter().flat_map(|scenarios| scenarios()).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--help" | "-h"] => println!("{USAGE}"),
        ["--list"] => {
            for scenario in &scenarios {
                for peer in scenario.countable() {
                    println!("{}\t{}\t{}\t{}", scenario.name, peer.name, scenario.operations, scenario.least);
                }
            }
        }
        ["--sizes"] => sizes(),
        ["--count", name, peer, iters] => {
            let iters = iters.parse().map_err(|_| format!("not a number: {iters}"))?;
            let found = scenarios.iter().filter(|scenario| scenario.name == name).any(|s| s.run_once(peer, iters));
            if !found {
                return Err(format!("no peer {peer:?} in a scenario {name:?}"));
            }
        }
        _ => measure(&scenarios, &options(arguments)?)?,
    }
    Ok(())
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let plan = Plan { rounds: 101, round: Duration::from_millis(2) };
    let mut options = Options { plan, json: None, csv: None, filters: Vec::new() };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: &String| text.parse::<u64>().ok().filter(|n| *n > 0).ok_or(format!("not a count: {text}"));
        match argument.as_str() {
            "--quick" => options.plan = Plan { rounds: 21, round: Duration::from_micros(700) },
            "--rounds" => options.plan.rounds = number(value()?)? as usize,
            "--round-ms" => options.plan.round = Duration::from_millis(number(value()?)?),
            "--json" => options.json = Some(value()?.clone()),
            "--csv" => options.csv = Some(value()?.clone()),
            unknown if unknown.starts_with('-') => return Err(format!("unknown option {unknown}")),
            filter => options.filters.push(filter.to_owned()),
        }
    }
    Ok(options)
}

fn measure(scenarios: &[Scenario], options: &Options) -> Result<(), String> {
    let wanted = |scenario: &&Scenario| {
        options.filters.is_empty() || options.filters.iter().any(|filter| scenario.name.contains(filter.as_str()))
    };
    let mut rows = Vec::new();
    for scenario in scenarios.iter().filter(wanted) {
        let measured = scenario.measure(options.plan);
        scenario.print(&measured);
        rows.extend(measured);
    }
    if rows.is_empty() {
        return Err("no scenario has such a name".into());
    }
    if options.filters.is_empty() {
        sizes();
    }
    let write = |file: &Option<String>, text: String| match file {
        Some(file) => std::fs::write(file, text).map_err(|error| format!("{file}: {error}")),
        None => Ok(()),
    };
    write(&options.json, harness::json(&rows))?;
    write(&options.csv, harness::csv(&rows))
}

fn sizes() {
    semaphore::print_sizes();
}
