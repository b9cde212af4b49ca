//! Two sources of one version: they do not pair, before either has stepped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use twinstep::sim::Storage;
use twinstep::wire::Reject;
use twinstep::{
    Agreement, Build, ChannelId, Config, Cycle, Faults, Instant, Mode, Node, Outcome, Preferred, Program, Tracked,
};

/// Counts; as a source of this number has it, by another step above 1000.
struct Counter<const SOURCE: u32>;

impl<const SOURCE: u32> Program for Counter<SOURCE> {
    type Input = u16;
    type Output = u32;
    type State = u32;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(SOURCE);

    fn agree(a: &u16, b: &u16) -> Agreement<u16> {
        Agreement::on(*a.min(b))
    }

    fn step(_: Cycle, state: &mut Tracked<u32>, input: &u16) -> u32 {
        let by = if *input > 1_000 { SOURCE } else { 1 };
        state.update(|s| s, |count| count.wrapping_add(by));
        **state
    }
}

/// A pair of these sources for 5 s, whose input passes 1000; returns both modes, faults and what was released.
fn run<const A: u32, const B: u32>() -> ([Mode; 2], [Faults; 2], [u32; 2], [u32; 2]) {
    let mut memory = [Storage::<u32>::new(), Storage::new()];
    let [memory_a, memory_b] = &mut memory;
    let config = |nonce| Config { nonce, link_delay_us: 1_000, ..Config::DEFAULT };
    let mut a = Node::<Counter<A>>::new(ChannelId::A, memory_a.cells(), config(1)).unwrap();
    let mut b = Node::<Counter<B>>::new(ChannelId::B, memory_b.cells(), config(2)).unwrap();
    let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
    let mut released = [0; 2];
    for ms in 0..5_000 {
        let now = Instant::from_micros(ms * 1_000);
        released[0] += turn(&mut a, now, &std::mem::take(&mut to_a), &mut to_b);
        released[1] += turn(&mut b, now, &std::mem::take(&mut to_b), &mut to_a);
    }
    let differ = Reject::PeerDiffers;
    let refused = [a.counters().rejected(differ), b.counters().rejected(differ)];
    let faults = [a.first_fault(), b.first_fault()].map(|first| first.map_or(Faults::empty(), |first| first.faults));
    ([a.mode(), b.mode()], faults, released, refused)
}

fn turn<P: Program<Input = u16>>(
    node: &mut Node<'_, P>,
    now: Instant,
    arrived: &[Vec<u8>],
    sent: &mut Vec<Vec<u8>>,
) -> u32 {
    for frame in arrived {
        let _ = node.handle_frame(now, frame);
    }
    let mut released = 0;
    let mut poll = |node: &mut Node<'_, P>| {
        if let Some(verdict) = node.poll_verdict(now, &mut Preferred(ChannelId::A)) {
            released += u32::from(verdict.outcome() == Outcome::Agreed);
        }
    };
    poll(node);
    if now >= node.next_start() {
        let cycle = node.cycle().next().0 as u16;
        let _ = node.begin(now, 990 + cycle).unwrap();
        poll(node);
    }
    let mut buffer = [0; 655];
    while let Some(length) = node.poll_transmit(now, &mut buffer).unwrap() {
        sent.push(buffer[..length].to_vec());
    }
    released
}

#[test]
fn two_sources_of_one_version_do_not_pair() {
    let (modes, faults, released, refused) = run::<1, 2>();
    assert_eq!((modes, released), ([Mode::Starting; 2], [0; 2]));
    assert!(faults.iter().all(|faults| faults.contains(Faults::PEER_DIFFERS)), "{faults:?}");
    assert!(refused.iter().all(|count| *count > 0), "{refused:?}");
}

/// Control: of one source they do.
#[test]
fn two_of_one_source_pair() {
    let (modes, faults, released, refused) = run::<2, 2>();
    assert_eq!((modes, faults, refused), ([Mode::Duplex; 2], [Faults::empty(); 2], [0; 2]));
    assert!(released[0] > 40, "{released:?}");
}
