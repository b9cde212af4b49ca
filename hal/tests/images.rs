//! What the firmware asks for and is refused, with which reason, and that nothing is written then.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod board;

use board::device::{Action, Device, Off, layout};
use board::flash::{Nor, Stuck};
use board::pictures::{Inverted, Picture, of_length, picture};
use twinstep_hal::images::{
    BootState, DigestOnly, Edition, FlashFault, HeaderError, ImageHeader, Images, Layout, Refusal, Slot, Slots,
    Verifier,
};

const LAYOUT: Layout = layout(4);
/// Bytes of a slot for image and signature.
const ROOM: u32 = LAYOUT.slot_bytes - LAYOUT.image_offset;

/// A board on version 100.
fn board(actions: &[Action]) -> Device<4> {
    let mut device = Device::new(100, Off::Nothing);
    assert_eq!(device.run(actions), Ok(()));
    device
}

/// Asserts that something is refused, that nothing is written, and that the board boots as before.
fn refused<T: std::fmt::Debug + PartialEq>(
    device: &mut Device<4>,
    refusal: Refusal,
    ask: impl FnOnce(&mut Slots<&mut Nor<4>, Inverted>) -> Result<T, Refusal>,
) {
    let (bytes, operations) = (device.flash.bytes.clone(), device.flash.operations);
    assert_eq!(ask(&mut device.slots()), Err(refusal));
    assert!(device.flash.bytes == bytes && device.flash.operations == operations, "written: {refusal}");
}

/// Stages without any check of the result.
fn pour<V: Verifier>(slots: &mut Slots<&mut Nor<4>, V>, header: &ImageHeader, payload: &[u8]) {
    let mut at = slots.begin(header).unwrap();
    for chunk in payload[at as usize..].chunks(61) {
        at = slots.write(at, chunk).unwrap();
    }
    assert_eq!(at, header.payload_length());
}

fn verified<V: Verifier>(slots: &mut Slots<&mut Nor<4>, V>) -> Result<ImageHeader, Refusal> {
    loop {
        if let Some(header) = slots.verify(256)? {
            return Ok(header);
        }
    }
}

#[test]
fn begin_refuses_what_cannot_be_an_image_here() {
    let good = picture(101).header;
    let mut device = board(&[Action::RaiseFloor(100)]);
    let mut begin = |header, refusal| refused(&mut device, refusal, |slots| slots.begin(&header));
    begin(ImageHeader { length: 0, ..good }, Refusal::Empty);
    let too_long = |need_bytes| Refusal::TooLong { need_bytes, have_bytes: ROOM };
    begin(ImageHeader { length: ROOM - 32, ..good }, too_long(ROOM + 1));
    begin(ImageHeader { length: u32::MAX, ..good }, too_long(u32::MAX));
    let signature = Refusal::SignatureTooLong { need_bytes: 385, have_bytes: 384 };
    begin(ImageHeader { length: 1, signature_length: 385, ..good }, signature);
    let old = ImageHeader { program: Edition { version: 99, layout: 1 }, ..good };
    begin(old, Refusal::BelowFloor { version: 99, floor: 100 });
    assert_eq!(device.slots().begin(&ImageHeader { length: ROOM - 33, ..good }), Ok(0), "it just fits");
}

#[test]
fn headers_that_are_none_are_refused() {
    assert_eq!(ImageHeader::parse(b"TWS"), Err(HeaderError::Truncated { have_bytes: 3 }));
    assert_eq!(ImageHeader::parse(&[0; 64]), Err(HeaderError::Magic([0; 4])));
}

#[test]
fn write_refuses_what_is_not_next() {
    let new = picture(101);
    let length = new.header.payload_length();
    let mut device = board(&[]);
    refused(&mut device, Refusal::NotBegun, |slots| slots.write(0, &[1]));
    let mut slots = device.slots();
    assert_eq!(slots.begin(&new.header), Ok(0));
    assert_eq!(slots.write(0, &new.payload[..100]), Ok(100));
    assert_eq!(slots.write(0, &[1]), Err(Refusal::Offset { expected: 100, given: 0 }));
    assert_eq!(slots.write(101, &[1]), Err(Refusal::Offset { expected: 100, given: 101 }));
    let past_end = Refusal::PastEnd { end: length + 1, length };
    assert_eq!(slots.write(100, &vec![0; length as usize - 99]), Err(past_end));
    assert_eq!(slots.write(100, &[]), Ok(100));
    // After a lost link it goes on; with another header it begins anew.
    assert_eq!(slots.begin(&new.header), Ok(100));
    assert_eq!(slots.verify(256), Err(Refusal::Truncated { have_bytes: 0, need_bytes: length }));
    assert_eq!(slots.begin(&picture(102).header), Ok(0));
    assert_eq!(slots.begin(&new.header), Ok(0));
}

#[test]
fn an_image_in_pieces_of_any_length_is_the_same() {
    for length in [1, 2, 63, 64, 65, 191, 192, 193, 255, 256, 257, 700, ROOM - 33] {
        for piece in [1, 3, 4, 61, 256, 300, 1_000] {
            let new = of_length(101, length);
            let mut device = board(&[]);
            let mut slots = device.slots();
            let mut at = slots.begin(&new.header).unwrap();
            for chunk in new.payload.chunks(piece) {
                at = slots.write(at, chunk).unwrap();
            }
            assert_eq!(slots.begin(&new.header), Ok(new.header.payload_length()), "nothing is missing");
            assert_eq!(verified(&mut slots), Ok(new.header), "{length} bytes by {piece}");
            let mut read = vec![0; new.payload.len()];
            slots.read(Slot::B, 0, &mut read).unwrap();
            assert!(read == new.payload);
            assert_eq!(device.flash.violation, None);
        }
    }
}

#[test]
fn reading_past_the_slot_is_refused() {
    let mut device = board(&[]);
    let (payload, mut slots) = (picture(100).payload, device.slots());
    for (offset, length) in [(0, 1), (1, 31), (5, 64), (31, 200), (600, 33)] {
        let mut read = vec![0; length];
        slots.read(Slot::A, offset as u32, &mut read).unwrap();
        assert!(read == payload[offset..offset + length], "{length} bytes from {offset}");
    }
    assert_eq!(slots.read(Slot::A, ROOM, &mut [0]), Err(Refusal::PastEnd { end: ROOM + 1, length: ROOM }));
    assert_eq!(slots.header(Slot::A), Ok(picture(100).header));
}

#[test]
fn verify_takes_no_more_bytes_at_once_than_it_may() {
    let mut device = board(&[]);
    let mut slots = device.slots();
    pour(&mut slots, &picture(101).header, &picture(101).payload);
    assert_eq!(slots.verify(1), Ok(None));
    assert_eq!(slots.verify(256), Ok(None));
    assert_eq!(slots.status().unwrap().candidate, None);
    assert_eq!(slots.verify(256), Ok(Some(picture(101).header)), "641 bytes in pieces of 256");
    assert_eq!(slots.status().unwrap().candidate, Some(picture(101).header));
}

#[test]
fn a_wrong_byte_anywhere_is_found_and_the_image_can_be_staged_again() {
    let good = picture(101);
    for at in 0..good.payload.len() {
        let mut device = board(&[]);
        let mut slots = device.slots();
        let mut payload = good.payload.clone();
        payload[at] ^= 0x10;
        pour(&mut slots, &good.header, &payload);
        let expected = if at < good.header.length as usize { Refusal::Digest } else { Refusal::Signature };
        assert_eq!(verified(&mut slots), Err(expected));
        assert_eq!(slots.boot(), Err(Refusal::NotVerified));
        assert_eq!(slots.begin(&good.header), Ok(0), "what is bad is not kept");
        pour(&mut slots, &good.header, &good.payload);
        assert_eq!(verified(&mut slots), Ok(good.header));
        assert_eq!(device.flash.violation, None);
    }
}

#[test]
fn an_old_image_under_a_new_number_has_no_good_signature() {
    let Picture { header, payload } = picture(101);
    let renumbered = ImageHeader { program: Edition { version: 999, ..header.program }, ..header };
    let mut device = board(&[]);
    let mut slots = device.slots();
    pour(&mut slots, &renumbered, &payload);
    assert_eq!(verified(&mut slots), Err(Refusal::Signature));
}

#[test]
fn without_signatures_none_is_taken() {
    let Picture { header, payload } = picture(101);
    let mut device = board(&[]);
    let mut slots = Slots::new(&mut device.flash, LAYOUT, DigestOnly, Slot::A).unwrap();
    pour(&mut slots, &header, &payload);
    assert_eq!(verified(&mut slots), Err(Refusal::Signature));
    let unsigned = ImageHeader { signature_length: 0, ..header };
    pour(&mut slots, &unsigned, &payload[..header.length as usize]);
    assert_eq!(verified(&mut slots), Ok(unsigned));
}

#[test]
fn nothing_is_marked_that_is_not_verified() {
    let new = picture(101);
    let mut device = board(&[]);
    refused(&mut device, Refusal::NoImage, |slots| slots.boot());
    refused(&mut device, Refusal::NoImage, |slots| slots.verify(1));
    pour(&mut device.slots(), &new.header, &new.payload);
    refused(&mut device, Refusal::NotVerified, |slots| slots.boot());
    // Verified, and then another one is begun.
    let mut slots = device.slots();
    verified(&mut slots).unwrap();
    slots.begin(&picture(102).header).unwrap();
    assert_eq!(slots.boot(), Err(Refusal::NotVerified));
    // Verified, and then the floor rises.
    pour(&mut slots, &new.header, &new.payload);
    verified(&mut slots).unwrap();
    slots.raise_floor(102).unwrap();
    let below = Refusal::BelowFloor { version: 101, floor: 102 };
    assert_eq!((slots.boot(), slots.verify(1)), (Err(below), Err(below)));
}

#[test]
fn while_a_boot_is_not_settled_nothing_is_staged() {
    use Action::*;
    let busy = Refusal::Busy;
    let states: [(&[Action], BootState); 4] = [
        (&[Stage(101), Mark], BootState::Marked),
        (&[Stage(101), Mark, Reset], BootState::OnTrial),
        (&[Stage(101), Mark, Reset, Revert], BootState::Rejected),
        (&[Stage(101), Mark, Reset, Confirm, Revert], BootState::Returning),
    ];
    for (actions, state) in states {
        let mut device = board(actions);
        assert_eq!(device.status().state, state);
        refused(&mut device, busy(state), |slots| slots.begin(&picture(102).header));
        refused(&mut device, busy(state), |slots| slots.raise_floor(1));
        refused(&mut device, busy(state), |slots| slots.provision());
        let is_running_candidate = matches!(state, BootState::OnTrial | BootState::Rejected);
        if is_running_candidate {
            refused(&mut device, busy(state), |slots| slots.verify(1));
        }
        if state != BootState::Marked {
            refused(&mut device, busy(state), |slots| slots.boot());
        }
        if state != BootState::OnTrial {
            refused(&mut device, busy(state), |slots| slots.confirm());
        }
    }
}

#[test]
fn what_is_done_already_is_not_written_again() {
    use Action::*;
    let mut device = board(&[Stage(101), Mark]);
    let again = |device: &mut Device<4>, ask: fn(&mut Slots<&mut Nor<4>, Inverted>) -> Result<(), Refusal>| {
        let before = device.flash.operations;
        assert_eq!(ask(&mut device.slots()), Ok(()));
        assert_eq!(device.flash.operations, before);
    };
    again(&mut device, |slots| slots.boot());
    device.run(&[Reset, Confirm, RaiseFloor(3)]).unwrap();
    again(&mut device, |slots| slots.confirm());
    again(&mut device, |slots| slots.raise_floor(3));
    device.run(&[Revert]).unwrap();
    again(&mut device, |slots| slots.revert());
}

#[test]
fn there_is_no_way_back_where_there_is_nothing_good() {
    use Action::*;
    let mut device = board(&[]);
    refused(&mut device, Refusal::NoImageBefore, |slots| slots.revert());
    device.run(&[Stage(101)]).unwrap();
    refused(&mut device, Refusal::NoImageBefore, |slots| slots.revert());
    device.run(&[Mark, Reset, Confirm]).unwrap();
    refused(&mut device, Refusal::NotVerified, |slots| slots.revert());
    // The image before is damaged, and then below the floor.
    let mut damaged = device.clone();
    damaged.flash.bytes[LAYOUT.image(Slot::A) as usize + 5] ^= 1;
    assert_eq!(verified(&mut damaged.slots()), Err(Refusal::Digest));
    refused(&mut damaged, Refusal::NotVerified, |slots| slots.revert());
    device.run(&[RaiseFloor(101)]).unwrap();
    let below = Refusal::BelowFloor { version: 100, floor: 101 };
    refused(&mut device, below, |slots| slots.verify(1));
    refused(&mut device, below, |slots| slots.revert());
}

#[test]
fn the_floor_only_rises_and_bricks_nothing() {
    let mut device = board(&[Action::RaiseFloor(1_000)]);
    refused(&mut device, Refusal::FloorIsHigher { floor: 1_000, given: 999 }, |slots| slots.raise_floor(999));
    device.run(&[Action::Reset]).unwrap();
    assert_eq!((device.running_version(), device.status().floor), (100, 1_000));
}

#[test]
fn after_an_error_of_the_flash_staging_goes_on_without_a_reset() {
    let new = picture(101);
    let mut failed = 0;
    for operations_left in 0..20 {
        let mut device = board(&[]);
        let stuck = Stuck { flash: &mut device.flash, operations_left };
        let mut slots = Slots::new(stuck, LAYOUT, Inverted, Slot::A).unwrap();
        let mut stage = || {
            let mut at = slots.begin(&new.header)?;
            for chunk in new.payload[at as usize..].chunks(100) {
                at = slots.write(at, chunk)?;
            }
            Ok(())
        };
        if stage() == Err(Refusal::Flash(FlashFault::Other)) {
            failed += 1;
            assert!(matches!(slots.write(0, &[0]), Err(Refusal::NotBegun)), "begin again");
            let Stuck { flash, .. } = slots.into_inner();
            let mut slots = Slots::new(flash, LAYOUT, Inverted, Slot::A).unwrap();
            pour(&mut slots, &new.header, &new.payload);
            assert_eq!(verified(&mut slots), Ok(new.header));
        }
        assert_eq!(device.flash.violation, None, "after {operations_left} operations");
    }
    assert!((10..20).contains(&failed), "{failed} of 20");
}
