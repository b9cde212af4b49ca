//! Claims of two cores on one number, and of one that takes over.

use super::explore;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use twinstep::sync::{revive, stop_after};
use twinstep::{
    Arbiter, ChannelId, Claim, ClaimWord, ClaimWords, Confirmation, Epoch, Grounds, Instant, SharedClaim, SplitClaim,
};

const NOW: Instant = Instant::from_micros(0);

/// What each core leaves for the other one before it claims; loom watches who touches it.
struct Notes([UnsafeCell<()>; 2]);

impl Notes {
    fn new() -> Self {
        Self([UnsafeCell::new(()), UnsafeCell::new(())])
    }

    fn write(&self, me: ChannelId) {
        self.0[me.index()].with_mut(|_| ());
    }

    /// Reads the other core's note, if that has claimed.
    fn read(&self, me: ChannelId, newest: Epoch) {
        if newest != Epoch::NONE && newest.owner() != me {
            self.0[me.other().index()].with(|_| ());
        }
    }
}

const EVERY: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
/// More asks than an intent has to stand still for.
const ASKS: u32 = 6;

/// What a core's claim came to, and after how many asks.
struct Answer {
    claim: Claim,
    asks: u32,
}

/// Claims until there is an answer. It does not yield: so the other core may stand still for all of it.
fn claim(arbiter: &mut impl Arbiter, to: Epoch) -> Answer {
    for asks in 1..=ASKS {
        let claim = arbiter.claim(NOW, Epoch::NONE, to, Grounds::Silence);
        if claim != Claim::Pending {
            return Answer { claim, asks };
        }
    }
    Answer { claim: Claim::Pending, asks: ASKS }
}

/// Leaves a note, claims number 1, reads the other one's note if that was faster. Who was granted it owns at once,
/// whatever the other one still does.
fn compete(notes: &Notes, me: ChannelId, arbiter: &mut impl Arbiter) -> Answer {
    notes.write(me);
    let to = Epoch::new(1, me);
    let answer = claim(arbiter, to);
    for _ in 0..2 {
        assert_eq!(arbiter.confirms(to, me), (answer.claim == Claim::Granted).into(), "owns exactly what was granted");
    }
    notes.read(me, arbiter.remembered().unwrap());
    answer
}

pub(crate) fn one_word() {
    explore(None, || {
        let shared = Arc::new((ClaimWord::new(), Notes::new()));
        let rivals = EVERY.map(|me| {
            let shared = shared.clone();
            thread::spawn(move || compete(&shared.1, me, &mut SharedClaim::new(&shared.0)))
        });
        let granted = rivals.map(|rival| rival.join().unwrap()).map(|answer| answer.claim == Claim::Granted);
        assert!(granted[0] != granted[1], "granted: {granted:?}");
    });
}

/// Looks at an intent that stands, in the models.
const LOOKS: u8 = 3;

pub(crate) fn split() {
    explore(Some(4), || {
        let shared = Arc::new((ClaimWords::new(), Notes::new()));
        let rivals = EVERY.map(|me| {
            let shared = shared.clone();
            thread::spawn(move || compete(&shared.1, me, &mut SplitClaim::new(&shared.0, me).with_looks(LOOKS)))
        });
        let answers = rivals.map(|rival| rival.join().unwrap());
        let granted = answers.each_ref().map(|answer| answer.claim == Claim::Granted);
        assert!(granted != [true, true], "number 1 was granted twice");
        // Who was taken for stopped and was not may be refused, with the other one.
        let was_slow = answers.iter().any(|answer| answer.asks > LOOKS.into());
        assert!(granted != [false, false] || was_slow, "neither was granted");
    });
}

/// A owns; B takes over while A claims the next number for itself.
pub(crate) fn takeover() {
    explore(Some(4), || {
        let shared = Arc::new((ClaimWord::new(), ClaimWords::new()));
        let owner = Epoch::new(1, ChannelId::A);
        let mut split = SplitClaim::new(&shared.1, ChannelId::A).with_looks(LOOKS);
        let first = [
            SharedClaim::new(&shared.0).claim(NOW, Epoch::NONE, owner, Grounds::First),
            split.claim(NOW, Epoch::NONE, owner, Grounds::First),
        ];
        assert_eq!(first, [Claim::Granted; 2]);
        let theirs = shared.clone();
        let other = thread::spawn(move || {
            let to = Epoch::new(2, ChannelId::B);
            let mut split = SplitClaim::new(&theirs.1, ChannelId::B).with_looks(LOOKS);
            [claim(&mut SharedClaim::new(&theirs.0), to).claim, claim(&mut split, to).claim]
        });
        let to = Epoch::new(2, ChannelId::A);
        let mine = [claim(&mut SharedClaim::new(&shared.0), to).claim, claim(&mut split, to).claim];
        let theirs = other.join().unwrap();
        for (mine, theirs) in mine.into_iter().zip(theirs) {
            assert!([mine, theirs] != [Claim::Granted; 2], "number 2 was granted twice");
        }
        // The old epoch is over as soon as the new one was granted to either.
        let is_over = split.confirms(owner, ChannelId::A) != Confirmation::Yes;
        assert_eq!(is_over, mine[1] == Claim::Granted || theirs[1] == Claim::Granted);
    });
}

/// Writes of a claim.
const WRITES: u32 = 3;

pub(crate) fn a_claimant_stops() {
    for (me, writes) in EVERY.into_iter().flat_map(|me| (0..=WRITES).map(move |writes| (me, writes))) {
        explore(Some(3), move || {
            let words = Arc::new(ClaimWords::new());
            let theirs = words.clone();
            let stopping = thread::spawn(move || {
                stop_after(writes);
                let _ = SplitClaim::new(&theirs, me).with_looks(LOOKS).claim(
                    NOW,
                    Epoch::NONE,
                    Epoch::new(1, me),
                    Grounds::Silence,
                );
                revive();
                let mut booted = SplitClaim::new(&theirs, me).with_looks(LOOKS);
                claim(&mut booted, Epoch::new(2, me)).claim
            });
            let survivor = me.other();
            let mut arbiter = SplitClaim::new(&words, survivor).with_looks(LOOKS);
            let mine = claim(&mut arbiter, Epoch::new(1, survivor)).claim;
            assert_ne!(mine, Claim::Pending, "a core that stopped holds up the other one");
            if mine == Claim::Granted && arbiter.remembered().unwrap().counter() == 1 {
                let owns = arbiter.confirms(Epoch::new(1, survivor), survivor) == Confirmation::Yes;
                assert!(owns || arbiter.remembered().unwrap().counter() > 1, "owns what was granted");
            }
            let booted = stopping.join().unwrap();
            let newest = arbiter.remembered().unwrap();
            let next = Epoch::new(newest.counter() + 1, survivor);
            assert_eq!(claim(&mut arbiter, next).claim, Claim::Granted, "{mine:?}, {booted:?}, {newest}");
            assert_eq!(arbiter.confirms(next, survivor), Confirmation::Yes);
        });
    }
}
