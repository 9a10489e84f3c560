//! Why a connection ended: every way out of a connection yields exactly one of these. Most are not errors.

use super::phase::Phase;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed, between two requests or in the middle of one.
    PeerClosed,
    /// The connection broke: reset by the client, or unreachable.
    Broken,
    /// The last response said `Connection: close` and has been sent.
    Finished,
    /// A request was rejected, and the connection closed after the error response.
    Rejected,
    /// The connection did not begin with the PROXY header that its listener requires.
    NoProxyHeader,
    /// The TLS handshake failed, or a record was broken.
    TlsFailed,
    /// The client ended the connection without `close_notify`, so that the end may be another's (RFC 8446
    /// §6.1).
    Truncated,
    /// The client was too slow in this phase.
    TimedOut(Phase),
    /// It was the connection idle longest, and was closed for a new client.
    Evicted,
    /// A file was truncated or overwritten while it was sent. The response cannot be completed.
    BodyCut,
    /// A file could not be read while it was sent.
    ReadFailed,
    /// The kernel refused to watch the socket (epoll_ctl(2) `ENOSPC`, `ENOMEM`).
    Unwatchable,
    /// The coroutine panicked.
    Panicked,
}

impl CloseReason {
    /// One of each, in the order of their counts. All timeouts share a count here; each phase has a count of
    /// its own beside it.
    pub const ALL: &[CloseReason] = &[
        CloseReason::PeerClosed,
        CloseReason::Broken,
        CloseReason::Finished,
        CloseReason::Rejected,
        CloseReason::NoProxyHeader,
        CloseReason::TlsFailed,
        CloseReason::Truncated,
        CloseReason::TimedOut(Phase::Idle),
        CloseReason::Evicted,
        CloseReason::BodyCut,
        CloseReason::ReadFailed,
        CloseReason::Unwatchable,
        CloseReason::Panicked,
    ];

    /// Its position in [`CloseReason::ALL`].
    pub fn index(self) -> usize {
        let same = |other: &CloseReason| std::mem::discriminant(other) == std::mem::discriminant(&self);
        CloseReason::ALL.iter().position(same).unwrap_or(0)
    }

    /// True if all that was to be sent was sent, so that the client may be told so.
    pub const fn is_orderly(self) -> bool {
        use CloseReason::{Evicted, Finished, PeerClosed, Rejected, TimedOut};
        match self {
            TimedOut(phase) => !matches!(phase, Phase::Send),
            reason => matches!(reason, PeerClosed | Finished | Rejected | Evicted),
        }
    }

    /// The label of its count.
    pub const fn label(self) -> &'static str {
        match self {
            CloseReason::PeerClosed => "peer_closed",
            CloseReason::Broken => "broken",
            CloseReason::Finished => "finished",
            CloseReason::Rejected => "rejected",
            CloseReason::NoProxyHeader => "no_proxy_header",
            CloseReason::TlsFailed => "tls_failed",
            CloseReason::Truncated => "truncated",
            CloseReason::TimedOut(_) => "timed_out",
            CloseReason::Evicted => "evicted",
            CloseReason::BodyCut => "body_cut",
            CloseReason::ReadFailed => "read_failed",
            CloseReason::Unwatchable => "unwatchable",
            CloseReason::Panicked => "panicked",
        }
    }

    /// The word for it in the access log, which names the phase of a timeout.
    pub const fn log_label(self) -> &'static str {
        match self {
            CloseReason::TimedOut(Phase::Handshake) => "handshake_timeout",
            CloseReason::TimedOut(Phase::Tls) => "tls_timeout",
            CloseReason::TimedOut(Phase::Idle) => "idle_timeout",
            CloseReason::TimedOut(Phase::Head) => "head_timeout",
            CloseReason::TimedOut(Phase::Body) => "body_timeout",
            CloseReason::TimedOut(Phase::Send) => "send_timeout",
            CloseReason::TimedOut(Phase::Linger) => "linger_timeout",
            reason => reason.label(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_index_and_label() {
        let mut labels: Vec<&str> = CloseReason::ALL.iter().map(|reason| reason.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), CloseReason::ALL.len());
        let indexes: Vec<usize> = CloseReason::ALL.iter().map(|reason| reason.index()).collect();
        assert!(indexes.iter().copied().eq(0..CloseReason::ALL.len()), "{indexes:?}");
        assert_eq!(
            CloseReason::TimedOut(Phase::Send).index(),
            CloseReason::TimedOut(Phase::Idle).index(),
            "timeouts of all phases share a count"
        );
    }
}
