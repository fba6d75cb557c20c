//! Calls of functions.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::{Refusal, literal, scope::Name, writer::Writer};

/// Functions that are words of the language, and take no schema.
const WORDS: &[&str] = &["coalesce", "greatest", "least", "nullif"];
/// Those of them that are written without parentheses.
const CONSTANTS: &[&str] = &["current_date", "current_timestamp", "localtimestamp"];
/// Functions that PostgreSQL has by another name only.
const BUILT_IN: &str = "pg_catalog";

impl Writer<'_> {
    /// Refuses a function that is not allowed.
    ///
    /// # Errors
    /// Then.
    pub fn function(&self, name: &str) -> Result<(), Refusal> {
        match self.allowed.functions.contains(name) {
            true => Ok(()),
            false => Err(Refusal::Function(name.to_owned())),
        }
    }

    /// A call.
    ///
    /// # Errors
    /// When the function, an argument or a form of call is not allowed.
    pub fn call(&mut self, function: &Function) -> Result<String, Refusal> {
        // Each field by name: one that a later version brings is an error here, not a hole.
        let Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment,
            over,
        } = function;
        if *uses_odbc_syntax || *parameters != FunctionArguments::None || null_treatment.is_some() {
            return Err(Refusal::Feature("a call of that form"));
        }
        let (name, word) = self.named(&Name::all(name)?)?;
        let mut sql = match args {
            FunctionArguments::None if CONSTANTS.contains(&word.as_str()) => return Ok(word.to_uppercase()),
            FunctionArguments::None | FunctionArguments::Subquery(_) => {
                return Err(Refusal::Feature("a call without arguments in parentheses"));
            }
            FunctionArguments::List(_) if CONSTANTS.contains(&word.as_str()) => {
                return Err(Refusal::Feature("an argument of a constant"));
            }
            FunctionArguments::List(list) => format!("{name}({})", self.arguments(list, word == "count")?),
        };
        if !within_group.is_empty() {
            sql += &format!(" WITHIN GROUP (ORDER BY {})", self.sorted(within_group)?);
        }
        if let Some(filter) = filter {
            sql += &format!(" FILTER (WHERE {})", self.expr(filter)?);
        }
        match over {
            None => {}
            Some(WindowType::WindowSpec(window)) => sql += &format!(" OVER ({})", self.window(window)?),
            Some(WindowType::NamedWindow(_)) => return Err(Refusal::Feature("a window by its name")),
        }
        Ok(sql)
    }

    /// The function of a name: how it is written, and its own name.
    fn named(&self, names: &[Name]) -> Result<(String, String), Refusal> {
        let shown = || {
            names
                .iter()
                .map(|name| name.text.as_str())
                .collect::<Vec<_>>()
                .join(".")
        };
        let refused = || Refusal::Function(shown());
        let functions = &self.allowed.functions;
        match names {
            [name] if functions.contains(&name.text) => {
                let is_word = WORDS.contains(&name.text.as_str());
                let sql = match is_word {
                    true => name.text.clone(),
                    false => format!("{BUILT_IN}.{}", literal::name(&name.text)),
                };
                Ok((sql, name.text.clone()))
            }
            [schema, name] if schema.text == BUILT_IN && !WORDS.contains(&name.text.as_str()) => {
                self.named(std::slice::from_ref(name)).map_err(|_| refused())
            }
            [schema, name] if functions.contains(&shown()) => {
                let sql = format!("{}.{}", literal::name(&schema.text), literal::name(&name.text));
                // What is not built in is none of the words, whatever it is called.
                Ok((sql, shown()))
            }
            _ => Err(refused()),
        }
    }

    fn arguments(&mut self, list: &FunctionArgumentList, may_be_all: bool) -> Result<String, Refusal> {
        let FunctionArgumentList {
            duplicate_treatment,
            args,
            clauses,
        } = list;
        let distinct = match duplicate_treatment {
            Some(DuplicateTreatment::Distinct) => "DISTINCT ",
            Some(DuplicateTreatment::All) | None => "",
        };
        let mut written = Vec::new();
        for arg in args {
            written.push(match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr)?,
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if may_be_all && args.len() == 1 => "*".into(),
                FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                    return Err(Refusal::Feature("an argument by its name"));
                }
                FunctionArg::Unnamed(_) => return Err(Refusal::Feature("* as a value")),
            });
        }
        let mut sql = format!("{distinct}{}", written.join(", "));
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(order) => sql += &format!(" ORDER BY {}", self.sorted(order)?),
                _ => return Err(Refusal::Feature("a clause within a call")),
            }
        }
        Ok(sql)
    }

    fn window(&mut self, window: &WindowSpec) -> Result<String, Refusal> {
        let WindowSpec {
            window_name,
            partition_by,
            order_by,
            window_frame,
        } = window;
        if window_name.is_some() {
            return Err(Refusal::Feature("a window by its name"));
        }
        let mut parts = Vec::new();
        if !partition_by.is_empty() {
            parts.push(format!("PARTITION BY {}", self.exprs(partition_by)?));
        }
        if !order_by.is_empty() {
            parts.push(format!("ORDER BY {}", self.sorted(order_by)?));
        }
        if let Some(frame) = window_frame {
            parts.push(self.frame(frame)?);
        }
        Ok(parts.join(" "))
    }

    fn frame(&mut self, frame: &WindowFrame) -> Result<String, Refusal> {
        let WindowFrame {
            units,
            start_bound,
            end_bound,
        } = frame;
        let units = match units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => "GROUPS",
        };
        let start = self.frame_bound(start_bound)?;
        Ok(match end_bound {
            Some(end) => format!("{units} BETWEEN {start} AND {}", self.frame_bound(end)?),
            None => format!("{units} {start}"),
        })
    }

    fn frame_bound(&mut self, bound: &WindowFrameBound) -> Result<String, Refusal> {
        let distance = |writer: &mut Self, distance: &Option<Box<Expr>>| match distance {
            Some(distance) => writer.expr(distance),
            None => Ok("UNBOUNDED".into()),
        };
        Ok(match bound {
            WindowFrameBound::CurrentRow => "CURRENT ROW".into(),
            WindowFrameBound::Preceding(rows) => format!("{} PRECEDING", distance(self, rows)?),
            WindowFrameBound::Following(rows) => format!("{} FOLLOWING", distance(self, rows)?),
        })
    }
}
