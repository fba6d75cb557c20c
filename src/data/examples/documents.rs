//! Pages in a second until documents are cut into chunks, on as many cores as this may use:
//! `taskset -c 0 cargo run --release -p atelier-data --example documents -- PROGRAM FILE...`, where PROGRAM is a built
//! `atelier-data`.

use std::path::Path;

use data::ingest::speed;
use data::readers::Programs;

/// The best of so many counts.
const TIMES: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let programs = Programs {
        documents: arguments.next(),
        ..Programs::default()
    };
    for file in arguments {
        let measured = (0..TIMES).map(|_| speed::document(Path::new(&file), &programs));
        let best = measured.filter_map(|speed| speed.map_err(|refused| eprintln!("{file}: {refused}")).ok());
        let best = best.max_by(|a, b| a.pages_each_second().total_cmp(&b.pages_each_second()));
        if let Some(best) = best {
            println!(
                "{file}: {} pages, {} chunks, {:.0} pages/s (read {:.0} ms, clean {:.0} ms, cut {:.0} ms)",
                best.pages,
                best.chunks,
                best.pages_each_second(),
                best.read.as_secs_f64() * 1e3,
                best.cleaned.as_secs_f64() * 1e3,
                best.chunked.as_secs_f64() * 1e3,
            );
        }
    }
}
