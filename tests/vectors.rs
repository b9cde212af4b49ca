//! The test vectors of the frame format: `vectors/wire-5.txt`, for whoever writes a peer in another language. The file holds
//! frames byte by byte, what they mean, frames that are refused and why, and conversations of two channels.
//!
//! What the frames mean is told by a reader that knows the documentation of `wire` and nothing of the library. After a change on
//! purpose: `cargo test --test vectors -- --ignored` writes the file anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "vectors/programs.rs"]
mod programs;
#[path = "vectors/reader.rs"]
mod reader;
#[path = "vectors/scenes.rs"]
mod scenes;
#[path = "vectors/singles.rs"]
mod singles;
#[path = "vectors/world.rs"]
mod world;

use reader::{Reader, in_hex, sealed};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use twinstep::wire;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("wire-{}.txt", wire::VERSION))
}

/// Returns the file as the library makes it now.
fn written() -> String {
    let mut text = String::from(
        "Test vectors of twinstep's frame format, version 5. The layout stands at the head of src/wire.rs.\n\
         Written by `cargo test --test vectors -- --ignored`.\n\n\
         A line of a frame: name or time, the bytes in hexadecimal without the COBS of a serial line, what they mean.\n\
         Unsent, in the CRC: the pair's identity, which is 5eedcafe, the boot nonces of A and of B, and the high half of the epoch.\n\
         In the conversations the high half is 0, A's nonce is 0a0a0001, and B's the one of its newest Hello. The period is 100000 us,\n\
         retransmit_us 15000, hello_us 50000, link_delay_us 1000.\n",
    );
    singles::write(&mut text);
    for (name, what, lines) in scenes::all() {
        writeln!(text, "\n== {name}\n{what}\n").unwrap();
        text.extend(lines);
    }
    text
}

#[test]
fn the_library_sends_what_the_file_says() {
    let (file, written) = (std::fs::read_to_string(file()).unwrap_or_default(), written());
    for (number, (committed, now)) in file.lines().zip(written.lines()).enumerate() {
        assert_eq!(committed, now, "line {}", number + 1);
    }
    assert_eq!(file.lines().count(), written.lines().count());
}

/// Each kind has its frame, and the conversations have come to what they are about.
#[test]
fn nothing_is_left_out() {
    let text = written();
    for kind in wire::Kind::ALL {
        assert!(text.contains(&format!("| {kind:?} from ")), "no {kind:?}");
    }
    for cause in ["Version", "Kind", "Crc", "Payload", "Unsupported", "TooShort", "TooLong"] {
        assert!(text.contains(&format!("| refused: {cause}")), "no frame is refused as {cause}");
    }
}

/// Codes that an order is refused with, and those of orders, as the head of `wire` has them.
#[test]
fn codes_are_those_of_the_documentation() {
    let text = written();
    // Orders 1 to 3 are in the trial; the refusal of one that comes too early is 3, with the cycles that are left.
    for told in ["number=1 order=1 refusal=0", "number=2 order=2 refusal=0", "order=3 refusal=0"] {
        assert!(text.contains(told), "{told}");
    }
    let refused = scenes::refused();
    assert!(refused.iter().any(|line| line.contains("refusal=3 answered=1 detail=3")), "{refused:?}");
    assert!(refused.iter().any(|line| line.contains("refusal=2 answered=2 detail=3")), "{refused:?}");
}

/// Control: a frame in which any byte of the layout is another one, under a CRC that holds, means something else than the
/// file says.
#[test]
fn any_byte_that_is_another_one_shows() {
    let mut changed = 0;
    for (keys, bytes) in singles::good() {
        let reader = Reader::of(&keys);
        let meaning = reader.tell(&bytes);
        for at in 0..bytes.len() - 4 {
            let mut other = bytes.clone();
            other[at] = other[at].wrapping_add(1);
            let other = sealed(&other, &keys);
            let told = std::panic::catch_unwind(|| reader.tell(&other)).unwrap_or_else(|_| "nothing".to_owned());
            assert_ne!(told, meaning, "byte {at} of {}", in_hex(&bytes));
            changed += 1;
        }
    }
    assert!(changed > 400, "{changed} bytes tried");
}

#[test]
#[ignore = "writes the file anew"]
fn write_the_file() {
    std::fs::write(file(), written()).unwrap();
}
