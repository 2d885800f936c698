//! The root key's file, its derivations, and what is sealed under it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use tenure_core::base::entropy::SeededEntropy;
use tenure_credentials::root::{RootKey, RootKeyError, SealError};

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[test]
fn the_file_is_made_once_and_kept_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    assert!(matches!(RootKey::open_file(&path), Err(RootKeyError::Missing(_))));
    let made = RootKey::open_or_create_file(&path, &SeededEntropy::new(1)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let again = RootKey::open_or_create_file(&path, &SeededEntropy::new(2)).unwrap();
    assert_eq!(made.fingerprint(), again.fingerprint());
    assert_eq!(made.fingerprint(), RootKey::open_file(&path).unwrap().fingerprint());
}

#[test]
fn a_file_that_others_have_access_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    RootKey::open_or_create_file(&path, &SeededEntropy::new(1)).unwrap();
    for mode in [0o640, 0o604, 0o610, 0o601, 0o620, 0o660, 0o644, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refusal = RootKey::open_file(&path).unwrap_err();
        assert!(matches!(refusal, RootKeyError::Exposed { .. }));
        assert!(
            refusal.to_string().contains(&format!("{mode:04o}")) && refusal.to_string().contains("chmod 600"),
            "{refusal}"
        );
        assert!(RootKey::open_or_create_file(&path, &SeededEntropy::new(1)).is_err());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(RootKey::open_file(&path).is_ok());
}

#[test]
fn links_folders_and_other_contents_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("root.key");
    RootKey::open_or_create_file(&real, &SeededEntropy::new(1)).unwrap();
    let link = folder.path().join("link.key");
    symlink(&real, &link).unwrap();
    assert!(matches!(RootKey::open_file(&link), Err(RootKeyError::NotAFile(_))));
    let dangling = folder.path().join("dangling.key");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    assert!(matches!(RootKey::open_or_create_file(&dangling, &SeededEntropy::new(1)), Err(RootKeyError::NotAFile(_))));
    assert!(!folder.path().join("nowhere").exists());
    assert!(matches!(RootKey::open_file(folder.path()), Err(RootKeyError::NotAFile(_))));
    for content in ["", "short", &BASE64[1..], &format!("{BASE64}A"), &format!("{BASE64}\n\n"), &"x".repeat(1000)] {
        fs::write(&real, content).unwrap();
        assert!(matches!(RootKey::open_file(&real), Err(RootKeyError::Malformed)), "{content}");
    }
    fs::write(&real, [0xff; 32]).unwrap();
    assert!(RootKey::open_file(&real).is_err());
    assert!(matches!(
        RootKey::open_or_create_file(&folder.path().join("no/such"), &SeededEntropy::new(1)),
        Err(RootKeyError::Io { .. })
    ));
}

#[test]
fn text_is_hex_or_base64url_of_32_bytes() {
    let key = RootKey::from_text(HEX).unwrap();
    for same in [BASE64.to_owned(), format!("{BASE64}\n"), HEX.to_uppercase()] {
        assert_eq!(RootKey::from_text(&same).unwrap().fingerprint(), key.fingerprint());
    }
    for bad in [
        "",
        "00",
        &HEX[2..],
        &format!("{HEX}00"),
        &format!("{BASE64}="),
        &HEX.replace('f', "g"),
        &HEX.replacen("00", "+1", 1),
    ] {
        assert!(matches!(RootKey::from_text(bad), Err(RootKeyError::Malformed)), "{bad}");
    }
}

#[test]
fn subkeys_differ_by_label_and_root_and_nothing_prints() {
    let key = RootKey::from_text(HEX).unwrap();
    let other = RootKey::from_text(&HEX.replace("00", "ff")).unwrap();
    assert_eq!(key.subkey("a").expose(), RootKey::from_text(BASE64).unwrap().subkey("a").expose());
    assert_ne!(key.subkey("a").expose(), key.subkey("b").expose());
    assert_ne!(key.subkey("a").expose(), other.subkey("a").expose());
    assert_ne!(key.fingerprint(), other.fingerprint());
    assert_eq!(format!("{key:?} {:?}", key.subkey("a")), "RootKey([redacted]) [redacted]");
}

#[test]
fn a_sealed_value_opens_only_where_it_belongs() {
    let key = RootKey::from_text(HEX).unwrap();
    let entropy = SeededEntropy::new(3);
    let sealed = key.seal("signing key", "key_1", b"the seed", &entropy).unwrap();
    assert_eq!(key.open("signing key", "key_1", &sealed).unwrap().expose(), b"the seed");
    assert_ne!(sealed, key.seal("signing key", "key_1", b"the seed", &entropy).unwrap());
    for (label, id) in
        [("signing key", "key_2"), ("other", "key_1"), ("signing ", "keykey_1"), ("signing keykey_1", "")]
    {
        assert_eq!(key.open(label, id, &sealed).err(), Some(SealError::DoesNotOpen));
    }
    let other = RootKey::from_text(&HEX.replace("00", "ff")).unwrap();
    assert_eq!(other.open("signing key", "key_1", &sealed).err(), Some(SealError::DoesNotOpen));
    assert_eq!(
        key.open("signing key", "key_1", &sealed.replacen("v1", "v2", 1)).err(),
        Some(SealError::UnknownVersion)
    );
    for place in 3..sealed.len() {
        let mut bent = sealed.clone().into_bytes();
        bent[place] = if bent[place] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            key.open("signing key", "key_1", std::str::from_utf8(&bent).unwrap()).err(),
            Some(SealError::DoesNotOpen)
        );
    }
    for cut in ["v1.", "v1.AAAA", &sealed[..20]] {
        assert_eq!(key.open("signing key", "key_1", cut).err(), Some(SealError::DoesNotOpen));
    }
    assert_eq!(key.open_seed("signing key", "key_1", &sealed).err(), Some(SealError::DoesNotOpen));
    let seed = key.seal("signing key", "key_1", &[7; 32], &entropy).unwrap();
    assert_eq!(key.open_seed("signing key", "key_1", &seed).unwrap().expose(), &[7; 32]);
}
