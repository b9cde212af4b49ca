//! IMAGES  a new program in flash: staged, verified, booted on trial, confirmed, or gone back from.
//!
//! There are two slots, each bootable in place. One holds the image that runs, the other takes the next one. The
//! trait [`Images`] is all that an upgrade asks for; [`Slots`] is an implementation over any [`NorFlash`], and
//! [`choose`] the decision which slot to boot. **This is no bootloader**: what runs at reset and jumps is yours. Let it
//! call [`choose`], or keep the bootloader that you have and implement [`Images`] with its own functions.
//!
//! ```text
//! header       the 64 bytes before an image
//! layout       where in flash the slots and the records are
//! record       the 32 bytes that say what is booted at the next reset
//! records      such records in two pages of flash, one after the other: the newest whole one counts
//! check        digest and signature of an image, a piece at a time
//! verifier     the hook for signatures
//! slots        the two slots, as the firmware uses them
//! choose       the decision at reset
//! transfer     an image from one half to the other, in small payloads
//! courier      the same, as the run loop's mail
//! ```
//!
//! # States
//!
//! ```text
//!            boot()            reset              confirm()
//!  Stable ----------> Marked ----------> OnTrial ----------> Stable, in the other slot
//!    ^ ^                |                 |   | revert()
//!    | +----------------+                 |   v
//!    |     revert()                       | Rejected
//!    +------------------------------------+---+
//!                      reset: the image before
//!
//!  Stable, after a confirm() -- revert() --> Returning -- reset --> Stable, in the slot before
//! ```
//!
//! A trial boot is noted in flash before it begins. So an image that is not confirmed runs once, whatever ended it.
//!
//! # With a bootloader that you have
//!
//! | here | MCUboot, direct-xip with revert | embassy-boot |
//! |---|---|---|
//! | [`begin`](Images::begin), [`write`](Images::write) | erase and write the slot that is not running (`flash_area_*`) | `prepare_update`, `write_firmware` |
//! | [`verify`](Images::verify) | `bootutil_img_validate`, or leave it to the reset | `hash`, or `verify_and_mark_updated` together with `boot` |
//! | [`boot`](Images::boot) | `boot_set_next(area of the slot that is not running, false, false)`; not `boot_set_pending_multi`, which always means the secondary slot | `mark_updated` |
//! | the trial begins | `copy_done` is set at the reset | the partitions are swapped; `get_state` gives `State::Swap` |
//! | [`confirm`](Images::confirm) | `boot_set_next(area of the running slot, true, true)`; not `boot_set_confirmed_multi`, which always means the primary slot | `mark_booted` |
//! | a reset without it | the unconfirmed image is erased, the other one is booted | swapped back; `State::Revert` |
//! | [`revert`](Images::revert) on trial | reset without a confirm; or erase the trailer, if it is only marked | reset without a `mark_booted` |
//! | a staged image that is not marked | erased at the next reset if its version is higher: write MCUboot's header last, in `boot` | stays |
//! | [`status`](Images::status) | `Marked`: the other slot's magic is good, `copy_done` unset; `OnTrial`: the running slot has `copy_done` and no `image_ok`; else `Stable` | `get_state`, and whether `mark_updated` was called |
//! | [`revert`](Images::revert) after a confirm | mark and confirm the other slot; direct-xip boots the higher version, so the old program has to be built again under a higher one | `mark_updated` again: the image before is in the DFU partition |
//! | [`raise_floor`](Images::raise_floor) | the security counter, which MCUboot raises as it confirms: switch that off and raise it here | none: keep it in a page of your own and refuse in `begin` |
//!
//! The rows follow those projects' documentation; no implementation for them is part of this crate. Where their header stands first,
//! keep the 64 bytes of [`ImageHeader`] elsewhere, MCUboot's in a protected TLV, and return them from `verify` and `status`.
//! They are written after linking, by a tool of yours: export `VERSION` and `LAYOUT` in a `#[used]` static and read them from the ELF.
//!
//! An image runs only at the address that it is linked for, unless the flash swaps banks or the bootloader swaps slots; no header
//! says which. If your halves run from different slots, build the image for both and stage each half's own.
//!
//! Two rules for any implementation. What is not known means *do not boot it*. And the floor goes up only when both
//! halves have committed to the new version; before that, one half would be shut out from going back.
//!
//! [`NorFlash`]: embedded_storage::nor_flash::NorFlash

mod check;
mod choose;
mod courier;
mod header;
mod layout;
mod record;
mod records;
mod refusal;
mod slots;
#[cfg(test)]
mod testing;
pub mod transfer;
mod verifier;

pub use choose::{CannotChoose, Choice, choose};
pub use courier::Courier;
pub use header::{Edition, HEADER_BYTES, HeaderError, ImageHeader};
pub use layout::{Layout, LayoutError, Part, Slot};
pub use record::BootState;
pub use records::RecordsError;
pub use refusal::{FlashFault, Refusal};
pub use slots::Slots;
pub use verifier::{DigestOnly, SIGNATURE_BYTES_AT_MOST, Verifier};

/// What an upgrade needs of a half's flash. Each call takes a bounded time.
///
/// A refused call has written nothing, except where flash itself failed: [`Refusal::Flash`]. All calls may be
/// repeated; one that has nothing left to do does nothing.
pub trait Images {
    /// Begins to stage an image, or goes on where it stopped, also after a power cut. Returns the offset to go on at:
    /// 0 for a new image, the whole length if nothing is missing.
    ///
    /// An image with another header begins anew and takes the place of the image in the slot that is not running.
    ///
    /// # Errors
    /// [`Refusal`]: no length or one that does not fit, a version below the floor, or a boot that is not settled.
    fn begin(&mut self, header: &ImageHeader) -> Result<u32, Refusal>;

    /// Adds bytes of the image, then of its signature, as one stream. Returns the offset to go on at.
    ///
    /// # Errors
    /// [`Refusal`]: another offset than the one to go on at, bytes past the end, or nothing begun. After
    /// [`Refusal::Flash`], [`begin`](Self::begin) again.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Refusal>;

    /// Checks what lies in the slot that is not running: header, floor, digest and signature. Reads at most
    /// `bytes_at_most` bytes of it, rounded up, and returns `None` as long as some are left: call it again.
    ///
    /// # Errors
    /// [`Refusal`] with the first thing that is wrong.
    fn verify(&mut self, bytes_at_most: u32) -> Result<Option<ImageHeader>, Refusal>;

    /// Marks the verified image: the next reset boots it, once, on trial.
    ///
    /// # Errors
    /// [`Refusal`]: not verified since it was written or since the reset, below the floor, or a boot that is not settled.
    fn boot(&mut self) -> Result<(), Refusal>;

    /// Makes the running image the one that stays. The image before is kept to go back to.
    ///
    /// # Errors
    /// [`Refusal`]: the image was rejected before, or another one is to be booted.
    fn confirm(&mut self) -> Result<(), Refusal>;

    /// Lets the next reset boot the image before: the mark is taken back, the trial has failed, or, after a
    /// [`confirm`](Self::confirm) and a [`verify`](Self::verify), the image before is confirmed once more.
    ///
    /// # Errors
    /// [`Refusal`]: there is none, it is not verified, or below the floor.
    fn revert(&mut self) -> Result<(), Refusal>;

    /// Refuses all versions below `version` from now on. Call it only after both halves have committed.
    ///
    /// The image that is confirmed runs on, whatever its version: a floor bricks nothing.
    ///
    /// # Errors
    /// [`Refusal`]: the floor is higher, or a boot is not settled.
    fn raise_floor(&mut self, version: u32) -> Result<(), Refusal>;

    /// Returns what runs, what comes next, and the floor.
    ///
    /// # Errors
    /// [`Refusal`] if the records cannot be read.
    fn status(&mut self) -> Result<Status, Refusal>;
}

/// How the images stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// The slot that runs.
    pub running: Slot,
    /// What the next reset does.
    pub state: BootState,
    /// The header of the image in the other slot, if it was verified since it was written or since the reset.
    pub candidate: Option<ImageHeader>,
    /// The next reset finds so many bytes of an image that is being staged.
    pub staged_bytes: u32,
    /// Versions below are refused.
    pub floor: u32,
}

impl Status {
    /// Whether the running image is on trial: a reset ends it unless it is confirmed.
    pub const fn is_on_trial(&self) -> bool {
        matches!(self.state, BootState::OnTrial)
    }
}
