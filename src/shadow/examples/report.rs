//! Shows a report: `cargo run -p atelier-shadow --example report -- html|text|ascii [REPORT.json] [WIDTH]`.

use std::{error::Error, fs};

use shadow::report::{
    Report, html,
    terminal::{self, Style},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let form = arguments.next().unwrap_or_else(|| "text".into());
    let report = match arguments.next() {
        Some(path) => Report::parse(&fs::read_to_string(path)?)?,
        None => Report::parse(include_str!("report.json"))?,
    };
    let width = arguments.next().map(|width| width.parse()).transpose()?.unwrap_or(100);
    match form.as_str() {
        "html" => print!("{}", html::page(&report)?),
        form => {
            let ascii = form == "ascii";
            print!("{}", terminal::text(&report, Style { width, ascii }));
        }
    }
    Ok(())
}
