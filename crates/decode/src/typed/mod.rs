//! Columns of formats that have schemas: of every type, nested as the values are. A format walks over its bytes and puts
//! scalars here. Knows no format.

mod cell;
mod fault;
pub(crate) mod json;
mod rows;
mod scalar;
mod shape;
#[cfg(test)]
pub(crate) mod shown;
#[cfg(test)]
pub(crate) mod trial;

pub(crate) use cell::{Cell, Group};
pub(crate) use fault::{Fallible, Fault};
pub(crate) use rows::{Column, Rows};
pub(crate) use scalar::Scalar;
pub(crate) use shape::{Shape, member};
