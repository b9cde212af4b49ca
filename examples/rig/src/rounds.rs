//! Rounds of death and return: the board that drives is killed, boots again, gets the state copied while the other
//! one serves, and once it may own again the other one is killed.

use fastrand::Rng;
use serde::Serialize;
use twinstep::ChannelId;

/// Cycles in duplex before the next kill, beside those of the probation.
const CALM_CYCLES: u32 = 2;
/// The pair settles before the first kill.
const FIRST_KILL: u32 = 20;

/// One round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    /// The board that was killed.
    #[serde(serialize_with = "name")]
    pub(crate) board: ChannelId,
    /// The first cycle that it did not complete.
    pub(crate) killed_in: u32,
    /// The last cycle before it was booted again.
    pub(crate) restarted_after: Option<u32>,
    /// The cycle in which both were in duplex again.
    pub(crate) duplex_in: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn name<S: serde::Serializer>(board: &ChannelId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(board)
}

/// What the rig is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Kill the board that drives, in this cycle.
    Kill {
        /// The cycle.
        in_cycle: u32,
    },
    /// Boot this board again.
    Restart(ChannelId),
}

enum Stage {
    InDuplex { kill_in: u32 },
    Armed,
    Dead { restart_after: u32 },
    Returning,
    Done,
}

/// Leads a run through its rounds.
pub(crate) struct Rounds {
    /// How many there are to be.
    count: usize,
    rng: Rng,
    stage: Stage,
    probation_cycles: u32,
    rounds: Vec<Round>,
}

impl Rounds {
    /// Leads through `count` rounds of boards with that probation.
    pub(crate) fn new(count: usize, seed: u64, probation_cycles: u16) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x0A11);
        let stage = Stage::InDuplex { kill_in: FIRST_KILL + rng.u32(0..8) };
        Self { count, rng, stage, probation_cycles: probation_cycles.into(), rounds: Vec::new() }
    }

    /// Returns what is due after cycle `latest`.
    pub(crate) fn next(&mut self, latest: u32, in_duplex: bool) -> Option<Act> {
        match self.stage {
            Stage::InDuplex { kill_in } if latest + 1 >= kill_in => {
                self.stage = Stage::Armed;
                Some(Act::Kill { in_cycle: kill_in })
            }
            Stage::Dead { restart_after } if latest >= restart_after => {
                self.stage = Stage::Returning;
                let round = self.rounds.last_mut()?;
                round.restarted_after = Some(latest);
                Some(Act::Restart(round.board))
            }
            Stage::Returning if in_duplex => {
                if let Some(round) = self.rounds.last_mut() {
                    round.duplex_in = Some(latest);
                }
                let calm = self.probation_cycles + CALM_CYCLES + self.rng.u32(0..4);
                let is_last = self.rounds.len() == self.count;
                self.stage = if is_last { Stage::Done } else { Stage::InDuplex { kill_in: latest + calm } };
                None
            }
            _ => None,
        }
    }

    /// Notes that the kill was done.
    pub(crate) fn killed(&mut self, board: ChannelId, killed_in: u32) {
        self.stage = Stage::Dead { restart_after: killed_in + self.rng.u32(1..5) };
        self.rounds.push(Round { board, killed_in, restarted_after: None, duplex_in: None });
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    pub(crate) fn into_rounds(self) -> Vec<Round> {
        self.rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    #[test]
    fn ten_rounds_and_no_kill_before_the_probation_is_over() {
        let mut rounds = Rounds::new(10, 1, 8);
        let (mut latest, mut dead, mut victim) = (0, None, A);
        let mut duplex_since = 0;
        while !rounds.is_done() {
            latest += 1;
            match rounds.next(latest, dead.is_none()) {
                Some(Act::Kill { in_cycle }) => {
                    assert!(in_cycle >= duplex_since + 8 + CALM_CYCLES && in_cycle > latest);
                    rounds.killed(victim, in_cycle);
                    (dead, victim) = (Some(victim), victim.other());
                }
                Some(Act::Restart(board)) => {
                    assert_eq!(dead.take(), Some(board));
                    duplex_since = latest + 1;
                }
                None => {}
            }
            assert!(latest < 1000);
        }
        let rounds = rounds.into_rounds();
        assert_eq!(rounds.len(), 10);
        assert!(rounds.iter().all(|round| round.duplex_in > round.restarted_after));
        assert_eq!((rounds[0].board, rounds[1].board), (A, B));
    }
}
