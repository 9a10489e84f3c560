//! Why a TLS handshake failed.

labelled! {
    /// Why a TLS handshake failed.
    TlsFailure {
        /// What the client sent is no TLS.
        NotTls = "not_tls",
        /// It offers no version that the server has.
        Version = "version",
        /// It offers no cipher suite, group or signature that the server has.
        Parameters = "parameters",
        /// There is no certificate for the name that it asks for.
        UnknownName = "unknown_name",
        /// It has sent an alert: it does not like the certificate, for example.
        Alert = "alert",
        /// It has ended the connection in the middle.
        Closed = "closed",
        /// It has broken the protocol.
        Protocol = "protocol",
    }
}
