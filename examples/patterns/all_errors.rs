//! A worker pool that goes on past errors, and tells all of them at the end.
//!
//! Four threads read numbers from lines. Some lines are no numbers. What worked and what failed is kept apart, both in the
//! order of the lines, although four of them are read at once.
//!
//! ```text
//! $ cargo run --example all_errors
//! 8 numbers, their sum is 44
//! line 4: 'four' is no number
//! line 8: 'acht' is no number
//! ```

use std::fmt;
use std::thread;

use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::{FanOutExt, workers};

const LINES: [&str; 10] = ["1", "2", "3", "four", "5", "6", "7", "acht", "9", "11"];

fn main() {
    let (workers, results) = workers(stream::iter(LINES).enumerate(), 4, read);
    let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(|| block_on(worker))).collect();

    let (mut numbers, mut errors) = (Vec::new(), Vec::new());
    let mut results = results.ordered();
    while let Some(result) = block_on(results.next()) {
        match result {
            Ok(number) => numbers.push(number),
            Err(error) => errors.push(error),
        }
    }
    for thread in threads {
        thread.join().expect("a worker does not panic");
    }

    println!("{} numbers, their sum is {}", numbers.len(), numbers.iter().sum::<u32>());
    errors.iter().for_each(|error| println!("{error}"));
    assert_eq!(numbers, [1, 2, 3, 5, 6, 7, 9, 11]);
    assert_eq!(errors, [NoNumber { line: 4, text: "four" }, NoNumber { line: 8, text: "acht" }]);

    // Where waiting is all there is to do, one task is enough, and it is a single line.
    let one_task = stream::iter(LINES).enumerate().fan_out_with(4, read).ordered().collect_results();
    assert_eq!(block_on(one_task), (numbers, errors));
}

async fn read((index, text): (usize, &'static str)) -> Result<u32, NoNumber> {
    text.parse().map_err(|_| NoNumber { line: index + 1, text })
}

#[derive(Debug, PartialEq)]
struct NoNumber {
    line: usize,
    text: &'static str,
}

impl fmt::Display for NoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: '{}' is no number", self.line, self.text)
    }
}

impl std::error::Error for NoNumber {}
