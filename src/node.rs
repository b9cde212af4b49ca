//! NODE  one channel: composes all parts; the cycle reads here from top to bottom.
//!
//! Sans-IO. Give it time and frames, ask it what to send and what came of the cycle:
//!
//! ```text
//!              begin(now, sample)                 once a cycle, at next_start()
//!   link  ->   handle_frame(now, bytes)           for each frame, at any time
//!   link  <-   poll_transmit(now, buffer)         until None, after each call above and below
//!   user  <-   poll_verdict(now, arbiter)         after each call above, and at poll_timeout()
//! ```
//!
//! `poll_verdict` returns one verdict for each `begin`; until then `None` means: later.
//! Every call does a bounded amount of work. `poll_verdict` does the most: two `step`s, two checks of all memory and two
//! rollbacks, if it finds the peer faulty and takes its outputs over at once. `handle_frame` does one check of all memory and
//! one rollback, at the `Cut` of a donor. A check takes about 330 instructions a block of 64 bytes on a Cortex-M3.
//!
//! # Where to look
//!
//! This file is the plan: how a cycle begins (`begin`), which function looks at it in which mode (`poll`), and four tables: who gets
//! which frame (`hand_out`), in which order frames go out (`transmit_next`), when the next poll is due (`next_poll`), what ends
//! with a mode (`change_mode`). The other methods of a node are in the files of `src/node`:
//!
//! ```text
//! the plan
//!   receive        what is done with a Hello and with a frame of the cycle
//!   calls          several calls with one check of the control data
//!   seen           what a user reads and tells
//!   start          a node is made
//!
//! the conversation about a cycle
//!   cycle          agree, step, vote, commit, release; what a deadline leads to
//!   alone          the same without the peer, also as a donor
//!   examine        the votes differ: step once more, diagnose
//!   evidence       what both channels found is exchanged
//!   takeover       go on without the peer: the claim, its grant and its refusal
//!   outgoing       sample, vote and evidence are sent, and sent again
//!   upgrade/trial  the cycle of two versions
//!
//! the rooms: none calls another one, but `upgrade` calls `handover`
//!   boot           from two empty channels to duplex, or alone
//!   hello          what a channel says of itself outside of the cycle
//!   copy           the donor and the cut; copy/join: the joiner
//!   handover       the outputs change sides
//!   memory         scrub, and a block asked of the peer
//!   ballot         a vote as bytes
//!   proof          the comparator is shown differences
//!   parcel         what users send
//!   upgrade        two versions: orders, words, books; may_upgrade and hooks: what `U::` asks of it
//!
//! what they have in common
//!   closing        a slot gets its verdict
//!   ways           into a mode of service, and out of it
//!   lineage        the next epoch, and the question to the arbiter
//!   line           a frame to the peer
//!   control        three copies of the control data, compared before each call and renewed after it
//!   noting         faults and events
//!
//! the fields, each a file with moves of its own
//!   standing   mode, epoch, whether there is a state      turn          the cycle, and how far it is
//!   claim      the one claim on its way                   suspicion     buckets, who is barred, health
//!   settings   the configuration                          undertaking   the step of an upgrade
//!   (the six above are the control data, kept three times)
//!   meeting    handshake, boot, cut, who serves           case          the examined cycle
//!   stepped    agreed input, last output                  schedule      starts, deadlines, skew and delay
//!   record     faults, counters, journal                  time          the clock without its jumps
//!   silence    an arbiter that does not answer
//!
//! an epoch rises             in `standing`, by `adopt`: after a grant, as the peer's cut or frame says, or as A proposes at boot
//! the next number to claim   in `lineage`
//! the arbiter is asked       in `takeover`, `boot`, `copy` and `handover`, by `ask` of `lineage`; in `poll` whether it confirms
//! a claim is refused         by the arbiter (`src/lease.rs`); what follows is in the four files that ask
//! a block is sent again      in `copy`; which one, and when, says `src/reintegrate.rs`. One for a repair: in `memory`
//! a sample is sent again     in `outgoing`, by `resend`; so is a vote
//! ```
//!
//! A file calls only files of the groups below its own, and those of its conversation or its room; all may call `change_mode`.
//! `tests/layers/rooms.rs` has the exact order, and what each file may touch.

mod alone;
mod ballot;
mod boot;
mod calls;
#[cfg(feature = "sim")]
mod calm;
mod case;
mod claim;
mod closing;
mod control;
mod copy;
mod cycle;
mod evidence;
mod examine;
#[cfg(feature = "sim")]
mod fingerprint;
mod handover;
mod hello;
#[cfg(feature = "sim")]
mod injected;
#[cfg(feature = "sim")]
mod invariants;
mod line;
mod lineage;
mod may_upgrade;
mod meeting;
mod memory;
mod noting;
mod outgoing;
mod parcel;
mod proof;
mod receive;
mod record;
mod schedule;
mod seen;
mod settings;
mod silence;
mod standing;
mod start;
mod stepped;
mod suspicion;
mod takeover;
mod time;
mod turn;
mod undertaking;
mod upgrade;
mod ways;

use crate::agree::Samples;
use crate::ids::{Cycle, Epoch, Instant};
use crate::journal::Event;
use crate::lease::{Arbiter, Confirmation};
use crate::mechanism::{Mechanism, Mechanisms};
use crate::mirror::Mirror;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::verdict::{Unbound, Verdict};
use crate::wire::{
    AckPayload, BlockPayload, BufferTooSmall, ComparePayload, Cut, Header, Hello, Kind, MAX_FRAME_BYTES, OrderPayload,
    Payload, Reject, SamePayload, UpgradePayload, WantPayload,
};
use ballot::Ballot;
pub use calls::Calls;
use case::Case;
use control::Control;
pub use copy::CopyForecast;
use copy::Copying;
#[cfg(feature = "sim")]
use injected::Injected;
#[cfg(feature = "sim")]
pub use injected::Site;
#[cfg(feature = "sim")]
pub(crate) use injected::flip_value;
#[cfg(feature = "sim")]
pub use invariants::{Footing, Invariant};
use lineage::newest_of;
pub use may_upgrade::{MayUpgrade, NoUpgrades};
use meeting::Meeting;
use memory::Mending;
use outgoing::Outgoing;
use record::Record;
use schedule::Schedule;
use silence::Silence;
pub use start::frame;
use stepped::Stepped;
use time::Time;
use turn::Progress;
pub use upgrade::Upgrades;

/// One channel of the pair. `FRAME` bounds every frame, at most 655 bytes. It is the size of eight buffers: two votes, and three
/// samples in two copies each.
pub struct Node<'m, P: Program, const FRAME: usize = MAX_FRAME_BYTES, U: MayUpgrade<P> = NoUpgrades> {
    /// What must not change by itself.
    control: Control,
    /// Two copies of it.
    copies: [Control; 2],
    mechanisms: Mechanisms,
    mirror: Mirror<'m, P::State>,

    meeting: Meeting,

    samples: Samples<FRAME>,
    stepped: Stepped<P::Input, P::Output>,
    /// Stays until the peer proves that it settled: its sample of the next cycle, without
    /// which there is no next vote to overwrite this one.
    my_vote: Ballot<FRAME>,
    peer_vote: Ballot<FRAME>,

    copying: Copying,
    mending: Mending,
    upgrade: U,
    /// When the outputs that were let go are announced again.
    drop_resend_at: Instant,
    /// The epoch whose lease this channel held when it was polled last; the arbiter is told once it does not any more.
    leased: Epoch,
    /// The epoch of the claim that the arbiter may have granted.
    asked: Epoch,
    silence: Silence,
    /// What the arbiter remembered when a channel out of service was polled last.
    remembered: Epoch,

    time: Time,
    schedule: Schedule,
    outgoing: Outgoing,

    record: Record,
    case: Case,

    #[cfg(feature = "sim")]
    injected: Injected,
}

/// Returns the length of the first frame that is due.
macro_rules! first_due {
    ($($frame:expr),* $(,)?) => {{
        $(if let Some(length) = $frame? {
            return Ok(Some(length));
        })*
        Ok(None)
    }};
}

/// Returns the earliest of the times that there are. An array of them would be the largest thing on the stack of an idle turn.
macro_rules! earliest {
    ($($time:expr),* $(,)?) => {{
        let mut earliest: Option<Instant> = None;
        $(if let Some(time) = $time && earliest.is_none_or(|known| time < known) {
            earliest = Some(time);
        })*
        earliest
    }};
}

/// What a call of [`Node::begin`] began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a cycle that has no verdict yet begins no other one"]
pub enum Begun {
    /// A new cycle with the sample.
    New(Cycle),
    /// A held cycle goes on; it keeps its first sample and this one was not used.
    Continuing(Cycle),
    /// Nothing: the cycle begun last has no verdict yet. Its deadline stays, and this sample was not used. Poll at
    /// [`poll_timeout`](Node::poll_timeout), and begin again after the verdict.
    VerdictDue(Cycle),
    /// No cycle: the channel is not in service, and the sample was not used.
    Idle,
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Begins a cycle with this channel's sample, or goes on with a held one.
    /// Call it at [`next_start`](Self::next_start), once there is a verdict of the last one.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if the sample is longer than the [`Input`](Program::Input) says that it can be ([`Message`](crate::Message)); nothing has begun.
    pub fn begin(&mut self, now: Instant, sample: P::Input) -> Result<Begun, BufferTooSmall> {
        self.mend_copies();
        self.within_at(now, |node, now| node.begin_slot(now, sample))
    }

    /// Whether [`begin`](Self::begin) has a use for a sample: not while this channel starts, joins or is in the safe state.
    pub fn wants_sample(&self) -> bool {
        self.control.standing.mode().serves() || self.control.standing.mode() == Mode::Standby
    }

    /// As [`begin`](Self::begin), for a channel that [wants no sample](Self::wants_sample): one that takes its time would keep this channel
    /// from the frames that it waits for. Nothing begins if it does want one.
    pub fn begin_idle(&mut self, now: Instant) -> Begun {
        self.mend_copies();
        self.within_at(now, |node, now| {
            if !node.wants_sample() {
                node.open_slot(now);
            }
            Begun::Idle
        })
    }

    fn begin_slot(&mut self, now: Instant, sample: P::Input) -> Result<Begun, BufferTooSmall> {
        self.fits(&sample)?;
        if self.schedule.is_open() && !self.control.turn.is_settled() {
            return Ok(Begun::VerdictDue(self.control.turn.cycle()));
        }
        self.open_slot(now);
        Ok(self.begin_cycle(now, &sample))
    }

    fn open_slot(&mut self, now: Instant) {
        self.schedule.open_slot(now, &self.control.config);
        self.control.claim.slot_opens();
        self.silence.slot_opens(self.control.config.claim_limit());
        if self.control.standing.is_empty() && self.control.standing.mode().is_paired() {
            self.schedule.wait_for_first_cycle(now, &self.control.config);
        }
        U::slot_opens(self, now);
        self.copying.close();
        let is_between = !matches!(self.control.turn.progress(), Progress::Voted | Progress::Examined)
            || self.control.standing.mode() == Mode::Standby;
        if is_between && !self.is_landing() {
            self.scrub(now); // between two steps, and all the time while none are done
        }
    }

    fn begin_cycle(&mut self, now: Instant, sample: &P::Input) -> Begun {
        match (self.control.standing.mode(), self.control.turn.progress()) {
            (Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Standby, Progress::Settled) => {
                self.donor_begins_cycle(now);
                self.control.turn.begin();
                self.schedule.sampled();
                self.samples.advance();
                self.samples.fix(sample);
                self.stepped.begin();
                self.schedule.open_cycle();
                if self.control.standing.mode().is_paired() {
                    self.outgoing.sample_is_new(now, self.schedule.resend_us(&self.control.config));
                }
                Begun::New(self.control.turn.cycle())
            }
            // Without the peer's sample nothing was voted on this one: a younger one is better.
            // Once both are held, the agreed input stays, since the peer may have settled on it.
            (Mode::Standby, Progress::Sampled) if !self.samples.has_theirs() => {
                self.samples.fix(sample);
                self.schedule.sampled();
                Begun::New(self.control.turn.cycle())
            }
            (Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Standby, _) => {
                if !self.mechanisms.on(Mechanism::FixedSample) {
                    self.samples.fix(sample);
                }
                Begun::Continuing(self.control.turn.cycle())
            }
            (Mode::Starting | Mode::Joining | Mode::Safe, _) => Begun::Idle,
        }
    }

    /// Returns the verdict of the cycle begun last, once there is one.
    ///
    /// Steps, votes, commits and, past the deadline and the patience, asks `arbiter`. The verdict keeps `arbiter` borrowed: what
    /// is released asks the same arbiter before it opens.
    pub fn poll_verdict<'a, A: Arbiter>(&mut self, now: Instant, arbiter: &'a mut A) -> Option<Verdict<'a, P::Output>> {
        self.within_at(now, |node, now| node.poll(now, arbiter)).map(|verdict| verdict.bind(arbiter))
    }

    // In a run loop's turn this, the frames in and the frames out would share one large stack frame.
    #[inline(never)]
    fn poll<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        self.bound_times(now);
        self.schedule.polled();
        if self.control.standing.mode() == Mode::Safe {
            self.release_lease(arbiter); // the safe output is out
        }
        let serves = self.control.standing.mode().serves();
        if !serves {
            self.remembered = newest_of(arbiter);
        }
        let may_own = serves && self.control.owns();
        // While a claim is on its way the arbiter may already be at the epoch claimed, and
        // so no longer confirm this one; its answer decides.
        let claims = self.control.claim.is_under_way() || self.has_let_go();
        if may_own && !claims {
            match self.confirmation(arbiter) {
                Confirmation::Yes => self.silence.doubt_ends(),
                answer => self.lease_is_in_doubt(now, answer, arbiter),
            }
        } else {
            self.silence.doubt_ends(); // nobody looks
        }
        let mut verdict = match self.control.standing.mode() {
            Mode::Starting => self.poll_starting(now, arbiter),
            Mode::Duplex => self.poll_duplex(now, arbiter),
            Mode::Trial => U::poll_trial(self, now, arbiter),
            Mode::Simplex => self.poll_simplex(now),
            Mode::Donor => self.poll_donor(now, arbiter),
            Mode::Joining => self.poll_joining(now),
            Mode::Standby => self.poll_standby(now, arbiter),
            Mode::Safe => self.schedule.is_open().then(|| self.safe_verdict()),
        };
        if verdict.is_some() {
            self.schedule.concludes(now);
            self.time.cycle_ends();
        }
        if self.control.standing.mode() != Mode::Safe {
            self.release_lease(arbiter);
        }
        if let Some(verdict) = &mut verdict {
            self.withhold_stale(now, verdict);
        }
        verdict
    }

    /// Writes the next frame to be sent into the front of `buffer` and returns its length;
    /// `None` if nothing is due.
    ///
    /// # Errors
    /// [`BufferTooSmall`]: the frame stays due.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        self.within_at(now, |node, now| node.transmit_next(now, buffer))
    }

    /// Returns the earliest time at which a poll can bring something new without a frame.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // What is known of the mode is in doubt: any call mends it.
        if self.has_sound_control() { self.next_poll_on_clock() } else { Some(Instant::from_micros(0)) }
    }

    /// Returns when the next `begin` is due, steered so that both channels start together.
    pub fn next_start(&self) -> Instant {
        self.time.on_clock(self.schedule.next_start())
    }

    /// Returns when the vote of the cycle in progress is due; `None` if none is.
    pub fn vote_deadline(&self) -> Option<Instant> {
        let waits = self.control.standing.mode().is_paired() && !self.control.turn.is_settled();
        (waits && self.schedule.is_open()).then(|| self.time.on_clock(self.schedule.deadline()))
    }

    fn next_poll_on_clock(&self) -> Option<Instant> {
        self.next_poll().map(|at| self.time.on_clock(at))
    }

    // The four tables: who gets which frame, in which order frames go out, who wakes when, what ends with a mode.

    /// Gives a frame to whom it concerns.
    fn hand_out(&mut self, now: Instant, header: &Header, payload: &[u8]) -> Result<(), Reject> {
        match header.kind {
            Kind::Hello => self.handle_hello(now, &Hello::parse(payload)?),
            Kind::Cut => {
                let cut = Cut::parse(payload)?;
                if self.is_far_ahead(cut.epoch) {
                    return Err(Reject::Epoch);
                }
                match (self.control.standing.mode(), self.meeting.serving()) {
                    (Mode::Starting | Mode::Joining | Mode::Standby, Some(_)) => self.handle_joining_cut(now, &cut),
                    (Mode::Starting, None) => self.handle_first_cut(now, &cut),
                    _ => Err(Reject::Mode),
                }
            }
            Kind::Sample | Kind::Vote | Kind::Evidence | Kind::Settled => self.handle_cycle_frame(now, header, payload),
            Kind::Block if self.control.standing.mode() == Mode::Duplex => {
                self.handle_repair(now, &BlockPayload::parse(payload)?)
            }
            Kind::Block => self.handle_block(now, header, &BlockPayload::parse(payload)?),
            Kind::Ack => self.handle_ack(now, header, &AckPayload::parse(payload)?),
            Kind::Want => self.handle_want(&WantPayload::parse(payload)?),
            Kind::Compare => self.handle_compare(header, &ComparePayload::parse(payload)?),
            Kind::Same => self.handle_same(now, header, &SamePayload::parse(payload)?),
            Kind::Upgrade if U::IS_ON => U::handle_word(self, now, header.epoch, &UpgradePayload::parse(payload)?),
            Kind::Order if U::IS_ON => U::handle_order(self, now, &OrderPayload::parse(payload)?),
            Kind::HandOver if payload.is_empty() => self.handle_handover(header),
            Kind::HandOver => Err(Reject::Payload),
            // One without upgrades, and a parcel that `open_parcel` was not asked for.
            Kind::Upgrade | Kind::Order | Kind::Parcel => Err(Reject::Mode),
            Kind::Rendezvous | Kind::Key => Err(Reject::Unsupported),
        }
    }

    /// Writes the first frame that is due into the front of `buffer`.
    #[inline(never)]
    fn transmit_next(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let is_paired = self.control.standing.mode().is_paired();
        first_due![
            self.transmit_hello(now, buffer),
            self.transmit_cut(now, buffer),
            self.transmit_answers(buffer),
            if is_paired { Ok(None) } else { U::transmit(self, now, buffer) },
            self.transmit_copy(now, buffer),
            self.transmit_mending(now, buffer),
            self.transmit_handover(now, buffer),
            self.transmit_cycle(now, buffer),
            // In the cycle, samples and votes come before the words of an upgrade.
            if is_paired { U::transmit(self, now, buffer) } else { Ok(None) },
        ]
    }

    /// Returns the earliest time at which something is due.
    fn next_poll(&self) -> Option<Instant> {
        let waits =
            self.control.standing.mode().is_paired() && self.schedule.is_open() && !self.control.turn.is_settled();
        earliest![
            // A claim is made past the deadline, and has its own time.
            (waits && !self.control.claim.is_under_way()).then_some(self.schedule.deadline()),
            self.schedule.is_open().then_some(self.schedule.next_start()),
            self.schedule.poll_again(),
            self.hello_timeout(),
            self.resend_timeout(),
            self.cut_timeout(),
            self.copy_timeout(),
            self.mending_timeout(),
            self.handover_timeout(),
            U::timeout(self),
        ]
    }

    /// Changes the mode if `event` does here; every `Hello` sent before is stale then.
    fn change_mode(&mut self, now: Instant, event: ModeEvent) -> bool {
        let Some(mode) = self.control.standing.mode().after(event) else { return false };
        U::leaves_mode(self, mode);
        self.happened(Event::ModeChanged { from: self.control.standing.mode(), to: mode, because: event });
        self.control.standing.change_to(mode);
        self.meeting.mode_changed(); // who needs it in the next mode sets it anew
        self.control.claim.forget();
        self.silence.doubt_ends();
        self.outgoing.say_hello_at(now);
        if !mode.serves_alone() {
            // A channel that serves alone goes on wanting its block: it does no step on memory that is beyond repair.
            self.mending.forget();
        }
        self.end_copy();
        self.copying.again.mode_changed(now, mode.is_paired(), self.control.config.period_us());
        self.record.count(|counters| &mut counters.mode_changes);
        true
    }
}
