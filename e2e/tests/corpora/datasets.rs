//! Tables of statsmodels, with columns that are described, asked in words.

use anyhow::{Result, ensure};
use api::conditions::types;
use atelier_e2e::database::DatabaseServer;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::hosted::{Hosted, let_the_gateway_read};
use atelier_e2e::{Model, Namespace, Room, model, room, wait};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

const KEY: &str = "sk-of-this-test";

/// A table: its name, what a row is, its columns with their types and what they mean. Those without a meaning stay hidden.
type Table = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

const TABLES: [Table; 3] = [
    (
        "longley",
        "The economy of the United States in a year, from 1947 to 1962.",
        &[
            ("obs", "integer", ""),
            ("totemp", "integer", "people in employment, in thousands"),
            ("gnpdefl", "real", "deflator of the gross national product"),
            ("gnp", "integer", "gross national product"),
            ("unemp", "integer", "number of unemployed people"),
            ("armed", "integer", "size of the armed forces"),
            ("pop", "integer", "population"),
            ("year", "integer", "year"),
        ],
    ),
    (
        "statecrime",
        "Crime in a state of the United States in 2009.",
        &[
            ("state", "text", "name of the state"),
            ("violent", "real", "violent crimes per 100,000 people"),
            ("murder", "real", "murders per 100,000 people"),
            ("hs_grad", "real", "percentage of people who graduated from high school"),
            ("poverty", "real", "percentage of people below the poverty line"),
            ("single", "real", ""),
            ("white", "real", ""),
            ("urban", "real", "percentage of people who live in urbanized areas"),
        ],
    ),
    (
        "fair",
        "A woman who answered questions about her marriage.",
        &[
            (
                "rate_marriage",
                "integer",
                "how she rates her marriage, from 1, very poor, to 5, very good",
            ),
            ("age", "real", "her age"),
            ("yrs_married", "real", "years that she has been married"),
            ("children", "real", "number of her children"),
            (
                "religious",
                "integer",
                "how religious she is, from 1, not, to 4, strongly",
            ),
            ("educ", "real", "years of her education"),
            ("occupation", "integer", ""),
            ("occupation_husb", "integer", ""),
            ("affairs", "real", ""),
        ],
    ),
];

/// A question, a statement that answers it, and what has to be in the answer.
const QUESTIONS: [(&str, &str, &str); 8] = [
    (
        "What was the gross national product in the year 1950?",
        "SELECT year, gnp FROM longley WHERE year = 1950",
        "284599",
    ),
    (
        "How many people were unemployed in 1962?",
        "SELECT year, unemp FROM longley WHERE year = 1962",
        "4007",
    ),
    (
        "In which year was the population the largest?",
        "SELECT year, pop FROM longley ORDER BY pop DESC LIMIT 1",
        "1962",
    ),
    (
        "How many murders per 100,000 people were there in Louisiana?",
        "SELECT state, murder FROM statecrime WHERE state = 'Louisiana'",
        "12.3",
    ),
    (
        "Which state has the highest percentage of people below the poverty line?",
        "SELECT state, poverty FROM statecrime ORDER BY poverty DESC LIMIT 1",
        "Mississippi",
    ),
    (
        "How many states have more than 15 percent of people below the poverty line?",
        "SELECT count(*) AS states FROM statecrime WHERE poverty > 15",
        "18",
    ),
    (
        "How many women rated their marriage very good?",
        "SELECT count(*) AS women FROM fair WHERE rate_marriage = 5",
        "2684",
    ),
    (
        "What is the mean age of the women?",
        "SELECT round(avg(age)::numeric, 1) AS mean_age FROM fair",
        "29.1",
    ),
];

async fn fill(server: &DatabaseServer) -> Result<()> {
    for (table, _, columns) in TABLES {
        let csv = String::from_utf8(crate::read(&format!("tables/{table}/{table}.csv"))?)?;
        let columns: Vec<_> = columns.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
        let make = format!("CREATE TABLE {table} ({});\n", columns.join(", "));
        let rows = csv.trim_end();
        let copy = format!("COPY {table} FROM STDIN WITH (FORMAT csv, HEADER true);\n{rows}\n\\.\n");
        let grant = format!("GRANT SELECT ON {table} TO reader;\n");
        server.sql(&(make + &copy + &grant)).await?;
    }
    Ok(())
}

fn source(connection: &Value) -> Value {
    let table = |(name, description, columns): &Table| {
        let shown = columns.iter().filter(|(.., meaning)| !meaning.is_empty());
        let columns: Vec<_> = shown
            .map(|(name, _, meaning)| json!({"name": name, "description": meaning}))
            .collect();
        json!({"name": name, "description": description, "columns": columns})
    };
    let tables: Vec<_> = TABLES.iter().map(table).collect();
    json!([{"name": "tables", "sql": {"connectionSecretRef": connection, "tables": tables}}])
}

/// What a model says that knows the right statement of each question, and then reads what it is given.
fn expert(request: &Value) -> String {
    let messages = request["messages"].to_string();
    let Some((_, statement, value)) = QUESTIONS.iter().find(|(question, ..)| messages.contains(question)) else {
        return "I do not know.".into();
    };
    match messages.contains("You write SQL") {
        true => format!("```sql\n{statement}\n```"),
        false => format!("It is {value} [1]."),
    }
}

async fn asker(namespace: &Namespace, name: &str, model: &str, sources: &Value) -> Result<(Room, Gateway)> {
    let spec = json!({
        "members": [{"kind": "ServiceAccount", "name": name, "role": "Reader"}],
        "model": {"name": model},
        "embedding": {"name": "minilm"},
        "sources": sources,
    });
    let room = Room::create(namespace, name, spec).await?;
    let somebody = room::person(namespace, name).await?;
    room.condition(types::READY, "True").await?;
    wait::until("the reader to be let in", async || {
        let (status, _) = gateway::read(somebody.get(&room.at("")).await?).await?;
        Ok(status.is_success().then_some(()))
    })
    .await?;
    Ok((room, somebody))
}

#[tokio::test]
#[ignore = "fetches texts: cargo xtask e2e corpora"]
async fn tables_are_asked_in_words() -> Result<()> {
    room::with_encoder("tables", async |namespace| {
        let namespace = &namespace;
        let_the_gateway_read(namespace).await?;
        let server = DatabaseServer::start(namespace).await?;
        fill(&server).await?;
        let keys = json!({"metadata": {"name": "keys"}, "stringData": {"api": KEY}});
        namespace.create_object::<Secret>(keys).await?;
        let hosted = Hosted::telling(KEY, expert).await?;
        Model::create(namespace, "expert", hosted.spec()).await?;
        let mut chat = model::bundled();
        chat["engine"]["atelier"]["contextLength"] = json!(4096);
        let chat = Model::create(namespace, "chat", chat).await?;
        // The gateway is in another namespace.
        let url = server.url();
        let secret = json!({"metadata": {"name": "tables"}, "stringData": {"url": url}});
        namespace.create_object::<Secret>(secret).await?;
        let sources = source(&json!({"name": "tables", "key": "url"}));

        let (room, somebody) = asker(namespace, "scripted", "expert", &sources).await?;
        let rows = |answer: &Value| -> Vec<Value> {
            let citations = answer["citations"].as_array().cloned().unwrap_or_default();
            citations.into_iter().filter(|one| one["kind"] == "sql").collect()
        };
        for (question, statement, value) in QUESTIONS {
            let answer = room.ask(&somebody, question).await?;
            let cited = rows(&answer);
            ensure!(
                answer["outcome"] == "answered" && cited.len() == 1,
                "{question}: {answer}"
            );
            let quote = cited[0]["quote"].as_str().unwrap_or_default();
            ensure!(quote.contains(value), "{statement} gives {quote}, not {value}");
        }
        println!("| statsmodels, {} questions | |\n|---|---|", QUESTIONS.len());
        println!(
            "| answered with the right rows, by a model that knows SQL | {} |",
            QUESTIONS.len()
        );

        chat.ready().await?;
        let (room, somebody) = asker(namespace, "small", "chat", &sources).await?;
        let (mut asked, mut right) = (0, 0);
        for (question, _, value) in QUESTIONS {
            let answer = room.ask(&somebody, question).await?;
            let cited = rows(&answer);
            let is_right = cited.iter().any(|one| one["quote"].to_string().contains(value));
            asked += usize::from(!cited.is_empty());
            right += usize::from(is_right);
            println!("| {question} | {} {} |", answer["outcome"], answer["unavailable"]);
        }
        println!("| answered with rows, by SmolLM2-135M | {asked}, {right} of them right |");

        // What is not described is not there, whoever asks.
        let seen = hosted.seen();
        ensure!(!seen.is_empty(), "the expert was not asked");
        let hidden = seen.iter().find(|request| request.to_string().contains("affairs"));
        ensure!(hidden.is_none(), "a model was told of a hidden column: {hidden:?}");
        Ok(())
    })
    .await
}
