//! An embedded vSphere server whose guests truly run.
//!
//! [`Sandbox::start`] serves the API (SOAP over HTTPS, as a vCenter does) and keeps guests until [`Sandbox::stop`].
//! What a real vCenter refuses, it refuses too; what a client has to be able to bear, a plan of faults
//! ([`Rule`]) makes happen.

pub mod codes;
mod collector;
mod config;
mod error;
mod faults;
mod guest;
pub mod guests;
mod http;
mod inventory;
mod machine;
mod methods;
mod model;
mod operations;
mod ovf;
mod pbm;
mod plan;
mod properties;
mod rest;
mod server;
mod session;
mod state;
mod tasks;
mod tls;
mod value;
mod views;
mod waiters;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use time::OffsetDateTime;
use time::macros::format_description;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use config::{Config, DEFAULT_TEMPLATE};
pub use error::Error;
use guests::{Guests, TemplateSource};
use inventory::Inventory;
use machine::Vm;
pub use plan::{Effect, Rule};
use server::{Fixed, Server};
use state::Keeper;

/// The newest version of the API that is spoken.
const API_VERSION: &str = "8.0.3.0";

/// A running sandbox. It ends with [`Sandbox::stop`]; when it is dropped, guests end too, but nobody waits for that.
pub struct Sandbox {
    server: Arc<Server>,
    address: SocketAddr,
    sha256: String,
    sha1: String,
    ca_pem: String,
}

impl Sandbox {
    /// Starts it: the server, and the process that keeps the guests. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// When the address is taken, a template can't be read, or the system refuses what guests are made of; the text
    /// then says which setting does.
    pub async fn start(mut config: Config) -> Result<Sandbox, Error> {
        let (keeper, kept) = match &config.state {
            Some(directory) => {
                let (keeper, kept) = Keeper::open(directory)?;
                (Some(keeper), kept)
            }
            None => (None, None),
        };
        if config.password.is_empty() {
            config.password = kept.as_ref().map_or_else(|| random_hex(12), |k| k.password.clone());
        }
        let (listener, address) = listen(config.listen).await?;
        let (hosts, host_address) = listen(SocketAddr::new(config.listen.ip(), 0)).await?;
        let (api, kept_api) = tls::for_api(address, kept.as_ref().map(|k| &k.api))?;
        let (host, kept_host) = tls::for_hosts(host_address, kept.as_ref().map(|k| &k.hosts))?;
        let templates = std::mem::take(&mut config.templates);
        let guests = start_guests(&config).await?;
        let names = add_templates(guests.as_ref(), templates).await?;
        let fixed = Fixed {
            started: now(),
            instance: kept.as_ref().map_or_else(random_uuid, |k| k.instance.clone()),
            transfer_port: host_address.port(),
            host_thumbprint: host.sha1(),
        };
        let (mut inventory, places) = Inventory::with_model();
        let mut libraries = Vec::new();
        if let Some(kept) = &kept {
            let layers = match &guests {
                Some(guests) => Some(guests.layers().await?),
                None => None,
            };
            kept.restore(&mut inventory, layers.as_deref());
            libraries = kept.libraries(layers.as_deref());
        }
        for name in names {
            if inventory.child(&places.vm_folder, &name).is_none() {
                add_template(&mut inventory, &places, &name, config.windows.contains(&name));
            }
        }
        let server = Arc::new(Server::new(config, fixed, guests, inventory, places));
        if let Some(kept) = &kept {
            server.lock().tags = kept.tags.clone();
            server.lock().libraries = libraries;
            server.sweep().await;
        }
        let serving = &server.background;
        serving.spawn(http::serve(server.clone(), listener, api.acceptor.clone(), server::handle));
        serving.spawn(http::serve(server.clone(), hosts, host.acceptor.clone(), guest::handle));
        if let Some(keeper) = keeper {
            serving.spawn(state::keep(server.clone(), keeper, kept_api, kept_host));
        }
        Ok(Sandbox { server, address, sha256: api.sha256(), sha1: api.sha1(), ca_pem: api.ca_pem })
    }

    /// The address of the API: `https://127.0.0.1:8989/sdk`.
    #[must_use]
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("https://{}/sdk", SocketAddr::new(ip, self.address.port()))
    }

    /// SHA-256 of the API's certificate, hexadecimal with colons.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.sha256
    }

    /// SHA-1 of the API's certificate, hexadecimal with colons.
    #[must_use]
    pub fn thumbprint_sha1(&self) -> &str {
        &self.sha1
    }

    /// The authority that signed the API's certificate, in PEM form.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Who may log in.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.server.config.username
    }

    /// With which password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.server.config.password
    }

    /// What doesn't work in guests as on a real machine, each a sentence for the user.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match &self.server.guests {
            Some(guests) => guests.facts().notes.clone(),
            None => vec![guests::Error::NeedsLinux.to_string()],
        }
    }

    /// Why the state can't be written at present, and when that changes.
    #[must_use]
    pub fn unkept(&self) -> watch::Receiver<Option<String>> {
        self.server.unkept.subscribe()
    }

    /// How many requests there were, by method; transfers are `PUT guestFile` and `GET guestFile`.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.server.requests()
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, rule: Rule) {
        server::lock(&self.server.plan).add(rule);
    }

    /// Lets nothing go wrong from now on.
    pub fn forgive(&self) {
        server::lock(&self.server.plan).clear();
    }

    /// Has a host stop answering, or answer again: its machines run on, and vCenter can't reach them. False: there is no
    /// host of that name.
    pub fn host_answers(&self, name: &str, answers: bool) -> bool {
        let mut state = self.server.lock();
        let host = state.inventory.all().find(|(o, node)| o.kind == "HostSystem" && node.name == name);
        let Some(host) = host.map(|(object, _)| object.clone()) else { return false };
        state.inventory.set_connection(&host, if answers { "connected" } else { "notResponding" });
        true
    }

    /// Ends all sessions, as if they had been idle for too long.
    pub fn expire_sessions(&self) {
        self.server.lock().sessions.close_all();
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.server.lock().sessions.all().count()
    }

    /// How many tasks of a kind, such as `VirtualMachine.clone`, ran at once at most: in all, and by the host of the
    /// machine that they were about.
    #[must_use]
    pub fn most_at_once(&self, operation: &str) -> (usize, BTreeMap<String, usize>) {
        self.server.lock().tasks.most_at_once(operation)
    }

    /// Ends everything: connections, guests, and what they have written.
    pub async fn stop(self) {
        self.server.closing.cancel();
        if let Some(guests) = &self.server.guests {
            guests.clone().close().await;
        }
        self.server.background.close();
        self.server.background.wait().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.closing.cancel();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The guests; none where the system has nothing to make them of.
async fn start_guests(config: &Config) -> Result<Option<Guests>, Error> {
    let settings = guests::Config {
        executable: config.executable.clone(),
        state: config.state.as_deref().map(Keeper::layers),
        ..guests::Config::default()
    };
    if !config.guests {
        return Ok(None);
    }
    match Guests::start(settings).await {
        Ok(guests) => Ok(Some(guests)),
        Err(guests::Error::NeedsLinux) => Ok(None),
        Err(error) => Err(Error::Guests(error)),
    }
}

/// Hands the templates over; their names.
async fn add_templates(
    guests: Option<&Guests>,
    mut templates: Vec<(String, TemplateSource)>,
) -> Result<Vec<String>, Error> {
    if !templates.iter().any(|(name, _)| name == DEFAULT_TEMPLATE) {
        templates.insert(0, (DEFAULT_TEMPLATE.to_owned(), TemplateSource::Host));
    }
    let mut names = Vec::new();
    for (name, source) in templates {
        if let Some(guests) = guests {
            let added = guests.add_template(&name, source).await;
            added.map_err(|source| Error::Template { name: name.clone(), source })?;
        }
        names.push(name);
    }
    Ok(names)
}

fn add_template(inventory: &mut Inventory, places: &model::Places, name: &str, windows: bool) {
    let name_in_inventory = inventory::canonical(name);
    let base = guests::Parent::Template(name.to_owned());
    let host = inventory.a_host(&places.cluster).unwrap_or_default();
    let mut vm = Vm::new(host, None, places.datastore.clone(), base, now());
    if windows {
        let id = "windows2019srv_64Guest";
        vm.config.guest_id = id.to_owned();
        vm.reported = guest::windows_identity(id, None);
    }
    let number = inventory.number();
    vm.config.devices =
        machine::devices(model::DATASTORE, &places.datastore, &places.network, &name_in_inventory, number);
    inventory.add_vm(&places.vm_folder, &name_in_inventory, vm);
}

/// The time as the API writes it.
fn now() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    // A clock within the years that can be written can be written.
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}

/// So many random bytes, in hexadecimal.
fn random_hex(bytes: usize) -> String {
    let mut random = vec![0u8; bytes];
    // The system's source of randomness fails on no system that runs this.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A random UUID.
fn random_uuid() -> String {
    let hex = random_hex(16);
    let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", cut(0, 8), cut(8, 12), cut(13, 16), cut(17, 20), cut(20, 32))
}
