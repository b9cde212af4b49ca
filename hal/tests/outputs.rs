//! Outputs over mocked hardware: whatever fails, everything is driven safe first.

#![allow(clippy::unwrap_used, clippy::panic)]

use embedded_hal::digital::PinState;
use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as PinTransaction};
use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as PwmTransaction};
use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::ErrorKind;
use twinstep::sim::{Pair, Setup, Storage};
use twinstep::{
    Agreement, Arbiter, ChannelId, Claim, Config, Confirmation, Cycle, Epoch, Grounds, Instant, Node, OpenError,
    Outcome,
};
use twinstep::{Program, Tracked, Verdict};
use twinstep_hal::{ActuatorError, DriveError, Duty, DutyOutput, FailsAlone, Outputs, PinOutput};

struct Heater;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
struct Drive {
    valve: bool,
    heater_permille: u16,
    fan: bool,
}

impl Program for Heater {
    type Input = u16;
    type Output = Drive;
    type State = ();
    const SAFE: Drive = Drive { valve: false, heater_permille: 0, fan: true };
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);
    fn agree(a: &u16, _: &u16) -> Agreement<u16> {
        Agreement::on(*a)
    }
    fn step(_: Cycle, _: &mut Tracked<()>, input: &u16) -> Drive {
        Drive { valve: true, heater_permille: *input, fan: false }
    }
}

/// Lets the channel have the outputs, as long as `holds`.
struct Always {
    holds: Cell<Confirmation>,
}

const fn always(holds: Confirmation) -> Always {
    Always { holds: Cell::new(holds) }
}

impl Arbiter for Always {
    fn claim(&mut self, _: Instant, _: Epoch, _: Epoch, _: Grounds) -> Claim {
        Claim::Granted
    }
    fn confirms(&self, _: Epoch, _: ChannelId) -> Confirmation {
        self.holds.get()
    }
    fn release(&mut self, _: Epoch, _: ChannelId) {}
    fn remembered(&self) -> Option<Epoch> {
        Some(Epoch::NONE)
    }
}

/// Runs a channel that starts alone up to its first output.
fn verdict(input: u16, arbiter: &mut Always) -> Verdict<'_, Drive> {
    let mut storage = Storage::new();
    let config = Config { nonce: 1, solo_boot_after_us: Some(200_000), ..Config::DEFAULT };
    let mut node = Node::<Heater>::new(ChannelId::A, storage.cells(), config).unwrap();
    for period in 0..5 {
        let now = Instant::from_micros(period * 100_000);
        let _ = node.begin(now, input).unwrap();
        let verdict = node.poll_verdict(now, arbiter).unwrap().unbind();
        let verdict = verdict.bind(arbiter);
        if verdict.outcome() == Outcome::Alone {
            return verdict.unbind().bind(arbiter);
        }
    }
    panic!("the channel did not start");
}

/// The order of the actuators is valve, heater, fan; `fails` is where the hardware fails.
fn drive(
    valve: &[PinTransaction],
    heater: &[PwmTransaction],
    fan: &[PinTransaction],
    holds: Confirmation,
    damage: bool,
) -> Result<(), DriveError> {
    let (mut valve, mut heater, mut fan) = (Pin::new(valve), Pwm::new(heater), Pin::new(fan));
    let mut outputs = Outputs::<Heater, _>::private((
        PinOutput::new(valve.clone(), |drive: &Drive| PinState::from(drive.valve)),
        DutyOutput::new(heater.clone(), |drive: &Drive| Duty::permille(drive.heater_permille)),
        PinOutput::new(fan.clone(), |drive: &Drive| PinState::from(drive.fan)),
    ));
    let mut arbiter = always(Confirmation::Yes);
    let verdict = verdict(500, &mut arbiter).unbind();
    arbiter.holds.set(holds);
    let released = verdict.bind(&arbiter).release();
    let result = outputs.drive(match damage {
        true => released.damaged_by(|drive| drive.heater_permille = 999),
        false => released,
    });
    valve.done();
    heater.done();
    fan.done();
    result
}

fn pin(state: State) -> PinTransaction {
    PinTransaction::set(state)
}

fn failing(transaction: PinTransaction) -> PinTransaction {
    transaction.with_error(MockError::Io(ErrorKind::NotConnected))
}

const FULL: u16 = 2000;

fn duty(duty: u16) -> [PwmTransaction; 2] {
    [PwmTransaction::max_duty_cycle(FULL), PwmTransaction::set_duty_cycle(duty)]
}

fn failing_duty(to: u16) -> [PwmTransaction; 2] {
    let [max, set] = duty(to);
    [max, set.with_error(MockError::Io(ErrorKind::NotConnected))]
}

#[test]
fn a_voted_output_is_driven_in_order() {
    let result = drive(&[pin(State::High)], &duty(1000), &[pin(State::Low)], Confirmation::Yes, false);
    assert_eq!(result, Ok(()));
}

#[test]
fn the_first_actuator_fails() {
    let valve = [failing(pin(State::High)), pin(State::Low)];
    let result = drive(&valve, &duty(0), &[pin(State::High)], Confirmation::Yes, false);
    assert!(matches!(result, Err(DriveError::Actuator { index: 0, error: ActuatorError::Pin(_) })));
}

#[test]
fn the_second_actuator_fails() {
    let heater = [failing_duty(1000), duty(0)].concat();
    let result = drive(&[pin(State::High), pin(State::Low)], &heater, &[pin(State::High)], Confirmation::Yes, false);
    assert!(matches!(result, Err(DriveError::Actuator { index: 1, error: ActuatorError::Pwm(_) })));
}

#[test]
fn the_last_actuator_fails() {
    let heater = [duty(1000), duty(0)].concat();
    let fan = [failing(pin(State::Low)), pin(State::High)];
    let result = drive(&[pin(State::High), pin(State::Low)], &heater, &fan, Confirmation::Yes, false);
    assert!(matches!(result, Err(DriveError::Actuator { index: 2, error: ActuatorError::Pin(_) })));
}

#[test]
fn a_failure_while_making_safe_does_not_spare_the_others() {
    // Every operation on the valve and the heater fails; the fan is told all the same.
    let valve = [failing(pin(State::High)), failing(pin(State::Low))];
    let result = drive(&valve, &failing_duty(0), &[pin(State::High)], Confirmation::Yes, false);
    assert!(matches!(result, Err(DriveError::Actuator { index: 0, .. })), "the first error is reported");
}

#[test]
fn a_value_damaged_after_the_vote_is_a_fault_and_no_movement() {
    let result = drive(&[pin(State::Low)], &duty(0), &[pin(State::High)], Confirmation::Yes, true);
    assert_eq!(result, Err(DriveError::Open(OpenError::Damaged)));
}

#[test]
fn an_arbiter_that_cannot_tell_lets_the_outputs_stay() {
    let result = drive(&[], &[], &[], Confirmation::CannotTell, false);
    assert_eq!(result, Err(DriveError::Open(OpenError::LeaseUnknown)));
}

#[test]
fn without_the_lease_nothing_but_the_safe_output_is_driven() {
    let result = drive(&[pin(State::Low)], &duty(0), &[pin(State::High)], Confirmation::No, false);
    assert_eq!(result, Err(DriveError::Open(OpenError::LeaseLost)));
}

#[test]
fn a_channel_that_starts_makes_its_outputs_safe() {
    let mut storage = Storage::new();
    let config = Config { nonce: 1, ..Config::DEFAULT };
    let mut node = Node::<Heater>::new(ChannelId::A, storage.cells(), config).unwrap();
    let mut arbiter = always(Confirmation::Yes);
    let _ = node.begin(Instant::from_micros(0), 500).unwrap();
    let verdict = node.poll_verdict(Instant::from_micros(0), &mut arbiter).unwrap();
    assert_eq!(verdict.outcome(), Outcome::Waiting);

    let mut fan = Pin::new(&[pin(State::High)]);
    let follow = |drive: &Drive| PinState::from(drive.fan);
    let mut outputs = Outputs::<Heater, _>::private((PinOutput::new(fan.clone(), follow),));
    assert_eq!(outputs.drive(verdict.release()), Ok(()));
    fan.done();
}

#[test]
fn a_channel_that_starts_leaves_shared_actuators_alone() {
    let mut storage = Storage::new();
    let config = Config { nonce: 1, ..Config::DEFAULT };
    let mut node = Node::<Heater>::new(ChannelId::A, storage.cells(), config).unwrap();
    let mut arbiter = always(Confirmation::Yes);
    let _ = node.begin(Instant::from_micros(0), 500).unwrap();
    let verdict = node.poll_verdict(Instant::from_micros(0), &mut arbiter).unwrap();
    let mut untouched = Pin::new(&[]);
    let mut outputs = Outputs::<Heater, _, _>::shared((PinOutput::new(untouched.clone(), |_: &Drive| PinState::High),));
    assert_eq!(outputs.drive(verdict.release()), Ok(()));
    untouched.done();
}

/// Of a lease that is lost the other channel drives: its actuators are none of this one's business, its own pins are.
#[test]
fn shared_actuators_are_left_to_the_new_owner() {
    for (holds, error) in
        [(Confirmation::No, OpenError::LeaseLost), (Confirmation::CannotTell, OpenError::LeaseUnknown)]
    {
        let mut arbiter = always(Confirmation::Yes);
        let verdict = verdict(500, &mut arbiter).unbind();
        arbiter.holds.set(holds);
        let mut untouched = Pin::new(&[]);
        let follow = |drive: &Drive| PinState::from(drive.valve);
        let mut outputs = Outputs::<Heater, _, _>::shared((PinOutput::new(untouched.clone(), follow),));
        assert_eq!(outputs.drive(verdict.bind(&arbiter).release()), Err(DriveError::Open(error)));
        untouched.done();
    }
}

/// A fan whose failure is nobody else's concern, and a valve that takes all with it; returns what driving them came to.
fn drive_fan_that_fails_alone(fan: &Pin, valve: &Pin) -> Result<(), DriveError> {
    let mut outputs = Outputs::<Heater, _>::private((
        FailsAlone(PinOutput::new(fan.clone(), |drive: &Drive| PinState::from(drive.fan))),
        PinOutput::new(valve.clone(), |drive: &Drive| PinState::from(drive.valve)),
    ));
    let mut arbiter = always(Confirmation::Yes);
    outputs.drive(verdict(500, &mut arbiter).release())
}

#[test]
fn one_that_fails_alone_leaves_the_others_as_they_are() {
    let (mut fan, mut valve) = (Pin::new(&[failing(pin(State::Low)), pin(State::High)]), Pin::new(&[pin(State::High)]));
    let result = drive_fan_that_fails_alone(&fan, &valve);
    assert!(matches!(result, Err(DriveError::Actuator { index: 0, error: ActuatorError::Pin(_) })), "{result:?}");
    fan.done();
    valve.done();
}

/// One that takes all with it, behind one that fails alone.
#[test]
fn a_failure_that_makes_all_safe_is_the_one_that_is_reported() {
    let mut fan = Pin::new(&[failing(pin(State::Low)), pin(State::High)]);
    let mut valve = Pin::new(&[failing(pin(State::High)), pin(State::Low)]);
    let result = drive_fan_that_fails_alone(&fan, &valve);
    assert!(matches!(result, Err(DriveError::Actuator { index: 1, error: ActuatorError::Pin(_) })), "{result:?}");
    fan.done();
    valve.done();
}

/// Calls `then` with verdicts of held cycles, one after the other: the peer is silent, and the patience is not yet used up.
fn with_held(periods: u32, arbiter: &mut Always, mut then: impl FnMut(Verdict<'_, Drive>)) {
    let mut storages = [Storage::new(), Storage::new()];
    let config = Config { patience: 50, ..Config::DEFAULT };
    let setup = Setup { config, ..Setup::default() };
    let mut pair = Pair::<Heater>::new(&setup, &mut storages, |_: ChannelId, _: Cycle| 500).unwrap();
    pair.run(20);
    let node = pair.node_mut(ChannelId::A).unwrap();
    for _ in 0..periods {
        let now = node.next_start();
        let _ = node.begin(now, 500).unwrap();
        let verdict = node.poll_verdict(now.plus_us(61_000), arbiter).unwrap();
        assert_eq!(verdict.outcome(), Outcome::Held);
        then(verdict);
    }
}

#[test]
fn nothing_released_in_service_means_hold() {
    let mut untouched = Pin::new(&[]);
    let mut outputs = Outputs::<Heater, _>::private((PinOutput::new(untouched.clone(), |_: &Drive| PinState::High),));
    with_held(10, &mut always(Confirmation::Yes), |verdict| assert_eq!(outputs.drive(verdict.release()), Ok(())));
    untouched.done();
}

/// After the limit the safe output is told, in each period, and the next release is followed again.
#[test]
fn a_hold_has_an_end() {
    let mut valve = Pin::new(&[pin(State::Low), pin(State::Low), pin(State::High)]);
    let follow = |drive: &Drive| PinState::from(drive.valve);
    let mut outputs = Outputs::<Heater, _>::private((PinOutput::new(valve.clone(), follow),)).hold_limit(3);
    let mut results = Vec::new();
    with_held(5, &mut always(Confirmation::Yes), |verdict| results.push(outputs.drive(verdict.release())));
    let too_long = Err(DriveError::HeldTooLong);
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), too_long, too_long]);
    let mut arbiter = always(Confirmation::Yes);
    assert_eq!(outputs.drive(verdict(500, &mut arbiter).release()), Ok(()));
    valve.done();
}

/// What both channels can write is made safe by the one that owns it, and by nobody else.
#[test]
fn the_end_of_a_hold_is_the_owners_to_write() {
    for (holds, owns) in [(Confirmation::Yes, true), (Confirmation::CannotTell, false)] {
        let told = if owns { vec![pin(State::Low)] } else { vec![] };
        let mut valve = Pin::new(&told);
        let follow = |drive: &Drive| PinState::from(drive.valve);
        let mut outputs = Outputs::<Heater, _, _>::shared((PinOutput::new(valve.clone(), follow),)).hold_limit(1);
        let mut last = Ok(());
        with_held(2, &mut always(holds), |verdict| last = outputs.drive(verdict.release()));
        assert_eq!(last, Err(DriveError::HeldTooLong));
        valve.done();
    }
}

#[test]
fn a_bad_duty_does_not_panic() {
    for (part, expected) in [
        (Duty { numerator: 1, denominator: 0 }, 0),
        (Duty { numerator: 3, denominator: 2 }, FULL),
        (Duty { numerator: u16::MAX, denominator: u16::MAX }, FULL),
        (Duty::permille(1), 2),
        (Duty::OFF, 0),
    ] {
        let pwm = Pwm::new(&duty(expected));
        let mut outputs = Outputs::<Heater, _>::private((DutyOutput::new(pwm, move |_: &Drive| part),));
        assert_eq!(outputs.make_safe(), Ok(()));
        outputs.into_inner().0.0.into_inner().done();
    }
}

/// Wired both ways: a drive on the bus of both boards, and a lamp of this one's own.
#[test]
fn private_and_shared_actuators_are_told_apart() {
    let follow = |drive: &Drive| PinState::from(drive.valve);
    // Without the lease the lamp goes out, and the drive is the other one's.
    let (mut lamp, mut bus) = (Pin::new(&[pin(State::High), pin(State::Low)]), Pin::new(&[pin(State::High)]));
    let mut outputs =
        Outputs::<Heater, _, _>::wired((PinOutput::new(lamp.clone(), follow),), (PinOutput::new(bus.clone(), follow),));
    let mut arbiter = always(Confirmation::Yes);
    assert_eq!(outputs.drive(verdict(500, &mut arbiter).release()), Ok(()));
    arbiter.holds.set(Confirmation::Yes);
    let second = verdict(500, &mut arbiter).unbind();
    arbiter.holds.set(Confirmation::No);
    assert_eq!(outputs.drive(second.bind(&arbiter).release()), Err(DriveError::Open(OpenError::LeaseLost)));
    lamp.done();
    bus.done();
    // One on the bus that fails takes all with it, and is named behind the lamp.
    let mut lamp = Pin::new(&[pin(State::High), pin(State::Low)]);
    let mut bus = Pin::new(&[failing(pin(State::High)), pin(State::Low)]);
    let mut outputs =
        Outputs::<Heater, _, _>::wired((PinOutput::new(lamp.clone(), follow),), (PinOutput::new(bus.clone(), follow),));
    arbiter.holds.set(Confirmation::Yes);
    let result = outputs.drive(verdict(500, &mut arbiter).release());
    assert!(matches!(result, Err(DriveError::Actuator { index: 1, .. })), "{result:?}");
    lamp.done();
    bus.done();
}
