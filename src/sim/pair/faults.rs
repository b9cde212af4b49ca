//! What can be done to the pair.

use super::{Pair, boot};
use crate::ids::ChannelId;
use crate::node::{MayUpgrade, Node, Site, flip_value};
use crate::program::Program;
use crate::sim::LinkFaults;
use crate::sim::arbiter::{Silence, SimArbiter};
use crate::sim::checks::Checks;
use crate::sim::disturbance::Disturbance;
use crate::sim::failure::{Failure, Hung};
use crate::sim::report::count;
use crate::verdict::Unbound;
use crate::wire::{Kind, MAX_FRAME_BYTES};
use std::boxed::Box;

impl<'m, P: Program> Pair<'m, P> {
    /// Stops a channel dead. A frame that its UART has not taken all of is lost.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.kill(ChannelId::A);
    /// pair.run(20);
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.missing, report.takeovers), (0, 0, 1));
    /// assert_eq!((pair.mode(ChannelId::A), pair.mode(ChannelId::B)), (None, Some(Mode::Simplex)));
    /// ```
    pub fn kill(&mut self, channel: ChannelId) {
        let at = channel.index();
        self.trace_journal(channel);
        self.rests[at] = None;
        let Some(node) = self.nodes[at].take() else { return };
        count(&mut self.report, node.counters());
        self.spare[at] = Some(node.into_memory());
        self.line.stop(channel);
        self.sending[at] = None;
        (self.failing[at], self.hung[at], self.damage[at], self.flipping[at]) = (None, None, None, None);
    }

    /// Lets a channel stop once it has sent so many bytes more: the frame in which it stops gets
    /// through up to that byte.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// // 15 bytes more leave the channel: its next frame arrives without its end.
    /// pair.fail_at_byte(ChannelId::A, 15, Failure::Dies);
    /// pair.run(20);
    /// assert_eq!(pair.mode(ChannelId::A), None);
    /// assert_eq!((pair.report().wrong, pair.report().missing), (0, 0));
    /// ```
    pub fn fail_at_byte(&mut self, channel: ChannelId, byte: u64, failure: Failure) {
        self.failing[channel.index()] = Some((byte, failure));
    }

    /// Lets a channel stop now, between two of its turns.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.fail(ChannelId::B, Failure::Hangs { for_us: Some(250_000), hears: true });
    /// pair.run(2);
    /// assert!(pair.hangs(ChannelId::B));
    /// pair.run(30);
    /// assert_eq!((pair.report().wrong, pair.report().missing), (0, 0));
    /// assert_eq!(pair.mode(ChannelId::B), Some(Mode::Duplex)); // it has joined again
    /// ```
    pub fn fail(&mut self, channel: ChannelId, failure: Failure) {
        match failure {
            Failure::Dies => self.kill(channel),
            Failure::Hangs { for_us, hears } => self.hang(channel, (for_us, hears), false, [None, None]),
        }
    }

    pub(super) fn hang(
        &mut self,
        channel: ChannelId,
        (for_us, hears): (Option<u64>, bool),
        is_in_send: bool,
        verdicts: [Option<Unbound<P::Output>>; 2],
    ) {
        let until = for_us.map(|for_us| self.now + for_us);
        let sends_since = is_in_send.then_some(self.now);
        self.rests[channel.index()] = None;
        self.hung[channel.index()] = Some(Hung { until, sends_since, hears, verdicts });
    }

    /// Does this to the next frame of `sender`, or to its frames for a while.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.disturb(ChannelId::A, Disturbance::Corruption { bits: 3 });
    /// let before = pair.report();
    /// pair.run(5);
    /// let report = pair.report();
    /// assert_eq!(report.rejected, before.rejected + 1);
    /// assert_eq!((report.wrong, report.missing, report.held, report.diverged), (0, 0, 0, 0));
    /// ```
    pub fn disturb(&mut self, sender: ChannelId, disturbance: Disturbance) {
        self.line.disturb(self.now, sender, disturbance);
    }

    /// Brings a frame to the peer once more that `sender` sent this many frames before its last one; false if
    /// there is none, or it is not kept any more.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let before = pair.report();
    /// assert!(pair.replay(ChannelId::A, 5));
    /// pair.run(5);
    /// let report = pair.report();
    /// assert!(report.rejected + report.repeated > before.rejected + before.repeated);
    /// assert_eq!((report.wrong, report.missing, report.held), (0, 0, 0));
    /// ```
    pub fn replay(&mut self, sender: ChannelId, age: usize) -> bool {
        self.line.replay(self.now + 1, sender, age)
    }

    /// Returns how many frames of a sender can be replayed.
    pub fn frames_kept(&self, sender: ChannelId) -> usize {
        self.line.kept(sender)
    }

    /// Ends every disturbance, and failures that have not happened yet.
    pub fn calm(&mut self) {
        self.line.calm();
        (self.failing, self.damage, self.flipping) = ([None; 2], [None, None], [None; 2]);
        for arbiter in &mut self.arbiters {
            arbiter.misread(0);
            arbiter.cannot_tell(0);
            arbiter.fall_silent(Silence::None);
        }
    }

    /// Lets a channel's clock run at this rate from now on, and jump.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// // Half a percent too fast, and a jump of 20 ms.
    /// pair.set_clock(ChannelId::B, 5_000, 20_000);
    /// pair.run(50);
    /// assert_eq!((pair.report().wrong, pair.report().missing), (0, 0));
    /// ```
    pub fn set_clock(&mut self, channel: ChannelId, drift_ppm: i32, jump_us: i64) {
        self.clocks[channel.index()].change(self.now, drift_ppm, jump_us);
        self.rests[channel.index()] = None;
        self.suspect(channel); // what it waits for is a time of before
    }

    /// Flips a bit of the next output that a channel releases, between vote and actuator.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let owner = pair.owner().unwrap();
    /// pair.spoil_next_output(owner, 3);
    /// pair.run(5);
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.damaged, report.missing), (0, 1, 1)); // it is not driven
    /// ```
    pub fn spoil_next_output(&mut self, channel: ChannelId, bit: usize) {
        self.damage_next_release(channel, move |value| {
            flip_value(value, bit);
        });
    }

    /// Damages the next output that a channel releases, after the vote.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let owner = pair.owner().unwrap();
    /// pair.damage_next_release(owner, |count| *count = 1_000_000);
    /// pair.run(5);
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.damaged, report.missing), (0, 1, 1));
    /// ```
    pub fn damage_next_release(&mut self, channel: ChannelId, damage: impl Fn(&mut P::Output) + 'm) {
        self.damage[channel.index()] = Some(Box::new(damage));
    }

    /// Flips a bit at this moment of the channel's next turn in which there is something at this place.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.flip_within_turn(ChannelId::B, Moment::Received, Site::Working, 7);
    /// pair.run(5);
    /// assert!(!pair.is_flip_due(ChannelId::B));
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.missing, report.held), (0, 0, 0));
    /// assert!(report.masked + report.repairs > 0);
    /// ```
    pub fn flip_within_turn(&mut self, channel: ChannelId, moment: Moment, site: Site, bit: usize) {
        self.flipping[channel.index()] = Some((moment, site, bit));
    }

    /// Whether the bit is still to be flipped.
    pub fn is_flip_due(&self, channel: ChannelId) -> bool {
        self.flipping[channel.index()].is_some()
    }

    /// Returns one channel's end of the arbiter.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let owner = pair.owner().unwrap();
    /// assert!(pair.arbiter(owner).misread(1));
    /// pair.run(20);
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.missing, report.owners_max), (0, 0, 1));
    /// assert_eq!(report.takeovers, 0); // one word of it is not believed
    /// ```
    pub fn arbiter(&mut self, channel: ChannelId) -> &mut SimArbiter {
        self.rests = [None; 2]; // the same relay
        &mut self.arbiters[channel.index()]
    }

    /// Stops a channel dead right after the link took the frame of this number, counted over
    /// both directions as [`frames_sent`](Self::frames_sent) does.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.kill_at_frame(ChannelId::B, pair.frames_sent() + 3);
    /// pair.run(20);
    /// assert_eq!(pair.mode(ChannelId::B), None);
    /// assert_eq!((pair.report().wrong, pair.report().missing), (0, 0));
    /// ```
    pub fn kill_at_frame(&mut self, channel: ChannelId, frame: u64) {
        self.doomed = Some((channel, frame));
    }

    /// Loses the next frame of this kind.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// let before = pair.report();
    /// pair.lose_next(Kind::Vote);
    /// pair.run(5);
    /// let report = pair.report();
    /// assert!(report.repeated > before.repeated); // sent again
    /// assert_eq!((report.wrong, report.missing, report.held), (0, 0, 0));
    /// ```
    pub fn lose_next(&mut self, kind: Kind) {
        self.losing = Some(kind);
    }

    /// Boots a dead channel again, with another nonce and memory full of noise.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.kill(ChannelId::A);
    /// pair.run(5);
    /// pair.restart(ChannelId::A);
    /// pair.run(20);
    /// assert_eq!(pair.mode(ChannelId::A), Some(Mode::Duplex));
    /// assert_eq!(pair.report().joined, 1);
    /// ```
    pub fn restart(&mut self, channel: ChannelId) {
        let Some(mut cells) = self.spare[channel.index()].take() else { return };
        cells.scramble(|| self.rng.u8(..));
        let nonce = self.rng.u32(1..);
        self.nonces[channel.index()] = nonce;
        let node = boot(channel, cells, &self.setup, self.pair, nonce);
        self.nodes[channel.index()] = node.ok(); // it was configured alike before
        if let Some(checks) = &mut self.checks {
            checks.forget(channel);
        }
        self.rests[channel.index()] = None;
    }

    /// Cuts or heals the link; what is in flight is lost.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.cut(true);
    /// pair.run(10);
    /// assert_eq!(pair.report().owners_max, 1);
    /// pair.cut(false);
    /// pair.run(20);
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.missing, report.takeovers, report.joined), (0, 0, 1, 1));
    /// ```
    pub fn cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
        for direction in &mut self.line.towards {
            direction.clear();
        }
    }

    /// Sets what the link does from now on.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.set_link(LinkFaults { lose: 0.1, ..LinkFaults::NONE });
    /// pair.run(50);
    /// pair.set_link(LinkFaults::NONE);
    /// let report = pair.report();
    /// assert!(report.repeated > 0);
    /// assert_eq!((report.wrong, report.missing, report.diverged), (0, 0, 0));
    /// ```
    pub fn set_link(&mut self, link: LinkFaults) {
        self.setup.link = link;
    }

    /// Whether a channel runs. One whose hang is over first drives what it was about to drive.
    pub(super) fn wakes(&mut self, channel: ChannelId) -> bool {
        let at = channel.index();
        let (is_hung, now) = (self.hung[at].is_some(), self.now);
        let Some(hung) = self.hung[at].take_if(|hung| hung.until.is_some_and(|until| now >= until)) else {
            return !is_hung;
        };
        if let Some(since) = hung.sends_since {
            self.line.send_took(channel, now - since); // as the channel's clock tells it
        }
        while !hung.hears && self.line.towards[at].take_due(now).is_some() {}
        for verdict in hung.verdicts.into_iter().flatten() {
            self.take(channel, verdict);
        }
        true
    }
}

/// A moment of a channel's turn, between two calls of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After the frames that came, before the poll.
    Received,
    /// After a cycle has begun, before the poll.
    Begun,
    /// After the poll, before anything is sent.
    Polled,
    /// After a frame was sent.
    Sent,
}

impl Moment {
    /// All moments.
    pub const ALL: [Self; 4] = [Self::Received, Self::Begun, Self::Polled, Self::Sent];
}

pub(in crate::sim) fn flip_if_due<P: Program, U: MayUpgrade<P>>(
    node: &mut Node<'_, P, MAX_FRAME_BYTES, U>,
    due: &mut Option<(Moment, Site, usize)>,
    now: Moment,
    checks: &mut Option<Box<Checks>>,
) {
    if let Some((moment, site, bit)) = *due
        && moment == now
        && node.flip(site, bit)
    {
        *due = None;
        if let Some(checks) = checks {
            checks.suspect(node.channel());
        }
    }
}
