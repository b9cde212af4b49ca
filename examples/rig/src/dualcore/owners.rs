//! Who drives, where no relay stands between the cores and the plant: each drive carries its epoch.

use twinstep::{ChannelId, Epoch};

/// Follows the epochs that reach the plant.
///
/// A core looks whether it owns and drives within one turn, and the turns of both cores come one after the other. So the
/// number of a drive's turn says whether it came before or after a claim.
#[derive(Default)]
pub(super) struct Owners {
    /// The newest epoch that drove, and in which turn first.
    newest: Option<(Epoch, u64)>,
}

impl Owners {
    /// Takes a drive of a turn; returns whether its core may have owned the outputs as it drove.
    pub(super) fn drives(&mut self, core: ChannelId, epoch: Epoch, turn: u64) -> bool {
        let Some((newest, since)) = self.newest.filter(|(newest, _)| epoch.counter() <= newest.counter()) else {
            self.newest = Some((epoch, turn));
            return epoch.owner() == core;
        };
        epoch.owner() == core && (epoch == newest || epoch.counter() < newest.counter() && turn < since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    /// Which of these drives are legitimate.
    fn judged<const N: usize>(drives: [(ChannelId, Epoch, u64); N]) -> [bool; N] {
        let mut owners = Owners::default();
        drives.map(|(core, epoch, turn)| owners.drives(core, epoch, turn))
    }

    #[test]
    fn epochs_follow_one_another_each_with_its_owner() {
        let (first, second, third) = (Epoch::new(1, A), Epoch::new(2, B), Epoch::new(5, B));
        assert_eq!(judged([(A, first, 1), (A, first, 9), (B, second, 20), (B, third, 30), (B, third, 31)]), [true; 5]);
    }

    #[test]
    fn an_older_epoch_that_drives_after_a_newer_one_is_a_second_owner() {
        let (first, second) = (Epoch::new(1, A), Epoch::new(2, B));
        assert_eq!(judged([(A, first, 1), (B, second, 20), (A, first, 21)]), [true, true, false]);
        // Heard later, but driven in an earlier turn.
        assert_eq!(judged([(B, second, 20), (A, first, 19)]), [true; 2]);
    }

    #[test]
    fn one_epoch_has_one_owner() {
        assert_eq!(judged([(A, Epoch::new(2, A), 1), (B, Epoch::new(2, B), 1)]), [true, false]);
        assert_eq!(judged([(A, Epoch::new(2, A), 1), (B, Epoch::new(2, A), 1)]), [true, false]);
        assert_eq!(judged([(A, Epoch::new(2, B), 1)]), [false], "not its own");
    }
}
