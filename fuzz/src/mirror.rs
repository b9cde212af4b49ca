//! Operations on the mirrored memory, against plain bytes.

mod damage;
mod model;
mod operation;
mod write;

pub use damage::{Copy, Remedy};
pub use operation::Operation;
pub use write::{Call, Width};

use crate::seed::Seed;
use arbitrary::Arbitrary;
use model::Model;
use twinstep::mirror::Mirror;
use twinstep::sim::Storage;

/// The size of the state: three blocks and a short one.
const BYTES: usize = 200;
type State = [u8; BYTES];

const MOST_OPERATIONS: usize = 64;

/// One execution: what is done to a mirror, in order.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What the state is filled with at first.
    pub fill: u8,
    /// What is done.
    pub operations: Vec<Operation>,
}

impl Seed for Script {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.fill.write(bytes);
        self.operations.write(bytes);
    }
}

impl Script {
    /// Does the same to a mirror and to the model, and compares them after each operation.
    ///
    /// # Panics
    /// Where they differ.
    pub fn follow(&self) {
        let initial: State = std::array::from_fn(|at| self.fill.wrapping_add((at * 7 + at / 64) as u8));
        let mut storage = Storage::<State>::new();
        let mut mirror = Mirror::new(storage.cells(), |state: &mut State| *state = initial);
        let mut model = Model::new(initial);
        for operation in self.operations.iter().take(MOST_OPERATIONS) {
            operation.apply(&mut mirror, &mut model);
            model.compare(&mut mirror);
        }
        assert_eq!(mirror.pending_digest(), model::digest(&model.working), "digest of what is pending");
        mirror.rollback();
        assert_eq!(*mirror.state(), model.committed, "the rollback returns what was committed");
    }
}

#[cfg(test)]
mod tests {
    use super::{Model, State, model};
    use crate::corpus::scripts;
    use twinstep::mirror::Mirror;
    use twinstep::sim::Storage;

    #[test]
    fn the_corpus_holds() {
        for (name, script) in scripts() {
            println!("{name}");
            script.follow();
        }
    }

    /// The negative control: a bit flipped behind the model's back is found by the comparison.
    #[test]
    fn the_comparison_sees_each_flipped_bit() {
        type Flip = fn(&mut Mirror<'_, State>, usize);
        let flips: [(usize, Flip); 3] = [
            (200 * 8, |mirror, bit| mirror.flip_working_bit(bit)),
            (200 * 8, |mirror, bit| mirror.flip_checkpoint_bit(bit)),
            (5 * 32, |mirror, bit| mirror.flip_digest_bit(bit)),
        ];
        for (bits, flip) in flips {
            for bit in 0..bits {
                let mut storage = Storage::<State>::new();
                let mut mirror = Mirror::new(storage.cells(), |_| {});
                let mut model = Model::new([0; 200]);
                model.compare(&mut mirror);
                flip(&mut mirror, bit);
                let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.compare(&mut mirror)));
                assert!(compared.is_err(), "bit {bit} goes unseen");
            }
        }
        assert_ne!(model::digest(&[0; 200]), model::digest(&[1; 200]));
    }
}
