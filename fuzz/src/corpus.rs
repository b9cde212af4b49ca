//! The committed corpus, by file name: frames that a real peer sends, faults with a story, each operation of the
//! mirror. `cargo run --example write-corpus` writes it, always the same.

mod campaigns;
mod scripts;

pub use campaigns::campaigns;
pub use scripts::scripts;

use crate::frame::{Moment, Recorded, input, record};
use crate::seed::Seed;
use twinstep::ChannelId;
use twinstep::wire::MAX_FRAME_BYTES;

/// Returns the whole corpus: target, file name, contents.
pub fn files() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut files = Vec::new();
    files.extend(frames().into_iter().map(|(name, data)| ("frame", name, data)));
    files.extend(campaigns().into_iter().map(|(name, campaign)| ("divergence", name, bytes_of(&campaign))));
    files.extend(scripts().into_iter().map(|(name, script)| ("mirror", name, bytes_of(&script))));
    files
}

fn bytes_of(value: &impl Seed) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

/// Returns the corpus of `frame`.
pub fn frames() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for me in [ChannelId::A, ChannelId::B] {
        for moment in Moment::ALL {
            let name = format!("{moment:?}-{me}").to_lowercase();
            let genuine = record(moment, me);
            files.push((format!("{name}-genuine"), input(moment, me, true, &genuine)));
            // What the peer says to a channel in the next mode.
            let next = (moment as usize + 1) % Moment::ALL.len();
            let strange = record(Moment::ALL[next], me);
            files.push((format!("{name}-strange"), input(moment, me, true, &strange)));
            files.push((format!("{name}-damaged"), input(moment, me, false, &damaged(&genuine))));
        }
    }
    files
}

/// Returns the first frames cut short, with a bit flipped, and too long.
fn damaged(genuine: &[Recorded]) -> Vec<Recorded> {
    let mut damaged: Vec<Recorded> = genuine.iter().take(3).cloned().collect();
    if let Some(first) = damaged.first_mut() {
        first.bytes.pop();
    }
    if let Some(byte) = damaged.get_mut(1).and_then(|second| second.bytes.get_mut(9)) {
        *byte ^= 4;
    }
    if let Some(third) = damaged.get_mut(2) {
        third.bytes.resize(MAX_FRAME_BYTES + 1, 0x55);
    }
    damaged.push(Recorded { time: 1, bytes: Vec::new() });
    damaged
}

#[cfg(test)]
mod tests {
    use super::{campaigns, files, scripts};
    use arbitrary::{Arbitrary, Unstructured};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn decoded<'b, T: Arbitrary<'b>>(bytes: &'b [u8]) -> T {
        T::arbitrary_take_rest(Unstructured::new(bytes)).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_decoded() {
        for (name, campaign) in campaigns() {
            assert_eq!(decoded::<crate::divergence::Campaign>(&super::bytes_of(&campaign)), campaign, "{name}");
        }
        for (name, script) in scripts() {
            assert_eq!(decoded::<crate::mirror::Script>(&super::bytes_of(&script)), script, "{name}");
        }
    }

    #[test]
    fn the_committed_corpus_holds_these_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        let mut names = BTreeSet::new();
        for (target, name, bytes) in files() {
            let file = folder.join(target).join(&name);
            let committed = std::fs::read(&file).unwrap_or_default();
            assert!(committed == bytes, "{} is not as written now: cargo run --example write-corpus", file.display());
            assert!(names.insert((target, name)), "{} twice", file.display());
        }
    }
}
