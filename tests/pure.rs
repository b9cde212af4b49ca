//! Programs that are pure, and programs that are not: `check_pure` lets the former pass and names what the latter do.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::Cell;
use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use support::{Servo, sensor};
use twinstep::sim::{Impurity, SeenIn, Suspect, Symptom, World, check_pure};
use twinstep::{Agreement, Build, ChannelId, Cycle, Message, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const CYCLES: u32 = 40;

/// What both channels sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
struct Reading {
    level: f32,
    limit: Option<[bool; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
enum Lamp {
    Off,
    On(u32),
    Blinks { on_ms: u16, off_ms: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
struct Drive {
    valve: f32,
    lamp: Lamp,
    steps: [[u64; 2]; 2],
}

/// Two blocks.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Tank {
    sum: f32,
    log: [u32; 17],
    last: u64,
    before: [u64; 6],
}

const LAST: usize = core::mem::offset_of!(Tank, last);

/// What a program does beside what it should: nothing, unless it says something else.
trait Flaw {
    fn init(_state: &mut Tank) {}
    fn agree(_agreement: &mut Agreement<Reading>) {}
    fn step(_cycle: Cycle, _state: &mut Tracked<Tank>, _drive: &mut Drive) {}
}

/// A pure program, with a flaw.
struct Control<F>(F);

impl<F: Flaw> Program for Control<F> {
    type Input = Reading;
    type Output = Drive;
    type State = Tank;
    const SAFE: Drive = Drive { valve: 0.0, lamp: Lamp::Off, steps: [[0; 2]; 2] };
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn init(state: &mut Tank) {
        state.sum = 1.5;
        F::init(state);
    }

    fn agree(a: &Reading, b: &Reading) -> Agreement<Reading> {
        let reading = Reading { level: (a.level + b.level) / 2.0, limit: a.limit.or(b.limit) };
        let mut agreement = Agreement::with_discrepancy(reading, (a.level - b.level).abs() > 1.0);
        F::agree(&mut agreement);
        agreement
    }

    fn step(cycle: Cycle, state: &mut Tracked<Tank>, input: &Reading) -> Drive {
        let at = cycle.0 as usize % 17;
        state.update(|s| &s.sum, |sum| sum + input.level);
        state.try_update(|s| s.log.get(at), |old| old ^ input.level.to_bits());
        let lamp = match input.limit {
            None => Lamp::Off,
            Some([true, _]) => Lamp::On(cycle.0),
            Some(_) => Lamp::Blinks { on_ms: 100, off_ms: at as u16 },
        };
        let steps = [[u64::from(cycle.0), 1 << 60], [u64::MAX, state.last]];
        let mut drive = Drive { valve: state.sum / 8.0, lamp, steps };
        F::step(cycle, state, &mut drive);
        drive
    }
}

/// A tank that fills, and empties through the valve.
struct Plant<'c> {
    level: f32,
    driven: &'c Cell<u32>,
}

impl<F: Flaw> World<Control<F>> for Plant<'_> {
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> Reading {
        let limit = [None, Some([true, false]), Some([false, true])][cycle.0 as usize % 3];
        Reading { level: self.level + channel.index() as f32, limit }
    }

    fn drive(&mut self, _channel: ChannelId, _cycle: Cycle, output: &Drive) {
        self.driven.set(self.driven.get() + 1);
        self.level += 1.0 - output.valve;
    }
}

fn check<F: Flaw>() -> Result<(), Impurity> {
    check_pure::<Control<F>>(Plant { level: 3.0, driven: &Cell::new(0) }, CYCLES)
}

fn flaw_of<F: Flaw>() -> Impurity {
    let impurity = check::<F>().unwrap_err();
    println!("{impurity}");
    impurity
}

fn field_of(impurity: &Impurity) -> &str {
    let Symptom::Field { path, first, again } = &impurity.symptom else { panic!("no field: {impurity}") };
    assert_ne!(first, again);
    path
}

/// Returns the byte of the state.
fn byte_of(impurity: &Impurity) -> usize {
    let Symptom::State { block, byte_in_block, byte, first, again } = impurity.symptom else {
        panic!("not the state: {impurity}")
    };
    assert_ne!(first, again);
    assert_eq!((block, byte_in_block), (byte / 64, byte % 64));
    byte
}

struct NoFlaw;
impl Flaw for NoFlaw {}

#[test]
fn a_pure_program_passes() {
    let driven = Cell::new(0);
    assert_eq!(check_pure::<Control<NoFlaw>>(Plant { level: 3.0, driven: &driven }, CYCLES), Ok(()));
    assert_eq!(driven.get(), CYCLES, "the loop was closed");
    assert_eq!(check_pure::<Servo>(sensor(1), 500), Ok(()));
}

#[test]
fn no_cycles_are_no_error() {
    assert_eq!(check_pure::<Servo>(|_: ChannelId, _: Cycle| unreachable!(), 0), Ok(()));
}

/// The world may be of the caller's thread alone, and so may inputs and outputs.
#[test]
fn nothing_need_be_sent_to_another_thread() {
    struct Local;
    #[derive(Clone)]
    struct NotSend(std::rc::Rc<u8>);
    impl Serialize for NotSend {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for NotSend {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u8::deserialize(deserializer).map(|value| Self(value.into()))
        }
    }
    impl Message for NotSend {
        const MAX_BYTES: usize = 1;
    }
    impl Program for Local {
        type Input = NotSend;
        type Output = u8;
        type State = [u8; 0];
        const SAFE: u8 = 0;
        const VERSION: u32 = 1;
        const BUILD: Build = Build::new(1);

        fn agree(a: &NotSend, _: &NotSend) -> Agreement<NotSend> {
            Agreement::on(a.clone())
        }

        fn step(_: Cycle, _: &mut Tracked<[u8; 0]>, input: &NotSend) -> u8 {
            *input.0
        }
    }
    let shared = std::rc::Rc::new(7);
    assert_eq!(check_pure::<Local>(|_: ChannelId, _: Cycle| NotSend(shared.clone()), CYCLES), Ok(()));
}

#[test]
fn a_hidden_static_is_found() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    struct Counts;
    impl Flaw for Counts {
        fn step(_: Cycle, state: &mut Tracked<Tank>, _: &mut Drive) {
            let calls = CALLS.fetch_add(1, Ordering::Relaxed);
            state.set(|s| &s.last, u64::from(calls) << 24);
        }
    }
    let impurity = flaw_of::<Counts>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(1), Suspect::Step, SeenIn::SecondRun));
    assert_eq!(byte_of(&impurity), LAST + 3);
    assert_eq!(LAST / 64, 1, "in the second block");
}

/// After an even number of cycles it is as it was: only a call that is repeated at once tells.
#[test]
fn a_static_that_comes_back_to_its_value_is_found() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    struct Alternates;
    impl Flaw for Alternates {
        fn step(_: Cycle, _: &mut Tracked<Tank>, drive: &mut Drive) {
            drive.valve = (CALLS.fetch_add(1, Ordering::Relaxed) % 2) as f32;
        }
    }
    let impurity = flaw_of::<Alternates>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(1), Suspect::Step, SeenIn::Repetition));
    assert_eq!(field_of(&impurity), "valve");
}

#[test]
fn an_address_in_the_state_is_found() {
    struct KeepsAddress;
    impl Flaw for KeepsAddress {
        fn step(cycle: Cycle, state: &mut Tracked<Tank>, _: &mut Drive) {
            if cycle == Cycle(30) {
                let address = core::ptr::from_ref(&state.before).addr();
                state.set(|s| &s.last, address as u64);
            }
        }
    }
    let impurity = flaw_of::<KeepsAddress>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(30), Suspect::Step, SeenIn::SecondRun));
    let byte = byte_of(&impurity);
    assert_eq!(byte, if cfg!(target_endian = "little") { LAST } else { byte }, "even the lowest byte differs");
}

/// The alignment of the state leaves six bits that no program may depend on.
#[test]
fn the_offset_in_a_cache_line_is_no_difference() {
    struct KeepsAlignment;
    impl Flaw for KeepsAlignment {
        fn step(_: Cycle, state: &mut Tracked<Tank>, _: &mut Drive) {
            let offset = core::ptr::from_ref(&state.before).addr() % 64;
            state.set(|s| &s.last, offset as u64);
        }
    }
    assert_eq!(check::<KeepsAlignment>(), Ok(()));
}

#[test]
fn an_address_in_the_output_is_found() {
    struct DrivesAddress;
    impl Flaw for DrivesAddress {
        fn step(_: Cycle, state: &mut Tracked<Tank>, drive: &mut Drive) {
            drive.steps[1][0] = core::ptr::from_ref(&**state).addr() as u64;
        }
    }
    let impurity = flaw_of::<DrivesAddress>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(1), Suspect::Step, SeenIn::SecondRun));
    assert_eq!(field_of(&impurity), "steps.1.0");
}

/// Of a call at the same depth of the same thread it is the same; a new thread has another stack.
#[test]
fn the_address_of_a_local_is_found() {
    struct DrivesStack;
    impl Flaw for DrivesStack {
        fn step(cycle: Cycle, _: &mut Tracked<Tank>, drive: &mut Drive) {
            drive.steps[0][1] = core::ptr::from_ref(std::hint::black_box(&cycle)).addr() as u64;
        }
    }
    assert_eq!(field_of(&flaw_of::<DrivesStack>()), "steps.0.1");
}

#[test]
fn the_order_of_a_hash_map_is_found() {
    struct TakesFirst;
    impl Flaw for TakesFirst {
        fn step(cycle: Cycle, _: &mut Tracked<Tank>, drive: &mut Drive) {
            let map: HashMap<u32, u32> = (0..1000).map(|key| (key, cycle.0)).collect();
            if let Some(key) = map.keys().next() {
                drive.lamp = Lamp::On(*key);
            }
        }
    }
    let impurity = flaw_of::<TakesFirst>();
    assert_eq!((impurity.suspect, field_of(&impurity)), (Suspect::Step, "lamp.0"));
}

std::thread_local! {
    static IS_WARM: Cell<bool> = const { Cell::new(false) };
}

/// In this thread it has its value long before the check.
#[test]
fn a_thread_local_is_found() {
    struct AsksThread;
    impl Flaw for AsksThread {
        fn step(_: Cycle, _: &mut Tracked<Tank>, drive: &mut Drive) {
            drive.lamp = if IS_WARM.get() { Lamp::Off } else { Lamp::Blinks { on_ms: 1, off_ms: 1 } };
        }
    }
    IS_WARM.set(true);
    let impurity = flaw_of::<AsksThread>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(1), Suspect::Step, SeenIn::NewThread));
    let field = Symptom::Field { path: "lamp".into(), first: "Off".into(), again: "Blinks".into() };
    assert_eq!(impurity.symptom, field);
}

#[test]
fn a_static_behind_agree_is_found() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    struct Drifts;
    impl Flaw for Drifts {
        fn agree(agreement: &mut Agreement<Reading>) {
            if let Some(limit) = &mut agreement.input.limit {
                limit[1] = CALLS.fetch_add(1, Ordering::Relaxed) < 5;
            }
        }
    }
    let impurity = flaw_of::<Drifts>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(1), Suspect::Agree, SeenIn::SecondRun));
    assert_eq!(field_of(&impurity), "limit.1");
}

#[test]
fn a_discrepancy_that_depends_on_a_static_is_found() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    struct Complains;
    impl Flaw for Complains {
        fn agree(agreement: &mut Agreement<Reading>) {
            agreement.discrepancy = CALLS.fetch_add(1, Ordering::Relaxed) > 60;
        }
    }
    let impurity = flaw_of::<Complains>();
    assert_eq!((impurity.suspect, impurity.seen_in), (Suspect::Agree, SeenIn::Repetition));
    assert_eq!((impurity.cycle, impurity.symptom), (Cycle(11), Symptom::Discrepancy { first: false }));
}

#[test]
fn a_clock_in_init_is_found() {
    struct StartsNow;
    impl Flaw for StartsNow {
        fn init(state: &mut Tank) {
            static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
            let elapsed = START.get_or_init(Instant::now).elapsed();
            state.last = elapsed.as_nanos() as u64;
        }
    }
    let impurity = flaw_of::<StartsNow>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(0), Suspect::Init, SeenIn::SecondRun));
    assert!((LAST..LAST + 8).contains(&byte_of(&impurity)));
}

const WHY: &str = "the valve is stuck";

struct Panics;
impl Flaw for Panics {
    fn step(cycle: Cycle, _: &mut Tracked<Tank>, _: &mut Drive) {
        assert!(cycle != Cycle(17), "{WHY}");
    }
}

#[test]
fn a_panic_is_reported() {
    let impurity = flaw_of::<Panics>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(17), Suspect::Step, SeenIn::FirstRun));
    let Symptom::Panicked { message, file, line } = impurity.symptom else { panic!("it panicked") };
    assert_eq!((&*message, &*file), (WHY, file!()));
    assert!(line > 1);
}

/// The program is at fault in the new thread only.
#[test]
fn a_panic_in_the_new_thread_is_reported() {
    struct WantsWarmth;
    impl Flaw for WantsWarmth {
        fn agree(_: &mut Agreement<Reading>) {
            assert!(IS_WARM.get(), "it is cold");
        }
    }
    IS_WARM.set(true);
    let impurity = flaw_of::<WantsWarmth>();
    assert_eq!((impurity.cycle, impurity.suspect, impurity.seen_in), (Cycle(1), Suspect::Agree, SeenIn::NewThread));
    assert!(matches!(impurity.symptom, Symptom::Panicked { message, .. } if message == "it is cold"));
}

/// See `caught_panics_are_not_printed`.
#[test]
#[should_panic(expected = "an ordinary panic")]
fn ordinary_panics_go_on() {
    assert!(check::<Panics>().is_err());
    panic!("an ordinary panic");
}

#[test]
fn caught_panics_are_not_printed() {
    let tests = ["a_panic_is_reported", "a_panic_in_the_new_thread_is_reported", "ordinary_panics_go_on"];
    let run = Command::new(std::env::current_exe().unwrap()).args(["--exact", "--nocapture"]).args(tests).output();
    let run = run.unwrap();
    let printed = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{printed}");
    assert_eq!(printed.matches("panicked at").count(), 1, "{printed}");
    assert!(printed.contains("an ordinary panic") && !printed.contains(WHY), "{printed}");
}

/// Two values of one name: no field tells them apart, and the encoding does.
#[derive(Clone)]
struct Twins(u32);

impl Serialize for Twins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_variant("Twins", self.0, "Twin")
    }
}

impl<'de> Deserialize<'de> for Twins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

impl Message for Twins {
    const MAX_BYTES: usize = 5;
}

#[test]
fn a_difference_in_the_encoding_alone_is_found() {
    static CALLS: AtomicU32 = AtomicU32::new(300);
    struct Numbers;
    impl Program for Numbers {
        type Input = u8;
        type Output = Twins;
        type State = u32;
        const SAFE: Twins = Twins(0);
        const VERSION: u32 = 1;
        const BUILD: Build = Build::new(1);

        fn agree(a: &u8, _: &u8) -> Agreement<u8> {
            Agreement::on(*a)
        }

        fn step(_: Cycle, _: &mut Tracked<u32>, _: &u8) -> Twins {
            Twins(CALLS.fetch_add(128, Ordering::Relaxed))
        }
    }
    let impurity = check_pure::<Numbers>(|_: ChannelId, _: Cycle| 0, 1).unwrap_err();
    // 300 and 428: the low seven bits are the same.
    assert_eq!(impurity.symptom, Symptom::Encoding { byte: 1, first: Some(2), again: Some(3) });
}

#[test]
fn a_value_without_an_encoding_is_reported() {
    #[derive(Clone, Deserialize)]
    struct Mute;
    impl Serialize for Mute {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([1, 2, 3].iter().filter(|number| **number > 1)) // of a length that it does not know
        }
    }
    impl Message for Mute {
        const MAX_BYTES: usize = 4;
    }
    struct Silent;
    impl Program for Silent {
        type Input = u8;
        type Output = Mute;
        type State = u32;
        const SAFE: Mute = Mute;
        const VERSION: u32 = 1;
        const BUILD: Build = Build::new(1);

        fn agree(a: &u8, _: &u8) -> Agreement<u8> {
            Agreement::on(*a)
        }

        fn step(_: Cycle, _: &mut Tracked<u32>, _: &u8) -> Mute {
            Mute
        }
    }
    let impurity = check_pure::<Silent>(|_: ChannelId, _: Cycle| 0, 1).unwrap_err();
    assert_eq!((impurity.suspect, impurity.symptom), (Suspect::Step, Symptom::NoEncoding));
}
