//! Rooms, which take the chart's database. Cases run side by side.

mod everyday;
mod gone;
mod matrix;
mod redteam;
mod revoked;
