//! The boards' link under the faults of a campaign: frame by frame, where one is to be disturbed.

use crate::frames::{Deframer, framed};
use fastrand::Rng;
use twinstep::ChannelId;
use twinstep::sim::{Disturbance, Secrets};

/// Frames of each sender that are kept, to be brought once more.
const KEPT: usize = 64;

/// What is done to the link.
pub(super) struct Disturber {
    rng: Rng,
    is_cut: bool,
    due: [Option<Disturbance>; 2],
    /// Until when nothing of a sender gets through.
    blocked_until_ns: [u64; 2],
    frames: [Deframer; 2],
    /// A frame has begun that is disturbed; its bytes wait for its end.
    is_collected: [bool; 2],
    is_within: [bool; 2],
    held_back: [Option<Vec<u8>>; 2],
    sent: [Vec<Vec<u8>>; 2],
}

impl Disturber {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ 0xD157),
            is_cut: false,
            due: [None; 2],
            blocked_until_ns: [0; 2],
            frames: Default::default(),
            is_collected: [false; 2],
            is_within: [false; 2],
            held_back: [None, None],
            sent: Default::default(),
        }
    }

    pub(super) fn disturb(&mut self, now_ns: u64, sender: ChannelId, disturbance: Disturbance) {
        let until_ns = |for_us: u64| now_ns + for_us * 1_000;
        match disturbance {
            Disturbance::Subset { for_us } => self.blocked_until_ns[sender.index()] = until_ns(for_us),
            Disturbance::Blocked { for_us } => self.blocked_until_ns = [until_ns(for_us); 2],
            _ => self.due[sender.index()] = Some(disturbance),
        }
    }

    pub(super) fn cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
    }

    pub(super) fn calm(&mut self) {
        (self.due, self.blocked_until_ns, self.held_back) = ([None; 2], [0; 2], [None, None]);
    }

    /// A board boots: half a frame of its earlier life is none.
    pub(super) fn booted(&mut self, board: ChannelId) {
        let at = board.index();
        (self.frames[at], self.is_collected[at], self.is_within[at]) = (Deframer::default(), false, false);
    }

    pub(super) fn kept(&self, sender: ChannelId) -> usize {
        self.sent[sender.index()].len()
    }

    /// Returns the bytes of a frame that was sent so many frames before the last one.
    pub(super) fn back(&self, sender: ChannelId, age: usize) -> Option<Vec<u8>> {
        let sent = &self.sent[sender.index()];
        sent.get(sent.len().checked_sub(1 + age)?).map(|frame| framed(frame))
    }

    /// Carries a byte; returns what arrives of it, where and when.
    pub(super) fn carry(
        &mut self,
        from: ChannelId,
        byte: u8,
        arrives_ns: u64,
        secrets: &Secrets,
    ) -> Vec<(ChannelId, u8, u64)> {
        let (at, to) = (from.index(), from.other());
        if !self.is_within[at] {
            self.is_collected[at] = self.due[at].is_some();
        }
        self.is_within[at] = byte != 0;
        let frame = self.frames[at].push(byte).map(|out| out.frame);
        if let Some(frame) = &frame {
            self.sent[at].push(frame.clone());
            if self.sent[at].len() > KEPT {
                self.sent[at].remove(0);
            }
        }
        if self.is_cut || arrives_ns < self.blocked_until_ns[at] {
            return Vec::new();
        }
        let mut arriving = Vec::new();
        let mut deliver = |to, frame: &[u8], late_us: u64| {
            let at_ns = arrives_ns + late_us * 1_000;
            arriving.extend(framed(frame).into_iter().map(|byte| (to, byte, at_ns)));
        };
        match (self.is_collected[at], frame) {
            (false, None) => return vec![(to, byte, arrives_ns)],
            (false, Some(_)) => {
                if let Some(late) = self.held_back[at].take() {
                    deliver(to, &late, 0);
                }
                arriving.insert(0, (to, byte, arrives_ns));
            }
            (true, Some(frame)) => {
                if let Some(disturbance) = self.due[at].take() {
                    let disturbed = disturbance.apply(&mut self.rng, &frame, secrets);
                    for arrival in disturbed.arrivals {
                        deliver(if arrival.is_back { from } else { to }, &arrival.frame, arrival.late_us);
                    }
                    self.due[at] = disturbed.next;
                    if disturbed.is_held_back {
                        self.held_back[at] = Some(frame);
                    }
                } else {
                    deliver(to, &frame, 0); // it was called off meanwhile
                }
            }
            (true, None) => {}
        }
        arriving
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;
    use twinstep::{Epoch, PairId};

    const SECRETS: Secrets = Secrets { pair: PairId(1), epoch: Epoch::NONE, nonces: [1, 2] };

    fn carried(link: &mut Disturber, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut there = Deframer::default();
        let bytes = framed(frame).into_iter().flat_map(|byte| link.carry(ChannelId::A, byte, 0, &SECRETS));
        bytes
            .filter(|(to, ..)| *to == ChannelId::B)
            .filter_map(|(_, byte, _)| there.push(byte))
            .map(|out| out.frame)
            .collect()
    }

    #[test]
    fn one_frame_is_disturbed_and_the_next_ones_are_not() {
        let mut link = Disturber::new(1);
        let [first, second] = [vec![1, 0, 2], vec![3, 4]];
        assert_eq!(carried(&mut link, &first), from_ref(&first));
        link.disturb(0, ChannelId::A, Disturbance::Loss { frames: 2 });
        assert!(carried(&mut link, &first).is_empty() && carried(&mut link, &first).is_empty());
        assert_eq!(carried(&mut link, &second), from_ref(&second));
        link.disturb(0, ChannelId::A, Disturbance::IncorrectSequence);
        assert!(carried(&mut link, &first).is_empty());
        assert_eq!(carried(&mut link, &second), [second.clone(), first.clone()]);
        link.disturb(0, ChannelId::A, Disturbance::IncorrectAddressing);
        assert!(carried(&mut link, &first).is_empty(), "it goes back");
        link.disturb(0, ChannelId::A, Disturbance::Repetition { late_us: 5 });
        assert_eq!(carried(&mut link, &first), [first.clone(), first.clone()]);
        link.cut(true);
        assert!(carried(&mut link, &first).is_empty());
        assert_eq!(link.back(ChannelId::A, 0), Some(framed(&first)), "what was sent and did not arrive");
    }
}
