//! Callgrind as a meter, for the programs of `src/bin`: it counts what `counted` runs, and writes the count down after
//! each call. Prints what the counts are, in the same order.

use workloads::{Meter, Workload};

/// The meter.
pub(crate) struct Callgrind;

impl Meter for Callgrind {
    fn count(&mut self, work: &mut dyn FnMut()) {
        counted(work);
    }

    fn note(&mut self, workload: Workload, repetitions: u32) {
        println!("{workload}\t{repetitions}");
    }
}

/// Callgrind knows this function by its name. It holds nothing but the call.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(()); // a jump in place of the call would leave this function too early
}
