//! Expressions.

use sqlparser::ast::{CaseWhen, CastKind, CeilFloorKind, DateTimeField, Expr, InTarget, TrimWhereField, UnaryOperator};

use super::{Refusal, literal, types, writer::Writer};

impl Writer<'_> {
    /// An expression, with all its parentheses.
    ///
    /// # Errors
    /// With what is not allowed in it.
    pub fn expr(&mut self, expr: &Expr) -> Result<String, Refusal> {
        self.deeper(|writer| writer.shallow(expr))
    }

    /// Expressions with commas between them.
    ///
    /// # Errors
    /// As [`Self::expr`].
    pub fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<String, Refusal> {
        let written = exprs.into_iter().map(|expr| self.expr(expr));
        Ok(written.collect::<Result<Vec<_>, _>>()?.join(", "))
    }

    fn shallow(&mut self, expr: &Expr) -> Result<String, Refusal> {
        match expr {
            Expr::Identifier(ident) => self.unqualified(ident),
            Expr::CompoundIdentifier(idents) => self.qualified(idents),
            Expr::Value(value) => literal::value(&value.value),
            Expr::Nested(inner) => self.expr(inner),
            Expr::Function(function) => self.call(function),
            Expr::BinaryOp { left, op, right } => {
                let op = types::operator(op)?;
                Ok(format!("({} {op} {})", self.expr(left)?, self.expr(right)?))
            }
            Expr::UnaryOp { op, expr } => {
                let op = match op {
                    UnaryOperator::Plus => "+",
                    UnaryOperator::Minus => "-",
                    UnaryOperator::Not => "NOT",
                    other => return Err(Refusal::Operator(other.to_string())),
                };
                // With a space, for two signs are a comment.
                Ok(format!("({op} {})", self.expr(expr)?))
            }
            Expr::IsNull(inner) => self.is(inner, "NULL"),
            Expr::IsNotNull(inner) => self.is(inner, "NOT NULL"),
            Expr::IsTrue(inner) => self.is(inner, "TRUE"),
            Expr::IsNotTrue(inner) => self.is(inner, "NOT TRUE"),
            Expr::IsFalse(inner) => self.is(inner, "FALSE"),
            Expr::IsNotFalse(inner) => self.is(inner, "NOT FALSE"),
            Expr::IsUnknown(inner) => self.is(inner, "UNKNOWN"),
            Expr::IsNotUnknown(inner) => self.is(inner, "NOT UNKNOWN"),
            Expr::IsDistinctFrom(left, right) => {
                Ok(format!("({} IS DISTINCT FROM {})", self.expr(left)?, self.expr(right)?))
            }
            Expr::IsNotDistinctFrom(left, right) => Ok(format!(
                "({} IS NOT DISTINCT FROM {})",
                self.expr(left)?,
                self.expr(right)?
            )),
            Expr::In {
                expr,
                target,
                negated,
                global: false,
            } => self.within(expr, target, *negated),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => Ok(format!(
                "({} {}BETWEEN {} AND {})",
                self.expr(expr)?,
                not(*negated),
                self.expr(low)?,
                self.expr(high)?,
            )),
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like("LIKE", *negated, expr, pattern, escape_char.as_deref()),
            Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like("ILIKE", *negated, expr, pattern, escape_char.as_deref()),
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => self.like("SIMILAR TO", *negated, expr, pattern, escape_char.as_deref()),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                is_some: _,
            } => self.compared(left, types::comparison(compare_op)?, "ANY", right),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.compared(left, types::comparison(compare_op)?, "ALL", right),
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => Ok(format!(
                "CAST({} AS {})",
                self.expr(expr)?,
                types::data_type(data_type)?
            )),
            Expr::TypedString(typed) if !typed.uses_odbc_syntax => {
                let text = literal::string(literal::text(&typed.value.value)?);
                Ok(format!("CAST({text} AS {})", types::data_type(&typed.data_type)?))
            }
            Expr::Interval(interval) => self.interval(interval),
            Expr::AtTimeZone { timestamp, time_zone } => Ok(format!(
                "({} AT TIME ZONE {})",
                self.expr(timestamp)?,
                self.expr(time_zone)?
            )),
            Expr::Extract { field, syntax: _, expr } => {
                self.function("extract")?;
                Ok(format!("EXTRACT({} FROM {})", types::field(field)?, self.expr(expr)?))
            }
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field),
            Expr::Floor { expr, field } => self.rounded("floor", expr, field),
            Expr::Position { expr, r#in } => {
                self.function("position")?;
                Ok(format!(
                    "pg_catalog.\"strpos\"({}, {})",
                    self.expr(r#in)?,
                    self.expr(expr)?
                ))
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special: _,
                shorthand: _,
            } => self.substring(expr, substring_from.as_deref(), substring_for.as_deref()),
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters: None,
            } => {
                self.function("trim")?;
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let text = self.expr(expr)?;
                Ok(match trim_what {
                    Some(what) => format!("pg_catalog.\"{name}\"({text}, {})", self.expr(what)?),
                    None => format!("pg_catalog.\"{name}\"({text})"),
                })
            }
            Expr::Case {
                case_token: _,
                end_token: _,
                operand,
                conditions,
                else_result,
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::Exists { subquery, negated } => {
                Ok(format!("({}EXISTS ({}))", not(*negated), self.subquery(subquery)?.0))
            }
            Expr::Subquery(query) => Ok(format!("({})", self.subquery(query)?.0)),
            Expr::Tuple(parts) if parts.len() > 1 => Ok(format!("({})", self.exprs(parts)?)),
            other => Err(Refusal::Feature(unknown(other))),
        }
    }

    fn is(&mut self, inner: &Expr, what: &str) -> Result<String, Refusal> {
        Ok(format!("({} IS {what})", self.expr(inner)?))
    }

    fn within(&mut self, expr: &Expr, target: &InTarget, negated: bool) -> Result<String, Refusal> {
        let left = self.expr(expr)?;
        let right = match target {
            InTarget::List(all) if !all.is_empty() => self.exprs(all)?,
            InTarget::Subquery(query) => self.subquery(query)?.0,
            InTarget::List(_) => return Err(Refusal::Feature("an empty list")),
            InTarget::Unnest(_) | InTarget::Table { .. } => return Err(Refusal::Feature("IN with something else")),
        };
        Ok(format!("({left} {}IN ({right}))", not(negated)))
    }

    fn like(
        &mut self,
        operator: &str,
        negated: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<String, Refusal> {
        let (left, right) = (self.expr(expr)?, self.expr(pattern)?);
        let escape = match escape {
            Some(escape) => format!(" ESCAPE {}", self.expr(escape)?),
            None => String::new(),
        };
        Ok(format!("({left} {}{operator} {right}{escape})", not(negated)))
    }

    fn compared(&mut self, left: &Expr, operator: &str, quantifier: &str, right: &Expr) -> Result<String, Refusal> {
        let mut right = right;
        while let Expr::Nested(inner) = right {
            right = inner;
        }
        let Expr::Subquery(query) = right else {
            return Err(Refusal::Feature("ANY or ALL of something else than a query"));
        };
        let left = self.expr(left)?;
        Ok(format!(
            "({left} {operator} {quantifier} ({}))",
            self.subquery(query)?.0
        ))
    }

    fn interval(&mut self, interval: &sqlparser::ast::Interval) -> Result<String, Refusal> {
        let sqlparser::ast::Interval {
            value,
            leading_field,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        } = interval
        else {
            return Err(Refusal::Feature("an interval of that form"));
        };
        let Expr::Value(value) = value.as_ref() else {
            return Err(Refusal::Feature("an interval of something else than a string"));
        };
        let text = literal::string(literal::text(&value.value)?);
        Ok(match leading_field {
            Some(field) => format!("INTERVAL {text} {}", types::interval_field(field)?),
            None => format!("INTERVAL {text}"),
        })
    }

    fn rounded(&mut self, name: &str, expr: &Expr, field: &CeilFloorKind) -> Result<String, Refusal> {
        self.function(name)?;
        match field {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
                Ok(format!("pg_catalog.\"{name}\"({})", self.expr(expr)?))
            }
            _ => Err(Refusal::Feature("rounding of that form")),
        }
    }

    fn substring(&mut self, expr: &Expr, from: Option<&Expr>, length: Option<&Expr>) -> Result<String, Refusal> {
        self.function("substring")?;
        let text = self.expr(expr)?;
        let from = match from {
            Some(from) => self.expr(from)?,
            None => "1".into(),
        };
        Ok(match length {
            Some(length) => format!("pg_catalog.\"substring\"({text}, {from}, {})", self.expr(length)?),
            None => format!("pg_catalog.\"substring\"({text}, {from})"),
        })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<String, Refusal> {
        let mut sql = "CASE".to_owned();
        if let Some(operand) = operand {
            sql += &format!(" {}", self.expr(operand)?);
        }
        for CaseWhen { condition, result } in conditions {
            sql += &format!(" WHEN {} THEN {}", self.expr(condition)?, self.expr(result)?);
        }
        if let Some(otherwise) = otherwise {
            sql += &format!(" ELSE {}", self.expr(otherwise)?);
        }
        Ok(format!("({sql} END)"))
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// What something is called that we do not write.
fn unknown(expr: &Expr) -> &'static str {
    match expr {
        Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => "a part of a row, array or document",
        Expr::Collate { .. } => "COLLATE",
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => "* as a value",
        Expr::Array(_) => "ARRAY",
        Expr::Tuple(_) | Expr::Struct { .. } => "a row of one value",
        Expr::Overlay { .. } => "OVERLAY",
        Expr::Cast { .. } | Expr::Convert { .. } => "a conversion of that form",
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => "a grouping outside GROUP BY",
        _ => "an expression of that form",
    }
}
