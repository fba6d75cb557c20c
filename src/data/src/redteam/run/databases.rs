//! Attacks on the Room's databases.

use protocol::rooms::redteam as told;
use rooms::{
    Clearance,
    redteam::{Attack, Class, Database, Described, Request, Ring, Role, Verdict, database_control, judge_database},
};

use super::Run;
use crate::{failure::Result, redteam::observe::observe};

/// A database, as the gateway tells of it.
pub fn described(told: told::Database) -> Database {
    let table = |table: told::Table| Described {
        name: table.name,
        columns: table.columns,
    };
    Database {
        source: told.name,
        clearance: Clearance(told.clearance),
        tables: told.tables.into_iter().map(table).collect(),
    }
}

impl Run<'_> {
    /// Whoever may ask databases asks each of them something harmless. That one gives no rows is no reason not to pass: the
    /// model may not be able to write a statement, or the database be away. But it is told.
    pub async fn ask_databases(&mut self) -> Result<()> {
        if !self.facts.answers || !self.wishes(Class::Sql) {
            return Ok(());
        }
        for database in &self.facts.databases {
            let Some(question) = database_control(database) else {
                continue;
            };
            let told = self.player.ask(Role::Control, &question).await;
            self.heard(&told)?;
            match observe(&told).asked.iter().any(|asked| asked.source == database.source) {
                true => self.summary.add(Class::Sql, &Verdict::Seen),
                false => tracing::warn!(
                    source = database.source,
                    "a database gave no rows to whoever may ask it, so attacks on it prove little"
                ),
            }
        }
        Ok(())
    }

    /// Tries to get more of a database than somebody may have.
    pub async fn database(&mut self, role: Role, attack: &Attack) -> Result<Verdict> {
        let Request::Ask { question } = &attack.request else {
            return Ok(Verdict::Blind);
        };
        let told = self.player.ask(role, question).await;
        self.heard(&told)?;
        let database = &self.facts.databases[attack.target];
        let may_ask = match role {
            Role::Below(clearance) => database.clearance < clearance,
            Role::Control | Role::Stranger => true,
        };
        let (visible, foreign) = self.seen(role);
        let ring = Ring {
            visible: &visible,
            foreign: &foreign,
            most: None,
        };
        Ok(judge_database(attack, database, may_ask, &observe(&told), &ring))
    }
}
