//! UPDATER  what the core asks of a half's images, done; what the images say, told to the core.

use crate::clock::Clock;
use crate::images::{ImageHeader, Images, Refusal};
use crate::link::Link;
use crate::lockstep::Lockstep;
use twinstep::upgrade::{Candidate, Duty, Retry, RunningImage};
use twinstep::{Arbiter, Program, Upgrades};

/// The images of one half and the core, brought together. [`begin`](Self::begin) before the first cycle, and
/// [`tend`](Self::tend) after each one.
///
/// ```
/// # use twinstep::{Arbiter, Program, Succession, Successor, Upgrades, wire::MAX_FRAME_BYTES};
/// # use twinstep_hal::{Clock, Link, Lockstep, Next, Outputs, Updater};
/// # use twinstep_hal::images::Images;
/// # fn firmware<P: Successor<Input = u8>>(
/// #     mut pair: Lockstep<'_, P, impl Link, impl Arbiter, MAX_FRAME_BYTES, Upgrades<P>>, mut clock: impl Clock, images: impl Images,
/// #     sample: impl Fn() -> u8, reset: impl Fn(), warn: impl Fn(twinstep_hal::images::Refusal),
/// # ) -> Result<(), twinstep::wire::BufferTooSmall> {
/// pair.succeed(Succession::new()); // of a program that is a `Successor`
/// let mut updater = Updater::new(images, 4096);
/// updater.begin(&mut pair).unwrap_or_else(&warn);
/// loop {
///     let verdict = pair.cycle(&mut clock, &sample)?;
///     // ... drive it ...
/// #   drop(verdict.release());
///     match updater.tend(&mut pair, &mut clock) {
///         Ok(Next::GoOn) => {}
///         Ok(Next::Reset) => return Ok(reset()), // the bootloader chooses
///         Err(refusal) => warn(refusal),
///     }
/// }
/// # }
/// ```
pub struct Updater<I> {
    images: I,
    /// Bytes of a candidate that are checked in a cycle.
    verify_bytes: u32,
    is_checked: bool,
}

/// What the firmware is to do after a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Next {
    /// The next cycle.
    GoOn,
    /// A reset: what is to boot is marked, and the other half has been told.
    Reset,
}

impl<I: Images> Updater<I> {
    /// Takes the images of this half. An image in the slot that does not run is looked at after a reset, so many bytes of
    /// it a cycle: as many as the time that a cycle leaves allows for, SHA-256 taking about 100 instructions a byte.
    pub const fn new(images: I, verify_bytes: u32) -> Self {
        Self { images, verify_bytes, is_checked: false }
    }

    /// Returns the images, to stage one.
    pub fn images(&mut self) -> &mut I {
        &mut self.images
    }

    /// Looks once more at the slot that does not run: an image was staged.
    pub fn staged(&mut self) {
        self.is_checked = false;
    }

    /// Tells the core what runs.
    ///
    /// # Errors
    /// [`Refusal`] if the records cannot be read. The core then takes the running image for one on trial: it
    /// is never confirmed, and no upgrade begins.
    pub fn begin<P, L, A, const FRAME: usize>(
        &mut self,
        pair: &mut Lockstep<'_, P, L, A, FRAME, Upgrades<P>>,
    ) -> Result<(), Refusal>
    where
        P: Program,
        L: Link,
        A: Arbiter,
    {
        let status = self.images.status();
        let (image, floor) = match status {
            Ok(status) if !status.is_on_trial() => (RunningImage::Confirmed, status.floor),
            Ok(status) => (RunningImage::OnTrial, status.floor),
            Err(_) => (RunningImage::OnTrial, u32::MAX),
        };
        pair.running_image(image, floor);
        status.map(|_| ())
    }

    /// Does what the core asks for, and looks at an image that was staged.
    ///
    /// # Errors
    /// [`Refusal`]: what the images did not do. The core has been told: a half that cannot restart joins again as it is.
    pub fn tend<P, L, A, C, const FRAME: usize>(
        &mut self,
        pair: &mut Lockstep<'_, P, L, A, FRAME, Upgrades<P>>,
        clock: &mut C,
    ) -> Result<Next, Refusal>
    where
        P: Program,
        L: Link,
        A: Arbiter,
        C: Clock,
    {
        let marked = match pair.duty() {
            None => return self.look(pair),
            Some(Duty::Confirm) => {
                self.images.confirm()?;
                pair.image_confirmed();
                return Ok(Next::GoOn);
            }
            Some(Duty::RaiseFloor) => {
                self.images.raise_floor(P::VERSION)?;
                pair.floor_raised();
                return Ok(Next::GoOn);
            }
            Some(Duty::RestartIntoNew) => match self.images.boot() {
                // It came back before it has looked at all of the image again: what was verified before a reset is forgotten.
                Err(Refusal::NotVerified) => match self.images.verify(self.verify_bytes) {
                    Ok(_) => return Ok(Next::GoOn),
                    Err(refusal) => Err(refusal),
                },
                marked => marked,
            },
            // One on trial is not booted again in any case.
            Some(Duty::RestartIntoOld) => self.images.revert().or_else(|refusal| {
                let is_on_trial = self.images.status().is_ok_and(|status| status.is_on_trial());
                if is_on_trial { Ok(()) } else { Err(refusal) }
            }),
        };
        if marked.is_err() {
            pair.restart_failed(clock, Retry::Never);
        }
        marked.map(|()| Next::Reset)
    }

    /// Checks another piece of what lies in the slot that does not run, and offers it if it is good.
    fn look<P, L, A, const FRAME: usize>(
        &mut self,
        pair: &mut Lockstep<'_, P, L, A, FRAME, Upgrades<P>>,
    ) -> Result<Next, Refusal>
    where
        P: Program,
        L: Link,
        A: Arbiter,
    {
        if self.is_checked {
            return Ok(Next::GoOn);
        }
        match self.images.verify(self.verify_bytes) {
            Ok(None) => {}
            Ok(Some(header)) => {
                self.is_checked = true;
                let floor = self.images.status()?.floor;
                let is_newer = header.program.version > P::VERSION;
                pair.offer_candidate(is_newer.then(|| candidate(&header, floor)));
            }
            Err(refusal) => {
                self.is_checked = true;
                pair.offer_candidate(None);
                return Err(refusal);
            }
        }
        Ok(Next::GoOn)
    }
}

/// Returns what the core has to know of an image.
fn candidate(header: &ImageHeader, floor: u32) -> Candidate {
    let (takes_version, takes_layout) = header.before.map_or((0, 0), |before| (before.version, before.layout));
    Candidate { version: header.program.version, takes_version, takes_layout, floor }
}
