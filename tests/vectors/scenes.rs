//! Conversations of two channels.

use super::programs::{Valve, ValveV2};
use super::world::{NONCES, World, after, before, plain};
use twinstep::upgrade::Order;
use twinstep::{ChannelId, Mode, Site};

const A: usize = 0;
const B: usize = 1;
/// Of the second boot of B.
const NEXT_NONCE: u32 = 0x0B0B_0003;

type Scene = (&'static str, &'static str, Vec<String>);

pub fn all() -> Vec<Scene> {
    vec![boot(), join(), masked(), settled(), trial()]
}

fn pair() -> World {
    World::new([plain::<Valve>(ChannelId::A, NONCES[A]), plain::<Valve>(ChannelId::B, NONCES[B])])
}

fn in_duplex(world: &World) -> bool {
    world.modes() == [Mode::Duplex; 2]
}

fn boot() -> Scene {
    let mut world = pair();
    world.run_until("duplex", in_duplex);
    world.run_cycles(2);
    ("boot", "Two empty channels, and their first two cycles. A is the first owner of the arbiter.", world.lines)
}

fn join() -> Scene {
    let mut world = pair();
    world.is_quiet = true;
    world.run_until("duplex", in_duplex);
    world.run_cycles(3);
    world.restart(B, NEXT_NONCE, plain::<Valve>(ChannelId::B, NEXT_NONCE));
    world.is_quiet = false;
    world.run_until("the joiner", in_duplex);
    world.run_cycles(1);
    (
        "join",
        "B has booted anew, with the nonce 0b0b0003: A goes on alone, copies three blocks and cuts B over.",
        world.lines,
    )
}

/// Two cycles of a pair in which a bit flips.
fn flipped(at: usize, site: Site, bit: usize) -> Vec<String> {
    let mut world = pair();
    world.is_quiet = true;
    world.run_until("duplex", in_duplex);
    world.run_cycles(3);
    world.halves[at].flip(site, bit);
    world.is_quiet = false;
    world.run_cycles(2);
    assert!(in_duplex(&world));
    world.lines
}

fn masked() -> Scene {
    let lines = flipped(B, Site::Output, 3);
    for sender in ["A", "B"] {
        assert!(lines.iter().any(|line| line.contains(&format!("| Evidence from {sender}"))));
    }
    ("masked transient", "A bit flips in an output of B. Both step once more, and tell what they found.", lines)
}

fn settled() -> Scene {
    let lines = flipped(B, Site::Comparator, 0);
    assert!(lines.iter().any(|line| line.contains("| Settled from A")));
    ("settled", "The comparator of B sees a difference that is not there; A has settled the cycle.", lines)
}

/// A pair of which B has restarted into the next version, at the beginning of its trial.
fn in_trial() -> World {
    let halves = [before::<Valve, ValveV2>(ChannelId::A, NONCES[A]), before::<Valve, ValveV2>(ChannelId::B, NONCES[B])];
    let mut world = World::new(halves);
    world.is_quiet = true;
    world.run_until("duplex", in_duplex);
    world.run_cycles(20);
    world.is_quiet = false;
    // Given on the side that does not own.
    world.order(B, Order::Prepare);
    world.run_cycles(1);
    world.order(B, Order::Split);
    world.run_until("the farewell", |world| world.modes()[B] == Mode::Starting);
    for _ in 0..300 {
        world.tick();
    }
    world.restart(B, NEXT_NONCE, after::<ValveV2>(ChannelId::B, NEXT_NONCE));
    world.run_until("the trial", |world| world.modes() == [Mode::Trial; 2]);
    world
}

/// Orders that come too early: a switchover at the beginning of the trial, and a commit.
pub fn refused() -> Vec<String> {
    let mut world = in_trial();
    world.lines.clear();
    for order in [Order::Switchover, Order::Commit] {
        world.order(B, order);
        world.run_until("the answer", |world| {
            world.lines.iter().any(|line| line.contains("| Order from A") && !line.contains("refusal=0"))
        });
        for _ in 0..5 {
            world.tick();
        }
    }
    world.lines
}

fn trial() -> Scene {
    let mut world = in_trial();
    world.run_until("enough of it", |world| world.halves[A].is_ready());
    world.order(B, Order::Switchover);
    world.run_until("the hand-over", |world| world.lines.iter().any(|line| line.contains("| HandOver from A")));
    world.run_cycles(2);
    (
        "trial",
        "Orders given on B. It restarts into version 2, with the nonce 0b0b0003, is tried, and the outputs go over to it.",
        world.lines,
    )
}
