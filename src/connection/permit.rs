//! The right to hold one connection open: what the connection limit counts.

/// The issuer of permits, which counts them. The worker implements this.
pub trait PermitIssuer: Send + Sync {
    /// Takes one permit back.
    fn release(&self);
}

/// A permit for one connection. Dropping it gives it back, however the connection ended.
pub struct ConnectionPermit(&'static dyn PermitIssuer);

impl ConnectionPermit {
    /// A permit that `issuer` has counted already.
    pub fn new(issuer: &'static dyn PermitIssuer) -> ConnectionPermit {
        ConnectionPermit(issuer)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.release();
    }
}
