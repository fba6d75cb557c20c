//! Databases of others: a real one with three small tables and much that is hidden, asked by people and attacked.

mod answers;
mod hostile;
mod support;
mod trouble;
