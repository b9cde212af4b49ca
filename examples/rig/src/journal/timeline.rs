//! A journal as a record for the renderers: the channels' modes, repairs, and the other events as marks.

use super::Logged;
use super::words::kind;
use crate::plant_side::shown;
use crate::record::{CycleRow, Injection, Mode, Record, Source};
use std::collections::BTreeMap;
use twinstep::Mode as ChannelMode;
use twinstep::journal::{Entry, Event};

/// Rows between the events, so that no column of a drawing is empty; journals may span years.
const ROWS: u32 = 500;

/// Returns what the entries tell of each cycle.
pub(super) fn record(name: &str, entries: &[Logged]) -> Record {
    let mut axis = Axis::default();
    let mut modes = BTreeMap::new();
    let mut latest = [Mode::Off; 2];
    let mut repaired: BTreeMap<u32, u32> = BTreeMap::new();
    let mut injections = Vec::new();
    for Logged { channel, entry, .. } in entries {
        let cycle = axis.place(entry);
        match entry.event {
            Event::ModeChanged { from, to, .. } => {
                if latest[channel.index()] == Mode::Off {
                    // What it did before the first change that is known.
                    let first = modes.keys().next().copied().unwrap_or(cycle);
                    let before: &mut [Mode; 2] = modes.entry(first).or_insert([Mode::Off; 2]);
                    before[channel.index()] = shown(from.into());
                }
                latest[channel.index()] = shown(to.into());
                modes.insert(cycle, latest);
            }
            Event::Repaired { working, checkpoint, digests } => {
                *repaired.entry(cycle).or_default() += u32::from(working) + u32::from(checkpoint) + u32::from(digests);
            }
            Event::RepairedByPeer(_) | Event::SampleRepaired | Event::ControlRepaired => {
                *repaired.entry(cycle).or_default() += 1;
            }
            _ => {
                let what = kind(&entry.event).to_owned();
                injections.push(Injection { cycle, channel: Some(channel.index()), what });
            }
        }
    }
    let cycles = rows_at(axis.first.unwrap_or_default(), axis.latest, modes.keys().chain(repaired.keys()));
    let row = |cycle: u32| CycleRow {
        cycle,
        modes: modes.range(..=cycle).next_back().map_or([Mode::Off; 2], |(_, modes)| *modes),
        driver: None,
        duty: 0.0,
        valve_open: false,
        alarms: 0,
        copied: None,
        repaired: repaired.get(&cycle).copied().unwrap_or_default(),
        tank_c: 0.0,
        ambient_c: 0.0,
    };
    Record { name: name.to_owned(), source: Source::Journal, rows: cycles.into_iter().map(row).collect(), injections }
}

/// Where entries stand: a channel that is out of the cycle stands at an old number, and a pair that begins anew goes
/// on behind what was.
#[derive(Default)]
struct Axis {
    base: u32,
    first: Option<u32>,
    latest: u32,
}

impl Axis {
    fn place(&mut self, entry: &Entry) -> u32 {
        let (from, to) = (ChannelMode::Starting, ChannelMode::Duplex);
        let begins = matches!(entry.event, Event::ModeChanged { from: f, to: t, .. } if f == from && t == to);
        let cycle = self.base.saturating_add(entry.cycle.0);
        if begins && cycle < self.latest {
            self.base = self.latest.saturating_sub(entry.cycle.0);
        }
        let cycle = self.base.saturating_add(entry.cycle.0).max(self.latest);
        self.latest = cycle;
        self.first.get_or_insert(cycle);
        cycle
    }
}

/// The cycles to have rows: those of the events with their neighbours, and some between them.
fn rows_at<'c>(first: u32, last: u32, of_events: impl Iterator<Item = &'c u32>) -> Vec<u32> {
    let step = ((last - first) / ROWS).max(1);
    let between = (first..=last).step_by(step as usize);
    let around = of_events.flat_map(|cycle| [cycle.saturating_sub(1), *cycle]);
    let mut cycles: Vec<u32> = between.chain(around).chain([last]).filter(|cycle| *cycle >= first).collect();
    cycles.sort_unstable();
    cycles.dedup();
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstep::mode::ModeEvent;
    use twinstep::{ChannelId, Cycle, Epoch};

    fn changed(channel: ChannelId, cycle: u32, from: ChannelMode, to: ChannelMode) -> Logged {
        happened(channel, cycle, Event::ModeChanged { from, to, because: ModeEvent::CutOver })
    }

    fn happened(channel: ChannelId, cycle: u32, event: Event) -> Logged {
        let entry = Entry { cycle: Cycle(cycle), epoch: Epoch::NONE, times: 1, event };
        Logged { channel, lost: 0, entry }
    }

    fn mode_at(record: &Record, cycle: u32) -> Option<[Mode; 2]> {
        record.rows.iter().find(|row| row.cycle == cycle).map(|row| row.modes)
    }

    #[test]
    fn modes_last_until_they_change_and_a_reboot_stands_where_it_happened() {
        use ChannelMode::{Duplex, Joining, Simplex, Starting};
        let record = record(
            "j",
            &[
                changed(ChannelId::A, 0, Starting, Duplex),
                changed(ChannelId::B, 0, Starting, Duplex),
                changed(ChannelId::A, 50, Duplex, Simplex),
                changed(ChannelId::B, 0, Starting, Joining),
                happened(ChannelId::A, 60, Event::TookOver),
            ],
        );
        assert_eq!(mode_at(&record, 49), Some([Mode::Duplex; 2]));
        assert_eq!(mode_at(&record, 60), Some([Mode::Simplex, Mode::Joining]));
        assert_eq!(record.injections.iter().map(Injection::label).collect::<Vec<_>>(), ["A: took over"]);
    }

    #[test]
    fn a_pair_that_begins_anew_goes_on_behind() {
        use ChannelMode::{Duplex, Safe, Starting};
        let record = record(
            "j",
            &[
                changed(ChannelId::A, 90, Duplex, Safe),
                changed(ChannelId::B, 90, Duplex, Safe),
                changed(ChannelId::A, 0, Starting, Duplex),
                changed(ChannelId::B, 0, Starting, Duplex),
                happened(ChannelId::B, 20, Event::Held),
            ],
        );
        assert_eq!(record.span().map(|span| (span.first(), span.last())), Some((90, 110)));
    }

    #[test]
    fn years_are_no_more_rows_than_a_drawing_needs() {
        let entries = [happened(ChannelId::A, 1, Event::Held), happened(ChannelId::A, u32::MAX, Event::Held)];
        let record = record("j", &entries);
        assert!(record.rows.len() < 1000, "{} rows", record.rows.len());
    }
}
