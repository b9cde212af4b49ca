//! What can be done to a mirror, each with what the model makes of it.

use super::damage::{self, Copy, Remedy};
use super::model::{BLOCKS, Model, digest, span, sum_of_digests};
use super::write::{Call, Width, stray, write};
use super::{BYTES, State};
use crate::seeded;
use twinstep::mirror::{BlockRefused, CommitDamaged, Mirror, Range, Scrubbed};

seeded! {
    /// One operation.
    pub enum Operation {
        /// Writes a field.
        Write { call: Call, width: Width, at: u8, fill: u8 },
        /// Writes every `stride`th byte from `from` on.
        Modify { from: u8, stride: u8, fill: u8 },
        /// Names memory outside of the state.
        Stray { call: Call },
        /// Names a field that is not there.
        Missing {},
        /// Asks for the digest to be voted.
        PendingDigest {},
        /// Commits what is pending.
        Commit {},
        /// Commits with this much of a difference in the voted digest.
        CommitWrong { difference: u16 },
        /// Flips a bit of what is pending, between vote and commit.
        CommitDamaged { bit: u16 },
        /// Returns to the checkpoint.
        Rollback {},
        /// Starts over with this in all bytes.
        Reset { fill: u8 },
        /// Scrubs so many blocks where nothing is damaged.
        Scrub { blocks: u8 },
        /// Scrubs one block where nothing is damaged.
        ScrubOne { block: u8 },
        /// Scrubs all where nothing is damaged.
        ScrubAll {},
        /// Flips one bit, and what is done about it.
        Flip { copy: Copy, bit: u16, remedy: Remedy },
        /// Puts a block, or bytes that are none.
        Put { block: u8, length: u8, fill: u8 },
        /// Mends a block that needs none, with its own bytes or with others.
        Mend { block: u8, difference: u8 },
        /// Adopts what is there, by the right digest or by one with this difference.
        Adopt { difference: u16 },
        /// Compares the digest of some blocks in a row.
        RangeDigest { first: u8, exponent: u8 },
    }
}

impl Operation {
    pub(super) fn apply(self, mirror: &mut Mirror<'_, State>, model: &mut Model) {
        match self {
            Self::Write { call, width, at, fill } => write(call, width, at, fill, &mut mirror.tracked(), model),
            Self::Modify { from, stride, fill } => {
                let (from, stride) = (usize::from(from), usize::from(stride.max(1)));
                let change = |state: &mut State| {
                    state.iter_mut().skip(from).step_by(stride).for_each(|byte| *byte = byte.wrapping_add(fill));
                };
                mirror.tracked().modify(change);
                change(&mut model.working);
                model.unknown = true;
            }
            Self::Stray { call } => {
                stray(call, &mut mirror.tracked());
                model.stray += 1;
            }
            Self::Missing {} => {
                let is_done = mirror.tracked().try_update(|state| state.get(BYTES), |byte: u8| byte.wrapping_add(1));
                assert!(!is_done);
            }
            Self::PendingDigest {} => {
                assert_eq!(mirror.pending_digest(), digest(&model.working));
                model.find_unknown();
            }
            Self::Commit {} => {
                let pending = mirror.pending_digest();
                assert_eq!(pending, digest(&model.working));
                assert_eq!(mirror.commit(pending), Ok(()));
                model.commit();
            }
            Self::CommitWrong { difference } => {
                let pending = mirror.pending_digest();
                model.find_unknown();
                refuse_commit(pending ^ (u32::from(difference) + 1), mirror, model);
            }
            Self::CommitDamaged { bit } => {
                let voted = mirror.pending_digest();
                model.find_unknown();
                let bit = usize::from(bit) % (BYTES * 8);
                if model.is_dirty(bit / 8 / 64) {
                    mirror.flip_working_bit(bit);
                    model.working[bit / 8] ^= 1 << (bit % 8);
                    refuse_commit(voted, mirror, model);
                }
            }
            Self::Rollback {} => {
                mirror.rollback();
                model.rollback();
            }
            Self::Reset { fill } => {
                mirror.reset(|state| state[BYTES / 2..].fill(fill));
                *model = Model::new(std::array::from_fn(|at| if at < BYTES / 2 { 0 } else { fill }));
            }
            Self::Scrub { blocks } => assert_eq!(mirror.scrub(blocks.into()), Scrubbed::default()),
            Self::ScrubOne { block } => assert_eq!(mirror.scrub_one(block.into()), Scrubbed::default()),
            Self::ScrubAll {} => assert_eq!(mirror.scrub_all(), Scrubbed::default()),
            Self::Flip { copy, bit, remedy } => damage::flip(copy, bit.into(), remedy, mirror, model),
            Self::Put { block, length, fill } => put(block.into(), length.into(), fill, mirror, model),
            Self::Mend { block, difference } => {
                let block = usize::from(block) % BLOCKS;
                let mut bytes = model.committed[span(block)].to_vec();
                bytes[0] ^= difference;
                let expected = if difference == 0 { Ok(()) } else { Err(BlockRefused::Digest) };
                assert_eq!(mirror.mend_block(block as u32, &bytes), expected);
            }
            Self::Adopt { difference } => {
                let right = digest(&model.committed);
                assert_eq!(mirror.adopt(right ^ u32::from(difference)), difference == 0);
                model.rollback();
            }
            Self::RangeDigest { first, exponent } => {
                let blocks = 1_u32 << (exponent % 32);
                let found = mirror.range_digest(Range { first: first.into(), blocks });
                let first = usize::from(first).min(BLOCKS);
                let end = first.saturating_add(blocks as usize).min(BLOCKS);
                assert_eq!(found, sum_of_digests(&model.committed, first..end));
            }
        }
    }
}

/// Commits what must not pass: nothing changes. Returns to the checkpoint.
fn refuse_commit(voted: u32, mirror: &mut Mirror<'_, State>, model: &mut Model) {
    assert_eq!(mirror.commit(voted), Err(CommitDamaged));
    assert!(mirror.verify());
    mirror.rollback();
    assert_eq!(*mirror.state(), model.committed);
    model.rollback();
}

fn put(block: usize, length: usize, fill: u8, mirror: &mut Mirror<'_, State>, model: &mut Model) {
    let bytes = vec![fill; length];
    let need_bytes = span(block.min(BLOCKS - 1)).len();
    let expected = if block >= BLOCKS {
        Err(BlockRefused::OutOfRange { index: block as u32, blocks: BLOCKS as u32 })
    } else if length != need_bytes {
        Err(BlockRefused::Length { need_bytes, have_bytes: length })
    } else {
        model.working[span(block)].fill(fill);
        model.committed[span(block)].fill(fill);
        Ok(())
    };
    assert_eq!(mirror.put_block(block as u32, &bytes), expected);
}
