//! Frames through the mailbox.

use super::explore;
use loom::sync::Arc;
use loom::thread;
use twinstep::ChannelId::{A, B};
use twinstep::mailbox::{Mailbox, Port, ReceiveError, SendError};
use twinstep::sync::{revive, stop_after};

/// A frame that tells whether it is whole: two words, one the inverse of the other.
fn frame(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&(!number).to_le_bytes());
    bytes
}

fn number(bytes: &[u8]) -> u32 {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes, frame(number), "torn");
    number
}

fn send<const SLOTS: usize>(port: &mut Port<'_, SLOTS, 2>, number: u32) {
    while port.send(&frame(number)) == Err(SendError::Full) {
        thread::yield_now();
    }
}

fn receive<const SLOTS: usize>(port: &mut Port<'_, SLOTS, 2>) -> u32 {
    let mut buffer = [0; 8];
    loop {
        match port.receive(&mut buffer) {
            Ok(Some(length)) => return number(&buffer[..length]),
            Ok(None) => thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Both ends of a mailbox whose counters are about to wrap, attached before either sends. Leaked, since loom's threads
/// own what they use.
fn ends<const SLOTS: usize>() -> (Port<'static, SLOTS, 2>, Port<'static, SLOTS, 2>) {
    let mailbox = Box::leak(Box::new(Mailbox::starting_at(u32::MAX)));
    (mailbox.attach(A), mailbox.attach(B))
}

pub(crate) fn through_one_slot() {
    explore(Some(5), || {
        let (mut a, mut b) = ends::<1>();
        let writer = thread::spawn(move || (1..=3).for_each(|number| send(&mut a, number)));
        let received = [1, 2, 3].map(|_| receive(&mut b));
        assert_eq!(received, [1, 2, 3]);
        writer.join().unwrap();
    });
}

pub(crate) fn two_each_way() {
    explore(Some(3), || {
        let (mut a, mut b) = ends::<2>();
        let other = thread::spawn(move || {
            send(&mut b, 11);
            assert_eq!(receive(&mut b), 1);
            send(&mut b, 12);
            assert_eq!(receive(&mut b), 2);
        });
        send(&mut a, 1);
        send(&mut a, 2);
        assert_eq!([receive(&mut a), receive(&mut a)], [11, 12]);
        other.join().unwrap();
    });
}

/// Takes what is there now; frames may be missing, none may be torn or out of order.
fn drain<const SLOTS: usize>(port: &mut Port<'_, SLOTS, 2>, last: &mut u32) {
    let mut buffer = [0; 8];
    for _ in 0..2 * SLOTS {
        match port.receive(&mut buffer) {
            Ok(Some(length)) => {
                let number = number(&buffer[..length]);
                assert!(number > *last, "{number} after {last}");
                *last = number;
            }
            Ok(None) => return,
            Err(error) => assert_ne!(error, ReceiveError::Damaged),
        }
    }
}

/// Writes of an attachment and two sends. A frame counts as one: that one written in part is not read, the watch sees.
const WRITES: u32 = 11;

pub(crate) fn a_writer_stops() {
    for writes in 0..=WRITES {
        explore(Some(3), move || {
            let mailbox = Arc::new(Mailbox::<2, 2>::starting_at(u32::MAX));
            let theirs = mailbox.clone();
            let mut port = mailbox.attach(B);
            let writer = thread::spawn(move || {
                stop_after(writes);
                let mut port = theirs.attach(A);
                let _ = port.send(&frame(1));
                let _ = port.send(&frame(2));
                revive();
                let mut port = theirs.attach(A);
                let _ = port.send(&frame(3)); // fails if the reader has not come that far
            });
            let mut last = 0;
            drain(&mut port, &mut last);
            writer.join().unwrap();
            drain(&mut port, &mut last);
            // Whatever it died of, the link works again.
            let mut writer = mailbox.attach(A);
            assert_eq!(writer.send(&frame(4)), Ok(()));
            drain(&mut port, &mut last);
            assert_eq!(last, 4);
        });
    }
}

pub(crate) fn a_reader_stops() {
    for writes in 0..=WRITES {
        explore(Some(3), move || {
            let mailbox = Arc::new(Mailbox::<1, 2>::starting_at(u32::MAX));
            let theirs = mailbox.clone();
            let mut port = mailbox.attach(A);
            let reader = thread::spawn(move || {
                let mut last = 0;
                stop_after(writes);
                drain(&mut theirs.attach(B), &mut last);
                revive();
                let mut port = theirs.attach(B);
                drain(&mut port, &mut last); // nothing twice
            });
            for number in 1..=3 {
                let _ = port.send(&frame(number)); // never waits
            }
            reader.join().unwrap();
            let mut reader = mailbox.attach(B);
            assert_eq!(port.send(&frame(4)), Ok(()));
            let mut last = 0;
            drain(&mut reader, &mut last);
            assert_eq!(last, 4);
        });
    }
}
