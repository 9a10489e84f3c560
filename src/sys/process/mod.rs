//! Processes: starting, ending, waiting, identity.
//!
//! Nothing here decides which process to start or to end.

mod child;
mod current;
mod fork;
mod identity;
mod poll;

pub use child::*;
pub use current::*;
pub use fork::*;
pub use identity::*;
pub use poll::*;
