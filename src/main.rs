//! The command line tool; everything is in the library.

fn main() {
    // Must stay first: guests' warden is this program again, and has to be single-threaded.
    if let Some(code) = vmwbuild::sandbox::guests::reexec() {
        std::process::exit(code);
    }
}
