//! Two cores whose caches do not see each other's writes: each core has a copy of its own, and the hooks move lines
//! between it and the memory.

use crate::memory::{at_power_up, words};
use std::cell::Cell;
use std::sync::atomic::Ordering::SeqCst;
use twinstep::ChannelId::{A, B};
use twinstep::Mailbox;
use twinstep::mailbox::{Coherence, Place, Port};

type Shared = Mailbox<2, 20>;

/// The cache of one core over the memory.
#[derive(Clone, Copy)]
struct Cache<'m> {
    cached: &'m Shared,
    memory: &'m Shared,
    /// Hooks that do nothing, as a negative control: fetch, write back.
    works: [bool; 2],
    lines: &'m Cell<u32>,
}

impl Cache<'_> {
    fn copy(&self, from: &Shared, to: &Shared, place: Place) {
        let offset = place.address - std::ptr::from_ref(self.cached).addr();
        assert_eq!((place.address % 64, place.bytes % 64), (0, 0), "whole lines");
        for word in offset / 4..(offset + place.bytes) / 4 {
            words(to)[word].store(words(from)[word].load(SeqCst), SeqCst);
        }
        self.lines.set(self.lines.get() + place.bytes as u32 / 64);
    }
}

impl Coherence for Cache<'_> {
    fn write_back(&self, place: Place) {
        if self.works[1] {
            self.copy(self.cached, self.memory, place);
        }
    }

    fn fetch(&self, place: Place) {
        if self.works[0] {
            self.copy(self.memory, self.cached, place);
        }
    }
}

/// Sends frames to and fro; returns how many arrived as they were.
fn exchange(works: [bool; 2]) -> u32 {
    let [memory, of_a, of_b] = [(); 3].map(|()| at_power_up());
    let lines = Cell::new(0);
    let cache = |cached| Cache { cached, memory: &memory, works, lines: &lines };
    let mut a = of_a.attach_with(A, cache(&of_a));
    let mut b = of_b.attach_with(B, cache(&of_b));
    let mut arrived = 0;
    for number in 0..20 {
        arrived += u32::from(passes(&mut a, &mut b, number)) + u32::from(passes(&mut b, &mut a, number ^ 0xFF));
    }
    assert!(arrived < 40 || lines.get() > 200, "the hooks were called");
    arrived
}

fn passes(from: &mut Port<'_, 2, 20, Cache<'_>>, to: &mut Port<'_, 2, 20, Cache<'_>>, number: u8) -> bool {
    let mut buffer = [0; 80];
    let frame = [number; 77];
    from.send(&frame).is_ok() && to.receive(&mut buffer) == Ok(Some(77)) && buffer[..77] == frame
}

#[test]
fn frames_pass_between_caches_that_are_not_coherent() {
    assert_eq!(exchange([true; 2]), 40);
}

#[test]
fn without_a_hook_they_do_not() {
    assert_eq!(exchange([false, true]), 0);
    assert_eq!(exchange([true, false]), 0);
}
