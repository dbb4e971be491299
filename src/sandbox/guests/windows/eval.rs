//! Running the part of PowerShell that is spoken here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

use super::library;
use super::syntax::{Arg, Block, Cmd, Expr, Function, Redirect, Stmt, parse};
use super::value::{Done, Flow, Native, Thrown, Value};

/// Where values go that nobody takes.
pub enum Sink<'a> {
    /// To standard output, at once.
    Print,
    Collect(&'a mut Vec<Value>),
}

impl Sink<'_> {
    pub fn put(&mut self, value: Value) {
        match self {
            Sink::Collect(into) => into.push(value),
            Sink::Print => {
                for value in value.parts() {
                    print_line(&value);
                }
            }
        }
    }
}

/// Shows a value as a line of standard output.
fn print_line(value: &Value) {
    let mut text = match value {
        Value::Hash(pairs) => {
            let rows = pairs.borrow();
            let rows = rows.iter().map(|(key, value)| format!("{key:<30} {}\n", value.text())).collect::<String>();
            format!("\nName                           Value\n----                           -----\n{rows}")
        }
        Value::Object(object) if !object.fields.borrow().iter().any(|(name, _)| name == "tostring") => {
            object.fields.borrow().iter().map(|(key, value)| format!("{key} : {}\n", value.text())).collect()
        }
        other => other.text() + "\n",
    };
    text = text.replace('\n', "\r\n");
    write_out(text.as_bytes());
}

pub fn write_out(bytes: &[u8]) {
    let mut out = std::io::stdout();
    // Nobody may read it any more.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

pub fn write_err(text: &str) {
    let _ = std::io::stderr().write_all(text.replace('\n', "\r\n").as_bytes());
}

pub struct Shell {
    scopes: Vec<HashMap<String, Value>>,
    functions: HashMap<String, Rc<Function>>,
    /// How deep functions call each other.
    depth: usize,
}

impl Shell {
    pub fn new() -> Self {
        let mut globals = HashMap::new();
        globals.insert("erroractionpreference".to_owned(), Value::from("Continue"));
        globals.insert("pid".to_owned(), Value::Int(i64::from(std::process::id())));
        Shell { scopes: vec![globals], functions: HashMap::new(), depth: 0 }
    }

    /// Runs a text as a program; its exit code.
    pub fn main(&mut self, text: &str) -> i32 {
        let block = match parse(text) {
            Ok(block) => block,
            Err(error) => {
                write_err(&format!(
                    "At line:{} char:1\n{}\n    + FullyQualifiedErrorId : ParserError\n",
                    error.line, error.why
                ));
                return 1;
            }
        };
        match self.block(&block, &mut Sink::Print) {
            Ok(()) | Err(Flow::Return | Flow::Break | Flow::Continue) => 0,
            Err(Flow::Exit(code)) => code,
            Err(Flow::Throw(thrown)) => {
                write_err(&format!("{}\n    + FullyQualifiedErrorId : {}\n", thrown.message, thrown.kind));
                1
            }
        }
    }

    pub fn get(&self, name: &str) -> Value {
        if let Some(variable) = name.strip_prefix("env:") {
            return library::env(variable).map_or(Value::Null, Value::from);
        }
        if let Some(name) = name.strip_prefix("script:").or_else(|| name.strip_prefix("global:")) {
            return self.scopes.first().and_then(|scope| scope.get(name)).cloned().unwrap_or(Value::Null);
        }
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).cloned().unwrap_or(Value::Null)
    }

    pub fn set(&mut self, name: &str, value: Value) {
        if let Some(variable) = name.strip_prefix("env:") {
            library::set_env(variable, &value.text());
            return;
        }
        let (scope, name) = match name.strip_prefix("script:").or_else(|| name.strip_prefix("global:")) {
            Some(name) => (self.scopes.first_mut(), name),
            None => (self.scopes.last_mut(), name.strip_prefix("local:").unwrap_or(name)),
        };
        if let Some(scope) = scope {
            scope.insert(name.to_owned(), value);
        }
    }

    pub fn block(&mut self, block: &Block, out: &mut Sink<'_>) -> Done<()> {
        for statement in block.iter() {
            self.statement(statement, out)?;
        }
        Ok(())
    }

    /// What a block gives, collected.
    pub fn values(&mut self, block: &Block) -> Done<Vec<Value>> {
        let mut all = Vec::new();
        self.block(block, &mut Sink::Collect(&mut all))?;
        Ok(all)
    }

    fn value(&mut self, statement: &Stmt) -> Done<Value> {
        // A lone expression is itself: a list with one element stays one.
        if let Stmt::Pipeline(commands) = statement
            && let [Cmd::Expr(expr)] = commands.as_slice()
        {
            return self.expr(expr);
        }
        let mut all = Vec::new();
        self.statement(statement, &mut Sink::Collect(&mut all))?;
        Ok(Value::collected(all))
    }

    fn looped(&mut self, body: &Block, out: &mut Sink<'_>) -> Done<bool> {
        match self.block(body, out) {
            Ok(()) | Err(Flow::Continue) => Ok(true),
            Err(Flow::Break) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn statement(&mut self, statement: &Stmt, out: &mut Sink<'_>) -> Done<()> {
        match statement {
            Stmt::Pipeline(commands) => self.pipeline(commands, out),
            Stmt::Assign { to, op, value } => {
                let mut value = self.value(value)?;
                if let Some(op) = op {
                    let before = self.expr(to)?;
                    value = library::binary(op, &before, &value)?;
                }
                self.assign(to, value)
            }
            Stmt::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if self.value(condition)?.truth() {
                        return self.block(body, out);
                    }
                }
                otherwise.as_ref().map_or(Ok(()), |body| self.block(body, out))
            }
            Stmt::While { condition, body } => {
                while self.value(condition)?.truth() {
                    if !self.looped(body, out)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::For { first, condition, next, body } => {
                if let Some(first) = first {
                    self.value(first)?;
                }
                loop {
                    if let Some(condition) = condition
                        && !self.value(condition)?.truth()
                    {
                        return Ok(());
                    }
                    if !self.looped(body, out)? {
                        return Ok(());
                    }
                    if let Some(next) = next {
                        self.value(next)?;
                    }
                }
            }
            Stmt::ForEach { name, list, body } => {
                for value in self.value(list)?.parts() {
                    self.set(name, value);
                    if !self.looped(body, out)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::Function { name, body } => {
                self.functions.insert(name.clone(), body.clone());
                Ok(())
            }
            Stmt::Return(value) => {
                if let Some(value) = value {
                    for value in self.value(value)?.parts_of_output() {
                        out.put(value);
                    }
                }
                Err(Flow::Return)
            }
            Stmt::Exit(code) => {
                let code = match code {
                    Some(code) => self.value(code)?.int()?,
                    None => 0,
                };
                Err(Flow::Exit(code as i32))
            }
            Stmt::Throw(what) => {
                let message = match what {
                    Some(what) => self.value(what)?.text(),
                    None => "ScriptHalted".to_owned(),
                };
                Err(Thrown::new(message).into())
            }
            Stmt::Break => Err(Flow::Break),
            Stmt::Continue => Err(Flow::Continue),
            Stmt::Try { body, catches, last } => {
                let mut ended = self.block(body, out);
                if let Err(Flow::Throw(thrown)) = &ended {
                    let fits = |name: &String| {
                        thrown.kind == *name
                            || name == "exception"
                            || (name == "io.ioexception" && thrown.kind.starts_with("io."))
                    };
                    let found = catches.iter().find(|(types, _)| types.is_empty() || types.iter().any(fits));
                    if let Some((_, handler)) = found {
                        let record = record(thrown);
                        self.set("_", record);
                        ended = self.block(handler, out);
                    }
                }
                if let Some(last) = last {
                    self.block(last, out)?;
                }
                ended
            }
        }
    }

    fn assign(&mut self, to: &Expr, value: Value) -> Done<()> {
        match to {
            Expr::Var(name) => {
                self.set(name, value);
                Ok(())
            }
            Expr::Cast(kind, inner) => {
                let value = library::cast(kind, &value)?;
                self.assign(inner, value)
            }
            Expr::Member(object, name) => {
                let (object, name) = (self.expr(object)?, self.expr(name)?.text().to_lowercase());
                Ok(library::set_member(&object, &name, value)?)
            }
            Expr::Static(kind, name) => Ok(library::set_static(kind, name, &value)?),
            Expr::Index(list, index) => {
                let (list, index) = (self.expr(list)?, self.expr(index)?);
                Ok(library::set_index(&list, &index, value)?)
            }
            Expr::Null => Ok(()),
            _ => Err(Thrown::new("The assignment expression is not valid.").into()),
        }
    }

    fn pipeline(&mut self, commands: &[Cmd], out: &mut Sink<'_>) -> Done<()> {
        let Some((last, before)) = commands.split_last() else { return Ok(()) };
        let mut input = None;
        for command in before {
            let mut all = Vec::new();
            self.run(command, input.take(), &mut Sink::Collect(&mut all))?;
            input = Some(all.iter().flat_map(Value::parts).collect());
        }
        self.run(last, input, out)
    }

    fn run(&mut self, command: &Cmd, input: Option<Vec<Value>>, out: &mut Sink<'_>) -> Done<()> {
        match command {
            Cmd::Expr(expr) => {
                // What only changes a variable gives nothing.
                let silent = matches!(expr, Expr::Step(..)) || matches!(expr, Expr::Cast(kind, _) if kind == "void");
                for value in self.expr(expr)?.parts_of_output() {
                    if !silent {
                        out.put(value);
                    }
                }
                Ok(())
            }
            Cmd::Call { name, args, redirects } => {
                let name = self.expr(name)?;
                let mut words = Vec::new();
                for arg in args {
                    words.push(match arg {
                        Arg::Param(name, None) => (Some(name.to_lowercase()), Value::Null),
                        Arg::Param(name, Some(value)) => (Some(name.to_lowercase() + ":"), self.expr(value)?),
                        Arg::Value(value) => (None, self.expr(value)?),
                    });
                }
                if redirects.is_empty() {
                    return self.call(&name, words, input, out);
                }
                let mut targets = Vec::new();
                for redirect in redirects {
                    if let Redirect::File { stream, append, to } = redirect {
                        targets.push((*stream, *append, self.expr(to)?));
                    }
                }
                let mut all = Vec::new();
                self.call(&name, words, input, &mut Sink::Collect(&mut all))?;
                for (stream, append, to) in targets {
                    // `2>$null`
                    if stream == 1 && !matches!(to, Value::Null) {
                        let text: String = all.drain(..).flat_map(|v| v.parts()).map(|v| v.text() + "\r\n").collect();
                        library::write_file(&to.text(), text.as_bytes(), append)?;
                    } else if stream == 1 {
                        all.clear();
                    }
                }
                all.into_iter().for_each(|value| out.put(value));
                Ok(())
            }
        }
    }

    /// Calls what a name or value means.
    fn call(
        &mut self,
        name: &Value,
        words: Vec<(Option<String>, Value)>,
        input: Option<Vec<Value>>,
        out: &mut Sink<'_>,
    ) -> Done<()> {
        if let Value::Code(function) = name {
            let function = function.clone();
            return self.invoke(&function, words, input, out);
        }
        let name = name.text();
        let function = self.functions.get(&name.to_lowercase()).cloned();
        match function {
            Some(function) => self.invoke(&function, words, input, out),
            None => super::cmdlets::call(self, &name, words, input, out),
        }
    }

    pub fn invoke(
        &mut self,
        function: &Rc<Function>,
        words: Vec<(Option<String>, Value)>,
        input: Option<Vec<Value>>,
        out: &mut Sink<'_>,
    ) -> Done<()> {
        self.depth += 1;
        if self.depth > 80 {
            self.depth -= 1;
            return Err(Thrown::new("The script failed due to call depth overflow.").into());
        }
        let mut scope = HashMap::new();
        let mut given: Vec<Value> = Vec::new();
        let mut words = words.into_iter();
        while let Some((name, value)) = words.next() {
            match name {
                Some(name) => {
                    let bare = name.trim_end_matches(':');
                    let value = if name.ends_with(':') { value } else { words.next().map_or(Value::Null, |w| w.1) };
                    scope.insert(bare.to_owned(), value);
                }
                None => given.push(value),
            }
        }
        let mut given = given.into_iter();
        for (name, default) in &function.params {
            if scope.contains_key(name) {
                continue;
            }
            let value = match (given.next(), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.expr(default)?,
                (None, None) => Value::Null,
            };
            scope.insert(name.clone(), value);
        }
        scope.insert("args".to_owned(), Value::list(given.collect()));
        if let Some(input) = input {
            scope.insert("input".to_owned(), Value::list(input));
        }
        self.scopes.push(scope);
        let ended = self.block(&function.body, out);
        self.scopes.pop();
        self.depth -= 1;
        match ended {
            Err(Flow::Return) => Ok(()),
            other => other,
        }
    }

    /// A script block for each of some values, in the scope of whoever asks.
    pub fn each(&mut self, code: &Function, value: Value, out: &mut Sink<'_>) -> Done<()> {
        let before = self.get("_");
        self.set("_", value);
        let ended = self.block(&code.body, out);
        self.set("_", before);
        ended
    }

    /// Runs a text as if it stood here.
    pub fn evaluate(&mut self, text: &str, out: &mut Sink<'_>) -> Done<()> {
        let block = parse(text).map_err(|e| {
            Thrown::of("management.automation.parseexception", format!("At line:{} char:1\n{}", e.line, e.why))
        })?;
        self.block(&block, out)
    }

    pub fn expr(&mut self, expr: &Expr) -> Done<Value> {
        Ok(match expr {
            Expr::Null => Value::Null,
            Expr::Bool(is) => Value::Bool(*is),
            Expr::Int(n) => Value::Int(*n),
            Expr::Double(n) => Value::Double(*n),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Join(parts) => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&self.expr(part)?.text());
                }
                Value::from(text)
            }
            Expr::Var(name) => self.get(name),
            Expr::Member(object, name) => {
                let (object, name) = (self.expr(object)?, self.expr(name)?.text().to_lowercase());
                library::member(&object, &name)?
            }
            Expr::Call(object, name, args) => {
                let object = self.expr(object)?;
                let args = self.all(args)?;
                library::method(&object, name, &args)?
            }
            Expr::Static(kind, name) => library::property(kind, name)?,
            Expr::StaticCall(kind, name, args) => {
                let args = self.all(args)?;
                library::function(kind, name, &args)?
            }
            Expr::Type(name) => Value::Type(name.clone()),
            Expr::Index(list, index) => {
                let (list, index) = (self.expr(list)?, self.expr(index)?);
                library::index(&list, &index)?
            }
            Expr::Binary(op @ ("-and" | "-or"), left, right) => {
                let left = self.expr(left)?.truth();
                Value::Bool(match *op {
                    "-and" => left && self.expr(right)?.truth(),
                    _ => left || self.expr(right)?.truth(),
                })
            }
            Expr::Binary(op, left, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                library::binary(op, &left, &right)?
            }
            Expr::Unary(op, inner) => {
                let inner = self.expr(inner)?;
                match *op {
                    "!" => Value::Bool(!inner.truth()),
                    "bnot" => Value::Int(!inner.int()?),
                    "join" => Value::from(inner.parts().iter().map(Value::text).collect::<String>()),
                    "split" => Value::list(inner.text().split_whitespace().map(Value::from).collect()),
                    _ => library::binary("-", &Value::Int(0), &inner)?,
                }
            }
            Expr::Cast(kind, inner) => {
                let value = self.expr(inner)?;
                library::cast(kind, &value)?
            }
            Expr::Step(inner, by) => {
                let before = self.expr(inner)?;
                self.assign(inner, Value::Int(before.int()? + by))?;
                before
            }
            Expr::List(items) => Value::list(self.all(items)?),
            Expr::Array(block) => {
                let values = self.values(block)?;
                Value::list(values.iter().flat_map(Value::parts).collect())
            }
            Expr::Sub(block) => Value::collected(self.values(block)?.iter().flat_map(Value::parts).collect()),
            Expr::Paren(statement) => {
                if let Stmt::Assign { to, .. } = &**statement {
                    self.value(statement)?;
                    return self.expr(to);
                }
                self.value(statement)?
            }
            Expr::Hash(pairs) => {
                let mut all = Vec::new();
                for (key, value) in pairs {
                    all.push((self.expr(key)?.text(), self.value(value)?));
                }
                Value::Hash(Rc::new(RefCell::new(all)))
            }
            Expr::Code(function) => Value::Code(function.clone()),
        })
    }

    fn all(&mut self, exprs: &[Expr]) -> Done<Vec<Value>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }
}

impl Value {
    /// What a statement that is this value gives: a list is given part by part.
    pub fn parts_of_output(&self) -> Vec<Value> {
        match self {
            Value::Null => Vec::new(),
            // One inside another is kept: `return , $list`.
            Value::List(list) => list.borrow().clone(),
            other => vec![other.clone()],
        }
    }
}

/// `$_` in a catch.
fn record(thrown: &Thrown) -> Value {
    let inner = Value::object("exception", Native::None, vec![("message", Value::from(thrown.message.as_str()))]);
    let exception = Value::object(
        &thrown.kind,
        Native::None,
        vec![("message", Value::from(thrown.message.as_str())), ("innerexception", inner)],
    );
    let text = Value::from(thrown.message.as_str());
    Value::object("management.automation.errorrecord", Native::None, vec![("exception", exception), ("tostring", text)])
}
