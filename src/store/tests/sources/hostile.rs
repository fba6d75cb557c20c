//! Whoever writes statements wants what is hidden. Each attack is refused before it reaches the database, or does no harm
//! there; and in no way is anything of the hidden rows seen, as the database holds them in reach of another user.

use rstest::rstest;
use store::sources::Failure;

use super::support::{Asked, CANARY, Source, allowed};

/// Refused: the database does not hear of it.
#[rstest]
#[case::stacked("SELECT 1; SELECT secret FROM payroll")]
#[case::stacked_behind_a_comment("SELECT year FROM longley --\n; DROP TABLE longley")]
#[case::stacked_in_a_comment("SELECT 1 /* */; INSERT INTO written VALUES ('x')")]
#[case::write_in_with("WITH x AS (INSERT INTO written VALUES ('x') RETURNING at) SELECT at FROM x")]
#[case::delete_in_with("WITH x AS (DELETE FROM longley RETURNING year) SELECT year FROM x")]
#[case::update_in_with("WITH x AS (UPDATE longley SET gnp = 0 RETURNING year) SELECT year FROM x")]
#[case::select_into("SELECT year INTO stolen FROM longley")]
#[case::create_as("CREATE TABLE stolen AS SELECT year FROM longley")]
#[case::copy_out("COPY longley TO '/tmp/x'")]
#[case::copy_program("COPY longley TO PROGRAM 'id'")]
#[case::copy_query("COPY (SELECT 1) TO STDOUT")]
#[case::do_block("DO $$ BEGIN PERFORM pg_sleep(9); END $$")]
#[case::call("CALL leak()")]
#[case::prepare("PREPARE x AS SELECT secret FROM payroll")]
#[case::set_role("SET ROLE postgres")]
#[case::set_path("SET search_path = private")]
#[case::reset("RESET ALL")]
#[case::commit("COMMIT")]
#[case::explain("EXPLAIN ANALYZE SELECT secret FROM payroll")]
#[case::lock("SELECT year FROM longley FOR UPDATE")]
#[case::read_file("SELECT pg_read_file('/etc/passwd')")]
#[case::read_binary_file("SELECT pg_read_binary_file('/etc/passwd')")]
#[case::list_files("SELECT pg_ls_dir('/')")]
#[case::stat_file("SELECT pg_stat_file('/etc/passwd')")]
#[case::sleep("SELECT pg_sleep(10)")]
#[case::sleep_in_where("SELECT year FROM longley WHERE pg_sleep(10) IS NULL")]
#[case::sleep_by_schema("SELECT pg_catalog.pg_sleep(10)")]
#[case::sleep_in_other_case("SELECT PG_SLEEP(10)")]
#[case::sleep_quoted("SELECT \"pg_sleep\"(10)")]
#[case::sleep_unicode("SELECT U&\"pg\\005fsleep\"(10)")]
#[case::dblink("SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(a int)")]
#[case::dblink_call("SELECT dblink_connect('host=127.0.0.1')")]
#[case::lo_import("SELECT lo_import('/etc/passwd')")]
#[case::lo_get("SELECT lo_get(1)")]
#[case::lo_export("SELECT lo_export(1, '/tmp/x')")]
#[case::set_config("SELECT set_config('role', 'postgres', false)")]
#[case::current_setting("SELECT current_setting('data_directory')")]
#[case::search_path_by_call("SELECT set_config('search_path', 'private', true), gnp FROM longley")]
#[case::own_function("SELECT leak()")]
#[case::own_function_by_schema("SELECT public.leak()")]
#[case::other_schema("SELECT gnp FROM private.longley")]
#[case::other_database("SELECT gnp FROM other.private.longley")]
#[case::hidden_table("SELECT secret FROM payroll")]
#[case::hidden_column("SELECT secret FROM longley")]
#[case::hidden_column_unicode("SELECT U&\"secr\\0065t\" FROM longley")]
#[case::look_alike("SELECT \"\u{455}ecret\" FROM longley")]
#[case::hidden_by_row("SELECT longley FROM longley")]
#[case::hidden_by_row_text("SELECT l::text FROM longley l")]
#[case::hidden_by_json("SELECT to_jsonb(l) FROM longley l")]
#[case::hidden_in_order("SELECT year FROM longley ORDER BY secret")]
#[case::hidden_by_natural_join("SELECT l.year FROM longley l NATURAL JOIN copper c")]
#[case::hidden_by_place("SELECT h FROM longley AS l(a, b, c, d, e, f, g, h)")]
#[case::hidden_in_a_condition("SELECT year FROM longley WHERE 1 = (SELECT 1 FROM payroll WHERE secret LIKE 'c%')")]
#[case::hidden_by_zero("SELECT 1 / (SELECT CASE WHEN secret LIKE 'c%' THEN 0 ELSE 1 END FROM payroll)")]
#[case::hidden_by_cast("SELECT CAST((SELECT secret FROM payroll) AS integer)")]
#[case::catalogue("SELECT tablename FROM pg_tables")]
#[case::catalogue_classes("SELECT relname FROM pg_catalog.pg_class")]
#[case::statistics("SELECT most_common_vals FROM pg_stats")]
#[case::users("SELECT usename FROM pg_user")]
#[case::activity("SELECT query FROM pg_stat_activity")]
#[case::information_schema("SELECT table_name FROM information_schema.tables")]
#[case::types("SELECT 'payroll'::regclass")]
#[case::sizes("SELECT pg_total_relation_size('payroll')")]
#[case::series("SELECT * FROM generate_series(1, 1000000000)")]
#[case::series_in_select("SELECT generate_series(1, 1000000000)")]
#[case::recursive("WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT n FROM x")]
#[case::repeat("SELECT repeat('x', 1000000000)")]
#[case::grown_by_replacing("SELECT replace(replace('aaaa', 'a', 'bbbb'), 'b', 'cccc')")]
#[case::query_in_a_string("SELECT query_to_xml('SELECT secret FROM payroll', true, true, '')")]
#[case::cursor("SELECT cursor_to_xml('x', 1, true, true, '')")]
#[case::notify("SELECT pg_notify('x', 'y')")]
#[case::advisory("SELECT pg_advisory_lock(1)")]
#[case::terminate("SELECT pg_terminate_backend(1)")]
#[case::reload("SELECT pg_reload_conf()")]
#[case::message("SELECT pg_logical_emit_message(false, 'a', 'b')")]
#[case::nul("SELECT 'a\0b'")]
#[case::parameter("SELECT $1")]
#[tokio::test]
async fn is_refused(#[case] statement: &str) {
    let source = Source::build().await;
    match source.ask(statement).await {
        Asked::Refused(refusal) => assert!(!refusal.to_string().contains(CANARY)),
        other => panic!("{statement}: {other:?}"),
    }
}

/// Allowed, and no harm: what it costs is bounded, and what it says of the tables may be said.
#[rstest]
#[case::cross_join(
    "SELECT count(*) FROM longley a, longley b, longley c, longley d, longley e, longley f, longley g, longley h, longley i, longley j, longley k, longley l, longley m"
)]
#[case::slow_expression(
    "SELECT max(regr_slope) FROM (SELECT regr_slope(a.gnp, b.pop) FROM longley a, longley b, longley c, longley d, longley e, longley f, longley g, longley h, longley i, longley j, longley k GROUP BY c.year, d.year, e.year, f.year) x"
)]
#[tokio::test]
async fn is_stopped(#[case] statement: &str) {
    let source = Source::build().await;
    match source.ask(statement).await {
        Asked::Failed(Failure::TooLong | Failure::Unreachable | Failure::Refused(_)) => {}
        other => panic!("{statement}: {other:?}"),
    }
    // And the next question is answered.
    assert_eq!(source.rows("SELECT count(*) FROM longley").await.len(), 1);
}

/// The words of the database stay there: they quote values.
#[rstest]
#[case::cast("SELECT name::integer FROM fair", "22P02")]
#[case::zero("SELECT 1 / (year - 1950) FROM longley", "22012")]
#[case::no_date("SELECT to_date(name, 'YYYY') FROM fair", "22007")]
#[case::too_large("SELECT power(CAST(gnp AS double precision), 9999) FROM longley", "22003")]
#[case::types_that_do_not_fit("SELECT year + name FROM longley, fair", "42883")]
#[tokio::test]
async fn says_nothing_but_a_code(#[case] statement: &str, #[case] code: &str) {
    let source = Source::build().await;
    match source.ask(statement).await {
        Asked::Failed(failure) => {
            assert_eq!(failure, Failure::Refused(code.into()), "{statement}");
            assert!(!failure.to_string().contains("Ada"));
        }
        other => panic!("{statement}: {other:?}"),
    }
}

/// Another table of the name, in a schema that comes first, is not what a qualified name means.
#[tokio::test]
async fn a_path_that_is_set_leads_nowhere() {
    let source = Source::build().await;
    let mut connection = source.test.connection().await;
    let path = format!(
        "ALTER ROLE {} IN DATABASE {} SET search_path = private, public",
        super::support::READER,
        source.test.name
    );
    super::support::run(&mut connection, &path).await;
    let grant = format!(
        "GRANT USAGE ON SCHEMA private TO {0}; GRANT SELECT ON private.longley TO {0}",
        super::support::READER
    );
    super::support::run(&mut connection, &grant).await;
    let rows = source.rows("SELECT year, gnp FROM longley WHERE year = 1947").await;
    assert_eq!(rows[0][1].as_deref(), Some("234100"));
}

#[tokio::test]
async fn nothing_was_written_by_any_of_it() {
    let source = Source::build().await;
    // What the guard lets through runs where nothing can be written, even by what it does not know.
    for statement in [
        "WITH x AS (INSERT INTO written VALUES ('x') RETURNING at) SELECT at FROM x",
        "SELECT lo_creat(1)::text",
        "SELECT nextval('s')::text",
    ] {
        let mut query = rooms::sql::check("SELECT year FROM longley", &allowed()).unwrap();
        query.sql = statement.into();
        let asked = store::sources::ask(&source.target, &|_| true, &query, &super::support::limits()).await;
        assert!(matches!(asked, Err(Failure::Refused(_))), "{statement}: {asked:?}");
    }
    assert_eq!(source.test.number("SELECT count(*) FROM written").await, 0);
    assert_eq!(source.test.number("SELECT count(*) FROM longley").await, 6);
}

/// A second statement does not pass, whatever writes it.
#[tokio::test]
async fn a_statement_is_one_statement_at_the_server_as_well() {
    let source = Source::build().await;
    let mut query = rooms::sql::check("SELECT year FROM longley", &allowed()).unwrap();
    query.sql = "SELECT 1) AS r(c1); COMMIT; INSERT INTO written VALUES ('x'); SELECT 1 FROM (SELECT 1".into();
    let asked = store::sources::ask(&source.target, &|_| true, &query, &super::support::limits()).await;
    assert_eq!(asked.unwrap_err(), Failure::Refused("42601".into()));
    assert_eq!(source.test.number("SELECT count(*) FROM written").await, 0);
}
