//! ADDRESS and HOSTNAME, and the attributes that are known after them.

use super::event::Phase;
use super::machine::Worker;
use super::sessions::{self, Sessions};
use super::shared::{Shared, Stop};
use super::steps::outcome;
use crate::guest::{self, Job};
use crate::sema::program::{Address, Attr, NetworkMethod, Rt};
use crate::sema::value::Value;
use crate::source::Span;
use crate::vsphere::client::Deadline;

/// Configures the guest's network and learns what is asked for.
pub(super) async fn run(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let program = std::sync::Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    let mut jobs: Vec<(Job, Span, &str)> = Vec::new();
    if let Some(hostname) = &machine.hostname {
        let name = shared.text(&hostname.name)?;
        jobs.push((Job::sh(jobs.len() as u64, guest::hostname_script(&name)), hostname.span, "HOSTNAME"));
    }
    for address in machine.address.iter().chain(&machine.more_addresses) {
        let script = guest::network_script(method(address.method), &settings(&shared, address)?);
        jobs.push((Job::sh(jobs.len() as u64, script), address.span, "ADDRESS"));
    }
    if let Some(first) = jobs.first().map(|(_, span, _)| *span) {
        worker.phase(Phase::Network);
        let login = sessions::needed(&shared, machine, &machine.context, first)?;
        let root = (login.user != "root").then(|| guest::RunAs { user: "root".to_owned(), via: guest::Via::Auto });
        let guest = Sessions::of(worker, login, machine.span).await?;
        for (mut job, span, what) in jobs {
            job.run_as = root.clone();
            job.timeout = Some(shared.options.deadlines.ip);
            let end = shared.interruptible(guest.run(job)).await?.map_err(|e| Stop::guest(&e, span, what))?;
            if !end.success {
                return Err(outcome::failed(&shared, machine, what, span, &end));
            }
        }
    }
    learn(worker, &shared).await
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
