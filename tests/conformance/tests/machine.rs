//! Says what machine this is, for scripts that want to have run on another one.

#[test]
fn it_says_what_it_is() {
    let endian = if cfg!(target_endian = "big") { "big" } else { "little" };
    println!("word={} {endian}-endian, 64-bit atomics={}", usize::BITS, cfg!(target_has_atomic = "64"));
    // And that this is so when it runs.
    assert_eq!(u16::from_ne_bytes([1, 0]) == 1, endian == "little");
}
