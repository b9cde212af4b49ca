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

/// All actuators of a program that are wired to this board. Takes nothing but voted outputs.
///
/// On any error, and while the channel starts, joins or stands by, every one of them is told the
/// safe output. That is right for pins of this board behind a relay or a combining gate; for
/// a bus that both boards write, and for whatever both cores of one chip reach, use
/// [`Voted::open`](twinstep::Voted::open) and leave it alone when that fails: there a channel that starts would make the
/// owner's actuator safe. Call [`make_safe`](Self::make_safe) once before the loop.
pub struct Outputs<P: Program, T> {
    actuators: T,
    program: core::marker::PhantomData<fn() -> P>,
}

/// Why an output was not driven. By then every actuator has been told the safe output; but where the arbiter
/// [cannot tell](OpenError::LeaseUnknown) who owns, all stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DriveError {
    /// The voted output did not open.
    Open(OpenError),
    /// An actuator reported an error.
    Actuator {
        /// Its place among the actuators, from 0.
        index: usize,
        /// What it reported.
        error: ActuatorError,
    },
}

impl core::fmt::Display for DriveError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Open(error) => write!(f, "output not driven: {error}"),
            Self::Actuator { index, error } => write!(f, "actuator {index} failed: {error:?}"),
        }
    }
}

impl core::error::Error for DriveError {}

impl<P: Program, T: Actuators<P::Output>> Outputs<P, T> {
    /// Puts actuators together: a tuple of up to eight.
    pub const fn new(actuators: T) -> Self {
        Self { actuators, program: core::marker::PhantomData }
    }

    /// Gives the actuators back.
    pub fn into_inner(self) -> T {
        self.actuators
    }

    /// Drives what a verdict released, in order. With nothing released the outputs stay,
    /// except in a channel that is out of service: there they go to the safe output.
    ///
    /// # Errors
    /// [`DriveError`] of the first thing that failed, once every actuator has been told the
    /// safe output, also those before the failed one and whatever else fails meanwhile. On
    /// [`OpenError::LeaseUnknown`] nothing is touched.
    pub fn drive(&mut self, released: Release<'_, P::Output>) -> Result<(), DriveError> {
        if released.is_out_of_service() {
            return self.make_safe();
        }
        for voted in released {
            let opened = voted.open();
            if matches!(opened, Err(OpenError::LeaseUnknown)) {
                return Err(DriveError::Open(OpenError::LeaseUnknown)); // nobody says that another one owns
            }
            let driven = opened.map_err(DriveError::Open).and_then(|output| self.follow(&output));
            if driven.is_err() {
                let _ = self.make_safe(); // the first error is the one to report
                return driven;
            }
        }
        Ok(())
    }

    /// Tells every actuator the safe output, whatever fails.
    ///
    /// # Errors
    /// [`DriveError`] of the first actuator that failed.
    pub fn make_safe(&mut self) -> Result<(), DriveError> {
        let mut result = Ok(());
        self.actuators.each(&P::SAFE, &mut |index, driven| {
            if let (Err(error), true) = (driven, result.is_ok()) {
                result = Err(DriveError::Actuator { index, error });
            }
            true
        });
        result
    }

    fn follow(&mut self, output: &P::Output) -> Result<(), DriveError> {
        let mut result = Ok(());
        self.actuators.each(output, &mut |index, driven| {
            result = driven.map_err(|error| DriveError::Actuator { index, error });
            result.is_ok()
        });
        result
    }
}

/// A tuple of actuators.
pub trait Actuators<O> {
    /// Lets each follow `output` in order and tells `done` how it went; stops when it says `false`.
    fn each(&mut self, output: &O, done: &mut dyn FnMut(usize, Result<(), ActuatorError>) -> bool);
}

macro_rules! tuples {
    ($(($($name:ident $index:tt)+))+) => {$(
        impl<O, $($name: Actuator<O>),+> Actuators<O> for ($($name,)+) {
            fn each(&mut self, output: &O, done: &mut dyn FnMut(usize, Result<(), ActuatorError>) -> bool) {
                let _ = $(done($index, self.$index.follow(output)) &&)+ true;
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
