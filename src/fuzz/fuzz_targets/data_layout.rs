#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: atelier_fuzz::begin(), |input: &[u8]| data::fuzz::layout(input));
