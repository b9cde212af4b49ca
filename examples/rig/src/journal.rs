//! Journal files: the events of both channels as they came, to be read after the fact.
//!
//! ```text
//! file    frame*             in the order in which the entries arrived
//! frame   COBS( record ) 0   an empty one is nothing: a writer that may have been cut off begins with a zero
//! record  postcard( channel, lost, entry ), CRC-32C of that, little-endian
//!         lost: entries that the channel had lost unread before, since its boot, as a u16
//! ```
//!
//! A reader finds the next record after any damage. A file that ends between two records is whole: nothing tells that
//! there were more.

mod table;
mod timeline;
mod words;

pub(crate) use words::in_words;

use crate::frames::framed;
use crate::{chart, report};
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Write};
use std::path::Path;
use twinstep::digest::Crc32c;
use twinstep::journal::Entry;
use twinstep::{ChannelId, canonical};

/// An entry of a channel's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Logged {
    pub(crate) channel: ChannelId,
    /// Entries that the channel had lost unread before, since its boot.
    pub(crate) lost: u16,
    pub(crate) entry: Entry,
}

/// The longest record is 28 bytes; this leaves room.
const RECORD_BYTES: usize = 64;
const CRC_BYTES: usize = 4;
/// Pieces of damage that are listed; the rest is counted.
const LISTED: usize = 10;

/// What could be read of a file.
#[derive(Debug, Default)]
struct Decoded {
    entries: Vec<Logged>,
    damage: Vec<Damage>,
}

/// Bytes that are no record.
#[derive(Debug, PartialEq, Eq)]
struct Damage {
    /// Where they begin.
    at: usize,
    bytes: usize,
    what: &'static str,
}

/// Writes the entries of a run to a file, over what is there.
pub(crate) fn write(entries: &[Logged], path: &Path) -> Result<()> {
    let bytes: Vec<u8> = entries.iter().filter_map(encode).flatten().collect();
    std::fs::write(path, bytes).with_context(|| format!("cannot write the journal to {}", path.display()))
}

/// Prints a file as a table and a timeline, and draws it if it is told to.
pub(crate) fn show(path: &Path, svg: Option<&Path>) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.is_empty() {
        bail!("{} is empty: nothing was written to it", path.display());
    }
    let Decoded { entries, damage } = decode(&bytes);
    if !entries.is_empty() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let record = timeline::record(&name, &entries);
        print(&format!("{}\n{}", table::text(&entries), crate::timeline::draw(&record, report::terminal_columns())))?;
        if let Some(svg) = svg {
            chart::write_svg(&record, svg)?;
        }
    }
    if damage.is_empty() && !entries.is_empty() {
        return Ok(());
    }
    for damage in damage.iter().take(LISTED) {
        eprintln!("rig: {} bytes from byte {} on are no entry: {}", damage.bytes, damage.at, damage.what);
    }
    let (read, path) = (entries.len(), path.display());
    match damage.len() {
        _ if read == 0 => bail!("{path} holds no entry of a journal"),
        1 => bail!("{path} is damaged in one place; {read} entries could be read"),
        places => bail!("{path} is damaged in {places} places; {read} entries could be read"),
    }
}

/// Prints a text as far as somebody reads it: `| head` closes the pipe early.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print the journal"),
        _ => Ok(()),
    }
}

fn encode(logged: &Logged) -> Option<Vec<u8>> {
    let mut buffer = [0; RECORD_BYTES];
    let length = canonical::encode(logged, &mut buffer)?;
    let mut record = buffer.get(..length)?.to_vec();
    let crc = Crc32c::new().with(&record).finish();
    record.extend(crc.to_le_bytes());
    Some(framed(&record))
}

fn decode(bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut at = 0;
    for piece in bytes.split_inclusive(|byte| *byte == 0) {
        let read = match piece.split_last() {
            Some((0, [])) => Ok(None),
            Some((0, encoded)) => decode_record(encoded).map(Some),
            _ => Err("the file ends in the middle of it"),
        };
        match read {
            Ok(logged) => decoded.entries.extend(logged),
            Err(what) => decoded.damage.push(Damage { at, bytes: piece.len(), what }),
        }
        at += piece.len();
    }
    decoded
}

fn decode_record(encoded: &[u8]) -> Result<Logged, &'static str> {
    let record = cobs::decode_vec(encoded).map_err(|_| "it is not framed by COBS")?;
    let (entry, crc) = record.split_last_chunk::<CRC_BYTES>().ok_or("it is too short")?;
    if Crc32c::new().with(entry).finish() != u32::from_le_bytes(*crc) {
        return Err("its CRC does not match");
    }
    canonical::decode(entry).ok_or("it is of an unknown kind: written by a later version?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstep::journal::Event;
    use twinstep::{Cycle, Epoch, Faults};

    fn some_entries() -> Vec<Logged> {
        let events = [Event::Held, Event::TookOver, Event::Fault(Faults::PEER_SILENT), Event::BeyondRepair(7)];
        let logged = |(number, event): (u32, Event)| {
            let channel = if number % 2 == 0 { ChannelId::A } else { ChannelId::B };
            let entry = Entry { cycle: Cycle(number * 300), epoch: Epoch::new(1, ChannelId::A), times: 1, event };
            Logged { channel, lost: 0, entry }
        };
        (0..).zip(events.into_iter().cycle().take(20)).map(logged).collect()
    }

    fn file(entries: &[Logged]) -> Vec<u8> {
        entries.iter().filter_map(encode).flatten().collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let entries = some_entries();
        let decoded = decode(&file(&entries));
        assert_eq!((decoded.entries, decoded.damage), (entries, vec![]));
    }

    /// Files outlive the rig that wrote them.
    #[test]
    fn golden_bytes() {
        let entry = Entry { cycle: Cycle(200), epoch: Epoch::new(3, ChannelId::B), times: 2, event: Event::Held };
        let bytes = encode(&Logged { channel: ChannelId::B, lost: 1, entry }).unwrap();
        assert_eq!(bytes, [12, 1, 1, 200, 1, 7, 2, 2, 23, 23, 82, 207, 0]);
    }

    #[test]
    fn a_file_cut_anywhere_gives_what_is_before_the_cut() {
        let (entries, bytes) = (some_entries(), file(&some_entries()));
        for cut in 0..bytes.len() {
            let (front, _) = bytes.split_at(cut);
            let decoded = decode(front);
            let whole = front.iter().filter(|byte| **byte == 0).count();
            assert_eq!(decoded.entries, entries[..whole], "cut at {cut}");
            let is_torn = front.last().is_some_and(|byte| *byte != 0);
            assert_eq!(decoded.damage.len(), usize::from(is_torn), "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_byte_costs_two_records_at_most_and_is_reported() {
        let (entries, bytes) = (some_entries(), file(&some_entries()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let decoded = decode(&bytes);
                assert!(decoded.entries.len() + 2 >= entries.len(), "byte {at}, bit {bit}");
                assert!(!decoded.damage.is_empty(), "byte {at}, bit {bit}");
                assert!(decoded.entries.iter().all(|entry| entries.contains(entry)), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn garbage_holds_no_entry() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut garbage = vec![0; 4096];
        for _ in 0..200 {
            rng.fill(&mut garbage);
            let decoded = decode(&garbage);
            assert_eq!(decoded.entries, []);
            assert!(decoded.damage.iter().all(|damage| damage.at + damage.bytes <= garbage.len()));
        }
        assert_eq!(decode(&[0; 100]).damage, [], "empty frames are nothing");
    }

    fn complaint(name: &str, bytes: Option<&[u8]>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let svg = folder.path().join("svg");
        let complaint = show(&path, Some(&svg)).map_or_else(|error| format!("{error:#}"), |()| String::new());
        assert_eq!(svg.exists(), bytes.is_some_and(|bytes| !decode(bytes).entries.is_empty()));
        complaint
    }

    #[test]
    fn bad_files_are_named_with_what_is_wrong() {
        let bytes = file(&some_entries());
        assert_eq!(complaint("good", Some(&bytes)), "");
        assert!(complaint("missing", None).contains("cannot read"));
        assert!(complaint("empty", Some(&[])).contains("is empty"));
        assert!(complaint("text", Some(b"cycle 1\n")).contains("holds no entry"));
        assert!(complaint("zeros", Some(&[0; 9])).contains("holds no entry"));
        let torn = bytes.split_last().unwrap().1;
        assert!(complaint("torn", Some(torn)).contains("damaged in one place; 19 entries"));
    }
}
