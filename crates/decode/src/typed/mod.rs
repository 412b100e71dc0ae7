//! Columns of formats that have schemas: of every type, nested as the values are. A format walks over its bytes and puts
//! scalars here. Knows no format.

mod cell;
mod fault;
mod rows;
mod scalar;
mod shape;

pub(crate) use cell::{Cell, Group};
pub(crate) use fault::{Fallible, Fault};
pub(crate) use rows::{Column, Rows};
pub(crate) use scalar::Scalar;
pub(crate) use shape::{Shape, member};
