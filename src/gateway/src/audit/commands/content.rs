//! `atelier-gateway audit erase`, `show` and `rewrap`.

use anyhow::Context;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use store::audit::content::{self, Erased, KeyRing, Rewrapped, Shown, State};

use super::{AuditArgs, EraseArgs, ShowArgs};

/// Erases what a user asked and got.
pub async fn erase(wish: EraseArgs, args: &AuditArgs) -> anyhow::Result<()> {
    let EraseArgs {
        namespace,
        user,
        reason,
    } = wish;
    let erased = content::erase(&args.database()?, &namespace, &user, &reason).await;
    let Erased {
        keys,
        contents,
        room_answers,
    } = erased.context("failed to erase")?;
    println!("{keys} data keys erased: {contents} requests and answers of {user} in {namespace} are unreadable");
    println!("{room_answers} questions of {user} in Rooms of {namespace} and their answers are gone");
    Ok(())
}

/// Prints rows with what was asked and answered, each as an object on a line.
pub async fn show(wish: ShowArgs, args: &AuditArgs) -> anyhow::Result<()> {
    let ShowArgs { request, user, reason } = wish;
    let shown = content::show(&args.database()?, &keys(args)?, &request, user.as_deref(), &reason).await;
    let shown = shown.context("failed to show")?;
    anyhow::ensure!(!shown.is_empty(), "there is no request \"{request}\"");
    for row in &shown {
        println!("{}", line(row)?);
    }
    Ok(())
}

/// Wraps data keys anew.
pub async fn rewrap(args: &AuditArgs) -> anyhow::Result<()> {
    let keys = keys(args)?;
    let mut connection = args.database()?.connect().await?;
    let Rewrapped { done, left } = content::rewrap(&mut connection, &keys).await?;
    println!("{done} data keys wrapped by {}", keys.active());
    for (kek, count) in &left {
        println!("{count} data keys still wrapped by {kek}, which is not there or is another key than at that time");
    }
    anyhow::ensure!(left.is_empty(), "not all data keys can be wrapped anew");
    Ok(())
}

fn keys(args: &AuditArgs) -> anyhow::Result<KeyRing> {
    let keys = args.content.keys()?;
    keys.context("no keys: set --audit-content-keys-dir and --audit-content-key")
}

/// A row as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    chain: &'a str,
    seq: i64,
    kind: &'a str,
    request: &'a str,
    user: &'a str,
    event: &'a RawValue,
    /// `kept`, `never kept`, `gone`, `changed`, or why it cannot be read.
    state: String,
    /// As bytes that are no text would be, it is in `content_hex` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hex: Option<String>,
}

fn line(shown: &Shown) -> anyhow::Result<String> {
    let Shown { row, content } = shown;
    let state = match content {
        State::Kept(_) => "kept".into(),
        State::Never => "never kept".into(),
        State::Gone => "gone".into(),
        State::Changed => "changed".into(),
        State::Locked(why) => why.to_string(),
    };
    let bytes = match content {
        State::Kept(bytes) => Some(bytes.as_slice()),
        _ => None,
    };
    let text = bytes.map(std::str::from_utf8);
    let line = Line {
        at: Timestamp::from_microsecond(row.at)?.to_string(),
        chain: &row.chain,
        seq: row.seq,
        kind: &row.kind,
        request: &row.request,
        user: &row.subject,
        event: serde_json::from_str(&row.event)?,
        state,
        content: text.and_then(Result::ok),
        content_hex: bytes
            .filter(|_| text.is_some_and(|text| text.is_err()))
            .map(hex::encode),
    };
    Ok(serde_json::to_string(&line)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use store::audit::Row;

    use super::*;

    fn printed(content: State) -> Value {
        let row = Row {
            chain: "c".into(),
            seq: 1,
            hash: [0; 32],
            at: 0,
            kind: "opened".into(),
            request: "r".into(),
            subject: "jane".into(),
            event: r#"{"model":"m"}"#.into(),
            content: None,
        };
        serde_json::from_str(&line(&Shown { row, content }).unwrap()).unwrap()
    }

    #[test]
    fn bytes_that_are_no_text_are_printed_all_the_same() {
        let expected = json!({
            "at": "1970-01-01T00:00:00Z", "chain": "c", "seq": 1, "kind": "opened", "request": "r", "user": "jane",
            "event": {"model": "m"}, "state": "kept", "content": "a\nb",
        });
        assert_eq!(printed(State::Kept(b"a\nb".to_vec().into())), expected);
        let line = printed(State::Kept(vec![0xff, 0x00].into()));
        assert_eq!((&line["content"], &line["content_hex"]), (&Value::Null, &json!("ff00")));
        let line = printed(State::Locked(content::Locked::NoKey("k".into())));
        assert!(line["state"].as_str().unwrap().contains("\"k\""), "{line}");
        assert_eq!((&line["content"], &line["content_hex"]), (&Value::Null, &Value::Null));
    }
}
