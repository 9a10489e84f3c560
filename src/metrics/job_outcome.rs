//! How a job of a background thread ended, or why it never began.

labelled! {
    /// How a job ended.
    JobOutcome {
        /// It ran to its end.
        Done = "done",
        /// It panicked.
        Panicked = "panicked",
        /// It never ran: no request waited for it any more when a thread was free.
        Dropped = "dropped",
        /// It was not taken: too many jobs waited already.
        Refused = "refused",
    }
}
