//! What people and models ask.

use rstest::rstest;

use super::allowed;
use crate::sql::{check, describe};

#[rstest]
#[case::columns(
    "select id, total from sales.orders",
    r#"SELECT "orders"."id" AS "id", "orders"."total" AS "total" FROM "sales"."orders" AS "orders" LIMIT 100"#
)]
#[case::without_schema(
    "SELECT ID FROM Orders",
    r#"SELECT "orders"."id" AS "id" FROM "sales"."orders" AS "orders" LIMIT 100"#
)]
#[case::schema_and_table(
    "SELECT sales.orders.id FROM sales.orders",
    r#"SELECT "orders"."id" AS "id" FROM "sales"."orders" AS "orders" LIMIT 100"#
)]
#[case::case_of_the_column(
    "SELECT team FROM people",
    r#"SELECT "people"."Team" AS "team" FROM "people" AS "people" LIMIT 100"#
)]
#[case::every_column(
    "SELECT * FROM people p",
    r#"SELECT "p"."id" AS "id", "p"."name" AS "name", "p"."Team" AS "Team" FROM "people" AS "p" LIMIT 100"#
)]
#[case::lower_limit(
    "SELECT id FROM people LIMIT 5",
    r#"SELECT "people"."id" AS "id" FROM "people" AS "people" LIMIT 5"#
)]
#[case::higher_limit(
    "SELECT id FROM people LIMIT 5000 OFFSET 20",
    r#"SELECT "people"."id" AS "id" FROM "people" AS "people" LIMIT 100 OFFSET 20"#
)]
#[case::no_limit(
    "SELECT id FROM people LIMIT ALL",
    r#"SELECT "people"."id" AS "id" FROM "people" AS "people" LIMIT 100"#
)]
#[case::fetch(
    "SELECT id FROM people FETCH FIRST 7 ROWS ONLY",
    r#"SELECT "people"."id" AS "id" FROM "people" AS "people" LIMIT 7"#
)]
#[case::counted(
    "SELECT count(*) FROM people",
    r#"SELECT pg_catalog."count"(*) AS "count" FROM "people" AS "people" LIMIT 100"#
)]
#[case::filtered(
    "SELECT count(*) FILTER (WHERE total > 5) FROM orders WHERE customer ILIKE '%o''n%' AND day >= DATE '2026-01-01'",
    r#"SELECT pg_catalog."count"(*) FILTER (WHERE ("orders"."total" > 5)) AS "count" FROM "sales"."orders" AS "orders" WHERE (("orders"."customer" ILIKE '%o''n%') AND ("orders"."day" >= CAST('2026-01-01' AS date))) LIMIT 100"#
)]
#[case::grouped_by_an_output(
    "SELECT date_trunc('month', day) AS month, sum(total) AS s FROM orders GROUP BY month HAVING sum(total) > 1 ORDER BY s DESC NULLS LAST",
    r#"SELECT pg_catalog."date_trunc"('month', "orders"."day") AS "month", pg_catalog."sum"("orders"."total") AS "s" FROM "sales"."orders" AS "orders" GROUP BY pg_catalog."date_trunc"('month', "orders"."day") HAVING (pg_catalog."sum"("orders"."total") > 1) ORDER BY "s" DESC NULLS LAST LIMIT 100"#
)]
#[case::joined(
    "SELECT o.id, i.price FROM orders o LEFT JOIN items i ON i.order_id = o.id",
    r#"SELECT "o"."id" AS "id", "i"."price" AS "price" FROM ("sales"."orders" AS "o" LEFT JOIN "sales"."items" AS "i" ON ("i"."order_id" = "o"."id")) LIMIT 100"#
)]
#[case::joined_using(
    "SELECT id, price FROM orders JOIN items USING (id)",
    r#"SELECT "orders"."id" AS "id", "items"."price" AS "price" FROM ("sales"."orders" AS "orders" JOIN "sales"."items" AS "items" ON ("orders"."id" = "items"."id")) LIMIT 100"#
)]
#[case::every_column_of_using(
    "SELECT * FROM items RIGHT JOIN people USING (id)",
    r#"SELECT "items"."order_id" AS "order_id", "items"."price" AS "price", "people"."id" AS "id", "people"."name" AS "name", "people"."Team" AS "Team" FROM ("sales"."items" AS "items" RIGHT JOIN "people" AS "people" ON ("items"."id" = "people"."id")) LIMIT 100"#
)]
#[case::with(
    "WITH big AS (SELECT id, total t FROM orders WHERE total > 10) SELECT count(*) n FROM big WHERE t < 20",
    r#"WITH "big" AS (SELECT "orders"."id" AS "id", "orders"."total" AS "t" FROM "sales"."orders" AS "orders" WHERE ("orders"."total" > 10)) SELECT pg_catalog."count"(*) AS "n" FROM "big" AS "big" WHERE ("big"."t" < 20) LIMIT 100"#
)]
#[case::derived(
    "SELECT max(count) FROM (SELECT count(*) FROM orders GROUP BY customer) AS c",
    r#"SELECT pg_catalog."max"("c"."count") AS "max" FROM (SELECT pg_catalog."count"(*) AS "count" FROM "sales"."orders" AS "orders" GROUP BY "orders"."customer") AS "c" LIMIT 100"#
)]
#[case::correlated(
    "SELECT name FROM people WHERE EXISTS (SELECT 1 FROM orders WHERE customer = name)",
    r#"SELECT "people"."name" AS "name" FROM "people" AS "people" WHERE (EXISTS (SELECT 1 FROM "sales"."orders" AS "orders" WHERE ("orders"."customer" = "people"."name"))) LIMIT 100"#
)]
#[case::the_same_table_inside(
    "SELECT id FROM orders WHERE total > (SELECT avg(total) FROM orders)",
    r#"SELECT "orders"."id" AS "id" FROM "sales"."orders" AS "orders" WHERE ("orders"."total" > (SELECT pg_catalog."avg"("orders"."total") AS "avg" FROM "sales"."orders" AS "orders")) LIMIT 100"#
)]
#[case::union(
    "SELECT id FROM orders UNION ALL SELECT id FROM people ORDER BY id DESC",
    r#"(SELECT "orders"."id" AS "id" FROM "sales"."orders" AS "orders") UNION ALL (SELECT "people"."id" AS "id" FROM "people" AS "people") ORDER BY "id" DESC LIMIT 100"#
)]
#[case::lateral(
    "SELECT p.name, t.total FROM people p CROSS JOIN LATERAL (SELECT total FROM orders WHERE customer = p.name LIMIT 3) t",
    r#"SELECT "p"."name" AS "name", "t"."total" AS "total" FROM ("people" AS "p" CROSS JOIN LATERAL (SELECT "orders"."total" AS "total" FROM "sales"."orders" AS "orders" WHERE ("orders"."customer" = "p"."name") LIMIT 3) AS "t") LIMIT 100"#
)]
#[case::window(
    "SELECT id, rank() OVER (PARTITION BY customer ORDER BY total DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM orders",
    r#"SELECT "orders"."id" AS "id", pg_catalog."rank"() OVER (PARTITION BY "orders"."customer" ORDER BY "orders"."total" DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "rank" FROM "sales"."orders" AS "orders" LIMIT 100"#
)]
#[case::special_forms(
    "SELECT extract(year FROM day), substring(customer from 2 for 3), trim(both 'x' from customer), position('a' in \
     customer), ceil(total), coalesce(total, 0), current_date, day + interval '1 day', total::numeric(10,2), left(customer, 2) FROM orders",
    r#"SELECT EXTRACT(YEAR FROM "orders"."day") AS "extract", pg_catalog."substring"("orders"."customer", 2, 3) AS "substring", pg_catalog."btrim"("orders"."customer", 'x') AS "trim", pg_catalog."strpos"("orders"."customer", 'a') AS "position", pg_catalog."ceil"("orders"."total") AS "ceil", coalesce("orders"."total", 0) AS "coalesce", CURRENT_DATE AS "current_date", ("orders"."day" + INTERVAL '1 day'), CAST("orders"."total" AS numeric(10, 2)) AS "total", pg_catalog."left"("orders"."customer", 2) AS "left" FROM "sales"."orders" AS "orders" LIMIT 100"#
)]
#[case::conditions(
    "SELECT CASE WHEN total BETWEEN 1 AND 2 THEN 'a' ELSE 'b' END FROM orders WHERE id IN (1, 2) AND NOT (customer IS NULL) AND id <> ALL (SELECT id FROM people)",
    r#"SELECT (CASE WHEN ("orders"."total" BETWEEN 1 AND 2) THEN 'a' ELSE 'b' END) AS "case" FROM "sales"."orders" AS "orders" WHERE ((("orders"."id" IN (1, 2)) AND (NOT ("orders"."customer" IS NULL))) AND ("orders"."id" <> ALL (SELECT "people"."id" AS "id" FROM "people" AS "people"))) LIMIT 100"#
)]
#[case::share_of_rows(
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    r#"SELECT pg_catalog."percentile_cont"(0.5) WITHIN GROUP (ORDER BY "orders"."total") AS "percentile_cont" FROM "sales"."orders" AS "orders" LIMIT 100"#
)]
#[case::distinct_on(
    "SELECT DISTINCT ON (customer) customer, total FROM orders ORDER BY customer, total DESC",
    r#"SELECT DISTINCT ON ("customer") "orders"."customer" AS "customer", "orders"."total" AS "total" FROM "sales"."orders" AS "orders" ORDER BY "customer", "total" DESC LIMIT 100"#
)]
fn is_written(#[case] sql: &str, #[case] expected: &str) {
    let rewritten = check(sql, &allowed()).map(|rewritten| rewritten.sql);
    assert_eq!(rewritten.as_deref(), Ok(expected));
    // What we write, we would write again.
    assert_eq!(
        check(expected, &allowed()).map(|again| again.sql).as_deref(),
        Ok(expected)
    );
}

#[test]
fn what_is_read_is_told() {
    let rewritten = check(
        "SELECT o.total FROM orders o JOIN people ON name = customer WHERE o.id IN (SELECT order_id FROM items)",
        &allowed(),
    )
    .unwrap();
    let reads: Vec<_> = rewritten
        .reads
        .iter()
        .map(|(table, columns)| (table.as_str(), columns.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    let expected = [
        ("people", vec!["name"]),
        ("sales.items", vec!["order_id"]),
        ("sales.orders", vec!["customer", "id", "total"]),
    ];
    assert_eq!(reads, expected);
    assert_eq!(rewritten.limit, 100);
    let counted = check("SELECT count(*) FROM people", &allowed()).unwrap();
    assert!(counted.reads["people"].is_empty());
}

#[test]
fn strings_mean_the_same_whatever_the_settings_are() {
    // In the language of our parser this is one string with a backslash and a quote in it.
    let sql = r"SELECT id FROM people WHERE name = '\'' OR 1 = 1 --'";
    let expected = r#"SELECT "people"."id" AS "id" FROM "people" AS "people" WHERE ("people"."name" = E'\\'' OR 1 = 1 --') LIMIT 100"#;
    assert_eq!(check(sql, &allowed()).unwrap().sql, expected);
    let sql = r"SELECT id FROM people WHERE name IN ('''', E'a\'b', $x$it's$x$, U&'\0041')";
    let expected = r#"("people"."name" IN ('''', 'a''b', 'it''s', 'A'))"#;
    assert!(check(sql, &allowed()).unwrap().sql.contains(expected));
}

#[test]
fn tables_are_described_a_line_each() {
    let mut allowed = allowed();
    let table = allowed.tables.get_mut("people").unwrap();
    table.description = Some("Somebody\nwho works here".into());
    table.columns[1].description = Some("Full name".into());
    let text = describe(&allowed);
    assert!(text.contains("table people: Somebody who works here\n  id\n  name: Full name\n  Team\n"));
    assert!(text.contains("at most 100 rows") && text.contains("date_trunc"));
}
