//! A field makes terms of its own values, for records of its own kind.

use tenure_core::base::id::{PersonId, VendorId};
use tenure_core::identity::Identity;
use tenure_core::inventory::third_party::Vendor;
use tenure_core::store::term::Term;

fn main() {
    let _: Term<Identity> = Identity::OWNER.of(PersonId::from_u128(1));
    let _: Term<Identity> = Identity::OWNER.of(VendorId::from_u128(1));
    let _: Term<Identity> = Vendor::OWNER.of(PersonId::from_u128(1));
}
