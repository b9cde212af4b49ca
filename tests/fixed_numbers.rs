//! Numbers that leave the process, in frames, journals and logs, stay what they are: `fixed_numbers.txt`. New ones come last.
//!
//! After a new one: `cargo test --test fixed_numbers -- --ignored` writes the file anew; look at what has changed in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::path::{Path, PathBuf};
use twinstep::diagnose::{Reason, Suspects};
use twinstep::mode::ModeEvent;
use twinstep::upgrade::{NotReady, Order, Step};
use twinstep::wire::{Features, Finding, Kind, Part, Reject, Standing};
use twinstep::{ChannelId, Diagnosis, Event, Faults, Health, Mode, Outcome, canonical};

const MODE_EVENTS: [ModeEvent; 11] = [
    ModeEvent::CutOver,
    ModeEvent::StartOver,
    ModeEvent::Joins,
    ModeEvent::Donates,
    ModeEvent::CopyEnded,
    ModeEvent::Granted,
    ModeEvent::Refused,
    ModeEvent::LeaseLost,
    ModeEvent::Overtaken,
    ModeEvent::Fatal,
    ModeEvent::TrialBegins,
];
const REASONS: [Reason; 6] =
    [Reason::Settled, Reason::Checkpoint, Reason::Unstable, Reason::Health, Reason::TooOften, Reason::Policy];
const ORDERS: [Order; 5] = [Order::Prepare, Order::Split, Order::Switchover, Order::Commit, Order::Abort];
const OUTCOMES: [Outcome; 7] = [
    Outcome::Agreed,
    Outcome::Tried,
    Outcome::Alone,
    Outcome::TookOver,
    Outcome::Held,
    Outcome::Waiting,
    Outcome::Safe,
];

const EVENTS: [Event; 25] = [
    Event::ModeChanged { from: Mode::Joining, to: Mode::Duplex, because: ModeEvent::CutOver },
    Event::Rejected(Reject::Phase),
    Event::Held,
    Event::TookOver,
    Event::Repaired { working: 1, checkpoint: 2, digests: 3 },
    Event::BeyondRepair(4),
    Event::RepairedByPeer(5),
    Event::SampleRepaired,
    Event::ControlRepaired,
    Event::Recommitted,
    Event::Diagnosed(Diagnosis::Transient(Suspects::PATH)),
    Event::Excluded(ChannelId::B),
    Event::Barred(ChannelId::A),
    Event::Readmitted(ChannelId::B),
    Event::Discrepancy,
    Event::ProofTested { passed: true },
    Event::Fault(Faults::SPLIT_BRAIN),
    Event::UpgradeStep { from: Step::Idle, to: Step::Prepare },
    Event::NotAlike { input: 6, old: 7, new: 8 },
    Event::Tried { cycles: 9, tolerated: 10, differing: 11 },
    Event::LetGo,
    Event::HandedOver(ChannelId::A),
    Event::Withheld,
    Event::Stalled,
    Event::Gap,
];
const DIAGNOSES: [Diagnosis; 3] = [
    Diagnosis::Transient(Suspects::CHANNEL_A),
    Diagnosis::Faulty(ChannelId::B, Reason::Unstable),
    Diagnosis::Unattributed,
];

fn in_postcard<T: Serialize>(value: &T) -> String {
    let mut bytes = [0; 64];
    let length = canonical::encode(value, &mut bytes).unwrap();
    bytes.get(..length).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list<T: Debug>(text: &mut String, what: &str, values: &[T], number: impl Fn(&T) -> String) {
    writeln!(text, "\n{what}").unwrap();
    for value in values {
        writeln!(text, "{} {value:?}", number(value)).unwrap();
    }
}

macro_rules! flags {
    ($text:expr, $($flags:ident),*) => {$(
        writeln!($text, "\n{}", stringify!($flags)).unwrap();
        for (name, flag) in $flags::all().iter_names() {
            writeln!($text, "{} {name}", flag.bits()).unwrap();
        }
    )*};
}

fn written() -> String {
    let mut text = String::from(
        "Numbers that leave the process. Enums of a journal by their postcard bytes, those of a frame and flags by their numbers.\n",
    );
    list(&mut text, "Kind of a frame", &Kind::ALL, |kind| (*kind as u8).to_string());
    list(&mut text, "Step of an upgrade, also on the wire", &Step::ALL, |step| (*step as u8).to_string());
    list(&mut text, "Mode", &Mode::ALL, in_postcard);
    list(&mut text, "ModeEvent", &MODE_EVENTS, in_postcard);
    list(&mut text, "Reject", &Reject::ALL, in_postcard);
    list(&mut text, "Reason", &REASONS, in_postcard);
    list(&mut text, "Diagnosis", &DIAGNOSES, in_postcard);
    list(&mut text, "Order", &ORDERS, in_postcard);
    list(&mut text, "Step", &Step::ALL, in_postcard);
    list(&mut text, "ChannelId", &[ChannelId::A, ChannelId::B], in_postcard);
    list(&mut text, "Event", &EVENTS, in_postcard);
    list(&mut text, "Outcome, in logs", &OUTCOMES, |outcome| (*outcome as u8).to_string());
    flags!(text, Faults, Health, Suspects, NotReady, Standing, Features, Finding, Part);
    text
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixed_numbers.txt")
}

#[test]
fn no_number_has_changed() {
    let (file, written) = (std::fs::read_to_string(file()).unwrap_or_default(), written());
    for (number, (committed, now)) in file.lines().zip(written.lines()).enumerate() {
        assert_eq!(committed, now, "line {}", number + 1);
    }
    assert_eq!(file.lines().count(), written.lines().count());
}

/// A variant that is new does not compile here until it is listed above.
#[test]
fn every_variant_is_listed() {
    let place = |event: &Event| match event {
        Event::ModeChanged { .. } => 0,
        Event::Rejected(_) => 1,
        Event::Held => 2,
        Event::TookOver => 3,
        Event::Repaired { .. } => 4,
        Event::BeyondRepair(_) => 5,
        Event::RepairedByPeer(_) => 6,
        Event::SampleRepaired => 7,
        Event::ControlRepaired => 8,
        Event::Recommitted => 9,
        Event::Diagnosed(_) => 10,
        Event::Excluded(_) => 11,
        Event::Barred(_) => 12,
        Event::Readmitted(_) => 13,
        Event::Discrepancy => 14,
        Event::ProofTested { .. } => 15,
        Event::Fault(_) => 16,
        Event::UpgradeStep { .. } => 17,
        Event::NotAlike { .. } => 18,
        Event::Tried { .. } => 19,
        Event::LetGo => 20,
        Event::HandedOver(_) => 21,
        Event::Withheld => 22,
        Event::Stalled => 23,
        Event::Gap => 24,
    };
    let places: BTreeSet<usize> = EVENTS.iter().map(place).collect();
    assert!(places.into_iter().eq(0..EVENTS.len()));
    let place = |event: &ModeEvent| match event {
        ModeEvent::CutOver => 0,
        ModeEvent::StartOver => 1,
        ModeEvent::Joins => 2,
        ModeEvent::Donates => 3,
        ModeEvent::CopyEnded => 4,
        ModeEvent::Granted => 5,
        ModeEvent::Refused => 6,
        ModeEvent::LeaseLost => 7,
        ModeEvent::Overtaken => 8,
        ModeEvent::Fatal => 9,
        ModeEvent::TrialBegins => 10,
    };
    let places: BTreeSet<usize> = MODE_EVENTS.iter().map(place).collect();
    assert!(places.into_iter().eq(0..MODE_EVENTS.len()));
    let place = |reason: &Reason| match reason {
        Reason::Settled => 0,
        Reason::Checkpoint => 1,
        Reason::Unstable => 2,
        Reason::Health => 3,
        Reason::TooOften => 4,
        Reason::Policy => 5,
    };
    let places: BTreeSet<usize> = REASONS.iter().map(place).collect();
    assert!(places.into_iter().eq(0..REASONS.len()));
}

#[test]
#[ignore = "writes the file anew"]
fn write_the_file() {
    std::fs::write(file(), written()).unwrap();
}
