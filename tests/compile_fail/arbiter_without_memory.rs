//! An arbiter says what epoch it remembers, or that it has no memory; and it is told when the lease is released.

use twinstep::{Arbiter, ChannelId, Claim, Confirmation, Epoch, Grounds, Instant};

struct Relay {
    through: Epoch,
}

impl Arbiter for Relay {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        self.through = to;
        Claim::Granted
    }

    fn confirms(&self, epoch: Epoch, _: ChannelId) -> Confirmation {
        (self.through == epoch).into()
    }
}

fn main() {
    let _ = Relay { through: Epoch::NONE };
}
