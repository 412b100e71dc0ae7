//! Times as text and numbers.
