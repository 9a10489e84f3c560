//! Why a connection stopped: every way out of one yields exactly one of these. Most are no errors.

use super::phase::Phase;
use crate::http::status::Status;
use crate::metrics::Reason;

/// Why a connection stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed between two requests, or in the middle of one.
    PeerClosed,
    /// The connection broke: reset by the client, or unreachable.
    Broken,
    /// The last reply said `Connection: close` and has been sent.
    Finished,
    /// A request that can't be answered as asked got this status, and the connection its end.
    Rejected(Status),
    /// The connection did not begin with a PROXY header, as it must at its listener.
    Unannounced,
    /// The client was too slow in this phase.
    TimedOut(Phase),
    /// A file became shorter while it was sent. The reply can't be completed, so the connection is cut.
    BodyCut,
    /// A file could not be read while it was sent.
    ReadFailed,
    /// The kernel would not watch the socket (epoll_ctl(2) `ENOSPC`, `ENOMEM`).
    Unwatchable,
}

impl End {
    /// The word for it in a log.
    pub fn name(self) -> &'static str {
        match self {
            End::PeerClosed => "peer_closed",
            End::Broken => "broken",
            End::Finished => "finished",
            End::Rejected(_) => "rejected",
            End::Unannounced => "unannounced",
            End::TimedOut(Phase::Handshake) => "handshake_timeout",
            End::TimedOut(Phase::Idle) => "idle_timeout",
            End::TimedOut(Phase::Head) => "head_timeout",
            End::TimedOut(Phase::Body) => "body_timeout",
            End::TimedOut(Phase::Send) => "send_timeout",
            End::TimedOut(Phase::Linger) => "linger_timeout",
            End::BodyCut => "body_cut",
            End::ReadFailed => "read_failed",
            End::Unwatchable => "unwatchable",
        }
    }

    /// What it is counted as.
    pub fn reason(self) -> Reason {
        match self {
            End::PeerClosed => Reason::PeerClosed,
            End::Broken => Reason::Broken,
            End::Finished => Reason::Finished,
            End::Rejected(_) => Reason::Rejected,
            End::Unannounced => Reason::Unannounced,
            End::TimedOut(_) => Reason::TimedOut,
            End::BodyCut => Reason::BodyCut,
            End::ReadFailed => Reason::ReadFailed,
            End::Unwatchable => Reason::Unwatchable,
        }
    }
}
