//! One channel's turn: it looks, sends and drives.

use super::hook::{Hook, before};
use super::{CallPoint, Moment, Pair, flip_if_due};
use crate::ids::{ChannelId, Cycle};
use crate::mode::Mode;
use crate::node::{Begun, Node};
use crate::program::Program;
use crate::sim::disturbance::Secrets;
use crate::sim::failure::Failure;
use crate::sim::hush::{Caught, catch};
use crate::sim::oracle::{Judgement, encode};
use crate::sim::purity::readable;
use crate::sim::sending::{Leaving, Sending};
use crate::sim::trace::TracedEvent;
use crate::verdict::{Outcome, Unbound, Verdict};
use crate::vote::OpenError;
use crate::wire::Kind;
use core::ops::ControlFlow;

/// Counts the blocks of memory that a channel sends in one cycle; returns how many so far.
fn blocks_in_cycle((cycle, blocks): &mut (u32, u32), frame: &[u8]) -> u32 {
    let Some([_, _, _, p0, p1, p2, p3, ..]) = frame.first_chunk::<8>() else { return 0 };
    if Kind::of_frame(frame) == Some(Kind::Block) {
        let of = u32::from_le_bytes([*p0, *p1, *p2, *p3]);
        *blocks = if *cycle == of { *blocks + 1 } else { 1 };
        *cycle = of;
    }
    *blocks
}

impl<P: Program> Pair<'_, P> {
    /// One channel's turn: frames in, the cycle on, frames out. A turn whose channel waits for its UART goes on later.
    pub(super) fn turn(&mut self, channel: ChannelId) {
        if !self.wakes(channel) || self.rests(channel) {
            return;
        }
        let at = channel.index();
        self.rests[at] = None;
        if self.nodes[at].is_none() {
            self.line.towards[at].clear();
            return;
        }
        // The program runs in the channel, and beside it in the oracle.
        if let Err(caught) = catch(|| self.go_on(channel)) {
            self.crash(channel, &caught);
        }
    }

    fn go_on(&mut self, channel: ChannelId) {
        let at = channel.index();
        match self.sending[at].take() {
            Some(sending) if sending.is_busy(self.now) => self.sending[at] = Some(sending),
            Some(sending) => self.send(channel, sending),
            None => {
                let verdicts = self.look(channel);
                self.send(channel, Sending::new(self.now, verdicts));
            }
        }
        if let Some(broken) = self.checks.as_mut().and_then(|checks| checks.take_untold()) {
            self.trace_it(channel, || TracedEvent::Broke(broken.invariant));
        }
    }

    /// The program has panicked in a channel: it dies of it.
    fn crash(&mut self, channel: ChannelId, caught: &Caught) {
        assert!(!self.hook.as_ref().is_some_and(Hook::has_panicked), "the hook panicked: {}", caught.text());
        let what = caught.of_program();
        self.report.crashes += 1;
        self.trace_it(channel, || TracedEvent::Became(std::format!("dead of a panic: {what}")));
        self.last_crash = Some(what);
        self.kill(channel);
    }

    /// Takes frames, looks at the cycle, and begins the next one when it is time.
    fn look(&mut self, channel: ChannelId) -> [Option<Unbound<P::Output>>; 2] {
        let (at, local) = (channel.index(), self.local_time(channel));
        let Some(node) = self.nodes[at].as_mut() else { return [None, None] };
        // As in a run loop, one check of the control data for the frames and the poll; apart if something happens in between.
        let mut calls = node.calls(local);
        let times = (self.now, local);
        while let Some(frame) = self.line.towards[at].take_due(self.now) {
            if let Some(hook) = &mut self.hook {
                drop(calls);
                hook.call(CallPoint::HandleFrame, channel, node, &mut self.checks);
                calls = node.calls(local);
            }
            let _ = calls.handle_frame(local, &frame); // counted by the node
            self.line.towards[at].give_back(frame);
            if let Some(checks) = &mut self.checks {
                checks.amid(channel, self.now, &calls);
            }
        }
        let mut sampled = None;
        if self.flipping[at].is_some() || self.hook.is_some() {
            drop(calls);
            flip_if_due(node, &mut self.flipping[at], Moment::Received, &mut self.checks);
            before((&mut self.hook, &mut self.checks), CallPoint::PollVerdict, channel, node);
            calls = node.calls(local);
        }
        let mut verdicts = [calls.poll_verdict(local, &mut self.arbiters[at]).map(Verdict::unbind), None];
        drop(calls);
        if let Some(checks) = &mut self.checks {
            checks.after_poll(times, node, verdicts[0].is_some());
        }
        if local >= node.next_start() {
            let next = match node.mode() {
                Mode::Starting | Mode::Joining | Mode::Safe => node.cycle(),
                _ => node.cycle().next(),
            };
            self.line.next_cycle(channel);
            let sample = self.world.sample(channel, next);
            before((&mut self.hook, &mut self.checks), CallPoint::Begin, channel, node);
            let begun = node.begin(local, sample.clone()).expect("samples fit a frame");
            if let Begun::New(cycle) = begun {
                self.started_at[at] = self.now;
                self.sampled_at[at].note(cycle, self.now);
                sampled = self.trace.is_some().then(|| std::format!("for cycle {cycle}: {}", readable(&sample)));
                self.oracle.sampled(channel, cycle, sample);
            }
            if let Some(checks) = &mut self.checks {
                checks.after(self.now, node);
            }
            flip_if_due(node, &mut self.flipping[at], Moment::Begun, &mut self.checks);
            before((&mut self.hook, &mut self.checks), CallPoint::PollVerdict, channel, node);
            verdicts[1] = node.poll_verdict(local, &mut self.arbiters[at]).map(Verdict::unbind);
            if let Some(checks) = &mut self.checks {
                checks.after_poll(times, node, verdicts[1].is_some());
            }
        }
        flip_if_due(node, &mut self.flipping[at], Moment::Polled, &mut self.checks);
        if let Some(what) = sampled {
            self.trace_it(channel, || TracedEvent::Sampled(what));
        }
        verdicts
    }

    /// Sends what is due, as far as the UART takes it now; then drives.
    fn send(&mut self, channel: ChannelId, mut sending: Sending<P::Output>) {
        let (at, local) = (channel.index(), self.local_time(channel));
        loop {
            if let Some(leaving) = sending.leaving.take() {
                let sent = self.sent(channel, &leaving, &mut sending);
                self.line.given(channel, leaving);
                if sent.is_break() {
                    return;
                }
            }
            let is_late = self.is_late(channel);
            let Some(node) = &mut self.nodes[at] else { return };
            if sending.frames_left == 0 || is_late {
                break;
            }
            before((&mut self.hook, &mut self.checks), CallPoint::PollTransmit, channel, node);
            let length = node.poll_transmit(local, &mut *self.buffer).expect("the buffer is the largest");
            // One that had nothing to send changed nothing.
            if let Some(checks) = self.checks.as_mut().filter(|_| length.is_some()) {
                checks.after(self.now, node);
            }
            let Some(length) = length else {
                let wants_more = self.comes_to_rest(channel).is_some_and(|rest| rest.wants_more(local));
                self.report.restless += u32::from(wants_more && sending.has_just_looked(self.now));
                break;
            };
            sending.frames_left -= 1;
            sending.leaving = Some(self.line.give(self.now, channel, &self.buffer[..length]));
            if sending.is_busy(self.now) {
                self.sending[at] = Some(sending);
                return;
            }
        }
        // What is released is driven after the channel's own vote went out, as on a board.
        for verdict in sending.verdicts.into_iter().flatten() {
            self.take(channel, verdict);
        }
    }

    /// The UART has taken a frame: it gets on the link. Breaks if the channel stops with it.
    fn sent(&mut self, channel: ChannelId, leaving: &Leaving, sending: &mut Sending<P::Output>) -> ControlFlow<()> {
        let (at, frame) = (channel.index(), &leaving.frame[..]);
        let Some(node) = &mut self.nodes[at] else { return ControlFlow::Break(()) };
        let epoch = node.epoch();
        self.votes.observe(channel, frame);
        let blocks = blocks_in_cycle(&mut self.blocks_sent[at], frame);
        self.report.blocks_in_a_cycle_max = self.report.blocks_in_a_cycle_max.max(blocks);
        self.frames_sent += 1;
        let is_lost = self.losing.take_if(|kind| Kind::of_frame(frame) == Some(*kind)).is_some();
        let failure = self.failing[at].take_if(|(left, _)| *left < frame.len() as u64);
        let sent = failure.map_or(frame.len(), |(left, _)| left as usize);
        if let Some((left, _)) = &mut self.failing[at] {
            *left -= frame.len() as u64;
        }
        self.line.note(channel, frame);
        if !is_lost && !self.is_cut && sent > 0 {
            let secrets = Secrets { pair: self.pair, epoch, nonces: self.nonces };
            let times = [self.now, leaving.arrives_at(self.now)];
            self.line.carry(&mut self.rng, &self.setup.link, times, channel, &frame[..sent], &secrets);
        }
        match failure {
            Some((_, Failure::Dies)) => {
                self.kill(channel);
                return ControlFlow::Break(());
            }
            Some((_, Failure::Hangs { for_us, hears })) => {
                self.hang(channel, (for_us, hears), true, std::mem::take(&mut sending.verdicts));
                return ControlFlow::Break(());
            }
            None => {}
        }
        if let Some((doomed, _)) = self.doomed.take_if(|(_, frame)| self.frames_sent >= *frame) {
            self.kill(doomed);
        }
        let Some(node) = &mut self.nodes[at] else { return ControlFlow::Break(()) };
        flip_if_due(node, &mut self.flipping[at], Moment::Sent, &mut self.checks);
        ControlFlow::Continue(())
    }

    /// Whether a donor has no time for the longest frame before its next start: the next cycle comes first.
    pub(super) fn is_late(&self, channel: ChannelId) -> bool {
        let through = || self.local_time(channel).shifted_us(self.line.longest_send_us(channel));
        let node = self.nodes[channel.index()].as_ref();
        node.is_some_and(|node| node.mode() == Mode::Donor && through() >= node.next_start())
    }

    /// Drives what a verdict releases, in front of the oracle.
    pub(super) fn take(&mut self, channel: ChannelId, verdict: Unbound<P::Output>) {
        let arbiter = self.arbiters[channel.index()].clone(); // the same relay
        let verdict = verdict.bind(&arbiter);
        let (outcome, epoch, current) = (verdict.outcome(), verdict.epoch(), verdict.cycle());
        if outcome == Outcome::Agreed {
            let took_us = self.now - self.started_at[channel.index()];
            self.report.longest_exchange_us = self.report.longest_exchange_us.max(took_us);
        }
        if self.trace.is_some() {
            let (cycle, mode, diagnosis) = (verdict.cycle(), verdict.mode(), verdict.diagnosis());
            let faults = verdict.fault().unwrap_or_default();
            self.trace_it(channel, || TracedEvent::Verdict { cycle, outcome, mode, faults, diagnosis });
        }
        while let Some((outcome, cycle, output)) = self.nodes[channel.index()].as_mut().and_then(Node::take_withheld) {
            self.pass_by(channel, outcome, cycle, &output);
        }
        for voted in verdict.release() {
            let voted = match self.damage[channel.index()].take() {
                Some(damage) => voted.damaged_by(damage),
                None => voted,
            };
            let cycle = voted.cycle();
            match voted.open() {
                Ok(_) if outcome == Outcome::Safe => self.report.safe += 1,
                Ok(output) => {
                    let (times, is_overdue) = (&self.sampled_at[channel.index()], cycle != current);
                    self.report.too_old += u32::from(times.is_too_old(cycle, is_overdue, self.now, &self.setup.config));
                    self.drive(channel, outcome, cycle, &output);
                }
                Err(OpenError::Damaged) => self.report.damaged += 1,
                Err(OpenError::LeaseLost | OpenError::LeaseUnknown) => {
                    self.report.cut_off += 1;
                    // A misread: the state goes on, and nobody else drives meanwhile.
                    if outcome != Outcome::Safe && self.arbiters[channel.index()].lets_through(epoch, channel) {
                        self.oracle.pass(channel, outcome, cycle);
                    }
                }
            }
        }
    }

    fn drive(&mut self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &P::Output) {
        self.world.drive(channel, cycle, output);
        let mut bytes = std::mem::take(&mut self.driven);
        encode(output, &mut bytes);
        self.judge(channel, outcome, cycle, output, &bytes);
        self.driven = bytes;
    }

    /// Takes note of an output that was not released since its sample is too old: the state goes on from it.
    fn pass_by(&mut self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &P::Output) {
        let mut bytes = std::mem::take(&mut self.driven);
        encode(output, &mut bytes);
        match self.judge_value(channel, outcome, cycle, output, &bytes) {
            Some(Judgement::Right) => self.report.withheld += 1,
            Some(Judgement::RightAfterGap(gap)) => {
                self.report.withheld += 1;
                self.report.missing += gap;
            }
            Some(Judgement::Wrong) | None => {} // it was not driven
        }
        self.driven = bytes;
    }

    /// Holds an output that was driven against the votes and the oracle.
    fn judge(&mut self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &P::Output, bytes: &[u8]) {
        if outcome == Outcome::Agreed && !self.votes.both_voted_bytes(cycle, bytes) {
            self.report.unvoted_in_duplex += 1;
        }
        let silence_us = self.driven_at.replace(self.now).map_or(0, |at| self.now - at);
        self.report.longest_silence_us = self.report.longest_silence_us.max(silence_us);
        self.report.longest_idle_us = self.report.longest_silence_us;
        let Some(judgement) = self.judge_value(channel, outcome, cycle, output, bytes) else { return };
        if self.trace.is_some() {
            let what = std::format!("in cycle {cycle}: {}, {judgement:?}", readable(output));
            self.trace_it(channel, || TracedEvent::Drove(what));
        }
        match judgement {
            Judgement::Right => self.report.released += 1,
            Judgement::RightAfterGap(gap) => {
                self.report.released += 1;
                self.report.missing += gap;
            }
            Judgement::Wrong => self.report.wrong += 1,
        }
    }

    /// Holds the value of a cycle against the oracle; `None` if it is one of long ago that both voted for.
    fn judge_value(
        &mut self,
        channel: ChannelId,
        outcome: Outcome,
        cycle: Cycle,
        output: &P::Output,
        bytes: &[u8],
    ) -> Option<Judgement> {
        if self.goes_back(channel, outcome, cycle)
            && let Some(node) = &self.nodes[channel.index()]
        {
            self.report.went_back += 1;
            self.oracle.go_back(cycle, node.state(), output);
        }
        if self.is_old_vote(channel, outcome, cycle, bytes) {
            return None;
        }
        Some(self.oracle.judge_bytes(channel, outcome, cycle, bytes))
    }
}
