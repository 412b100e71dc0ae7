// PostgreSQL's JDBC driver against a running server: java -cp DRIVER Jdbc.java CHAPTER HOST:PORT [FILES].
// A chapter ends with `well`, or with an exception that says what was not as it has to be.

import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.util.PSQLException;

public class Jdbc {
    /** More than can be counted while anybody waits. */
    static final String ENDLESS =
        "SELECT count(*) AS c FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3";

    static String address;

    public static void main(String[] arguments) throws Exception {
        address = arguments[1];
        switch (arguments[0]) {
            case "browses" -> browses();
            case "asks" -> asks();
            case "binds" -> binds();
            case "lasts" -> lasts();
            case "looks" -> looks(Arrays.copyOfRange(arguments, 2, arguments.length));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.out.println("well");
    }

    // --- What the driver says of the server and its tables.

    static void browses() throws SQLException {
        try (Connection connection = connected()) {
            DatabaseMetaData about = connection.getMetaData();
            same("PostgreSQL", about.getDatabaseProductName());
            check(about.getDatabaseMajorVersion() >= 16, about.getDatabaseProductVersion());
            same("weir", connection.getCatalog());
            same("public", connection.getSchema());
            same(List.of("weir"), column(about.getCatalogs(), "TABLE_CAT"));
            List<String> schemas = column(about.getSchemas(), "TABLE_SCHEM");
            check(schemas.containsAll(List.of("public", "live", "pg_catalog", "information_schema")), schemas);
            same(List.of("public"), column(about.getSchemas(null, "pub%"), "TABLE_SCHEM"));
            List<String> tables = List.of("dead_letters", "kinds", "late_events", "logs");
            same(tables, column(about.getTables("weir", "public", "%", new String[] {"TABLE"}), "TABLE_NAME"));
            same(tables, column(about.getTables(null, "public", null, null), "TABLE_NAME"));
            same(List.of("logs"), column(about.getTables(null, null, "lo%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME"));
            check(column(about.getTableTypes(), "TABLE_TYPE").contains("TABLE"), "types of tables");

            List<String> columns = new ArrayList<>();
            ResultSet found = about.getColumns(null, "public", "kinds", "%");
            while (found.next()) {
                columns.add(found.getString("COLUMN_NAME") + " " + found.getString("TYPE_NAME") + " " + found.getInt("DATA_TYPE"));
                check(found.getInt("NULLABLE") == DatabaseMetaData.columnNullable, found.getString("COLUMN_NAME"));
            }
            same(List.of(
                "level text " + Types.VARCHAR, "ms float8 " + Types.DOUBLE, "n int8 " + Types.BIGINT, "note text " + Types.VARCHAR,
                "ok bool " + Types.BIT, "tags json " + Types.OTHER, "ts timestamptz " + Types.TIMESTAMP, "who json " + Types.OTHER),
                columns.stream().sorted().toList());
            same(List.of("level"), column(about.getColumns("weir", "public", "logs", "l%"), "COLUMN_NAME"));

            // What there is none of.
            for (ResultSet none : List.of(
                about.getPrimaryKeys(null, "public", "logs"), about.getImportedKeys(null, "public", "logs"),
                about.getExportedKeys(null, "public", "logs"), about.getCrossReference(null, "public", "logs", null, "public", "kinds"),
                about.getIndexInfo(null, "public", "logs", false, true), about.getBestRowIdentifier(null, "public", "logs", 1, true),
                about.getFunctions(null, null, "%"),
                about.getFunctionColumns(null, null, "%", "%"), about.getProcedures(null, null, "%"),
                about.getProcedureColumns(null, null, "%", "%"), about.getUDTs(null, null, "%", null))) {
                check(!none.next(), "something is there that cannot be");
            }
            check(column(about.getTypeInfo(), "TYPE_NAME").containsAll(List.of("int8", "text", "timestamptz", "json", "numeric")), "types");
            column(about.getTablePrivileges(null, "public", "logs"), "TABLE_NAME");
            column(about.getColumnPrivileges(null, "public", "logs", "%"), "TABLE_NAME");
            column(about.getClientInfoProperties(), "NAME");
            check(about.getSQLKeywords().length() > 0, "words of SQL");
            check(about.getMaxColumnNameLength() > 0 && about.getMaxIndexLength() >= 0, "lengths of names");
            same("PostgreSQL", about.getDatabaseProductName());
        }
    }

    // --- Questions and their answers.

    static void asks() throws SQLException {
        // With a password, without a user of its own, and whatever is wished of encryption as long as it may be done without.
        for (String options : List.of("user=ann&password=secret", "user=ann", "user=ann&sslmode=disable", "user=ann&sslmode=prefer&gssEncMode=prefer")) {
            try (Connection connection = DriverManager.getConnection("jdbc:postgresql://" + address + "/weir?" + options)) {
                check(connection.isValid(5), options);
            }
        }
        PSQLException refused = fails(() -> DriverManager.getConnection("jdbc:postgresql://" + address + "/weir?user=ann&sslmode=require"));
        check(refused.getMessage().contains("SSL"), refused);

        for (String mode : List.of("extended", "simple", "extendedForPrepared", "extendedCacheEverything")) {
            for (boolean binary : List.of(true, false)) {
                try (Connection connection = connected("preferQueryMode", mode, "binaryTransfer", Boolean.toString(binary), "prepareThreshold", "3")) {
                    for (int round = 0; round < 5; round++) { // prepared under a name, and binary, from the third on
                        answers(connection, mode + (binary ? ", binary, " : ", text, ") + round);
                    }
                }
            }
        }
        try (Connection connection = connected(); Statement statement = connection.createStatement()) {
            statement.setMaxRows(7);
            same(7, column(statement.executeQuery("SELECT n FROM logs ORDER BY n"), "n").size());
            same(7, column(statement.executeQuery("SELECT n FROM logs ORDER BY n"), "n").size());
            statement.setMaxRows(0);
            check(statement.execute("SELECT 1 AS one; SELECT 2 AS two, 3 AS three"), "several statements in one text");
            same(List.of("1"), column(statement.getResultSet(), "one"));
            check(statement.getMoreResults(), "the second answer");
            same(List.of("3"), column(statement.getResultSet(), "three"));

            PSQLException wrong = fails(() -> statement.executeQuery("SELECT level,\n  leve FROM logs"));
            same("42703", wrong.getSQLState());
            same(17, wrong.getServerErrorMessage().getPosition());
            check(wrong.getServerErrorMessage().getHint().contains("level"), wrong);
            same("42P01", fails(() -> statement.executeQuery("SELECT 1 FROM lgs")).getSQLState());
            same("42601", fails(() -> statement.executeQuery("SELECT (1")).getSQLState());
            same("42883", fails(() -> statement.executeQuery("SELECT nothing_like_it(1)")).getSQLState());
            for (String write : List.of("INSERT INTO logs (n) VALUES (1)", "UPDATE logs SET n = 1", "DELETE FROM logs", "CREATE TABLE x (a int)", "DROP TABLE logs", "TRUNCATE logs")) {
                PSQLException no = fails(() -> statement.executeUpdate(write));
                same("25006", no.getSQLState());
                check(no.getMessage().contains("is not a question") && no.getServerErrorMessage().getHint().contains("SELECT"), no);
            }
            PSQLException prepared = fails(() -> connection.prepareStatement("INSERT INTO logs (n) VALUES (?)").executeUpdate());
            check(prepared != null, "a write that is prepared");
            check(connection.isValid(5), "after what was refused");
        }
    }

    /** Values of each type, as Java has them. */
    static void answers(Connection connection, String how) throws SQLException {
        String sql = "SELECT level, n, ms, ts, ok, note, tags, who, CAST(n AS smallint) AS small, CAST(n AS int) AS whole, CAST(ms AS real) AS half, "
            + "CAST(ms AS decimal(12, 3)) AS exact, CAST(ts AS date) AS day, CAST(ts AS timestamp) AS local, NULL AS nothing, "
            + "arrow_cast(n, 'UInt64') AS large FROM kinds WHERE n >= ? ORDER BY n LIMIT 2";
        try (PreparedStatement asked = connection.prepareStatement(sql)) {
            asked.setLong(1, 3);
            ResultSet row = asked.executeQuery();
            ResultSetMetaData about = row.getMetaData();
            List<String> types = new ArrayList<>();
            for (int column = 1; column <= about.getColumnCount(); column++) {
                types.add(about.getColumnLabel(column) + " " + about.getColumnTypeName(column));
            }
            same(List.of("level text", "n int8", "ms float8", "ts timestamptz", "ok bool", "note text", "tags json", "who json", "small int2",
                "whole int4", "half float4", "exact numeric", "day date", "local timestamp", "nothing text", "large numeric"), types);
            same(12, about.getPrecision(12));
            same(3, about.getScale(12));
            check(row.next(), how);
            same("ERROR", row.getString("level"));
            same(3L, row.getObject("n"));
            same(3.25, row.getDouble("ms"));
            same(Instant.parse("2026-01-01T00:00:03.5Z"), row.getTimestamp("ts").toInstant());
            same(OffsetDateTime.parse("2026-01-01T00:00:03.5Z"), row.getObject("ts", OffsetDateTime.class));
            same(false, row.getObject("ok"));
            same(null, row.getString("note"));
            check(row.wasNull(), how);
            same("[\"a\",\"b\"]", row.getString("tags"));
            same("{\"name\":\"x\",\"age\":3}", row.getString("who"));
            same(3, row.getInt("small"));
            same(3, row.getObject("whole"));
            same(3.25f, row.getFloat("half"));
            same(new BigDecimal("3.250"), row.getBigDecimal("exact"));
            same(LocalDate.parse("2026-01-01"), row.getObject("day", LocalDate.class));
            same(LocalDateTime.parse("2026-01-01T00:00:03.500"), row.getObject("local", LocalDateTime.class));
            same(null, row.getObject("nothing"));
            same(new BigDecimal(3), row.getBigDecimal("large"));
            check(row.next() && !row.next(), how);
        }
    }

    // --- Parameters.

    static void binds() throws SQLException {
        Instant moment = Instant.parse("2026-01-01T00:00:03.5Z");
        for (String options : List.of("prepareThreshold=1", "prepareThreshold=0", "preferQueryMode=simple")) {
            try (Connection connection = DriverManager.getConnection("jdbc:postgresql://" + address + "/weir?user=ann&" + options)) {
                for (int round = 0; round < 3; round++) {
                    finds(connection, "n = ?", asked -> asked.setInt(1, 3));
                    finds(connection, "n = ?", asked -> asked.setShort(1, (short) 3));
                    finds(connection, "n = ?", asked -> asked.setLong(1, 3));
                    finds(connection, "n = ?", asked -> asked.setBigDecimal(1, new BigDecimal("3")));
                    finds(connection, "n = ?", asked -> asked.setObject(1, 3));
                    finds(connection, "n = ?", asked -> asked.setObject(1, "3", Types.INTEGER));
                    finds(connection, "n = ? AND level = ?", asked -> { asked.setLong(1, 3); asked.setString(2, "ERROR"); });
                    finds(connection, "n = ? + 1", asked -> asked.setInt(1, 2));
                    finds(connection, "n IN (?, ?) AND level LIKE ?", asked -> { asked.setInt(1, 3); asked.setInt(2, 4); asked.setString(3, "ER%"); });
                    finds(connection, "ms = ?", asked -> asked.setDouble(1, 3.25));
                    finds(connection, "ms = ?", asked -> asked.setFloat(1, 3.25f));
                    finds(connection, "ms = ?", asked -> asked.setBigDecimal(1, new BigDecimal("3.25")));
                    finds(connection, "CAST(ms AS decimal(12, 3)) = ?", asked -> asked.setBigDecimal(1, new BigDecimal("3.25")));
                    finds(connection, "n = 3 AND ok = ?", asked -> asked.setBoolean(1, false));
                    finds(connection, "n = 3 AND NOT ?", asked -> asked.setBoolean(1, false));
                    finds(connection, "ts = ?", asked -> asked.setTimestamp(1, Timestamp.from(moment)));
                    finds(connection, "ts = ?", asked -> asked.setObject(1, moment.atOffset(ZoneOffset.ofHours(5))));
                    finds(connection, "ts = ?", asked -> asked.setObject(1, LocalDateTime.ofInstant(moment, ZoneOffset.UTC)));
                    finds(connection, "ts BETWEEN ? AND ? AND n = 3", asked -> {
                        asked.setTimestamp(1, Timestamp.from(moment.minusSeconds(9)));
                        asked.setObject(2, moment.atOffset(ZoneOffset.UTC));
                    });
                    if (!options.contains("simple")) { // where a day with a zone stands in the text: '2026-01-01 -05'
                        finds(connection, "n = 3 AND ts > ?", asked -> asked.setDate(1, Date.valueOf("2025-12-31")));
                        finds(connection, "n = 3 AND CAST(ts AS date) = ?", asked -> asked.setDate(1, Date.valueOf("2026-01-01")));
                    }
                    finds(connection, "n = 3 AND CAST(ts AS date) = ?", asked -> asked.setObject(1, LocalDate.parse("2026-01-01")));
                    finds(connection, "n = 3 AND date_trunc('minute', ts) = ?", asked -> asked.setTimestamp(1, Timestamp.from(Instant.parse("2026-01-01T00:00:00Z"))));
                    finds(connection, "n = 3 AND coalesce(?, 'x') = 'x'", asked -> asked.setNull(1, Types.VARCHAR));
                    finds(connection, "n = 3 AND note IS NOT DISTINCT FROM ?", asked -> asked.setString(1, null));
                    finds(connection, "n = 3 AND (? IS NULL OR ts > ?)", asked -> { asked.setNull(1, Types.TIMESTAMP); asked.setNull(2, Types.TIMESTAMP); });
                    finds(connection, "n = 3 AND level = any (?)", asked -> asked.setArray(1, connection.createArrayOf("text", new String[] {"WARN", "ERROR"})));
                    finds(connection, "n = any (?)", asked -> asked.setArray(1, connection.createArrayOf("int8", new Long[] {3L, -7L})));
                    finds(connection, "n >= 3 ORDER BY n LIMIT ?", asked -> asked.setInt(1, 1));
                    same(List.of("3"), values(connection, "SELECT ? AS n", asked -> asked.setInt(1, 3)));
                    same(List.of("x"), values(connection, "SELECT ? AS n", asked -> asked.setString(1, "x")));
                    same(List.of("4"), values(connection, "SELECT ? + 1 AS n", asked -> asked.setInt(1, 3)));
                }
                PSQLException wrong = fails(() -> values(connection, "SELECT n FROM logs WHERE n = ?", asked -> asked.setObject(1, "x", Types.OTHER)));
                check(wrong.getMessage().contains("x"), wrong);
                check(connection.isValid(5), "after a wrong parameter");
            }
        }
    }

    interface Binding {
        void bind(PreparedStatement asked) throws SQLException;
    }

    static void finds(Connection connection, String condition, Binding binding) throws SQLException {
        same(List.of("3"), values(connection, "SELECT n FROM kinds WHERE " + condition, binding));
    }

    static List<String> values(Connection connection, String sql, Binding binding) throws SQLException {
        try (PreparedStatement asked = connection.prepareStatement(sql)) {
            binding.bind(asked);
            return column(asked.executeQuery(), "n");
        } catch (PSQLException error) {
            throw new PSQLException(sql + ": " + error.getMessage(), null, error);
        }
    }

    // --- Transactions, cursors, settings, cancelling.

    static void lasts() throws Exception {
        try (Connection connection = connected(); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.setFetchSize(50);
            ResultSet numbers = statement.executeQuery("SELECT n FROM logs ORDER BY n");
            PreparedStatement other = connection.prepareStatement("SELECT n AS m FROM logs WHERE n < ? ORDER BY n");
            other.setFetchSize(7);
            other.setInt(1, 20);
            for (int n = 0; n < 600; n++) {
                check(numbers.next() && numbers.getInt(1) == n, "row " + n);
                if (n == 60) { // a second cursor while the first is open
                    same(20, column(other.executeQuery(), "m").size());
                }
            }
            check(!numbers.next(), "it ends");
            connection.commit();
            ResultSet left = statement.executeQuery("SELECT n FROM logs ORDER BY n");
            check(left.next(), "a cursor that is not read to its end");
            left.close();
            connection.rollback();

            same("25P02", "25P02".equals(aborted(connection, statement)) ? "25P02" : "it went on");
            connection.rollback();
            check(connection.isValid(5), "after a transaction that failed");
            connection.setAutoCommit(true);

            connection.setReadOnly(true);
            check(connection.isReadOnly(), "it only reads");
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            connection.getTransactionIsolation();
            connection.setAutoCommit(false);
            same(List.of("7"), column(statement.executeQuery("SELECT 7 AS seven"), "seven"));
            connection.commit();
            connection.setAutoCommit(true);
            connection.setReadOnly(false);
            connection.setSchema("public");
            connection.setClientInfo("ApplicationName", "a test");

            for (String text : List.of("BEGIN", "BEGIN READ ONLY", "COMMIT", "START TRANSACTION", "ROLLBACK", "SAVEPOINT a", "RELEASE SAVEPOINT a",
                "SET extra_float_digits = 3", "SET application_name = 'x'", "SET TIME ZONE 'UTC'", "SET SESSION TIMEZONE TO 'UTC'",
                "SET search_path TO \"public\"", "RESET ALL", "DISCARD ALL", "")) {
                statement.execute(text);
            }
            for (String setting : List.of("server_version", "search_path", "timezone", "TIME ZONE", "TRANSACTION ISOLATION LEVEL", "statement_timeout",
                "max_identifier_length", "lc_collate", "DateStyle", "server_version_num", "standard_conforming_strings")) {
                ResultSet shown = statement.executeQuery("SHOW " + setting);
                check(shown.next() && shown.getString(1) != null, setting);
            }
            check(column(statement.executeQuery("SHOW ALL"), "name").contains("search_path"), "all settings");
            PSQLException unknown = fails(() -> statement.executeQuery("SHOW what_nobody_knows"));
            same("42704", unknown.getSQLState());

            statement.execute("SET statement_timeout = 100");
            same(List.of("100ms"), column(statement.executeQuery("SHOW statement_timeout"), "statement_timeout"));
            same("57014", fails(() -> statement.executeQuery(ENDLESS)).getSQLState());
            statement.execute("RESET statement_timeout");

            try (Connection hurried = connected("options", "-c statement_timeout=90s"); Statement asks = hurried.createStatement()) {
                same(List.of("90s"), column(asks.executeQuery("SHOW statement_timeout"), "statement_timeout"));
            }

            statement.setQueryTimeout(1);
            same("57014", fails(() -> statement.executeQuery(ENDLESS)).getSQLState());
            statement.setQueryTimeout(0);
            cancels(connection);
            check(connection.isValid(5), "after all that");
        }
    }

    /** What a statement in a transaction that has failed is told. */
    static String aborted(Connection connection, Statement statement) throws SQLException {
        fails(() -> statement.executeQuery("SELECT nothing FROM logs"));
        return fails(() -> statement.executeQuery("SELECT 1")).getSQLState();
    }

    static void cancels(Connection connection) throws Exception {
        try (Statement slow = connection.createStatement()) {
            // The driver says it once: should it be before the question has begun, the server's own limit ends it.
            CompletableFuture<Void> said = CompletableFuture.runAsync(() -> {
                try {
                    slow.cancel();
                } catch (SQLException error) {
                    throw new IllegalStateException(error);
                }
            }, CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS));
            same("57014", fails(() -> slow.executeQuery(ENDLESS)).getSQLState());
            said.get();
        }
        same(List.of("1"), column(connection.createStatement().executeQuery("SELECT 1 AS one"), "one"));
    }

    // --- What tools ask, from files: each question behind a line `-- rows` or `-- nothing`, with what its parameters are.

    static void looks(String[] files) throws Exception {
        try (Connection connection = connected()) {
            String table = column(connection.createStatement().executeQuery("SELECT oid FROM pg_catalog.pg_class WHERE relname = 'logs'"), "oid").get(0);
            String schema = column(connection.createStatement().executeQuery("SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public'"), "oid").get(0);
            List<String> troubles = new ArrayList<>();
            for (String file : files) {
                for (String part : Files.readString(Path.of(file)).split("\n-- ")) {
                    String[] headed = part.split("\n", 2);
                    if (headed.length < 2 || headed[1].isBlank()) {
                        continue;
                    }
                    List<String> words = Arrays.asList(headed[0].split(" "));
                    String sql = headed[1].strip();
                    for (int round = 0; round < 2; round++) {
                        try {
                            look(connection, sql, words, table, schema);
                        } catch (SQLException | AssertionError error) {
                            troubles.add(error.getMessage() + "\n    " + sql.replace("\n", "\n    "));
                            break;
                        }
                    }
                }
            }
            check(troubles.isEmpty(), troubles.size() + " questions\n" + String.join("\n", troubles));
        }
    }

    static void look(Connection connection, String sql, List<String> words, String table, String schema) throws SQLException {
        try (PreparedStatement asked = connection.prepareStatement(sql)) {
            asked.unwrap(PGStatement.class).setPrepareThreshold(2);
            int at = 0;
            for (String word : words.subList(1, words.size())) {
                switch (word) {
                    case "table" -> asked.setLong(++at, Long.parseLong(table));
                    case "schema" -> asked.setLong(++at, Long.parseLong(schema));
                    default -> asked.setString(++at, word);
                }
            }
            boolean answers = asked.execute();
            int rows = 0;
            if (answers) {
                ResultSet found = asked.getResultSet();
                int columns = found.getMetaData().getColumnCount();
                while (found.next()) {
                    rows++;
                    for (int column = 1; column <= columns; column++) {
                        found.getObject(column);
                    }
                }
            }
            switch (words.get(0)) {
                case "rows" -> check(rows > 0, "no rows");
                case "nothing" -> check(answers && rows == 0, rows + " rows");
                case "done" -> check(!answers, "rows where there are none");
                default -> throw new AssertionError("what is " + words.get(0));
            }
        }
    }

    // --- Helpers.

    static Connection connected(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "ann");
        for (int at = 0; at < options.length; at += 2) {
            properties.setProperty(options[at], options[at + 1]);
        }
        Connection connection = DriverManager.getConnection("jdbc:postgresql://" + address + "/weir", properties);
        check(connection.unwrap(PGConnection.class).getBackendPID() != 0, "it has a key");
        return connection;
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            found.add(rows.getString(name));
        }
        rows.close();
        return found;
    }

    interface Work {
        void run() throws SQLException;
    }

    static PSQLException fails(Work work) throws SQLException {
        try {
            work.run();
        } catch (PSQLException error) {
            return error;
        }
        throw new AssertionError("it did not fail");
    }

    static void same(Object wanted, Object found) {
        check(Objects.equals(wanted, found), "wanted " + wanted + ", found " + found);
    }

    static void check(boolean right, Object said) {
        if (!right) {
            throw new AssertionError(said);
        }
    }
}
