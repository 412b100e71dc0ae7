//! Stories of plain text.
