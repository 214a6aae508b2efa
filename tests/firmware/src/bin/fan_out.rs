//! Transfers that an interrupt completes, fanned out in place: polling all, and with a table of wakes.
#![no_std]
#![no_main]

use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};

use firmware::dma::{busy, polls, transfer};
use firmware::{pass, print, println};
use futures_lite::{Stream, StreamExt, stream};
use tollgate::FanOutExt;
use tollgate::fan_out::WakeTable;

static TABLE: WakeTable<1> = WakeTable::new();

/// Id and ticks of each transfer.
const JOBS: [(usize, u64); 8] = [(0, 40), (1, 5), (2, 15), (3, 9), (4, 2), (5, 30), (6, 3), (7, 7)];

/// Takes all outputs, prints them, and returns how many polls of transfers that cost.
async fn drain(name: &str, outputs: impl Stream<Item = usize>) -> usize {
    let mut outputs = pin!(outputs);
    let (mut peak, mut count, mut seen) = (0, 0, 0_u32);
    polls();
    print!("{name}:");
    while let Some(id) = outputs.next().await {
        peak = peak.max(busy() + 1);
        count += 1;
        seen |= 1 << id;
        print!(" {id}");
    }
    let polls = polls();
    println!(", {polls} polls");
    assert_eq!((count, seen, busy()), (8, 0xFF, 0), "each transfer once, and no channel is left");
    assert!(peak <= 3, "{peak} at once");
    polls
}

/// Asserts that of the even ids, and of the odd ones, each comes after the one before.
fn in_order(id: usize) {
    static NEXT: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(1)];
    let next = &NEXT[id % 2];
    assert_eq!(id, next.load(Ordering::Relaxed), "out of order for its key");
    next.store((id + 2) % 8, Ordering::Relaxed);
}

#[embassy_executor::task]
async fn all() {
    let jobs = || stream::iter(JOBS).fan_out_inline_with::<3, _, _>(|(id, ticks)| transfer(id, ticks));

    let unordered = drain("unordered, polling all", jobs()).await;
    let ordered = drain("ordered, polling all", jobs().ordered()).await;
    // To begin and when it is complete: that is what each one costs.
    assert_eq!(drain("unordered, table", jobs().wake_table(&TABLE)).await, 16);
    assert_eq!(drain("ordered, table", jobs().wake_table(&TABLE).ordered()).await, 16);
    assert!(unordered > 16 && ordered > 16);
    assert!(!TABLE.is_claimed());

    // One at a time of the even ones and one of the odd ones, each in their order.
    let keyed = || {
        let jobs = stream::iter(JOBS).fan_out_inline_with::<8, _, _>(|(id, ticks)| transfer(id, ticks));
        jobs.limit(3).keyed(|(id, _)| id % 2)
    };
    assert!(drain("keyed, polling all", keyed().inspect(|id| in_order(*id))).await > 16);
    assert_eq!(drain("keyed, table", keyed().wake_table(&TABLE).inspect(|id| in_order(*id))).await, 16);

    // Two at once and room for eight results: the first one is slow, and keeps nobody from running.
    let wide = stream::iter(JOBS).fan_out_inline_with::<8, _, _>(|(id, ticks)| transfer(id, ticks));
    let begin = firmware::now();
    drain("ordered, two of eight slots", wide.limit(2).ordered().wake_table(&TABLE)).await;
    let took = firmware::now() - begin;
    assert!((61..=75).contains(&took), "{took} ticks: the others ought to run beside the first, 61 in all");

    // Dropped in the middle: all channels are free at once, and what was woken is nobody's harm.
    {
        let mut some = pin!(jobs().wake_table(&TABLE));
        let first = some.next().await;
        assert!(first.is_some() && busy() == 2);
    }
    assert_eq!(busy(), 0);
    println!("dropped in the middle: all channels are free");
    pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(firmware::dma::on_tick);
    firmware::run(|spawner| spawner.spawn(all().unwrap()))
}
