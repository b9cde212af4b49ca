//! PICTURES  images of any version, with a signature of a kind.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use twinstep_hal::images::{Edition, ImageHeader, Verifier};

#[derive(Clone, PartialEq)]
pub(crate) struct Picture {
    pub(crate) header: ImageHeader,
    /// Image and signature.
    pub(crate) payload: Vec<u8>,
}

/// Accepts the digest with every byte inverted, and one byte behind it.
#[derive(Clone, Copy)]
pub(crate) struct Inverted;

impl Verifier for Inverted {
    fn verify(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        signature == signature_of(digest)
    }
}

fn signature_of(digest: &[u8; 32]) -> Vec<u8> {
    digest.iter().map(|byte| !byte).chain([7]).collect()
}

/// Makes the image of a version; versions differ in length and in every page.
pub(crate) fn picture(version: u32) -> Picture {
    static MADE: LazyLock<Mutex<HashMap<u32, Picture>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap();
    made.entry(version).or_insert_with(|| of_length(version, 600 + version % 60)).clone()
}

pub(crate) fn of_length(version: u32, length: u32) -> Picture {
    let mut rng = fastrand::Rng::with_seed(u64::from(version));
    let mut payload: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
    let header = ImageHeader {
        program: Edition { version, layout: 0x1234 },
        before: None,
        length,
        digest: Sha256::digest(&payload).into(),
        signature_length: 33,
    };
    payload.extend(signature_of(&header.signed_digest()));
    Picture { header, payload }
}
