# Sourced by the scripts that build for other machines: tools, and core for a target. Everything made is under target/cross;
# kept between runs it saves minutes. Debian 12's packages are asked for by name; a machine without apt-get, or a user who may
# not install, has to bring them along.
set -euo pipefail
ROOT=$PWD
OUT=$ROOT/target/cross
mkdir -p "$OUT"
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok    $*"; }
bad() { failed=$((failed + 1)); echo "FAIL  $*"; }
say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
finish() {
    say "end"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# === packages ===

export DEBIAN_FRONTEND=noninteractive
updated=
update() { [ -n "$updated" ] || { apt-get update -qq; updated=1; }; }

# need PACKAGE...: installs what is missing, and removes or upgrades nothing that is there.
need() {
    local package missing=()
    for package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "missing: ${missing[*]}"
    update
    apt-get install -y -qq --no-install-recommends --no-remove --no-upgrade "${missing[@]}" >"$OUT/apt.log" 2>&1 || {
        tail -n 20 "$OUT/apt.log"
        echo "cannot install ${missing[*]}"
        exit 1
    }
}

# qemu PACKAGE PROGRAM: unpacked here, for installing it can be in conflict with newer parts of QEMU on the machine.
qemu() {
    command -v "$2" >/dev/null && return
    [ -x "$OUT/qemu/usr/bin/$2" ] && return
    echo "missing: $2"
    update
    mkdir -p "$OUT/qemu"
    rm -f "$OUT/$1"_*.deb
    (cd "$OUT" && apt-get download -qq -o APT::Sandbox::User=root "$1")
    # Its libraries come the ordinary way.
    # shellcheck disable=SC2046
    need $(dpkg-deb -f "$OUT/$1"_*.deb Depends | tr , '\n' | sed -E 's/[|(].*//; s/[[:space:]]//g' | grep -v '^qemu' | sort -u)
    dpkg-deb -x "$OUT/$1"_*.deb "$OUT/qemu"
    rm -f "$OUT/$1"_*.deb
}
export PATH="$PATH:$OUT/qemu/usr/bin"

# === the compiler that comes with the sources of core ===

need rustc-web cargo-web rust-web-src lld-22
# By path: what `cargo` means in a shell stays what it is.
export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
CARGO=/usr/bin/cargo
unset RUSTC_BOOTSTRAP RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTUP_TOOLCHAIN
export CARGO_TARGET_DIR=$OUT/build CARGO_TERM_COLOR=never
RELEASE=$($RUSTC -vV | sed -n 's/^release: //p')
$RUSTC --version
[ "$(readlink -f /usr/lib/rustlib/src/rust)" = "/usr/src/rustc-$RELEASE" ] || {
    echo "the sources of core are not those of rustc $RELEASE"
    exit 1
}

variable() { echo "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$1")_$2"; }

# sysroot TARGET CRATES: builds core (and alloc, if asked for) for a target, once. Only this needs RUSTC_BOOTSTRAP, so
# that everything else is built as on stable. The path names the compiler, as cargo does not notice when the contents change.
sysroot() {
    local target=$1 crates=$2 sysroot lib dir crate
    sysroot=$OUT/sysroot-$RELEASE-${2//,/-}
    lib=$sysroot/lib/rustlib/$target/lib
    if [ ! -e "$lib/.done" ]; then
        dir=$OUT/core-$RELEASE
        mkdir -p "$dir/src" "$lib"
        rm -rf "${dir:?}/target/$target" "${lib:?}"/*
        printf '%s\n' '[package]' 'name = "empty"' 'version = "0.0.0"' 'edition = "2024"' '[workspace]' '[profile.release]' \
            'opt-level = "s"' >"$dir/Cargo.toml"
        echo '#![no_std]' >"$dir/src/lib.rs"
        (cd "$dir" && env RUSTC_BOOTSTRAP=1 "$(variable "$target" RUSTFLAGS)=-Cembed-bitcode=yes" \
            $CARGO build -q --release "-Zbuild-std=$crates" --target "$target" --target-dir "$dir/target")
        for crate in ${crates//,/ } compiler_builtins; do
            cp "$dir/target/$target/release/deps/lib$crate"-*.rlib "$lib"
        done
        rm -rf "${dir:?}/target/$target"
        touch "$lib/.done"
    fi
    # Panics name places in the sources; without the remapping, sizes would depend on where the clone is.
    export "$(variable "$target" RUSTFLAGS)=--sysroot=$sysroot --remap-path-prefix=$ROOT=tollgate"
}
