//! What may be asked.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::Name;

/// What may be asked: all else is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Tables by name, with or without schema, exactly as the database has them.
    pub tables: BTreeMap<String, Table>,
    /// Functions by name: those of `pg_catalog` without schema, others with theirs.
    pub functions: BTreeSet<String>,
    /// Most rows of an answer.
    pub max_rows: u64,
}

/// A table that may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What a row means.
    pub description: Option<String>,
    /// Columns that may be asked, in the order that `*` gives them in.
    pub columns: Vec<Column>,
}

/// A column that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, exactly as the database has it.
    pub name: String,
    /// What a value means.
    pub description: Option<String>,
}

/// Functions that change nothing, read nothing but their arguments, know nothing of the server, and neither wait nor
/// make large values of small ones (`repeat`, `lpad`, `format`, `replace`, `regexp_replace` and `generate_series` do).
pub const SAFE_FUNCTIONS: &[&str] = &[
    "abs",
    "age",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "current_date",
    "current_timestamp",
    "date_part",
    "date_trunc",
    "dense_rank",
    "div",
    "every",
    "exp",
    "extract",
    "first_value",
    "floor",
    "greatest",
    "initcap",
    "justify_days",
    "justify_hours",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "ln",
    "localtimestamp",
    "log",
    "lower",
    "ltrim",
    "make_date",
    "max",
    "md5",
    "min",
    "mod",
    "mode",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "position",
    "power",
    "rank",
    "regr_intercept",
    "regr_slope",
    "reverse",
    "right",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "to_char",
    "to_date",
    "to_number",
    "to_timestamp",
    "translate",
    "trim",
    "trunc",
    "upper",
    "var_pop",
    "var_samp",
    "variance",
    "width_bucket",
];

impl Allowed {
    /// These tables, the [`SAFE_FUNCTIONS`] and so many rows.
    pub fn new(tables: impl IntoIterator<Item = (String, Table)>, max_rows: u64) -> Self {
        Self {
            tables: tables.into_iter().collect(),
            functions: SAFE_FUNCTIONS.iter().map(|&name| name.to_owned()).collect(),
            max_rows,
        }
    }

    /// The table that a name means: one of that very name, or the only one that has it without regard to case or
    /// without its schema.
    pub(super) fn table(&self, schema: Option<&Name>, name: &Name) -> Option<(&str, &Table)> {
        let split = |key: &'_ str| match key.split_once('.') {
            Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
            None => (None, key.to_owned()),
        };
        let means = |key: &str, exactly: bool| {
            let (its_schema, its_name) = split(key);
            let is_schema = match (schema, its_schema) {
                (None, _) => true,
                (Some(wanted), Some(its)) => wanted.means(&its, exactly),
                (Some(_), None) => false,
            };
            is_schema && name.means(&its_name, exactly)
        };
        [true, false].into_iter().find_map(|exactly| {
            let mut found = self.tables.iter().filter(|(key, _)| means(key, exactly));
            let first = found.next()?;
            found.next().is_none().then_some((first.0.as_str(), first.1))
        })
    }
}

impl Table {
    /// A table with columns of these names.
    pub fn of(columns: &[&str]) -> Self {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            description: None,
        };
        Self {
            description: None,
            columns: columns.iter().map(column).collect(),
        }
    }
}
