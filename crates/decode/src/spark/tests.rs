//! Stories of Spark logs.
