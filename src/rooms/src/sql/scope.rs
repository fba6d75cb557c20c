//! Which names are in sight, and what they mean.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::{Refusal, literal};

/// PostgreSQL cuts longer names, and two that differ behind that become one.
const MAX_NAME: usize = 63;

/// A name as it was written: without quotes it is in lower case and means any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    is_quoted: bool,
}

impl Name {
    /// # Errors
    /// When PostgreSQL would cut it, or it has a character that no name may have.
    pub fn of(ident: &Ident) -> Result<Self, Refusal> {
        let is_quoted = match ident.quote_style {
            None => false,
            Some('"') => true,
            Some(_) => return Err(Refusal::Name(ident.value.clone())),
        };
        let text = match is_quoted {
            true => ident.value.clone(),
            false => ident.value.to_lowercase(),
        };
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            return Err(Refusal::Name(text));
        }
        Ok(Self { text, is_quoted })
    }

    /// The names of `schema.table`.
    ///
    /// # Errors
    /// As [`Self::of`], and where something else stands for a name.
    pub fn all(name: &ObjectName) -> Result<Vec<Self>, Refusal> {
        let part = |part: &ObjectNamePart| match part {
            ObjectNamePart::Identifier(ident) => Self::of(ident),
            ObjectNamePart::Function(_) => Err(Refusal::Feature("a computed name")),
        };
        name.0.iter().map(part).collect()
    }

    /// Whether it is the name of `what`, or might be if case does not count.
    pub fn means(&self, what: &str, exactly: bool) -> bool {
        what == self.text || !exactly && !self.is_quoted && what.to_lowercase() == self.text
    }

    /// The one that it means of `all`: of that very name, or the only one without regard to case.
    pub fn find<'a, T>(&self, all: &'a [T], name: impl Fn(&T) -> Option<&str>) -> Found<'a, T> {
        for exactly in [true, false] {
            let mut found = all
                .iter()
                .filter(|one| name(one).is_some_and(|name| self.means(name, exactly)));
            match (found.next(), found.next()) {
                (Some(one), None) => return Found::One(one),
                (Some(_), Some(_)) => return Found::Several,
                (None, _) => {}
            }
        }
        Found::None
    }
}

/// What a name means among several things.
pub enum Found<'a, T> {
    None,
    One(&'a T),
    Several,
}

/// A table, or a query that stands for one, in a `FROM`.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The name that columns are qualified with.
    pub alias: String,
    /// The table's key in the list of what is allowed; none for a query.
    pub table: Option<String>,
    /// Whether it was given another name than its own.
    pub is_renamed: bool,
    /// Its columns as far as they may be asked. One without a name cannot be asked for.
    pub columns: Vec<Option<String>>,
}

/// All tables of one `FROM`.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub relations: Vec<Relation>,
    /// Columns of `USING`, which are one column: with the relation whose values count and the others that have it.
    pub merged: Vec<Merged>,
}

/// A column of `USING`.
#[derive(Clone, Debug)]
pub struct Merged {
    pub column: String,
    pub chosen: String,
    pub hidden: Vec<String>,
}

/// A column that a name means.
pub struct Resolved {
    pub table: Option<String>,
    pub alias: String,
    pub column: String,
}

impl Resolved {
    pub fn sql(&self) -> String {
        format!("{}.{}", literal::name(&self.alias), literal::name(&self.column))
    }
}

impl Scope {
    /// Adds a relation.
    ///
    /// # Errors
    /// When there is one of that name already.
    pub fn add(&mut self, relation: Relation) -> Result<(), Refusal> {
        if self.relations.iter().any(|other| other.alias == relation.alias) {
            return Err(Refusal::Ambiguous(relation.alias));
        }
        self.relations.push(relation);
        Ok(())
    }

    /// The relation that has an unqualified column, if any.
    ///
    /// # Errors
    /// When several have it.
    pub fn unqualified(&self, name: &Name) -> Result<Option<Resolved>, Refusal> {
        for exactly in [true, false] {
            let mut found = Vec::new();
            for relation in &self.relations {
                for column in relation.columns.iter().flatten() {
                    if name.means(column, exactly) && !self.is_merged_away(&relation.alias, column) {
                        found.push((relation, column));
                    }
                }
            }
            match found.as_slice() {
                [] => {}
                [(relation, column)] => return Ok(Some(relation.resolved(column))),
                _ => return Err(Refusal::Ambiguous(name.text.clone())),
            }
        }
        Ok(None)
    }

    /// Whether a column of a relation is one with that of another one.
    pub fn is_merged_away(&self, alias: &str, column: &str) -> bool {
        let of = |merged: &Merged| merged.column == column && merged.hidden.iter().any(|hidden| hidden == alias);
        self.merged.iter().any(of)
    }
}

impl Relation {
    pub fn resolved(&self, column: &str) -> Resolved {
        Resolved {
            table: self.table.clone(),
            alias: self.alias.clone(),
            column: column.to_owned(),
        }
    }

    /// The column of that name.
    ///
    /// # Errors
    /// When there is none, or there are several.
    pub fn column(&self, name: &Name) -> Result<Resolved, Refusal> {
        let shown = || format!("{}.{}", self.alias, name.text);
        match name.find(&self.columns, |column| column.as_deref()) {
            Found::One(Some(column)) => Ok(self.resolved(column)),
            Found::One(None) | Found::None => Err(Refusal::Column(shown())),
            Found::Several => Err(Refusal::Ambiguous(shown())),
        }
    }
}
