//! What must not come out, whoever asks.

use rstest::rstest;

use super::allowed;
use crate::sql::{Refusal, check};

#[rstest]
// Changes of data and of the server.
#[case::nothing("", "0")]
#[case::several("SELECT 1; DROP TABLE people", "2")]
#[case::dml("DELETE FROM people", "DELETE FROM")]
#[case::ddl("DROP TABLE people", "DROP TABLE")]
#[case::copy("COPY people TO PROGRAM 'id'", "COPY")]
#[case::explain("EXPLAIN ANALYZE SELECT id FROM people", "EXPLAIN ANALYZE")]
#[case::set("SET ROLE postgres", "SET ROLE")]
#[case::execute("EXECUTE x", "EXECUTE")]
#[case::into("SELECT id INTO stolen FROM people", "INTO")]
#[case::dml_in_with("WITH x AS (DELETE FROM people RETURNING id) SELECT id FROM x", "change of data")]
#[case::dml_behind_with("WITH x AS (SELECT 1) DELETE FROM people", "")]
#[case::insert_in_with(
    "WITH x AS (INSERT INTO people VALUES (1) RETURNING id) SELECT id FROM x",
    "change of data"
)]
#[case::recursive(
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n FROM x) SELECT n FROM x",
    "RECURSIVE"
)]
#[case::lock("SELECT id FROM people FOR UPDATE", "lock")]
#[case::lock_inside("SELECT id FROM (SELECT id FROM people FOR SHARE) p", "lock")]
// Limits.
#[case::computed_limit("SELECT id FROM people LIMIT (SELECT 1000000)", "LIMIT")]
#[case::limit_as_text("SELECT id FROM people LIMIT '5'::int", "LIMIT")]
#[case::negative_limit("SELECT id FROM people LIMIT -1", "LIMIT")]
#[case::ties("SELECT id FROM people ORDER BY id FETCH FIRST 1 ROWS WITH TIES", "TIES")]
#[case::computed_offset("SELECT id FROM people OFFSET (SELECT count(*) FROM secrets)", "OFFSET")]
// Tables.
#[case::hidden_table("SELECT id FROM secrets", "secrets")]
#[case::other_schema("SELECT id FROM public.orders", "public.orders")]
#[case::catalogue("SELECT rolname FROM pg_catalog.pg_roles", "pg_catalog.pg_roles")]
#[case::catalogue_by_itself("SELECT usename FROM pg_user", "pg_user")]
#[case::information_schema("SELECT table_name FROM information_schema.tables", "information_schema.tables")]
#[case::other_database("SELECT id FROM other.public.people", "another database")]
#[case::quoted_whole(r#"SELECT id FROM "sales.orders""#, "sales.orders")]
#[case::quoted_case(r#"SELECT id FROM "People""#, "People")]
#[case::hidden_in_union("SELECT id FROM people UNION SELECT id FROM secrets", "secrets")]
#[case::hidden_in_exists("SELECT id FROM people WHERE EXISTS (SELECT 1 FROM secrets)", "secrets")]
#[case::hidden_in_with("WITH x AS (SELECT * FROM secrets) SELECT * FROM x", "secrets")]
#[case::hidden_in_order("SELECT id FROM people ORDER BY (SELECT 1 FROM secrets)", "secrets")]
#[case::hidden_in_case("SELECT CASE WHEN (SELECT count(*) FROM secrets) > 5 THEN 1 END", "secrets")]
#[case::hidden_in_lateral("SELECT p.id FROM people p, LATERAL (SELECT * FROM secrets) s", "secrets")]
#[case::hidden_in_call("SELECT max((SELECT id FROM secrets))", "secrets")]
#[case::hidden_in_filter(
    "SELECT count(*) FILTER (WHERE 1 IN (SELECT id FROM secrets)) FROM people",
    "secrets"
)]
#[case::hidden_in_window("SELECT rank() OVER (ORDER BY (SELECT id FROM secrets)) FROM people", "secrets")]
#[case::hidden_in_on("SELECT 1 FROM people p JOIN people q ON EXISTS (SELECT 1 FROM secrets)", "secrets")]
#[case::hidden_in_values("SELECT * FROM (VALUES ((SELECT id FROM secrets))) v(x)", "VALUES")]
#[case::table_command("TABLE secrets", "")]
#[case::table_in_union("SELECT id FROM people UNION TABLE secrets", "TABLE")]
#[case::name_of_a_with_outside("SELECT * FROM (WITH x AS (SELECT 1 AS n) SELECT n FROM x) y, x", "no table x")]
#[case::sample("SELECT id FROM people TABLESAMPLE SYSTEM (1)", "TABLESAMPLE")]
#[case::only("SELECT id FROM ONLY people", "")]
#[case::file("SELECT * FROM '/etc/passwd'", "")]
#[case::series("SELECT * FROM generate_series(1, 1000000000) g", "function in place of a table")]
#[case::dblink("SELECT * FROM dblink('host=evil', 'SELECT 1') AS t(a text)", "")]
#[case::unnest("SELECT * FROM unnest(ARRAY[1]) u", "function in place of a table")]
#[case::xmltable("SELECT * FROM XMLTABLE('/x' PASSING '<x/>' COLUMNS a text)", "")]
// Columns.
#[case::hidden_column("SELECT salary FROM people", "salary")]
#[case::hidden_by_table("SELECT people.salary FROM people", "people.salary")]
#[case::hidden_by_alias("SELECT p.salary FROM people AS p", "p.salary")]
#[case::hidden_by_schema("SELECT sales.orders.cost FROM sales.orders", "orders.cost")]
#[case::hidden_in_where("SELECT id FROM people WHERE salary > 5", "salary")]
#[case::hidden_in_group("SELECT count(*) FROM people GROUP BY salary", "salary")]
#[case::hidden_in_having("SELECT count(*) FROM people HAVING max(salary) > 5", "salary")]
#[case::hidden_in_sort("SELECT id FROM people ORDER BY salary", "salary")]
#[case::hidden_in_distinct("SELECT DISTINCT ON (salary) id FROM people", "salary")]
#[case::hidden_in_using("SELECT o.id FROM orders o JOIN people p USING (salary)", "salary")]
#[case::hidden_in_natural("SELECT o.id FROM orders o NATURAL JOIN people p", "NATURAL")]
#[case::hidden_in_subquery("SELECT x FROM (SELECT salary AS x FROM people) p", "salary")]
#[case::hidden_in_cast("SELECT CAST(salary AS text) FROM people", "salary")]
#[case::hidden_in_interval("SELECT id FROM people WHERE name LIKE salary", "salary")]
#[case::not_given_outwards("SELECT name FROM (SELECT id FROM people) p", "name")]
#[case::by_place("SELECT b FROM people AS p(a, b, c, d)", "names for a table's columns")]
#[case::by_place_of_a_query("SELECT d FROM (SELECT * FROM people) AS p(a, b, c, d)", "more names than columns")]
#[case::unicode_name(r#"SELECT U&"\0073alary" FROM people"#, "")]
#[case::long_name(
    "SELECT id AS aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa FROM people",
    "cannot be a name"
)]
// Columns of the system, and rows as a whole.
#[case::ctid("SELECT ctid FROM people", "ctid")]
#[case::tableoid("SELECT tableoid FROM people", "tableoid")]
#[case::tableoid_as_name("SELECT people.tableoid::regclass FROM people", "tableoid")]
#[case::xmin("SELECT p.xmin FROM people p", "xmin")]
#[case::whole_row("SELECT people FROM people", "no column people")]
#[case::whole_row_by_alias("SELECT p FROM people p", "no column p")]
#[case::whole_row_in_a_call("SELECT count(p) FROM people p", "no column p")]
#[case::whole_row_as_text("SELECT p::text FROM people p", "no column p")]
#[case::whole_row_as_json("SELECT row_to_json(p) FROM people p", "row_to_json")]
#[case::whole_row_by_notation("SELECT p.row_to_json FROM people p", "row_to_json")]
#[case::whole_row_compared("SELECT id FROM people p WHERE p = ROW(1, 'a', 'b', 5)", "no column p")]
#[case::whole_row_in_a_row("SELECT ROW(p.*) FROM people p", "")]
#[case::part_of_a_row("SELECT (p).salary FROM people p", "")]
#[case::parts_of_a_row("SELECT (p).* FROM people p", "")]
#[case::row_of_a_query("SELECT (SELECT p FROM people p LIMIT 1)", "no column p")]
#[case::star_in_a_call("SELECT count(p.*) FROM people p", "* as a value")]
#[case::star_of_an_outer_one("SELECT (SELECT p.* ) FROM people p", "")]
#[case::star_without_table("SELECT *", "* without a table")]
// Functions, types and operators.
#[case::sleep("SELECT pg_sleep(100)", "pg_sleep")]
#[case::sleep_by_schema("SELECT pg_catalog.pg_sleep(100)", "pg_catalog.pg_sleep")]
#[case::set_config("SELECT set_config('app.rooms', '1', true)", "set_config")]
#[case::setting("SELECT current_setting('data_directory')", "current_setting")]
#[case::read_file("SELECT pg_read_file('/etc/passwd')", "pg_read_file")]
#[case::read_file_quoted(r#"SELECT "pg_read_file"('/etc/passwd')"#, "pg_read_file")]
#[case::list_files("SELECT pg_ls_dir('.')", "pg_ls_dir")]
#[case::large_object("SELECT lo_import('/etc/passwd')", "lo_import")]
#[case::terminate("SELECT pg_terminate_backend(1)", "pg_terminate_backend")]
#[case::lock_by_call("SELECT pg_advisory_lock(1)", "pg_advisory_lock")]
#[case::message("SELECT pg_logical_emit_message(false, 'a', 'b')", "pg_logical_emit_message")]
#[case::notify("SELECT pg_notify('a', 'b')", "pg_notify")]
#[case::sql_in_xml("SELECT query_to_xml('SELECT * FROM secrets', true, true, '')", "query_to_xml")]
#[case::table_to_xml("SELECT table_to_xml('secrets', true, true, '')", "table_to_xml")]
#[case::next_value("SELECT nextval('s')", "nextval")]
#[case::size("SELECT pg_relation_size('secrets')", "pg_relation_size")]
#[case::privileges("SELECT has_table_privilege('secrets', 'select')", "has_table_privilege")]
#[case::version("SELECT version()", "version")]
#[case::user("SELECT current_user", "current_user")]
#[case::session_user("SELECT session_user", "session_user")]
#[case::user_by_itself("SELECT user", "user")]
#[case::catalogue_name("SELECT current_catalog", "current_catalog")]
#[case::schema_name("SELECT current_schema", "current_schema")]
#[case::address("SELECT inet_server_addr()", "inet_server_addr")]
#[case::repeat("SELECT repeat('x', 1000000000)", "repeat")]
#[case::padding("SELECT lpad('x', 1000000000)", "lpad")]
#[case::own_schema("SELECT public.lower('x')", "public.lower")]
#[case::word_by_schema("SELECT pg_catalog.coalesce(1)", "coalesce")]
#[case::argument_by_name("SELECT make_date(year => 2020, month => 1, day => 1)", "by its name")]
#[case::named_window("SELECT rank() OVER w FROM people WINDOW w AS (ORDER BY id)", "WINDOW")]
#[case::regclass("SELECT 'secrets'::regclass", "REGCLASS")]
#[case::regclass_as_number("SELECT 'secrets'::regclass::oid", "")]
#[case::regproc("SELECT CAST('now' AS regproc)", "regproc")]
#[case::regclass_typed("SELECT regclass 'secrets'", "")]
#[case::own_type("SELECT 'x'::evil.type", "evil.type")]
#[case::row_type("SELECT '(1,a)'::people", "people")]
#[case::xml("SELECT xmlparse(document '<x/>')", "")]
#[case::own_operator("SELECT 1 OPERATOR(evil.+) 2", "operator")]
#[case::custom_operator("SELECT id <-> 1 FROM people", "operator")]
#[case::power("SELECT 9 ^ 99999", "operator")]
#[case::array("SELECT ARRAY[1]", "ARRAY")]
#[case::subscript("SELECT (array_agg(id))[1] FROM people", "")]
#[case::collation(r#"SELECT name COLLATE "C" FROM people"#, "COLLATE")]
#[case::parameter("SELECT id FROM people WHERE id = $1", "parameter")]
#[case::byte_string("SELECT X'00'", "literal")]
fn is_refused(#[case] sql: &str, #[case] named: &str) {
    let refusal = check(sql, &allowed())
        .map(|rewritten| rewritten.sql)
        .unwrap_err()
        .to_string();
    assert!(refusal.contains(named), "{refusal}");
}

#[test]
fn a_hidden_thing_and_one_that_is_not_there_are_refused_alike() {
    let refusal = |sql: &str, name: &str| check(sql, &allowed()).unwrap_err().to_string().replace(name, "it");
    assert_eq!(
        refusal("SELECT salary FROM people", "salary"),
        refusal("SELECT nothing FROM people", "nothing")
    );
    assert_eq!(
        refusal("SELECT 1 FROM secrets", "secrets"),
        refusal("SELECT 1 FROM nothing", "nothing")
    );
}

#[test]
fn a_hidden_column_never_takes_the_place_of_an_outer_one() {
    // `orders` may have a hidden column `name`; PostgreSQL would take that.
    let sql = "SELECT (SELECT max(name) FROM orders) FROM people";
    let written = check(sql, &allowed()).unwrap().sql;
    assert!(written.contains(r#"pg_catalog."max"("people"."name")"#), "{written}");
    // Here what we would write meant a hidden one.
    for sql in [
        "SELECT (SELECT max(name) FROM orders people) FROM people",
        "SELECT (SELECT sales.orders.total FROM people AS orders) FROM sales.orders",
    ] {
        assert!(matches!(check(sql, &allowed()), Err(Refusal::Ambiguous(_))), "{sql}");
    }
}

#[test]
fn a_group_never_takes_a_hidden_column_for_an_output() {
    let sql = "SELECT count(*) AS salary FROM people GROUP BY salary";
    assert!(
        check(sql, &allowed())
            .unwrap()
            .sql
            .ends_with(r#"GROUP BY pg_catalog."count"(*) LIMIT 100"#)
    );
}

#[rstest]
#[case::parentheses(format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000)))]
#[case::parentheses_of_tables(format!("SELECT * FROM {}people{}", "(".repeat(200), ")".repeat(200)))]
#[case::spaced_parentheses(format!("SELECT {}1{}", "(1+(2*".repeat(100), "))".repeat(100)))]
#[case::signs(format!("SELECT {}1", "- ".repeat(1900)))]
#[case::negations(format!("SELECT {}true", "NOT ".repeat(1900)))]
#[case::a_sum(format!("SELECT 1{}", "+1".repeat(900)))]
#[case::a_long_sum(format!("SELECT 1{}", "+1".repeat(5000)))]
#[case::a_union(format!("SELECT 1{}", " UNION SELECT 1".repeat(600)))]
#[case::queries(format!("{}SELECT 1{}", "SELECT * FROM (".repeat(200), ") x".repeat(200)))]
#[case::conversions(format!("SELECT 1{}", "::int".repeat(600)))]
#[case::cases(format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(300), " END".repeat(300)))]
#[case::tables_in_tables(format!("SELECT * FROM {}people{}", "(((a JOIN ".repeat(30), ")))".repeat(30)))]
#[case::calls(format!("SELECT {}1{}", "lower(".repeat(200), ")".repeat(200)))]
#[case::rows(format!("SELECT {}1{}", "(1,(2,".repeat(60), "))".repeat(60)))]
#[case::arrays(format!("SELECT {}1{}", "ARRAY[".repeat(200), "]".repeat(200)))]
#[case::structures(format!("SELECT 1::{}int{}", "STRUCT<a ".repeat(200), ">".repeat(200)))]
#[case::types(format!("SELECT 1::int{}", "[]".repeat(400)))]
#[case::intervals(format!("SELECT {}'1'", "INTERVAL ".repeat(900)))]
#[case::exists(format!("SELECT {}1{}", "EXISTS (SELECT ".repeat(100), ")".repeat(100)))]
#[case::long_text(format!("SELECT '{}'", "x".repeat(20_000)))]
fn what_is_too_much_is_refused(#[case] sql: String) {
    let refusal = check(&sql, &allowed()).unwrap_err();
    let is_bounded = matches!(
        refusal,
        Refusal::TooDeep | Refusal::TooLong | Refusal::Type(_) | Refusal::Syntax(_)
    );
    assert!(is_bounded, "{refusal}");
}
