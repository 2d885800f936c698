//! What must not compile, with what the compiler says about it.

#[test]
fn proofs_are_made_by_those_alone_who_may() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
