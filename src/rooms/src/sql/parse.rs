//! One query of a text, in bounded time.

use sqlparser::{
    ast::{Query, Statement},
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, Tokenizer},
};

use super::Refusal;

/// Most bytes of a statement.
pub const MAX_BYTES: usize = 16 << 10;
/// Most words and signs. It bounds how deep a chain such as `1+1+1` is, whose parts are dropped one within the other.
pub const MAX_TOKENS: usize = 2000;
/// Most parentheses within each other.
const MAX_PARENTHESES: usize = 24;
/// Most opening parentheses in a row: each is tried as several things, by a parser that goes back.
const MAX_OPENING: usize = 4;
/// Depth at which the parser gives up.
const MAX_DEPTH: usize = 32;

/// Reads one query.
///
/// # Errors
/// When it is too long or deep, no SQL, none or several statements, or no query.
pub fn query(sql: &str) -> Result<Query, Refusal> {
    if sql.len() > MAX_BYTES {
        return Err(Refusal::TooLong);
    }
    if sql.contains('\0') {
        return Err(Refusal::Syntax("there is a NUL".into()));
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| Refusal::Syntax(error.to_string()))?;
    bound(tokens.iter().map(|token| &token.token))?;
    let statements = Parser::new(&dialect)
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| match error {
            ParserError::RecursionLimitExceeded => Refusal::TooDeep,
            ParserError::TokenizerError(error) | ParserError::ParserError(error) => Refusal::Syntax(error),
        })?;
    let count = statements.len();
    let mut statements = statements.into_iter();
    match (statements.next(), count) {
        (Some(Statement::Query(query)), 1) => Ok(*query),
        (Some(_), 1) => Err(Refusal::NoQuery(kind(sql))),
        _ => Err(Refusal::Statements(count)),
    }
}

fn bound<'a>(tokens: impl Iterator<Item = &'a Token>) -> Result<(), Refusal> {
    let (mut count, mut depth, mut row) = (0, 0_usize, 0);
    for token in tokens.filter(|token| !matches!(token, Token::Whitespace(_))) {
        count += 1;
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                depth += 1;
                row += 1;
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                depth = depth.saturating_sub(1);
                row = 0;
            }
            _ => row = 0,
        }
        if count > MAX_TOKENS {
            return Err(Refusal::TooLong);
        }
        if depth > MAX_PARENTHESES || row > MAX_OPENING {
            return Err(Refusal::TooDeep);
        }
    }
    Ok(())
}

/// The words that a statement begins with: `DROP TABLE`.
fn kind(sql: &str) -> String {
    let words = sql
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    let words: Vec<_> = words.take(2).map(str::to_ascii_uppercase).collect();
    words.join(" ")
}
