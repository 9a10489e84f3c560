//! The number of a host in the counts.

use super::layout::MAX_HOSTS;

/// The number that a host's requests are counted by. A host keeps it for the life of the master.
///
/// **Invariant:** it is less than `MAX_HOSTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostNumber(u16);

impl HostNumber {
    /// That of requests which name none of the hosts.
    pub const NONE: HostNumber = HostNumber(0);

    /// That of all hosts for which no number is left.
    pub const OTHER: HostNumber = HostNumber(1);

    /// The least number of a host with a name.
    pub(super) const FIRST: usize = 2;

    /// The host with this index, or [`HostNumber::OTHER`] beyond the last one.
    pub(super) fn new(index: usize) -> HostNumber {
        u16::try_from(index).ok().filter(|_| index < MAX_HOSTS).map_or(HostNumber::OTHER, HostNumber)
    }

    /// Its index, less than `MAX_HOSTS`.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}
