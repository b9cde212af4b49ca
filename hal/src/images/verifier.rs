//! VERIFIER  the hook for signatures.

/// The longest signature that is handed to a [`Verifier`]: RSA with 3072 bits.
pub const SIGNATURE_BYTES_AT_MOST: usize = 384;

/// Says whether an image comes from who may make them. Which key and which scheme is up to you.
pub trait Verifier {
    /// Whether `signature` is a signature of `digest`.
    ///
    /// `digest` is the SHA-256 of the 64 bytes of the [header](super::ImageHeader), which holds the SHA-256 of the
    /// image. So the signature covers the version as well: an old image under a new number does not pass.
    fn verify(&self, digest: &[u8; 32], signature: &[u8]) -> bool;
}

/// Accepts images without a signature, and none with one: what is checked is the digest. That finds
/// damage, not forgery.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigestOnly;

impl Verifier for DigestOnly {
    fn verify(&self, _: &[u8; 32], signature: &[u8]) -> bool {
        signature.is_empty()
    }
}

impl<V: Verifier> Verifier for &V {
    fn verify(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        (*self).verify(digest, signature)
    }
}
