//! Cuts bytes into records. Refuses to know where the bytes come from.
