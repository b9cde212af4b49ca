//! What a frame carries.

/// What a frame carries. Its number is sent, and does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// Who is there, in which state.
    Hello = 1,
    /// From the next cycle on, both are in the cycle.
    Cut = 2,
    /// One channel's sample.
    Sample = 3,
    /// One channel's vote.
    Vote = 4,
    /// A block of memory.
    Block = 5,
    /// Which blocks arrived.
    Ack = 6,
    /// Asks for a block.
    Want = 7,
    /// A digest of some blocks, to be compared.
    Compare = 8,
    /// What came of the comparison.
    Same = 9,
    /// What a channel found when the votes differed.
    Evidence = 10,
    /// The cycle is settled, and with what.
    Settled = 11,
    /// How an upgrade stands on the sender's side.
    Upgrade = 12,
    /// From this cycle on the outputs are the receiver's.
    HandOver = 13,
    /// What the user sends.
    Parcel = 14,
    /// What is ordered on the sender's side, and its answer to the receiver's order.
    Order = 15,
    /// Reserved: an operation on a bus that both channels compare before one does it.
    Rendezvous = 16,
    /// Reserved: the exchange of nonces from which authenticated frames begin.
    Key = 17,
}

impl Kind {
    /// All kinds, in the order of their numbers, which begin at 1 and have no gap.
    pub const ALL: [Self; 17] = [
        Self::Hello,
        Self::Cut,
        Self::Sample,
        Self::Vote,
        Self::Block,
        Self::Ack,
        Self::Want,
        Self::Compare,
        Self::Same,
        Self::Evidence,
        Self::Settled,
        Self::Upgrade,
        Self::HandOver,
        Self::Parcel,
        Self::Order,
        Self::Rendezvous,
        Self::Key,
    ];

    /// Returns the kind of this number.
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Hello),
            2 => Some(Self::Cut),
            3 => Some(Self::Sample),
            4 => Some(Self::Vote),
            5 => Some(Self::Block),
            6 => Some(Self::Ack),
            7 => Some(Self::Want),
            8 => Some(Self::Compare),
            9 => Some(Self::Same),
            10 => Some(Self::Evidence),
            11 => Some(Self::Settled),
            12 => Some(Self::Upgrade),
            13 => Some(Self::HandOver),
            14 => Some(Self::Parcel),
            15 => Some(Self::Order),
            16 => Some(Self::Rendezvous),
            17 => Some(Self::Key),
            _ => None,
        }
    }

    /// Returns what a frame says that it is; `None` if it has no byte, another format or an unknown kind. Nothing else of it
    /// is looked at.
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        let first = frame.first().filter(|first| **first & super::OTHER_FORMAT == 0)?;
        Self::of_number(first >> 1)
    }

    /// Whether the kind has its place in the format and nothing that answers it yet.
    pub(super) const fn is_reserved(self) -> bool {
        matches!(self, Self::Rendezvous | Self::Key)
    }

    /// Whether the frame belongs to one pair of boots in one epoch.
    pub(super) const fn is_between_two_boots(self) -> bool {
        !matches!(self, Self::Hello | Self::Cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_that_of_its_place() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at + 1);
            assert_eq!(Kind::of_number(kind as u8), Some(kind));
        }
        assert_eq!((Kind::of_number(0), Kind::of_number(18)), (None, None));
        assert_eq!((Kind::of_frame(&[]), Kind::of_frame(&[0x82])), (None, None));
        assert_eq!(Kind::of_frame(&[0x03]), Some(Kind::Hello));
    }
}
