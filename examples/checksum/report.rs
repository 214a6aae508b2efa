//! What is told of the results: lines, failures, progress, and the summary.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::pin::{Pin, pin};
use std::time::Instant;

use futures_lite::{Stream, StreamExt, future};
use tollgate::time::{DeadlineExt, ThreadTimer};

use crate::failure::Failure;
use crate::gauge::Gauge;
use crate::line;
use crate::progress::{Progress, TICK};
use crate::readers::Checksum;

/// Writes results as they come.
pub struct Report<'a> {
    output: BufWriter<StdoutLock<'static>>,
    progress: Progress,
    gauge: &'a Gauge,
    started: Instant,
    files: u64,
    bytes: u64,
    failures: u64,
}

impl<'a> Report<'a> {
    pub fn new(progress: Progress, gauge: &'a Gauge) -> Report<'a> {
        let output = BufWriter::new(io::stdout().lock());
        Report { output, progress, gauge, started: Instant::now(), files: 0, bytes: 0, failures: 0 }
    }

    /// Reports all of `results`; ends early only if the output cannot be written.
    pub async fn of(&mut self, results: impl Stream<Item = Result<Checksum, Failure>>) -> io::Result<()> {
        let mut results = pin!(results);
        while let Some(result) = self.next(results.as_mut()).await? {
            self.progress.clear();
            match result {
                Ok(checksum) => {
                    line::write(&mut self.output, &checksum.digest, &checksum.path)?;
                    self.files += 1;
                    self.bytes += checksum.bytes;
                }
                Err(failure) => {
                    // Where both go to one terminal, they stay in order.
                    self.output.flush()?;
                    complain(&failure);
                    self.failures += 1;
                }
            }
            if self.progress.is_due() {
                self.draw()?;
            }
        }
        self.progress.clear();
        self.output.flush()
    }

    /// The next result. What is written reaches the reader before this waits: many lines go at once when results come fast, and none
    /// is held back when they come slowly.
    async fn next<S: Stream>(&mut self, mut results: Pin<&mut S>) -> io::Result<Option<S::Item>> {
        if let Some(ready) = future::poll_once(results.next()).await {
            return Ok(ready);
        }
        self.output.flush()?;
        while self.progress.is_shown() {
            if let Ok(result) = results.next().timeout(ThreadTimer, TICK).await {
                return Ok(result);
            }
            self.draw()?;
        }
        Ok(results.next().await)
    }

    fn draw(&mut self) -> io::Result<()> {
        self.output.flush()?;
        self.progress.draw(self.files + self.failures, self.gauge);
        Ok(())
    }

    /// Ends what goes on beside the results.
    pub fn end(&self) {
        self.progress.end();
    }

    pub fn failures(&self) -> u64 {
        self.failures
    }
}

/// The summary.
impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, bytes, failures) =
            (count(self.files, "file"), count(self.bytes, "byte"), count(self.failures, "failure"));
        let (peak, seconds) = (self.gauge.reads().peak(), self.started.elapsed().as_secs_f64());
        write!(f, "{files}, {bytes}, {failures}, at most {peak} in flight, {seconds:.3} seconds")
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A line for the user. A standard error that is gone is no reason to stop.
pub fn complain(what: impl Display) {
    // One write, so that lines of several programs do not mix.
    let _ = io::stderr().write_all(format!("checksum: {what}\n").as_bytes());
}
