//! What a build will do to an inventory, worked out from the program and facts alone: nothing here asks a server.

pub mod codes;
mod devices;
mod facts;
mod library;
mod outlook;
mod ova;
mod properties;
mod resolve;
mod specs;
mod tags;
mod wishes;

pub use devices::misfit;
pub use facts::{Facts, HOST, Host, Making, SOURCE, Source, privileges};
pub use library::library_items;
pub use outlook::{From, HostPlan, Left, Plan, Planned, Space, plan, size};
pub use ova::{OvaFile, Ovas, ova_outputs, ova_sources};
pub use properties::chosen;
pub use resolve::{
    Deployed, Deploys, Found, Imported, Problem, Resolved, ResolvedItem, ResolvedOutput, ResolvedOva, made_by, resolve,
};
pub use specs::specs;
pub use tags::{Tags, categories, tags};
pub use wishes::{PlacementDefaults, Wishes};
