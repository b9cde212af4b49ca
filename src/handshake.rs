//! HANDSHAKE  whose words are fresh: nonces, challenges and their echoes.
//!
//! A `Hello` acts only if it echoes this boot's nonce and its newest challenge. The
//! challenge changes whenever it was answered and at every change of mode, so a delayed,
//! repeated or replayed `Hello` finds its challenge gone.

use crate::wire::Hello;

/// This channel's side of the handshake.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Handshake {
    nonce: u32,
    challenge: u32,
    /// Nonce and challenge last heard of the peer, to be echoed.
    heard: Option<(u32, u32)>,
    /// An answer is due before the next regular `Hello`.
    pub(crate) answer_due: bool,
}

impl Handshake {
    pub(crate) fn new(nonce: u32) -> Self {
        Self { nonce, challenge: 1, heard: None, answer_due: false }
    }

    pub(crate) fn nonce(&self) -> u32 {
        self.nonce
    }

    pub(crate) fn challenge(&self) -> u32 {
        self.challenge
    }

    /// Notes what is to be echoed; returns whether `hello` is fresh. A fresh one uses up
    /// the challenge it echoes.
    pub(crate) fn hear(&mut self, hello: &Hello) -> bool {
        self.heard = Some((hello.nonce, hello.challenge));
        let fresh = hello.echo_nonce == self.nonce && hello.echo_challenge == self.challenge;
        if fresh {
            self.renew();
        }
        fresh
    }

    /// Notes the newest challenge of the peer, from a frame of this pair of boots.
    pub(crate) fn hear_challenge(&mut self, nonce: u32, challenge: u32) {
        self.heard = Some((nonce, challenge));
    }

    /// Returns the peer's newest challenge, as far as heard.
    pub(crate) fn heard_challenge(&self) -> u32 {
        self.heard.unwrap_or_default().1
    }

    /// Makes every `Hello` sent so far stale.
    pub(crate) fn renew(&mut self) {
        self.challenge = self.challenge.wrapping_add(1);
    }

    /// Fills in nonce, challenge and echo.
    pub(crate) fn sign(&self, hello: Hello) -> Hello {
        let (echo_nonce, echo_challenge) = self.heard.unwrap_or_default();
        Hello { nonce: self.nonce, challenge: self.challenge, echo_nonce, echo_challenge, ..hello }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_echo_of_the_newest_challenge_is_fresh_and_only_once() {
        let (mut a, mut b) = (Handshake::new(10), Handshake::new(20));
        let first = a.sign(Hello::BLANK);
        assert!(!b.hear(&first), "a stranger's first word echoes nothing");
        let answer = b.sign(Hello::BLANK);
        assert!(a.hear(&answer));
        assert!(!a.hear(&answer), "a repetition is stale");
        assert!(!b.hear(&first));

        let answer = b.sign(Hello::BLANK);
        assert!(!a.hear(&answer), "its challenge was used up");
        b.hear(&a.sign(Hello::BLANK));
        assert!(a.hear(&b.sign(Hello::BLANK)), "after a new round it is fresh again");

        let mut rebooted = Handshake::new(11);
        assert!(!rebooted.hear(&b.sign(Hello::BLANK)), "an echo of another boot is stale");
    }
}
