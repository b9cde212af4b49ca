//! Who drives, where no relay stands between the cores and the plant: each drive carries its epoch.

use twinstep::{ChannelId, Epoch};

/// Follows the epochs that reach the plant.
///
/// The two field buses are read by turns, so what comes from both in neighbouring rounds has no order. What comes two
/// rounds later was not there when the earlier one had been read: it was driven after it.
#[derive(Default)]
pub(super) struct Owners {
    /// The newest epoch that drove, and the round in which it was first heard.
    newest: Option<(Epoch, u64)>,
}

/// Rounds within which the order of two drives is not known.
const UNORDERED_ROUNDS: u64 = 2;

impl Owners {
    /// Takes a drive heard in a round; returns whether its core may have owned the outputs as it drove.
    pub(super) fn drives(&mut self, core: ChannelId, epoch: Epoch, round: u64) -> bool {
        let Some((newest, since)) = self.newest.filter(|(newest, _)| epoch.counter() <= newest.counter()) else {
            self.newest = Some((epoch, round));
            return epoch.owner() == core;
        };
        let is_unordered = round < since + UNORDERED_ROUNDS;
        epoch.owner() == core && (epoch == newest || epoch.counter() < newest.counter() && is_unordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    /// Which of these drives are legitimate.
    fn judged<const N: usize>(drives: [(ChannelId, Epoch, u64); N]) -> [bool; N] {
        let mut owners = Owners::default();
        drives.map(|(core, epoch, round)| owners.drives(core, epoch, round))
    }

    #[test]
    fn epochs_follow_one_another_each_with_its_owner() {
        let (first, second, third) = (Epoch::new(1, A), Epoch::new(2, B), Epoch::new(5, B));
        assert_eq!(judged([(A, first, 1), (A, first, 9), (B, second, 20), (B, third, 30), (B, third, 31)]), [true; 5]);
    }

    #[test]
    fn an_older_epoch_that_drives_after_a_newer_one_is_a_second_owner() {
        let (first, second) = (Epoch::new(1, A), Epoch::new(2, B));
        assert_eq!(judged([(A, first, 1), (B, second, 20), (A, first, 22)]), [true, true, false]);
        // Heard at once: the older one may have driven first.
        assert_eq!(judged([(B, second, 20), (A, first, 20), (A, first, 21)]), [true; 3]);
    }

    #[test]
    fn one_epoch_has_one_owner() {
        assert_eq!(judged([(A, Epoch::new(2, A), 1), (B, Epoch::new(2, B), 1)]), [true, false]);
        assert_eq!(judged([(A, Epoch::new(2, A), 1), (B, Epoch::new(2, A), 1)]), [true, false]);
        assert_eq!(judged([(A, Epoch::new(2, B), 1)]), [false], "not its own");
    }
}
