//! ADDRESS and HOSTNAME, and the attributes that are known after them.

use super::event::Phase;
use super::machine::Worker;
use super::sessions::{self, Sessions};
use super::shared::{Shared, Stop};
use super::steps::{self, outcome};
use crate::guest::{self, Exit, Job};
use crate::sema::program::{Address, Attr, Machine, NetworkMethod, Os, Rt};
use crate::sema::value::Value;
use crate::source::Span;
use crate::vsphere::client::{Adapter, Customization, Deadline};

/// The exit code by which Windows asks for a restart.
const RESTART: i32 = 3010;

/// Configures the guest's network and learns what is asked for.
pub(super) async fn run(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let program = std::sync::Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    let mut jobs: Vec<(Job, Span, &str)> = Vec::new();
    if let Some(hostname) = machine.hostname.as_ref().filter(|h| h.method != NetworkMethod::Customize) {
        let name = shared.text(&hostname.name)?;
        let job = match machine.os {
            Os::Unix => Job::sh(0, guest::hostname_script(&name)),
            Os::Windows => Job { ok: vec![0, RESTART], ..Job::new(0, guest::windows_hostname(&name)) },
        };
        jobs.push((job, hostname.span, "HOSTNAME"));
    }
    let by_guest = |a: &&Address| a.method != NetworkMethod::Customize;
    for address in machine.address.iter().chain(&machine.more_addresses).filter(by_guest) {
        let settings = settings(&shared, address)?;
        let job = match machine.os {
            Os::Unix => Job::sh(0, guest::network_script(method(address.method), &settings)),
            Os::Windows => Job::new(0, guest::windows_network(&settings)),
        };
        jobs.push((job, address.span, "ADDRESS"));
    }
    if let Some(first) = jobs.first().map(|(_, span, _)| *span) {
        worker.phase(Phase::Network);
        let login = sessions::needed(&shared, machine, &machine.context, first)?;
        let other = machine.os == Os::Unix && login.user != "root";
        let root = other.then(|| guest::RunAs::new("root"));
        let mut restart = None;
        let guest = Sessions::of(worker, login, machine.span).await?;
        for (mut job, span, what) in jobs {
            job.run_as = root.clone();
            job.timeout = Some(shared.options.deadlines.ip);
            let end = shared.interruptible(guest.run(job)).await?.map_err(|e| Stop::guest(&e, span, what))?;
            if !end.success {
                return Err(outcome::failed(&shared, machine, what, span, &end));
            }
            if end.exit == Exit::Code(RESTART) {
                restart = Some(span);
            }
        }
        if let Some(span) = restart {
            let limit = shared.options.deadlines.boot;
            Box::pin(steps::restart(worker, steps::Restart { span, limit, context: &machine.context, step: None }))
                .await?;
        }
    }
    learn(worker, &shared).await
}

/// What vCenter is to configure before the guest is ready, if anything.
pub(super) fn customization(shared: &Shared, machine: &Machine) -> Result<Option<(Customization, Span)>, Stop> {
    let by_vcenter = |a: &&Address| a.method == NetworkMethod::Customize;
    let addresses: Vec<&Address> = machine.address.iter().chain(&machine.more_addresses).filter(by_vcenter).collect();
    let hostname = machine.hostname.as_ref().filter(|h| h.method == NetworkMethod::Customize);
    let Some(span) = addresses.first().map(|a| a.span).or(hostname.map(|h| h.span)) else { return Ok(None) };
    let spec = addresses.iter().find_map(|a| a.spec.clone()).or_else(|| hostname.and_then(|h| h.spec.clone()));
    let mut wanted = Customization { spec, windows: machine.os == Os::Windows, ..Customization::default() };
    if let Some(hostname) = hostname {
        let name = shared.text(&hostname.name)?;
        let (label, domain) = name.split_once('.').unwrap_or((&name, ""));
        wanted.host_name = Some(label.to_owned());
        wanted.domain = Some(domain.to_owned()).filter(|domain| !domain.is_empty());
    }
    for address in addresses {
        let settings = settings(shared, address)?;
        let at = (settings.nic.max(1) - 1) as usize;
        if wanted.adapters.len() <= at {
            wanted.adapters.resize(at + 1, None);
        }
        if let Some(slot) = wanted.adapters.get_mut(at) {
            *slot = Some(Adapter {
                address: settings.address.map(|net| (net.addr(), net.prefix_len())),
                gateway: settings.gateway,
                dns: settings.dns,
            });
        }
        wanted.search.extend(settings.search);
    }
    Ok(Some((wanted, span)))
}

/// `hostname` and `ip`, where something asks for them.
pub(super) async fn learn(worker: &mut Worker, shared: &Shared) -> Result<(), Stop> {
    let program = std::sync::Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    let vm = worker.there()?;
    if machine.wanted.contains(&Attr::Hostname) {
        let login = sessions::needed(shared, machine, &machine.context, machine.span)?;
        let guest = Sessions::of(worker, login, machine.span).await?;
        let mut job = Job::new(0, guest::Body::HostName);
        job.capture = true;
        let end = shared.interruptible(guest.run(job)).await?;
        let end = end.map_err(|e| Stop::guest(&e, machine.span, "asking for the host name"))?;
        let name = String::from_utf8_lossy(&end.captured.unwrap_or_default()).trim().to_owned();
        shared.learn(worker.id, Attr::Hostname, Value::Str(name));
    }
    if machine.wanted.contains(&Attr::Ip) {
        let limit = shared.options.deadlines.ip;
        shared.events.waiting(worker.id, "an IP address", Some(limit));
        let ip = |state: &crate::vsphere::client::GuestState| state.ip.as_deref().and_then(usable);
        let waited = shared.client.wait_guest_state(&vm, Deadline::after(limit), "an IP address", ip);
        let ip = shared.interruptible(waited).await?;
        let ip = ip.map_err(|e| Stop::vsphere(&e, machine.span, "waiting for an IP address"))?;
        shared.learn(worker.id, Attr::Ip, Value::Ip(ip));
    }
    Ok(())
}

/// An address that others can use: no loopback, no link-local one.
pub(super) fn usable(text: &str) -> Option<std::net::IpAddr> {
    let ip: std::net::IpAddr = text.parse().ok()?;
    let usable = match ip {
        std::net::IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        std::net::IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    };
    usable.then_some(ip)
}

fn method(method: NetworkMethod) -> guest::NetworkMethod {
    match method {
        // Customization never comes here.
        NetworkMethod::Auto | NetworkMethod::Customize => guest::NetworkMethod::Auto,
        NetworkMethod::Nmcli => guest::NetworkMethod::Nmcli,
        NetworkMethod::Netplan => guest::NetworkMethod::Netplan,
        NetworkMethod::Ifupdown => guest::NetworkMethod::Ifupdown,
    }
}

fn settings(shared: &Shared, address: &Address) -> Result<guest::Address, Stop> {
    let ip = |rt: &Rt| match shared.value(rt)? {
        Value::Ip(ip) => Ok(ip),
        other => Err(mistyped(rt, "ip", &other)),
    };
    let cidr = match &address.cidr {
        Some(rt) => match shared.value(rt)? {
            Value::Cidr(net) => Some(net),
            other => return Err(mistyped(rt, "cidr", &other)),
        },
        None => None,
    };
    Ok(guest::Address {
        address: cidr,
        gateway: address.gateway.as_ref().map(ip).transpose()?,
        dns: address.dns.iter().map(ip).collect::<Result<_, _>>()?,
        search: address.search.iter().map(|t| shared.text(t)).collect::<Result<_, _>>()?,
        device: address.device.as_ref().map(|t| shared.text(t)).transpose()?,
        nic: address.nic,
    })
}

/// The check has given every argument its type, so this is our own mistake; still no reason to panic.
fn mistyped(rt: &Rt, wanted: &str, got: &Value) -> Stop {
    let error = crate::sema::eval::EvalError {
        span: rt.span,
        message: format!("this should be of type {wanted}, and is {got:?}"),
    };
    super::shared::value_failed(error)
}
