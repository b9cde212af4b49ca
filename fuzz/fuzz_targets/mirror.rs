//! Operations on the mirrored memory, against plain bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twinstep_fuzz::mirror::Script;

fuzz_target!(|script: Script| script.follow());
