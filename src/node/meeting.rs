//! Meeting: how this channel and its peer come together. What each last heard of the other, what a starting channel is about
//! to do, the cut that waits for its answer, and the peer that serves meanwhile.

use super::settings::Settings;
use crate::handshake::Handshake;
use crate::ids::{Epoch, Instant};
use crate::wire::Hello;

/// What a starting channel is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Boot {
    /// Nothing but say `Hello`.
    Listening,
    /// As the leader: cut over the peer of this nonce, once the first owner has the lease.
    Leading { joiner_nonce: u32 },
    /// Start alone, once this channel has the lease.
    Alone,
    /// As the leader: the `Cut` goes out until the first frame of its epoch comes back.
    Cutting { until: Instant },
    /// As the led one: the `Cut` is good, and this channel is to own; it claims first.
    Joining,
}

/// Twice there and back take less than two periods, however slow the link is: a `Cut` with a challenge that is used up, the newest one
/// in answer, the `Cut` with that, and the first sample.
const FIRST_CUT_PERIODS: u32 = 3;

/// A `Cut` that goes out until the first frame of its epoch comes back.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Cutting {
    pub(super) joiner_nonce: u32,
    pub(super) resend_at: Instant,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "sim", derive(Hash))]
pub(super) struct Meeting {
    handshake: Handshake,
    boot: Boot,
    cut: Option<Cutting>,
    /// The epoch of the peer that serves, by its fresh `Hello`: frames of it are expected.
    serving: Option<Epoch>,
}

impl Meeting {
    pub(super) fn new() -> Self {
        Self { handshake: Handshake::new(), boot: Boot::Listening, cut: None, serving: None }
    }

    // The handshake.

    /// Notes a `Hello`; whether it is fresh to this boot.
    pub(super) fn hear(&mut self, hello: &Hello, my_nonce: u32) -> bool {
        self.handshake.hear(hello, my_nonce)
    }

    /// Notes the newest challenge of the peer, from a frame of this pair of boots.
    pub(super) fn hear_challenge(&mut self, nonce: u32, challenge: u32) {
        self.handshake.hear_challenge(nonce, challenge);
    }

    /// Whether a fresh `Hello` is of a boot that repeats its nonce.
    pub(super) fn repeats_nonce(&mut self, hello: &Hello) -> bool {
        self.handshake.repeats_nonce(hello)
    }

    /// This channel goes on with the peer.
    pub(super) fn pairs(&mut self) {
        self.handshake.pairs();
    }

    /// A cycle was agreed on.
    pub(super) fn agreed(&mut self) {
        self.handshake.agreed();
    }

    /// Notes a `Hello` in this channel's own name; whether it is of another board.
    pub(super) fn hear_twin(&mut self, hello: &Hello, my_nonce: u32, is_news: bool) -> bool {
        self.handshake.hear_twin(hello.nonce, my_nonce, is_news)
    }

    pub(super) fn challenge(&self) -> u32 {
        self.handshake.challenge()
    }

    pub(super) fn heard_challenge(&self) -> u32 {
        self.handshake.heard_challenge()
    }

    pub(super) fn sign(&self, hello: Hello, nonce: u32) -> Hello {
        self.handshake.sign(hello, nonce)
    }

    /// Makes every `Hello` sent so far stale.
    pub(super) fn renew(&mut self) {
        self.handshake.renew();
    }

    pub(super) fn owes_answer(&self) -> bool {
        self.handshake.owes_answer()
    }

    /// An answer is due before the next regular `Hello`.
    pub(super) fn owe_answer(&mut self) {
        self.handshake.owe_answer();
    }

    pub(super) fn answered(&mut self) {
        self.handshake.answered();
    }

    // Starting.

    pub(super) fn boot(&self) -> Boot {
        self.boot
    }

    pub(super) fn is_cutting_first(&self) -> bool {
        matches!(self.boot, Boot::Cutting { .. })
    }

    pub(super) fn lead(&mut self, joiner_nonce: u32) {
        self.boot = Boot::Leading { joiner_nonce };
    }

    pub(super) fn start_alone(&mut self) {
        self.boot = Boot::Alone;
    }

    pub(super) fn join_first(&mut self) {
        self.boot = Boot::Joining;
    }

    /// Cuts over a peer that is empty, as this channel is.
    pub(super) fn cut_first(&mut self, now: Instant, joiner_nonce: u32, config: &Settings) {
        self.boot = Boot::Cutting { until: now.plus_us(config.period_us().saturating_mul(FIRST_CUT_PERIODS)) };
        self.cut(now, joiner_nonce);
        // A `Hello` now would use up the challenge that the `Cut` carries.
        self.answered();
    }

    /// Does nothing but say `Hello`, whatever it was about to do.
    pub(super) fn listen(&mut self) {
        (self.boot, self.cut) = (Boot::Listening, None);
    }

    // The cut.

    /// The `Cut` is to go out now.
    pub(super) fn cut(&mut self, now: Instant, joiner_nonce: u32) {
        self.cut = Some(Cutting { joiner_nonce, resend_at: now });
    }

    /// Returns the `Cut` that waits for its answer.
    pub(super) fn waiting_cut(&self) -> Option<Cutting> {
        self.cut
    }

    /// Whether a `Cut` waits for its answer.
    pub(super) fn is_cutting(&self) -> bool {
        self.cut.is_some()
    }

    /// The `Cut` is to go out at this time.
    pub(super) fn cut_again(&mut self, at: Instant) {
        if let Some(cut) = &mut self.cut {
            cut.resend_at = at;
        }
    }

    pub(super) fn cut_is_answered(&mut self) {
        self.cut = None;
    }

    // The peer that serves.

    /// Returns the epoch of the peer that serves.
    pub(super) fn serving(&self) -> Option<Epoch> {
        self.serving
    }

    pub(super) fn peer_serves(&mut self, epoch: Epoch) {
        self.serving = Some(epoch);
    }

    pub(super) fn nobody_serves(&mut self) {
        self.serving = None;
    }

    /// What belongs to a mode ends with it, above all the peer's offer: an old block must find no channel that takes it.
    pub(super) fn mode_changed(&mut self) {
        self.renew();
        self.listen();
        self.nobody_serves();
    }
}
