//! Prints the public items of a crate, one a line and sorted, from the file that `rustdoc --output-format json` wrote.

fn main() {
    let file = std::env::args_os().nth(1).expect("usage: api FILE.json");
    let api = public_api::Builder::from_rustdoc_json(file).omit_auto_trait_impls(false).omit_blanket_impls(true).build();
    let api = api.expect("a file of the format that this version of public-api reads");
    for item in api.items() {
        println!("{item}");
    }
}
