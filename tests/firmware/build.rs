//! Gives the linker the memory map of the board that stands for the target.
use std::{env, fs, path::PathBuf};

fn main() {
    let target = env::var("TARGET").unwrap();
    let map = match target.as_str() {
        "thumbv7m-none-eabi" => "mps2-an385.x",
        "thumbv6m-none-eabi" => "microbit.x",
        "riscv32imc-unknown-none-elf" => "riscv-virt.x",
        other => panic!("no memory map for {other}"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let map = PathBuf::from("memory").join(map);
    fs::copy(&map, out.join("memory.x")).unwrap();
    println!("cargo:rerun-if-changed={}", map.display());
    println!("cargo:rustc-link-search={}", out.display());
    if target.starts_with("riscv") {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x"); // cortex-m-rt's link.x includes it itself
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=--nmagic"); // sections are not aligned to pages
}
