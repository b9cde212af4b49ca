//! An arbiter answers for one verdict at a time: what was released is driven before the next poll.

use twinstep::{ClaimWord, Instant, Node, Program, SharedClaim};

fn twice<P: Program>(node: &mut Node<'_, P>, now: Instant) {
    let word = ClaimWord::new();
    let mut arbiter = SharedClaim::new(&word);
    let first = node.poll_verdict(now, &mut arbiter);
    let second = node.poll_verdict(now, &mut arbiter);
    drop((first, second));
}

fn main() {
    let _ = twice::<Never>;
}

struct Never;

impl Program for Never {
    type Input = u8;
    type Output = u8;
    type State = u32;
    const SAFE: u8 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u8, _: &u8) -> twinstep::Agreement<u8> {
        twinstep::Agreement::on(*a)
    }

    fn step(_: twinstep::Cycle, _: &mut twinstep::Tracked<u32>, _: &u8) -> u8 {
        0
    }
}
