//! Faults in one channel of a pair in duplex: what makes the votes differ is masked in the same
//! cycle, and blamed on nobody but its cause; what cannot be masked takes the faulty channel out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "divergence/bad_evidence.rs"]
mod bad_evidence;
#[path = "support/bench.rs"]
mod bench;
#[path = "divergence/by_hand.rs"]
mod by_hand;
#[path = "divergence/case.rs"]
mod case;
#[path = "divergence/control.rs"]
mod control;
#[path = "divergence/evidence.rs"]
mod evidence;
#[path = "divergence/found_faulty.rs"]
mod found_faulty;
#[path = "support/frames.rs"]
mod frames;
#[path = "divergence/inputs.rs"]
mod inputs;
#[path = "divergence/journal.rs"]
mod journal;
#[path = "support/knob.rs"]
mod knob;
#[allow(dead_code)]
#[path = "bad_copy/moments.rs"]
mod moments;
#[path = "divergence/permanent.rs"]
mod permanent;
#[path = "divergence/program.rs"]
mod program;
#[path = "divergence/proof.rs"]
mod proof;
#[path = "divergence/recommit.rs"]
mod recommit;
#[path = "divergence/released.rs"]
mod released;
mod support;
#[path = "divergence/suspicion.rs"]
mod suspicion;
#[path = "divergence/switched_off.rs"]
mod switched_off;
#[path = "divergence/too_long.rs"]
mod too_long;
#[path = "divergence/transient.rs"]
mod transient;
