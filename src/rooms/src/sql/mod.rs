//! Questions that a model asks a database: what it wrote is read, and only what is allowed is written anew.
//!
//! [`check`] takes SQL of whoever wrote it and gives SQL of our own, or refuses. It never passes text on: a parser
//! reads the statement, each part that is known and allowed is written again, with quoted names, literals of one form
//! and all parentheses, and every other part is refused by its name. So nothing depends on PostgreSQL reading the
//! original as our parser does, and what a later version of either of them learns is refused until somebody allows it
//! here.
//!
//! What holds for every statement that comes out:
//!
//! * It is one `SELECT` without locks, `INTO`, changes of data or recursion, with a `LIMIT` that we set.
//! * Each column belongs by name to one table in sight, and is in that table's list. Names are qualified, for
//!   PostgreSQL would look for an unqualified one among hidden columns, too. `*` is written as the columns that it may
//!   mean.
//! * Each function is in the list, and is the one of `pg_catalog`.
//!
//! It is one of several nets: the role of the connection may read the columns and nothing else, the transaction is read
//! only and short (see [`session`]), and the connection is not that of the Rooms' own store.

mod allowed;
mod ask;
mod call;
mod describe;
mod expr;
mod from;
mod literal;
mod parse;
mod query;
mod refusal;
mod reply;
mod rows;
mod scope;
mod select;
pub mod session;
mod types;
mod writer;

#[cfg(test)]
mod tests;

pub use allowed::{Allowed, Column, SAFE_FUNCTIONS, Table};
pub use ask::{Asked, Correction, relevance};
pub use describe::describe;
pub use refusal::Refusal;
pub use reply::{NO_QUERY, NoStatement, statement};
pub use rows::{Given, Rows};

use std::collections::{BTreeMap, BTreeSet};

/// A statement that may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The statement.
    pub sql: String,
    /// What it reads: columns by table, with the names of [`Allowed`]. For citations and the audit trail. A table of
    /// which only the rows are counted has no columns.
    pub reads: BTreeMap<String, BTreeSet<String>>,
    /// Names of the columns that it gives, in their order. One that has none is a value that was computed.
    pub columns: Vec<Option<String>>,
    /// Most rows that it gives.
    pub limit: u64,
}

impl Rewritten {
    /// The same statement with each value as text of at most `longest` characters, whatever its type is; what is longer is
    /// cut at the server.
    pub fn as_text(&self, longest: usize) -> String {
        let columns = 1..=self.columns.len();
        let names: Vec<_> = columns.map(|number| literal::name(&format!("c{number}"))).collect();
        let value = |name: &String| format!("pg_catalog.\"left\"(CAST(r.{name} AS text), {longest})");
        let values: Vec<_> = names.iter().map(value).collect();
        format!(
            "SELECT {} FROM ({}) AS r({})",
            values.join(", "),
            self.sql,
            names.join(", ")
        )
    }

    /// The tables that it reads.
    pub fn tables(&self) -> Vec<String> {
        self.reads.keys().cloned().collect()
    }
}

/// Room for the deepest statement that is read: a level takes the parser some 75 KiB, more than a thread of a server
/// has for all of them. Memory is taken as it is needed.
const STACK: usize = 16 << 20;

/// Reads one statement and writes it anew, as far as it is allowed.
///
/// # Errors
/// With the first thing that is not allowed, by its name. A table or column that is hidden is refused in the same words
/// as one that does not exist.
pub fn check(sql: &str, allowed: &Allowed) -> Result<Rewritten, Refusal> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || check_here(sql, allowed));
        thread.map_or(Err(Refusal::Unread), |thread| {
            thread.join().unwrap_or(Err(Refusal::Unread))
        })
    })
}

fn check_here(sql: &str, allowed: &Allowed) -> Result<Rewritten, Refusal> {
    let query = parse::query(sql)?;
    let mut writer = writer::Writer::new(allowed);
    let (sql, columns, limit) = writer.statement(&query)?;
    Ok(Rewritten {
        sql,
        reads: writer.reads,
        columns,
        limit,
    })
}
