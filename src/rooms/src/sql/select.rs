//! A `SELECT`.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByExpr, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind,
    WildcardAdditionalOptions,
};

use super::{
    Refusal, literal,
    query::{as_number, direction, output},
    scope::{Found, Name, Relation},
    writer::{Outputs, Writer},
};

/// A column that is given: what it is, and its name if it has one.
struct Item {
    sql: String,
    name: Option<String>,
}

impl Writer<'_> {
    /// A `SELECT` with its order, and the names of its columns.
    ///
    /// # Errors
    /// With what is not allowed in it.
    pub fn select(&mut self, select: &Select, order: &[OrderByExpr]) -> Result<(String, Outputs), Refusal> {
        let levels = self.scopes.len();
        let written = self.deeper(|writer| writer.select_here(select, order));
        self.scopes.truncate(levels);
        written
    }

    fn select_here(&mut self, select: &Select, order: &[OrderByExpr]) -> Result<(String, Outputs), Refusal> {
        // Each field by name: one that a later version brings is an error here, not a hole.
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if into.is_some() {
            return Err(Refusal::Feature("INTO"));
        }
        if !named_window.is_empty() {
            return Err(Refusal::Feature("WINDOW"));
        }
        let is_foreign = !optimizer_hints.is_empty()
            || select_modifiers.is_some()
            || top.is_some()
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || qualify.is_some()
            || value_table_mode.is_some()
            || !matches!(flavor, SelectFlavor::Standard);
        if is_foreign {
            return Err(Refusal::Feature("a clause of another database"));
        }
        let (from, scope) = self.from(from)?;
        self.scopes.push(scope);
        let items = self.items(projection)?;
        let outputs: Outputs = items.iter().map(|item| item.name.clone()).collect();
        let distinct = match distinct {
            None | Some(Distinct::All) => String::new(),
            Some(Distinct::Distinct) => "DISTINCT ".into(),
            Some(Distinct::On(keys)) => {
                let keys = keys.iter().map(|key| self.key(key, &outputs));
                format!("DISTINCT ON ({}) ", keys.collect::<Result<Vec<_>, _>>()?.join(", "))
            }
        };
        let shown = items.iter().map(|item| match &item.name {
            Some(name) => format!("{} AS {}", item.sql, literal::name(name)),
            None => item.sql.clone(),
        });
        let mut sql = format!("SELECT {distinct}{}{from}", shown.collect::<Vec<_>>().join(", "));
        if let Some(condition) = selection {
            sql += &format!(" WHERE {}", self.expr(condition)?);
        }
        sql += &self.group(group_by, &items)?;
        if let Some(condition) = having {
            sql += &format!(" HAVING {}", self.expr(condition)?);
        }
        if !order.is_empty() {
            let mut keys = Vec::new();
            for item in order {
                keys.push(self.key(&item.expr, &outputs)? + &direction(item)?);
            }
            sql += &format!(" ORDER BY {}", keys.join(", "));
        }
        Ok((sql, outputs))
    }

    fn items(&mut self, projection: &[SelectItem]) -> Result<Vec<Item>, Refusal> {
        let mut items = Vec::new();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => items.push(Item {
                    sql: self.expr(expr)?,
                    name: self.own_name(expr)?,
                }),
                SelectItem::ExprWithAlias { expr, alias } => items.push(Item {
                    sql: self.expr(expr)?,
                    name: Some(Name::of(alias)?.text),
                }),
                SelectItem::Wildcard(options) => {
                    plain(options)?;
                    self.every_column(None, &mut items)?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    plain(options)?;
                    self.every_column(Some(&Name::all(name)?), &mut items)?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => {
                    return Err(Refusal::Feature("the parts of a row"));
                }
                SelectItem::ExprWithAliases { .. } => return Err(Refusal::Feature("several names of a column")),
            }
        }
        match items.is_empty() {
            true => Err(Refusal::Feature("a query without columns")),
            false => Ok(items),
        }
    }

    /// What `*` or `table.*` means: columns by name.
    fn every_column(&mut self, of: Option<&[Name]>, items: &mut Vec<Item>) -> Result<(), Refusal> {
        let level = self.scopes.len() - 1;
        let relations: Vec<Relation> = match of {
            // It has to be one of this `FROM`: rows of an outer one are nothing to repeat here.
            Some(names) => match self.relation(names)? {
                (its_level, relation) if its_level == level => vec![relation.clone()],
                _ => return Err(Refusal::Feature("* of an outer table")),
            },
            None => self.scopes[level].relations.clone(),
        };
        if relations.is_empty() {
            return Err(Refusal::Feature("* without a table"));
        }
        for relation in relations {
            for column in &relation.columns {
                let Some(column) = column else {
                    return Err(Refusal::Feature("* over a column without a name"));
                };
                if of.is_none() && self.scopes[level].is_merged_away(&relation.alias, column) {
                    continue;
                }
                items.push(Item {
                    sql: self.read(level, relation.resolved(column))?,
                    name: Some(column.clone()),
                });
            }
        }
        Ok(())
    }

    /// The name that PostgreSQL gives a column of which the query says none. We say it, to know it.
    fn own_name(&self, expr: &Expr) -> Result<Option<String>, Refusal> {
        Ok(match expr {
            Expr::Identifier(ident) => Some(Name::of(ident)?.text),
            Expr::CompoundIdentifier(idents) => match idents.last() {
                Some(ident) => Some(Name::of(ident)?.text),
                None => None,
            },
            Expr::Function(function) => Name::all(&function.name)?.pop().map(|name| name.text),
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => self.own_name(inner)?,
            Expr::Extract { .. } => Some("extract".into()),
            Expr::Case { .. } => Some("case".into()),
            Expr::Substring { .. } => Some("substring".into()),
            Expr::Position { .. } => Some("position".into()),
            Expr::Ceil { .. } => Some("ceil".into()),
            Expr::Floor { .. } => Some("floor".into()),
            Expr::Trim { .. } => Some("trim".into()),
            _ => None,
        })
    }

    /// A key of `ORDER BY` or `DISTINCT ON`: a place, a name of the output before one of the input, or an expression.
    fn key(&mut self, expr: &Expr, outputs: &Outputs) -> Result<String, Refusal> {
        if let Some(number) = as_number(expr) {
            return Ok(number.to_string());
        }
        if let Expr::Identifier(ident) = expr {
            match output(&Name::of(ident)?, outputs) {
                Ok(output) => return Ok(output),
                Err(Refusal::Column(_)) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        self.expr(expr)
    }

    fn group(&mut self, group: &GroupByExpr, items: &[Item]) -> Result<String, Refusal> {
        let GroupByExpr::Expressions(keys, modifiers) = group else {
            return Err(Refusal::Feature("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(Refusal::Feature("a grouping of that form"));
        }
        if keys.is_empty() {
            return Ok(String::new());
        }
        let mut written = Vec::new();
        for key in keys {
            written.push(match key {
                Expr::GroupingSets(sets) => format!("GROUPING SETS ({})", self.sets(sets, items)?),
                Expr::Cube(sets) => format!("CUBE ({})", self.sets(sets, items)?),
                Expr::Rollup(sets) => format!("ROLLUP ({})", self.sets(sets, items)?),
                key => self.grouped(key, items)?,
            });
        }
        Ok(format!(" GROUP BY {}", written.join(", ")))
    }

    fn sets(&mut self, sets: &[Vec<Expr>], items: &[Item]) -> Result<String, Refusal> {
        let mut written = Vec::new();
        for set in sets {
            let keys = set.iter().map(|key| self.grouped(key, items));
            written.push(format!("({})", keys.collect::<Result<Vec<_>, _>>()?.join(", ")));
        }
        Ok(written.join(", "))
    }

    /// A key of `GROUP BY`. PostgreSQL takes a name of the input before one of the output, and knows hidden columns: so
    /// where it is the output's, we repeat what it stands for.
    fn grouped(&mut self, key: &Expr, items: &[Item]) -> Result<String, Refusal> {
        if let Some(number) = as_number(key) {
            return Ok(number.to_string());
        }
        if let Expr::Identifier(ident) = key {
            let name = Name::of(ident)?;
            let level = self.scopes.len() - 1;
            if let Some(resolved) = self.scopes[level].unqualified(&name)? {
                return self.read(level, resolved);
            }
            match name.find(items, |item| item.name.as_deref()) {
                Found::One(item) => return Ok(item.sql.clone()),
                Found::Several => return Err(Refusal::Ambiguous(name.text)),
                Found::None => {}
            }
        }
        self.expr(key)
    }
}

fn plain(options: &WildcardAdditionalOptions) -> Result<(), Refusal> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return Err(Refusal::Feature("* with exceptions"));
    };
    Ok(())
}
