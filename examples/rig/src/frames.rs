//! Frames out of a byte stream, and frames into one.

/// Splits a COBS stream into frames.
#[derive(Default)]
pub(crate) struct Deframer {
    bytes: Vec<u8>,
}

/// A frame and how many bytes it took on the wire.
pub(crate) struct Deframed {
    pub(crate) frame: Vec<u8>,
    pub(crate) wire_bytes: usize,
}

/// What does not end in a delimiter within this many bytes is no frame of ours.
const LONGEST: usize = 4096;

impl Deframer {
    /// Takes one byte; returns the frame that it completes.
    pub(crate) fn push(&mut self, byte: u8) -> Option<Deframed> {
        if byte != 0 {
            self.bytes.push(byte);
            if self.bytes.len() > LONGEST {
                self.bytes.clear();
            }
            return None;
        }
        let encoded = std::mem::take(&mut self.bytes);
        let frame = cobs::decode_vec(&encoded).ok().filter(|frame| !frame.is_empty())?;
        Some(Deframed { frame, wire_bytes: encoded.len() + 1 })
    }
}

/// Encodes a frame with its delimiter.
pub(crate) fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = cobs::encode_vec(frame);
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_a_broken_one_between_them() {
        let mut bytes = framed(&[1, 0, 2]);
        bytes.extend([9, 9, 0]); // says nine bytes follow, and one does
        bytes.extend(framed(&[3]));
        let mut deframer = Deframer::default();
        let frames: Vec<_> = bytes.iter().filter_map(|byte| deframer.push(*byte)).map(|out| out.frame).collect();
        assert_eq!(frames, [vec![1, 0, 2], vec![3]]);
    }
}
