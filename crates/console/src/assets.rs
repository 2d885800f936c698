//! The files that pages load: compiled in, under addresses that change with their bytes, so that a browser keeps each
//! for as long as it likes.

/// A file that pages load.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its name, in its address.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
    digest: u64,
}

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { name, media_type, bytes, digest: digest(bytes) }
    }

    /// The segment of its address that changes with its bytes.
    pub fn digest(&self) -> String {
        format!("{:016x}", self.digest)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("/assets/{}/{}", self.digest(), self.name)
    }
}

/// The look of every page.
pub const STYLE: Asset = Asset::new("console.css", "text/css; charset=utf-8", include_bytes!("../assets/console.css"));
/// Keys, times in the reader's zone, what else a page does without the server.
pub const SCRIPT: Asset =
    Asset::new("console.js", "text/javascript; charset=utf-8", include_bytes!("../assets/console.js"));
/// The ceremonies of passkeys, on the pages of the sign-in.
pub const SIGN_IN: Asset =
    Asset::new("sign-in.js", "text/javascript; charset=utf-8", include_bytes!("../assets/sign-in.js"));
/// The computation of a proof, on the pages of the log's entries.
pub const PROOF: Asset = Asset::new("proof.js", "text/javascript; charset=utf-8", include_bytes!("../assets/proof.js"));
/// The sign of the product in a browser's tab.
pub const ICON: Asset = Asset::new("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg"));

/// Every file.
pub const ALL: &[Asset] = &[STYLE, SCRIPT, SIGN_IN, PROOF, ICON];

/// FNV-1a: it tells our own editions of a file apart, and guards against nobody.
const fn digest(mut bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let [first, rest @ ..] = bytes {
        hash = (hash ^ *first as u64).wrapping_mul(0x0100_0000_01b3);
        bytes = rest;
    }
    hash
}
