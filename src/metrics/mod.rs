//! Counts, in a table in memory that master, workers and admin process share.
//!
//! - [`table`] has a row for each worker process and a sum for each slot, [`row`] is what a worker writes,
//!   `layout` says which word is what, [`hosts`] has the counts of each host by its [`host_number`],
//!   [`certificates`] when each expires.
//! - [`connection_counter`] counts one connection. [`phase`], [`close_reason`], [`class`], [`method_label`],
//!   [`job_kind`], [`job_outcome`], [`key_kind`], [`tls_failure`] and [`state`] are the labels, [`histogram`]
//!   has the buckets of request times.
//! - [`snapshot`] reads the table, [`prometheus`] and [`json`] render a snapshot.

/// Declares an enum with a label for each variant. Counts are in the order of the variants.
macro_rules! labelled {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])+ $variant,)+ }

        impl $name {
            /// All variants, in the order of their counts.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The name in metrics and on the status page.
            pub const fn label(self) -> &'static str {
                match self { $($name::$variant => $label,)+ }
            }
        }
    };
}

pub mod class;
pub mod close_reason;
pub mod job_kind;
pub mod job_outcome;
pub mod key_kind;
pub mod method_label;
pub mod phase;
pub mod state;
pub mod tls_failure;

pub mod certificates;
pub mod histogram;
pub mod host_number;
pub mod hosts;
mod layout;
pub mod row;
mod shared_text;
pub mod table;

pub mod connection_counter;
pub mod stream_counter;

pub mod json;
pub mod prometheus;
pub mod snapshot;

pub use host_number::HostNumber;
pub use job_kind::JobKind;
pub use key_kind::KeyKind;
pub use row::Row;
pub use state::State;
pub use table::{MAX_WORKERS, Table};
