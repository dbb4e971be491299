//! Every test that builds: the real binary or its client against a server, and what each of them is about in a module.
//!
//! They are one program, since each program more costs a compilation of all that they share, and since tests wait: while
//! some do others go on. What looks at its own process (memory, files, children) is a program of its own.

mod common;

mod alike;
mod alike_devices;
mod ask;
mod cache;
mod convert;
mod e2e;
mod editors;
mod elsewhere;
mod faults;
mod hardware;
mod hostile;
mod library;
mod limits;
mod machines;
mod network;
mod ova;
mod pipeline;
mod platforms;
mod progress;
mod project;
mod real_work;
mod resume;
mod sandbox;
mod sandbox_cli;
mod sandbox_peers;
mod sandbox_state;
mod secrets;
mod sessions;
mod storage;
mod tags;
mod transfers;
mod users;
mod vsphere;
mod watch;
mod windows;
