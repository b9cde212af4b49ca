//! What a reset chooses when something is wrong, and records over hundreds of changes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod board;

use board::device::{Action, Device, Off, layout};
use board::flash::{EFFECTS, Effect, Nor, PAGE, Stuck};
use board::pictures::{Inverted, Picture, picture};
use embedded_storage::nor_flash::NorFlash;
use twinstep_hal::images::{
    BootState, CannotChoose, FlashFault, HeaderError, Images, Layout, LayoutError, RecordsError, Refusal, Slot, Slots,
    choose,
};

const LAYOUT: Layout = layout(4);

/// A board on version 100.
fn board(actions: &[Action]) -> Device<4> {
    let mut device = Device::new(100, Off::Nothing);
    assert_eq!(device.run(actions), Ok(()));
    device
}

/// Returns what a reset chooses: slot, whether on trial, and why not another.
fn chosen(device: &mut Device<4>) -> (Slot, bool, Option<Refusal>) {
    device.flash.guarded.clear();
    let choice = choose(&mut device.flash, &LAYOUT, &Inverted).unwrap();
    (choice.slot, choice.is_on_trial, choice.passed_over)
}

#[test]
fn a_candidate_that_went_bad_after_the_mark_is_not_tried() {
    use Action::*;
    let mut device = board(&[Stage(101), Mark]);
    device.flash.bytes[LAYOUT.image(Slot::B) as usize] ^= 1;
    assert_eq!(chosen(&mut device), (Slot::A, false, Some(Refusal::Digest)));
    assert_eq!(device.status().state, BootState::Stable);
    // Another good image in its place is not the one that was marked.
    let mut device = board(&[Stage(101), Mark]);
    let Picture { header, payload } = picture(102);
    device.flash.bytes[LAYOUT.slot_b as usize..][..64].copy_from_slice(&header.encode());
    device.flash.bytes[LAYOUT.image(Slot::B) as usize..][..payload.len()].copy_from_slice(&payload);
    assert_eq!(chosen(&mut device), (Slot::A, false, Some(Refusal::OtherImage)));
}

#[test]
fn if_the_confirmed_image_went_bad_the_one_confirmed_before_is_booted() {
    use Action::*;
    let mut device = board(&[Stage(101), Mark, Reset, Confirm]);
    let mut floored = device.clone();
    device.flash.bytes[LAYOUT.slot_b as usize + 9] ^= 1;
    let (slot, is_on_trial, reason) = chosen(&mut device);
    assert_eq!((slot, is_on_trial), (Slot::A, false));
    assert!(matches!(reason, Some(Refusal::Header(HeaderError::Check { .. }))), "{reason:?}");
    assert_eq!(chosen(&mut device), (Slot::A, false, None), "and stays");
    // Not if it is below the floor.
    floored.run(&[RaiseFloor(101)]).unwrap();
    floored.flash.bytes[LAYOUT.image(Slot::B) as usize + 9] ^= 1;
    let other = Refusal::BelowFloor { version: 100, floor: 101 };
    let nothing = CannotChoose::NoImage { home: Slot::B, reason: Refusal::Digest, other };
    assert_eq!(choose(&mut floored.flash, &LAYOUT, &Inverted), Err(nothing));
    // And what was never confirmed is not booted in its place, whole as it is.
    let mut device = board(&[Stage(101)]);
    device.flash.bytes[LAYOUT.image(Slot::A) as usize] ^= 1;
    let nothing = CannotChoose::NoImage { home: Slot::A, reason: Refusal::Digest, other: Refusal::NoImageBefore };
    assert_eq!(choose(&mut device.flash, &LAYOUT, &Inverted), Err(nothing));
}

#[test]
fn a_trial_that_cannot_be_noted_does_not_begin() {
    use Action::*;
    let mut device = board(&[Stage(101), Mark]);
    // All flash operations fail from here on.
    for operations_done in 0..2 {
        let mut stuck = device.flash.clone();
        stuck.guarded.clear();
        let mut stuck = Stuck { flash: &mut stuck, operations_left: operations_done };
        let choice = choose(&mut stuck, &LAYOUT, &Inverted).unwrap();
        assert_eq!(choice.is_on_trial, operations_done > 0);
        assert_eq!(choice.slot, if operations_done > 0 { Slot::B } else { Slot::A });
        let noted = Refusal::Flash(FlashFault::Other);
        assert_eq!(choice.passed_over, (operations_done == 0).then_some(noted));
    }
    device.run(&[Reset]).unwrap();
    // The end of a trial that cannot be noted: the image before is booted, and changes nothing until it can.
    device.flash.guarded.clear();
    let choice = choose(&mut Stuck { flash: &mut device.flash, operations_left: 0 }, &LAYOUT, &Inverted).unwrap();
    assert_eq!((choice.slot, choice.passed_over), (Slot::A, Some(Refusal::Unconfirmed)));
    let mut slots = Slots::new(&mut device.flash, LAYOUT, Inverted, choice.slot).unwrap();
    let elsewhere = Refusal::Elsewhere { running: Slot::A, noted: Slot::B };
    assert_eq!(slots.confirm(), Err(elsewhere), "else the candidate would be confirmed, which does not run");
    assert_eq!(slots.begin(&picture(102).header), Err(elsewhere));
    assert_eq!(slots.status().map(|_| ()), Err(elsewhere));
}

#[test]
fn records_that_say_nothing_boot_nothing() {
    let mut blank = Nor::<4>::new(10);
    let records = |error| Err(CannotChoose::Records(error));
    assert_eq!(choose(&mut blank, &LAYOUT, &Inverted), records(RecordsError::Blank));
    let mut slots = Slots::new(&mut blank, LAYOUT, Inverted, Slot::A).unwrap();
    assert_eq!(slots.status().map(|_| ()), Err(Refusal::Records(RecordsError::Blank)));
    assert_eq!(slots.provision(), Err(Refusal::Header(HeaderError::Magic([0xFF; 4]))));

    let at = LAYOUT.records as usize;
    let good = board(&[]);
    for byte in at..at + 32 {
        let mut damaged = good.flash.clone();
        damaged.bytes[byte] ^= 4;
        assert_eq!(choose(&mut damaged, &LAYOUT, &Inverted), records(RecordsError::Damaged));
        assert!(Slots::new(&mut damaged, LAYOUT, Inverted, Slot::A).unwrap().provision().is_ok(), "once more");
        assert_eq!(choose(&mut damaged, &LAYOUT, &Inverted).unwrap().slot, Slot::A);
    }
    // A record of a later format, behind a good one.
    let mut unknown = good.flash.clone();
    let mut record = [7; 32];
    let check = twinstep::digest::Crc32c::new().with(&record[..28]).finish();
    record[28..].copy_from_slice(&check.to_le_bytes());
    unknown.write(LAYOUT.records + 32, &record).unwrap();
    let error = RecordsError::Unknown { sequence: 0x0707_0707 };
    assert_eq!(choose(&mut unknown, &LAYOUT, &Inverted), records(error));
    let mut slots = Slots::new(&mut unknown, LAYOUT, Inverted, Slot::A).unwrap();
    assert_eq!(slots.provision(), Err(Refusal::Records(error)));
}

#[test]
fn a_power_cut_in_the_factory_needs_another_go() {
    for at in 0..2 {
        for effect in EFFECTS {
            let mut device = board(&[]);
            let records = LAYOUT.records as usize;
            device.flash.bytes[records..].fill(0xFF);
            device.flash.operations = 0;
            device.flash.cut = Some((at, effect));
            assert!(device.slots().provision().is_err());
            device.flash.power_on();
            match choose(&mut device.flash, &LAYOUT, &Inverted) {
                Ok(choice) => assert_eq!((at, effect, choice.slot), (1, Effect::All, Slot::A)),
                Err(_) => assert!(device.slots().provision().is_ok()),
            }
            assert_eq!(chosen(&mut device), (Slot::A, false, None));
        }
    }
}

#[test]
fn a_layout_that_cannot_work_is_refused_everywhere() {
    let bad = Layout { slot_b: 0, ..LAYOUT };
    let mut flash = Nor::<4>::new(10);
    assert!(matches!(choose(&mut flash, &bad, &Inverted), Err(CannotChoose::Layout(LayoutError::Overlap { .. }))));
    assert!(Slots::new(&mut flash, bad, Inverted, Slot::A).is_err());
}

#[test]
fn the_pages_of_records_take_turns_over_hundreds_of_changes() {
    let mut device = board(&[]);
    let mut changes = 0;
    let mut firsts = std::collections::HashSet::new();
    for floor in 1..=80 {
        device.run(&[Action::RaiseFloor(floor)]).unwrap();
        device.run(&[Action::Upgrade(100 + floor), Action::Reset]).unwrap();
        changes += 9; // floor, header, three pages, end, mark, trial, confirm
        assert_eq!((device.running_version(), device.status().floor), (100 + floor, floor));
        let records = LAYOUT.records as usize;
        let sequence = |at: usize| u32::from_le_bytes(device.flash.bytes[at + 4..at + 8].try_into().unwrap());
        firsts.insert(sequence(records));
        firsts.insert(sequence(records + PAGE));
    }
    let highest = firsts.iter().filter(|first| **first != u32::MAX).max();
    println!("{changes} changes, {} pages filled, the last from record {highest:?}", firsts.len());
    assert!(firsts.len() > 70, "eight records to a page");
    assert!(highest.is_some_and(|first| *first > 600));
}

#[test]
fn the_simulated_flash_finds_what_must_not_be_done() {
    let mut flash = Nor::<4>::new(2);
    flash.write(0, &[0; 4]).unwrap();
    assert_eq!(flash.violation, None);
    flash.write(0, &[0; 4]).unwrap();
    assert!(flash.violation.take().is_some_and(|what| what.contains("twice")));
    flash.guarded.push(PAGE..PAGE + 1);
    flash.erase(0, PAGE as u32).unwrap();
    assert_eq!(flash.violation, None);
    flash.erase(PAGE as u32, 2 * PAGE as u32).unwrap();
    assert!(flash.violation.is_some());
    assert!(flash.write(2, &[0; 4]).is_err() && flash.write(4, &[0; 3]).is_err() && flash.erase(0, 4).is_err());
    flash.write(8, &[0x0F; 4]).unwrap();
    assert_eq!(flash.bytes[8], 0x0F);
    flash.cut = Some((flash.operations, Effect::Half));
    assert!(flash.write(16, &[0; 8]).is_err() && flash.is_off);
    assert_eq!(flash.bytes[16..24], [0, 0, 0, 0, 255, 255, 255, 255]);
}
