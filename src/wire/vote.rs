//! Payloads of a cycle: sample and vote.

use super::payload::fixed_layout;
use crate::digest::of_bytes;

/// Bytes that a vote takes beside the output.
pub const VOTE_DIGEST_BYTES: usize = 8;
/// Bytes that a sample's payload takes beside the input.
pub const SAMPLE_DIGEST_BYTES: usize = 4;

/// The payload of a `Vote`: the vote, and beside it what the sender knows of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteFrame<'b> {
    /// How long after the sender's start of the cycle the receiver's sample of it arrived, in units of
    /// [`arrival_unit_us`]; negative if it arrived before. [`ARRIVAL_UNKNOWN`] if the cycle was held, or is over.
    pub arrival: i16,
    /// The vote, as an `Evidence` carries it too.
    pub vote: &'b [u8],
}

fixed_layout!(VoteFrame { arrival: i16; vote });

/// The arrival that says nothing.
pub const ARRIVAL_UNKNOWN: i16 = i16::MIN;

/// Returns the unit of an arrival: microseconds, so that 32,767 of them are more than a period.
pub const fn arrival_unit_us(period_us: u32) -> u32 {
    (period_us >> 15) + 1
}

/// Returns an arrival as it is sent, of microseconds after the start.
pub(crate) fn arrival(late_us: i32, period_us: u32) -> i16 {
    let unit_us = arrival_unit_us(period_us).cast_signed();
    let units = late_us.checked_div(unit_us).unwrap_or_default();
    i16::try_from(units).ok().filter(|units| *units != ARRIVAL_UNKNOWN).unwrap_or(ARRIVAL_UNKNOWN)
}

/// Returns the microseconds of an arrival; `None` if it says nothing.
pub(crate) fn arrival_us(arrival: i16, period_us: u32) -> Option<i32> {
    let us = i32::from(arrival).saturating_mul(arrival_unit_us(period_us).cast_signed());
    (arrival != ARRIVAL_UNKNOWN).then_some(us)
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VotePayload<'b> {
    /// Digest of the agreed input.
    pub input_digest: u32,
    /// Digest of the state after the step.
    pub state_digest: u32,
    /// Canonical bytes of the output.
    pub output: &'b [u8],
}

impl<'b> VotePayload<'b> {
    /// Takes a vote apart; `None` if it is too short.
    pub fn parse(vote: &'b [u8]) -> Option<Self> {
        let (input, rest) = vote.split_first_chunk()?;
        let (state, output) = rest.split_first_chunk()?;
        Some(Self { input_digest: u32::from_le_bytes(*input), state_digest: u32::from_le_bytes(*state), output })
    }
}

/// Takes a sample's payload apart into digest and canonical bytes; `None` if it is too short.
pub fn split_sample(payload: &[u8]) -> Option<(u32, &[u8])> {
    let (digest, input) = payload.split_first_chunk()?;
    Some((u32::from_le_bytes(*digest), input))
}

/// Returns the canonical bytes of a sample's payload, if they match its digest.
pub(crate) fn sound_sample(payload: &[u8]) -> Option<&[u8]> {
    let (digest, input) = split_sample(payload)?;
    (of_bytes(input) == digest).then_some(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_reaches_over_a_period_in_either_direction() {
        for period_us in [100, 10_000, 32_767, 32_768, 1_000_000, 60_000_000] {
            let unit_us = arrival_unit_us(period_us).cast_signed();
            for late_us in [0, 1, 57, period_us.cast_signed() / 3, period_us.cast_signed()] {
                for late_us in [late_us, -late_us] {
                    let sent = i32::from(arrival(late_us, period_us));
                    assert!((sent * unit_us - late_us).abs() < unit_us, "{late_us} of {period_us}");
                }
            }
        }
        for unknown in [i32::MAX, i32::MIN, 40_000, -32_768] {
            assert_eq!(arrival(unknown, 10_000), ARRIVAL_UNKNOWN);
        }
    }
}
