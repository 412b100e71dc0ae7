//! Tables of PostgreSQL's catalog that are always empty here, with the columns that they have in PostgreSQL 16: what Weir
//! does not have, and what it does not say of itself in this way.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Their names and columns. Before a column that is no text stands what it is: `#` a number, `?` a flag, `@` numbers, `%`
/// texts, `^` a time.
const TABLES: [(&str, &str); 69] = [
    ("pg_aggregate", "#aggfnoid aggkind #aggnumdirectargs #aggtransfn #aggfinalfn #aggtranstype agginitval"),
    ("pg_attrdef", "#oid #adrelid #adnum adbin"),
    ("pg_auth_members", "#oid #roleid #member #grantor ?admin_option ?inherit_option ?set_option"),
    (
        "pg_available_extension_versions",
        "name version ?installed ?superuser ?trusted ?relocatable schema %requires comment",
    ),
    ("pg_available_extensions", "name default_version installed_version comment"),
    ("pg_cast", "#oid #castsource #casttarget #castfunc castcontext castmethod"),
    (
        "pg_collation",
        "#oid collname #collnamespace #collowner collprovider ?collisdeterministic #collencoding collcollate collctype colliculocale \
         collicurules collversion",
    ),
    (
        "pg_constraint",
        "#oid conname #connamespace contype ?condeferrable ?condeferred ?convalidated #conrelid #contypid #conindid #conparentid \
         #confrelid confupdtype confdeltype confmatchtype ?conislocal #coninhcount ?connoinherit @conkey @confkey @conpfeqop @conppeqop \
         @conffeqop @confdelsetcols @conexclop conbin",
    ),
    ("pg_conversion", "#oid conname #connamespace #conowner #conforencoding #contoencoding #conproc ?condefault"),
    ("pg_cursors", "name statement ?is_holdable ?is_binary ?is_scrollable ^creation_time"),
    ("pg_db_role_setting", "#setdatabase #setrole %setconfig"),
    ("pg_default_acl", "#oid #defaclrole #defaclnamespace defaclobjtype %defaclacl"),
    ("pg_depend", "#classid #objid #objsubid #refclassid #refobjid #refobjsubid deptype"),
    ("pg_description", "#objoid #classoid #objsubid description"),
    ("pg_enum", "#oid #enumtypid #enumsortorder enumlabel"),
    ("pg_event_trigger", "#oid evtname evtevent #evtowner #evtfoid evtenabled %evttags"),
    ("pg_extension", "#oid extname #extowner #extnamespace ?extrelocatable extversion @extconfig %extcondition"),
    ("pg_foreign_data_wrapper", "#oid fdwname #fdwowner #fdwhandler #fdwvalidator %fdwacl %fdwoptions"),
    ("pg_foreign_server", "#oid srvname #srvowner #srvfdw srvtype srvversion %srvacl %srvoptions"),
    ("pg_foreign_table", "#ftrelid #ftserver %ftoptions"),
    ("pg_group", "groname #grosysid @grolist"),
    (
        "pg_index",
        "#indexrelid #indrelid #indnatts #indnkeyatts ?indisunique ?indnullsnotdistinct ?indisprimary ?indisexclusion ?indimmediate \
         ?indisclustered ?indisvalid ?indcheckxmin ?indisready ?indislive ?indisreplident @indkey @indcollation @indclass @indoption \
         indexprs indpred",
    ),
    ("pg_indexes", "schemaname tablename indexname tablespace indexdef"),
    ("pg_inherits", "#inhrelid #inhparent #inhseqno ?inhdetachpending"),
    ("pg_language", "#oid lanname #lanowner ?lanispl ?lanpltrusted #lanplcallfoid #laninline #lanvalidator %lanacl"),
    ("pg_largeobject_metadata", "#oid #lomowner %lomacl"),
    (
        "pg_locks",
        "locktype #database #relation #page #tuple virtualxid #transactionid #classid #objid #objsubid virtualtransaction #pid mode \
         ?granted ?fastpath ^waitstart",
    ),
    ("pg_matviews", "schemaname matviewname matviewowner tablespace ?hasindexes ?ispopulated definition"),
    ("pg_opclass", "#oid #opcmethod opcname #opcnamespace #opcowner #opcfamily #opcintype ?opcdefault #opckeytype"),
    (
        "pg_operator",
        "#oid oprname #oprnamespace #oprowner oprkind ?oprcanmerge ?oprcanhash #oprleft #oprright #oprresult #oprcom #oprnegate #oprcode \
         #oprrest #oprjoin",
    ),
    ("pg_opfamily", "#oid #opfmethod opfname #opfnamespace #opfowner"),
    (
        "pg_partitioned_table",
        "#partrelid partstrat #partnatts #partdefid @partattrs @partclass @partcollation partexprs",
    ),
    ("pg_policies", "schemaname tablename policyname permissive %roles cmd qual with_check"),
    ("pg_policy", "#oid polname #polrelid polcmd ?polpermissive @polroles polqual polwithcheck"),
    (
        "pg_prepared_statements",
        "name statement ^prepare_time %parameter_types %result_types ?from_sql #generic_plans #custom_plans",
    ),
    ("pg_prepared_xacts", "#transaction gid ^prepared owner database"),
    (
        "pg_proc",
        "#oid proname #pronamespace #proowner #prolang #procost #prorows #provariadic #prosupport prokind ?prosecdef ?proleakproof \
         ?proisstrict ?proretset provolatile proparallel #pronargs #pronargdefaults #prorettype @proargtypes @proallargtypes \
         %proargmodes %proargnames proargdefaults @protrftypes prosrc probin prosqlbody %proconfig %proacl",
    ),
    (
        "pg_publication",
        "#oid pubname #pubowner ?puballtables ?pubinsert ?pubupdate ?pubdelete ?pubtruncate ?pubviaroot",
    ),
    ("pg_publication_namespace", "#oid #pnpubid #pnnspid"),
    ("pg_publication_rel", "#oid #prpubid #prrelid prqual @prattrs"),
    ("pg_publication_tables", "pubname schemaname tablename %attnames rowfilter"),
    ("pg_range", "#rngtypid #rngsubtype #rngmultitypid #rngcollation #rngsubopc #rngcanonical #rngsubdiff"),
    ("pg_replication_slots", "slot_name plugin slot_type #datoid database ?temporary ?active #active_pid"),
    ("pg_rewrite", "#oid rulename #ev_class ev_type ev_enabled ?is_instead ev_qual ev_action"),
    ("pg_rules", "schemaname tablename rulename definition"),
    ("pg_seclabel", "#objoid #classoid #objsubid provider label"),
    ("pg_sequence", "#seqrelid #seqtypid #seqstart #seqincrement #seqmax #seqmin #seqcache ?seqcycle"),
    (
        "pg_sequences",
        "schemaname sequencename sequenceowner data_type #start_value #min_value #max_value #increment_by ?cycle #cache_size #last_value",
    ),
    ("pg_shdepend", "#dbid #classid #objid #objsubid #refclassid #refobjid deptype"),
    ("pg_shdescription", "#objoid #classoid description"),
    ("pg_shseclabel", "#objoid #classoid provider label"),
    (
        "pg_stat_activity",
        "#datid datname #pid #leader_pid #usesysid usename application_name client_addr client_hostname #client_port ^backend_start \
         ^xact_start ^query_start ^state_change wait_event_type wait_event state #backend_xid #backend_xmin #query_id query backend_type",
    ),
    (
        "pg_stat_database",
        "#datid datname #numbackends #xact_commit #xact_rollback #blks_read #blks_hit #tup_returned #tup_fetched #tup_inserted \
         #tup_updated #tup_deleted #conflicts #temp_files #temp_bytes #deadlocks ^stats_reset",
    ),
    ("pg_stat_ssl", "#pid ?ssl version cipher #bits client_dn #client_serial issuer_dn"),
    (
        "pg_stat_user_indexes",
        "#relid #indexrelid schemaname relname indexrelname #idx_scan #idx_tup_read #idx_tup_fetch",
    ),
    ("pg_statio_user_tables", "#relid schemaname relname #heap_blks_read #heap_blks_hit #idx_blks_read #idx_blks_hit"),
    ("pg_statistic_ext", "#oid #stxrelid stxname #stxnamespace #stxowner #stxstattarget @stxkeys %stxkind stxexprs"),
    ("pg_statistic_ext_data", "#stxoid ?stxdinherit stxdndistinct stxddependencies stxdmcv"),
    (
        "pg_stats",
        "schemaname tablename attname ?inherited #null_frac #avg_width #n_distinct most_common_vals most_common_freqs histogram_bounds \
         #correlation",
    ),
    (
        "pg_subscription",
        "#oid #subdbid subname #subowner ?subenabled subconninfo subslotname subsynccommit %subpublications",
    ),
    ("pg_transform", "#oid #trftype #trflang #trffromsql #trftosql"),
    (
        "pg_trigger",
        "#oid #tgrelid #tgparentid tgname #tgfoid #tgtype tgenabled ?tgisinternal #tgconstrrelid #tgconstrindid #tgconstraint \
         ?tgdeferrable ?tginitdeferred #tgnargs @tgattr tgargs tgqual tgoldtable tgnewtable",
    ),
    ("pg_ts_config", "#oid cfgname #cfgnamespace #cfgowner #cfgparser"),
    ("pg_ts_dict", "#oid dictname #dictnamespace #dictowner #dicttemplate dictinitoption"),
    ("pg_ts_parser", "#oid prsname #prsnamespace"),
    ("pg_ts_template", "#oid tmplname #tmplnamespace"),
    ("pg_user_mapping", "#oid #umuser #umserver %umoptions"),
    ("pg_user_mappings", "#umid #srvid srvname #umuser usename %umoptions"),
    ("pg_views", "schemaname viewname viewowner definition"),
];

/// Whether there is such a table.
pub(super) fn has(name: &str) -> bool {
    TABLES.iter().any(|(table, _)| *table == name)
}

/// All of them, with their columns.
pub(super) fn all() -> impl Iterator<Item = (&'static str, SchemaRef)> {
    TABLES.into_iter().map(|(name, columns)| (name, schema(columns)))
}

/// The columns of a table that is written as those of this file are.
pub(super) fn schema(columns: &str) -> SchemaRef {
    let field = |column: &str| {
        let (name, kind) = match column.split_at(1) {
            ("#", name) => (name, DataType::Int64),
            ("?", name) => (name, DataType::Boolean),
            ("@", name) => (name, DataType::new_list(DataType::Int64, true)),
            ("%", name) => (name, DataType::new_list(DataType::Utf8, true)),
            ("^", name) => (name, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
            _ => (column, DataType::Utf8),
        };
        Field::new(name, kind, true)
    };
    Arc::new(Schema::new(columns.split_whitespace().map(field).collect::<Vec<_>>()))
}
