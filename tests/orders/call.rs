//! What a user may call, rightly or not.

use super::pair::{A, B, FRAME, Pair};
use twinstep::{Begun, Instant, Site};

/// One call of channel A, or what happens around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Begins a cycle, whether it is time or not.
    Begin,
    /// Begins without a sample, whether one is wanted or not.
    BeginIdle,
    /// Polls, and drops the verdict unread.
    Drop,
    /// Polls, and drives what is released.
    Drive,
    /// Polls with an instant of long ago.
    Past,
    /// Takes a frame to send.
    Send,
    /// Takes one into too small a buffer.
    SendShort,
    /// Hands over the next frame.
    Receive,
    /// Hands over the last frame once more.
    Again,
    /// Hands over what is no frame.
    Noise,
    /// Time passes until the next thing is due.
    Later,
    /// Channel B does what is due.
    Peer,
    /// A period passes in which only B is used.
    Away,
    /// Breaks A's outputs for good: the control.
    Break,
}

/// All but the control.
pub const CALLS: [Call; 13] = [
    Call::Begin,
    Call::BeginIdle,
    Call::Drop,
    Call::Drive,
    Call::Past,
    Call::Send,
    Call::SendShort,
    Call::Receive,
    Call::Again,
    Call::Noise,
    Call::Later,
    Call::Peer,
    Call::Away,
];

const LONG_US: u64 = 700_000;

impl Call {
    /// Does it.
    ///
    /// # Errors
    /// An answer that is not what the call says of itself.
    pub fn apply(self, pair: &mut Pair) -> Result<(), String> {
        let now = pair.now();
        match self {
            Self::Begin => pair.begin(A).map(|_| ()),
            Self::BeginIdle => begin_idle(pair, now),
            Self::Drop => pair.poll(A, now, false),
            Self::Drive => pair.poll(A, now, true),
            Self::Past => {
                pair.past.push(pair.now_us);
                pair.poll(A, Instant::from_micros(pair.now_us - LONG_US), true)
            }
            Self::Send => {
                pair.send(A);
                Ok(())
            }
            Self::SendShort => send_short(pair, now),
            Self::Receive if pair.towards[A].is_empty() => Ok(()),
            Self::Receive => {
                pair.last = pair.towards[A].remove(0);
                let _ = pair.nodes[A].handle_frame(now, &pair.last);
                Ok(())
            }
            Self::Again => {
                let _ = pair.nodes[A].handle_frame(now, &pair.last);
                Ok(())
            }
            Self::Noise => match pair.nodes[A].handle_frame(now, &[0x5A; 30]) {
                Err(_) => Ok(()),
                Ok(()) => Err("noise is taken for a frame".into()),
            },
            Self::Later => {
                pair.wait();
                Ok(())
            }
            Self::Peer => pair.turn(B),
            Self::Away => pair.wait_without_a(),
            Self::Break => {
                pair.nodes[A].flip(Site::StuckOutput, 3);
                Ok(())
            }
        }
    }
}

/// Nothing begins that wants a sample.
fn begin_idle(pair: &mut Pair, now: Instant) -> Result<(), String> {
    let node = &mut pair.nodes[A];
    let (before, wanted) = ((node.cycle(), node.settled_cycle()), node.wants_sample());
    let begun = node.begin_idle(now);
    let after = (node.cycle(), node.settled_cycle());
    match begun {
        Begun::Idle if !wanted || before == after => Ok(()),
        _ => Err(format!("{begun:?} without a sample: {before:?}, then {after:?}")),
    }
}

/// What is due stays due, and takes the room that was said.
fn send_short(pair: &mut Pair, now: Instant) -> Result<(), String> {
    let node = &mut pair.nodes[A];
    let Err(short) = node.poll_transmit(now, &mut []) else { return Ok(()) };
    let mut copy = pair.clone();
    match copy.nodes[A].poll_transmit(now, &mut [0; FRAME]) {
        Ok(Some(length)) if length == short.need_bytes => Ok(()),
        other => Err(format!("{short}, and then {other:?}")),
    }
}
