//! Silence: an arbiter that does not answer, or does not confirm. It is asked again after pauses that double.

/// How long the arbiter has been silent. If a bit of this flips, the arbiter is asked too soon or too late, and its answer decides.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Silence {
    /// Claims in a row that were not answered.
    claims: u8,
    /// Slots, this one included, since the arbiter last confirmed what this channel owns; 0: it did as this channel looked last, or need not.
    doubted: u8,
    /// Slots before the arbiter is asked again.
    pause: u16,
}

/// A pause doubles so many times.
const LONGEST_PAUSE: u8 = 5;

impl Silence {
    /// Another slot begins.
    pub(super) fn slot_opens(&mut self, limit: u8) {
        if self.pause > 0 {
            self.pause = self.pause.min(u16::from(limit) << LONGEST_PAUSE).saturating_sub(1);
        }
        if self.doubted > 0 {
            self.doubted = self.doubted.saturating_add(1);
        }
    }

    /// The arbiter has answered, or there is nothing to be asked.
    pub(super) fn ends(&mut self) {
        (self.claims, self.pause) = (0, 0);
    }

    /// A claim was withdrawn: the arbiter is asked again after a pause.
    pub(super) fn goes_on(&mut self, limit: u8) {
        self.pause = u16::from(limit) << self.claims.min(LONGEST_PAUSE);
        self.claims = self.claims.saturating_add(1);
    }

    /// Whether the arbiter has left a claim unanswered, and answered none since.
    pub(super) fn is_unanswered(&self) -> bool {
        self.claims > 0
    }

    /// Whether the arbiter may be asked, be it again.
    pub(super) fn may_ask(&self) -> bool {
        self.pause == 0 && self.doubted == 0
    }

    /// The arbiter confirms, so what it said before was misread; or this channel has nothing to be confirmed now.
    pub(super) fn doubt_ends(&mut self) {
        self.doubted = 0;
    }

    /// The arbiter does not confirm that this channel owns. Whether it did not at the end of each of so many slots before.
    pub(super) fn doubt(&mut self, limit: u8) -> bool {
        self.doubted = self.doubted.max(1);
        self.doubted > limit || self.doubted == u8::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_there_is_an_answer() {
        let mut silence = Silence::default();
        let slots = |silence: &mut Silence| {
            let waits = |silence: &mut Silence| {
                let waits = !silence.may_ask();
                silence.slot_opens(2);
                waits
            };
            (0..100).take_while(|_| waits(silence)).count()
        };
        for pause in [2, 4, 8, 16, 32, 64, 64] {
            silence.goes_on(2);
            assert!(silence.is_unanswered());
            assert_eq!(slots(&mut silence), pause);
        }
        silence.pause = u16::MAX;
        assert_eq!(slots(&mut silence), 64, "no bit makes it wait for longer");
        silence.ends();
        assert!(!silence.is_unanswered() && silence.may_ask());
    }

    #[test]
    fn a_doubt_has_to_last_and_ends_once_the_arbiter_confirms() {
        let mut silence = Silence::default();
        for _ in 0..3 {
            assert!(!silence.doubt(2));
            silence.slot_opens(9);
            assert!(!silence.doubt(2) && !silence.doubt(2), "once a slot");
            silence.slot_opens(9);
            assert!(silence.doubt(2));
            silence.doubt_ends();
        }
    }
}
