//! `vmwbuild sandbox`, and the server behind `build --sandbox`.
