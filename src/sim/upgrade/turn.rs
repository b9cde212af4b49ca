//! One half's turn: it looks, sends and drives.

use super::UpgradePair;
use super::faults::BACK_AFTER;
use crate::ids::ChannelId;
use crate::mode::Mode;
use crate::node::Begun;
use crate::program::Program;
use crate::sim::disturbance::Secrets;
use crate::sim::failure::Failure;
use crate::sim::hush::{Caught, catch};
use crate::sim::pair::Moment;
use crate::sim::purity::readable;
use crate::sim::report::Report;
use crate::sim::sending::{Leaving, Sending};
use crate::sim::trace::TracedEvent;
use crate::succession::Successor;
use crate::verdict::Unbound;
use crate::vote::OpenError;
use crate::wire::MAX_FRAME_BYTES;
use core::ops::ControlFlow;

impl<O, N, J> UpgradePair<'_, O, N, J>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
    J: Successor<Input = O::Input, Output = O::Output, OldState = O::State, State = N::State>,
{
    /// One half's turn: frames in, the cycle on, frames out. A turn whose half waits for its UART goes on later.
    pub(super) fn turn(&mut self, channel: ChannelId) {
        let at = channel.index();
        if self.still_hangs(channel) {
            return;
        }
        if self.halves[at].is_none() {
            return self.line.towards[at].clear();
        }
        // The program runs in the half, and beside it in the oracle.
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

    /// The program has panicked in a half: it dies of it, and boots again later.
    fn crash(&mut self, channel: ChannelId, caught: &Caught) {
        let what = caught.of_program();
        self.report.crashes += 1;
        self.trace_it(channel, || TracedEvent::Became(std::format!("dead of a panic: {what}")));
        self.last_crash = Some(what);
        self.kill(channel, Some(BACK_AFTER));
    }

    /// Takes frames, looks at the cycle, and begins the next one when it is time.
    fn look(&mut self, channel: ChannelId) -> [Option<Unbound<O::Output>>; 2] {
        let (at, local) = (channel.index(), self.local_time(channel));
        let Some(half) = self.halves[at].as_mut() else { return [None, None] };
        let (times, mut has_news) = ((self.now, local), false);
        while let Some(frame) = self.line.towards[at].take_due(self.now) {
            half.handle_frame(local, &frame);
            half.check(&mut self.checks, times, false);
            has_news = true;
        }
        half.flip_if_due(&mut self.flipping[at], Moment::Received, &mut self.checks);
        let mut sampled = None;
        let mut verdicts = [half.poll(local, &mut self.arbiters[at]), None];
        // Halves are polled far more often than anything comes of it; what is broken then is found at the next frame or verdict.
        if has_news || verdicts[0].is_some() {
            half.check(&mut self.checks, times, verdicts[0].is_some());
        }
        if local >= half.next_start() {
            self.line.next_cycle(channel);
            let sample = self.world.sample(channel, half.next_cycle());
            if let Begun::New(cycle) = half.begin(local, sample.clone()) {
                sampled = self.trace.is_some().then(|| std::format!("for cycle {cycle}: {}", readable(&sample)));
                self.oracle.sampled(channel, cycle, sample);
            }
            half.check(&mut self.checks, times, false);
            half.flip_if_due(&mut self.flipping[at], Moment::Begun, &mut self.checks);
            verdicts[1] = half.poll(local, &mut self.arbiters[at]);
            half.check(&mut self.checks, times, verdicts[1].is_some());
        }
        half.flip_if_due(&mut self.flipping[at], Moment::Polled, &mut self.checks);
        if let Some(what) = sampled {
            self.trace_it(channel, || TracedEvent::Sampled(what));
        }
        verdicts
    }

    /// Sends what is due, as far as the UART takes it now; then drives.
    fn send(&mut self, channel: ChannelId, mut sending: Sending<O::Output>) {
        let (at, local) = (channel.index(), self.local_time(channel));
        let mut buffer = [0; MAX_FRAME_BYTES];
        loop {
            if let Some(leaving) = sending.leaving.take()
                && self.sent(channel, &leaving).is_break()
            {
                break;
            }
            let is_late = self.is_late(channel);
            let Some(half) = &mut self.halves[at] else { return };
            if sending.frames_left == 0 || is_late {
                break;
            }
            let length = half.transmit(local, &mut buffer);
            if length.is_some() {
                half.check(&mut self.checks, (self.now, local), false);
            }
            let Some(length) = length else {
                let wants_more = half.poll_timeout().is_some_and(|timeout| timeout <= local);
                self.report.restless += u32::from(wants_more && sending.has_just_looked(self.now));
                break;
            };
            sending.frames_left -= 1;
            sending.leaving = Some(self.line.give(self.now, channel, &buffer[..length]));
            if sending.is_busy(self.now) {
                self.sending[at] = Some(sending);
                return;
            }
        }
        if self.halves[at].is_some() {
            for verdict in sending.verdicts.into_iter().flatten() {
                self.take(channel, verdict);
            }
        }
    }

    /// The UART has taken a frame: it gets on the link. Breaks if the half stops with it.
    fn sent(&mut self, channel: ChannelId, leaving: &Leaving) -> ControlFlow<()> {
        let (at, frame) = (channel.index(), &leaving.frame[..]);
        let Some(half) = &mut self.halves[at] else { return ControlFlow::Break(()) };
        let epoch = half.epoch();
        let failure = self.failing[at].take_if(|(left, _)| *left < frame.len() as u64);
        let sent = failure.map_or(frame.len(), |(left, _)| left as usize);
        if let Some((left, _)) = &mut self.failing[at] {
            *left -= frame.len() as u64;
        }
        self.line.note(channel, frame);
        if !self.is_cut && sent > 0 {
            let secrets = Secrets { pair: self.pair, epoch, nonces: self.nonces };
            let times = [self.now, leaving.arrives_at(self.now)];
            self.line.carry(&mut self.rng, &self.setup.link, times, channel, &frame[..sent], &secrets);
        }
        match failure {
            Some((_, Failure::Dies)) => {
                self.deaths[at] += 1;
                self.kill(channel, Some(BACK_AFTER));
                return ControlFlow::Break(());
            }
            Some((_, Failure::Hangs { for_us, .. })) => {
                self.hang(channel, for_us);
                return ControlFlow::Break(());
            }
            None => {}
        }
        half.flip_if_due(&mut self.flipping[at], Moment::Sent, &mut self.checks);
        ControlFlow::Continue(())
    }

    /// Whether a donor has no time for the longest frame before its next start: the next cycle comes first.
    pub(super) fn is_late(&self, channel: ChannelId) -> bool {
        let through = self.local_time(channel).shifted_us(self.line.longest_send_us(channel));
        let half = self.halves[channel.index()].as_ref();
        half.is_some_and(|half| half.mode() == Mode::Donor && through >= half.next_start())
    }

    /// Drives what a verdict releases, in front of the oracle.
    pub(super) fn take(&mut self, channel: ChannelId, verdict: Unbound<O::Output>) {
        let Some(version) = self.version(channel).or(self.memory[channel.index()].ran) else { return };
        let arbiter = self.arbiters[channel.index()].clone(); // the same relay
        let verdict = verdict.bind(&arbiter);
        let (outcome, mode) = (verdict.outcome(), verdict.mode());
        while let Some((outcome, cycle, output)) =
            self.halves[channel.index()].as_mut().and_then(|half| half.take_withheld())
        {
            let half = self.halves[channel.index()].as_ref();
            let mut seen = Report::default();
            self.oracle.drive(&mut seen, channel, version, outcome, (cycle, &output), half);
            self.report.withheld += seen.released;
            (self.report.missing, self.report.went_back) =
                (self.report.missing + seen.missing, self.report.went_back + seen.went_back);
        }
        for voted in verdict.release() {
            let cycle = voted.cycle();
            match voted.open() {
                Ok(_) if mode == Mode::Safe => self.report.safe += 1,
                Ok(output) => {
                    self.world.drive(channel, cycle, &output);
                    self.count_silence();
                    let half = self.halves[channel.index()].as_ref();
                    self.oracle.drive(&mut self.report, channel, version, outcome, (cycle, &output), half);
                    self.driven.push((cycle, channel, version));
                    self.trace_it(channel, || {
                        let what = readable(&output);
                        TracedEvent::Drove(std::format!("in cycle {cycle} by the {version:?} version: {what}"))
                    });
                }
                Err(OpenError::Damaged) => self.report.damaged += 1,
                Err(OpenError::LeaseLost | OpenError::LeaseUnknown) => self.report.cut_off += 1,
            }
        }
    }
}
