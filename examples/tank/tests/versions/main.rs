//! Both versions of the controller: each for itself, one against the other, and on the way from one to the other.
//!
//! ```text
//! bench        a controller without a peer
//! thermal      the tank as physics would have it
//! behaviour    what is the same in both versions, whatever state and reading
//! pair         two channels in lockstep
//! comparison   version 2 is the better one
//! migration    the state of version 1 taken over
//! trial        both versions on the same readings, as in an upgrade
//! flaws        versions 2 that are found out
//! upgrade      a pair is upgraded, and rolled back
//! ```
#![allow(clippy::unwrap_used, clippy::panic)]

mod behaviour;
mod bench;
mod comparison;
mod flaws;
mod migration;
mod pair;
mod thermal;
mod trial;
mod upgrade;
