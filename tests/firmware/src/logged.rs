//! What can be logged by defmt.

/// Compiles if all errors, causes and counts can be.
pub fn all_can_be_logged() {
    fn can_be_logged<T: defmt::Format>() {}
    can_be_logged::<tollgate::Closed>();
    can_be_logged::<tollgate::TryAcquireError>();
    can_be_logged::<tollgate::Elapsed>();
    can_be_logged::<tollgate::cancel::Cause>();
    can_be_logged::<tollgate::context::Interrupted>();
    can_be_logged::<tollgate::track::Counts>();
    can_be_logged::<tollgate::track::TrackerClosed>();
}
