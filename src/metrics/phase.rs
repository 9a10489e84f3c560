//! What an open connection is doing. Connections are counted by phase, and each phase has a timeout.

labelled! {
    /// What a connection is doing.
    Phase {
        /// Accepted; nothing has come yet.
        Handshake = "handshake",
        /// The TLS handshake is not complete.
        Tls = "tls",
        /// Between two requests.
        Idle = "idle",
        /// A part of a request's head is there.
        Head = "head",
        /// A request's body is being skipped.
        Body = "body",
        /// A response is on its way.
        Send = "send",
        /// The response is out. What the client still sends is discarded, so that it can read the response
        /// (RFC 9112 §9.6).
        Linger = "linger",
    }
}
