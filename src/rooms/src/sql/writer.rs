//! What is known while a statement is written.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::Ident;

use super::{
    Allowed, Refusal,
    scope::{Found, Name, Relation, Resolved, Scope},
};

/// Deepest nesting that is followed. Each level is a few calls on the stack.
const MAX_DEPTH: usize = 64;

/// Names of the columns that a query gives, where they have one.
pub type Outputs = Vec<Option<String>>;

/// Writes a statement.
pub struct Writer<'a> {
    pub allowed: &'a Allowed,
    /// From the outermost query to the innermost.
    pub scopes: Vec<Scope>,
    /// Queries by name, `WITH`, that are in sight.
    pub named: Vec<(String, Outputs)>,
    pub reads: BTreeMap<String, BTreeSet<String>>,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub fn new(allowed: &'a Allowed) -> Self {
        Self {
            allowed,
            scopes: Vec::new(),
            named: Vec::new(),
            reads: BTreeMap::new(),
            depth: 0,
        }
    }

    /// Goes one level deeper for `write`.
    ///
    /// # Errors
    /// Those of `write`, and when it is too deep.
    pub fn deeper<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        if self.depth >= MAX_DEPTH {
            return Err(Refusal::TooDeep);
        }
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        written
    }

    /// A column by its name alone.
    ///
    /// # Errors
    /// When no table in sight has it, or several do.
    pub fn unqualified(&mut self, ident: &Ident) -> Result<String, Refusal> {
        let name = Name::of(ident)?;
        for level in (0..self.scopes.len()).rev() {
            if let Some(resolved) = self.scopes[level].unqualified(&name)? {
                return self.read(level, resolved);
            }
        }
        Err(Refusal::Column(name.text))
    }

    /// A column with its table, or with its schema and table.
    ///
    /// # Errors
    /// When there is no such table in sight, or it has no such column.
    pub fn qualified(&mut self, idents: &[Ident]) -> Result<String, Refusal> {
        let names = idents.iter().map(Name::of).collect::<Result<Vec<_>, _>>()?;
        let (column, table) = match names.split_last() {
            Some((column, table)) if !table.is_empty() => (column, table),
            _ => return Err(Refusal::Feature("a name without parts")),
        };
        let (level, relation) = self.relation(table)?;
        let resolved = relation.column(column)?;
        self.read(level, resolved)
    }

    /// The relation in sight that `table` or `schema.table` means, and the level of its scope.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn relation(&self, names: &[Name]) -> Result<(usize, &Relation), Refusal> {
        let shown = || {
            names
                .iter()
                .map(|name| name.text.as_str())
                .collect::<Vec<_>>()
                .join(".")
        };
        for (level, scope) in self.scopes.iter().enumerate().rev() {
            let found = match names {
                [alias] => alias.find(&scope.relations, |relation| Some(&relation.alias)),
                [schema, table] => {
                    // A table that was given another name is not known by its own.
                    let key = self.allowed.table(Some(schema), table).map(|(key, _)| key);
                    let is_it = |one: &&Relation| !one.is_renamed && key.is_some() && one.table.as_deref() == key;
                    scope.relations.iter().find(is_it).map_or(Found::None, Found::One)
                }
                _ => Found::None,
            };
            match found {
                Found::One(relation) => return Ok((level, relation)),
                Found::Several => return Err(Refusal::Ambiguous(shown())),
                Found::None => {}
            }
        }
        Err(Refusal::Table(shown()))
    }

    /// Writes a column of the scope at `level`, and notes that it is read.
    ///
    /// # Errors
    /// When something in between has the same name: what we write would mean that.
    pub fn read(&mut self, level: usize, resolved: Resolved) -> Result<String, Refusal> {
        let is_shadowed = |scope: &Scope| scope.relations.iter().any(|other| other.alias == resolved.alias);
        if self.scopes[level + 1..].iter().any(is_shadowed) {
            return Err(Refusal::Ambiguous(resolved.column));
        }
        let sql = resolved.sql();
        if let Some(table) = resolved.table {
            self.reads.entry(table).or_default().insert(resolved.column);
        }
        Ok(sql)
    }
}
