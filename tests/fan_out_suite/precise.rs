//! What a fan-out does that knows which of its futures was woken.

use std::task::Poll;

use crate::Form;
use crate::fan_out_suite::tools::*;

#[test]
fn only_what_was_woken_is_polled() {
    let gates = gates(200);
    let mut outputs = through(&gates).fan_out(200);
    assert!(peek(&mut outputs).is_pending());
    gates[150].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(150)));
    assert!(peek(&mut outputs).is_pending());
    let polls: Vec<_> = gates.iter().map(Gate::polls).collect();
    assert!(polls.iter().enumerate().all(|(n, &polls)| polls == if n == 150 { 2 } else { 1 }));
}

#[test]
fn a_batch_of_wakes_wakes_the_task_once_and_a_quiet_stream_never() {
    let gates = gates(100);
    let mut outputs = through(&gates).fan_out(100);
    let (wakes, waker) = Wakes::new();
    for _ in 0..3 {
        assert!(poll(&mut outputs, &waker).is_pending());
    }
    assert_eq!(wakes.take(), 0, "all pending, nothing to wake for");
    gates.iter().for_each(Gate::open);
    assert_eq!(wakes.take(), 1);
    for _ in 0..100 {
        assert!(poll(&mut outputs, &waker).is_ready());
    }
    assert_eq!(wakes.take(), 0);
}

#[test]
fn waking_twice_is_waking_once() {
    let gates = gates(2);
    let mut outputs = through(&gates).fan_out(2);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    let child = gates[0].waker();
    child.wake_by_ref();
    child.wake_by_ref();
    child.wake();
    assert_eq!(wakes.take(), 1);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!((gates[0].polls(), gates[1].polls(), wakes.take()), (2, 1, 0));
}

#[test]
fn a_wake_while_the_consumer_is_busy_is_not_lost() {
    let gates = gates(3);
    let mut outputs = through(&gates).fan_out(3);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    gates[0].open();
    assert!(poll(&mut outputs, &waker).is_ready());
    wakes.take();
    gates[1].open();
    assert_eq!(wakes.take(), 0, "the consumer is about to poll anyway");
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(1)));
    assert!(poll(&mut outputs, &waker).is_pending());
    gates[2].open();
    assert_eq!(wakes.take(), 1);
}

#[test]
fn wakers_of_one_future_are_the_same_and_those_of_two_are_not() {
    let gates = gates(2);
    let mut outputs = through(&gates).fan_out(2);
    assert!(peek(&mut outputs).is_pending());
    let (a, b) = (gates[0].waker(), gates[1].waker());
    a.wake_by_ref();
    assert!(peek(&mut outputs).is_pending());
    assert!(gates[0].waker().will_wake(&a), "futures can tell that they need not store it again");
    assert!(!a.will_wake(&b));
}
