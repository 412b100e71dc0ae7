//! Which names tables may have: they become folders, so nothing that means something to a path.

use weir_model::{ErrorKind, SeamError, SeamResult};

/// The longest name of a table, or of a tenant.
const NAME_BYTES_MAX: usize = 63;
/// Names that SQL has for schemas: no tenant is called so.
const SCHEMAS: [&str; 4] = ["public", "information_schema", "pg_catalog", "live"];

/// Whether `name` is `^[a-z][a-z0-9_]{0,62}$`, or two such names with a dot between them: a tenant's and the table's.
///
/// # Errors
/// `Config`, saying what is allowed.
pub fn check_table_name(name: &str) -> SeamResult<()> {
    let is_good = match name.split_once('.') {
        None => is_plain(name),
        Some((tenant, table)) => is_plain(tenant) && is_plain(table) && !SCHEMAS.contains(&tenant),
    };
    if is_good {
        return Ok(());
    }
    let shown = weir_model::Value(name.as_bytes());
    let message = format!(
        "{shown} cannot be a table: a name has a-z, 0-9 and _, begins with a letter, and has at most 63 characters; a \
         tenant's name and a dot may stand before it, such as acme.logs"
    );
    Err(SeamError::new(ErrorKind::Config, message))
}

fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}
