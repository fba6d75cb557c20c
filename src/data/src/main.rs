//! `atelier-data`.

fn main() {}
