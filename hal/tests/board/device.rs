//! DEVICE  a board as its firmware drives it, and an oracle that knows what may be booted.

use super::flash::{Nor, PAGE};
use super::pictures::{Inverted, picture};
use twinstep_hal::images::{BootState, Images, Layout, Refusal, Slot, Slots, Status, choose};

/// The layout of all boards; with words of 8 bytes, the image has pages of its own.
pub(crate) const fn layout(write: usize) -> Layout {
    let page = PAGE as u32;
    let image_offset = if write == 8 { page } else { 64 };
    Layout { slot_a: 0, slot_b: 4 * page, slot_bytes: 4 * page, image_offset, records: 8 * page }
}

const PAGES: usize = 10;

/// What a board does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Stage(u32),
    Mark,
    Reset,
    Confirm,
    Revert,
    RaiseFloor(u32),
    /// Whatever it takes until this version is confirmed.
    Upgrade(u32),
}

/// A mechanism that is switched off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Off {
    Nothing,
    /// The check of a record.
    RecordCheck,
    /// The note that a trial begins.
    TrialNote,
    /// The note of a confirm.
    ConfirmNote,
    /// The note of a floor.
    FloorNote,
}

/// Why an action did not end.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    PowerCut,
    Broken(String),
}

#[derive(Clone)]
pub(crate) struct Device<const WRITE: usize> {
    pub(crate) flash: Nor<WRITE>,
    off: Off,
    running: (Slot, u32),
    is_on_trial: bool,
    /// The versions of which one is confirmed. Two only while a confirm or a revert is not certain.
    homes: Vec<u32>,
    /// The version before the confirmed one.
    before: Option<u32>,
    /// This one may be booted on trial, once.
    may_try: Option<u32>,
    /// The next reset has to.
    must_try: bool,
    floor_at_least: u32,
    floor_at_most: u32,
    /// Offsets at which a stage went on that were not 0.
    pub(crate) resumed: usize,
}

fn broken<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Broken(what.into()))
}

impl<const WRITE: usize> Device<WRITE> {
    pub(crate) const LAYOUT: Layout = layout(WRITE);

    /// A board from the factory, with `version` in slot A.
    pub(crate) fn new(version: u32, off: Off) -> Self {
        let mut flash = Nor::new(PAGES);
        let (header, payload) = (picture(version).header, picture(version).payload);
        flash.bytes[..64].copy_from_slice(&header.encode());
        flash.bytes[Self::LAYOUT.image(Slot::A) as usize..][..payload.len()].copy_from_slice(&payload);
        if off == Off::RecordCheck {
            flash.unchecked = Self::LAYOUT.records as usize..PAGES * PAGE;
        }
        Slots::new(&mut flash, Self::LAYOUT, Inverted, Slot::A).unwrap().provision().unwrap();
        let (running, homes, is_on_trial, before) = ((Slot::A, version), vec![version], false, None);
        let (may_try, must_try, floor_at_least, floor_at_most, resumed) = (None, false, 0, 0, 0);
        let mut device = Self {
            flash,
            off,
            running,
            is_on_trial,
            homes,
            before,
            may_try,
            must_try,
            floor_at_least,
            floor_at_most,
            resumed,
        };
        device.run(&[Action::Reset]).unwrap();
        device
    }

    pub(crate) fn slots(&mut self) -> Slots<&mut Nor<WRITE>, Inverted> {
        Slots::new(&mut self.flash, Self::LAYOUT, Inverted, self.running.0).unwrap()
    }

    pub(crate) fn status(&mut self) -> Status {
        self.slots().status().unwrap()
    }

    pub(crate) const fn running_version(&self) -> u32 {
        self.running.1
    }

    pub(crate) fn run(&mut self, actions: &[Action]) -> Result<(), Stop> {
        for action in actions {
            let done = self.act(*action);
            if let Some(violation) = &self.flash.violation {
                return broken(format!("{action:?}: {violation}"));
            }
            match done {
                Err(Stop::Broken(what)) => return broken(format!("{action:?}: {what}")),
                done => done?,
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), Stop> {
        let records = Self::LAYOUT.records as usize..PAGES * PAGE;
        let noted_before = self.flash.bytes[records.clone()].to_vec();
        let is_forgotten = match action {
            Action::Reset => {
                self.reset()?;
                self.off == Off::TrialNote && self.is_on_trial
            }
            Action::Stage(version) => {
                self.stage(version)?;
                false
            }
            Action::Mark => {
                self.mark()?;
                false
            }
            Action::Confirm => {
                self.confirm()?;
                self.off == Off::ConfirmNote
            }
            Action::Revert => {
                self.revert()?;
                false
            }
            Action::RaiseFloor(version) => {
                self.floor_at_most = version;
                let raised = self.slots().raise_floor(version);
                self.done(raised)?;
                self.floor_at_least = version;
                self.off == Off::FloorNote
            }
            Action::Upgrade(version) => {
                self.upgrade(version)?;
                false
            }
        };
        if is_forgotten {
            self.flash.bytes[records].copy_from_slice(&noted_before);
        }
        Ok(())
    }

    /// No refusal is expected; after a power cut nothing is.
    fn done<T>(&self, result: Result<T, Refusal>) -> Result<T, Stop> {
        match result {
            _ if self.flash.is_off => Err(Stop::PowerCut),
            Ok(done) => Ok(done),
            Err(refusal) => broken(format!("refused: {refusal}")),
        }
    }

    fn reset(&mut self) -> Result<(), Stop> {
        self.flash.guarded.clear();
        let must_try = std::mem::take(&mut self.must_try);
        let chosen = choose(&mut self.flash, &Self::LAYOUT, &Inverted);
        if self.flash.is_off {
            return Err(Stop::PowerCut);
        }
        let choice = match chosen {
            Ok(choice) => choice,
            Err(error) => return broken(format!("nothing to boot: {error}")),
        };
        let version = choice.header.program.version;
        let whole = picture(version);
        let image = &self.flash.bytes[choice.image as usize..][..whole.payload.len()];
        if image != whole.payload || choice.header != whole.header {
            return broken(format!("version {version} is booted and is not whole"));
        }
        if choice.is_on_trial {
            if self.may_try.take() != Some(version) {
                return broken(format!("version {version} is booted on trial without a mark, or twice"));
            }
        } else {
            if must_try {
                return broken(format!("version {:?} was marked and is not tried", self.may_try));
            }
            if !self.homes.contains(&version) {
                return broken(format!("version {version} is booted, confirmed is one of {:?}", self.homes));
            }
            self.homes = vec![version];
        }
        self.running = (choice.slot, version);
        self.is_on_trial = choice.is_on_trial;
        self.guard();
        let status = match self.slots().status() {
            Ok(status) => status,
            Err(refusal) => return broken(format!("no status: {refusal}")),
        };
        if !(self.floor_at_least..=self.floor_at_most).contains(&status.floor) {
            return broken(format!("floor {}, raised to {}", status.floor, self.floor_at_least));
        }
        self.floor_at_least = status.floor;
        if status.is_on_trial() != choice.is_on_trial {
            return broken(format!("{status:?} after {choice:?}"));
        }
        Ok(())
    }

    /// Guards what runs, and what a trial falls back to.
    fn guard(&mut self) {
        let range =
            |slot| Self::LAYOUT.slot(slot) as usize..(Self::LAYOUT.slot(slot) + Self::LAYOUT.slot_bytes) as usize;
        self.flash.guarded = vec![range(self.running.0)];
        if self.is_on_trial {
            self.flash.guarded.push(range(self.running.0.other()));
        }
    }

    fn stage(&mut self, version: u32) -> Result<(), Stop> {
        let new = picture(version);
        self.before = None;
        let mut slots = self.slots();
        let staged = (|| {
            let from = slots.begin(&new.header)?;
            let mut at = from;
            for chunk in new.payload[at as usize..].chunks(100) {
                at = slots.write(at, chunk)?;
            }
            while slots.verify(256)?.is_none() {}
            Ok(from)
        })();
        let from = self.done(staged)?;
        self.resumed += usize::from(from > 0 && (from as usize) < new.payload.len());
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Stop> {
        let candidate = self.candidate();
        let mut slots = self.slots();
        let marked = (|| {
            let header = loop {
                if let Some(header) = slots.verify(256)? {
                    break header;
                }
            };
            slots.boot().map(|()| header.program.version)
        })();
        // Also if power was cut: the mark may have been made.
        self.may_try = Some(candidate);
        self.may_try = Some(self.done(marked)?);
        self.must_try = true;
        Ok(())
    }

    /// The version that the header in the other slot has, power or not.
    fn candidate(&self) -> u32 {
        let at = Self::LAYOUT.slot(self.running.0.other()) as usize;
        u32::from_le_bytes(self.flash.bytes[at + 8..at + 12].try_into().unwrap())
    }

    fn confirm(&mut self) -> Result<(), Stop> {
        let old = self.homes.clone();
        if !self.homes.contains(&self.running.1) {
            self.homes.push(self.running.1);
        }
        let confirmed = self.slots().confirm();
        self.done(confirmed)?;
        self.homes = vec![self.running.1];
        self.before = old.first().copied().filter(|version| *version != self.running.1);
        self.is_on_trial = false;
        self.guard();
        Ok(())
    }

    fn revert(&mut self) -> Result<(), Stop> {
        let before = self.status();
        let returns = before.state == BootState::Stable;
        if let (true, Some(version)) = (returns, self.before) {
            self.homes.push(version);
        }
        self.must_try = false; // nor is it certain without, until it is done
        let mut slots = self.slots();
        let reverted = (|| {
            while returns && slots.verify(256)?.is_none() {}
            slots.revert()
        })();
        self.done(reverted)?;
        self.may_try = None;
        if let (true, Some(version)) = (returns, self.before) {
            self.homes = vec![version];
            self.before = Some(self.running.1);
        }
        Ok(())
    }

    fn upgrade(&mut self, version: u32) -> Result<(), Stop> {
        for _ in 0..6 {
            let status = self.slots().status();
            match self.done(status)?.state {
                BootState::Stable if self.running.1 == version => return Ok(()),
                BootState::Stable => self.run(&[Action::Stage(version), Action::Mark, Action::Reset])?,
                BootState::OnTrial if self.running.1 == version => self.run(&[Action::Confirm, Action::Reset])?,
                _ => self.run(&[Action::Reset])?,
            }
        }
        broken(format!("version {version} is not confirmed after six goes"))
    }
}
