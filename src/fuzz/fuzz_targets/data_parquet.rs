#![no_main]

use libfuzzer_sys::fuzz_target;

fn begin() {
    atelier_fuzz::begin();
    data::fuzz::rows();
}

fuzz_target!(init: begin(), |input: &[u8]| {
    data::fuzz::parquet(&atelier_fuzz::directory(), input).expect("the temporary directory can be written");
});
