//! Edits: what turns a thing that was signed into one that wasn't.

/// The original after the edits that a script says: four bytes each say what is done, where, and with which byte.
pub(crate) fn edited(original: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for edit in script.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([edit[1], edit[2]])) % bytes.len().max(1);
        match edit[0] % 5 {
            0 if !bytes.is_empty() => bytes[at] = edit[3],
            1 if !bytes.is_empty() => bytes[at] ^= 1 << (edit[3] % 8),
            2 => bytes.insert(at, edit[3]),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}
