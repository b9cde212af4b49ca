//! What can happen to a simulated pair. A new fault site is a line in [`Site`] and one in its conversion.

use super::Run;
use crate::seeded;
use twinstep::ChannelId;
use twinstep::sim::LinkFaults;
use twinstep::wire::Kind;

seeded! {
    /// One operation or fault.
    pub enum Operation {
        /// Lets so many periods pass, as far as there is fuel.
        Run { periods: u8 },
        /// Lets so many 256ths of a period pass.
        RunPart { part: u8 },
        /// Stops a channel dead.
        Kill { channel: Side },
        /// Stops a channel dead after so many more frames of both.
        KillAtFrame { channel: Side, frames: u8 },
        /// Boots a dead channel.
        Restart { channel: Side },
        /// Cuts the link.
        Cut {},
        /// Heals it.
        Heal {},
        /// Changes what the link does to frames.
        Change { weather: Weather },
        /// Loses the next frame of a kind.
        Lose { kind: FrameKind },
        /// Flips a bit in a channel: a value fault.
        Flip { channel: Side, site: Site, bit: u16 },
    }
}

seeded! {
    /// A channel.
    pub enum Side {
        /// Channel A.
        A,
        /// Channel B.
        B,
    }
}

seeded! {
    /// Where a bit is flipped: as in [`twinstep::Site`], whose lasting faults are left out.
    pub enum Site {
        /// In the next output, between step and vote.
        Output,
        /// In the working copy of the state.
        Working,
        /// In its checkpoint.
        Checkpoint,
        /// In the digest of a block or of the region.
        Digest,
        /// In the agreed input.
        AgreedInput,
        /// In the channel's own sample.
        MySample,
        /// In its spare copy.
        SpareSample,
        /// In the peer's sample.
        PeerSample,
        /// In the peer's sample of the next cycle.
        NextSample,
        /// In the channel's own vote.
        MyVote,
        /// In the peer's vote.
        PeerVote,
        /// In the last voted output.
        LastOutput,
        /// In the control data.
        Control,
        /// The same in the middle of a step.
        ControlInStep,
        /// In the marks of blocks.
        Marks,
        /// In where the scrub goes on.
        Scrub,
        /// In the times of the cycle.
        Times,
        /// In the books of a copy.
        Copying,
        /// The comparator sees a difference that is not there.
        Comparator,
    }
}

seeded! {
    /// What the link does.
    pub enum Weather {
        /// Nothing.
        Calm,
        /// Some frames are late, and so out of order, or come twice.
        Late,
        /// Some frames are lost.
        Lossy,
        /// All that links do, often.
        Noisy,
    }
}

seeded! {
    /// A kind of frame.
    pub enum FrameKind {
        /// `Hello`.
        Hello,
        /// `Cut`.
        Cut,
        /// `Sample`.
        Sample,
        /// `Vote`.
        Vote,
        /// `Block`.
        Block,
        /// `Ack`.
        Ack,
        /// `Evidence`.
        Evidence,
        /// `Settled`.
        Settled,
    }
}

impl Operation {
    pub(super) fn apply(self, run: &mut Run<'_>) {
        match self {
            Self::Run { periods } => {
                for _ in 0..run.burn(periods.into()) {
                    run.period();
                }
            }
            Self::RunPart { part } => {
                if run.burn(1) > 0 {
                    run.part_of_period(part);
                }
            }
            Self::Kill { channel } => {
                run.promise.second_fault(&run.pair);
                run.pair.kill(channel.into());
            }
            Self::KillAtFrame { channel, frames } => {
                run.promise.second_fault(&run.pair);
                let frame = run.pair.frames_sent() + 1 + u64::from(frames);
                run.promise.doomed_until = frame;
                run.pair.kill_at_frame(channel.into(), frame);
            }
            Self::Restart { channel } => run.pair.restart(channel.into()),
            Self::Cut {} => {
                run.promise.second_fault(&run.pair);
                run.promise.is_cut = true;
                run.pair.cut(true);
            }
            Self::Heal {} => {
                run.promise.second_fault(&run.pair); // what is in flight is lost
                run.promise.is_cut = false;
                run.pair.cut(false);
            }
            Self::Change { weather } => {
                run.promise.is_calm = weather == Weather::Calm;
                run.pair.set_link(weather.into());
            }
            Self::Lose { kind } => {
                run.promise.second_fault(&run.pair);
                run.pair.lose_next(kind.into());
            }
            Self::Flip { channel, site, bit } => {
                if let Some(node) = run.pair.node_mut(channel.into()) {
                    node.flip(site.into(), bit.into());
                    run.promise.value_fault();
                }
            }
        }
    }
}

impl From<Site> for twinstep::Site {
    fn from(site: Site) -> Self {
        match site {
            Site::Output => Self::Output,
            Site::Working => Self::Working,
            Site::Checkpoint => Self::Checkpoint,
            Site::Digest => Self::Digest,
            Site::AgreedInput => Self::AgreedInput,
            Site::MySample => Self::MySample,
            Site::SpareSample => Self::SpareSample,
            Site::PeerSample => Self::PeerSample,
            Site::NextSample => Self::NextSample,
            Site::MyVote => Self::MyVote,
            Site::PeerVote => Self::PeerVote,
            Site::LastOutput => Self::LastOutput,
            Site::Control => Self::Control,
            Site::ControlInStep => Self::ControlInStep,
            Site::Marks => Self::Marks,
            Site::Scrub => Self::Scrub,
            Site::Times => Self::Times,
            Site::Copying => Self::Copying,
            Site::Comparator => Self::Comparator,
        }
    }
}

impl From<Side> for ChannelId {
    fn from(side: Side) -> Self {
        match side {
            Side::A => Self::A,
            Side::B => Self::B,
        }
    }
}

impl From<Weather> for LinkFaults {
    fn from(weather: Weather) -> Self {
        let late_us = 120_000;
        match weather {
            Weather::Calm => Self::NONE,
            Weather::Late => Self { delay: 0.2, repeat: 0.2, late_us, ..Self::NONE },
            Weather::Lossy => Self { lose: 0.3, ..Self::NONE },
            Weather::Noisy => Self { late_us, ..Self::NOISY },
        }
    }
}

impl From<FrameKind> for Kind {
    fn from(kind: FrameKind) -> Self {
        match kind {
            FrameKind::Hello => Self::Hello,
            FrameKind::Cut => Self::Cut,
            FrameKind::Sample => Self::Sample,
            FrameKind::Vote => Self::Vote,
            FrameKind::Block => Self::Block,
            FrameKind::Ack => Self::Ack,
            FrameKind::Evidence => Self::Evidence,
            FrameKind::Settled => Self::Settled,
        }
    }
}
