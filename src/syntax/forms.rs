//! The instructions' forms: from the pairs of a level 2 rule to a [`Body`].

use super::ast::{
    Body, Command, CopySource, Expr, ExprKind, Flag, For, ForOver, KeyFrom, OnFail, OutputKind, Pair, Text, Type,
    WaitFor,
};
use super::cx::{Cx, Node, near};
use super::grammar::Rule;
use super::lines::Marker;
use super::words::{self, Mode};
use super::{Keyword, codes, expr, flags, shelltext};
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};

/// The level 2 rule of a keyword.
pub(super) fn rule(keyword: Keyword) -> Rule {
    match keyword {
        Keyword::Arg => Rule::l_arg,
        Keyword::Secret => Rule::l_secret,
        Keyword::From => Rule::l_from,
        Keyword::On => Rule::l_on,
        Keyword::Output => Rule::l_output,
        Keyword::Include
        | Keyword::Datacenter
        | Keyword::Cluster
        | Keyword::Host
        | Keyword::Pool
        | Keyword::Folder
        | Keyword::Network
        | Keyword::Memory
        | Keyword::Hostname
        | Keyword::Workdir
        | Keyword::Snapshot
        | Keyword::Serial => Rule::l_one,
        Keyword::Cpu => Rule::l_cpu,
        Keyword::Disk | Keyword::Nic | Keyword::Cdrom | Keyword::Tag => Rule::l_words,
        Keyword::Hardware | Keyword::Config | Keyword::Label | Keyword::Env => Rule::l_pairs,
        Keyword::Annotation | Keyword::Note => Rule::l_prose,
        Keyword::Address => Rule::l_address,
        Keyword::Login | Keyword::User => Rule::l_login,
        Keyword::Shell => Rule::l_shell,
        Keyword::Run => Rule::l_run,
        Keyword::Key => Rule::l_key,
        Keyword::Copy => Rule::l_copy,
        Keyword::Fetch => Rule::l_fetch,
        Keyword::Reboot | Keyword::Seal => Rule::l_none,
        Keyword::Wait => Rule::l_wait,
        Keyword::Checkpoint | Keyword::Datastore => Rule::l_optional,
        Keyword::OnFail => Rule::l_onfail,
        Keyword::Healthcheck | Keyword::OnRemove => Rule::l_hook,
    }
}

/// Whether heredocs mean something there.
pub(super) fn takes_heredocs(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::Run
            | Keyword::Key
            | Keyword::Copy
            | Keyword::Wait
            | Keyword::OnFail
            | Keyword::Healthcheck
            | Keyword::OnRemove
    )
}

/// What a line is built with.
pub(super) struct Form<'c, 'a> {
    pub cx: &'c mut Cx<'a>,
    pub keyword: Keyword,
    pub flags: Vec<Flag>,
    pub markers: &'c [Marker],
}

/// What is missing: reported by the caller, with the forms of the instruction.
pub(super) struct Lacking(pub &'static str);

impl<'a> Form<'_, 'a> {
    /// A node's parts without flags, which are read in passing.
    fn parts(&mut self, node: Node<'a>) -> std::vec::IntoIter<Node<'a>> {
        let mut out = Vec::new();
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::flag => {
                    if let Some(flag) = flags::flag(self.cx, self.keyword, part) {
                        self.flags.push(flag);
                    }
                }
                Rule::dashes | Rule::EOI => {}
                _ => out.push(part),
            }
        }
        out.into_iter()
    }

    fn text(&mut self, node: Node<'a>) -> Text {
        words::text(self.cx, node, Mode::Word)
    }

    /// The next part as text; the grammar has made sure that it is there.
    fn next(&mut self, parts: &mut std::vec::IntoIter<Node<'a>>, what: &'static str) -> Result<Text, Lacking> {
        let node = parts.find(|n| !is_word_of_its_own(n.as_rule())).ok_or(Lacking(what))?;
        Ok(self.text(node))
    }

    fn next_name(&mut self, parts: &mut std::vec::IntoIter<Node<'a>>) -> Result<Spanned<String>, Lacking> {
        let node = parts.find(|n| !is_word_of_its_own(n.as_rule())).ok_or(Lacking("a name"))?;
        Ok(words::name(self.cx, &node))
    }

    /// The body of a line that fits the rule of its keyword.
    pub fn body(&mut self, node: Node<'a>) -> Result<Body, Lacking> {
        let mut parts = self.parts(node);
        Ok(match self.keyword {
            Keyword::Arg => {
                let (name, ty) = self.decl(&mut parts)?;
                let default = match parts.next() {
                    Some(node) => Some(expr::value(self.cx, node).ok_or(Lacking("a value after `=`"))?),
                    None => None,
                };
                Body::Arg { name, ty, default }
            }
            Keyword::Secret => {
                let name = self.next_name(&mut parts)?;
                let generate = match parts.next() {
                    Some(_) => Some(self.next(&mut parts, "a length")?),
                    None => None,
                };
                Body::Secret { name, generate }
            }
            Keyword::Include => Body::Include { path: self.next(&mut parts, "a path")? },
            Keyword::From => self.from(parts)?,
            Keyword::On => {
                let (mut selector, mut alias) = (Vec::new(), None);
                for part in parts {
                    match part.as_rule() {
                        Rule::as_name => alias = Some(self.alias(part)?),
                        _ => selector.push(self.text(part)),
                    }
                }
                Body::On { selector, alias }
            }
            Keyword::Output => self.output(parts)?,
            Keyword::Datacenter
            | Keyword::Cluster
            | Keyword::Host
            | Keyword::Pool
            | Keyword::Folder
            | Keyword::Network => Body::Placement { value: Some(self.next(&mut parts, "a name")?) },
            // A policy says as much as a name.
            Keyword::Datastore => match parts.next() {
                Some(name) => Body::Placement { value: Some(self.text(name)) },
                None if self.flags.iter().any(|flag| flag.name.node == "policy") => Body::Placement { value: None },
                None => return Err(Lacking("a name")),
            },
            Keyword::Cpu => {
                let count = self.next(&mut parts, "a count")?;
                let cores = if parts.next().is_some() { Some(self.next(&mut parts, "a count")?) } else { None };
                Body::Cpu { count, cores }
            }
            Keyword::Memory => Body::Memory { size: self.next(&mut parts, "a size")? },
            Keyword::Disk => Body::Disk { words: self.words(parts)? },
            Keyword::Nic => Body::Nic { words: self.words(parts)? },
            Keyword::Cdrom => Body::Cdrom { words: self.words(parts)? },
            Keyword::Tag => Body::Tag { words: self.words(parts)? },
            Keyword::Hardware => Body::Hardware { pairs: self.pairs(parts)? },
            Keyword::Config => Body::Config { pairs: self.pairs(parts)? },
            Keyword::Label => Body::Label { pairs: self.pairs(parts)? },
            Keyword::Env => Body::Env { pairs: self.pairs(parts)? },
            Keyword::Annotation => Body::Annotation { text: self.prose(&mut parts)? },
            Keyword::Note => Body::Note { text: self.prose(&mut parts)? },
            Keyword::Address => self.address(parts)?,
            Keyword::Hostname => Body::Hostname { name: self.next(&mut parts, "a name")? },
            Keyword::Login | Keyword::User => {
                let name = self.next(&mut parts, "a user")?;
                let password = if parts.next().is_some() { Some(self.next(&mut parts, "a password")?) } else { None };
                match self.keyword {
                    Keyword::Login => Body::Login { user: name, password },
                    _ => Body::User { name, password },
                }
            }
            Keyword::Workdir => Body::Workdir { path: self.next(&mut parts, "a path")? },
            Keyword::Shell => {
                let node = parts.next().ok_or(Lacking("a shell"))?;
                match node.as_rule() {
                    Rule::array => Body::Shell { argv: shelltext::array(self.cx, node), array: true },
                    Rule::array_quotes => Body::Shell { argv: shelltext::array_quotes(self.cx, node), array: true },
                    _ => Body::Shell { argv: vec![self.text(node)], array: false },
                }
            }
            Keyword::Run => Body::Run { command: self.command(&mut parts)? },
            Keyword::Key => self.key(parts)?,
            Keyword::Copy => self.copy(parts)?,
            Keyword::Fetch => {
                let (paths, dest) = self.fetch(parts)?;
                Body::Fetch { paths, dest }
            }
            Keyword::Reboot => Body::Reboot,
            Keyword::Wait => Body::Wait { what: self.wait(parts)? },
            Keyword::Checkpoint => {
                let name = parts.next().map(|n| self.text(n));
                Body::Checkpoint { name }
            }
            Keyword::Snapshot => Body::Snapshot { name: self.next(&mut parts, "a name")? },
            Keyword::Seal => Body::Seal,
            Keyword::OnFail => Body::OnFail { action: self.on_fail(parts)? },
            Keyword::Healthcheck => {
                parts.next();
                Body::Healthcheck { command: self.command(&mut parts)? }
            }
            Keyword::OnRemove => {
                parts.next();
                Body::OnRemove { command: self.command(&mut parts)? }
            }
            Keyword::Serial => Body::Serial { count: self.next(&mut parts, "a count")? },
        })
    }

    fn decl(
        &mut self,
        parts: &mut std::vec::IntoIter<Node<'a>>,
    ) -> Result<(Spanned<String>, Option<Spanned<Type>>), Lacking> {
        let decl = parts.next().ok_or(Lacking("a name"))?;
        let (mut name, mut ty) = (None, None);
        for part in decl.into_inner() {
            match part.as_rule() {
                Rule::decl_name => name = Some(words::name(self.cx, &part)),
                _ => ty = read_type(self.cx, &part),
            }
        }
        Ok((name.ok_or(Lacking("a name"))?, ty))
    }

    fn alias(&mut self, node: Node<'a>) -> Result<Spanned<String>, Lacking> {
        let mut parts = self.parts(node);
        self.next_name(&mut parts)
    }

    fn from(&mut self, mut parts: std::vec::IntoIter<Node<'a>>) -> Result<Body, Lacking> {
        let source = self.next(&mut parts, "a source")?;
        let (mut alias, mut replicas) = (None, None);
        for part in parts {
            match part.as_rule() {
                Rule::as_name => alias = Some(self.alias(part)?),
                _ => replicas = Some(self.replicas(part)?),
            }
        }
        Ok(Body::From { source, alias, replicas })
    }

    fn replicas(&mut self, node: Node<'a>) -> Result<For, Lacking> {
        let span = self.cx.at(&node);
        let mut parts = self.parts(node);
        let var = self.next_name(&mut parts)?;
        let mut csv = false;
        for part in parts {
            match part.as_rule() {
                Rule::kw_file => csv = true,
                Rule::range => {
                    let mut ends = part.into_inner().map(|end| self.range_end(end));
                    let from = ends.next().ok_or(Lacking("a range"))?;
                    let to = ends.next().ok_or(Lacking("a range"))?;
                    return Ok(For { span, var, over: ForOver::Range { from, to } });
                }
                Rule::word => {
                    let text = self.text(part);
                    if csv {
                        return Ok(For { span, var, over: ForOver::Csv(text) });
                    }
                    if let Some(list) = text.sole_hole() {
                        return Ok(For { span, var, over: ForOver::List(list.clone()) });
                    }
                    let written = self.cx.slice(text.span);
                    let diagnostic =
                        Diagnostic::at(&codes::UNKNOWN_WORD, text.span, format!("FOR can't run over `{written}`"));
                    let name = written.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                    self.cx.push(if written.starts_with('[') {
                        diagnostic.help(format!("put the list into braces: `${{{{ {written} }}}}`"))
                    } else if name && !written.starts_with(|c: char| c.is_ascii_digit()) {
                        let new = format!("${{{{ {written} }}}}");
                        diagnostic.help(format!("write `{new}` for a list of that name")).replace(
                            format!("write `{new}`"),
                            false,
                            text.span,
                            new,
                        )
                    } else {
                        diagnostic.help("write `1..3`, `${{ list }}` or `FILE path.csv`")
                    });
                    let list = Expr { span: text.span, kind: ExprKind::Bad };
                    return Ok(For { span, var, over: ForOver::List(list) });
                }
                _ => {}
            }
        }
        Err(Lacking("what FOR runs over"))
    }

    fn range_end(&mut self, node: Node<'a>) -> Text {
        let span = self.cx.at(&node);
        if let Some(part) = node.clone().into_inner().next()
            && part.as_rule() == Rule::range_name
        {
            let new = format!("${{{{ {} }}}}", part.as_str());
            self.cx.push(
                Diagnostic::at(&codes::RANGE_NAME, span, format!("`{}` is no number", part.as_str()))
                    .help(format!("write `{new}` for a value"))
                    .replace(format!("write `{new}`"), true, span, new),
            );
            let expr = Expr { span, kind: ExprKind::Bad };
            return Text { span, pieces: vec![super::ast::Piece::Hole { span, quote: super::ast::Quote::Bare, expr }] };
        }
        self.text(node)
    }

    fn output(&mut self, mut parts: std::vec::IntoIter<Node<'a>>) -> Result<Body, Lacking> {
        let node = parts.next().ok_or(Lacking("a kind"))?;
        let span = self.cx.at(&node);
        let written = words::bare_word(&node).unwrap_or_default();
        let kinds = self.keyword.info().words;
        let kind = match written.to_ascii_uppercase().as_str() {
            "TEMPLATE" => OutputKind::Template,
            "VM" => OutputKind::Vm,
            "LIBRARY" => OutputKind::Library,
            "OVA" => OutputKind::Ova,
            "NONE" => OutputKind::None,
            _ => {
                let shown = self.cx.slice(span);
                let diagnostic = Diagnostic::at(&codes::UNKNOWN_WORD, span, format!("`{shown}` is no kind of output"));
                let near = near(&written, kinds.iter().copied());
                let name = parts.next();
                self.cx.push(match near {
                    Some(near) if name.is_some() => diagnostic.help(format!("did you mean `{near}`?")).replace(
                        format!("write `{near}`"),
                        false,
                        span,
                        near,
                    ),
                    _ if name.is_none() => diagnostic
                        .help(format!("say what is left: `OUTPUT TEMPLATE {shown}` or `OUTPUT VM {shown}`"))
                        .replace(format!("write `TEMPLATE {shown}`"), false, span, format!("TEMPLATE {shown}")),
                    _ => diagnostic.help(format!("one of {}", kinds.join(", "))),
                });
                let kind = match near {
                    Some("VM") => OutputKind::Vm,
                    Some("LIBRARY") => OutputKind::Library,
                    Some("OVA") => OutputKind::Ova,
                    _ => OutputKind::Template,
                };
                let name = Some(self.text(name.unwrap_or(node)));
                return Ok(Body::Output { kind: Spanned::new(kind, span), name });
            }
        };
        let name = parts.next().map(|n| self.text(n));
        match (&name, kind) {
            (None, OutputKind::None) => {}
            (None, _) => return Err(Lacking(if kind == OutputKind::Ova { "a file" } else { "a name" })),
            (Some(name), OutputKind::None) => self.cx.push(
                Diagnostic::at(&codes::UNEXPECTED_ARGUMENT, name.span, "OUTPUT NONE has no name").help("take it away"),
            ),
            (Some(_), _) => {}
        }
        Ok(Body::Output { kind: Spanned::new(kind, span), name })
    }

    fn words(&mut self, parts: std::vec::IntoIter<Node<'a>>) -> Result<Vec<Text>, Lacking> {
        let words: Vec<Text> = parts.map(|n| self.text(n)).collect();
        if words.is_empty() { Err(Lacking("an argument")) } else { Ok(words) }
    }

    fn pairs(&mut self, parts: std::vec::IntoIter<Node<'a>>) -> Result<Vec<Pair>, Lacking> {
        let guest = self.keyword == Keyword::Env;
        let mode = if guest { Mode::Guest } else { Mode::Word };
        let mut pairs = Vec::new();
        let mut lone: Vec<Node<'a>> = Vec::new();
        for part in parts {
            if part.as_rule() != Rule::pair {
                lone.push(part);
                continue;
            }
            let (mut key, mut value) = (None, None);
            for half in part.into_inner() {
                match half.as_rule() {
                    Rule::pair_key => key = Some(self.pair_key(half)),
                    _ => value = Some(words::text(self.cx, half, mode)),
                }
            }
            if let (Some(key), Some(value)) = (key, value) {
                pairs.push(Pair { key, value });
            }
        }
        self.lone_words(lone, &pairs);
        Ok(pairs)
    }

    fn pair_key(&mut self, node: Node<'a>) -> Spanned<String> {
        let span = self.cx.at(&node);
        let text = self.text(node);
        let key = text.literal().unwrap_or_else(|| {
            self.cx.push(
                Diagnostic::at(&codes::BAD_NAME, span, "a key is known when the file is read")
                    .help("no value can be put into a key, only after its `=`"),
            );
            self.cx.slice(span).to_owned()
        });
        Spanned::new(key, span)
    }

    /// Words without `=` among pairs: `ENV key value`, or a comment.
    fn lone_words(&mut self, words: Vec<Node<'a>>, pairs: &[Pair]) {
        let [first, ..] = words.as_slice() else { return };
        let span = self.cx.at(first);
        let last = words.last().map_or(span, |n| self.cx.at(n));
        let written = self.cx.slice(span);
        if written.starts_with('#') {
            expr::inline_comment(self.cx, span.to(last));
            return;
        }
        if written.starts_with('=') {
            let message = format!("there is no name before `{written}`");
            self.cx.push(
                Diagnostic::at(&codes::PAIR_WITHOUT_EQUALS, span, message)
                    .help(format!("{} takes key=value, without blanks around the `=`", self.keyword)),
            );
            return;
        }
        let after = pairs.last().is_some_and(|p| p.value.span.end <= span.start);
        let diagnostic = Diagnostic::at(&codes::PAIR_WITHOUT_EQUALS, span, format!("`{written}` has no `=`"))
            .primary(span, format!("{} takes key=value", self.keyword));
        let diagnostic = if pairs.is_empty() && words.len() > 1 {
            let rest = words.get(1).map_or(last, |n| self.cx.at(n)).to(last);
            let value = self.cx.slice(rest);
            let plain = words.len() == 2 || value.contains('\n') || value.contains(['"', '\'']);
            let value = if plain { value.to_owned() } else { expr::quote(value, self.cx.escape) };
            let new = format!("{written}={}", value.trim_start_matches('=').trim_start());
            diagnostic.help(format!("write `{} {new}`", self.keyword)).replace(
                "join them by `=`",
                false,
                span.to(last),
                new,
            )
        } else if after {
            diagnostic.help("blanks separate pairs: put a value with blanks in quotes, as in `key=\"a b\"`")
        } else {
            diagnostic.help(format!("write `{} {written}=value`", self.keyword))
        };
        self.cx.push(diagnostic);
    }

    fn prose(&mut self, parts: &mut std::vec::IntoIter<Node<'a>>) -> Result<Text, Lacking> {
        let node = parts.next().ok_or(Lacking("a text"))?;
        let end = {
            let span = self.cx.at(&node);
            let text = self.cx.slice(span);
            Span { end: span.start + text.trim_end().len() as u32, ..span }
        };
        let inner: Vec<Node<'a>> = node.into_inner().filter(|n| n.as_rule() != Rule::EOI).collect();
        if inner.is_empty() {
            return Err(Lacking("a text"));
        }
        Ok(words::prose(self.cx, inner, end))
    }

    fn address(&mut self, mut parts: std::vec::IntoIter<Node<'a>>) -> Result<Body, Lacking> {
        let first = parts.next().ok_or(Lacking("an address"))?;
        let dhcp = words::bare_word(&first).is_some_and(|w| w.eq_ignore_ascii_case("DHCP"));
        let cidr = if dhcp { None } else { Some(self.text(first)) };
        let (mut gateway, mut dns, mut search, mut device) = (None, Vec::new(), Vec::new(), None);
        for part in parts {
            let rule = part.as_rule();
            let place = self.cx.at(&part);
            let mut inner = self.parts(part);
            match rule {
                Rule::gateway => {
                    let value = self.next(&mut inner, "an address")?;
                    if gateway.replace(value).is_some() {
                        self.twice(place, "GATEWAY");
                    }
                }
                Rule::device => {
                    let value = self.next(&mut inner, "a name")?;
                    if device.replace(value).is_some() {
                        self.twice(place, "DEVICE");
                    }
                }
                Rule::dns | Rule::search => {
                    let list: Vec<Text> =
                        inner.filter(|n| !is_word_of_its_own(n.as_rule())).map(|n| self.text(n)).collect();
                    if rule == Rule::dns { dns.extend(list) } else { search.extend(list) }
                }
                _ => {}
            }
        }
        Ok(Body::Address { cidr, gateway, dns, search, device })
    }

    fn twice(&mut self, span: Span, what: &str) {
        self.cx.push(
            Diagnostic::at(&codes::UNEXPECTED_ARGUMENT, span, format!("{what} is given twice")).help("take one away"),
        );
    }

    fn command(&mut self, parts: &mut std::vec::IntoIter<Node<'a>>) -> Result<Command, Lacking> {
        let node = parts.next().ok_or(Lacking("a command"))?;
        if node.as_str().is_empty() {
            return Err(Lacking("a command"));
        }
        Ok(shelltext::command(self.cx, node, self.markers))
    }

    fn key(&mut self, mut parts: std::vec::IntoIter<Node<'a>>) -> Result<Body, Lacking> {
        let (name, ty) = self.decl(&mut parts)?;
        let mut from = None;
        while let Some(part) = parts.next() {
            match part.as_rule() {
                Rule::value_expr => {
                    from = Some(KeyFrom::Value(expr::value(self.cx, part).ok_or(Lacking("a value after `=`"))?));
                }
                Rule::kw_run => from = Some(KeyFrom::Run(self.command(&mut parts)?)),
                Rule::kw_file => {
                    let path = self.next(&mut parts, "a path")?;
                    from = Some(KeyFrom::File { path, delete: parts.next().is_some() });
                }
                _ => {}
            }
        }
        Ok(Body::Key { name, ty, from: from.ok_or(Lacking("FROM or `=`"))? })
    }

    fn copy(&mut self, parts: std::vec::IntoIter<Node<'a>>) -> Result<Body, Lacking> {
        let mut items: Vec<Node<'a>> = parts.collect();
        let dest = match items.pop() {
            Some(node) if node.as_rule() == Rule::word => self.text(node),
            Some(_) => return Err(Lacking("where to copy it to")),
            None => return Err(Lacking("what to copy")),
        };
        let whole = items.first().map_or(dest.span, |n| self.cx.at(n)).to(dest.span);
        let written = self.cx.slice(whole);
        if written.starts_with('[') && written.ends_with(']') && written.contains(['"', '\'']) {
            let words = written.trim_matches(['[', ']']).split(',').map(|w| w.trim().trim_matches(['"', '\'']));
            let words: Vec<&str> = words.collect();
            let diagnostic = Diagnostic::at(&codes::EXEC_ARRAY, whole, "COPY takes words, not an array");
            self.cx.push(
                diagnostic.help(format!("write `COPY {}`; a word with blanks in double quotes", words.join(" "))),
            );
            return Ok(Body::Copy { sources: Vec::new(), dest });
        }
        let mut sources = Vec::new();
        for item in items {
            if item.as_rule() != Rule::copy_doc {
                sources.push(CopySource::Path(self.text(item)));
                continue;
            }
            let span = self.cx.at(&item);
            match self.markers.iter().position(|m| m.range.start == span.start as usize) {
                Some(index) => sources.push(CopySource::Heredoc(index)),
                None => self.cx.push(
                    Diagnostic::at(&codes::BAD_HEREDOC, span, "this heredoc has no body")
                        .help("a `#`, or a quote that isn't closed, stands before it"),
                ),
            }
        }
        Ok(Body::Copy { sources, dest })
    }

    fn fetch(&mut self, parts: std::vec::IntoIter<Node<'a>>) -> Result<(Vec<Text>, Text), Lacking> {
        let mut paths: Vec<Text> = parts.map(|n| self.text(n)).collect();
        let dest = paths.pop().ok_or(Lacking("what to fetch"))?;
        Ok((paths, dest))
    }

    fn wait(&mut self, mut parts: std::vec::IntoIter<Node<'a>>) -> Result<WaitFor, Lacking> {
        let node = parts.next().ok_or(Lacking("what to wait for"))?;
        Ok(match node.as_rule() {
            Rule::kw_tools => WaitFor::Tools,
            Rule::kw_ip => WaitFor::Ip,
            Rule::kw_login => WaitFor::Login,
            Rule::kw_off => WaitFor::Off,
            Rule::kw_file => WaitFor::File(self.next(&mut parts, "a path")?),
            _ => WaitFor::Run(self.command(&mut parts)?),
        })
    }

    fn on_fail(&mut self, mut parts: std::vec::IntoIter<Node<'a>>) -> Result<OnFail, Lacking> {
        let node = parts.next().ok_or(Lacking("what to do"))?;
        Ok(match node.as_rule() {
            Rule::kw_run => OnFail::Run(self.command(&mut parts)?),
            Rule::kw_fetch => {
                let (paths, dest) = self.fetch(parts)?;
                OnFail::Fetch { paths, dest }
            }
            _ => OnFail::Revert(self.next(&mut parts, "a name")?),
        })
    }
}

fn is_word_of_its_own(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::kw_as
            | Rule::kw_for
            | Rule::kw_in
            | Rule::kw_generate
            | Rule::kw_cores
            | Rule::kw_gateway
            | Rule::kw_dns
            | Rule::kw_search
            | Rule::kw_device
            | Rule::kw_password
    )
}

/// `int`, `list<string>`; a wrong one is reported, and left out.
fn read_type(cx: &mut Cx<'_>, node: &Node<'_>) -> Option<Spanned<Type>> {
    let span = cx.at(node);
    let written = node.as_str();
    let mut inner = written;
    let mut depth = 0;
    while depth < 8
        && let Some(element) = inner.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>'))
    {
        inner = element;
        depth += 1;
    }
    let base = match inner {
        "string" => Some(Type::String),
        "int" => Some(Type::Int),
        "bool" => Some(Type::Bool),
        "ip" => Some(Type::Ip),
        "cidr" => Some(Type::Cidr),
        "duration" => Some(Type::Duration),
        "size" => Some(Type::Size),
        "json" => Some(Type::Json),
        "secret" => Some(Type::Secret),
        _ => None,
    };
    if let Some(base) = base {
        let ty = (0..depth).fold(base, |ty, _| Type::List(Box::new(ty)));
        return Some(Spanned::new(ty, span));
    }
    const NAMES: [&str; 9] = ["string", "int", "bool", "ip", "cidr", "duration", "size", "json", "secret"];
    let meant = match inner.to_ascii_lowercase().as_str() {
        "integer" | "number" | "num" | "uint" | "i64" => Some("int"),
        "str" | "text" => Some("string"),
        "boolean" | "flag" => Some("bool"),
        "password" => Some("secret"),
        "object" | "map" | "dict" => Some("json"),
        lower => near(lower, NAMES),
    };
    let diagnostic = if written.is_empty() {
        Diagnostic::at(&codes::UNKNOWN_TYPE, span, "a type is missing after `:`")
    } else {
        Diagnostic::at(&codes::UNKNOWN_TYPE, span, format!("there is no type `{written}`"))
    };
    cx.push(match meant {
        Some(meant) if !inner.is_empty() => {
            let new = written.replacen(inner, meant, 1);
            diagnostic.help(format!("did you mean `{new}`?")).replace(format!("write `{new}`"), false, span, new)
        }
        _ if inner == "list" => diagnostic.help("say of what: `list<string>`"),
        _ => diagnostic.help(format!("one of {}, or list<…> of one", NAMES.join(", "))),
    });
    None
}
