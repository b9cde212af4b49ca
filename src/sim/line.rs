//! Both directions of the link, with what is done to single frames.

use super::disturbance::{Arrival, Disturbance, Recorder, Secrets};
use super::link::{Direction, LinkFaults, send};
use super::sending::Leaving;
use super::wire::{LineModel, Wire, bytes_on_line};
use crate::ids::ChannelId;
use crate::reintegrate::SendTime;
use fastrand::Rng;
use std::vec::Vec;

/// The link between the two channels.
pub(super) struct Line {
    pub(super) towards: [Direction; 2],
    /// What A and B send on.
    wires: [Wire; 2],
    /// How long the UART took for a frame lately.
    send_times: [SendTime; 2],
    /// Bytes that A and B have given to the UART, with the framing.
    pub(super) sent_bytes: [u64; 2],
    /// What is to be done to the frames of A and of B.
    disturbed: [Option<Disturbance>; 2],
    /// A frame that comes after the next one.
    held_back: [Option<Vec<u8>>; 2],
    /// Until when nothing of A and of B gets through.
    blocked_until: [u64; 2],
    /// Until when all of A and of B waits.
    stalled_until: [u64; 2],
    /// Until when all of A and of B takes longer, and by how much.
    slow_until: [(u64, u64); 2],
    recorder: Recorder,
    /// Bytes carried, and bytes flipped.
    pub(super) carried: u64,
    pub(super) damaged: u64,
}

impl Line {
    pub(super) fn new(model: LineModel) -> Self {
        Self {
            towards: [Direction::new(), Direction::new()],
            wires: [Wire::new(model), Wire::new(model)],
            send_times: [SendTime::NONE; 2],
            sent_bytes: [0; 2],
            disturbed: [None; 2],
            held_back: [None, None],
            blocked_until: [0; 2],
            stalled_until: [0; 2],
            slow_until: [(0, 0); 2],
            recorder: Recorder::default(),
            carried: 0,
            damaged: 0,
        }
    }

    /// Gives a frame to the UART.
    pub(super) fn give(&mut self, now: u64, sender: ChannelId, frame: &[u8]) -> Leaving {
        let (at, bytes) = (sender.index(), bytes_on_line(frame.len()));
        let times = self.wires[at].send_all(now * NS_A_US, bytes);
        let [accepted, arrives] = [times.accepted_ns, times.arrives_ns].map(|ns| ns.div_ceil(NS_A_US));
        self.send_took(sender, accepted - now);
        self.sent_bytes[at] += bytes;
        Leaving::new(self.towards[sender.other().index()].copy(frame), accepted, arrives)
    }

    /// A frame of `sender` is on the link: its memory is free.
    pub(super) fn given(&mut self, sender: ChannelId, leaving: Leaving) {
        self.towards[sender.other().index()].give_back(leaving.frame);
    }

    /// A send took so long, as its sender sees it.
    pub(super) fn send_took(&mut self, sender: ChannelId, us: u64) {
        self.send_times[sender.index()].took(us.try_into().unwrap_or(i32::MAX));
    }

    /// A channel begins a cycle.
    pub(super) fn next_cycle(&mut self, channel: ChannelId) {
        self.send_times[channel.index()].next_cycle();
    }

    /// Returns how long a channel waited for its UART lately.
    pub(super) fn longest_send_us(&self, sender: ChannelId) -> i32 {
        self.send_times[sender.index()].longest_us()
    }

    /// A channel has stopped. What its UART has taken still leaves; what comes to it is lost.
    pub(super) fn stop(&mut self, channel: ChannelId) {
        self.send_times[channel.index()] = SendTime::NONE;
        self.towards[channel.index()].clear();
    }

    /// Does this to the next frame of `sender`, or to all for a while.
    pub(super) fn disturb(&mut self, now: u64, sender: ChannelId, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Subset { for_us } => self.blocked_until[sender.index()] = now + for_us,
            Disturbance::Stalled { for_us } => self.stalled_until[sender.index()] = now + for_us,
            Disturbance::Slow { by_us, for_us } => self.slow_until[sender.index()] = (now + for_us, by_us),
            Disturbance::Blocked { for_us } => self.blocked_until = [now + for_us; 2],
            _ => self.disturbed[sender.index()] = Some(disturbance),
        }
    }

    /// Brings a frame to the peer once more that `sender` sent this many frames ago.
    pub(super) fn replay(&mut self, arrival: u64, sender: ChannelId, age: usize) -> bool {
        let frame = self.recorder.back(sender, age).map(<[u8]>::to_vec);
        let is_there = frame.is_some();
        if let Some(frame) = frame {
            self.towards[sender.other().index()].deliver_at(arrival, frame);
        }
        is_there
    }

    /// Returns how many frames of a sender can be replayed.
    pub(super) fn kept(&self, sender: ChannelId) -> usize {
        self.recorder.kept(sender)
    }

    /// Ends what is being done.
    pub(super) fn calm(&mut self) {
        (self.disturbed, self.held_back) = ([None; 2], [None, None]);
        (self.blocked_until, self.stalled_until, self.slow_until) = ([0; 2], [0; 2], [(0, 0); 2]);
    }

    /// Notes a frame that was sent, should it be replayed.
    pub(super) fn note(&mut self, sender: ChannelId, frame: &[u8]) {
        self.recorder.note(sender, frame);
    }

    /// Carries a frame.
    pub(super) fn carry(
        &mut self,
        rng: &mut Rng,
        faults: &LinkFaults,
        [now, arrival]: [u64; 2],
        sender: ChannelId,
        frame: &[u8],
        secrets: &Secrets,
    ) {
        let at = sender.index();
        self.carried += frame.len() as u64;
        if now < self.blocked_until[at] {
            return;
        }
        let (slow_until, by_us) = self.slow_until[at];
        let arrival = if now < slow_until { arrival + by_us } else { arrival };
        let arrival = arrival.max(self.stalled_until[at]);
        let [a, b] = &mut self.towards;
        let (there, back) = if at == 0 { (b, a) } else { (a, b) };
        let Some(disturbance) = self.disturbed[at].take() else {
            self.damaged += send(rng, faults, arrival, frame, there, back);
            if let Some(late) = self.held_back[at].take() {
                there.deliver_at(arrival, late);
            }
            return;
        };
        let disturbed = disturbance.apply(rng, frame, secrets);
        for Arrival { frame, late_us, is_back } in disturbed.arrivals {
            let end = if is_back { &mut *back } else { &mut *there };
            end.deliver_at(arrival + late_us, frame);
        }
        self.disturbed[at] = disturbed.next;
        if disturbed.is_held_back {
            self.held_back[at] = Some(frame.to_vec());
        }
    }
}

const NS_A_US: u64 = 1_000;
