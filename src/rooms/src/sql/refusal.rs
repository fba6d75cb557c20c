//! Why a statement is not run.

use super::parse::{MAX_BYTES, MAX_TOKENS};

/// Why a statement is not run. The message may be shown to whoever wrote it, who learns nothing from it about what is
/// hidden.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No SQL.
    #[error("this is no SQL that can be read: {0}")]
    Syntax(String),
    /// Too long to be read.
    #[error("a statement has at most {MAX_BYTES} bytes and {MAX_TOKENS} words and signs")]
    TooLong,
    /// Too many things within things.
    #[error("the statement is nested too deeply")]
    TooDeep,
    /// There is no thread to read it on, or the parser failed over it.
    #[error("the statement cannot be read")]
    Unread,
    /// None or several statements.
    #[error("there must be one statement, not {0}")]
    Statements(usize),
    /// A statement that is not a query.
    #[error("only queries may be run, not {0}")]
    NoQuery(String),
    /// Something of the language.
    #[error("{0} may not be used")]
    Feature(&'static str),
    /// A table.
    #[error("there is no table {0}")]
    Table(String),
    /// A column.
    #[error("there is no column {0}")]
    Column(String),
    /// A name that may mean several things.
    #[error("{0} may mean several things: give each table a name of its own and put it before the column")]
    Ambiguous(String),
    /// A name that PostgreSQL would not take as it is.
    #[error("{0:?} cannot be a name")]
    Name(String),
    /// A function.
    #[error("the function {0} may not be used")]
    Function(String),
    /// A type.
    #[error("the type {0} may not be used")]
    Type(String),
    /// An operator.
    #[error("the operator {0} may not be used")]
    Operator(String),
    /// A number of rows that is not one.
    #[error("{0} must be followed by a whole number")]
    Number(&'static str),
}
