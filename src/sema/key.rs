//! Types of keys and static addresses: what other stages may ask for before a stage's own lines are checked.

use crate::diagnostic::Problems;
use crate::syntax::ast::{Body, KeyFrom, Type};

use super::check::Checker;
use super::expr::check_expr;
use super::instruction_setting::NETWORK;
use super::names_scope::{Moment, Place, StaticIp};
use super::program::{MachineId, RtKind};
use super::text::check_arg;
use super::value::Value;

impl Checker<'_> {
    /// The type of a stage's key. None if its value has errors (they are reported where it stands).
    pub(super) fn key_type(&self, stage: usize, name: &str) -> Option<Type> {
        let at = (stage, name.to_owned());
        if let Some(known) = self.lazy.borrow().key_types.get(&at) {
            return known.clone();
        }
        // While it is worked out a key that asks for itself by way of others is taken for a string. If it truly
        // hangs on itself the cycle is found among the steps.
        self.lazy.borrow_mut().key_types.insert(at.clone(), Some(Type::String));
        let ty = self.find_key_type(stage, name);
        self.lazy.borrow_mut().key_types.insert(at, ty.clone());
        ty
    }

    fn find_key_type(&self, stage_index: usize, name: &str) -> Option<Type> {
        let stage = self.stages.get(stage_index)?;
        let key = stage.keys.get(name)?;
        let Body::Key { ty, from, .. } = &stage.lines.get(key.line)?.body else { return None };
        if let Some(ty) = ty {
            return Some(ty.node.clone());
        }
        match from {
            KeyFrom::Run(_) | KeyFrom::File { .. } => Some(Type::String),
            KeyFrom::Value(expr) => {
                let machine = stage.machines.first().copied().or(stage.ghost)?;
                let place = Place::Stage { machine, line: key.line, moment: Moment::Steps };
                Some(check_expr(expr, &self.view(place), &mut Problems::new())?.ty)
            }
        }
    }

    /// The address that a machine's ADDRESS fixes.
    pub(super) fn static_ip(&self, id: MachineId) -> StaticIp {
        if let Some(known) = self.lazy.borrow().ips.get(&id) {
            return *known;
        }
        // Addresses that hang on each other are no constants; the cycle is found on the graph.
        self.lazy.borrow_mut().ips.insert(id, StaticIp::Dynamic);
        let ip = self.find_static_ip(id).unwrap_or(StaticIp::Dynamic);
        self.lazy.borrow_mut().ips.insert(id, ip);
        ip
    }

    fn find_static_ip(&self, id: MachineId) -> Option<StaticIp> {
        let stage = self.stages.get(self.machine(id)?.stage)?;
        let (line, cidr) = stage.lines.iter().enumerate().find_map(|(line, i)| match &i.body {
            Body::Address { cidr, .. } => Some((line, cidr.as_ref())),
            _ => None,
        })?;
        let place = Place::Stage { machine: id, line, moment: Moment::Network };
        let Some(rt) = check_arg(cidr?, &Type::Cidr, NETWORK, &self.view(place), &mut Problems::new()) else {
            return Some(StaticIp::Broken);
        };
        Some(match rt.kind {
            RtKind::Const(Value::Cidr(net)) => StaticIp::Known(net.addr()),
            RtKind::Unset => StaticIp::Unset,
            _ => StaticIp::Dynamic,
        })
    }
}
