//! Why a database did not answer, in words of our own.

/// Why a database did not answer. None of it has the database's words, which may quote what stands in its tables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is where no database of a Room may be.
    #[error("the address of the database is the gateway's own, a worker's or one of the node's")]
    Forbidden,
    /// It does not answer, or not as the URL wants it to.
    #[error("the database does not answer, or has no certificate that the URL's sslmode asks for")]
    Unreachable,
    /// It does not know the user or the password.
    #[error("the database does not let the user of the URL in")]
    Credentials,
    /// The user may do everything.
    #[error("the user of the database is a superuser: give one that may read these tables and nothing else")]
    Superuser,
    /// The statement took too long.
    #[error("the statement took too long")]
    TooLong,
    /// It refuses the statement; this is the SQLSTATE.
    #[error("the database refuses the statement ({0})")]
    Refused(String),
}

impl Failure {
    /// From before a statement is run.
    pub(super) fn connecting(error: &sqlx::Error) -> Self {
        match code(error).as_deref() {
            // Invalid authorization, no such database, and one that the user may not enter.
            Some(code) if code.starts_with("28") || code == "3D000" || code == "42501" => Self::Credentials,
            _ => Self::Unreachable,
        }
    }

    /// From while it is run.
    pub(super) fn running(error: &sqlx::Error) -> Self {
        match code(error) {
            Some(code) if code == "57014" => Self::TooLong,
            // Connections that break, servers that stop, and those that have too much to do.
            Some(code) if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => Self::Unreachable,
            Some(code) => Self::Refused(code),
            None => Self::Unreachable,
        }
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    // As servers of PostgreSQL have it: another one may say anything.
    let is_one = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_one.then(|| code.into_owned())
}
