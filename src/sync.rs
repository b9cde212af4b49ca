//! SYNC  what shared memory is made of, and the only place that knows loom.
//!
//! Under `--cfg loom` a `Word` is loom's and `Guarded` is watched: who reads what another core
//! may be writing fails the model, though the words themselves are atomic and would only read torn.
//! So what is modelled is what ships, and what ships has no undefined behaviour even if the other
//! core runs wild. A model can also weaken one ordering, or stop a core after so many writes.

use core::sync::atomic::Ordering;

#[cfg(loom)]
use modelled::{AtomicU32, Watch, atomic_fence, may_write, weakest};
#[cfg(loom)]
pub(crate) use modelled::{array, const_fn};
#[cfg(loom)]
pub use modelled::{revive, stop_after, weakened};
#[cfg(not(loom))]
use ships::{AtomicU32, Watch, atomic_fence, may_write, weakest};
#[cfg(not(loom))]
pub(crate) use ships::{array, const_fn};

/// The orderings, each by what it is for, so that a model can leave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Order {
    /// Nothing else hangs on it.
    Plain,
    /// A frame is in its slot before the counter says so.
    FrameWritten,
    /// A frame is read after the counter said so.
    FrameSeen,
    /// A slot was read before it is given back.
    SlotReturned,
    /// A slot is written after it was given back.
    SlotSeen,
    /// What a core wrote before its claim is there when the claim is.
    ClaimMade,
    /// What the other core wrote before its claim is read after that.
    ClaimSeen,
    /// A fence: this core's intent is out before it looks for the other one's.
    Intent,
    /// A fence: this core's word is out before it looks at the other one's once more.
    Held,
    /// What the other core wrote before it held the lease is read after that.
    HeldSeen,
}

impl Order {
    /// All that a model can weaken.
    pub const ALL: [Self; 9] = [
        Self::FrameWritten,
        Self::FrameSeen,
        Self::SlotReturned,
        Self::SlotSeen,
        Self::ClaimMade,
        Self::ClaimSeen,
        Self::Intent,
        Self::Held,
        Self::HeldSeen,
    ];

    fn strength(self) -> Ordering {
        weakest(self).unwrap_or(match self {
            Self::Plain => Ordering::Relaxed,
            Self::FrameWritten | Self::SlotReturned | Self::ClaimMade => Ordering::Release,
            Self::FrameSeen | Self::SlotSeen | Self::ClaimSeen | Self::HeldSeen => Ordering::Acquire,
            Self::Intent | Self::Held => Ordering::SeqCst,
        })
    }
}

/// A word that both cores see.
#[repr(transparent)]
pub(crate) struct Word(AtomicU32);

impl Word {
    const_fn! {
        pub(crate) fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }
    }

    pub(crate) fn load(&self, order: Order) -> u32 {
        self.0.load(order.strength())
    }

    pub(crate) fn store(&self, value: u32, order: Order) {
        if may_write() {
            self.0.store(value, order.strength());
        }
    }

    /// Writes `new` if the word still is `old`, in one step; whether it was.
    #[cfg(target_has_atomic = "32")]
    pub(crate) fn replace(&self, old: u32, new: u32, order: Order) -> bool {
        may_write() && self.0.compare_exchange(old, new, order.strength(), Ordering::Relaxed).is_ok()
    }
}

/// A fence of this core's.
pub(crate) fn fence(order: Order) {
    atomic_fence(order.strength());
}

/// Words of which the protocol says who may touch them when.
#[repr(C)]
pub(crate) struct Guarded<T> {
    words: T,
    watch: Watch,
}

impl<T> Guarded<T> {
    const_fn! {
        pub(crate) fn new(words: T) -> Self {
            Self { words, watch: Watch::new(()) }
        }
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        self.watch.with(|_| read(&self.words))
    }

    pub(crate) fn write(&self, write: impl FnOnce(&T)) {
        if may_write() {
            self.watch.with_mut(|_| write(&self.words));
        }
    }
}

#[cfg(not(loom))]
mod ships {
    use super::{Order, Ordering};
    pub(super) use core::sync::atomic::{AtomicU32, fence as atomic_fence};

    pub(super) const fn weakest(_: Order) -> Option<Ordering> {
        None
    }

    pub(super) const fn may_write() -> bool {
        true
    }

    /// Nobody watches.
    pub(super) struct Watch;

    impl Watch {
        #[allow(clippy::unit_arg)]
        pub(super) const fn new((): ()) -> Self {
            Self
        }

        pub(super) fn with<R>(&self, read: impl FnOnce(()) -> R) -> R {
            read(())
        }

        pub(super) fn with_mut(&self, write: impl FnOnce(())) {
            write(());
        }
    }

    /// A constructor, const in what ships, so that the memory can be a static.
    macro_rules! const_fn {
        ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
    }
    pub(crate) use const_fn;

    /// So many of them, one like the other.
    macro_rules! array {
        ($element:expr; $length:expr) => {
            [const { $element }; $length]
        };
    }
    pub(crate) use array;
}

#[cfg(loom)]
mod modelled {
    extern crate std;

    use super::{Order, Ordering};
    use core::cell::Cell;
    use loom::cell::UnsafeCell;
    pub(super) use loom::sync::atomic::{AtomicU32, fence as atomic_fence};

    /// Who touches the words beside it.
    pub(super) type Watch = UnsafeCell<()>;

    std::thread_local! {
        // Loom runs all threads of a model on one real one.
        static WEAK: Cell<Option<Order>> = const { Cell::new(None) };
    }

    loom::thread_local! {
        /// Writes of this core that still take effect.
        static WRITES_LEFT: Cell<u32> = Cell::new(u32::MAX);
    }

    /// Weakens one ordering from here on.
    pub fn weakened(order: Option<Order>) {
        WEAK.set(order);
    }

    /// Stops the core that this thread plays after so many writes: later ones do not take effect.
    pub fn stop_after(writes: u32) {
        WRITES_LEFT.with(|left| left.set(writes));
    }

    /// The core that this thread plays boots again.
    pub fn revive() {
        stop_after(u32::MAX);
    }

    pub(super) fn may_write() -> bool {
        WRITES_LEFT.with(|left| {
            let count = left.get();
            left.set(if count == u32::MAX { count } else { count.saturating_sub(1) });
            count > 0
        })
    }

    /// What is left of a weakened ordering; of a fence, one that orders no write before a read.
    pub(super) fn weakest(order: Order) -> Option<Ordering> {
        let is_fence = matches!(order, Order::Intent | Order::Held);
        let weak = if is_fence { Ordering::AcqRel } else { Ordering::Relaxed };
        (WEAK.get() == Some(order)).then_some(weak)
    }

    macro_rules! const_fn {
        ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis fn $($rest)* };
    }
    pub(crate) use const_fn;

    macro_rules! array {
        ($element:expr; $length:expr) => {
            core::array::from_fn::<_, { $length }, _>(|_| $element)
        };
    }
    pub(crate) use array;
}
