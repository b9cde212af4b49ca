//! A verdict belongs to the arbiter that it was polled with: what it releases opens under no other one.

use twinstep::{ChannelId, Preferred, Release, Verdict};

fn under_another_one<'l>(verdict: Verdict<'l, u8>, other: &'l Preferred) -> Release<'l, u8> {
    verdict.release(other)
}

fn main() {
    let _ = (under_another_one, Preferred(ChannelId::A));
}
