//! OUTPUTS  pins and PWM channels, driven only with a voted output.

use embedded_hal::digital::{self, OutputPin, PinState};
use embedded_hal::pwm::{self, SetDutyCycle};
use twinstep::{OpenError, Program, Release};

/// Something that follows one part of the program's output.
///
/// Implemented by [`PinOutput`] and [`DutyOutput`]; implement it for a bus device of your own.
pub trait Actuator<O> {
    /// Follows `output`.
    ///
    /// # Errors
    /// What the hardware reports.
    fn follow(&mut self, output: &O) -> Result<(), ActuatorError>;

    /// What becomes of the other actuators when this one fails. By default all go to the safe output.
    fn when_it_fails(&self) -> WhenItFails {
        WhenItFails::AllSafe
    }
}

/// What becomes of the other actuators when one fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WhenItFails {
    /// All of them follow the safe output: a plant that one missing actuator makes unsafe.
    AllSafe,
    /// It alone is told the safe output, and the others go on: a lamp, a fan, a display.
    ItAlone,
}

/// An actuator whose failure leaves the others as they are.
pub struct FailsAlone<A>(pub A);

impl<O, A: Actuator<O>> Actuator<O> for FailsAlone<A> {
    fn follow(&mut self, output: &O) -> Result<(), ActuatorError> {
        self.0.follow(output)
    }

    fn when_it_fails(&self) -> WhenItFails {
        WhenItFails::ItAlone
    }
}

/// What an actuator's hardware reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ActuatorError {
    /// A pin's error.
    Pin(digital::ErrorKind),
    /// A PWM channel's error.
    Pwm(pwm::ErrorKind),
    /// Any other actuator's error, numbered by its author.
    Other(u16),
}

/// A pin that follows the output: `PinOutput::new(pin, |drive: &Drive| drive.valve.into())`.
pub struct PinOutput<Pin, Level> {
    pin: Pin,
    level: Level,
}

impl<Pin, Level> PinOutput<Pin, Level> {
    /// Binds `pin` to the part of the output that `level` names.
    pub const fn new(pin: Pin, level: Level) -> Self {
        Self { pin, level }
    }

    /// Gives the pin back.
    pub fn into_inner(self) -> Pin {
        self.pin
    }
}

impl<O, Pin: OutputPin, Level: Fn(&O) -> PinState> Actuator<O> for PinOutput<Pin, Level> {
    fn follow(&mut self, output: &O) -> Result<(), ActuatorError> {
        let set = self.pin.set_state((self.level)(output));
        set.map_err(|error| ActuatorError::Pin(digital::Error::kind(&error)))
    }
}

/// A duty cycle as a fraction; more than the whole is the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Duty {
    /// Parts on.
    pub numerator: u16,
    /// Parts in all; 0 counts as off.
    pub denominator: u16,
}

impl Duty {
    /// Always off.
    pub const OFF: Self = Self { numerator: 0, denominator: 1 };

    /// Returns a duty cycle in thousandths.
    pub const fn permille(permille: u16) -> Self {
        Self { numerator: permille, denominator: 1000 }
    }
}

/// A PWM channel that follows the output: `DutyOutput::new(pwm, |drive: &Drive| Duty::permille(drive.heater))`.
pub struct DutyOutput<Pwm, Part> {
    pwm: Pwm,
    part: Part,
}

impl<Pwm, Part> DutyOutput<Pwm, Part> {
    /// Binds `pwm` to the part of the output that `part` names.
    pub const fn new(pwm: Pwm, part: Part) -> Self {
        Self { pwm, part }
    }

    /// Gives the channel back.
    pub fn into_inner(self) -> Pwm {
        self.pwm
    }
}

impl<O, Pwm: SetDutyCycle, Part: Fn(&O) -> Duty> Actuator<O> for DutyOutput<Pwm, Part> {
    fn follow(&mut self, output: &O) -> Result<(), ActuatorError> {
        let Duty { numerator, denominator } = (self.part)(output);
        // Here rather than by `set_duty_cycle_fraction`, which panics on a bad fraction.
        let whole = u32::from(self.pwm.max_duty_cycle());
        let numerator = u32::from(numerator.min(denominator));
        let duty = (whole * numerator).checked_div(u32::from(denominator)).unwrap_or_default();
        let set = self.pwm.set_duty_cycle(u16::try_from(duty).unwrap_or_default());
        set.map_err(|error| ActuatorError::Pwm(pwm::Error::kind(&error)))
    }
}

/// All actuators of a program that this channel can write to. Takes nothing but voted outputs.
///
/// *Private* ones are wired to this channel alone, such as pins of this board behind a relay or a combining gate: on any
/// error, and while the channel starts, joins or stands by, every one of them is told the safe output. *Shared* ones
/// can be written by both channels, such as drives on a bus, and whatever both cores of one chip reach: a channel that does not
/// own them leaves them alone, since its safe output would be the owner's actuator made safe.
pub struct Outputs<P: Program, T, S = ()> {
    private: T,
    shared: S,
    /// Held periods in a row, and how many of them are borne.
    held: u16,
    hold_limit: Option<u16>,
    program: core::marker::PhantomData<fn() -> P>,
}

/// Why an output was not driven, and what the actuators were told instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DriveError {
    /// The voted output did not open. On [`OpenError::Damaged`] all actuators were told the safe output; on
    /// [`OpenError::LeaseLost`] the private ones were; on [`OpenError::LeaseUnknown`] all stay as they are, and past the hold limit the
    /// private ones were told.
    Open(OpenError),
    /// An actuator reported an error. All were told the safe output, or it alone: see [`WhenItFails`].
    Actuator {
        /// Its place among the private actuators, from 0, or behind these among the shared ones.
        index: usize,
        /// What it reported.
        error: ActuatorError,
    },
    /// Cycles were held for longer than the hold limit: the private actuators, and the shared ones if this channel owns, were told
    /// the safe output. They follow again with the next release.
    HeldTooLong,
}

impl core::fmt::Display for DriveError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Open(error) => write!(f, "output not driven: {error}"),
            Self::Actuator { index, error } => write!(f, "actuator {index} failed: {error:?}"),
            Self::HeldTooLong => f.write_str("held for longer than the hold limit"),
        }
    }
}

impl core::error::Error for DriveError {}

impl<P: Program, T: Actuators<P::Output>> Outputs<P, T> {
    /// Puts actuators together that are all wired to this channel alone: a tuple of up to eight.
    pub const fn private(actuators: T) -> Self {
        Self::wired(actuators, ())
    }
}

impl<P: Program, S: Actuators<P::Output>> Outputs<P, (), S> {
    /// Puts actuators together that both channels can write to: a tuple of up to eight. They need
    /// [`Drive::Owner`](twinstep::Drive::Owner): with `Drive::Both` each channel drives what it agreed on without asking who owns.
    pub const fn shared(actuators: S) -> Self {
        Self::wired((), actuators)
    }
}

impl<P: Program, T: Actuators<P::Output>, S: Actuators<P::Output>> Outputs<P, T, S> {
    /// Puts private and shared actuators together: two tuples of up to eight. The shared ones need
    /// [`Drive::Owner`](twinstep::Drive::Owner).
    pub const fn wired(private: T, shared: S) -> Self {
        Self { private, shared, held: 0, hold_limit: None, program: core::marker::PhantomData }
    }

    /// Lets a hold end: after so many periods in a row that are held, or in which the arbiter cannot tell who owns, the actuators are told the safe output. Without it the
    /// last output stays for as long as a hold lasts.
    #[must_use]
    pub fn hold_limit(self, periods: u16) -> Self {
        Self { hold_limit: Some(periods), ..self }
    }

    /// Gives the actuators back, private and shared.
    pub fn into_inner(self) -> (T, S) {
        (self.private, self.shared)
    }

    /// Drives what a verdict released, in order. With nothing released the outputs stay, up to the hold limit; private ones of a channel
    /// that is out of service go to the safe output.
    ///
    /// # Errors
    /// [`DriveError`] of the worst that failed, and what was done instead; whatever else fails meanwhile, every
    /// actuator that is to be safe has been told so, also those before the failed one.
    pub fn drive(&mut self, released: Release<'_, P::Output>) -> Result<(), DriveError> {
        let (is_held, owns, held_before) = (released.is_held(), released.owns(), self.held);
        self.held = if is_held { held_before.saturating_add(1) } else { 0 };
        if released.is_out_of_service() {
            return self.make_safe();
        }
        if self.is_held_too_long() {
            let _ = if owns { self.make_all_safe() } else { self.make_safe() };
            return Err(DriveError::HeldTooLong);
        }
        let mut result = Ok(());
        for voted in released {
            match voted.open() {
                // Of a takeover's two outputs the second one is driven, too, if an actuator has failed alone.
                Ok(output) => match self.follow(&output) {
                    (driven, true) => return driven,
                    (driven, false) => result = result.and(driven),
                },
                Err(error) => {
                    // The first error is the one to report, whatever fails meanwhile.
                    let _ = match error {
                        OpenError::Damaged => self.make_all_safe(),
                        OpenError::LeaseLost => self.make_safe(),
                        OpenError::LeaseUnknown => {
                            self.held = held_before.saturating_add(1); // as if nothing had been released
                            if self.is_held_too_long() { self.make_safe() } else { Ok(()) }
                        }
                    };
                    return Err(DriveError::Open(error));
                }
            }
        }
        result
    }

    /// Tells every private actuator the safe output, whatever fails: once before the loop, and whenever you like. Shared ones are
    /// the owner's.
    ///
    /// # Errors
    /// [`DriveError`] of the first actuator that failed.
    pub fn make_safe(&mut self) -> Result<(), DriveError> {
        safe(&mut self.private, &P::SAFE, 0)
    }

    fn is_held_too_long(&self) -> bool {
        self.hold_limit.is_some_and(|limit| self.held > limit)
    }

    fn make_all_safe(&mut self) -> Result<(), DriveError> {
        let private = self.make_safe();
        private.and(safe(&mut self.shared, &P::SAFE, T::COUNT))
    }

    /// Lets all follow; whether one has failed that takes all with it.
    fn follow(&mut self, output: &P::Output) -> (Result<(), DriveError>, bool) {
        let private = followed(&mut self.private, output, 0);
        let shared = if private.takes_all { Followed::NONE } else { followed(&mut self.shared, output, T::COUNT) };
        if private.takes_all || shared.takes_all {
            let _ = self.make_all_safe(); // the first error is the one to report
        } else {
            self.private.some(&P::SAFE, private.failed);
            self.shared.some(&P::SAFE, shared.failed);
        }
        let result = if shared.takes_all { shared.result } else { private.result.and(shared.result) };
        (result, private.takes_all || shared.takes_all)
    }
}

/// What came of an output.
struct Followed {
    result: Result<(), DriveError>,
    /// Those that failed, by their bits.
    failed: u8,
    /// One has failed that takes all others with it.
    takes_all: bool,
}

impl Followed {
    const NONE: Self = Self { result: Ok(()), failed: 0, takes_all: false };
}

/// Lets actuators follow, up to the first that takes all others with it.
fn followed<O>(actuators: &mut impl Actuators<O>, output: &O, first: usize) -> Followed {
    let mut followed = Followed::NONE;
    actuators.each(output, &mut |index, driven, when_it_fails| {
        let Err(error) = driven else { return true };
        followed.takes_all = when_it_fails == WhenItFails::AllSafe;
        followed.failed |= 1_u8.wrapping_shl(index as u32);
        if followed.takes_all || followed.result.is_ok() {
            followed.result = Err(DriveError::Actuator { index: first + index, error });
        }
        !followed.takes_all
    });
    followed
}

/// Tells actuators the safe output, whatever fails.
fn safe<O>(actuators: &mut impl Actuators<O>, output: &O, first: usize) -> Result<(), DriveError> {
    let mut result = Ok(());
    actuators.each(output, &mut |index, driven, _| {
        if let (Err(error), true) = (driven, result.is_ok()) {
            result = Err(DriveError::Actuator { index: first + index, error });
        }
        true
    });
    result
}

/// A tuple of actuators.
pub trait Actuators<O> {
    /// How many there are.
    const COUNT: usize;

    /// Lets each follow `output` in order and tells `done` how it went, and what becomes of the others if it failed; stops
    /// when that says `false`.
    fn each(&mut self, output: &O, done: &mut dyn FnMut(usize, Result<(), ActuatorError>, WhenItFails) -> bool);

    /// Lets those follow `output` whose bit is set, whatever comes of it: bit `n` for the actuator at place `n`.
    fn some(&mut self, output: &O, places: u8);
}

/// None at all.
impl<O> Actuators<O> for () {
    const COUNT: usize = 0;

    fn each(&mut self, _: &O, _: &mut dyn FnMut(usize, Result<(), ActuatorError>, WhenItFails) -> bool) {}

    fn some(&mut self, _: &O, _: u8) {}
}

macro_rules! tuples {
    ($(($($name:ident $index:tt)+))+) => {$(
        impl<O, $($name: Actuator<O>),+> Actuators<O> for ($($name,)+) {
            const COUNT: usize = [$($index),+].len();

            fn each(
                &mut self,
                output: &O,
                done: &mut dyn FnMut(usize, Result<(), ActuatorError>, WhenItFails) -> bool,
            ) {
                let _ = $(done($index, self.$index.follow(output), self.$index.when_it_fails()) &&)+ true;
            }

            fn some(&mut self, output: &O, places: u8) {
                $(if places >> $index & 1 == 1 {
                    let _ = self.$index.follow(output);
                })+
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 F 5)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7)
}
