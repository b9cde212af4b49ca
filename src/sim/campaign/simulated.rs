//! The simulated pair as a target.

use super::done::Watched;
use super::fault::Upgrading;
use super::inject::CHANNELS;
use super::pace::Pace;
use super::target::{Act, Bench, Inspection, Target, View};
use crate::ids::ChannelId;
use crate::program::Program;
use crate::sim::{Broken, Pair, Report, Setup, Storage, Traced, World};
use fastrand::Rng;
use std::prelude::v1::*;
use std::sync::Arc;

/// Makes the world of a pair from its seed.
pub(super) type Worlds<P> = Arc<dyn Fn(u64) -> Box<dyn World<P>> + Send + Sync>;

/// Injects into an upgrade from a program to one version of another.
pub(super) type IntoUpgrade<P> = fn(Upgrading, Rng, &Setup, &Pace, &Worlds<P>, bool) -> Watched;

/// Makes simulated pairs.
pub(super) struct Simulation<P: Program> {
    pub(super) worlds: Worlds<P>,
    pub(super) into_upgrade: Option<IntoUpgrade<P>>,
}

impl<P: Program> Bench for Simulation<P> {
    fn lend(&self, setup: &Setup, borrower: &mut dyn FnMut(&mut dyn Target)) -> Result<(), String> {
        let mut memory = [Storage::new(), Storage::new()];
        let world = (self.worlds)(setup.seed);
        let mut pair = Pair::<P>::new(setup, &mut memory, world).map_err(|error| error.to_string())?;
        pair.check_invariants(true);
        borrower(&mut pair);
        Ok(())
    }

    fn upgrade(&self, fault: Upgrading, rng: Rng, setup: &Setup, pace: &Pace, is_traced: bool) -> Option<Watched> {
        self.into_upgrade.map(|inject| inject(fault, rng, setup, pace, &self.worlds, is_traced))
    }
}

impl<P: Program> Target for Pair<'_, P> {
    fn run_us(&mut self, span_us: u64) {
        Pair::run_us(self, span_us);
    }

    fn act(&mut self, act: Act) -> bool {
        match act {
            Act::Flip(channel, site, bit) => return self.node_mut(channel).is_some_and(|node| node.flip(site, bit)),
            Act::FlipWithin(channel, moment, site, bit) => self.flip_within_turn(channel, moment, site, bit),
            Act::SpoilOutput(channel, bit) => self.spoil_next_output(channel, bit),
            Act::Stop(channel, failure) => self.fail(channel, failure),
            Act::StopAtByte(channel, byte, failure) => self.fail_at_byte(channel, byte, failure),
            Act::Disturb(sender, disturbance) => self.disturb(sender, disturbance),
            Act::Replay(sender, age) => return self.replay(sender, age),
            Act::Cut(is_cut) => self.cut(is_cut),
            Act::Clock(channel, drift_ppm, jump_us) => self.set_clock(channel, drift_ppm, jump_us),
            Act::Misread(channel, times) => return self.arbiter(channel).misread(times),
            Act::CannotTell(channel, times) => return self.arbiter(channel).cannot_tell(times),
            Act::Silence(how) => return self.arbiter(ChannelId::A).fall_silent(how),
            Act::Kill(channel) => self.kill(channel),
            Act::Replace(channel) => {
                self.kill(channel);
                if let Some(peer) = self.node_mut(channel.other()).filter(|peer| peer.is_barred(channel)) {
                    peer.readmit(channel);
                }
                self.restart(channel);
            }
            Act::Restart(channel) => self.restart(channel),
            Act::Calm => self.calm(),
        }
        true
    }

    fn view(&self) -> View {
        View {
            elapsed_us: self.elapsed_us(),
            modes: CHANNELS.map(|channel| self.mode(channel)),
            cycles: CHANNELS.map(|channel| self.cycle(channel).map(|cycle| cycle.0)),
            rest: CHANNELS.map(|channel| self.is_at_rest(channel)),
            hang: CHANNELS.map(|channel| self.hangs(channel)),
            flip_is_due: CHANNELS.map(|channel| self.is_flip_due(channel)),
            frames_kept: CHANNELS.map(|channel| self.frames_kept(channel)),
            until_start_us: CHANNELS.map(|channel| self.until_start_us(channel)),
            owner: self.owner(),
            latest: self.latest().0,
        }
    }

    fn report(&self) -> Report {
        Pair::report(self)
    }

    fn inspect(&mut self) -> Inspection {
        Inspection {
            is_right: CHANNELS.into_iter().all(|channel| self.has_right_state(channel)),
            is_sound: CHANNELS.into_iter().all(|channel| self.has_sound_memory(channel)),
        }
    }

    fn take_crash(&mut self) -> Option<String> {
        Pair::take_crash(self)
    }

    fn take_broken(&mut self) -> Option<Broken> {
        Pair::take_broken(self)
    }

    fn trace(&mut self) {
        Pair::trace(self);
    }

    fn take_trace(&mut self) -> Vec<Traced> {
        Pair::take_trace(self)
    }
}
