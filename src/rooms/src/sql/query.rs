//! Queries: what surrounds a `SELECT`.

use sqlparser::ast::{
    Cte, CteAsMaterialized, Expr, Fetch, LimitClause, Offset, OrderBy, OrderByExpr, OrderByKind, OrderByOptions,
    OrderBySort, Query, SetExpr, SetOperator, SetQuantifier, TableAlias, With,
};

use super::{
    Refusal, literal,
    scope::{Found, Name},
    writer::{Outputs, Writer},
};

impl Writer<'_> {
    /// The whole statement, with a limit, the names of its columns, and the limit.
    ///
    /// # Errors
    /// With what is not allowed in it.
    pub fn statement(&mut self, query: &Query) -> Result<(String, Outputs, u64), Refusal> {
        let most = self.allowed.max_rows;
        let (sql, outputs, limit) = self.query(query, Some(most))?;
        Ok((sql, outputs, limit.unwrap_or(most)))
    }

    /// A query within another one, and the names of its columns.
    ///
    /// # Errors
    /// As [`Self::statement`].
    pub fn subquery(&mut self, query: &Query) -> Result<(String, Outputs), Refusal> {
        let (sql, outputs, _) = self.query(query, None)?;
        Ok((sql, outputs))
    }

    fn query(&mut self, query: &Query, most: Option<u64>) -> Result<(String, Outputs, Option<u64>), Refusal> {
        let in_sight = self.named.len();
        let written = self.deeper(|writer| writer.query_here(query, most));
        self.named.truncate(in_sight);
        written
    }

    fn query_here(&mut self, query: &Query, most: Option<u64>) -> Result<(String, Outputs, Option<u64>), Refusal> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty() {
            return Err(Refusal::Feature("a lock"));
        }
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err(Refusal::Feature("a clause of another database"));
        }
        let mut sql = match with {
            Some(with) => self.with(with)?,
            None => String::new(),
        };
        let order = match order_by {
            Some(order) => order_of(order)?,
            None => &[],
        };
        let (body, outputs) = self.body(body, order)?;
        sql += &body;
        let (limit, offset) = limits(limit_clause.as_ref(), fetch.as_ref())?;
        let limit = match (limit, most) {
            (Some(limit), Some(most)) => Some(limit.min(most)),
            (limit, most) => limit.or(most),
        };
        if let Some(limit) = limit {
            sql += &format!(" LIMIT {limit}");
        }
        if let Some(offset) = offset {
            sql += &format!(" OFFSET {offset}");
        }
        Ok((sql, outputs, limit))
    }

    fn with(&mut self, with: &With) -> Result<String, Refusal> {
        let With {
            with_token: _,
            recursive,
            cte_tables,
        } = with;
        if *recursive {
            return Err(Refusal::Feature("RECURSIVE"));
        }
        let mut parts = Vec::new();
        for cte in cte_tables {
            let Cte {
                alias,
                query,
                from,
                materialized,
                closing_paren_token: _,
            } = cte;
            if from.is_some() {
                return Err(Refusal::Feature("a WITH of that form"));
            }
            let (sql, outputs) = self.subquery(query)?;
            let (name, columns, outputs) = renamed(alias, outputs)?;
            let how = match materialized {
                None => "",
                Some(CteAsMaterialized::Materialized) => "MATERIALIZED ",
                Some(CteAsMaterialized::NotMaterialized) => "NOT MATERIALIZED ",
            };
            parts.push(format!("{}{columns} AS {how}({sql})", literal::name(&name)));
            self.named.push((name, outputs));
        }
        Ok(format!("WITH {} ", parts.join(", ")))
    }

    /// What a query is about, in order.
    fn body(&mut self, body: &SetExpr, order: &[OrderByExpr]) -> Result<(String, Outputs), Refusal> {
        if let SetExpr::Select(select) = body {
            return self.select(select, order);
        }
        let (mut sql, outputs) = self.deeper(|writer| writer.arm(body))?;
        if !order.is_empty() {
            // Behind a union only its own columns are in sight.
            let mut parts = Vec::new();
            for item in order {
                let key = match (&item.expr, as_number(&item.expr)) {
                    (_, Some(number)) => number.to_string(),
                    (Expr::Identifier(ident), None) => output(&Name::of(ident)?, &outputs)?,
                    _ => return Err(Refusal::Feature("ORDER BY of an expression behind a union")),
                };
                parts.push(key + &direction(item)?);
            }
            sql += &format!(" ORDER BY {}", parts.join(", "));
        }
        Ok((sql, outputs))
    }

    fn arm(&mut self, body: &SetExpr) -> Result<(String, Outputs), Refusal> {
        match body {
            SetExpr::Select(select) => self.select(select, &[]),
            SetExpr::Query(query) => {
                let (sql, outputs) = self.subquery(query)?;
                Ok((format!("({sql})"), outputs))
            }
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let op = match op {
                    SetOperator::Union => "UNION",
                    SetOperator::Except => "EXCEPT",
                    SetOperator::Intersect => "INTERSECT",
                    SetOperator::Minus => return Err(Refusal::Operator("MINUS".into())),
                };
                let all = match set_quantifier {
                    SetQuantifier::All => " ALL",
                    SetQuantifier::Distinct | SetQuantifier::None => "",
                    _ => return Err(Refusal::Feature("a union by name")),
                };
                let (left, outputs) = self.deeper(|writer| writer.closed(left))?;
                let (right, _) = self.deeper(|writer| writer.closed(right))?;
                Ok((format!("{left} {op}{all} {right}"), outputs))
            }
            SetExpr::Values(_) => Err(Refusal::Feature("VALUES")),
            SetExpr::Table(_) => Err(Refusal::Feature("TABLE")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(Refusal::Feature("a change of data"))
            }
        }
    }

    /// An arm in parentheses.
    fn closed(&mut self, body: &SetExpr) -> Result<(String, Outputs), Refusal> {
        let (sql, outputs) = self.arm(body)?;
        Ok(match body {
            SetExpr::Query(_) => (sql, outputs),
            _ => (format!("({sql})"), outputs),
        })
    }

    /// Keys of an order within a call or a window: expressions over the columns in sight.
    ///
    /// # Errors
    /// As [`Self::expr`].
    pub fn sorted(&mut self, order: &[OrderByExpr]) -> Result<String, Refusal> {
        let mut parts = Vec::new();
        for item in order {
            parts.push(self.expr(&item.expr)? + &direction(item)?);
        }
        Ok(parts.join(", "))
    }
}

/// The name, list of columns and columns of `outputs` by an alias.
///
/// # Errors
/// When there are more names than columns, or a form that PostgreSQL does not have.
pub fn renamed(alias: &TableAlias, outputs: Outputs) -> Result<(String, String, Outputs), Refusal> {
    let TableAlias {
        explicit: _,
        name,
        columns,
        at,
    } = alias;
    if at.is_some() || columns.iter().any(|column| column.data_type.is_some()) {
        return Err(Refusal::Feature("an alias of that form"));
    }
    if columns.len() > outputs.len() {
        return Err(Refusal::Feature("more names than columns"));
    }
    let mut outputs = outputs;
    let mut list = Vec::new();
    for (column, output) in columns.iter().zip(&mut outputs) {
        let name = Name::of(&column.name)?.text;
        list.push(literal::name(&name));
        *output = Some(name);
    }
    let list = match list.is_empty() {
        true => String::new(),
        false => format!("({})", list.join(", ")),
    };
    Ok((Name::of(name)?.text, list, outputs))
}

/// A column of a query by its name.
///
/// # Errors
/// When there is none, or there are several.
pub fn output(name: &Name, outputs: &Outputs) -> Result<String, Refusal> {
    match name.find(outputs, |output| output.as_deref()) {
        Found::One(Some(output)) => Ok(literal::name(output)),
        Found::One(None) | Found::None => Err(Refusal::Column(name.text.clone())),
        Found::Several => Err(Refusal::Ambiguous(name.text.clone())),
    }
}

/// A whole number, which is the place of a column in `ORDER BY` and `GROUP BY`.
pub fn as_number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => literal::whole(&value.value),
        _ => None,
    }
}

/// The way of an order.
///
/// # Errors
/// For operators and forms of others.
pub fn direction(item: &OrderByExpr) -> Result<String, Refusal> {
    let OrderByExpr {
        expr: _,
        options: OrderByOptions { sort, nulls_first },
        with_fill,
    } = item;
    if with_fill.is_some() {
        return Err(Refusal::Feature("an order of that form"));
    }
    let sort = match sort {
        None => "",
        Some(OrderBySort::Asc) => " ASC",
        Some(OrderBySort::Desc) => " DESC",
        Some(OrderBySort::Using(_)) => return Err(Refusal::Feature("ORDER BY … USING")),
    };
    let nulls = match nulls_first {
        None => "",
        Some(true) => " NULLS FIRST",
        Some(false) => " NULLS LAST",
    };
    Ok(format!("{sort}{nulls}"))
}

fn order_of(order: &OrderBy) -> Result<&[OrderByExpr], Refusal> {
    match order {
        OrderBy {
            kind: OrderByKind::Expressions(order),
            interpolate: None,
        } => Ok(order),
        _ => Err(Refusal::Feature("an order of that form")),
    }
}

/// `LIMIT` and `OFFSET`, which must be plain numbers: what is computed may be anything.
fn limits(clause: Option<&LimitClause>, fetch: Option<&Fetch>) -> Result<(Option<u64>, Option<u64>), Refusal> {
    let number = |expr: &Expr, what| as_number(expr).ok_or(Refusal::Number(what));
    let (limit, offset) = match clause {
        None => (None, None),
        Some(LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) if limit_by.is_empty() => {
            let limit = limit.as_ref().map(|limit| number(limit, "LIMIT")).transpose()?;
            let offset = offset.as_ref().map(|Offset { value, rows: _ }| number(value, "OFFSET"));
            (limit, offset.transpose()?)
        }
        Some(_) => return Err(Refusal::Feature("a limit of that form")),
    };
    let fetch = match fetch {
        None => None,
        Some(Fetch {
            with_ties: false,
            percent: false,
            quantity,
        }) => Some(quantity.as_ref().map_or(Ok(1), |rows| number(rows, "FETCH"))?),
        Some(_) => return Err(Refusal::Feature("FETCH WITH TIES or PERCENT")),
    };
    match (limit, fetch) {
        (Some(_), Some(_)) => Err(Refusal::Feature("LIMIT and FETCH at once")),
        (limit, fetch) => Ok((limit.or(fetch), offset)),
    }
}
