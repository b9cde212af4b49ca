//! INPUT  both channels settle on one input a cycle.

use crate::canonical;
use crate::ids::ChannelId;
use crate::program::{Agreement, Program};

/// A sample, kept twice and with the digest of its canonical bytes, taken when it was fixed: of the
/// three, any one may be damaged, and is mended from the others.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Kept<T> {
    pub(crate) value: T,
    spare: T,
    pub(crate) digest: u32,
}

/// What a look at a sample's copies found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    Sound,
    Mended,
    /// More than one is damaged.
    Lost,
}

impl<T: serde::Serialize + Clone> Kept<T> {
    /// Fixes a value; `None` if it cannot be encoded.
    pub(crate) fn new(value: T) -> Option<Self> {
        let digest = canonical::digest(&value)?;
        Some(Self { spare: value.clone(), value, digest })
    }

    /// The spare copy, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn spare(&mut self) -> &mut T {
        &mut self.spare
    }

    /// Checks the value before it is used. The spare copy is looked at only if need be.
    pub(crate) fn check(&mut self) -> Copies {
        let of_value = canonical::digest(&self.value);
        if of_value == Some(self.digest) {
            return Copies::Sound;
        }
        match canonical::digest(&self.spare) {
            Some(digest) if digest == self.digest => self.value = self.spare.clone(),
            Some(digest) if of_value == Some(digest) => self.digest = digest,
            _ => return Copies::Lost,
        }
        Copies::Mended
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
