//! Looks at each channel after each of its calls for what must hold of it.

use crate::ids::{ChannelId, Instant};
use crate::node::{Calls, Footing, Invariant, MayUpgrade, Node};
use crate::program::Program;
use core::fmt;

/// So many blocks are looked at in a verdict, on average: all memory at once, in as few verdicts.
const BLOCKS_A_VERDICT: u32 = 2;

/// An invariant that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What did not hold.
    pub invariant: Invariant,
    /// The channel.
    pub channel: ChannelId,
    /// True time.
    pub at_us: u64,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {:.3} ms", self.channel, self.invariant, self.at_us as f64 / 1000.0)
    }
}

/// What is known of a channel from the looks before.
#[derive(Clone, Copy, Default)]
struct Known {
    footing: Option<Footing>,
    /// Somebody may have damaged what is not kept three times. It is looked at for nothing until a look finds all of it sound:
    /// how soon the channel mends it is not asked here.
    is_suspect: bool,
    /// Verdicts since the last look at the memory.
    verdicts: u32,
}

/// Looks at both channels of a pair.
#[derive(Default)]
pub(super) struct Checks {
    known: [Known; 2],
    first: Option<Broken>,
    /// Not put into the trace yet.
    untold: Option<Broken>,
    pub(super) count: u32,
}

impl Checks {
    /// Looks at a channel after a call of it.
    #[inline]
    pub(super) fn after<P: Program, const FRAME: usize, U: MayUpgrade<P>>(
        &mut self,
        at_us: u64,
        node: &Node<'_, P, FRAME, U>,
    ) {
        // Right after a call the control data is sound: a flipped bit comes between two calls, and the next one begins by mending it.
        self.judge(at_us, node.channel(), node.footing(), node.broken_rule());
    }

    /// Looks at a channel after a poll of it; if there is a verdict, at its times and, now and then, its memory as well.
    pub(super) fn after_poll<P: Program, const FRAME: usize, U: MayUpgrade<P>>(
        &mut self,
        (at_us, now): (u64, Instant),
        node: &Node<'_, P, FRAME, U>,
        is_verdict: bool,
    ) {
        self.after(at_us, node);
        if is_verdict {
            self.verdict((at_us, now), node);
        }
    }

    /// Looks at a channel between several calls of it.
    pub(super) fn amid<P: Program, const FRAME: usize, U: MayUpgrade<P>>(
        &mut self,
        channel: ChannelId,
        at_us: u64,
        calls: &Calls<'_, '_, P, FRAME, U>,
    ) {
        self.judge(at_us, channel, calls.footing(), calls.broken_invariant());
    }

    #[inline]
    fn judge(&mut self, at_us: u64, channel: ChannelId, footing: Footing, broken: Option<Invariant>) {
        let Some(known) = self.known.get_mut(channel.index()) else { return };
        let before = known.footing.replace(footing);
        let broken = broken.or_else(|| before.and_then(|before| before.broken_by(&footing)));
        if let Some(invariant) = broken {
            self.note(Broken { invariant, channel, at_us });
        }
    }

    /// A channel has come to a verdict.
    fn verdict<P: Program, const FRAME: usize, U: MayUpgrade<P>>(
        &mut self,
        (at_us, now): (u64, Instant),
        node: &Node<'_, P, FRAME, U>,
    ) {
        let channel = node.channel();
        let Some(known) = self.known.get_mut(channel.index()) else { return };
        known.verdicts += 1;
        if !known.is_suspect && !node.has_times_within(now) {
            return self.note(Broken { invariant: Invariant::Times, channel, at_us });
        }
        if !node.has_memory_to_look_at()
            || known.verdicts * BLOCKS_A_VERDICT < crate::memory::blocks::<P::State>() as u32
        {
            return;
        }
        known.verdicts = 0;
        match node.broken_in_memory() {
            None => known.is_suspect &= !node.has_times_within(now),
            Some(_) if known.is_suspect => {}
            Some(invariant) => self.note(Broken { invariant, channel, at_us }),
        }
    }

    /// Somebody may have damaged a channel.
    pub(super) fn suspect(&mut self, channel: ChannelId) {
        if let Some(known) = self.known.get_mut(channel.index()) {
            known.is_suspect = true;
        }
    }

    /// A channel boots.
    pub(super) fn forget(&mut self, channel: ChannelId) {
        if let Some(known) = self.known.get_mut(channel.index()) {
            *known = Known::default();
        }
    }

    fn note(&mut self, broken: Broken) {
        self.count += 1;
        self.first.get_or_insert(broken);
        self.untold.get_or_insert(broken);
    }

    /// Hands out the first one since the last time.
    pub(super) fn take(&mut self) -> Option<Broken> {
        self.first.take()
    }

    /// Hands out what is to be put into the trace.
    pub(super) fn take_untold(&mut self) -> Option<Broken> {
        self.untold.take()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mechanism::Mechanism;
    use crate::node::Site;
    use crate::program::{Agreement, Build};
    use crate::sim::{Pair, Report, Setup, Storage};
    use crate::tracked::Tracked;
    use crate::{ChannelId, Cycle};

    struct Counter;

    impl Program for Counter {
        type Input = u8;
        type Output = u32;
        type State = [u32; 48];
        const SAFE: u32 = 0;
        const VERSION: u32 = 1;
        const BUILD: Build = Build::new(1);

        fn agree(a: &u8, b: &u8) -> Agreement<u8> {
            Agreement::on(*a.max(b))
        }

        fn step(cycle: Cycle, state: &mut Tracked<[u32; 48]>, input: &u8) -> u32 {
            let at = cycle.0 as usize % 48;
            state.try_update(|s| s.get(at), |count| count.wrapping_add(u32::from(*input)));
            state.first().copied().unwrap_or_default()
        }
    }

    /// Runs a pair that loses a channel and gets it back, with this bit flipped in A meanwhile.
    fn ran(off: Option<Mechanism>, flip: Option<(Site, usize)>) -> (Report, Option<Broken>) {
        let mut memory = [Storage::new(), Storage::new()];
        let setup = Setup { seed: 3, off, ..Setup::default() };
        let sensor = |_: ChannelId, cycle: Cycle| cycle.0 as u8;
        let mut pair = Pair::<Counter>::new(&setup, &mut memory, sensor).unwrap();
        pair.check_invariants(true);
        pair.run(30);
        if let Some((site, bit)) = flip {
            pair.node_mut(ChannelId::A).unwrap().flip(site, bit);
        }
        pair.run(10);
        pair.kill(ChannelId::B);
        pair.run(10);
        pair.restart(ChannelId::B);
        pair.run(40);
        let broken = pair.take_broken();
        assert_eq!(pair.take_broken(), None, "it is handed out once");
        (pair.report(), broken)
    }

    #[test]
    fn a_pair_that_is_left_alone_breaks_none() {
        let (report, broken) = ran(None, None);
        assert_eq!((report.broken_invariants, broken), (0, None));
        assert_eq!((report.takeovers, report.joined), (1, 1));
    }

    /// The copies mend each bit of it before anything is done with it: that is what they are for.
    #[test]
    fn control_data_without_its_copies_is_found_broken() {
        let bits = (0..Site::CONTROL_BITS).step_by(7);
        let count =
            |off| bits.clone().filter(|bit| ran(off, Some((Site::Control, *bit))).0.broken_invariants > 0).count();
        assert_eq!(count(None), 0);
        assert!(count(Some(Mechanism::Control)) > 10);
    }

    /// Whoever flips a bit of the memory knows of it, and until it is mended nobody is told.
    #[test]
    fn memory_that_was_damaged_from_outside_is_no_invariant_broken() {
        for site in [Site::Working, Site::Checkpoint, Site::Digest, Site::Marks, Site::Scrub, Site::Times] {
            for bit in [0, 9, 39, 700] {
                assert_eq!(ran(None, Some((site, bit))).1, None, "{site:?} {bit}");
            }
        }
    }

    #[test]
    fn a_look_names_channel_and_time() {
        let broken = Broken { invariant: Invariant::Fork, channel: ChannelId::B, at_us: 1_234_567 };
        assert_eq!(std::format!("{broken}"), std::format!("B {} at 1234.567 ms", Invariant::Fork));
    }
}
