//! The updater with images that say no: what is told to the core, and what to the firmware.

#![allow(clippy::unwrap_used, clippy::panic)]

use twinstep::sim::Storage;
use twinstep::upgrade::NotReady;
use twinstep::{Agreement, ChannelId, Config, Cycle, Instant, Preferred, Program, Tracked, Upgrades};
use twinstep_hal::images::{BootState, Edition, ImageHeader, Images, RecordsError, Refusal, Slot, Status};
use twinstep_hal::{Clock, Link, Lockstep, Next, Updater};

struct Nothing;

impl Program for Nothing {
    type Input = u8;
    type Output = u8;
    type State = [u32; 20];
    const SAFE: u8 = 0;
    const VERSION: u32 = 5;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u8, _: &u8) -> Agreement<u8> {
        Agreement::on(*a)
    }

    fn step(_: Cycle, _: &mut Tracked<[u32; 20]>, _: &u8) -> u8 {
        0
    }
}

struct NoLink;

impl Link for NoLink {
    type Error = ();
    const FRAME_BYTES: usize = 655;

    fn send(&mut self, _: &[u8], _: u32) -> Result<(), ()> {
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, ()> {
        Ok(None)
    }
}

struct Steps(u64);

impl Clock for Steps {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0)
    }

    fn wait_until(&mut self, at: Instant) {
        self.0 = self.0.max(at.as_micros());
    }
}

/// What the slot that does not run turns out to hold, piece by piece.
struct Scripted {
    verified: Vec<Result<Option<ImageHeader>, Refusal>>,
    status: Result<Status, Refusal>,
}

impl Images for Scripted {
    fn begin(&mut self, _: &ImageHeader) -> Result<u32, Refusal> {
        panic!("nothing is staged here")
    }
    fn write(&mut self, _: u32, _: &[u8]) -> Result<u32, Refusal> {
        panic!("nothing is staged here")
    }
    fn verify(&mut self, _: u32) -> Result<Option<ImageHeader>, Refusal> {
        self.verified.remove(0)
    }
    fn boot(&mut self) -> Result<(), Refusal> {
        panic!("nobody asked for it")
    }
    fn confirm(&mut self) -> Result<(), Refusal> {
        panic!("nobody asked for it")
    }
    fn revert(&mut self) -> Result<(), Refusal> {
        panic!("nobody asked for it")
    }
    fn raise_floor(&mut self, _: u32) -> Result<(), Refusal> {
        panic!("nobody asked for it")
    }
    fn status(&mut self) -> Result<Status, Refusal> {
        self.status
    }
}

const STABLE: Status =
    Status { running: Slot::A, state: BootState::Stable, candidate: None, staged_bytes: 0, floor: 3 };

fn header(version: u32, before: Option<u32>) -> ImageHeader {
    ImageHeader {
        program: Edition { version, layout: 1 },
        before: before.map(|version| Edition { version, layout: Nothing::LAYOUT }),
        length: 8,
        digest: [0; 32],
        signature_length: 0,
    }
}

/// Runs cycles with these images; returns what `tend` said in each, and what speaks against an upgrade in the end.
fn tended(images: Scripted, cycles: usize) -> (Vec<Result<Next, Refusal>>, NotReady) {
    let mut memory = Storage::new();
    let config = Config { nonce: 1, ..Config::DEFAULT };
    let arbiter = Preferred(ChannelId::A);
    let mut pair: Lockstep<'_, Nothing, _, _, 128, Upgrades<Nothing>> =
        Lockstep::with_upgrades(ChannelId::A, memory.cells(), NoLink, arbiter, config).unwrap();
    let (mut updater, mut clock) = (Updater::new(images, 64), Steps(0));
    let began = updater.begin(&mut pair);
    assert_eq!(began, updater.images().status.map(|_| ()));
    let tended = (0..cycles)
        .map(|_| {
            drop(pair.cycle(&mut clock, || 0).unwrap().release());
            updater.tend(&mut pair, &mut clock)
        })
        .collect();
    (tended, pair.node().readiness())
}

#[test]
fn a_candidate_is_offered_once_it_is_checked() {
    let verified = vec![Ok(None), Ok(None), Ok(Some(header(6, Some(5))))];
    let (tended, reasons) = tended(Scripted { verified, status: Ok(STABLE) }, 5);
    assert_eq!(tended, [Ok(Next::GoOn); 5]);
    assert!(!reasons.intersects(NotReady::NO_CANDIDATE | NotReady::NO_SUCCESSOR | NotReady::LAYOUT_DIFFERS));
    assert!(!reasons.contains(NotReady::BELOW_FLOOR));
}

#[test]
fn what_does_not_fit_is_a_reason() {
    for (candidate, floor, reason) in [
        (header(6, Some(4)), 0, NotReady::NO_SUCCESSOR),
        (header(6, None), 0, NotReady::NO_SUCCESSOR | NotReady::LAYOUT_DIFFERS),
        (header(6, Some(5)), 7, NotReady::BELOW_FLOOR),
        // The image before is there, to go back to.
        (header(5, Some(4)), 0, NotReady::NO_CANDIDATE),
        (header(4, Some(3)), 0, NotReady::NO_CANDIDATE),
    ] {
        let status = Ok(Status { floor, ..STABLE });
        let (_, reasons) = tended(Scripted { verified: vec![Ok(Some(candidate))], status }, 3);
        assert!(reasons.contains(reason), "{candidate:?}: {reasons}");
    }
}

#[test]
fn a_refusal_is_said_once_and_nothing_is_offered() {
    let (tended, reasons) = tended(Scripted { verified: vec![Ok(None), Err(Refusal::Digest)], status: Ok(STABLE) }, 4);
    assert_eq!(tended, [Ok(Next::GoOn), Err(Refusal::Digest), Ok(Next::GoOn), Ok(Next::GoOn)]);
    assert!(reasons.contains(NotReady::NO_CANDIDATE));
}

/// Nobody knows what runs: it counts as on trial.
#[test]
fn without_records_no_upgrade_begins() {
    let refusal = Refusal::Records(RecordsError::Blank);
    let (_, reasons) = tended(Scripted { verified: vec![Err(refusal)], status: Err(refusal) }, 2);
    assert!(reasons.contains(NotReady::NOT_CONFIRMED));
}
