#![no_std]
//! Adapters between [`twinstep`] and hardware: everything that does I/O.
//!
//! ```text
//! clock      what the run loop asks of time
//! link       frames between the channels
//! serial     a link over any embedded-io stream, frames delimited by COBS
//! mailbox    a link between two cores on one chip
//! mail       what the user sends to the other half, in the time that a cycle leaves
//! lockstep   the blocking run loop: paces, exchanges, votes
//! updater    what the core asks of the images, done
//! outputs    pins and PWM channels, driven only with a voted output
//! images     a new program in flash: staged, verified, booted on trial, confirmed, or gone back from
//! ```
//!
//! For firmware authors: make a [`SerialLink`] or a [`MailboxLink`], a [`Lockstep`] and [`Outputs`], and call
//! [`Lockstep::cycle`] in a loop. For authors of other links: implement [`Link`]. For an upgrade of
//! the running program: [`images`].

#[cfg(test)]
extern crate std;

mod clock;
pub mod images;
mod link;
mod lockstep;
mod mail;
mod mailbox;
mod outputs;
mod serial;
mod updater;

pub use clock::Clock;
pub use link::Link;
pub use lockstep::Lockstep;
pub use mail::{Mail, NoMail};
pub use mailbox::{MailboxError, MailboxLink};
pub use outputs::{
    Actuator, ActuatorError, Actuators, DriveError, Duty, DutyOutput, FailsAlone, Outputs, PinOutput, WhenItFails,
};
pub use serial::{Blocking, Polled, SerialError, SerialLink, Waits};
pub use updater::{Next, Updater};
