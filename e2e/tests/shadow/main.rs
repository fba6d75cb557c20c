//! ShadowDeployments, which take the chart's database. Cases run side by side; verdicts that take hundreds of pairs are in
//! the suite `verdicts`.

mod everyday;
mod gate;
mod refused;
mod route;
mod words;
