//! Rooms as people, Jobs and attackers meet them: a real database, real HTTP, scripted models and rights.

mod access;
mod ask;
mod certainty;
mod databases;
mod detectors;
mod ingest;
mod matrix;
mod races;
mod redteam;
mod sql_attacks;
pub mod support;
mod uploads;
