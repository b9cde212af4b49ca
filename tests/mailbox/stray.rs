//! Stray writes, start-up code that clears the memory, and an image with another layout: frames are lost or come once more,
//! and the link works again.

use crate::drain;
use crate::memory::{at_power_up, load, store, words};
use twinstep::ChannelId::{A, B};
use twinstep::Mailbox;
use twinstep::mailbox::{ReceiveError, SendError};

type Small = Mailbox<4, 3>;

/// Words of the documented layout: greeting, written, taken of A and of B; then the slots.
const OF_A: [usize; 3] = [0, 1, 2];
const OF_B: [usize; 3] = [16, 17, 18];
const SLOTS_OF_A: usize = 32;
const SLOT_WORDS: usize = 16;

#[test]
fn the_layout_is_the_documented_one() {
    let mailbox = at_power_up::<4, 3>();
    assert_eq!(size_of::<Small>(), (32 + 8 * SLOT_WORDS) * 4);
    let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
    a.send(&[1, 2, 3, 4, 5]).unwrap();
    b.send(&[6]).unwrap();
    b.send(&[7]).unwrap();
    drain(&mut a);
    let greeting = a.layout();
    assert_eq!(OF_A.map(|word| load(&mailbox, word)), [greeting, 1, 2]);
    assert_eq!(OF_B.map(|word| load(&mailbox, word)), [greeting, 2, 0]);
    let slot = [0, 1, 2].map(|word| load(&mailbox, SLOTS_OF_A + word));
    assert_eq!(slot, [1 << 16 | 5, 0x0403_0201, 0x05]);
    assert_eq!(load(&mailbox, SLOTS_OF_A + 4 * SLOT_WORDS), 1 << 16 | 1);
    assert_eq!(load(&mailbox, SLOTS_OF_A + 5 * SLOT_WORDS), 2 << 16 | 1);
}

/// Every bit of every word in use, with a frame on its way and without: the frames after the next few calls come
/// through, and none that was not sent.
#[test]
fn a_stray_write_costs_frames_and_nothing_more() {
    let used = OF_A.into_iter().chain(OF_B).chain(SLOTS_OF_A..SLOTS_OF_A + 4 * SLOT_WORDS);
    for (word, bit, waiting) in used.flat_map(|word| (0..32).flat_map(move |bit| [0, 1, 4].map(|n| (word, bit, n)))) {
        let mailbox = Small::starting_at(7);
        let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
        for number in 0..waiting {
            a.send(&[number; 9]).unwrap();
        }
        store(&mailbox, word, load(&mailbox, word) ^ 1 << bit);
        let mut buffer = [0; 12];
        let hit_slot = word >= SLOTS_OF_A;
        for _ in 0..8 {
            if let Ok(Some(length)) = b.receive(&mut buffer) {
                let is_whole = length == 9 && buffer[..9].iter().all(|byte| *byte == buffer[0] && *byte < waiting);
                assert!(is_whole || hit_slot, "word {word} bit {bit}: the CRC is for slots");
            }
            let _ = a.receive(&mut buffer);
        }
        a.send(&[42; 9]).unwrap();
        assert_eq!(drain(&mut b), [[42; 9]], "word {word} bit {bit} {waiting}");
        b.send(&[43]).unwrap();
        assert_eq!(drain(&mut a), [[43]], "word {word} bit {bit} {waiting}");
    }
}

/// Memory that one image's start-up code clears at each boot, against the advice.
#[test]
fn cleared_memory_costs_frames_and_nothing_more() {
    for taken in 0..9 {
        let mailbox = at_power_up::<4, 3>();
        let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
        for number in 0..taken {
            a.send(&[number]).unwrap();
            b.send(&[number]).unwrap();
            assert_eq!((drain(&mut b), drain(&mut a)), (vec![vec![number]], vec![vec![number]]));
        }
        a.send(&[99]).unwrap();
        (0..words(&mailbox).len()).for_each(|word| store(&mailbox, word, 0));
        let mut a = mailbox.attach(A);
        for _ in 0..4 {
            let _ = (b.receive(&mut [0; 12]), a.receive(&mut [0; 12]), a.send(&[50]));
        }
        for _ in 0..6 {
            let _ = (b.receive(&mut [0; 12]), a.receive(&mut [0; 12]));
        }
        a.send(&[42]).unwrap();
        b.send(&[43]).unwrap();
        assert_eq!((drain(&mut b), drain(&mut a)), (vec![vec![42]], vec![vec![43]]), "{taken} taken before");
    }
}

/// A writer whose counter was damaged while it was off goes on from there: the slots hold frames of other numbers.
#[test]
fn an_old_frame_is_not_taken_for_a_new_one() {
    let mailbox = at_power_up::<4, 3>();
    let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
    for number in 0..6 {
        a.send(&[number]).unwrap();
        assert_eq!(drain(&mut b), [[number]]);
    }
    store(&mailbox, OF_A[1], 8);
    let mut buffer = [0; 12];
    assert_eq!([(); 2].map(|()| b.receive(&mut buffer)), [Err(ReceiveError::Damaged); 2]);
    assert_eq!(b.receive(&mut buffer), Ok(None));
}

#[test]
fn images_of_different_layout_refuse_each_other() {
    let mailbox = at_power_up::<4, 3>();
    let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
    a.send(&[1]).unwrap();
    let mine = a.layout();
    let other = Mailbox::<8, 3>::new();
    let theirs = other.attach(A).layout();
    assert!(mine != theirs && mine != 0 && theirs != 0);
    store(&mailbox, OF_B[0], theirs);
    assert_eq!(a.peer_layout(), theirs);
    assert_eq!(a.send(&[2]), Err(SendError::LayoutDiffers { mine, theirs }));
    assert_eq!(a.receive(&mut [0; 12]), Err(ReceiveError::LayoutDiffers { mine, theirs }));
    assert_eq!(load(&mailbox, OF_A[1]), 1, "nothing was written");
    // The words stand where every layout has them, so that the right image finds its peer again.
    assert_eq!(drain(&mut b), [[1]]);
    assert_eq!(b.receive(&mut [0; 12]), Ok(None));
    a.send(&[3]).unwrap();
    assert_eq!(drain(&mut b), [[3]]);
}

/// Something writes over both cores' words at once, so that each takes the other for an image of another layout.
#[test]
fn words_that_are_overwritten_on_both_sides_are_mended() {
    for garbage in [u32::MAX, 1, 0xDEAD_BEEF] {
        let mailbox = at_power_up::<4, 3>();
        let (mut a, mut b) = (mailbox.attach(A), mailbox.attach(B));
        OF_A.into_iter().chain(OF_B).for_each(|word| store(&mailbox, word, garbage));
        assert!(a.send(&[1]).is_err());
        for _ in 0..2 {
            let _ = (a.receive(&mut [0; 12]), b.receive(&mut [0; 12]));
        }
        a.send(&[2]).unwrap();
        b.send(&[3]).unwrap();
        assert_eq!((drain(&mut b), drain(&mut a)), (vec![vec![2]], vec![vec![3]]), "{garbage:#x}");
    }
}
