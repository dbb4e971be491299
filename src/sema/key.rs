//! Types of keys and static addresses: what other stages may ask for before a stage's own lines are checked.

use std::collections::HashSet;

use crate::diagnostic::Problems;
use crate::syntax::ast::{Body, Expr, ExprKind, KeyFrom, Type};

use super::check::Checker;
use super::expr::check_expr;
use super::instruction_setting::NETWORK;
use super::names_scope::{Moment, Place, StaticIp};
use super::program::{MachineId, RtKind};
use super::text::check_arg;
use super::value::Value;

/// How many keys or addresses are worked out for the sake of one.
const MAX_DEPTH: usize = 32;

impl Checker<'_> {
    /// The type of a stage's key. None if its value has errors (they are reported where it stands).
    pub(super) fn key_type(&self, stage: usize, name: &str) -> Option<Type> {
        let at = (stage, name.to_owned());
        if let Some(known) = self.lazy.borrow().key_types.get(&at) {
            return known.clone();
        }
        // While it is worked out a key that asks for itself by way of others is taken for a string. If it truly
        // hangs on itself the cycle is found among the steps.
        let depth = {
            let mut lazy = self.lazy.borrow_mut();
            lazy.key_types.insert(at.clone(), Some(Type::String));
            lazy.depth += 1;
            lazy.depth
        };
        // What keys hang on is asked for first (`find_key_types`), so that this is never deep.
        let ty = if depth > MAX_DEPTH { Some(Type::String) } else { self.find_key_type(stage, name) };
        let mut lazy = self.lazy.borrow_mut();
        lazy.depth -= 1;
        lazy.key_types.insert(at, ty.clone());
        ty
    }

    /// Works out the types of all keys, each after those that its value uses: so the stack need not hold a chain of
    /// keys, however long.
    pub(super) fn find_key_types(&self) {
        let mut seen: HashSet<(usize, &str)> = HashSet::new();
        let all = self.stages.iter().enumerate().flat_map(|(i, s)| s.keys.keys().map(move |k| (i, k.as_str())));
        for start in all {
            // The second time a key comes up, all that it uses is done.
            let mut todo = vec![(start, false)];
            while let Some(((stage, key), done)) = todo.pop() {
                if done {
                    self.key_type(stage, key);
                } else if seen.insert((stage, key)) {
                    todo.push(((stage, key), true));
                    todo.extend(self.keys_used(stage, key).into_iter().map(|used| (used, false)));
                }
            }
        }
    }

    /// The keys that a `KEY name = value` without type uses, as far as can be told from its text.
    fn keys_used(&self, stage_index: usize, name: &str) -> Vec<(usize, &str)> {
        let value = self.stages.get(stage_index).and_then(|stage| {
            let Body::Key { ty: None, from: KeyFrom::Value(expr), .. } =
                &stage.lines.get(stage.keys.get(name)?.line)?.body
            else {
                return None;
            };
            Some(expr)
        });
        let known = |stage: usize, key: &str| {
            let (key, _) = self.stages.get(stage)?.keys.get_key_value(key)?;
            Some((stage, key.as_str()))
        };
        let mut out = Vec::new();
        for_each_part(value, &mut |part| match &part.kind {
            ExprKind::Name(name) => out.extend(known(stage_index, name)),
            ExprKind::Field(of, key) => {
                let of = match &of.kind {
                    ExprKind::Index(of, _) => of,
                    _ => of,
                };
                if let ExprKind::Name(owner) = &of.kind {
                    let stage = if owner == "self" { Some(stage_index) } else { self.stage_names.get(owner).copied() };
                    out.extend(stage.and_then(|stage| known(stage, &key.node)));
                }
            }
            _ => {}
        });
        out
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
        let depth = {
            let mut lazy = self.lazy.borrow_mut();
            lazy.ips.insert(id, StaticIp::Dynamic);
            lazy.depth += 1;
            lazy.depth
        };
        // One that hangs on very many others is asked for when the build runs, which is as good.
        let ip = if depth > MAX_DEPTH { None } else { self.find_static_ip(id) }.unwrap_or(StaticIp::Dynamic);
        let mut lazy = self.lazy.borrow_mut();
        lazy.depth -= 1;
        lazy.ips.insert(id, ip);
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

/// Calls `f` with an expression and all its parts.
pub(super) fn for_each_part<'e>(expr: Option<&'e Expr>, f: &mut dyn FnMut(&'e Expr)) {
    let mut todo: Vec<&Expr> = expr.into_iter().collect();
    while let Some(expr) = todo.pop() {
        f(expr);
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Duration(_) => {}
            ExprKind::Size(_) | ExprKind::Name(_) | ExprKind::Bad => {}
            ExprKind::List(items) => todo.extend(items),
            ExprKind::Field(value, _) | ExprKind::Unary(_, value) | ExprKind::Paren(value) => todo.push(value),
            ExprKind::Index(a, b) | ExprKind::Binary(a, _, b) => todo.extend([a.as_ref(), b.as_ref()]),
            ExprKind::If { then, cond, other } => todo.extend([then.as_ref(), cond.as_ref(), other.as_ref()]),
            ExprKind::Filter { value, args, .. } => {
                todo.push(value);
                todo.extend(args);
            }
        }
    }
}
