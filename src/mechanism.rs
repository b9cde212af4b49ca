//! The safety mechanisms by name, so that the simulator can switch one off.
//!
//! A test that passes with its mechanism switched off proves nothing. Without the
//! feature `sim` every mechanism is a constant `true` and none of this is in the image.

/// The switchable mechanisms: all on, unless a simulation switched one off.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Mechanisms {
    #[cfg(feature = "sim")]
    off: Option<Mechanism>,
}

/// Names a safety mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "sim"), allow(dead_code, unreachable_pub))]
pub enum Mechanism {
    /// Comparison of the two votes.
    Vote,
    /// The CRC of every frame.
    Crc,
    /// The exact match of the epoch.
    Epoch,
    /// The exact match of the phase.
    Phase,
    /// The freshness of a `Hello`: nonce and challenge echoed.
    Echo,
    /// The arbiter's word before a channel goes on alone and as an output is opened.
    Lease,
    /// Driving the dead owner's last cycle when it is not proven settled.
    Overdue,
    /// Keeping an agreed input final for a channel that then goes on alone.
    FinalInput,
    /// Checking some blocks of memory each cycle.
    Scrub,
    /// Sending a block again that was written after it was sent.
    Resend,
    /// Checking the copied state against its digest at the cut.
    CutDigest,
    /// Keeping a channel that has just joined from owning.
    Probation,
    /// Checking all of the checkpoint before it is rolled back to.
    Checkpoint,
    /// Stepping once more when the votes differ.
    Reexecution,
    /// Answering the evidence of a peer that lags behind with what this channel settled on.
    Settled,
    /// The digest that a voted output is checked against as it is opened.
    Seal,
    /// The second copy of each sample.
    Samples,
    /// The copies of this channel's control data.
    Control,
    /// Standing by when the pair goes on in a newer epoch.
    Overtaken,
    /// Numbering a claim above every epoch seen or issued.
    Numbers,
    /// Refusing a state that does not contain what this channel did alone.
    Fork,
    /// Joining only at a `Cut` for this boot and its newest challenge.
    CutNonce,
    /// Sending the vote again until the peer proves that it settled.
    VoteStays,
    /// Stepping again before going alone: nobody compared the first result.
    FirstResult,
    /// Going on at once when a joiner does not answer the cut.
    CutPatience,
    /// Keeping the first sample of a held cycle.
    FixedSample,
    /// Keeping a verdict against the peer, and claiming again at each deadline.
    KeptVerdict,
    /// Leaving when both sides' evidence is against this channel.
    LettingGo,
    /// A window of its own for the peer's evidence.
    EvidenceWindow,
    /// Driving the old version's output when the new one's is not alike.
    Trial,
    /// Letting go of the outputs before they are handed over.
    LetGo,
    /// Numbers of a trial by which both channels claim the same one when they find each other gone.
    TrialNumbers,
    /// Claiming late as the new version that does not own.
    OldFirst,
    /// Stepping twice in a trial, in which nobody can vouch for a channel but itself.
    StepTwice,
    /// Releasing no output that comes of too old a sample.
    Age,
    /// Giving the other channel another vote window after an own stall.
    Doubt,
    /// Withdrawing a claim that is not answered.
    ClaimLimit,
    /// Going on without a peer whose answers are late again and again.
    Tardy,
    /// Taking no single reading of the arbiter for the loss of the lease.
    Misread,
}

impl Mechanisms {
    pub(crate) const ALL_ON: Self = Self {
        #[cfg(feature = "sim")]
        off: None,
    };

    #[cfg(feature = "sim")]
    pub(crate) const fn without(mechanism: Mechanism) -> Self {
        Self { off: Some(mechanism) }
    }

    #[inline]
    #[cfg_attr(not(feature = "sim"), allow(clippy::unused_self))]
    pub(crate) fn on(self, mechanism: Mechanism) -> bool {
        #[cfg(feature = "sim")]
        return self.off != Some(mechanism);
        #[cfg(not(feature = "sim"))]
        {
            let _ = mechanism;
            true
        }
    }
}
