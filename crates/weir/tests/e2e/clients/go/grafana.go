package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ofGrafana asks what Grafana's source asks: what its pickers offer, and panels with their macros written out.
func ofGrafana() {
	ctx := context.Background()
	conn := connected(pgx.QueryExecModeCacheStatement)
	// Its panels and pickers go by the simple protocol, and come back as text with the number of the type.
	asked := func(question string) (names []string, types []uint32, rows [][]string) {
		answers, err := conn.PgConn().Exec(ctx, question).ReadAll()
		well(err, question)
		for _, column := range answers[0].FieldDescriptions {
			names, types = append(names, column.Name), append(types, column.DataTypeOID)
		}
		for _, row := range answers[0].Rows {
			values := make([]string, len(row))
			for at, value := range row {
				values[at] = string(value)
			}
			rows = append(rows, values)
		}
		return names, types, rows
	}
	column := func(question string) string {
		_, _, rows := asked(question)
		values := []string{}
		for _, row := range rows {
			values = append(values, strings.Join(row, " "))
		}
		return strings.Join(values, ", ")
	}
	same("1600", column("SELECT current_setting('server_version_num')::int/100 as version"))
	same("", column("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"))
	same("live, public", column("SELECT schema_name AS \"name\" FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast') ORDER BY schema_name"))
	same("dead_letters, kinds, late_events, logs", column("SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables WHERE quote_ident(table_schema) = 'public' ORDER BY 1"))
	path := "quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END FROM generate_series(" +
		"array_lower(string_to_array(current_setting('search_path'),','),1), array_upper(string_to_array(current_setting('search_path'),','),1)) as i, " +
		"string_to_array(current_setting('search_path'),',') s)"
	same("dead_letters, kinds, late_events, logs", column("SELECT CASE WHEN "+path+" THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" "+
		"FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') ORDER BY CASE WHEN "+path+" THEN 0 ELSE 1 END, 1"))
	same("ts timestamp with time zone, level text, ms double precision, n bigint",
		column("SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE CASE WHEN array_length(parse_ident('logs'),1) = 2 "+
			"THEN quote_ident(table_schema) = (parse_ident('logs'))[1] AND quote_ident(table_name) = (parse_ident('logs'))[2] "+
			"ELSE quote_ident(table_name) = 'logs' AND "+path+" END"))

	// A panel of a series: $__timeGroupAlias(ts, '1m') and $__timeFilter(ts).
	names, types, rows := asked("SELECT floor(extract(epoch from ts)/60)*60 AS \"time\", level AS metric, avg(ms) AS value, count(*) AS n FROM logs " +
		"WHERE ts BETWEEN '2026-01-01T00:01:00Z' AND '2026-01-01T00:02:59.999Z' GROUP BY 1, 2 ORDER BY 1, 2")
	same([]string{"time", "metric", "value", "n"}, names)
	same([]uint32{701, 25, 701, 20}, types)
	same(4, len(rows))
	time, err := strconv.ParseFloat(rows[0][0], 64)
	well(err)
	same(1767225660.0, time)
	same([]string{"ERROR", "88.75", "20"}, rows[0][1:])
	// $__time(ts), $__timeEpoch, $__timeFrom and $__timeTo, $__unixEpochFilter, $__unixEpochGroup.
	_, types, rows = asked("SELECT ts AS \"time\", ms FROM logs WHERE ts >= '2026-01-01T00:00:00.123Z' AND ts < '2026-01-01T00:00:03.6Z' ORDER BY ts LIMIT 50")
	same([]uint32{1184, 701}, types)
	same([]string{"2026-01-01 00:00:00.500+00", "0.25"}, rows[0])
	same("1767225600.5", column("SELECT extract(epoch from ts) as \"time\" FROM logs ORDER BY ts LIMIT 1"))
	same("60 60, 120 60", column("SELECT floor((n)/60)*60 AS \"time\", count(*) AS c FROM logs WHERE n >= 60 AND n <= 179 GROUP BY 1 ORDER BY 1"))
	same("0.25", column("SELECT ms FROM logs WHERE n = 0 ORDER BY floor(extract(epoch from ts)/0.5)*0.5"))
	// What a variable lists, and the newest values of a column.
	same("ERROR, INFO", column("SELECT DISTINCT level FROM logs ORDER BY 1"))
	same("level ERROR, level INFO", column("SELECT 'level' AS col_name, \"level\"::text AS val FROM (SELECT DISTINCT \"level\" FROM \"public\".\"logs\" WHERE \"level\" IS NOT NULL ORDER BY \"level\" LIMIT 100) sub_0"))

	// What its newer versions ask with parameters.
	var name, kind, udt string
	var precision, scale *int
	row := conn.QueryRow(ctx, "SELECT column_name, data_type, udt_name, numeric_precision, numeric_scale FROM information_schema.columns "+
		"WHERE table_schema = $1 AND table_name = $2 AND column_name = 'n' ORDER BY ordinal_position", "public", "logs")
	well(row.Scan(&name, &kind, &udt, &precision, &scale))
	check(name == "n" && kind == "bigint" && udt == "int8" && *precision == 64 && *scale == 0, name, kind, udt)
	var table string
	well(conn.QueryRow(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 AND table_type IN ('BASE TABLE', 'VIEW') ORDER BY table_name DESC LIMIT 1", "public").Scan(&table))
	same("logs", table)
	well(conn.Close(ctx))
}
