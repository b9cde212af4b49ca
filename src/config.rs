//! CONFIG  timing and policy of a pair, refused if it cannot work.

use crate::digest::ValueDigest;
use crate::ids::{ChannelId, PairId};
use crate::memory::MemoryMismatch;

/// Says which channel's voted outputs reach the actuators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Drive {
    /// Only the owner's: actuators are shared, and an arbiter guards them.
    Owner,
    /// Both channels': outputs are combined in hardware.
    Both,
}

/// Says what happens when the votes differ, both channels stand by their results after stepping once
/// more, and nothing speaks against either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unattributed {
    /// Both go to the safe state. Nothing wrong is ever driven.
    Safe,
    /// This channel goes on alone and the other one leaves, whichever is wrong, also if the peer's
    /// evidence did not come in time. If this one is wrong, wrong outputs are driven from then on,
    /// undetected, and the other one joins with the wrong state. For plants in which no output is
    /// worse than a wrong one.
    Prefer(ChannelId),
}

/// Timing and policy. Both channels need the same, except for [`nonce`](Self::nonce): a difference
/// in the timing of the cycle, the patience, the drive or what is done about divergences keeps them
/// from pairing; in the others it goes unnoticed, and it is the donor's `copy_` figures that count.
///
/// On a serial line a byte takes `10 / baud` seconds, a sample's frame the input's postcard
/// bytes + 18, a vote's the output's + 24, that of evidence the output's + 37. In a period, one after the other: two frames each
/// way and one step (within `vote_window_us`, with room for repetitions); then, if the peer
/// is silent, the arbiter's answer, a check of all state, one step more, and the drive.
/// No output is released that comes of a sample older than `(patience + 1) * period_us`, counted from its `begin`; the output of the cycle
/// before, which a survivor drives once more, may be a period older. One that is later, since the arbiter, the evidence or a
/// faulty owner took its time, or since this channel was not polled, is withheld: the next cycle has a younger sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Identity of the pair, any number; enters every CRC. Boards with the same identity *and*
    /// the same [`ChannelId`] drop each other's frames and never pair.
    pub pair: PairId,
    /// A number, not 0, that differs at every boot of this channel: from a random source, or
    /// a boot counter in non-volatile memory. It is how a peer's reboot is noticed and how
    /// frames from before it are told apart. It need not differ from the peer's.
    pub nonce: u32,
    /// Time from the start of a cycle to the start of the next.
    pub period_us: u32,
    /// Time from the start of a cycle to its vote deadline: for sample, step and vote, and, should
    /// the votes differ, for checking the checkpoint, rolling back, stepping once more and one more
    /// frame each way, if the fault is to be masked within the cycle. At least: sample's frame + step +
    /// vote's frame, then a check of all memory (320 instructions a block on a Cortex-M3) + rollback +
    /// step + `self_test` + evidence's frame; + `retransmit_us` if a lost frame is to be borne. Only the
    /// link's delay of these is checked. If it is too short for the part after the votes, a differing
    /// vote holds a cycle; and if the evidence is not there a window later, nobody can be blamed. What remains of the period is
    /// for the arbiter, the takeover and the drive.
    pub vote_window_us: u32,
    /// Time after which an unacknowledged frame is sent again.
    pub retransmit_us: u32,
    /// Time between two `Hello`s of a channel that is not in the cycle.
    pub hello_us: u32,
    /// Time a sample's frame takes from one channel to the other, with what the drivers add: twice it must fit the vote window, and three
    /// times the period.
    /// It is measured in duplex ([`timing`](crate::Node::timing)); until then this is what is reckoned with.
    pub link_delay_us: u32,
    /// Held cycles that are borne before the arbiter is asked. 0 takes over at the first
    /// missed deadline, so a link that is silent for a vote window costs the redundancy; on a
    /// line with bursts of that length take 1 or 2, and have the outputs hold as long.
    pub patience: u8,
    /// Periods after which a claim that the arbiter has not answered is withdrawn, one at least; an owner that the arbiter does not confirm for
    /// as long, without naming another one, stands by. Until then the outputs hold. Then the
    /// [fault](crate::Faults::LEASE_UNANSWERED) is told, and the arbiter is asked again after as many periods, and with pauses that double
    /// up to 32 times as many.
    pub claim_limit: u8,
    /// Which channel drives.
    pub drive: Drive,
    /// Blocks of memory checked each cycle: a flipped bit in memory that nobody uses meanwhile is
    /// found within `blocks / scrub_blocks` cycles. About 320 instructions a block on a Cortex-M3.
    pub scrub_blocks: u16,
    /// Blocks of memory, of 64 bytes, that a donor sends each cycle at most while the other
    /// channel joins: after the cycle's verdict, and only as long as a frame still gets through
    /// (`link_delay_us`) before the next start. A block takes 84 bytes on a serial line,
    /// 7.3 ms at 115200 baud, 0.9 ms at 921600. If not even one fits, the other channel never
    /// joins, and nothing here can see it: 115200 baud needs cycles of 15 ms and more.
    pub copy_blocks: u16,
    /// How long a copy may take. In cycles it takes at most about `blocks / (copy_blocks - blocks written
    /// each cycle) + 1`, and more if frames are lost: 8 KiB, 3 sent, 1 written: 65 cycles. It is
    /// refused, with the figures, if after 8 cycles that estimate is above the limit or the blocks
    /// written are as many as those sent, and if for 64 cycles nothing was gained. This limit
    /// cannot be changed while the only channel with the state serves: choose it generously.
    pub copy_limit_ms: u32,
    /// Clean cycles of duplex, or of a trial, before a channel that has joined may own the outputs on the other
    /// one's silence; 0 lets it at once. Until then that one's silent death stops the outputs.
    /// What the other one says itself, that it is empty or stands by, always counts.
    pub probation_cycles: u16,
    /// What happens when nobody can say which channel is wrong.
    pub unattributed: Unattributed,
    /// Transient faults that are borne before the next one counts as lasting: with 3, the fourth. A
    /// channel that was suspected more often, by itself or by its comparator, leaves and is barred until
    /// [`readmit`](crate::Node::readmit); so is one that was excluded by evidence more often. Of the path
    /// between the channels it is only reported ([`PATH_FAULTY`](crate::Faults::PATH_FAULTY)). Counts and
    /// bars are in RAM: a reboot of both channels forgets them.
    pub transient_limit: u8,
    /// Time in duplex after which one transient fault is forgotten, rounded down to whole periods, one at least; 0: none ever is.
    pub transient_leak_ms: u32,
    /// Time without any frame of the peer, or of a board with this channel's name, after which an empty channel starts alone. Not less than
    /// `(patience + 2) * period_us`, nor than three times `hello_us`: else [`ConfigError::SoloBootTooSoon`]. It needs an arbiter with a memory.
    /// `None`: it waits for the peer.
    pub solo_boot_after_us: Option<u32>,
    /// Cycles that a new version is tried for before the outputs may be left to it.
    pub trial_cycles: u32,
    /// Cycles of a trial whose outputs may be not alike, counted anew once the new version drives. Once the new version drives, the old version's output is driven in
    /// each of them, and the next one ends the trial.
    pub trial_differences: u32,
}

impl Config {
    /// A starting point for a 115200 baud link: 100 ms cycles, votes due after 60 ms, no
    /// patience, driven by the owner. Set `pair` and `nonce`.
    pub const DEFAULT: Self = Self {
        pair: PairId(0),
        nonce: 0,
        period_us: 100_000,
        vote_window_us: 60_000,
        retransmit_us: 15_000,
        hello_us: 50_000,
        link_delay_us: 3_000,
        patience: 0,
        claim_limit: 10,
        drive: Drive::Owner,
        scrub_blocks: 4,
        copy_blocks: 4,
        copy_limit_ms: 3_600_000,
        probation_cycles: 8,
        unattributed: Unattributed::Safe,
        transient_limit: 3,
        transient_leak_ms: 3_600_000,
        solo_boot_after_us: None,
        trial_cycles: 1_000,
        trial_differences: 0,
    };

    /// Checks that the configuration can work.
    ///
    /// # Errors
    /// [`ConfigError`] with the figures that do not go together.
    pub const fn check(&self) -> Result<(), ConfigError> {
        let Self { period_us, vote_window_us, retransmit_us, hello_us, link_delay_us, .. } = *self;
        if self.nonce == 0 {
            return Err(ConfigError::NonceMissing);
        }
        if vote_window_us >= period_us {
            return Err(ConfigError::WindowExceedsPeriod { vote_window_us, period_us });
        }
        // Both frames must cross within the window: a sample there, a vote back.
        let exchange_us = link_delay_us.saturating_mul(2);
        if exchange_us >= vote_window_us {
            return Err(ConfigError::WindowTooShort { vote_window_us, exchange_us });
        }
        // The last block goes to the joiner and its acknowledgement comes back, and then the cut goes there, all in one period.
        if link_delay_us.saturating_mul(3) >= period_us {
            return Err(ConfigError::LinkTooSlow { link_delay_us, period_us });
        }
        if retransmit_us == 0 || retransmit_us >= vote_window_us {
            return Err(ConfigError::RetransmitOutsideWindow { retransmit_us, vote_window_us });
        }
        if self.claim_limit == 0 {
            return Err(ConfigError::ClaimLimitMissing);
        }
        if hello_us == 0 {
            return Err(ConfigError::HelloIntervalMissing);
        }
        // A channel that boots must not be faster than the survivor, which has the state, takes over.
        if let Some(solo_boot_after_us) = self.solo_boot_after_us {
            let takeover_us = period_us.saturating_mul(self.patience as u32 + 2);
            // Nor before it has heard another board of its own name twice.
            let hellos_us = hello_us.saturating_mul(3);
            let takeover_us = if takeover_us < hellos_us { hellos_us } else { takeover_us };
            if solo_boot_after_us < takeover_us {
                return Err(ConfigError::SoloBootTooSoon { solo_boot_after_us, takeover_us });
            }
        }
        // Spans are kept as signed 32-bit microseconds.
        if period_us > LONGEST_PERIOD_US {
            return Err(ConfigError::PeriodTooLong { period_us, longest_us: LONGEST_PERIOD_US });
        }
        Ok(())
    }

    /// Checks that a state of so many blocks can be copied and scrubbed.
    ///
    /// # Errors
    /// [`ConfigError`] with the figures that do not go together.
    pub const fn check_copy(&self, blocks: u32) -> Result<(), ConfigError> {
        if blocks > MOST_BLOCKS {
            return Err(ConfigError::StateTooLarge { blocks, most_blocks: MOST_BLOCKS });
        }
        if self.scrub_blocks == 0 {
            return Err(ConfigError::ScrubBudgetMissing);
        }
        if self.copy_blocks == 0 {
            return Err(ConfigError::CopyBudgetMissing);
        }
        // Even if nothing is written meanwhile.
        let need_cycles = blocks.div_ceil(self.copy_blocks as u32) + 1;
        let limit_cycles = self.cycles_in(self.copy_limit_ms);
        if need_cycles > limit_cycles {
            return Err(ConfigError::CopyTooSlow { blocks, copy_blocks: self.copy_blocks, need_cycles, limit_cycles });
        }
        Ok(())
    }

    /// Checks that the longest call of a node leaves enough of the vote window for the link, on a processor that takes `block_ns`
    /// nanoseconds for a block of 64 bytes: instructions * 1000 / MHz, at one instruction a clock.
    ///
    /// An examination looks at all blocks of the state, in one call. So do a takeover, and a joiner at its cut. The steps of the
    /// program that the same call does come on top. For each block an examination scrubs both copies and takes one back: 350
    /// instructions of a Cortex-M3 at opt-level s, 310 at 3 (`cargo rig measure`). A node has no clock to measure that: call this.
    ///
    /// ```
    /// use twinstep::{Config, ConfigError};
    /// // 64 KiB at 48 MHz, one instruction a clock: 7.5 ms of a window of 60.
    /// const CONFIG: Config = Config::DEFAULT;
    /// const _: () = assert!(CONFIG.check_calls(1_024, 7_300).is_ok());
    /// let too_slow = CONFIG.check_calls(1_024, 73_000);
    /// assert_eq!(too_slow, Err(ConfigError::CallTooLong { call_us: 74_752, left_us: 54_000 }));
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::CallTooLong`].
    pub const fn check_calls(&self, blocks: u32, block_ns: u32) -> Result<(), ConfigError> {
        let call_us = (blocks as u64 * block_ns as u64).div_ceil(1_000);
        let left_us = self.vote_window_us.saturating_sub(self.link_delay_us.saturating_mul(2));
        if call_us >= left_us as u64 {
            let call_us = if call_us < u32::MAX as u64 { call_us as u32 } else { u32::MAX };
            return Err(ConfigError::CallTooLong { call_us, left_us });
        }
        Ok(())
    }

    /// Returns how many whole periods so many milliseconds have.
    pub(crate) const fn cycles_in(&self, ms: u32) -> u32 {
        match (ms as u64 * 1_000).checked_div(self.period_us as u64) {
            Some(cycles) if cycles < u32::MAX as u64 => cycles as u32,
            _ => u32::MAX,
        }
    }

    /// Returns every how many cycles a transient fault is forgotten; 0: none is.
    pub(crate) const fn leak_cycles(&self) -> u32 {
        let cycles = self.cycles_in(self.transient_leak_ms);
        if cycles == 0 && self.transient_leak_ms > 0 { 1 } else { cycles }
    }

    /// Returns the hash of what both channels must have in common.
    pub(crate) fn hash(&self) -> u32 {
        let mut digest = ValueDigest::new();
        let preferred = match self.unattributed {
            Unattributed::Safe => 0,
            Unattributed::Prefer(ChannelId::A) => 2,
            Unattributed::Prefer(ChannelId::B) => 4,
        };
        let policy = u32::from(self.patience) << 8 | u32::from(matches!(self.drive, Drive::Owner)) | preferred;
        let limits = [self.transient_limit.into(), self.transient_leak_ms];
        for number in [self.period_us, self.vote_window_us, self.retransmit_us, policy].into_iter().chain(limits) {
            digest.extend(&number.to_le_bytes());
        }
        digest.finish()
    }
}

const LONGEST_PERIOD_US: u32 = 600_000_000;
/// Blocks are numbered by 16 bits on the link.
const MOST_BLOCKS: u32 = 1 << 16;

/// A configuration that cannot work, with the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConfigError {
    /// `nonce` is 0: give it a number that differs at every boot.
    NonceMissing,
    /// The vote deadline lies beyond the period: shorten the window.
    WindowExceedsPeriod {
        /// The window asked for.
        vote_window_us: u32,
        /// The period it must stay below.
        period_us: u32,
    },
    /// A sample and a vote cannot cross the link within the window.
    WindowTooShort {
        /// The window asked for.
        vote_window_us: u32,
        /// What the exchange takes at least.
        exchange_us: u32,
    },
    /// A channel could never join again: three frames, one after the other, do not cross the link within a period.
    LinkTooSlow {
        /// What a frame takes.
        link_delay_us: u32,
        /// The period that three of them must stay below.
        period_us: u32,
    },
    /// Frames would be sent again all the time, or not before the deadline.
    RetransmitOutsideWindow {
        /// The interval asked for; it may not be 0.
        retransmit_us: u32,
        /// The window it must stay below.
        vote_window_us: u32,
    },
    /// `claim_limit` is 0: no claim could be answered.
    ClaimLimitMissing,
    /// `hello_us` is 0.
    HelloIntervalMissing,
    /// Longer periods cannot be measured.
    PeriodTooLong {
        /// The period asked for.
        period_us: u32,
        /// The longest one.
        longest_us: u32,
    },
    /// The memory does not have the size of the state.
    Memory(MemoryMismatch),
    /// The arbiter cannot keep two channels apart that both start alone.
    SoloBootNeedsArbiter,
    /// A channel that boots would start alone before a survivor has taken over: the state would be lost.
    SoloBootTooSoon {
        /// The time asked for.
        solo_boot_after_us: u32,
        /// What a takeover may take, or three of `hello_us`, whichever is longer.
        takeover_us: u32,
    },
    /// `scrub_blocks` is 0: flipped bits would never be found.
    ScrubBudgetMissing,
    /// `copy_blocks` is 0: the other channel could never join.
    CopyBudgetMissing,
    /// A copy takes more cycles than the limit, even if nothing is written meanwhile.
    CopyTooSlow {
        /// Blocks of the state.
        blocks: u32,
        /// Blocks sent each cycle.
        copy_blocks: u16,
        /// Cycles the copy takes at least.
        need_cycles: u32,
        /// The limit.
        limit_cycles: u32,
    },
    /// The longest call takes so long that the peer takes this channel for a silent one.
    CallTooLong {
        /// What it takes.
        call_us: u32,
        /// What an exchange leaves of the vote window.
        left_us: u32,
    },
    /// The state has more blocks than can be numbered.
    StateTooLarge {
        /// Blocks of the state.
        blocks: u32,
        /// The most there can be.
        most_blocks: u32,
    },
}

impl From<MemoryMismatch> for ConfigError {
    fn from(mismatch: MemoryMismatch) -> Self {
        Self::Memory(mismatch)
    }
}

impl From<core::convert::Infallible> for ConfigError {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::NonceMissing => write!(f, "nonce is 0: give a number that differs at every boot"),
            Self::WindowExceedsPeriod { vote_window_us, period_us } => {
                write!(f, "vote window {vote_window_us} us is not below the period {period_us} us")
            }
            Self::WindowTooShort { vote_window_us, exchange_us } => {
                write!(f, "vote window {vote_window_us} us is not above the exchange's {exchange_us} us")
            }
            Self::LinkTooSlow { link_delay_us, period_us } => {
                write!(
                    f,
                    "three times the link's {link_delay_us} us is not below the period {period_us} us: no channel could join again"
                )
            }
            Self::RetransmitOutsideWindow { retransmit_us, vote_window_us } => {
                write!(f, "retransmit interval {retransmit_us} us is not within 1 to {vote_window_us} us")
            }
            Self::ClaimLimitMissing => write!(f, "claim limit is 0: no claim could be answered"),
            Self::HelloIntervalMissing => write!(f, "hello interval is 0"),
            Self::PeriodTooLong { period_us, longest_us } => {
                write!(f, "period {period_us} us is above {longest_us} us")
            }
            Self::Memory(MemoryMismatch { need_blocks, have_blocks }) => {
                write!(f, "the state takes {need_blocks} blocks, the memory has {have_blocks}")
            }
            Self::SoloBootTooSoon { solo_boot_after_us, takeover_us } => {
                write!(
                    f,
                    "solo boot after {solo_boot_after_us} us is sooner than a takeover or three hellos, which take {takeover_us} us"
                )
            }
            Self::SoloBootNeedsArbiter => {
                write!(f, "starting alone needs an arbiter that remembers who owns the outputs")
            }
            Self::ScrubBudgetMissing => write!(f, "scrub_blocks is 0: flipped bits would never be found"),
            Self::CopyBudgetMissing => write!(f, "copy_blocks is 0: the other channel could never join"),
            Self::CopyTooSlow { blocks, copy_blocks, need_cycles, limit_cycles } => write!(
                f,
                "copying {blocks} blocks, {copy_blocks} a cycle, takes {need_cycles} cycles; the limit is {limit_cycles}"
            ),
            Self::CallTooLong { call_us, left_us } => {
                write!(f, "the longest call takes {call_us} us, and an exchange leaves {left_us} us of the vote window")
            }
            Self::StateTooLarge { blocks, most_blocks } => {
                write!(f, "the state takes {blocks} blocks, more than {most_blocks}")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_with_its_figures() {
        let good = Config { nonce: 1, ..Config::DEFAULT };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(Config::DEFAULT.check(), Err(ConfigError::NonceMissing));
        assert_eq!(
            Config { vote_window_us: 100_000, ..good }.check(),
            Err(ConfigError::WindowExceedsPeriod { vote_window_us: 100_000, period_us: 100_000 })
        );
        assert_eq!(
            Config { link_delay_us: 30_000, ..good }.check(),
            Err(ConfigError::WindowTooShort { vote_window_us: 60_000, exchange_us: 60_000 })
        );
        for retransmit_us in [0, 60_000] {
            assert_eq!(
                Config { retransmit_us, ..good }.check(),
                Err(ConfigError::RetransmitOutsideWindow { retransmit_us, vote_window_us: 60_000 })
            );
        }
        assert_eq!(Config { hello_us: 0, ..good }.check(), Err(ConfigError::HelloIntervalMissing));
        assert!(matches!(Config { period_us: u32::MAX, ..good }.check(), Err(ConfigError::PeriodTooLong { .. })));
    }

    #[test]
    fn the_longest_call_stays_below_what_an_exchange_leaves() {
        let good = Config { nonce: 1, ..Config::DEFAULT };
        assert_eq!(good.check_calls(1_000, 53_999), Ok(()));
        for (blocks, block_ns, call_us) in [(1_000, 54_000, 54_000), (u32::MAX, u32::MAX, u32::MAX)] {
            let refused = good.check_calls(blocks, block_ns);
            assert_eq!(refused, Err(ConfigError::CallTooLong { call_us, left_us: 54_000 }));
        }
    }

    #[test]
    fn limits_are_times_whatever_the_period() {
        let ten_khz = Config { period_us: 100, ..Config::DEFAULT };
        assert_eq!((Config::DEFAULT.leak_cycles(), ten_khz.leak_cycles()), (36_000, 36_000_000));
        assert_eq!(Config { transient_leak_ms: 0, ..ten_khz }.leak_cycles(), 0);
        assert_eq!(Config { transient_leak_ms: 1, ..Config::DEFAULT }.leak_cycles(), 1, "shorter than a period");
        assert_eq!(Config { period_us: 0, ..Config::DEFAULT }.cycles_in(1), u32::MAX);
        assert_eq!(Config { period_us: 1, ..Config::DEFAULT }.cycles_in(u32::MAX), u32::MAX);
    }

    #[test]
    fn a_copy_that_cannot_end_in_time_is_refused_with_its_figures() {
        let good = Config { nonce: 1, copy_blocks: 8, copy_limit_ms: 900, ..Config::DEFAULT };
        assert_eq!(good.check_copy(64), Ok(()));
        assert_eq!(
            good.check_copy(65),
            Err(ConfigError::CopyTooSlow { blocks: 65, copy_blocks: 8, need_cycles: 10, limit_cycles: 9 })
        );
        assert_eq!(Config { copy_blocks: 0, ..good }.check_copy(1), Err(ConfigError::CopyBudgetMissing));
        assert_eq!(Config { scrub_blocks: 0, ..good }.check_copy(1), Err(ConfigError::ScrubBudgetMissing));
        assert!(matches!(good.check_copy(65_537), Err(ConfigError::StateTooLarge { .. })));
    }

    #[test]
    fn the_hash_covers_what_must_be_equal_and_not_the_nonce() {
        let good = Config { nonce: 1, ..Config::DEFAULT };
        assert_eq!(good.hash(), Config { nonce: 2, ..good }.hash());
        for other in [
            Config { period_us: 99_000, ..good },
            Config { vote_window_us: 50_000, ..good },
            Config { patience: 1, ..good },
            Config { drive: Drive::Both, ..good },
        ] {
            assert_ne!(good.hash(), other.hash());
        }
    }
}
