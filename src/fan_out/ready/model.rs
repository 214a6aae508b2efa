//! The protocol between wakers and owner, through every schedule under loom.

use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;

use super::*;
use crate::sync::model::{Arc, block_on, check, thread};
use crate::sync::{AtomicBool, UnsafeCell};

/// Some words, and for each waker a place to write to before it wakes.
struct Shared {
    hub: Hub,
    /// The numbers of the words, of which there may be few although the numbers are high.
    numbers: Vec<usize>,
    words: Vec<Word>,
    groups: Vec<Word>,
    written: Vec<UnsafeCell<usize>>,
    /// How many bits of the first word are on top.
    direct: usize,
}

// SAFETY: place `n` is written by waker `n` before its wake, and read by the owner after it, which is what the models check.
unsafe impl Sync for Shared {}

impl Words for Shared {
    fn count(&self) -> usize {
        self.numbers.last().unwrap() + 1
    }

    fn word(&self, number: usize) -> &Word {
        &self.words[self.numbers.binary_search(&number).expect("a word that somebody woke")]
    }

    fn groups(&self) -> usize {
        self.groups.len()
    }

    fn group(&self, number: usize) -> &Word {
        &self.groups[number]
    }
}

impl Shared {
    fn new(words: usize, wakers: usize, direct: usize) -> Arc<Self> {
        Self::of((0..words).collect(), wakers, direct)
    }

    fn of(numbers: Vec<usize>, wakers: usize, direct: usize) -> Arc<Self> {
        Arc::new(Self {
            hub: Hub::new(),
            words: numbers.iter().map(|_| Word::new()).collect(),
            groups: (0..groups_for(numbers.last().unwrap() + 1)).map(|_| Word::new()).collect(),
            numbers,
            written: (0..wakers).map(|_| UnsafeCell::new(0)).collect(),
            direct,
        })
    }

    /// What waker `n` does: it has the bit of that number in word `n % words`.
    fn write_and_wake(&self, n: usize) {
        // SAFETY: see `Sync`.
        self.written[n].with_mut(|place| unsafe { *place += 1 });
        self.wake(n);
    }

    fn wake(&self, n: usize) {
        let number = self.numbers[n % self.numbers.len()];
        self.set(number, n);
    }

    fn set(&self, number: usize, bit: usize) {
        let first = if number == 0 && bit < self.direct {
            self.hub.wake_direct(bit)
        } else {
            let Path { flag, far } = Path::to(number);
            let group = far.map(|(group, member)| (&self.groups[group], member));
            self.hub.wake(self.word(number), bit, flag, group)
        };
        if first {
            self.hub.ring();
        }
    }

    fn next(&self, round: &mut Round) -> Option<usize> {
        if round.is_over() {
            round.find(&self.hub, self);
        }
        round.next()
    }

    /// Which waker a future belongs to.
    fn waker_of(future: usize) -> usize {
        future % BITS
    }

    fn read(&self, n: usize) -> usize {
        // SAFETY: see `Sync`.
        self.written[n].with(|place| unsafe { *place })
    }
}

/// The owner: sleeps whenever nothing is woken, until every waker was seen.
fn until_all_are_seen(shared: &Shared, wakers: usize) {
    let mut round = Round::new();
    let mut seen = 0;
    block_on(poll_fn(|cx| {
        loop {
            match shared.next(&mut round) {
                Some(future) => {
                    let n = Shared::waker_of(future);
                    assert_eq!(shared.read(n), 1, "a future sees what was written before its wake");
                    seen |= 1 << n;
                }
                None if seen == (1 << wakers) - 1 => return Poll::Ready(()),
                None => {
                    if round.sleep(&shared.hub, cx.waker()) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }));
}

fn wakers_on_words(wakers: usize, words: usize, direct: usize, preemptions: usize) {
    wakers_on_words_of(&(0..words).collect::<Vec<_>>(), wakers, direct, preemptions);
}

fn wakers_on_words_of(numbers: &[usize], wakers: usize, direct: usize, preemptions: usize) {
    let numbers = Vec::from(numbers);
    check(preemptions, move || {
        let shared = Shared::of(numbers.clone(), wakers, direct);
        let threads: Vec<_> = (0..wakers)
            .map(|n| {
                let shared = shared.clone();
                thread::spawn(move || shared.write_and_wake(n))
            })
            .collect();
        until_all_are_seen(&shared, wakers);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn two_wakers_on_one_word_are_both_seen() {
    wakers_on_words(2, 1, 0, 3);
}

#[test]
fn two_wakers_on_two_words_are_both_seen() {
    wakers_on_words(2, 2, 0, 3);
}

#[test]
fn three_wakers_on_one_word_are_all_seen() {
    wakers_on_words(3, 1, 0, 2);
}

#[test]
fn three_wakers_on_two_words_are_all_seen() {
    wakers_on_words(3, 2, 0, 2);
}

#[test]
fn two_wakers_on_top_are_both_seen() {
    wakers_on_words(2, 1, DIRECT, 3);
}

#[test]
fn three_wakers_on_top_are_all_seen() {
    wakers_on_words(3, 1, DIRECT, 2);
}

#[test]
fn a_waker_on_top_and_one_on_the_word_below_are_both_seen() {
    wakers_on_words(2, 1, 1, 3);
}

#[test]
fn two_wakers_on_top_and_one_on_another_word_are_all_seen() {
    wakers_on_words(3, 2, DIRECT, 2);
}

#[test]
fn two_wakers_on_one_word_far_off_are_both_seen() {
    wakers_on_words_of(&[NEAR], 2, 0, 3);
}

#[test]
fn two_wakers_on_two_words_of_a_group_are_both_seen() {
    wakers_on_words_of(&[NEAR, NEAR + 1], 2, 0, 3);
}

#[test]
fn two_wakers_on_words_of_two_groups_with_one_flag_are_both_seen() {
    wakers_on_words_of(&[NEAR, NEAR + GROUPS * BITS], 2, 0, 3);
}

#[test]
fn two_wakers_on_words_with_one_bit_in_a_group_are_both_seen() {
    wakers_on_words_of(&[NEAR, NEAR + MOST_GROUPS * BITS], 2, 0, 3);
}

#[test]
fn a_waker_on_a_near_word_and_one_far_off_are_both_seen() {
    wakers_on_words_of(&[NEAR - 1, NEAR], 2, 0, 3);
}

#[test]
fn a_wake_that_finds_its_bit_set_is_not_lost_either() {
    woken_twice(0, 0);
}

#[test]
fn nor_is_one_far_off_that_does() {
    woken_twice(NEAR, 0);
}

#[test]
fn nor_is_one_that_finds_its_bit_on_top_set() {
    woken_twice(0, DIRECT);
}

fn woken_twice(first: usize, direct: usize) {
    check(3, move || {
        let shared = Shared::of(Vec::from([first]), 1, direct);
        let done = Arc::new(AtomicBool::new(false));
        // The first wake says nothing; the second, which may find the bit still set, says that the future is done.
        shared.wake(0);
        let thread = {
            let (shared, done) = (shared.clone(), done.clone());
            thread::spawn(move || {
                // ORDERING: Relaxed, for it is the wake that has to carry it over.
                done.store(true, Ordering::Relaxed);
                shared.wake(0);
            })
        };
        let mut round = Round::new();
        block_on(poll_fn(|cx| {
            loop {
                if shared.next(&mut round).is_some() {
                    // ORDERING: as above.
                    if done.load(Ordering::Relaxed) {
                        return Poll::Ready(());
                    }
                } else if round.sleep(&shared.hub, cx.waker()) {
                    return Poll::Pending;
                }
            }
        }));
        thread.join().unwrap();
    });
}

#[test]
fn a_flag_finds_all_its_groups_and_a_bit_of_a_group_all_its_words() {
    // Plain logic, no schedules: every fourth bit over more words than all groups have bits.
    let shared =
        if cfg!(tollgate_loom) { return } else { Shared::new(NEAR + 2 * MOST_GROUPS * BITS + BITS + 3, 0, DIRECT) };
    let mut expected = Vec::new();
    for number in 0..shared.words.len() {
        for bit in (number % 4..BITS).step_by(4) {
            shared.set(number, bit);
            expected.push(number * BITS + bit);
        }
    }
    let mut round = Round::new();
    let mut found = Vec::new();
    while let Some(future) = shared.next(&mut round) {
        found.push(future);
    }
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn what_is_woken_during_a_round_belongs_to_the_next() {
    if cfg!(tollgate_loom) {
        return;
    }
    // On the word, on top, on both; and with words far off, of one group, of one flag, and of one bit of a group.
    let [flag, bit] = [GROUPS, MOST_GROUPS].map(|groups| NEAR + 1 + groups * BITS);
    let far = [&[NEAR, NEAR + 1], &[NEAR + 1, flag], &[NEAR + 1, bit]];
    for (direct, others) in [(0, &[][..]), (DIRECT, &[]), (2, &[])].into_iter().chain(far.map(|far| (2, &far[..]))) {
        let shared = Shared::new(others.last().map_or(1, |last| last + 1), 0, direct);
        let mut woken = Vec::from([0, 1, 2]);
        woken.extend(others.iter().map(|number| number * BITS));
        woken.iter().for_each(|n| shared.set(n / BITS, n % BITS));
        let mut round = Round::new();
        let mut found = Vec::new();
        for _ in 0..2 * woken.len() {
            let future = shared.next(&mut round).unwrap();
            shared.set(future / BITS, future % BITS);
            found.push(future);
        }
        for round in found.chunks_mut(woken.len()) {
            round.sort_unstable();
            assert_eq!(round, woken, "each once a round");
        }
    }
}

/// Wakers of one task, which is not the model's.
struct Count(core::sync::atomic::AtomicUsize);

impl alloc::task::Wake for Count {
    fn wake(self: alloc::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn model_the_task_that_sleeps_is_woken_also_while_the_one_before_is_just_being_woken() {
    check(3, || {
        let shared = Shared::new(1, 2, 0);
        let threads: Vec<_> = (0..2)
            .map(|n| {
                let shared = shared.clone();
                thread::spawn(move || shared.wake(n))
            })
            .collect();
        let mut round = Round::new();
        let mut seen = 0;
        let mut asleep = None;
        let [one, two] = [(); 2].map(|()| alloc::sync::Arc::new(Count(core::sync::atomic::AtomicUsize::new(0))));
        for count in [&one, &two, &two] {
            count.0.store(0, Ordering::Relaxed);
            while shared.next(&mut round).is_some() {
                seen += 1;
            }
            asleep = round.sleep(&shared.hub, &count.clone().into()).then_some(count);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        if let Some(count) = asleep {
            assert!(seen == 2 || count.0.load(Ordering::Relaxed) > 0, "{seen} seen, and nobody told of the rest");
        }
    });
}
