//! The images of a half, and the bootloader that chooses one: the model that MCUboot and embassy-boot share.

use super::Version;

/// One image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Which version it is of.
    pub version: Version,
    /// Its number.
    pub number: u32,
}

/// What a half boots: the stable image, unless another one is marked to be tried once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootloader {
    stable: Image,
    /// Booted at the next reset, and not again unless it is confirmed by then.
    marked: Option<Image>,
    running: Image,
    floor: u32,
}

impl Bootloader {
    /// Starts with one image, the old version of this number, confirmed.
    pub fn new(old_number: u32) -> Self {
        let stable = Image { version: Version::Old, number: old_number };
        Self { stable, marked: None, running: stable, floor: 0 }
    }

    /// A reset: returns the version that boots. A marked image that does not start falls back.
    pub fn choose(&mut self, candidate_starts: bool) -> Version {
        self.running = self.marked.take().filter(|_| candidate_starts).unwrap_or(self.stable);
        self.running.version
    }

    /// Marks the new version to be tried at the next reset; false if it may not be installed.
    pub fn mark(&mut self, number: u32) -> bool {
        let is_allowed = number >= self.floor;
        if is_allowed {
            self.marked = Some(Image { version: Version::New, number });
        }
        is_allowed
    }

    /// Lets the image before boot at the next reset; false if there is none any more.
    pub fn revert(&mut self) -> bool {
        self.marked = None;
        self.stable.version == Version::Old
    }

    /// Lets the running image boot from now on.
    pub fn confirm(&mut self) {
        self.stable = self.running;
    }

    /// Refuses images older than the running one from now on.
    pub fn raise_floor(&mut self) {
        self.floor = self.floor.max(self.running.number);
    }

    /// Whether the running image boots again after a reset.
    pub fn is_confirmed(&self) -> bool {
        self.stable == self.running
    }

    /// Returns the image that was booted last.
    pub fn running(&self) -> Image {
        self.running
    }

    /// Returns the image that boots after a reset that nothing was said before.
    pub fn stable(&self) -> Image {
        self.stable
    }

    /// Returns the oldest version that may be installed.
    pub fn floor(&self) -> u32 {
        self.floor
    }
}
