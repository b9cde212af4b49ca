//! Frames with the right CRC, whatever they say: without it nothing gets past the parser.

use twinstep::ids::Phase;
use twinstep::wire::{self, Header, Keys, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES};
use twinstep::{ChannelId, Epoch};

/// Returns a frame with the right CRC in place of its last four bytes; as it is if it has no room for one, or no
/// kind.
pub(super) fn seal(frame: &[u8], keys: &Keys) -> Vec<u8> {
    let header = header(frame, keys).zip(frame.get(OVERHEAD_BYTES - 4..frame.len().saturating_sub(4)));
    let Some((header, payload)) = header else { return frame.to_vec() };
    let mut buffer = [0; MAX_FRAME_BYTES];
    let length = wire::build(&mut buffer, &header, keys, payload.len(), |room| {
        room.copy_from_slice(payload);
        Some(payload.len())
    });
    length.map_or(frame.to_vec(), |length| buffer[..length].to_vec())
}

fn header(frame: &[u8], keys: &Keys) -> Option<Header> {
    let [first, e0, e1, p0, p1, p2, p3, ack] = *frame.first_chunk()?;
    let kind = Kind::of_number(first >> 1)?;
    let phase = u32::from_le_bytes([p0, p1, p2, p3]);
    Some(Header {
        kind,
        sender: if first & 1 == 0 { ChannelId::A } else { ChannelId::B },
        epoch: nearest(keys.epoch, u16::from_le_bytes([e0, e1])),
        phase: Phase(phase),
        ack: Phase(phase.wrapping_add_signed(i32::from(ack.cast_signed()))),
    })
}

/// Returns the epoch with this low half that is nearest to another one, as its receiver takes it.
fn nearest(epoch: Epoch, low: u16) -> Epoch {
    let bits = epoch.counter() << 1 | epoch.owner().index() as u32;
    let distance = low.wrapping_sub(bits as u16).cast_signed();
    let bits = bits.wrapping_add_signed(distance.into());
    Epoch::new(bits >> 1, if bits & 1 == 0 { ChannelId::A } else { ChannelId::B })
}
