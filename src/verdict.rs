//! VERDICT  what a cycle came to, and what may be driven of it.
//!
//! ```text
//! outcome    released by the owner     by the other (Drive::Owner)   by the other (Drive::Both)
//! Agreed     this cycle's output       nothing: hold                 this cycle's, unless late
//! Tried      this cycle's output       nothing: hold                 nothing: hold
//! Alone      this cycle's output       -                             -
//! TookOver   the dead owner's last cycle, unless proven driven; then this cycle's
//! Held       nothing: hold             nothing: hold                 nothing: hold
//! Waiting    nothing: out of service   nothing: out of service       nothing: out of service
//! Safe       the safe output           nothing                       the safe output
//! ```

use crate::diagnose::Diagnosis;
use crate::fault::Faults;
use crate::ids::{ChannelId, Cycle, Epoch};
use crate::lease::{Arbiter, Confirmation, Lease};
use crate::mechanism::Mechanisms;
use crate::mode::Mode;
use crate::vote::{Sealed, Voted};

/// What a cycle came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// Both channels voted equally.
    Agreed,
    /// Both versions of the program stepped; the owner releases one output.
    Tried,
    /// This channel serves alone.
    Alone,
    /// This channel took over in this cycle.
    TookOver,
    /// No result by the deadline: the last released output stays, the cycle goes on.
    Held,
    /// Not in service: starting, joining, or standing by.
    Waiting,
    /// In the safe state: the safe output is all that is released.
    Safe,
}

/// A verdict without its arbiter, for a run loop that keeps the arbiter in the same struct: nothing of it can be driven until it
/// is [bound](Self::bind) again.
#[doc(hidden)]
#[must_use = "the verdict holds the output to be driven"]
pub struct Unbound<O> {
    pub(crate) outcome: Outcome,
    pub(crate) mode: Mode,
    pub(crate) cycle: Cycle,
    pub(crate) epoch: Epoch,
    pub(crate) faults: Faults,
    pub(crate) diagnosis: Option<Diagnosis>,
    pub(crate) released: [Option<Sealed<O>>; 2],
    /// The channel the outputs are released through; `None`: no lease is needed.
    pub(crate) holder: Option<ChannelId>,
    pub(crate) mechanisms: Mechanisms,
}

impl<O> Unbound<O> {
    /// Binds it to the arbiter that it was polled with: whoever took it apart sees to that.
    pub fn bind(self, arbiter: &dyn Arbiter) -> Verdict<'_, O> {
        Verdict { unbound: self, arbiter }
    }
}

/// The result of one cycle, or of one deadline of it. It belongs to the arbiter that it was polled with: what it releases
/// opens under that one.
#[must_use = "the verdict holds the output to be driven"]
pub struct Verdict<'l, O> {
    unbound: Unbound<O>,
    arbiter: &'l dyn Arbiter,
}

impl<'l, O> Verdict<'l, O> {
    /// Returns what the cycle came to.
    pub fn outcome(&self) -> Outcome {
        self.unbound.outcome
    }

    /// Returns the mode the channel is in now.
    pub fn mode(&self) -> Mode {
        self.unbound.mode
    }

    /// Returns the cycle this is about.
    pub fn cycle(&self) -> Cycle {
        self.unbound.cycle
    }

    /// Returns the epoch the channel is in now.
    pub fn epoch(&self) -> Epoch {
        self.unbound.epoch
    }

    /// Returns the faults seen since the last verdict, if any.
    pub fn fault(&self) -> Option<Faults> {
        (!self.unbound.faults.is_empty()).then_some(self.unbound.faults)
    }

    /// Returns what came of it if the votes differed. After a transient fault the outcome is
    /// [`Outcome::Agreed`], as if nothing had happened.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        self.unbound.diagnosis
    }

    /// Hands out what may be driven, oldest first; nothing means: hold the last output. Each opens only while the arbiter
    /// confirms.
    pub fn release(self) -> Release<'l, O> {
        let Unbound { outcome, mode, epoch, released, holder, mechanisms, .. } = self.unbound;
        let lease = holder.map(|me| Lease { arbiter: self.arbiter, epoch, me });
        let is_out_of_service = matches!(mode, Mode::Starting | Mode::Joining | Mode::Standby);
        let under = |sealed: Sealed<O>| sealed.under(lease, mechanisms);
        Release {
            voted: released.map(|sealed| sealed.map(under)),
            lease,
            is_out_of_service,
            is_held: outcome == Outcome::Held,
        }
    }

    /// Takes it apart from its arbiter.
    #[doc(hidden)]
    pub fn unbind(self) -> Unbound<O> {
        self.unbound
    }
}

/// The outputs to be driven, oldest first: none (hold the last one), one, or two when a
/// takeover also drives the last cycle of the dead owner, which may not have done so.
#[must_use = "what is released must be driven"]
pub struct Release<'l, O> {
    voted: [Option<Voted<'l, O>>; 2],
    lease: Option<Lease<'l>>,
    is_out_of_service: bool,
    is_held: bool,
}

impl<O> Release<'_, O> {
    /// Whether the channel is starting, joining or standing by: actuators wired to it alone belong in
    /// their safe position, for it neither drives nor holds them.
    pub fn is_out_of_service(&self) -> bool {
        self.is_out_of_service
    }

    /// Whether the cycle is held: it has no result yet, and the last output stays.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether the arbiter confirms now that the outputs are this channel's: only then may it write to actuators that the other
    /// channel can write to as well, be it the safe output.
    pub fn owns(&self) -> bool {
        self.lease.is_some_and(|lease| lease.holds() == Confirmation::Yes)
    }

    /// Damages the values after the vote, for fault injection.
    #[cfg(feature = "sim")]
    pub fn damaged_by(self, damage: impl Fn(&mut O)) -> Self
    where
        O: serde::Serialize,
    {
        Self { voted: self.voted.map(|voted| voted.map(|voted| voted.damaged_by(&damage))), ..self }
    }
}

impl<'l, O> Iterator for Release<'l, O> {
    type Item = Voted<'l, O>;

    fn next(&mut self) -> Option<Voted<'l, O>> {
        let [first, second] = &mut self.voted;
        first.take().or_else(|| second.take())
    }
}
