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
//! Every call does a bounded amount of work: at most two `step`s, two checks of all memory and two
//! rollbacks, when the peer is found faulty and its outputs are taken over in one go; `handle_frame`
//! a check of all memory and a rollback, at the `Cut` of a donor. A check takes about 330
//! instructions a block of 64 bytes on a Cortex-M3.

mod ballot;
mod boot;
mod calls;
mod case;
mod claim;
mod control;
mod copy;
mod cycle;
mod evidence;
mod examine;
#[cfg(feature = "sim")]
mod fingerprint;
mod handover;
#[cfg(feature = "sim")]
mod injected;
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
mod settings;
mod standing;
mod stepped;
mod suspicion;
mod takeover;
mod turn;
mod undertaking;
mod upgrade;

use crate::agree::Samples;
use crate::buckets::Buckets;
use crate::config::{Config, ConfigError};
use crate::fault::Faults;
use crate::ids::{ChannelId, Cycle, Epoch, Instant};
use crate::journal::{Counters, Entry, Event, FirstFault};
use crate::lease::Arbiter;
use crate::mechanism::{Mechanism, Mechanisms};
use crate::memory::Cells;
use crate::mirror::Mirror;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::verdict::{Outcome, Verdict};
use crate::vote::{self, Sealed};
use crate::wire::{BufferTooSmall, Keys, MAX_FRAME_BYTES, OVERHEAD_BYTES, VOTE_DIGEST_BYTES};
use crate::{canonical, wire};
use ballot::Ballot;
pub use calls::Calls;
use case::Case;
use control::Control;
use copy::Copying;
#[cfg(feature = "sim")]
use injected::Injected;
#[cfg(feature = "sim")]
pub use injected::Site;
#[cfg(feature = "sim")]
pub(crate) use injected::flip_value;
pub use may_upgrade::{MayUpgrade, NoUpgrades};
use meeting::Meeting;
use memory::Mending;
use outgoing::Outgoing;
use record::Record;
use schedule::Schedule;
use settings::Settings;
use stepped::Stepped;
use turn::Progress;
pub use upgrade::Upgrades;

/// One channel of the pair. `FRAME` is the size of its two vote buffers and bounds every
/// frame, at most 655 bytes.
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

    schedule: Schedule,
    outgoing: Outgoing,

    record: Record,
    case: Case,

    #[cfg(feature = "sim")]
    injected: Injected,
}

/// What a call of [`Node::begin`] began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Begun {
    /// A new cycle with the sample.
    New(Cycle),
    /// A held cycle goes on; it keeps its first sample and this one was not used.
    Continuing(Cycle),
    /// No cycle: the channel is not in service, and the sample was not used.
    Idle,
}

impl<'m, P: Program, const FRAME: usize> Node<'m, P, FRAME> {
    /// Starts a channel on zeroed memory.
    ///
    /// # Errors
    /// [`ConfigError`] with the figures if the configuration cannot work.
    pub fn new<M>(me: ChannelId, memory: M, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        Self::start(me, memory, config)
    }
}

impl<'m, P: Program, const FRAME: usize> Node<'m, P, FRAME, Upgrades<P>> {
    /// Starts a channel that can be upgraded while the other one serves. Both channels are of this kind, or none.
    ///
    /// # Errors
    /// As for [`new`](Node::new).
    pub fn with_upgrades<M>(me: ChannelId, memory: M, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        Self::start(me, memory, config)
    }
}

impl<'m, P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'m, P, FRAME, U> {
    fn start<M>(me: ChannelId, memory: M, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        config.check()?;
        config.check_copy(crate::memory::blocks::<P::State>() as u32)?;
        let safe_bytes = canonical::encoded_len(&P::SAFE).unwrap_or(usize::MAX - MAX_FRAME_BYTES);
        let longest = wire::LONGEST_HELLO_BYTES.max(wire::longest_block_bytes(size_of::<P::State>()));
        let evidence_bytes = OVERHEAD_BYTES + wire::EVIDENCE_BYTES + VOTE_DIGEST_BYTES + safe_bytes;
        let need_bytes = evidence_bytes.max(longest);
        let have_bytes = FRAME.min(MAX_FRAME_BYTES);
        if need_bytes > have_bytes {
            return Err(ConfigError::FrameTooSmall { need_bytes, have_bytes });
        }
        let control = Control::new(Settings::new(me, &config));
        Ok(Self {
            control,
            copies: [control; 2],
            mechanisms: Mechanisms::ALL_ON,
            mirror: Mirror::new(memory.try_into()?, P::init),
            meeting: Meeting::new(),
            samples: Samples::NONE,
            stepped: Stepped::NONE,
            my_vote: Ballot::NONE,
            peer_vote: Ballot::NONE,
            copying: Copying::default(),
            mending: Mending::default(),
            upgrade: U::NONE,
            drop_resend_at: Instant::from_micros(0),
            schedule: Schedule::default(),
            outgoing: Outgoing::default(),
            record: Record::new(),
            case: Case::NONE,
            #[cfg(feature = "sim")]
            injected: Injected::default(),
        })
    }

    /// Begins a cycle with this channel's sample, or goes on with a held one.
    /// Call it at [`next_start`](Self::next_start).
    ///
    /// # Errors
    /// [`BufferTooSmall`] if the sample does not fit a frame; nothing has begun.
    pub fn begin(&mut self, now: Instant, sample: P::Input) -> Result<Begun, BufferTooSmall> {
        self.mend_copies();
        self.within_at(now, |node| node.begin_slot(now, sample))
    }

    fn begin_slot(&mut self, now: Instant, sample: P::Input) -> Result<Begun, BufferTooSmall> {
        self.fits(&sample)?;
        self.schedule.open_slot(now, &self.control.config);
        U::slot_opens(self, now);
        self.copying.close();
        let is_between = !matches!(self.control.turn.progress(), Progress::Voted | Progress::Examined)
            || self.control.standing.mode() == Mode::Standby;
        if is_between && !self.is_landing() {
            self.scrub(now); // between two steps, and all the time while none are done
        }
        Ok(match (self.control.standing.mode(), self.control.turn.progress()) {
            (Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Standby, Progress::Settled) => {
                self.donor_begins_cycle(now);
                self.control.turn.begin();
                self.samples.advance();
                self.samples.fix(&sample);
                self.stepped.begin();
                self.schedule.open_cycle();
                if self.control.standing.mode().is_paired() {
                    self.outgoing.sample_is_new(now, &self.control.config);
                }
                Begun::New(self.control.turn.cycle())
            }
            // Without the peer's sample nothing was voted on this one: a younger one is better.
            // Once both are held, the agreed input stays, since the peer may have settled on it.
            (Mode::Standby, Progress::Sampled) if !self.samples.has_theirs() => {
                self.samples.fix(&sample);
                Begun::New(self.control.turn.cycle())
            }
            (Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Standby, _) => {
                if !self.mechanisms.on(Mechanism::FixedSample) {
                    self.samples.fix(&sample);
                }
                Begun::Continuing(self.control.turn.cycle())
            }
            (Mode::Starting | Mode::Joining | Mode::Safe, _) => Begun::Idle,
        })
    }

    /// Returns the verdict of the cycle begun last, once there is one.
    ///
    /// Steps, votes, commits and, past the deadline and the patience, asks `arbiter`.
    pub fn poll_verdict<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        self.within_at(now, |node| node.poll(now, arbiter))
    }

    fn poll<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        self.schedule.polled();
        let may_own = self.control.standing.mode().serves() && self.control.owns();
        // While a claim is on its way the arbiter may already be at the epoch claimed, and
        // so no longer confirm this one; its answer decides.
        let claims = self.control.claim.is_under_way() || self.has_let_go();
        if may_own && !claims && !self.confirmed(arbiter) {
            self.fault(Faults::LEASE_LOST);
            self.stand_by(now, ModeEvent::LeaseLost);
        }
        match self.control.standing.mode() {
            Mode::Starting => self.poll_starting(now, arbiter),
            Mode::Duplex => self.poll_duplex(now, arbiter),
            Mode::Trial => U::poll_trial(self, now, arbiter),
            Mode::Simplex => self.poll_simplex(now),
            Mode::Donor => self.poll_donor(now, arbiter),
            Mode::Joining => self.poll_joining(now),
            Mode::Standby => self.poll_standby(now, arbiter),
            Mode::Safe => self.slot_open().then(|| self.safe_verdict()),
        }
    }

    /// Returns the earliest time at which a poll can bring something new without a frame.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // What is known of the mode is in doubt: any call mends it.
        if self.has_sound_control() { self.next_poll() } else { Some(Instant::from_micros(0)) }
    }

    fn next_poll(&self) -> Option<Instant> {
        let waits = self.control.standing.mode().is_paired() && self.slot_open() && !self.control.turn.is_settled();
        [
            // A claim is made past the deadline, and has its own time.
            (waits && !self.control.claim.is_under_way()).then_some(self.schedule.deadline()),
            self.slot_open().then_some(self.schedule.next_start()),
            self.schedule.poll_again(),
            self.outgoing_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns when the next `begin` is due, steered so that both channels start together.
    pub fn next_start(&self) -> Instant {
        self.schedule.next_start()
    }

    /// Returns which channel this is.
    pub fn channel(&self) -> ChannelId {
        self.control.config.me()
    }

    /// Returns what the channel is doing.
    pub fn mode(&self) -> Mode {
        self.control.standing.mode()
    }

    /// Returns the lineage of the channel's state.
    pub fn epoch(&self) -> Epoch {
        self.control.standing.epoch()
    }

    /// Returns the cycle in progress, or the last one.
    pub fn cycle(&self) -> Cycle {
        self.control.turn.cycle()
    }

    /// Returns the last cycle if it is settled: nothing is in progress.
    pub fn settled_cycle(&self) -> Option<Cycle> {
        (self.control.turn.is_settled()).then_some(self.control.turn.cycle())
    }

    /// Returns whether the channel has no agreed state: it has committed no cycle since its
    /// boot, or is taking over the peer's state.
    pub fn is_empty(&self) -> bool {
        self.control.standing.is_empty()
    }

    /// Ends the channel and gives its memory back.
    pub fn into_memory(self) -> Cells<'m, P::State> {
        self.mirror.into_cells()
    }

    /// Returns the input that the last step used.
    pub fn agreed_input(&self) -> Option<&P::Input> {
        self.stepped.agreed()
    }

    /// Returns the state, as the last step left it.
    pub fn state(&self) -> &P::State {
        self.mirror.state()
    }

    /// Returns the digest of the last committed state.
    pub fn state_digest(&self) -> u32 {
        self.mirror.committed_digest()
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        self.record.counters()
    }

    /// Returns the record of what went wrong first.
    pub fn first_fault(&self) -> Option<&FirstFault> {
        self.record.first_fault()
    }

    /// Clears the record of the first fault, on purpose, so that the next one is kept.
    pub fn clear_first_fault(&mut self) {
        self.record.clear_first_fault();
    }

    /// Hands out the oldest event that was not read yet, and forgets it. The newest
    /// [`JOURNAL_ENTRIES`](crate::journal::JOURNAL_ENTRIES) are kept.
    pub fn read_event(&mut self) -> Option<Entry> {
        self.record.read_event()
    }

    /// Returns how many events were lost since nobody had read them.
    pub fn lost_events(&self) -> u32 {
        self.record.lost_events()
    }

    /// Returns how often whom was suspected of a transient fault lately.
    pub fn buckets(&self) -> Buckets {
        self.control.suspicion.buckets()
    }

    /// Switches one safety mechanism off, to show that a test notices.
    #[cfg(feature = "sim")]
    pub fn switch_off(&mut self, mechanism: crate::Mechanism) {
        self.mechanisms = Mechanisms::without(mechanism);
    }

    /// Returns the memory, to flip bits behind the mirror's back.
    #[cfg(feature = "sim")]
    pub fn memory(&mut self) -> &mut Mirror<'m, P::State> {
        &mut self.mirror
    }

    /// Whether a frame of the sample fits the buffers.
    fn fits(&self, sample: &P::Input) -> Result<(), BufferTooSmall> {
        let have_bytes = FRAME.min(MAX_FRAME_BYTES);
        let input_bytes = canonical::encoded_len(sample).unwrap_or(MAX_FRAME_BYTES);
        let need_bytes = OVERHEAD_BYTES + wire::SAMPLE_DIGEST_BYTES + input_bytes;
        if need_bytes > have_bytes { Err(BufferTooSmall { need_bytes, have_bytes }) } else { Ok(()) }
    }

    fn keys(&self) -> Keys {
        let nonces = self.control.config.me().in_order(self.control.config.nonce(), self.control.standing.peer_nonce());
        Keys { pair: self.control.config.pair(), epoch: self.link_epoch(), nonces }
    }

    fn slot_open(&self) -> bool {
        self.schedule.is_open()
    }

    fn confirmed<A: Arbiter>(&self, arbiter: &A) -> bool {
        !self.mechanisms.on(Mechanism::Lease)
            || arbiter.confirms(self.control.standing.epoch(), self.control.config.me())
    }

    /// Changes the mode if `event` does here; every `Hello` sent before is stale then.
    fn change_mode(&mut self, now: Instant, event: ModeEvent) -> bool {
        let Some(mode) = self.control.standing.mode().after(event) else { return false };
        U::leaves_mode(self);
        self.happened(Event::ModeChanged { from: self.control.standing.mode(), to: mode, because: event });
        self.control.standing.change_to(mode);
        self.meeting.mode_changed(); // who needs it in the next mode sets it anew
        self.control.claim.forget();
        self.outgoing.hello_at(now);
        if !mode.serves_alone() {
            // Alone it stays: no step is done on memory beyond repair, whoever joins meanwhile.
            self.mending.forget();
        }
        self.end_copy();
        self.record.count(|counters| &mut counters.mode_changes);
        true
    }

    /// Leaves service without having lost anything; an empty channel starts over instead, as does one
    /// that was found faulty: nobody is to go on from its state.
    fn stand_by(&mut self, now: Instant, event: ModeEvent) {
        let is_faulty = self.is_barred(self.control.config.me()) || self.is_condemned();
        self.change_mode(now, event);
        if self.control.standing.is_empty() || is_faulty {
            self.start_over(now);
        }
    }

    /// Latches the safe state.
    fn fatal(&mut self, now: Instant, faults: Faults) -> Verdict<P::Output> {
        self.fault(faults);
        self.change_mode(now, ModeEvent::Fatal);
        self.safe_verdict()
    }

    fn safe_verdict(&mut self) -> Verdict<P::Output> {
        let drives = !self.drives_as_owner() || self.control.owns();
        let safe = if drives { vote::safe::<P>(self.control.turn.cycle()) } else { None };
        let holder = self.drives_as_owner().then_some(self.control.config.me());
        self.verdict(Outcome::Safe, [None, safe], holder)
    }

    /// Closes the slot with a verdict.
    fn verdict(
        &mut self,
        outcome: Outcome,
        released: [Option<Sealed<P::Output>>; 2],
        holder: Option<ChannelId>,
    ) -> Verdict<P::Output> {
        self.schedule.close_slot();
        let (faults, diagnosis) = self.record.take_for_verdict();
        // Without the lease mechanism (a negative control) outputs open unconditionally.
        let holder = holder.filter(|_| self.mechanisms.on(Mechanism::Lease));
        let (mode, cycle, epoch, mechanisms) =
            (self.control.standing.mode(), self.control.turn.cycle(), self.control.standing.epoch(), self.mechanisms);
        Verdict { outcome, mode, cycle, epoch, faults, diagnosis, released, holder, mechanisms }
    }
}
