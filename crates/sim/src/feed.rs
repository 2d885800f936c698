//! The feed of a source.

/// The source, as the platform holds it.
#[derive(Default)]
pub struct Feed {
    pub(crate) secret: String,
    /// What was sent lately: the signature's header and the body.
    pub(crate) sent: Vec<(String, String)>,
}
