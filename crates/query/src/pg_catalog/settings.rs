//! What the server is set to, for clients of PostgreSQL: the answers of `SHOW`, `current_setting` and `pg_settings`. Nothing of
//! it can be changed.

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What it is called.
    pub name: &'static str,
    /// What it is set to.
    pub value: &'static str,
    /// Whether sessions are told of it when they begin.
    pub greets: bool,
}

const fn told(name: &'static str, value: &'static str) -> Setting {
    Setting { name, value, greets: true }
}

const fn asked(name: &'static str, value: &'static str) -> Setting {
    Setting { name, value, greets: false }
}

/// All that clients ask for. Version 16 is what those get that decide by it what they may ask.
pub const SETTINGS: [Setting; 34] = [
    told("server_version", "16.0 (Weir)"),
    told("server_encoding", "UTF8"),
    told("client_encoding", "UTF8"),
    told("DateStyle", "ISO, MDY"),
    told("IntervalStyle", "postgres"),
    told("TimeZone", "UTC"),
    told("integer_datetimes", "on"),
    told("standard_conforming_strings", "on"),
    told("default_transaction_read_only", "on"),
    asked("server_version_num", "160000"),
    asked("transaction_isolation", "read committed"),
    asked("default_transaction_isolation", "read committed"),
    asked("transaction_read_only", "on"),
    asked("transaction_deferrable", "off"),
    asked("search_path", "public"),
    asked("application_name", ""),
    asked("bytea_output", "hex"),
    asked("escape_string_warning", "on"),
    asked("backslash_quote", "safe_encoding"),
    asked("client_min_messages", "notice"),
    asked("extra_float_digits", "1"),
    asked("idle_in_transaction_session_timeout", "0"),
    asked("lock_timeout", "0"),
    asked("statement_timeout", "0"),
    asked("lc_collate", "C"),
    asked("lc_ctype", "C"),
    asked("lc_messages", "C"),
    asked("lc_monetary", "C"),
    asked("lc_numeric", "C"),
    asked("lc_time", "C"),
    asked("max_identifier_length", "63"),
    asked("max_index_keys", "32"),
    asked("row_security", "off"),
    asked("ssl", "off"),
];

/// The setting that is called so, in whatever case.
pub(super) fn setting(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name)).map(|setting| setting.value)
}
