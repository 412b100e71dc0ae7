//! The steps that look at one row at a time.

mod select;
mod where_;

pub(crate) use select::Select;
pub(crate) use where_::Where;
