//! What a campaign injects into and looks at. Plan, classes, classification and claims know a target by this only.

use crate::ids::ChannelId;
use crate::mode::Mode;
use crate::node::Site;
use crate::sim::{Broken, Disturbance, Failure, Moment, Report, Setup, Silence, Traced};
use fastrand::Rng;
use std::prelude::v1::*;

use super::done::Watched;
use super::fault::{Class, Upgrading};
use super::pace::Pace;

/// A pair that faults are injected into: simulated, emulated, or two boards on a table.
pub trait Target {
    /// Lets it run for so long, in microseconds of true time.
    fn run_us(&mut self, span_us: u64);

    /// Does this to it; false if there was nothing at that place, or it cannot be done to this target. An injection that did nothing
    /// counts as missed.
    fn act(&mut self, act: Act) -> bool;

    /// Looks at it.
    fn view(&self) -> View;

    /// Returns what it came to since it was made. Of what it cannot count a zero stands there.
    fn report(&self) -> Report;

    /// Looks into a pair at rest: whether both states are what the program makes of all inputs, and whether both memories are
    /// undamaged.
    fn inspect(&mut self) -> Inspection;

    /// Hands out what the program said as it panicked last.
    fn take_crash(&mut self) -> Option<String> {
        None
    }

    /// Hands out the first invariant that was broken since the last time.
    fn take_broken(&mut self) -> Option<Broken> {
        None
    }

    /// Keeps from now on what the channels do.
    fn trace(&mut self) {}

    /// Hands out what was kept.
    fn take_trace(&mut self) -> Vec<Traced> {
        Vec::new()
    }
}

/// Something that is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Flips a bit at this place now; the bit is taken modulo what there is.
    Flip(ChannelId, Site, usize),
    /// Flips it at this moment of the channel's next turn in which there is something at the place.
    FlipWithin(ChannelId, Moment, Site, usize),
    /// Flips a bit of the next output that the channel releases, between vote and actuator.
    SpoilOutput(ChannelId, usize),
    /// Stops the channel now.
    Stop(ChannelId, Failure),
    /// Stops it once it has sent so many bytes more.
    StopAtByte(ChannelId, u64, Failure),
    /// Does this to the next frame of the channel, or to its frames for a while.
    Disturb(ChannelId, Disturbance),
    /// Brings a frame to the peer once more that the channel sent so many frames ago.
    Replay(ChannelId, usize),
    /// Cuts the link, or heals it.
    Cut(bool),
    /// Lets the channel's clock run at this rate, in millionths, and jump by so many microseconds.
    Clock(ChannelId, i32, i64),
    /// Lets the channel misread so many times that the outputs are not its own.
    Misread(ChannelId, u32),
    /// Lets the channel read nothing so many times as it looks whether the outputs are its own.
    CannotTell(ChannelId, u32),
    /// Lets the arbiter answer no claim any more.
    Silence(Silence),
    /// Takes the channel's power away.
    Kill(ChannelId),
    /// Boots a channel that is off, or that was told to be barred, as a person would who has put a new one in its place.
    Replace(ChannelId),
    /// Boots a channel that is off.
    Restart(ChannelId),
    /// Ends every disturbance, and what was asked for and has not happened yet.
    Calm,
}

/// What a target is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// True time since it was made, in microseconds.
    pub elapsed_us: u64,
    /// The mode of A and B; `None` if it is off.
    pub modes: [Option<Mode>; 2],
    /// The cycle that A and B are in, or have settled last where that is all that is known; `None` if it is off.
    pub cycles: [Option<u32>; 2],
    /// Whether it has settled the cycle that reached the actuator last.
    pub rest: [bool; 2],
    /// Whether it hangs.
    pub hang: [bool; 2],
    /// Whether a bit is still to be flipped within its turn.
    pub flip_is_due: [bool; 2],
    /// Frames that it has sent and that can be replayed.
    pub frames_kept: [usize; 2],
    /// When its next cycle starts, from now, in microseconds.
    pub until_start_us: [Option<u64>; 2],
    /// Who owns the outputs.
    pub owner: Option<ChannelId>,
    /// The last cycle that reached the actuator.
    pub latest: u32,
}

impl View {
    /// Whether both serve together.
    pub fn is_in_duplex(&self) -> bool {
        self.modes == [Some(Mode::Duplex); 2]
    }

    /// Whether both serve together, and what they drove last is settled.
    pub fn is_at_rest(&self) -> bool {
        self.is_in_duplex() && self.rest == [true; 2]
    }

    /// Returns the mode of a channel.
    pub fn mode(&self, channel: ChannelId) -> Option<Mode> {
        let [a, b] = self.modes;
        if channel == ChannelId::A { a } else { b }
    }

    /// Whether a channel is in the safe state.
    pub fn is_safe(&self) -> bool {
        self.modes.contains(&Some(Mode::Safe))
    }
}

/// What is found in a pair at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Both states are what the program makes of all inputs.
    pub is_right: bool,
    /// Both memories are undamaged.
    pub is_sound: bool,
}

/// Makes targets: give it to [`Campaign::on`](super::Campaign::on).
///
/// A campaign still has a world of its own, from which it takes the figures of the program, and looks at a calm simulated pair first.
pub trait Bench: Sync {
    /// Makes a target in this configuration and lends it out. Several threads do so at once.
    ///
    /// # Errors
    /// A text that says why there is none.
    fn lend(&self, setup: &Setup, borrower: &mut dyn FnMut(&mut dyn Target)) -> Result<(), String>;

    /// Whether faults of this class can be injected into its targets.
    fn can(&self, class: &Class) -> bool {
        let _ = class;
        true
    }

    /// Injects a fault into an upgrade, for which there is a pair of its own; `None` if there is no other version to upgrade to.
    fn upgrade(&self, fault: Upgrading, rng: Rng, setup: &Setup, pace: &Pace, is_traced: bool) -> Option<Watched> {
        let _ = (fault, rng, setup, pace, is_traced);
        None
    }
}
