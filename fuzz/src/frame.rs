//! Bytes from outside: into the parser, and into a live channel in every mode.
//!
//! ```text
//! byte 0     bits 0..3 mode, modulo 7 | bit 3 frames are sealed | bit 4 channel, 0 = A, 1 = B
//! then, as often as there are bytes:
//! byte 0     bits 0..5 time that passes before, in 32nds of a period | bits 5..7 whose nonce to seal under
//! byte 1..3  length of the frame, little-endian
//! byte 3..   the frame as it is on the wire; of a sealed one the last four bytes become the right CRC
//! ```

mod live;
mod moment;
mod seal;

pub use moment::{Moment, Recorded, record};

use live::Live;
use twinstep::ChannelId;

const MOST_FRAMES: usize = 12;
/// Longer than the longest frame, so that this is tried too.
const LONGEST: usize = 700;
const SEALED: u8 = 1 << 3;
const CHANNEL_B: u8 = 1 << 4;
/// Time after the last frame, for what it leads to.
const REST: [u8; 3] = [16, 16, 16];

/// Brings a channel into a mode and hands it these frames.
///
/// # Panics
/// Where something is wrong with what it makes of them.
pub fn run(data: &[u8]) {
    let Some((head, mut rest)) = data.split_first() else { return };
    let me = if head & CHANNEL_B == 0 { ChannelId::A } else { ChannelId::B };
    let moment = Moment::ALL[usize::from(head & 7) % Moment::ALL.len()];
    moment.with(me, |channel| {
        let mut live = Live::new(channel);
        for _ in 0..MOST_FRAMES {
            let Some((&[how, low, high], tail)) = rest.split_first_chunk() else { break };
            let length = usize::from(u16::from_le_bytes([low, high])).min(LONGEST).min(tail.len());
            let (frame, after) = tail.split_at(length);
            rest = after;
            live.wait(how & 31);
            if head & SEALED == 0 { live.hear(frame) } else { live.hear_sealed(frame, how >> 5) }
        }
        for time in REST {
            live.wait(time);
        }
    });
}

/// Puts an input together.
pub fn input(moment: Moment, me: ChannelId, is_sealed: bool, frames: &[Recorded]) -> Vec<u8> {
    let place = Moment::ALL.iter().position(|other| *other == moment).unwrap_or_default() as u8;
    let flags = if is_sealed { SEALED } else { 0 } | if me == ChannelId::B { CHANNEL_B } else { 0 };
    let mut data = vec![place | flags];
    for Recorded { time, bytes } in frames {
        data.push(time & 31);
        data.extend((bytes.len() as u16).to_le_bytes());
        data.extend(bytes);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::{Moment, run};
    use crate::corpus::frames;
    use twinstep::{ChannelId, Mechanism};

    #[test]
    fn the_corpus_holds() {
        for (name, data) in frames() {
            println!("{name}");
            run(&data);
        }
    }

    #[test]
    fn each_moment_comes_about() {
        for me in [ChannelId::A, ChannelId::B] {
            for moment in Moment::ALL {
                moment.with(me, |channel| assert_eq!(channel.node.mode(), moment.mode()));
            }
        }
    }

    /// The negative control: a channel that does not check the CRC is found by the first damaged frame.
    #[test]
    fn a_channel_that_takes_damaged_frames_is_found() {
        Moment::Duplex.with(ChannelId::B, |mut channel| {
            channel.node.switch_off(Mechanism::Crc);
            let frame = super::record(Moment::Duplex, ChannelId::B)[0].bytes.clone();
            let (last, whole) = frame.split_last().unwrap();
            let damaged = [whole, &[last ^ 1]].concat();
            let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                super::Live::new(channel).hear(&damaged);
            }));
            assert!(heard.is_err());
        });
    }
}
