//! The documentation says what the program does: parts of it are made from the program's own tables, and every
//! VMWfile in it is checked. `VMWBUILD_UPDATE=1` writes the made parts anew.

#![allow(clippy::unwrap_used)] // a test may

mod book;
mod checking;
mod codes;
mod language;
mod pages;
mod shell;
