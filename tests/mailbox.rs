//! The mailbox: frames of every length and number, peers that boot, stray writes, caches that are not coherent; and a
//! million frames each way between two threads.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "mailbox/incoherent.rs"]
mod incoherent;
#[path = "mailbox/memory.rs"]
mod memory;
#[path = "mailbox/stray.rs"]
mod stray;
#[path = "mailbox/threads.rs"]
mod threads;

use twinstep::ChannelId::{A, B};
use twinstep::Mailbox;
use twinstep::mailbox::{Port, ReceiveError, SendError};

/// Takes all frames that are there.
pub fn drain<const S: usize, const W: usize>(port: &mut Port<'_, S, W>) -> Vec<Vec<u8>> {
    let mut buffer = [0; 700];
    let next = || port.receive(&mut buffer).unwrap().map(|length| buffer[..length].to_vec());
    std::iter::from_fn(next).collect()
}

#[test]
fn frames_of_every_length_come_as_they_were() {
    let mailbox = Mailbox::<2, 164>::new();
    let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
    for length in 0..=656 {
        let frame: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
        a.send(&frame).unwrap();
        b.send(&frame).unwrap();
        assert_eq!((drain(&mut b), drain(&mut a)), (vec![frame.clone()], vec![frame]));
    }
    let too_long = SendError::TooLong { need_bytes: 657, have_bytes: 656 };
    assert_eq!(a.send(&[0; 657]), Err(too_long));
    assert_eq!(drain(&mut b), [[0_u8; 0]; 0], "nothing was sent");
}

/// Around the wrap of the counter, and of the number in a slot's header: from each start, with each filling.
#[test]
fn the_numbers_wrap_anywhere() {
    fn try_at<const SLOTS: usize>(start: u32) {
        let mailbox = Mailbox::<SLOTS, 2>::starting_at(start);
        let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
        let mut number = 0_u32;
        for fill in (0..=SLOTS).chain((0..=SLOTS).rev()) {
            let sent: Vec<_> = (0..fill).map(|at| (number + at as u32).to_le_bytes().to_vec()).collect();
            for frame in &sent {
                a.send(frame).unwrap();
            }
            if fill == SLOTS {
                assert_eq!(a.send(&[1]), Err(SendError::Full));
            }
            assert_eq!(drain(&mut b), sent, "from {start:#x}, {fill} of {SLOTS}");
            number += fill as u32;
        }
    }
    for before in 0..40 {
        for start in [0, 0xFFFF, 0x1_0000, 0x8000_0000, u32::MAX] {
            let start = u32::wrapping_sub(start, before);
            try_at::<1>(start);
            try_at::<2>(start);
            try_at::<8>(start);
        }
    }
}

#[test]
fn who_is_not_there_gets_nothing_and_holds_up_nobody() {
    let mailbox = Mailbox::<4, 2>::new();
    let mut a = mailbox.attach(A);
    assert_eq!((a.send(&[1]), a.receive(&mut [0; 8])), (Err(SendError::Absent), Ok(None)));
    let mut b = mailbox.attach(B);
    for number in 0..4 {
        a.send(&[number]).unwrap();
    }
    assert_eq!(a.send(&[4]), Err(SendError::Full), "it has stalled");
    assert_eq!(drain(&mut b), [[0], [1], [2], [3]]);
    a.send(&[5]).unwrap();
    assert_eq!(drain(&mut b), [[5]]);
}

/// What waits for a core as it boots was for its former life.
#[test]
fn a_core_that_boots_gets_what_is_sent_from_then_on() {
    let mailbox = Mailbox::<4, 2>::starting_at(u32::MAX - 1);
    let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
    a.send(&[1]).unwrap();
    b.send(&[2]).unwrap();
    let mut b = mailbox.attach(B);
    assert_eq!(drain(&mut a), [[2]], "what it had sent stays");
    a.send(&[3]).unwrap();
    assert_eq!(drain(&mut b), [[3]]);
    b.send(&[4]).unwrap();
    assert_eq!(drain(&mut a), [[4]]);
}

#[test]
fn a_frame_longer_than_the_buffer_is_dropped_with_its_length() {
    let mailbox = Mailbox::<2, 4>::new();
    let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
    a.send(&[7; 9]).unwrap();
    a.send(&[8; 3]).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(b.receive(&mut buffer), Err(ReceiveError::TooLong { need_bytes: 9, have_bytes: 8 }));
    assert_eq!((b.receive(&mut buffer), &buffer[..3]), (Ok(Some(3)), &[8; 3][..]));
}
