//! What a connection is told before a statement of a model runs on it.
//!
//! A read-only transaction is no sandbox: PostgreSQL 18 lets an unprivileged role sleep, notify, lock, end its own
//! other sessions and change settings in it. What keeps those away is that [`check`](super::check) writes no such call;
//! this bounds what is left. The role should have `SELECT` on the allowed columns and nothing else, and a
//! `temp_file_limit`, which only a superuser can set.

use std::time::Duration;

/// Statements to run, in order, at the start of a transaction of its own. The connection is not used again without
/// `DISCARD ALL`.
///
/// `longest` is how long the query may take; `memory_mib` is for each sort and hash of it.
pub fn opening(longest: Duration, memory_mib: u32) -> Vec<String> {
    let milliseconds = longest.as_millis().clamp(1, i32::MAX as u128);
    vec![
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY".into(),
        format!("SET LOCAL statement_timeout = {milliseconds}"),
        format!("SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"),
        "SET LOCAL lock_timeout = 100".into(),
        format!("SET LOCAL work_mem = '{}MB'", memory_mib.clamp(1, 1024)),
        // Without workers of its own a query takes one processor.
        "SET LOCAL max_parallel_workers_per_gather = 0".into(),
        "SET LOCAL standard_conforming_strings = on".into(),
    ]
}

/// What ends the transaction, whether the query gave rows or not.
pub const CLOSING: &str = "ROLLBACK";
