//! What tools ask PostgreSQL's catalog when they look around, in their own words.

use expect_test::{Expect, expect};

use crate::testing::{Stage, ask, many, shown, value};

fn check(sql: &str, expected: Expect) {
    let stage = Stage::with_logs(&[many(0, 10)], &[]);
    expected.assert_eq(&format!("{}\n", shown(&stage.engine(), sql)));
}

fn rows(sql: &str) -> usize {
    let stage = Stage::with_logs(&[many(0, 10)], &[]);
    ask(&stage.engine(), sql).unwrap_or_else(|error| panic!("{sql}: {error}")).num_rows()
}

#[test]
fn psql_lists_tables() {
    check(
        "SELECT n.nspname as \"Schema\", c.relname as \"Name\", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as \"Type\", \
         pg_catalog.pg_get_userbyid(c.relowner) as \"Owner\" FROM pg_catalog.pg_class c \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam \
         WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' \
         AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2;",
        expect![[r#"
            +--------+------+-------+-------+
            | Schema | Name | Type  | Owner |
            +--------+------+-------+-------+
            | public | logs | table | weir  |
            +--------+------+-------+-------+
        "#]],
    );
}

#[test]
fn psql_describes_a_table() {
    let oid = "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relname OPERATOR(pg_catalog.~) '^(logs)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;";
    assert_eq!(rows(oid), 1);
    let oid = {
        let stage = Stage::with_logs(&[many(0, 10)], &[]);
        value(&stage.engine(), "SELECT oid FROM pg_catalog.pg_class WHERE relname = 'logs'")
    };
    let about = format!(
        "SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity, c.relforcerowsecurity, \
         false AS relhasoids, c.relispartition, '', c.reltablespace, CASE WHEN c.reloftype = 0 THEN '' ELSE \
         c.reloftype::pg_catalog.regtype::pg_catalog.text END, c.relpersistence, c.relreplident, am.amname \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid) \
         LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = '{oid}';"
    );
    assert_eq!(rows(&about), 1);
    let columns = format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) \
         FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, \
         (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation AND t.oid = a.atttypid \
         AND a.attcollation <> t.typcollation) AS attcollation, a.attidentity, a.attgenerated \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;"
    );
    let stage = Stage::with_logs(&[many(0, 10)], &[]);
    let told = ask(&stage.engine(), &columns).unwrap_or_else(|error| panic!("{columns}: {error}"));
    let text = |column: usize, row| {
        let mut out = Vec::new();
        crate::encode::Values::new(told.column(column)).plain(row, &mut out);
        String::from_utf8(out).expect("names are text")
    };
    let told: Vec<String> = (0..told.num_rows()).map(|row| format!("{} {}", text(0, row), text(1, row))).collect();
    let expected = ["ts timestamp with time zone", "level text", "message text", "took double precision", "n bigint"];
    assert_eq!(told, expected);
}

#[test]
fn what_weir_does_not_have_is_empty() {
    for sql in [
        "SELECT pol.polname, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from \
         pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '7' ORDER BY 1;",
        "SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp, 'd' = any(stxkind) AS ndist_enabled \
         FROM pg_catalog.pg_statistic_ext WHERE stxrelid = '7' ORDER BY nsp",
        "SELECT pubname , NULL , NULL FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid \
         UNION SELECT pubname , pg_get_expr(pr.prqual, c.oid) , (CASE WHEN pr.prattrs IS NOT NULL THEN (SELECT string_agg(attname, ', ') \
         FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute \
         WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END) FROM pg_catalog.pg_publication p \
         JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid ORDER BY 1;",
        "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhparent",
        "SELECT * FROM pg_enum",
        "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,\
         pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,\
         pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c \
         ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc \
         ON i.indexrelid=dsc.objoid WHERE i.indrelid=7 ORDER BY tabrelname, c.relname",
        "SELECT result.TABLE_CAT, result.COLUMN_NAME, result.KEY_SEQ FROM (SELECT current_database() AS TABLE_CAT, a.attname AS COLUMN_NAME, \
         (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM \
         FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid) \
         WHERE true AND ct.relname = 'logs' AND i.indisprimary ) result where result.A_ATTNUM = (result.KEYS).x ORDER BY result.KEY_SEQ",
        "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description FROM pg_catalog.pg_constraint c \
         INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid \
         LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass \
         WHERE c.conrelid=7 ORDER BY c.oid",
    ] {
        assert_eq!(rows(sql), 0, "{sql}");
    }
    assert_eq!(rows("SELECT count(*) FROM pg_catalog.pg_trigger"), 1, "a count is a row");
}

#[test]
fn drivers_find_tables_and_columns() {
    let of_jdbc = "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, d.description AS REMARKS \
         FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d \
         ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND c.relname LIKE 'logs'";
    assert_eq!(rows(of_jdbc), 1);
    let columns = "SELECT * FROM (SELECT n.nspname,c.relname,a.attname,a.atttypid,a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,\
         a.atttypmod,a.attlen,t.typtypmod,row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,\
         pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype FROM pg_catalog.pg_namespace n \
         JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid) \
         JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum) \
         LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT JOIN pg_catalog.pg_class dc \
         ON (dc.oid=dsc.classoid AND dc.relname='pg_class') LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog') \
         WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped AND n.nspname LIKE 'public' AND c.relname LIKE 'logs') c \
         WHERE true ORDER BY nspname,c.relname,attnum";
    assert_eq!(rows(columns), 5);
    // In DBeaver's words, and psql's.
    for sql in [
        "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d \
         ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname",
        "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE 1=1 AND datallowconn AND NOT datistemplate OR db.datname ='weir' ORDER BY db.datname",
        "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description FROM pg_catalog.pg_type t \
         LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid \
         LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') \
         AND (et.typcategory IS NULL OR et.typcategory <> 'C')",
        "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key \
         FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass \
         WHERE c.relkind not in ('i','I','c')",
        "SELECT d.datname as \"Name\", pg_catalog.pg_get_userbyid(d.datdba) as \"Owner\", pg_catalog.pg_encoding_to_char(d.encoding) as \"Encoding\", \
         d.datcollate as \"Collate\", d.datctype as \"Ctype\", d.daticulocale as \"ICU Locale\", CASE d.datlocprovider WHEN 'c' THEN 'libc' \
         WHEN 'i' THEN 'icu' END AS \"Locale Provider\", pg_catalog.array_to_string(d.datacl, E'\\n') AS \"Access privileges\" \
         FROM pg_catalog.pg_database d ORDER BY 1;",
        "SELECT t.typname,t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON (t.typnamespace = n.oid)  WHERE n.nspname  != 'pg_toast' \
         AND  (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) ORDER BY 1",
        "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   \
         LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns join ( select s.r, (current_schemas(false))[s.r] as nspname \
         from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r using ( nspname ) ) as sp ON sp.nspoid = typnamespace  \
         WHERE typname = 'int8'  ORDER BY sp.r, pg_type.oid DESC",
        "SELECT a.oid,a.* FROM pg_catalog.pg_roles a ORDER BY a.rolname",
        "SELECT t.oid,t.* FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
        "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid \
         FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad \
         ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) \
         LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid \
         WHERE NOT a.attisdropped AND c.relname = 'logs' ORDER BY a.attnum",
        "SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolconnlimit, r.rolvaliduntil, \
         ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) \
         as memberof, r.rolreplication, r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1;",
        "SELECT current_schema(), current_database(), version(), session_user",
        "SELECT current_setting('server_version_num')::int / 100 AS version",
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY(current_schemas(true))",
    ] {
        assert!(rows(sql) > 0, "{sql}");
    }
}

#[test]
fn a_table_of_ours_may_be_called_as_one_of_the_catalog() {
    let stage = Stage::new();
    stage.table("pg_class", crate::testing::logs_schema(), &[many(0, 3)], &[]);
    assert_eq!(value(&stage.engine(), "SELECT count(*) FROM pg_class"), "3");
    assert_eq!(value(&stage.engine(), "SELECT count(*) FROM pg_catalog.pg_class"), "1");
}

#[test]
fn the_standards_tables_say_what_postgresql_would() {
    check(
        "SELECT column_name, ordinal_position AS at, data_type, udt_name, numeric_precision AS digits, numeric_scale AS scale, is_nullable \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'logs' ORDER BY ordinal_position",
        expect![[r#"
            +-------------+----+--------------------------+-------------+--------+-------+-------------+
            | column_name | at | data_type                | udt_name    | digits | scale | is_nullable |
            +-------------+----+--------------------------+-------------+--------+-------+-------------+
            | ts          | 1  | timestamp with time zone | timestamptz |        |       | YES         |
            | level       | 2  | text                     | text        |        |       | YES         |
            | message     | 3  | text                     | text        |        |       | YES         |
            | took        | 4  | double precision         | float8      | 53     |       | YES         |
            | n           | 5  | bigint                   | int8        | 64     | 0     | YES         |
            +-------------+----+--------------------------+-------------+--------+-------+-------------+
        "#]],
    );
    for (sql, count) in [
        ("SELECT * FROM information_schema.tables WHERE table_type = 'BASE TABLE'", 1),
        ("SELECT schema_name FROM information_schema.schemata", 4),
        ("SELECT * FROM information_schema.table_privileges WHERE privilege_type = 'SELECT'", 1),
        ("SELECT * FROM information_schema.table_constraints", 0),
        ("SELECT * FROM information_schema.views", 0),
    ] {
        assert_eq!(rows(sql), count, "{sql}");
    }
}

#[test]
fn rights_are_those_to_read() {
    for (sql, wanted) in [
        ("SELECT has_table_privilege('logs', 'SELECT')", "true"),
        ("SELECT pg_catalog.has_any_column_privilege(current_user, 'logs', 'select, update')", "false"),
        ("SELECT has_table_privilege(user, 'logs', 'insert')", "false"),
        ("SELECT has_schema_privilege('public', 'usage')", "true"),
    ] {
        let stage = Stage::with_logs(&[many(0, 10)], &[]);
        assert_eq!(value(&stage.engine(), sql), wanted, "{sql}");
    }
}

#[test]
fn lists_are_written_as_texts_too() {
    for (sql, wanted) in [
        ("SELECT count(*) FROM logs WHERE level = ANY('{WARN,ERROR}')", "6"),
        ("SELECT count(*) FROM logs WHERE n = ANY('{1,2,77}'::bigint[])", "2"),
        ("SELECT count(*) FROM logs WHERE level <> ALL ('{WARN,\"x y\"}'::text[])", "7"),
        ("SELECT count(*) > 100 FROM pg_catalog.pg_get_keywords() WHERE catcode = 'U'", "true"),
    ] {
        let stage = Stage::with_logs(&[many(0, 10)], &[]);
        assert_eq!(value(&stage.engine(), sql), wanted, "{sql}");
    }
}

#[test]
fn placeholders_are_counted_and_typed_where_the_text_does_not_say() {
    use arrow::datatypes::DataType::{self, Int32, Int64, List, Utf8, Utf8View};
    let stage = Stage::with_logs(&[many(0, 10)], &[]);
    let engine = stage.engine();
    let told = |sql: &str, declared: &[Option<DataType>]| {
        let described = crate::testing::block_on(engine.describe(sql, declared));
        let described = described.unwrap_or_else(|error| panic!("{sql}: {error}"));
        (
            described.parameters,
            described.schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(told("SELECT $1 AS a", &[Some(Int32)]), (vec![Some(Int32)], vec![Int32]));
    assert_eq!(told("SELECT $1 AS a", &[]), (vec![None], vec![Utf8]));
    let list = |kind| Some(List(arrow::datatypes::Field::new_list_field(kind, true).into()));
    assert_eq!(told("SELECT n FROM logs WHERE level = ANY($1) AND n = ANY($2)", &[]).0, [list(Utf8View), list(Int64)]);
    assert_eq!(told("SELECT n FROM logs WHERE n < $2 LIMIT $1", &[]).0, [Some(Int64), Some(Int64)]);
    // What needs no plan has its placeholders all the same.
    assert_eq!(
        told("SELECT c.oid FROM pg_catalog.pg_constraint c WHERE c.conrelid = $1 AND c.conname = $2", &[]).0,
        [None, None]
    );
}
