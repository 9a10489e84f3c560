//! The report, made of a run's record alone.

pub mod page;
pub mod plot;
pub mod summary;
pub mod table;
pub mod unit;
