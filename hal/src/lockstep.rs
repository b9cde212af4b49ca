//! LOCKSTEP  the blocking run loop: paces, exchanges, votes.

mod upgrade;

use crate::clock::Clock;
use crate::link::Link;
use crate::mail::{Mail, NoMail};
#[cfg(feature = "defmt")]
use twinstep::Faults;
use twinstep::journal::Entry;
use twinstep::memory::Cells;
use twinstep::reintegrate::SendTime;
use twinstep::verdict::Unbound;
use twinstep::wire::{BufferTooSmall, MAX_FRAME_BYTES};
use twinstep::{Arbiter, ChannelId, Config, ConfigError, Health, MayUpgrade, Mode, NoUpgrades, Node, Program, Verdict};

/// One channel with its link and its arbiter.
///
/// `FRAME` bounds every frame: [`frame`](twinstep::frame) of the program at least, else this does not compile. Memory is best a
/// `&'static mut Memory`, which takes no flash.
///
/// The loop never ends because of the link: what goes wrong there is counted and is a lost
/// frame to the voter, which is what it is built for.
pub struct Lockstep<'m, P: Program, L, A, const FRAME: usize = MAX_FRAME_BYTES, U: MayUpgrade<P> = NoUpgrades> {
    node: Node<'m, P, FRAME, U>,
    link: L,
    arbiter: A,
    buffer: [u8; FRAME],
    link_errors: u32,
    period_us: u32,
    send_time: SendTime,
    /// Parcels that may still be sent in this cycle.
    parcels_left: u8,
    /// What is to be said against this channel in the next cycle.
    health: Health,
    #[cfg(feature = "defmt")]
    logged_mode: Option<Mode>,
}

/// Frames taken from the link, and given to it, before the cycle is looked at again, so that
/// neither a babbling peer nor a slow link can keep a deadline from being seen.
const FRAMES_AT_ONCE: usize = 8;

impl<'m, P, L, A, const FRAME: usize> Lockstep<'m, P, L, A, FRAME>
where
    P: Program,
    L: Link,
    A: Arbiter,
{
    /// Makes channel `me` on `memory`.
    ///
    /// # Errors
    /// [`ConfigError`] with the figures if the configuration cannot work.
    pub fn new<M>(me: ChannelId, memory: M, link: L, arbiter: A, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        Self::around(Node::new(me, memory, config)?, link, arbiter, &config)
    }
}

impl<'m, P, L, A, const FRAME: usize, U> Lockstep<'m, P, L, A, FRAME, U>
where
    P: Program,
    L: Link,
    A: Arbiter,
    U: MayUpgrade<P>,
{
    fn around(node: Node<'m, P, FRAME, U>, link: L, arbiter: A, config: &Config) -> Result<Self, ConfigError> {
        const {
            assert!(
                L::FRAME_BYTES >= FRAME || L::FRAME_BYTES >= MAX_FRAME_BYTES,
                "the link takes shorter frames than FRAME"
            )
        }
        if config.solo_boot_after_us.is_some() && arbiter.remembered().is_none() {
            return Err(ConfigError::SoloBootNeedsArbiter);
        }
        Ok(Self {
            node,
            link,
            arbiter,
            buffer: [0; FRAME],
            link_errors: 0,
            period_us: config.period_us,
            send_time: SendTime::NONE,
            parcels_left: 0,
            health: Health::empty(),
            #[cfg(feature = "defmt")]
            logged_mode: None,
        })
    }

    /// Runs one control cycle: waits for its start, samples, exchanges with the peer, votes.
    ///
    /// `sample` is called at the start of the cycle, so that what it reads is fresh. The
    /// verdict is there by the vote deadline, or when the arbiter has answered, and at the
    /// end of the period at the latest. So the call returns within two periods in every mode,
    /// also while starting, joining, standing by or safe, as long as `Link::send`, `sample`, the
    /// clock and the arbiter do not block. After `Event::Stalled` it may take a vote window more.
    /// A watchdog may be fed after the call; give it more time than that. `sample`
    /// is not called while this channel starts, joins or is in the safe state: it would keep it from the frames that it waits for. A sensor that fails is
    /// part of what is sampled: put a validity flag into the input, and let `agree` choose.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if the sample is longer than the [`Input`](Program::Input) says that it can be ([`Message`](twinstep::Message)); the cycle has not begun.
    pub fn cycle<C: Clock>(
        &mut self,
        clock: &mut C,
        sample: impl FnOnce() -> P::Input,
    ) -> Result<Verdict<'_, P::Output>, BufferTooSmall> {
        self.cycle_with(clock, sample, &mut NoMail)
    }

    /// As [`cycle`](Self::cycle), and carries parcels between the users of both halves.
    ///
    /// # Errors
    /// As for [`cycle`](Self::cycle).
    pub fn cycle_with<C: Clock, M: Mail>(
        &mut self,
        clock: &mut C,
        sample: impl FnOnce() -> P::Input,
        mail: &mut M,
    ) -> Result<Verdict<'_, P::Output>, BufferTooSmall> {
        // Between two cycles frames are still answered: the peer may lack the last vote.
        // No verdict can come of it, since none is due before `begin`.
        self.parcels_left = M::A_CYCLE;
        while clock.now() < self.node.next_start() {
            self.send_parcel(clock, mail)?;
            let _ = self.turn(clock, mail)?;
        }
        self.send_time.next_cycle();
        // Whatever begins, its verdict comes next.
        let _ = if self.node.wants_sample() {
            let sample = sample();
            self.node.begin(clock.now(), sample)?
        } else {
            self.node.begin_idle(clock.now())
        };
        let health = core::mem::take(&mut self.health);
        if !health.is_empty() {
            self.node.raise_health(health);
        }
        let verdict = loop {
            if let Some(verdict) = self.turn(clock, mail)? {
                break verdict;
            }
        };
        let verdict = verdict.bind(&self.arbiter);
        #[cfg(feature = "defmt")]
        log(&self.node, &mut self.logged_mode, &verdict);
        Ok(verdict)
    }

    /// Returns the core, to read its mode, `counters`, `first_fault`, `lost_events` and `buckets`, the
    /// `proof_test_age`, whether a channel `is_barred`, and on a donor how far its copy is
    /// (`copy_progress`), why it was refused (`copy_refused`), or, in duplex, that it would be
    /// (`copy_forecast`).
    pub fn node(&self) -> &Node<'m, P, FRAME, U> {
        &self.node
    }

    /// Hands out the oldest event that was not read yet, and forgets it. Read all of them after each
    /// cycle: few are kept.
    pub fn read_event(&mut self) -> Option<Entry> {
        self.node.read_event()
    }

    /// Notes what the hardware or the user's own checks say against this channel: evidence, should
    /// the votes of the next cycle differ.
    pub fn raise_health(&mut self, health: Health) {
        self.health |= health;
    }

    /// Asks for a proof test of the comparator in the next cycle that both channels vote in. Its
    /// result is an event, and if it fails a fault.
    pub fn request_proof_test(&mut self) {
        self.node.request_proof_test();
    }

    /// Asks for a proof test if the last one was so many seconds ago, or there was none since this channel's boot. Call it
    /// after each cycle; once a day, 86,400 seconds, is usual.
    pub fn request_proof_test_every(&mut self, seconds: u32) {
        self.node.request_proof_test_every(seconds);
    }

    /// Lets a channel take part again that was found faulty too often, and forgets what it was
    /// suspected of: it was repaired or replaced. To be called on the channel that serves, and on the
    /// other one if that has not been booted since.
    pub fn readmit(&mut self, channel: ChannelId) {
        self.node.readmit(channel);
    }

    /// Clears the record of the first fault, on purpose.
    pub fn clear_first_fault(&mut self) {
        self.node.clear_first_fault();
    }

    /// Raises [`copy_blocks`](twinstep::Config::copy_blocks) until this channel boots again; a lower value changes nothing. A refused copy is
    /// tried again. Call it on both channels when `node().copy_forecast()` is `Some`: either may become the donor.
    pub fn raise_copy_budget(&mut self, copy_blocks: u16) {
        self.node.raise_copy_budget(copy_blocks);
    }

    /// Lets the next copy begin at once, after a refused one (`COPY_REFUSED`) or in a pause between copies (`COPY_FAILED`).
    pub fn retry_copy(&mut self) {
        self.node.retry_copy();
    }

    /// Gives up the state of a channel that stands by, so that it joins as an empty one: a
    /// person's decision after a split brain. Returns whether it did.
    pub fn discard_state<C: Clock>(&mut self, clock: &mut C) -> bool {
        self.node.discard_state(clock.now())
    }

    /// Returns the arbiter.
    pub fn arbiter(&self) -> &A {
        &self.arbiter
    }

    /// Returns the link, to look at what only its own type knows.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// Returns the link, to change what only its own type can. Frames are the loop's.
    pub fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    /// Returns how many times the link reported an error.
    pub fn link_errors(&self) -> u32 {
        self.link_errors
    }

    /// Takes frames, looks at the cycle, sends what is due; waits if nothing came of it.
    fn turn<C: Clock, M: Mail>(
        &mut self,
        clock: &mut C,
        mail: &mut M,
    ) -> Result<Option<Unbound<P::Output>>, BufferTooSmall> {
        let mut calls = self.node.calls(clock.now());
        for _ in 0..FRAMES_AT_ONCE {
            match self.link.receive() {
                // A dropped frame is counted by the node.
                Ok(Some(frame)) => match calls.open_parcel(clock.now(), frame) {
                    Some(Ok(parcel)) => {
                        drop(calls); // the user may take time
                        mail.take(parcel);
                        calls = self.node.calls(clock.now());
                    }
                    Some(Err(_)) => {}
                    None => drop(calls.handle_frame(clock.now(), frame)),
                },
                Ok(None) => break,
                Err(error) => {
                    self.link_errors = self.link_errors.saturating_add(1);
                    self.link.recover(error);
                }
            }
        }
        let verdict = calls.poll_verdict(clock.now(), &mut self.arbiter).map(Verdict::unbind);
        for _ in 0..FRAMES_AT_ONCE {
            // A joiner's blocks take their time on a slow line: the next cycle comes first.
            let is_late = clock.now().shifted_us(self.send_time.longest_us()) >= calls.next_start();
            if is_late && calls.mode() == Mode::Donor {
                break;
            }
            let Some(length) = calls.poll_transmit(clock.now(), &mut self.buffer)? else { break };
            drop(calls); // while the frame goes out
            let is_sent = self.send(clock, length);
            calls = self.node.calls(clock.now());
            if !is_sent {
                break; // the next one would take its time as well: the cycle comes first
            }
        }
        let start = calls.next_start();
        let wakes_at = calls.poll_timeout().map_or(start, |timeout| timeout.min(start));
        drop(calls);
        if verdict.is_none() {
            clock.wait_until(wakes_at);
        }
        Ok(verdict)
    }

    /// Sends a parcel, if there is one, and time for it.
    fn send_parcel<C: Clock, M: Mail>(&mut self, clock: &mut C, mail: &mut M) -> Result<(), BufferTooSmall> {
        let is_late = clock.now().shifted_us(self.send_time.longest_us()) >= self.node.next_start();
        if self.parcels_left == 0 || is_late {
            return Ok(());
        }
        if let Some(length) = self.node.transmit_parcel(clock.now(), &mut self.buffer, |room| mail.give(room))? {
            self.parcels_left -= 1;
            self.send(clock, length);
        }
        Ok(())
    }

    /// Gives what is in the buffer to the link; whether it took it.
    fn send<C: Clock>(&mut self, clock: &mut C, length: usize) -> bool {
        let frame = self.buffer.get(..length).unwrap_or_default();
        let before = clock.now();
        // Until the vote is due, or until the next start: later there is something else to do.
        let ends_at = self.node.vote_deadline().unwrap_or(self.node.next_start());
        let left_us = ends_at.since_us(before);
        let within_us = if left_us > 0 { left_us.cast_unsigned() } else { self.period_us / 8 };
        let sent = self.link.send(frame, within_us);
        let is_sent = sent.is_ok();
        if let Err(error) = sent {
            self.link_errors = self.link_errors.saturating_add(1);
            self.link.recover(error);
        }
        self.send_time.took(clock.now().since_us(before));
        is_sent
    }
}

#[cfg(feature = "defmt")]
fn log<P: Program, const FRAME: usize, U: MayUpgrade<P>>(
    node: &Node<'_, P, FRAME, U>,
    logged_mode: &mut Option<Mode>,
    verdict: &Verdict<'_, P::Output>,
) {
    let faults = verdict.fault().unwrap_or_default();
    if !faults.is_empty() {
        defmt::warn!("{} in cycle {=u32}: {}", node.channel(), verdict.cycle().0, faults);
    }
    if let Some(found) = verdict.diagnosis() {
        defmt::warn!("{}: the votes differed: {}, {=str}", node.channel(), found, found.hint());
    }
    if let Some(refused) = node.copy_refused().filter(|_| faults.contains(Faults::COPY_REFUSED)) {
        defmt::warn!("{}: {}", node.channel(), refused);
    }
    if logged_mode.replace(verdict.mode()) != Some(verdict.mode()) {
        defmt::info!("{} in cycle {=u32}: now {}", node.channel(), verdict.cycle().0, verdict.mode());
    }
}
