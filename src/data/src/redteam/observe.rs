//! What came back, in the parts in which it is looked at.

use rooms::redteam::{Asked, Observed};
use serde_json::{Map, Value};

use super::player::Told;

/// All of it. Whatever is JSON is taken apart, so that nothing hides in escapes.
pub fn observe(told: &Told) -> Observed {
    let mut observed = Observed {
        status: told.status,
        headers: told.headers.clone(),
        ..Observed::default()
    };
    let Some(body) = told.json() else {
        observed.other.push(("body".into(), told.body.clone()));
        return observed;
    };
    if told.status >= 400 {
        observed.error = texts(&body).join("\n");
        return observed;
    }
    observed.documents = names(&body);
    let Value::Object(mut fields) = body else {
        observed.rows.push(texts(&body).join("\n"));
        return observed;
    };
    observed.counts = counts(&fields);
    if let Some(Value::String(answer)) = fields.remove("answer") {
        observed.answer = answer;
    }
    observed.asked = asked(&fields);
    observed.unavailable = values(fields.get("unavailable"), "source");
    observed.citations = list(&mut fields, "citations");
    for rows in ["hits", "documents", "entries", "uploads"] {
        observed.rows.extend(list(&mut fields, rows));
    }
    let rest = texts(&Value::Object(fields)).join("\n");
    observed.other.push(("fields".into(), rest));
    observed
}

/// Texts of the entries of a list, each of them as one.
fn list(fields: &mut Map<String, Value>, name: &str) -> Vec<String> {
    match fields.get(name) {
        Some(Value::Array(_)) => {}
        _ => return Vec::new(),
    }
    let Some(Value::Array(entries)) = fields.remove(name) else {
        return Vec::new();
    };
    entries.iter().map(|entry| texts(entry).join("\n")).collect()
}

/// All texts and numbers in it, with the names of fields.
fn texts(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut |key, value| {
        found.extend(key.map(str::to_owned));
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Number(number) => found.push(number.to_string()),
            _ => {}
        }
    });
    found
}

/// Statements whose rows are cited.
fn asked(fields: &Map<String, Value>) -> Vec<Asked> {
    let citations = fields.get("citations").and_then(Value::as_array).into_iter().flatten();
    let of = |citation: &Value| {
        let text = |name: &str| citation[name].as_str().unwrap_or_default().to_owned();
        let tables = citation["tables"].as_array().into_iter().flatten();
        Asked {
            source: text("source"),
            statement: text("statement"),
            tables: tables.filter_map(|table| table.as_str().map(Into::into)).collect(),
        }
    };
    citations
        .filter(|citation| citation["kind"] == "sql" || citation.get("statement").is_some_and(Value::is_string))
        .map(of)
        .collect()
}

/// What the entries of a list have by a name.
fn values(list: Option<&Value>, name: &str) -> Vec<String> {
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| entry[name].as_str().map(Into::into))
        .collect()
}

/// Names of documents.
fn names(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut |key, value| {
        if let (Some("name"), Value::String(name)) = (key, value) {
            found.push(name.clone());
        }
    });
    found
}

/// Numbers of documents that are told.
fn counts(fields: &Map<String, Value>) -> Vec<u64> {
    ["total", "documents"]
        .into_iter()
        .filter_map(|name| fields.get(name)?.as_u64())
        .collect()
}

fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(Option<&'a str>, &'a Value)) {
    match value {
        Value::Array(values) => {
            for value in values {
                visit(None, value);
                walk(value, visit);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                visit(Some(key), value);
                walk(value, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &Value) -> Told {
        Told {
            status,
            body: body.to_string(),
            ..Told::default()
        }
    }

    #[test]
    fn nothing_that_is_told_is_left_out() {
        let hit = json!({"name": "a.txt", "text": "x\n\u{e9}", "place": {"headings": ["deep"]}, "score": 0.5});
        let found = observe(&told(
            200,
            &json!({"object": "list", "hits": [hit], "more": {"hidden": ["here"]}}),
        ));
        assert!(found.rows[0].contains("x\n\u{e9}") && found.rows[0].contains("deep") && found.rows[0].contains("0.5"));
        assert_eq!(found.documents, ["a.txt"]);
        assert!(found.other[0].1.contains("here") && found.other[0].1.contains("hidden"));
        let answer =
            json!({"answer": "so", "citations": [{"name": "b.txt", "quote": "q"}], "documents": 7, "total": 3});
        let found = observe(&told(200, &answer));
        assert_eq!(
            (&*found.answer, found.citations.len(), found.counts),
            ("so", 1, vec![3, 7])
        );
        assert_eq!(found.documents, ["b.txt"]);
        let rows =
            json!({"kind": "sql", "source": "ledger", "statement": "SELECT 1", "tables": ["a", "b"], "quote": "| 1 |"});
        let found = observe(&told(
            200,
            &json!({"citations": [{"name": "b"}, rows], "unavailable": [{"source": "other", "code": "c"}]}),
        ));
        let [asked] = &found.asked[..] else { panic!("{found:?}") };
        assert_eq!(
            (&*asked.source, &*asked.statement, asked.tables.len()),
            ("ledger", "SELECT 1", 2)
        );
        assert_eq!(
            (found.unavailable, found.citations.len()),
            (vec!["other".to_owned()], 2)
        );
        let found = observe(&told(404, &json!({"error": {"message": "not here", "code": "c"}})));
        assert!(found.error.contains("not here") && found.rows.is_empty());
        let plain = Told {
            status: 200,
            body: "plain".into(),
            ..Told::default()
        };
        assert_eq!(observe(&plain).other, [("body".to_owned(), "plain".to_owned())]);
        assert_eq!(observe(&told(200, &json!(["a", 7]))).rows, ["a\n7"]);
    }
}
