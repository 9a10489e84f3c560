//! The kinds of keys that certificates have, as labels.

labelled! {
    /// The kind of a certificate's key, in the order in which a server prefers them.
    KeyKind {
        /// ECDSA on a curve of NIST.
        Ecdsa = "ecdsa",
        /// Ed25519.
        Ed25519 = "ed25519",
        /// RSA.
        Rsa = "rsa",
        /// Another one.
        Other = "other",
    }
}
