//! Tables, and how they are joined.

use sqlparser::ast::{Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins};

use super::{
    Refusal, literal,
    query::renamed,
    scope::{Merged, Name, Relation, Scope},
    writer::{Outputs, Writer},
};

/// Whose values a column of `USING` has.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Writer<'_> {
    /// A `FROM`, and what it brings into sight.
    ///
    /// # Errors
    /// With what is not allowed in it.
    pub fn from(&mut self, from: &[TableWithJoins]) -> Result<(String, Scope), Refusal> {
        let mut scope = Scope::default();
        let mut parts = Vec::new();
        for tables in from {
            parts.push(self.joined(tables, &mut scope)?);
        }
        Ok(match parts.is_empty() {
            true => (String::new(), scope),
            false => (format!(" FROM {}", parts.join(", ")), scope),
        })
    }

    fn joined(&mut self, tables: &TableWithJoins, scope: &mut Scope) -> Result<String, Refusal> {
        let TableWithJoins { relation, joins } = tables;
        let first = scope.relations.len();
        let mut sql = self.table(relation, scope)?;
        for Join {
            relation,
            global,
            join_operator,
        } in joins
        {
            if *global {
                return Err(Refusal::Feature("a join of that form"));
            }
            let (how, constraint, side) = operator(join_operator)?;
            let left = first..scope.relations.len();
            let table = self.table(relation, scope)?;
            let on = match constraint {
                JoinConstraint::On(condition) if how != "CROSS JOIN" => {
                    // Those who stand before the join are in sight already.
                    let sql = self.inside(scope, |writer| writer.expr(condition))?;
                    format!(" ON {sql}")
                }
                JoinConstraint::Using(columns) if how != "CROSS JOIN" => {
                    let side = side.ok_or(Refusal::Feature("USING of a FULL JOIN"))?;
                    self.using(columns, scope, left, side)?
                }
                JoinConstraint::None if how == "CROSS JOIN" => String::new(),
                // It would compare columns that are hidden.
                JoinConstraint::Natural => return Err(Refusal::Feature("NATURAL JOIN")),
                _ => return Err(Refusal::Feature("a join without ON or USING")),
            };
            sql = format!("({sql} {how} {table}{on})");
        }
        Ok(sql)
    }

    /// `USING` as the comparisons that it means.
    fn using(
        &mut self,
        columns: &[ObjectName],
        scope: &mut Scope,
        left: std::ops::Range<usize>,
        side: Side,
    ) -> Result<String, Refusal> {
        let mut comparisons = Vec::new();
        for column in columns {
            let names = Name::all(column)?;
            let [name] = names.as_slice() else {
                return Err(Refusal::Feature("a qualified name in USING"));
            };
            let part = |range: std::ops::Range<usize>| Scope {
                relations: scope.relations[range].to_vec(),
                merged: scope.merged.clone(),
            };
            let missing = || Refusal::Column(name.text.clone());
            let its_left = part(left.clone()).unqualified(name)?.ok_or_else(missing)?;
            let its_right = part(left.end..scope.relations.len())
                .unqualified(name)?
                .ok_or_else(missing)?;
            let (chosen, hidden) = match side {
                Side::Left => (&its_left, &its_right),
                Side::Right => (&its_right, &its_left),
            };
            if chosen.column != hidden.column {
                return Err(Refusal::Ambiguous(name.text.clone()));
            }
            // What was one column with the one that is hidden now goes with it.
            let earlier = scope
                .merged
                .iter()
                .position(|merged| merged.column == hidden.column && merged.chosen == hidden.alias);
            let mut all = earlier.map_or(Vec::new(), |place| scope.merged.swap_remove(place).hidden);
            all.push(hidden.alias.clone());
            let known = scope
                .merged
                .iter_mut()
                .find(|merged| merged.column == chosen.column && merged.chosen == chosen.alias);
            match known {
                Some(merged) => merged.hidden.extend(all),
                None => scope.merged.push(Merged {
                    column: chosen.column.clone(),
                    chosen: chosen.alias.clone(),
                    hidden: all,
                }),
            }
            let (left, right) = (its_left.sql(), its_right.sql());
            for resolved in [its_left, its_right] {
                if let Some(table) = resolved.table {
                    self.reads.entry(table).or_default().insert(resolved.column);
                }
            }
            comparisons.push(format!("({left} = {right})"));
        }
        match comparisons.is_empty() {
            true => Err(Refusal::Feature("an empty USING")),
            false => Ok(format!(" ON {}", comparisons.join(" AND "))),
        }
    }

    /// Writes something that sees what `scope` has so far.
    fn inside<T>(&mut self, scope: &Scope, write: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.scopes.push(scope.clone());
        let written = write(self);
        self.scopes.pop();
        written
    }

    fn table(&mut self, factor: &TableFactor, scope: &mut Scope) -> Result<String, Refusal> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                if args.is_some() {
                    return Err(Refusal::Feature("a function in place of a table"));
                }
                if sample.is_some() {
                    return Err(Refusal::Feature("TABLESAMPLE"));
                }
                let is_foreign = !with_hints.is_empty()
                    || version.is_some()
                    || *with_ordinality
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_directives.is_empty()
                    || inheritance.is_some();
                if is_foreign {
                    return Err(Refusal::Feature("a table with something behind it"));
                }
                self.named_table(name, alias.as_ref(), scope)
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample: None,
            } => {
                let (sql, outputs) = match lateral {
                    true => self.inside(scope, |writer| writer.subquery(subquery))?,
                    false => self.subquery(subquery)?,
                };
                let Some(alias) = alias else {
                    return Err(Refusal::Feature("a query without a name in FROM"));
                };
                let (alias, list, columns) = renamed(alias, outputs)?;
                let lateral = if *lateral { "LATERAL " } else { "" };
                let sql = format!("{lateral}({sql}) AS {}{list}", literal::name(&alias));
                scope.add(Relation {
                    alias,
                    table: None,
                    is_renamed: true,
                    columns,
                })?;
                Ok(sql)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                // A scope of its own, for its conditions see nothing of what stands before it.
                let mut own = Scope::default();
                let sql = self.deeper(|writer| writer.joined(table_with_joins, &mut own))?;
                for relation in own.relations {
                    scope.add(relation)?;
                }
                scope.merged.extend(own.merged);
                Ok(sql)
            }
            TableFactor::NestedJoin { .. } => Err(Refusal::Feature("a name of a join")),
            TableFactor::Derived { .. } => Err(Refusal::Feature("TABLESAMPLE")),
            TableFactor::TableFunction { .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. } => {
                Err(Refusal::Feature("a function in place of a table"))
            }
            _ => Err(Refusal::Feature("something else in place of a table")),
        }
    }

    fn named_table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        scope: &mut Scope,
    ) -> Result<String, Refusal> {
        let names = Name::all(name)?;
        let (schema, name) = match names.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema), name),
            _ => return Err(Refusal::Feature("a table of another database")),
        };
        if schema.is_none()
            && let Some((query, outputs)) = self.query_of(name)
        {
            let (alias, list, columns) = match alias {
                Some(alias) => renamed(alias, outputs)?,
                None => (query.clone(), String::new(), outputs),
            };
            let sql = format!("{} AS {}{list}", literal::name(&query), literal::name(&alias));
            scope.add(Relation {
                alias,
                table: None,
                is_renamed: true,
                columns,
            })?;
            return Ok(sql);
        }
        let Some((key, table)) = self.allowed.table(schema, name) else {
            return Err(Refusal::Table(
                names
                    .iter()
                    .map(|name| name.text.as_str())
                    .collect::<Vec<_>>()
                    .join("."),
            ));
        };
        let (key, columns) = (
            key.to_owned(),
            table.columns.iter().map(|column| Some(column.name.clone())).collect(),
        );
        let own = key.rsplit('.').next().unwrap_or(&key).to_owned();
        let alias_name = match alias {
            // A list of names goes by place, and would name hidden columns.
            Some(alias) if !alias.columns.is_empty() => return Err(Refusal::Feature("names for a table's columns")),
            Some(alias) => renamed(alias, Vec::new())?.0,
            None => own.clone(),
        };
        let quoted = key.split('.').map(literal::name).collect::<Vec<_>>().join(".");
        let sql = format!("{quoted} AS {}", literal::name(&alias_name));
        self.reads.entry(key.clone()).or_default();
        scope.add(Relation {
            is_renamed: alias.is_some() && alias_name != own,
            alias: alias_name,
            table: Some(key),
            columns,
        })?;
        Ok(sql)
    }

    /// The query that stands behind a name, the one that was named last.
    fn query_of(&self, name: &Name) -> Option<(String, Outputs)> {
        let of = |exactly| {
            self.named
                .iter()
                .rev()
                .find(move |(named, _)| name.means(named, exactly))
        };
        of(true).or_else(|| of(false)).cloned()
    }
}

/// How a join is written, its condition, and whose values its columns of `USING` have.
fn operator(operator: &JoinOperator) -> Result<(&'static str, &JoinConstraint, Option<Side>), Refusal> {
    Ok(match operator {
        JoinOperator::Join(on) | JoinOperator::Inner(on) => ("JOIN", on, Some(Side::Left)),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => ("LEFT JOIN", on, Some(Side::Left)),
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) => ("RIGHT JOIN", on, Some(Side::Right)),
        JoinOperator::FullOuter(on) => ("FULL JOIN", on, None),
        JoinOperator::CrossJoin(on) => ("CROSS JOIN", on, None),
        _ => return Err(Refusal::Feature("a join of another database")),
    })
}
