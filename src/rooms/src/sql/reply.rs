//! The statement in what a model replied.

/// What a model is asked to reply when the tables do not have the answer.
pub const NO_QUERY: &str = "NO_QUERY";

/// Why there is no statement in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStatement {
    /// The model says that the tables do not have the answer.
    #[error("the tables do not have the answer")]
    Declined,
    /// There is none.
    #[error("there is no statement in the reply")]
    Missing,
    /// There are several, and nobody knows which is meant.
    #[error("there are several statements in the reply")]
    Several,
}

/// The one statement in a reply: in a block of code, or from a line that begins as a query does to its semicolon, to an
/// empty line or to the end. It is read by nobody yet: give it to [`check`](super::check).
///
/// # Errors
/// When there is none, or there are several different ones.
pub fn statement(reply: &str) -> Result<String, NoStatement> {
    let reply = without_thoughts(reply);
    let blocks = blocks(reply);
    let mut found: Vec<&str> = blocks.into_iter().filter(|block| is_query(block)).collect();
    if found.is_empty() {
        found.extend(bare(reply));
    }
    let mut found: Vec<&str> = found
        .into_iter()
        .map(|sql| sql.trim().trim_end_matches(';').trim_end())
        .collect();
    found.dedup();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] if reply.contains(NO_QUERY) => Err(NoStatement::Declined),
        [] => Err(NoStatement::Missing),
        _ => Err(NoStatement::Several),
    }
}

/// What follows the thoughts that some models write first.
fn without_thoughts(reply: &str) -> &str {
    reply.rsplit_once("</think>").map_or(reply, |(_, reply)| reply)
}

/// What is in blocks of code. One that is not closed goes to the end, for replies have a greatest length.
fn blocks(reply: &str) -> Vec<&str> {
    let mut parts = reply.split("```");
    parts.next();
    let blocks = parts.step_by(2);
    // The name of the language stands behind the fence.
    blocks
        .map(|block| match block.split_once('\n') {
            Some((language, code)) if !is_query(language) => code,
            _ => block.trim_start_matches("sql").trim_start_matches("SQL"),
        })
        .collect()
}

fn bare(reply: &str) -> Option<&str> {
    let mut start = 0;
    for line in reply.split_inclusive('\n') {
        if is_query(line) {
            let rest = &reply[start..];
            let ends = [";", "\n\n", "\n\r\n"].into_iter().filter_map(|end| rest.find(end));
            return Some(&rest[..ends.min().unwrap_or(rest.len())]);
        }
        start += line.len();
    }
    None
}

fn is_query(text: &str) -> bool {
    let text = text.trim_start().trim_start_matches('(');
    let word = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare("SELECT 1", "SELECT 1")]
    #[case::semicolon("select 1;", "select 1")]
    #[case::fence("Here it is:\n```sql\nSELECT a\nFROM t;\n```\nIt counts.", "SELECT a\nFROM t")]
    #[case::fence_without_language(
        "```\nWITH x AS (SELECT 1) SELECT * FROM x\n```",
        "WITH x AS (SELECT 1) SELECT * FROM x"
    )]
    #[case::fence_on_one_line("```SELECT 1```", "SELECT 1")]
    #[case::fence_that_is_cut("```sql\nSELECT a FROM t", "SELECT a FROM t")]
    #[case::prose("The answer:\nSELECT a\nFROM t\n\nThis lists a.", "SELECT a\nFROM t")]
    #[case::thoughts("<think>SELECT bad FROM x;</think>\nSELECT 2", "SELECT 2")]
    #[case::the_same_twice("```sql\nSELECT 1;\n```\n```sql\nSELECT 1\n```", "SELECT 1")]
    #[case::other_blocks("```json\n{}\n```\n```sql\nSELECT 1\n```", "SELECT 1")]
    fn is_found(#[case] reply: &str, #[case] expected: &str) {
        assert_eq!(statement(reply).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case::declined("NO_QUERY", NoStatement::Declined)]
    #[case::prose("I cannot say.", NoStatement::Missing)]
    #[case::another_statement("```sql\nDROP TABLE t\n```", NoStatement::Missing)]
    #[case::several("```sql\nSELECT 1\n```\n```sql\nSELECT 2\n```", NoStatement::Several)]
    #[case::nothing("", NoStatement::Missing)]
    #[case::selection("Selection of a table", NoStatement::Missing)]
    fn is_not_found(#[case] reply: &str, #[case] expected: NoStatement) {
        assert_eq!(statement(reply), Err(expected));
    }
}
