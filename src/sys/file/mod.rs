//! Files and directories: opening them beneath a root, reading them and their metadata.
//!
//! Knows neither HTTP nor caching.

mod descriptor;
mod directory;
mod draft;
mod link_policy;
mod link_walk;
mod open_error;
mod permissions;
mod root;
mod stamp;
mod whole;

pub use descriptor::*;
pub use directory::*;
pub use draft::*;
pub use link_policy::*;
pub use link_walk::*;
pub use open_error::*;
pub use root::*;
pub use stamp::*;
pub use whole::*;
