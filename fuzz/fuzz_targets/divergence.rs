//! Operations and faults over the simulated pair, judged by its oracle.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use twinstep::Mechanism;
use twinstep_fuzz::divergence::Campaign;

/// `OFF=vote` and so on: the negative control, in which the target must fail within seconds.
static OFF: LazyLock<Option<Mechanism>> = LazyLock::new(|| {
    let name = std::env::var("OFF").ok()?;
    Some(match name.as_str() {
        "vote" => Mechanism::Vote,
        "crc" => Mechanism::Crc,
        "phase" => Mechanism::Phase,
        "lease" => Mechanism::Lease,
        "final-input" => Mechanism::FinalInput,
        _ => panic!("OFF={name} names no mechanism"),
    })
});

fuzz_target!(|campaign: Campaign| {
    if let Some(complaint) = campaign.complaint(*OFF) {
        panic!("{complaint}");
    }
});
