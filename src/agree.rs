//! INPUT  both channels settle on one input a cycle.

use crate::canonical;
use crate::ids::ChannelId;
use crate::program::{Agreement, Program};

/// A value with the digest of its canonical bytes, taken when the value was fixed.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Kept<T> {
    pub(crate) value: T,
    pub(crate) digest: u32,
}

impl<T: serde::Serialize> Kept<T> {
    /// Fixes a value; `None` if it cannot be encoded.
    pub(crate) fn new(value: T) -> Option<Self> {
        let digest = canonical::digest(&value)?;
        Some(Self { value, digest })
    }
}

/// The samples of the cycle in progress, and the peer's for the next one if it is ahead.
#[derive(Clone, Hash)]
pub(crate) struct Samples<I> {
    pub(crate) mine: Option<Kept<I>>,
    pub(crate) theirs: Option<Kept<I>>,
    pub(crate) ahead: Option<Kept<I>>,
}

impl<I> Samples<I> {
    pub(crate) const fn none() -> Self {
        Self { mine: None, theirs: None, ahead: None }
    }

    /// Starts the next cycle with this channel's sample.
    pub(crate) fn advance(&mut self, mine: Kept<I>) {
        self.mine = Some(mine);
        self.theirs = self.ahead.take();
    }
}

/// Settles on one input: of both samples in the order A, B if the peer's is there, else
/// of this channel's own. `None` without an own sample.
pub(crate) fn settle<P: Program>(
    me: ChannelId,
    mine: Option<&Kept<P::Input>>,
    theirs: Option<&Kept<P::Input>>,
) -> Option<Agreement<P::Input>> {
    let mine = &mine?.value;
    let theirs = theirs.map_or(mine, |kept| &kept.value);
    let [a, b] = me.in_order(mine, theirs);
    Some(P::agree(a, b))
}
