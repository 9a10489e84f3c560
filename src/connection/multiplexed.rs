//! A protocol whose requests share a connection, as the connection sees it: it is polled, and never waits.
//! HTTP/2 implements this.

use super::uptake::Uptake;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;

/// How serving a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// There is nothing to do for now; the connection goes to the idle set.
    Idle,
    /// The close is counted and logged, and the connection is to be dropped.
    Closed,
}

/// A protocol on a connection `C`.
pub trait Multiplexed<C>: Send {
    /// Serves the connection for one turn. It gives itself back to the connection, unless that has closed.
    fn serve(self: Box<Self>, connection: &mut C) -> Served;

    /// What is waited for, and the tick at which that ends.
    fn deadline(&self) -> (Phase, u32);

    /// True if the client has taken nothing of its responses for its time, after this reading of how far it
    /// has come.
    fn is_stuck(&mut self, uptake: Uptake, now: u32) -> bool;

    /// The tick since which there is no request, if there is none: then it may be closed for a new client.
    fn idle_since(&self) -> Option<u32>;

    /// The connection waits under this key of the idle set from now on. True if there is something to do
    /// already.
    fn set_idle(&self, key: usize) -> bool;

    /// Tells the client that the connection ends, for this reason, and counts what that cuts.
    fn go_away(&mut self, connection: &mut C, reason: CloseReason);
}
