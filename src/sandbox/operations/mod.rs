//! What is done to virtual machines and other objects of the inventory.

mod clone;
mod configure;
mod customize;
mod devices;
mod disks;
mod entities;
mod fields;
mod power;
mod snapshots;

pub(super) use configure::apply;
pub(super) use customize::kept_specifications;
pub(super) use power::Running;
