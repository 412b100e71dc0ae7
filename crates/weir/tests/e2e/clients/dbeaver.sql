-- What DBeaver asks when it connects, opens the tree and looks at a table: the same tables, columns and functions,
-- in our words. `rows`: there are some; `nothing`: it is empty; `done`: no answer but that. Then the parameters.

-- done
SET extra_float_digits = 3
-- done
SET application_name = 'DBeaver 25.1.5 - Main <weir>'
-- rows
SELECT current_schema(), session_user
-- rows
SHOW search_path
-- rows
SELECT version()
-- rows
SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
ORDER BY nspname
-- rows
SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 20
-- rows
SELECT typinput = 'pg_catalog.array_in'::regproc AS is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type
LEFT JOIN (SELECT ns.oid AS nspoid, ns.nspname, r.r FROM pg_namespace AS ns
  JOIN (SELECT s.r, (current_schemas(false))[s.r] AS nspname FROM generate_series(1, array_upper(current_schemas(false), 1)) AS s(r)) AS r
  USING (nspname)) AS sp ON sp.nspoid = typnamespace
WHERE pg_type.oid = 20 ORDER BY sp.r, pg_type.oid DESC
-- rows weir
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datname = ?
-- rows
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE 1 = 1 AND datallowconn AND NOT datistemplate OR db.datname = 'weir' ORDER BY db.datname
-- rows
SELECT db.datname, pg_database_size(db.oid) FROM pg_catalog.pg_database db
-- rows
SELECT * FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'
-- rows
SELECT * FROM pg_catalog.pg_settings
-- rows
SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{a,abs,absolute,add,all,select}'::text[])
-- nothing
SELECT * FROM pg_catalog.pg_enum WHERE 1 <> 1 LIMIT 1
-- nothing
SELECT reltype FROM pg_catalog.pg_class WHERE 1 <> 1 LIMIT 1
-- rows
SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description
FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')
-- rows
SELECT a.oid, a.*, pd.description FROM pg_catalog.pg_roles a LEFT JOIN pg_catalog.pg_shdescription pd ON a.oid = pd.objoid ORDER BY a.rolname
-- rows
SELECT am.oid, am.* FROM pg_catalog.pg_am am ORDER BY am.oid
-- nothing
SELECT c.contoencoding AS encid, pg_catalog.pg_encoding_to_char(c.contoencoding) AS encname FROM pg_catalog.pg_conversion c
GROUP BY c.contoencoding ORDER BY 2
-- nothing
SELECT l.oid, l.* FROM pg_catalog.pg_language l ORDER BY l.oid
-- nothing
SELECT l.oid, l.*, p.pronamespace AS handler_schema_id FROM pg_catalog.pg_foreign_data_wrapper l
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = l.fdwhandler ORDER BY l.fdwname
-- nothing
SELECT l.oid, l.* FROM pg_catalog.pg_foreign_server l ORDER BY l.srvname
-- rows
SELECT t.oid, t.* FROM pg_catalog.pg_tablespace t ORDER BY t.oid
-- nothing
SELECT e.oid, e.*, n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.oid
-- nothing
SELECT name, default_version, installed_version, comment FROM pg_catalog.pg_available_extensions ORDER BY name
-- nothing
SELECT e.oid, e.*, p.proname FROM pg_catalog.pg_event_trigger e LEFT JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid ORDER BY e.evtname
-- nothing
SELECT p.oid, p.* FROM pg_catalog.pg_publication p
-- nothing
SELECT s.oid, s.* FROM pg_catalog.pg_subscription s
-- nothing
SELECT u.umid, u.srvid, u.umuser FROM pg_catalog.pg_user_mappings u
-- nothing
SELECT sa.* FROM pg_catalog.pg_stat_activity sa
-- nothing
SELECT sa.* FROM pg_catalog.pg_stat_activity sa WHERE sa.state IS NULL OR sa.state NOT LIKE 'idle%'
-- nothing
SELECT coalesce(blockingl.relation::regclass::text, blockingl.locktype) AS locked_item, blockedl.pid AS blocked_pid
FROM pg_catalog.pg_locks blockedl JOIN pg_catalog.pg_locks blockingl ON blockingl.relation = blockedl.relation
-- rows schema
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = ? AND c.relkind NOT IN ('i', 'I', 'c')
-- rows schema logs
SELECT c.oid, c.*, d.description FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = ? AND c.relkind NOT IN ('i', 'I', 'c') AND c.relname = ?
-- rows schema
SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) AS total_rel_size, pg_catalog.pg_relation_size(c.oid) AS rel_size
FROM pg_class c WHERE c.relnamespace = ?
-- rows table
SELECT pg_catalog.pg_total_relation_size(?), pg_catalog.pg_stat_get_numscans(1)
-- rows table
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid
FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 'c') AND c.oid = ? ORDER BY a.attnum
-- rows schema
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description
FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
WHERE NOT a.attisdropped AND c.relnamespace = ? AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY a.attnum
-- nothing table
SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description,
CASE WHEN c.contype = 'c' THEN substring(pg_get_constraintdef(c.oid), 7) ELSE NULL END consrc_copy
FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass
WHERE c.conrelid = ? ORDER BY c.oid
-- nothing schema
SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description,
pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr,
pg_catalog.pg_relation_size(i.indexrelid) AS index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) AS index_num_scans
FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE c.relnamespace = ? ORDER BY tabrelname, c.relname
-- nothing table
SELECT i.inhparent, c.relnamespace FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c WHERE i.inhrelid = ? AND c.oid = i.inhparent ORDER BY i.inhseqno
-- nothing schema
SELECT p.oid AS poid, p.*, pg_catalog.pg_get_expr(p.proargdefaults, 0) AS arg_defaults, d.description FROM pg_catalog.pg_proc p
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid WHERE p.pronamespace = ? ORDER BY p.proname
-- nothing schema
SELECT p.oid, a.*, p.proname FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid WHERE p.pronamespace = ?
-- nothing table
SELECT x.oid, x.*, p.pronamespace AS func_schema_id, d.description, pg_catalog.pg_get_triggerdef(x.oid) FROM pg_catalog.pg_trigger x
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = x.oid AND d.objsubid = 0 WHERE x.tgrelid = ? AND NOT x.tgisinternal
-- nothing table
SELECT r.oid, r.* FROM pg_catalog.pg_rewrite r WHERE r.ev_class = ? ORDER BY r.rulename
-- nothing public logs
SELECT * FROM pg_catalog.pg_policies WHERE schemaname = ? AND tablename = ?
-- nothing schema
SELECT c.oid, c.relname, s.* FROM pg_catalog.pg_sequences s JOIN pg_catalog.pg_class c ON c.relname = s.sequencename WHERE c.relnamespace = ?
-- nothing table
SELECT DISTINCT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname, pg_get_expr(ad.adbin, ad.adrelid) adefval
FROM pg_depend dep LEFT JOIN pg_class cl ON dep.objid = cl.oid
LEFT JOIN pg_attribute attr ON dep.objid = attr.attrelid AND dep.objsubid = attr.attnum
LEFT JOIN pg_attrdef ad ON ad.oid = dep.objid WHERE dep.refobjid = ? ORDER BY dep.classid
-- rows public logs
SELECT * FROM information_schema.table_privileges WHERE table_schema = ? AND table_name = ?
-- nothing
SELECT * FROM information_schema.column_privileges WHERE table_schema = 'elsewhere'
-- rows table
SELECT relacl FROM pg_catalog.pg_class WHERE oid = ?
-- nothing
SELECT a.rolname, m.* FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles a ON a.oid = m.roleid ORDER BY 1
-- rows schema
SELECT x.oid, x.relname FROM pg_catalog.pg_class x WHERE x.relkind IN ('r', 'v', 'm') AND x.relname ILIKE 'LO%' AND x.relnamespace IN (?) ORDER BY x.relname LIMIT 100
-- rows
SELECT x.attname, x.attrelid FROM pg_catalog.pg_attribute x, pg_catalog.pg_class c
WHERE c.oid = x.attrelid AND x.attname LIKE '%v%' ORDER BY x.attname LIMIT 100
-- rows
SELECT count(*) FROM public.logs
-- rows
SELECT x.* FROM public.logs x
