-- What DataGrip and IntelliJ ask when they connect and introspect: the same tables, columns and functions, in our words.
-- `rows`: there are some; `nothing`: it is empty; `done`: no answer but that. Then the parameters.

-- rows
select version()
-- rows
select current_database() as a, current_schemas(false) as b
-- rows
select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) as startup_time
-- nothing
select L.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks L
where L.transactionid is not null order by pg_catalog.age(L.transactionid) desc limit 1
-- rows
select case when pg_catalog.pg_is_in_recovery() then null else (pg_catalog.txid_current() % 4294967296)::varchar::bigint end as current_txid
-- rows
select N.oid::bigint as id, datname as name, D.description, datistemplate as is_template, datallowconn as allow_connections, pg_catalog.pg_get_userbyid(N.datdba) as "owner"
from pg_catalog.pg_database N left join pg_catalog.pg_shdescription D on N.oid = D.objoid
order by case when datname = pg_catalog.current_database() then -1::bigint else N.oid::bigint end
-- rows
select N.oid::bigint as id, N.xmin as state_number, nspname as name, D.description, pg_catalog.pg_get_userbyid(N.nspowner) as "owner"
from pg_catalog.pg_namespace N left join pg_catalog.pg_description D on N.oid = D.objoid
order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
-- rows
show DateStyle
-- rows
select name, is_dst from pg_catalog.pg_timezone_names union distinct select abbrev as name, is_dst from pg_catalog.pg_timezone_abbrevs
-- rows
select R.oid::bigint as role_id, rolname as role_name, rolsuper is_super, rolinherit is_inherit, rolcreaterole can_createrole, rolcreatedb can_createdb,
rolcanlogin can_login, rolreplication is_replication, rolconnlimit conn_limit, rolvaliduntil valid_until, rolbypassrls bypass_rls, rolconfig config, D.description
from pg_catalog.pg_roles R left join pg_catalog.pg_shdescription D on D.objoid = R.oid
-- nothing
select member id, roleid role_id, admin_option from pg_catalog.pg_auth_members order by id, roleid::text
-- rows
select T.oid::bigint as id, T.spcname as name, T.xmin as state_number, pg_catalog.pg_get_userbyid(T.spcowner) as owner,
pg_catalog.pg_tablespace_location(T.oid) as location, T.spcoptions as options, D.description as comment
from pg_catalog.pg_tablespace T left join pg_catalog.pg_shdescription D on D.objoid = T.oid
-- rows
select T.oid as object_id, T.spcacl as acl from pg_catalog.pg_tablespace T union all select T.oid as object_id, T.datacl as acl from pg_catalog.pg_database T
-- nothing
SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = 1034 and t.typelem = e.oid
-- nothing
select ssl from pg_stat_ssl where pid = pg_backend_pid()
-- rows schema
select T.oid table_id, T.relkind table_kind, T.relname table_name, T.xmin::text::bigint as state_number, T.relhassubclass, T.relpersistence, T.relispartition,
pg_catalog.pg_get_userbyid(T.relowner) as "owner", D.description
from pg_catalog.pg_class T left join pg_catalog.pg_description D on D.objoid = T.oid and D.objsubid = 0
where relnamespace = ?::oid and relkind in ('r', 'm', 'v', 'f', 'p') order by table_kind, table_id
-- rows schema
select C.attrelid as object_id, C.attname as column_name, C.attnum as column_position, C.atttypid as type_id, C.atttypmod as type_mod,
format_type(C.atttypid, C.atttypmod) as type_spec, C.attnotnull as mandatory, pg_get_expr(D.adbin, C.attrelid) as default_expression, C.attisdropped as is_dropped
from pg_catalog.pg_class T join pg_catalog.pg_attribute C on T.oid = C.attrelid
left join pg_catalog.pg_attrdef D on (C.attrelid, C.attnum) = (D.adrelid, D.adnum)
where T.relnamespace = ?::oid and T.relkind in ('r', 'v') and C.attnum > 0 order by object_id, column_position
-- rows
select T.oid as type_id, T.typname as type_name, T.typtype as type_kind, T.typcategory, format_type(T.typbasetype, T.typtypmod) as type_def, T.typelem
from pg_catalog.pg_type T where T.typnamespace = 11 order by 1
