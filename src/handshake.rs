//! HANDSHAKE  whose words are fresh: nonces, challenges and their echoes.
//!
//! A `Hello` acts only if it echoes this boot's nonce and its newest challenge. The
//! challenge changes whenever it was answered and at every change of mode, so a delayed,
//! repeated or replayed `Hello` finds its challenge gone.

use crate::wire::Hello;

/// This channel's side of the handshake.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Handshake {
    challenge: u32,
    /// Nonce and challenge last heard of the peer, to be echoed.
    heard: Option<(u32, u32)>,
    /// An answer is due before the next regular `Hello`.
    answer_due: bool,
    /// Nonce and challenge of the last fresh `Hello`.
    fresh: Option<(u32, u32)>,
    /// Nothing was agreed on since both were about to go on together.
    is_pairing: bool,
    /// The nonce of another board that says it is this channel; it was heard once.
    twin: Option<u32>,
}

impl Handshake {
    pub(crate) fn new() -> Self {
        Self { challenge: 1, heard: None, answer_due: false, fresh: None, is_pairing: false, twin: None }
    }

    pub(crate) fn challenge(&self) -> u32 {
        self.challenge
    }

    /// Notes what is to be echoed; returns whether `hello` is fresh to this channel's boot of this
    /// nonce. A fresh one uses up the challenge it echoes.
    pub(crate) fn hear(&mut self, hello: &Hello, my_nonce: u32) -> bool {
        self.heard = Some((hello.nonce, hello.challenge));
        let fresh = hello.echo_nonce == my_nonce && hello.echo_challenge == self.challenge;
        if fresh {
            self.renew();
        }
        fresh
    }

    /// Whether a fresh `Hello` from outside of the cycle is of a boot with the nonce of the one before: challenges of one boot do not go
    /// back, and each change of mode has its own. To be asked once of each such `Hello`.
    pub(crate) fn repeats_nonce(&mut self, hello: &Hello) -> bool {
        let before = self.fresh.replace((hello.nonce, hello.challenge));
        before.is_some_and(|(nonce, challenge)| {
            nonce == hello.nonce && hello.challenge.wrapping_sub(challenge).cast_signed() < 0
        })
    }

    /// This channel goes on with the peer, which may not have come so far.
    pub(crate) fn pairs(&mut self) {
        self.is_pairing = true;
    }

    /// A cycle was agreed on: both go on together. The next word from outside of the cycle comes after two more changes of mode.
    pub(crate) fn agreed(&mut self) {
        if let Some((_, challenge)) = self.fresh.as_mut().filter(|_| self.is_pairing) {
            *challenge = challenge.wrapping_add(2);
        }
        self.is_pairing = false;
    }

    /// Notes the nonce of a `Hello` in this channel's own name; whether it is the second one of another board. A single one may be this
    /// channel's own of a former boot, come back. One of this boot is its own, unless it tells of an epoch that this channel has never heard
    /// of: then the boards have booted with the same nonce.
    pub(crate) fn hear_twin(&mut self, nonce: u32, my_nonce: u32, is_news: bool) -> bool {
        (nonce != my_nonce || is_news) && self.twin.replace(nonce) == Some(nonce)
    }

    /// Notes the newest challenge of the peer, from a frame of this pair of boots.
    pub(crate) fn hear_challenge(&mut self, nonce: u32, challenge: u32) {
        self.heard = Some((nonce, challenge));
    }

    /// Returns the peer's newest challenge, as far as heard.
    pub(crate) fn heard_challenge(&self) -> u32 {
        self.heard.unwrap_or_default().1
    }

    pub(crate) fn owes_answer(&self) -> bool {
        self.answer_due
    }

    /// An answer is due before the next regular `Hello`.
    pub(crate) fn owe_answer(&mut self) {
        self.answer_due = true;
    }

    /// A `Hello` went out, or nobody waits for one.
    pub(crate) fn answered(&mut self) {
        self.answer_due = false;
    }

    /// Makes every `Hello` sent so far stale.
    pub(crate) fn renew(&mut self) {
        self.challenge = self.challenge.wrapping_add(1);
    }

    /// Fills in this channel's nonce, challenge and echo.
    pub(crate) fn sign(&self, hello: Hello, nonce: u32) -> Hello {
        let (echo_nonce, echo_challenge) = self.heard.unwrap_or_default();
        Hello { nonce, challenge: self.challenge, echo_nonce, echo_challenge, ..hello }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_echo_of_the_newest_challenge_is_fresh_and_only_once() {
        let (mut a, mut b) = (Handshake::new(), Handshake::new());
        let first = a.sign(Hello::BLANK, 10);
        assert!(!b.hear(&first, 20), "a stranger's first word echoes nothing");
        let answer = b.sign(Hello::BLANK, 20);
        assert!(a.hear(&answer, 10));
        assert!(!a.hear(&answer, 10), "a repetition is stale");
        assert!(!b.hear(&first, 20));

        let answer = b.sign(Hello::BLANK, 20);
        assert!(!a.hear(&answer, 10), "its challenge was used up");
        b.hear(&a.sign(Hello::BLANK, 10), 20);
        assert!(a.hear(&b.sign(Hello::BLANK, 20), 10), "after a new round it is fresh again");

        let mut rebooted = Handshake::new();
        assert!(!rebooted.hear(&b.sign(Hello::BLANK, 20), 11), "an echo of another boot is stale");
    }
}
