//! Bytes from outside, into the parser and into a live channel in every mode.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| twinstep_fuzz::frame::run(data));
