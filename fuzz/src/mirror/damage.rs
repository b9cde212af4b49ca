//! One flipped bit, and what the mirror promises to make of it.

use super::model::{BLOCKS, Model, digest, span};
use super::{BYTES, State};
use crate::seeded;
use twinstep::digest::BLOCK_BYTES;
use twinstep::mirror::{BlockRefused, Mirror, Scrubbed};

seeded! {
    /// Where a bit is flipped.
    pub enum Copy {
        /// The working copy.
        Working,
        /// The checkpoint.
        Checkpoint,
        /// A block's digest or, after these, the region digest.
        Digest,
    }
}

seeded! {
    /// What is done after a flip. Whatever it is, a scrub of everything follows.
    pub enum Remedy {
        /// The scrub of everything.
        ScrubAll,
        /// A scrub of the damaged block alone.
        ScrubOne,
        /// Scrubs of one block each, as cycle after cycle.
        ScrubInTime,
        /// What is pending is committed over it.
        Commit,
        /// A rollback.
        Rollback,
        /// The peer's copy of the block.
        Mend,
        /// The digest of what was agreed.
        Adopt,
    }
}

const NOTHING: Scrubbed = Scrubbed { working: 0, checkpoint: 0, digests: 0, beyond_repair: None };

/// Flips a bit and brings both copies back to what they were.
pub(super) fn flip(copy: Copy, bit: usize, remedy: Remedy, mirror: &mut Mirror<'_, State>, model: &mut Model) {
    let (bit, block) = match copy {
        Copy::Working | Copy::Checkpoint => (bit % (BYTES * 8), bit % (BYTES * 8) / 8 / BLOCK_BYTES),
        Copy::Digest => (bit % ((BLOCKS + 1) * 32), bit % ((BLOCKS + 1) * 32) / 32),
    };
    if copy == Copy::Working && model.is_dirty(block) {
        return; // part of what is pending: the vote has to find that
    }
    if copy == Copy::Checkpoint && model.is_hidden_by(bit) {
        return; // it looks like nothing had been written there: likewise
    }
    match copy {
        Copy::Working => mirror.flip_working_bit(bit),
        Copy::Checkpoint => mirror.flip_checkpoint_bit(bit),
        Copy::Digest => mirror.flip_digest_bit(bit),
    }
    assert_eq!(mirror.verify(), copy == Copy::Working, "all but the working copy is verified");
    let is_dirty = model.is_dirty(block);
    let mended = match copy {
        Copy::Working => Scrubbed { working: 1, ..NOTHING },
        Copy::Checkpoint if is_dirty => Scrubbed { beyond_repair: Some(block as u32), ..NOTHING },
        Copy::Checkpoint => Scrubbed { checkpoint: 1, ..NOTHING },
        Copy::Digest => Scrubbed { digests: 1, ..NOTHING },
    };
    match remedy {
        Remedy::ScrubAll => {}
        Remedy::ScrubOne if block < BLOCKS => assert_eq!(mirror.scrub_one(block as u32), mended),
        Remedy::ScrubOne => {}
        Remedy::ScrubInTime => {
            let found = (0..BLOCKS).map(|_| mirror.scrub(1)).find(|found| *found != NOTHING);
            assert_eq!(found, Some(mended), "within a round");
            if mended.beyond_repair.is_none() {
                return; // with what the scrub remembers of the round
            }
        }
        Remedy::Commit => {
            let pending = mirror.pending_digest();
            assert!(copy == Copy::Digest || pending == digest(&model.working));
            assert_eq!(mirror.commit(pending), Ok(()));
            model.commit();
            // Of what may have been written anywhere, the damaged block seemed to be written.
            model.written = mirror.written_blocks() as usize;
        }
        Remedy::Rollback if copy == Copy::Checkpoint => {
            mirror.rollback();
            model.rollback();
            // Both copies have it now, and the digest alone knows better.
            let found = Scrubbed { beyond_repair: Some(block as u32), ..NOTHING };
            assert_eq!(mirror.scrub_all(), found);
        }
        Remedy::Rollback => {
            mirror.rollback();
            model.rollback();
        }
        Remedy::Mend if block < BLOCKS => {
            let right = &model.committed[span(block)];
            let mut wrong = right.to_vec();
            wrong[0] ^= 0x55;
            assert_eq!(mirror.mend_block(block as u32, &wrong), Err(BlockRefused::Digest));
            assert_eq!(mirror.mend_block(block as u32, right), Ok(()));
        }
        Remedy::Mend => {}
        Remedy::Adopt => {
            let is_sound = copy == Copy::Working || (copy == Copy::Digest && block == BLOCKS);
            assert_eq!(mirror.adopt(digest(&model.committed)), is_sound);
            model.rollback();
        }
    }
    restore(mirror, model);
}

/// Scrubs everything; what is beyond repair then, the peer's copy mends.
fn restore(mirror: &mut Mirror<'_, State>, model: &Model) {
    if let Some(block) = mirror.scrub_all().beyond_repair {
        assert_eq!(mirror.mend_block(block, &model.committed[span(block as usize)]), Ok(()));
    }
    assert_eq!(mirror.scrub_all(), NOTHING, "once");
}
