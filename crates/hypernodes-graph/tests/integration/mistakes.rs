//! What the compiler says to mistakes: each file is named by one, and holds nothing else.

#[test]
fn mistakes_are_told_at_their_token_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
