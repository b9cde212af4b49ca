//! A journal as a table, one line for each entry.

use super::Logged;
use super::words::in_words;
use std::fmt::Write;
use twinstep::ChannelId;

/// Returns the entries as lines under a heading, and how many there are.
pub(super) fn text(entries: &[Logged]) -> String {
    let mut text = String::from("     cycle    epoch  channel  times  event\n");
    for Logged { channel, entry, .. } in entries {
        let epoch = format!("{} {}", entry.epoch.counter(), entry.epoch.owner());
        let times = if entry.times > 1 { entry.times.to_string() } else { String::new() };
        // Writing to a string cannot fail.
        let (cycle, channel, event) = (entry.cycle.0, channel.to_string(), in_words(&entry.event));
        let _ = writeln!(text, "{cycle:>10} {epoch:>8}  {channel:^7}  {times:>5}  {event}");
    }
    let of = |channel| entries.iter().filter(move |logged| logged.channel == channel);
    let (a, b) = (of(ChannelId::A).count(), of(ChannelId::B).count());
    let lost = lost(of(ChannelId::A)) + lost(of(ChannelId::B));
    let _ = writeln!(text, "{a} entries of A, {b} of B, {lost} lost before they were read");
    text
}

/// How many entries a channel lost: its count begins anew with each boot.
fn lost<'e>(entries: impl Iterator<Item = &'e Logged>) -> u64 {
    let (sum, last) = entries.fold((0, 0), |(sum, last), logged| {
        let is_new_boot = logged.lost < last;
        (if is_new_boot { sum + u64::from(last) } else { sum }, logged.lost)
    });
    sum + u64::from(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstep::journal::{Entry, Event};
    use twinstep::{Cycle, Epoch, Mode};

    fn logged(channel: ChannelId, lost: u16, cycle: u32, times: u16, event: Event) -> Logged {
        Logged { channel, lost, entry: Entry { cycle: Cycle(cycle), epoch: Epoch::new(2, ChannelId::B), times, event } }
    }

    #[test]
    fn a_small_journal_looks_like_this() {
        let taking_over =
            Event::ModeChanged { from: Mode::Duplex, to: Mode::Simplex, because: twinstep::mode::ModeEvent::Granted };
        let entries = [
            logged(ChannelId::A, 0, 7, 1, Event::Held),
            logged(ChannelId::B, 2, 8, 300, Event::Rejected(twinstep::wire::Reject::Crc)),
            logged(ChannelId::B, 1, 1_000_000_000, 1, taking_over),
        ];
        let expected = "     \
     cycle    epoch  channel  times  event
         7      2 B     A            no result by the deadline: held
         8      2 B     B       300  a frame dropped: CRC, pair or boot differs
1000000000      2 B     B            duplex to simplex: the outputs were granted
1 entries of A, 2 of B, 3 lost before they were read
";
        assert_eq!(text(&entries), expected);
    }
}
