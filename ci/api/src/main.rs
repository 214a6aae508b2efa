//! Prints the public items of a crate, one a line and sorted, from the file that `rustdoc --output-format json` wrote.

/// The compiler's own business: no program can name these traits, and their lines change with the compiler.
const UNSTABLE: [&str; 2] = ["core::marker::Freeze", "core::marker::UnsafeUnpin"];

fn main() {
    let file = std::env::args_os().nth(1).expect("usage: api FILE.json");
    let api = public_api::Builder::from_rustdoc_json(file).omit_auto_trait_impls(false).omit_blanket_impls(true).build();
    let api = api.expect("a file of the format that this version of public-api reads");
    for item in api.items().map(ToString::to_string) {
        if !UNSTABLE.iter().any(|name| item.contains(name)) {
            println!("{item}");
        }
    }
}
