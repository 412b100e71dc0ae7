// Go's drivers of PostgreSQL against a running server: pgx, as Grafana's source uses it, and lib/pq, as its older ones
// do. clients CHAPTER HOST:PORT; it ends with `well`, or says what was not as it has to be.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/lib/pq"
)

// More than can be counted while anybody waits.
const endless = "SELECT count(*) AS c FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3"

var address string
var moment = time.Date(2026, 1, 1, 0, 0, 3, 500_000_000, time.UTC)

func main() {
	address = os.Args[2]
	switch os.Args[1] {
	case "pgx":
		ofPgx()
	case "pq":
		ofPq()
	case "grafana":
		ofGrafana()
	}
	fmt.Println("well")
}

func check(right bool, said ...any) {
	if !right {
		panic(fmt.Sprint(said...))
	}
}

func well(err error, said ...any) {
	check(err == nil, append(said, ": ", err)...)
}

func same(wanted, found any, said ...any) {
	check(reflect.DeepEqual(wanted, found), append(said, fmt.Sprintf(": wanted %v (%T), found %v (%T)", wanted, wanted, found, found))...)
}

// connected is a connection of pgx that asks the server to stop what is cancelled.
func connected(mode pgx.QueryExecMode) *pgx.Conn {
	config, err := pgx.ParseConfig("postgresql://ann@" + address + "/weir")
	well(err)
	config.DefaultQueryExecMode = mode
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Minute}
	}
	conn, err := pgx.ConnectConfig(context.Background(), config)
	well(err)
	return conn
}

func ofPgx() {
	ctx := context.Background()
	modes := []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
	for _, mode := range modes {
		conn := connected(mode)
		for round := 0; round < 2; round++ {
			values(ctx, conn, mode)
			finds(ctx, conn, mode)
		}
		_, err := conn.Exec(ctx, "INSERT INTO logs (n) VALUES (1)")
		fails(err, "25006", "is not a question")
		_, err = conn.Exec(ctx, "SELECT leve FROM logs")
		fails(err, "42703", "leve")
		cancelled, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err = conn.Exec(cancelled, endless)
		cancel()
		fails(err, "57014", "cancelled")
		var one int
		well(conn.QueryRow(ctx, "SELECT 1 AS one").Scan(&one), mode)
		same(1, one, mode)
		well(conn.Ping(ctx), mode)
		inTransaction(ctx, conn, mode)
		well(conn.Close(ctx))
	}
	manyAtOnce(ctx)
}

// values is a row with each type, as Go has it.
func values(ctx context.Context, conn *pgx.Conn, mode pgx.QueryExecMode) {
	rows, err := conn.Query(ctx, "SELECT level, n, ms, ts, ok, note, tags, who, CAST(n AS smallint) AS small, CAST(n AS int) AS whole, CAST(ms AS real) AS half, "+
		"CAST(ms AS decimal(12, 3)) AS exact, CAST(ts AS date) AS day, CAST(ts AS timestamp) AS local, NULL AS nothing, arrow_cast(n, 'UInt64') AS large "+
		"FROM kinds WHERE n >= $1 ORDER BY n LIMIT 1", int64(3))
	well(err, mode)
	check(rows.Next(), mode, ": no row: ", rows.Err())
	found, err := rows.Values()
	well(err, mode)
	same("ERROR", found[0], mode)
	same(int64(3), found[1], mode)
	same(3.25, found[2], mode)
	check(found[3].(time.Time).Equal(moment), mode, found[3])
	same(false, found[4], mode)
	same(nil, found[5], mode)
	same([]any{"a", "b"}, found[6], mode)
	same(map[string]any{"name": "x", "age": 3.0}, found[7], mode)
	same(int16(3), found[8], mode)
	same(int32(3), found[9], mode)
	same(float32(3.25), found[10], mode)
	exact, err := found[11].(pgtype.Numeric).Float64Value()
	well(err, mode)
	same(3.25, exact.Float64, mode)
	check(found[12].(time.Time).Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), mode, found[12])
	check(found[13].(time.Time).Equal(moment), mode, found[13])
	same(nil, found[14], mode)
	large, err := found[15].(pgtype.Numeric).Int64Value()
	well(err, mode)
	same(int64(3), large.Int64, mode)
	check(!rows.Next(), mode, ": two rows")
	well(rows.Err(), mode)
}

func finds(ctx context.Context, conn *pgx.Conn, mode pgx.QueryExecMode) {
	find := func(condition string, arguments ...any) {
		var n int64
		well(conn.QueryRow(ctx, "SELECT n FROM kinds WHERE "+condition, arguments...).Scan(&n), mode, ": ", condition)
		same(int64(3), n, mode, condition)
	}
	find("n = $1", 3)
	find("n = $1 AND level = $2", int32(3), "ERROR")
	find("ms = $1", 3.25)
	find("ts = $1", moment)
	find("ts BETWEEN $1 AND $2 AND n = 3", moment.Add(-time.Minute), moment.Add(time.Minute))
	find("n = 3 AND note IS NOT DISTINCT FROM $1", nil)
	find("n IN ($1, $2)", 3, -7)
	if mode == pgx.QueryExecModeSimpleProtocol {
		// Each value is a text between quotes in the question there, and has to be cast where a text is none.
		find("n = $1::bigint + 1 AND ok = $2::boolean", 2, false)
		return
	}
	find("n = $1 + 1", 2)
	find("CAST(ms AS decimal(12, 3)) = $1", 3.25)
	find("arrow_cast(n, 'UInt64') = $1", 3)
	find("arrow_cast(n, 'UInt32') = $1", 3)
	find("arrow_cast(n, 'UInt8') = $1", 3)
	find("arrow_cast(level, 'Dictionary(Int32, Utf8)') = $1 AND n = 3", "ERROR")
	find("n = 3 AND ok = $1", false)
	find("n = 3 AND CAST(ts AS timestamp) = $1", moment)
	find("n = 3 AND CAST(ts AS date) = $1", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	find("n = 3 AND coalesce($1, 'x') = 'x'", (*string)(nil))
	find("n >= 3 ORDER BY n LIMIT $1", 1)
	find("n = ANY($1)", []int64{3, -7})
	find("n = 3 AND level = ANY($1)", []string{"WARN", "ERROR"})
}

func inTransaction(ctx context.Context, conn *pgx.Conn, mode pgx.QueryExecMode) {
	work, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead})
	well(err, mode)
	_, err = work.Exec(ctx, "SELECT nothing FROM logs")
	fails(err, "42703", "nothing")
	_, err = work.Exec(ctx, "SELECT 1")
	fails(err, "25P02", "failed")
	well(work.Rollback(ctx), mode)
	work, err = conn.Begin(ctx)
	well(err, mode)
	var count int
	well(work.QueryRow(ctx, "SELECT count(*) FROM logs").Scan(&count), mode)
	same(600, count, mode)
	well(work.Commit(ctx), mode)
}

// manyAtOnce sends questions without waiting for the answers before.
func manyAtOnce(ctx context.Context) {
	conn := connected(pgx.QueryExecModeCacheStatement)
	batch := &pgx.Batch{}
	for n := range 20 {
		batch.Queue("SELECT count(*) FROM logs WHERE n < $1", n)
	}
	answers := conn.SendBatch(ctx, batch)
	for n := range 20 {
		var count int
		well(answers.QueryRow().Scan(&count), n)
		same(n, count)
	}
	well(answers.Close())
	well(conn.Close(ctx))
}

func ofPq() {
	ctx := context.Background()
	for _, options := range []string{"", "&binary_parameters=yes"} {
		pool, err := sql.Open("postgres", "postgresql://ann:secret@"+address+"/weir?sslmode=disable"+options)
		well(err)
		well(pool.PingContext(ctx), options)
		for range 2 {
			var level string
			var note sql.NullString
			var n int64
			var exact float64
			var ts time.Time
			row := pool.QueryRowContext(ctx, "SELECT level, note, n, CAST(ms AS decimal(12, 3)), ts FROM kinds WHERE n = $1 AND ms < $2 AND ts <= $3 AND level = $4",
				3, 4.5, moment, "ERROR")
			well(row.Scan(&level, &note, &n, &exact, &ts), options)
			check(level == "ERROR" && !note.Valid && n == 3 && exact == 3.25 && ts.Equal(moment), level, note, n, exact, ts)
		}
		asked, err := pool.PrepareContext(ctx, "SELECT count(*) FROM logs WHERE n < $1")
		well(err, options)
		for n := range 4 {
			var count int
			well(asked.QueryRowContext(ctx, n).Scan(&count), options)
			same(n, count, options)
		}
		well(asked.Close())
		types, err := pool.QueryContext(ctx, "SELECT n, ms, ts, level, ok FROM kinds LIMIT 0")
		well(err, options)
		names, err := types.ColumnTypes()
		well(err, options)
		said := ""
		for _, name := range names {
			said += name.DatabaseTypeName() + " "
		}
		same("INT8 FLOAT8 TIMESTAMPTZ TEXT BOOL ", said, options)
		well(types.Close())
		_, err = pool.ExecContext(ctx, "DELETE FROM logs")
		var told *pq.Error
		check(errors.As(err, &told) && told.Code == "25006", options, err)
		cancelled, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err = pool.ExecContext(cancelled, endless)
		cancel()
		check(err != nil && (errors.As(err, &told) && told.Code == "57014" || errors.Is(err, context.DeadlineExceeded)), options, err)
		well(pool.PingContext(ctx), options)
		well(pool.Close())
	}
}

func fails(err error, code, part string) {
	var told *pgconn.PgError
	check(errors.As(err, &told), "no error of the server: ", err)
	same(code, told.Code, told.Message)
	check(contains(told.Message, part), told.Message)
}

func contains(text, part string) bool {
	for at := 0; at+len(part) <= len(text); at++ {
		if text[at:at+len(part)] == part {
			return true
		}
	}
	return false
}
