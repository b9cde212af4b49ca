//! What can go wrong, what a channel says of its own health, and what is kept of a vote.

bitflags::bitflags! {
    /// Faults seen in a cycle, or since they were last cleared.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Faults: u32 {
        /// Both channels voted on the same input and their outputs differ.
        const OUTPUT_DIVERGENCE = 1 << 0;
        /// Both channels voted on the same input and their states differ.
        const STATE_DIVERGENCE = 1 << 1;
        /// The channels' agreed inputs differ.
        const INPUT_DIVERGENCE = 1 << 2;
        /// A block of the checkpoint does not match its digest.
        const CHECKPOINT_DAMAGED = 1 << 3;
        /// The working state changed between vote and commit.
        const COMMIT_DAMAGED = 1 << 4;
        /// The peer was silent past the vote deadline.
        const PEER_SILENT = 1 << 5;
        /// The peer says by a fresh `Hello` that it has left the cycle.
        const PEER_LEFT = 1 << 6;
        /// The arbiter refused the outputs to this channel.
        const LEASE_REFUSED = 1 << 7;
        /// The arbiter took the outputs away from this channel.
        const LEASE_LOST = 1 << 8;
        /// The pair went on without this channel.
        const OVERTAKEN = 1 << 9;
        /// Both channels went on alone from one parent, so neither state contains the other: a
        /// person must decide. Seen by both. The one that serves goes on, the other stands by
        /// and is not copied over. Save of its `state()` what is needed, then call
        /// `discard_state` on it: it joins as an empty one.
        const SPLIT_BRAIN = 1 << 10;
        /// The peer runs another program, state layout or configuration.
        const PEER_DIFFERS = 1 << 11;
        /// An output does not fit the frame buffer, or cannot be encoded.
        const OUTPUT_TOO_LARGE = 1 << 12;
        /// A tracked write named memory outside of the state; it was not done.
        const STRAY_WRITE = 1 << 13;
        /// Flipped bits in memory were found, and mended: nothing to do, and not worth the
        /// first-fault record. The counters say where.
        const MEMORY_REPAIRED = 1 << 14;
        /// A block of memory is damaged beyond what this channel can mend by itself. In duplex
        /// no step is done until the block has come from the peer; if it does not, this channel
        /// leaves, the peer goes on, and it joins again. Alone it is the safe state. Look for
        /// the cause if it comes again.
        const MEMORY_DAMAGED = 1 << 15;
        /// The copy to a joining peer cannot end in time: see `copy_refused`. This channel serves
        /// on alone. Tried again after 100 seconds, by `retry_copy`, or at the peer's next boot.
        const COPY_REFUSED = 1 << 16;
        /// A copy came to nothing: the peer did not answer, or its memory did not have the digest
        /// in the end. It is begun again when the peer says that it is there. Also told
        /// before the fourth copy in a row, if each of three failed, or the pair was lost within
        /// 32 periods of it. From then on the pauses between copies grow, from two periods to
        /// 8,192 periods or 100 seconds, whichever is shorter. They shrink again while the pair
        /// stays together, and end with `retry_copy`.
        const COPY_FAILED = 1 << 17;
        /// The peer fell silent, and this channel has joined too short a time ago to own the
        /// outputs: it stands by.
        const ON_PROBATION = 1 << 18;
        /// The votes differed, both channels stand by their results, and nothing speaks against
        /// either; or the peer's evidence did not come in time. `Config::unattributed` decides.
        const UNATTRIBUTED = 1 << 19;
        /// This channel was found faulty: it leaves service and joins again as an empty one.
        const FAULTY = 1 << 20;
        /// The peer was found faulty: this channel goes on alone as soon as the arbiter lets it.
        const PEER_FAULTY = 1 << 21;
        /// A channel was found faulty too often: it is not let in again until `readmit`.
        const BARRED = 1 << 22;
        /// Votes were damaged on the way between the channels too often: look at transmitter, line
        /// and receiver. Nothing is excluded for it.
        const PATH_FAULTY = 1 << 23;
        /// The comparator did not report a difference that it was shown on purpose. This channel
        /// leaves service and joins again; ask for another test then, and replace it if that fails too.
        const PROOF_TEST_FAILED = 1 << 24;
        /// Control data of this channel was damaged and mended, or a copy of a sample.
        const CONTROL_REPAIRED = 1 << 25;
        /// The old version's state could not be taken over: this half goes back to that version. `upgrade` says why.
        const CANNOT_MIGRATE = 1 << 26;
        /// The new version drove, and its output was not alike to the old one's more often than allowed: the old one's was
        /// driven, and the outputs go back to it.
        const TRIAL_FAILED = 1 << 27;
        /// The arbiter cannot tell whether this channel owns, or denies it though it lets nobody newer through: the channel stays in service,
        /// and its outputs do not open meanwhile. After `Config::claim_limit` it stands by, and asks again with growing pauses.
        const LEASE_UNKNOWN = 1 << 28;
        /// The arbiter did not answer a claim within `Config::claim_limit`: the claim was withdrawn. An owner releases what is safe, one
        /// that had asked for a joiner goes on alone, and another channel stands by. It is asked again, with growing pauses.
        const LEASE_UNANSWERED = 1 << 29;
        /// Identities that contradict each other: another board says that it is this channel, and while it is heard this one does not
        /// start alone; or the peer has booted again with the nonce that it had. Give each board its own
        /// [`ChannelId`](crate::ChannelId), and each boot its own [`nonce`](crate::Config::nonce).
        const IDENTITY = 1 << 30;
        /// In duplex: a copy to the peer would be refused, since a cycle writes as many blocks as it may send, or more. See
        /// `copy_forecast`, and raise `copy_blocks`, before the peer has to join again.
        const COPY_FORECAST = 1 << 31;
    }
}

bitflags::bitflags! {
    /// What a channel says of its own health in a cycle. Should the votes differ, `SELF_TEST_FAILED` and
    /// `HARDWARE` are evidence against it; the others are for the record.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Health: u8 {
        /// `Program::self_test` failed.
        const SELF_TEST_FAILED = 1;
        /// Damaged memory was found, and mended.
        const MEMORY_REPAIRED = 2;
        /// The hardware reported an error, by the user's word: corrected ECC errors, a brown-out,
        /// a clock that failed over.
        const HARDWARE = 4;
        /// A copy of a sample, or control data, was damaged.
        const CONTROL_REPAIRED = 8;
    }
}

/// Shows flags by their names and encodes them as their number.
macro_rules! flags_are_named {
    ($flags:ident, $bits:ty) => {
        impl core::fmt::Display for $flags {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                bitflags::parser::to_writer(self, f)
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $flags {
            fn format(&self, f: defmt::Formatter<'_>) {
                let mut separator = "";
                for (name, _) in self.iter_names() {
                    defmt::write!(f, "{=str}{=str}", separator, name);
                    separator = " | ";
                }
            }
        }

        impl serde::Serialize for $flags {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.bits().serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $flags {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$bits>::deserialize(deserializer).map(Self::from_bits_retain)
            }
        }
    };
}
pub(crate) use flags_are_named;

flags_are_named!(Faults, u32);
flags_are_named!(Health, u8);

/// How many leading bytes of an output a [`VoteRecord`] keeps.
pub const OUTPUT_HEAD_BYTES: usize = 16;

/// What one channel voted for, as kept in the first-fault record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoteRecord {
    /// Digest of the agreed input the channel stepped on.
    pub input_digest: u32,
    /// Digest of the state after the step.
    pub state_digest: u32,
    /// Digest of the output's canonical bytes.
    pub output_digest: u32,
    /// Length of the output's canonical bytes.
    pub output_bytes: u16,
    /// The first canonical bytes of the output, filled up with zeros.
    pub output_head: [u8; OUTPUT_HEAD_BYTES],
}
