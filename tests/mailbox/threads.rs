//! Two real threads at once.

use std::thread;
use twinstep::ChannelId::{A, B};
use twinstep::Mailbox;
use twinstep::mailbox::{Port, SendError};

const FRAMES: u32 = 1_000_000;

/// A frame of its number: length and contents differ from one to the next.
fn frame(number: u32, from: u8, buffer: &mut [u8; 40]) -> &[u8] {
    let length = 4 + (number.wrapping_mul(2_654_435_761) >> 27) as usize;
    let mut word = number.wrapping_mul(0x9E37_79B9) ^ u32::from(from);
    for byte in &mut buffer[..length] {
        word = word.rotate_left(7).wrapping_mul(5).wrapping_add(0xE654_6B64);
        *byte = word as u8;
    }
    &buffer[..length]
}

/// Sends a million frames and receives as many: all of them, in order, as they were.
fn exchange<const S: usize>(mut port: Port<'_, S, 10>, [mine, theirs]: [u8; 2]) -> [u32; 2] {
    let (mut sent, mut received) = (0, 0);
    let (mut buffer, mut expected) = ([0; 40], [0; 40]);
    while sent < FRAMES || received < FRAMES {
        let mut moved = false;
        if sent < FRAMES {
            match port.send(frame(sent, mine, &mut buffer)) {
                Ok(()) => (sent, moved) = (sent + 1, true),
                Err(error) => assert_eq!(error, SendError::Full),
            }
        }
        if let Some(length) = port.receive(&mut buffer).unwrap() {
            assert_eq!(&buffer[..length], frame(received, theirs, &mut expected), "frame {received}");
            (received, moved) = (received + 1, true);
        }
        if !moved {
            thread::yield_now();
        }
    }
    [sent, received]
}

#[test]
fn a_million_frames_each_way() {
    let mailbox = Mailbox::<8, 10>::starting_at(u32::MAX - FRAMES / 2);
    let (a, b) = (mailbox.attach(A), mailbox.attach(B));
    thread::scope(|scope| {
        let of_b = scope.spawn(|| exchange(b, [2, 1]));
        assert_eq!(exchange(a, [1, 2]), [FRAMES; 2]);
        assert_eq!(of_b.join().unwrap(), [FRAMES; 2]);
    });
}
