//! Types that values may be turned into, operators, and fields of dates.

use sqlparser::ast::{BinaryOperator, CharacterLength, DataType, DateTimeField, ExactNumberInfo, TimezoneInfo};

use super::Refusal;

/// A type that says nothing of the server. `regclass` and its like would read its catalogue; types of others may run
/// functions of others.
///
/// # Errors
/// For all other types.
pub fn data_type(given: &DataType) -> Result<String, Refusal> {
    let refused = || Refusal::Type(given.to_string());
    let name = match given {
        DataType::Bool | DataType::Boolean => "boolean",
        DataType::SmallInt(None) | DataType::Int2(None) => "smallint",
        DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => "integer",
        DataType::BigInt(None) | DataType::Int8(None) => "bigint",
        DataType::Real | DataType::Float4 => "real",
        DataType::Float8 | DataType::DoublePrecision | DataType::Float(ExactNumberInfo::None) => "double precision",
        DataType::Date => "date",
        DataType::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => "time",
        DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => "timestamp",
        DataType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => "timestamp with time zone",
        DataType::Interval {
            fields: None,
            precision: None,
        } => "interval",
        DataType::Uuid => "uuid",
        DataType::Text => "text",
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
            return match info {
                ExactNumberInfo::None => Ok("numeric".into()),
                ExactNumberInfo::Precision(digits) => Ok(format!("numeric({digits})")),
                ExactNumberInfo::PrecisionAndScale(digits, scale) => Ok(format!("numeric({digits}, {scale})")),
            };
        }
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            return sized("varchar", length.as_ref()).ok_or_else(refused);
        }
        DataType::Char(length) | DataType::Character(length) => {
            return sized("char", length.as_ref()).ok_or_else(refused);
        }
        _ => return Err(refused()),
    };
    Ok(name.into())
}

fn sized(name: &str, length: Option<&CharacterLength>) -> Option<String> {
    match length {
        None => Some(name.to_owned()),
        // A value is padded to the length of a `char`.
        Some(CharacterLength::IntegerLength { length, unit: None }) if *length <= 1000 => {
            Some(format!("{name}({length})"))
        }
        Some(_) => None,
    }
}

/// An operator of two values.
///
/// # Errors
/// For all that are not listed, those with a schema before all.
pub fn operator(given: &BinaryOperator) -> Result<&'static str, Refusal> {
    Ok(match given {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::StringConcat => "||",
        BinaryOperator::And => "AND",
        BinaryOperator::Or => "OR",
        BinaryOperator::Arrow => "->",
        BinaryOperator::LongArrow => "->>",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        other => return comparison(other),
    })
}

/// An operator that compares.
///
/// # Errors
/// For all others.
pub fn comparison(given: &BinaryOperator) -> Result<&'static str, Refusal> {
    Ok(match given {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        other => return Err(Refusal::Operator(other.to_string())),
    })
}

/// A field of a date or of a time.
///
/// # Errors
/// For those that PostgreSQL does not have.
pub fn field(given: &DateTimeField) -> Result<&'static str, Refusal> {
    Ok(match given {
        DateTimeField::Year | DateTimeField::Years => "YEAR",
        DateTimeField::Month | DateTimeField::Months => "MONTH",
        DateTimeField::Week(None) | DateTimeField::Weeks => "WEEK",
        DateTimeField::Day | DateTimeField::Days => "DAY",
        DateTimeField::Hour | DateTimeField::Hours => "HOUR",
        DateTimeField::Minute | DateTimeField::Minutes => "MINUTE",
        DateTimeField::Second | DateTimeField::Seconds => "SECOND",
        DateTimeField::Century => "CENTURY",
        DateTimeField::Decade => "DECADE",
        DateTimeField::Dow => "DOW",
        DateTimeField::Doy => "DOY",
        DateTimeField::Epoch => "EPOCH",
        DateTimeField::Isodow => "ISODOW",
        DateTimeField::Isoyear => "ISOYEAR",
        DateTimeField::Quarter => "QUARTER",
        other => return Err(Refusal::Name(other.to_string())),
    })
}

/// A field that may stand behind an interval, as in `INTERVAL '1' DAY`.
///
/// # Errors
/// For all others.
pub fn interval_field(given: &DateTimeField) -> Result<&'static str, Refusal> {
    match field(given)? {
        name @ ("YEAR" | "MONTH" | "DAY" | "HOUR" | "MINUTE" | "SECOND") => Ok(name),
        name => Err(Refusal::Name(name.into())),
    }
}
