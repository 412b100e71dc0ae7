//! Which names tables may have: they become folders, so nothing that means something to a path.

use weir_model::{ErrorKind, SeamError, SeamResult};

/// The longest name of a table.
const NAME_BYTES_MAX: usize = 63;

/// Whether `name` is `^[a-z][a-z0-9_]{0,62}$`.
///
/// # Errors
/// `Config`, saying what is allowed.
pub fn check_table_name(name: &str) -> SeamResult<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown = weir_model::Value(name.as_bytes());
    let message = format!(
        "{shown} cannot be a table: a name has a-z, 0-9 and _, begins with a letter, and has at most 63 characters"
    );
    Err(SeamError::new(ErrorKind::Config, message))
}
