//! What a job of a background thread does. Jobs are counted by kind.

labelled! {
    /// What a job does.
    JobKind {
        /// A file is looked up, and read if it is short.
        Open = "open",
        /// A part of a long file is read into the kernel's memory, before it is sent.
        Read = "read",
        /// A file is read to make a digest of its content.
        Hash = "hash",
        /// A directory is read, and its listing rendered.
        List = "list",
        /// The path of a root is looked up, to see whether it still leads to the same directory.
        Root = "root",
        /// A long file is closed that another machine or process has, or that was deleted.
        Close = "close",
        /// A file is compressed, to be sent in a content coding.
        Compress = "compress",
        /// A password is compared with its hash.
        Password = "password",
    }
}
