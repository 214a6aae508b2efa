//! A request with a timeout and a trace id, through three layers.
//!
//! The context is an argument. Each layer may take less time than it was given, and none more. What it writes to the log
//! has the trace id, which nobody hands on. When the store does not answer, the service finds out while there is
//! time left to do something about it; when the client goes away, all three stop.
//!
//! ```text
//! $ cargo run --example three_layers
//! [trace 1] request for 'apples'
//! [trace 1] -> 12
//! [trace 2] request for 'pears'
//! [trace 2] the store: deadline exceeded; an old answer will do
//! [trace 2] -> 7
//! [trace 3] request for 'plums'
//! [trace 3] -> cancelled: the client went away
//! ```

use std::future::pending;
use std::time::Duration;

use futures_lite::future::{block_on, zip};
use tollgate::context::{self, Interrupted};
use tollgate::time::ThreadTimer;

type Context<'a> = context::Context<'a, ThreadTimer>;

/// Its type is its name: that is how a layer finds it.
#[derive(Debug, Clone, Copy)]
struct TraceId(u64);

static ROOT: Context<'static> = Context::new(ThreadTimer);

fn main() {
    assert_eq!(block_on(request(1, "apples", |_| {})), Ok(12), "the store answers");
    assert_eq!(block_on(request(2, "pears", |_| {})), Ok(7), "the store is too slow, the service helps itself");
    let gone = "the client went away";
    let interrupted = block_on(request(3, "plums", |request| request.cancel_with(gone)));
    assert_eq!(interrupted, Err(Interrupted::Cancelled(gone.into())), "this one has nobody to answer to");
    assert_eq!(ROOT.check(), Ok(()), "what happens to a request does not touch what is above it");
}

/// What a server does with a request, `meanwhile` being what happens on the connection.
async fn request(number: u64, fruit: &str, meanwhile: impl FnOnce(&Context<'_>)) -> Result<u32, Interrupted> {
    let trace = TraceId(number);
    let traced = ROOT.with_value(&trace);
    let context = traced.with_timeout(Duration::from_secs(600));
    let (answer, ()) = zip(handle(&context, fruit), async { meanwhile(&context) }).await;
    match &answer {
        Ok(count) => log(&context, format_args!("-> {count}")),
        Err(interrupted) => log(&context, format_args!("-> {interrupted}")),
    }
    answer
}

/// The first layer.
async fn handle(context: &Context<'_>, fruit: &str) -> Result<u32, Interrupted> {
    log(context, format_args!("request for '{fruit}'"));
    let answer = stock(context, fruit).await;
    context.check()?; // whatever the layers below made of it
    answer
}

/// The second: the store gets a part of the time, so that some is left if it is slow.
async fn stock(context: &Context<'_>, fruit: &str) -> Result<u32, Interrupted> {
    let patience = if fruit == "pears" { Duration::from_millis(20) } else { Duration::from_secs(60) };
    match ask_store(&context.with_timeout(patience), fruit).await {
        Err(interrupted) if context.check().is_ok() => {
            log(context, format_args!("the store: {interrupted}; an old answer will do"));
            Ok(7)
        }
        answer => answer,
    }
}

/// The third: all that it waits for, it waits for within its context.
async fn ask_store(context: &Context<'_>, fruit: &str) -> Result<u32, Interrupted> {
    let answer = async {
        match fruit {
            "apples" => 12,
            _ => pending().await, // a store that does not answer
        }
    };
    context.run(answer).await
}

fn log(context: &Context<'_>, what: std::fmt::Arguments<'_>) {
    let trace = context.get::<TraceId>().expect("each request has one");
    println!("[trace {}] {what}", trace.0);
}
