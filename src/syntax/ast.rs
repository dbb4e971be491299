//! The AST: what stands in a VMWfile, with its spans, comments and blank lines. No name is resolved here.
//!
//! Literal text in the AST is what the author means (escapes undone, continuations joined); the spans lead back
//! to what was written. Nodes that exist only because the author made a known mistake are not kept: the parser
//! reports them and leaves the nearest right thing, or nothing.

#![allow(missing_docs)] // fields say what they are by the syntax quoted at their variant

use std::sync::Arc;

use crate::source::{SourceId, Span, Spanned};

use super::keyword::Keyword;

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Which.
    pub source: SourceId,
    /// The escape character that the file's directive chose: `\` or a backtick.
    pub escape: char,
    /// Everything in it, in order.
    pub items: Vec<Item>,
}

impl File {
    /// The instructions, in order.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.items.iter().filter_map(|item| match item {
            Item::Instruction(instruction) => Some(instruction.as_ref()),
            Item::Blank(_) | Item::Comment(_) | Item::Directive { .. } => None,
        })
    }

    /// The names of the ARGs that stand in the file itself.
    pub fn arg_names(&self) -> impl Iterator<Item = &str> {
        self.instructions().filter_map(|i| match &i.body {
            Body::Arg { name, .. } => Some(name.node.as_str()),
            _ => None,
        })
    }
}

/// One thing at the top level of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An empty line.
    Blank(Span),
    /// A comment line; the text without `#` and line end.
    Comment(Spanned<String>),
    /// `# escape=…`, `# vmwfile=…`.
    Directive {
        /// The whole line.
        span: Span,
        /// Before `=`, lower case.
        name: String,
        /// After `=`, trimmed.
        value: String,
    },
    /// An instruction.
    Instruction(Arc<Instruction>),
}

/// One instruction with its heredocs.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    /// From the keyword to the last byte of its logical line (heredoc bodies not included).
    pub span: Span,
    /// The keyword as it was written is `sources.slice(keyword.span)`.
    pub keyword: Spanned<Keyword>,
    /// In the order written.
    pub flags: Vec<Flag>,
    /// The arguments.
    pub body: Body,
    /// In the order of their `<<NAME` markers.
    pub heredocs: Vec<Heredoc>,
    /// Comment lines inside the continued line.
    pub comments: Vec<Spanned<String>>,
}

impl Instruction {
    /// The flag of that name, if given (the last one, for flags that stand once; the check reports repeats).
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().rev().find(|f| f.name.node == name)
    }
}

/// `--name` or `--name=value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    /// With the dashes.
    pub span: Span,
    /// Without dashes, as written.
    pub name: Spanned<String>,
    /// None when there was no `=`.
    pub value: Option<Text>,
}

/// How a piece of a word was quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Not at all.
    Bare,
    /// `'…'`: literal, even `${{`.
    Single,
    /// `"…"`.
    Double,
}

/// Text with interpolations: a word, prose, shell text or a heredoc's body.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// From the first to the last byte, quotes included. Shell text: without the continuation's last line end.
    pub span: Span,
    /// In order. Adjacent literals may follow each other where quoting changes or a line was joined, so that
    /// inside one literal of shell text or a heredoc, offsets in `text` and in the source run in step
    /// (CRLF aside).
    pub pieces: Vec<Piece>,
}

/// A part of a [`Text`].
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text as it is meant: in words with the escapes undone; in shell text as written, with the line
    /// continuations (`\` and line end) still in it, since they are the shell's too (an escape backtick is
    /// written as the shell's `\`), and with the comment lines inside a continuation left out.
    Literal {
        /// What it covers in the source.
        span: Span,
        /// The text.
        text: String,
        /// The quoting it stood in; always `Bare` in shell text, prose and heredocs.
        quote: Quote,
    },
    /// `$${{`: the three characters `${{`, never an interpolation.
    Escaped {
        /// The four characters.
        span: Span,
        /// The quoting it stood in.
        quote: Quote,
    },
    /// `${{ expression }}`.
    Hole {
        /// With the braces.
        span: Span,
        /// The quoting it stood in.
        quote: Quote,
        /// What is in it.
        expr: Expr,
    },
}

impl Text {
    /// The text, if it has no interpolation.
    pub fn literal(&self) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal { text, .. } => out.push_str(text),
                Piece::Escaped { .. } => out.push_str("${{"),
                Piece::Hole { .. } => return None,
            }
        }
        Some(out)
    }

    /// The expression, if the whole text is one interpolation and nothing else.
    pub fn sole_hole(&self) -> Option<&Expr> {
        match self.pieces.as_slice() {
            [Piece::Hole { expr, .. }] => Some(expr),
            _ => None,
        }
    }
}

/// `<<NAME` with its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Heredoc {
    /// The marker, `<<` to the end of the name.
    pub marker: Span,
    /// The name without quotes.
    pub name: String,
    /// Whether the name was quoted: no interpolation inside.
    pub quoted: bool,
    /// `<<-`: the indentation that all lines share in the source was taken off the body.
    pub strip: bool,
    /// The body, the line end of its last line included. An empty one has no pieces.
    pub body: Text,
    /// The terminator's line.
    pub end: Span,
}

/// The arguments of an instruction.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `ARG name[: type] [= default]`
    Arg { name: Spanned<String>, ty: Option<Spanned<Type>>, default: Option<Expr> },
    /// `SECRET name [GENERATE n]`
    Secret { name: Spanned<String>, generate: Option<Text> },
    /// `INCLUDE path`
    Include { path: Text },
    /// `FROM source [AS name] [FOR v IN …]`
    From { source: Text, alias: Option<Spanned<String>>, replicas: Option<For> },
    /// `ON selector [AS name]`
    On { selector: Vec<Text>, alias: Option<Spanned<String>> },
    /// `OUTPUT kind [name]`
    Output { kind: Spanned<OutputKind>, name: Option<Text> },
    /// `DATACENTER CLUSTER HOST POOL DATASTORE FOLDER NETWORK`; a DATASTORE with a policy may have no name.
    Placement { value: Option<Text> },
    /// `CPU n [CORES n]`
    Cpu { count: Text, cores: Option<Text> },
    /// `MEMORY size`
    Memory { size: Text },
    /// `DISK n SIZE size`, `DISK ADD size [THIN|THICK]`
    Disk { words: Vec<Text> },
    /// `NIC [n] NETWORK|ADD|REMOVE …`
    Nic { words: Vec<Text> },
    /// `CDROM …`
    Cdrom { words: Vec<Text> },
    /// `HARDWARE k=v …`
    Hardware { pairs: Vec<Pair> },
    /// `CONFIG key=value …`
    Config { pairs: Vec<Pair> },
    /// `ANNOTATION text`
    Annotation { text: Text },
    /// `LABEL key=value …`
    Label { pairs: Vec<Pair> },
    /// `TAG category/tag …`
    Tag { words: Vec<Text> },
    /// `ADDRESS cidr|DHCP …`; `cidr` is None for DHCP.
    Address { cidr: Option<Text>, gateway: Option<Text>, dns: Vec<Text>, search: Vec<Text>, device: Option<Text> },
    /// `HOSTNAME fqdn`
    Hostname { name: Text },
    /// `LOGIN user [PASSWORD value]`
    Login { user: Text, password: Option<Text> },
    /// `USER name [PASSWORD value]`
    User { name: Text, password: Option<Text> },
    /// `WORKDIR path`
    Workdir { path: Text },
    /// `ENV k=v …`
    Env { pairs: Vec<Pair> },
    /// `SHELL name` (one word) or `SHELL ["exe", "arg"…]`
    Shell { argv: Vec<Text>, array: bool },
    /// `RUN …`
    Run { command: Command },
    /// `KEY name[: type] FROM … | = value`
    Key { name: Spanned<String>, ty: Option<Spanned<Type>>, from: KeyFrom },
    /// `COPY src… dest`, `COPY <<EOF dest`
    Copy { sources: Vec<CopySource>, dest: Text },
    /// `FETCH path… dest`
    Fetch { paths: Vec<Text>, dest: Text },
    /// `REBOOT`
    Reboot,
    /// `WAIT what`
    Wait { what: WaitFor },
    /// `NOTE text`
    Note { text: Text },
    /// `CHECKPOINT [name]`
    Checkpoint { name: Option<Text> },
    /// `SNAPSHOT name`
    Snapshot { name: Text },
    /// `SEAL`
    Seal,
    /// `ONFAIL RUN …|FETCH …|REVERT name`
    OnFail { action: OnFail },
    /// `HEALTHCHECK RUN …`
    Healthcheck { command: Command },
    /// `ONREMOVE RUN …`
    OnRemove { command: Command },
    /// `SERIAL n`
    Serial { count: Text },
}

/// `FOR v IN …`
#[derive(Clone, Debug, PartialEq)]
pub struct For {
    /// From `FOR` to its end.
    pub span: Span,
    /// The loop variable.
    pub var: Spanned<String>,
    /// What it runs over.
    pub over: ForOver,
}

/// What a FOR runs over.
#[derive(Clone, Debug, PartialEq)]
pub enum ForOver {
    /// `a..b`, both inclusive; each a literal int or one interpolation.
    Range { from: Text, to: Text },
    /// `${{ list }}`
    List(Expr),
    /// `FILE path.csv`
    Csv(Text),
}

/// What a stage leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A template.
    Template,
    /// A virtual machine.
    Vm,
    /// A content library item.
    Library,
    /// An OVA file.
    Ova,
    /// Nothing.
    None,
}

impl OutputKind {
    /// Whether it is the machine itself or a clone of it, in the inventory; else it is taken from it, or nothing.
    pub fn is_placed(self) -> bool {
        matches!(self, OutputKind::Template | OutputKind::Vm)
    }
}

/// `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The key, literal.
    pub key: Spanned<String>,
    /// The value; empty pieces for `key=`.
    pub value: Text,
}

/// A guest command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Shell text. The `<<NAME` markers of the shell's own heredocs stand in it; their bodies are the
    /// instruction's `heredocs`, in order.
    Shell(Text),
    /// `["exe", "arg"…]`
    Exec(Vec<Text>),
    /// One heredoc alone: a script. It is the instruction's only heredoc.
    Script,
}

/// Where a KEY's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyFrom {
    /// `FROM RUN command`
    Run(Command),
    /// `FROM FILE path [DELETE]`
    File { path: Text, delete: bool },
    /// `= value`
    Value(Expr),
}

/// One source of a COPY.
#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// A path in the context, or in `--from`'s machine.
    Path(Text),
    /// The heredoc of that index of the instruction.
    Heredoc(usize),
}

/// What WAIT waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum WaitFor {
    /// VMware Tools running.
    Tools,
    /// An IP address reported.
    Ip,
    /// The guest account accepted.
    Login,
    /// A file that exists.
    File(Text),
    /// A command that succeeds.
    Run(Command),
    /// The machine powered off.
    Off,
}

/// What is done when a stage fails.
#[derive(Clone, Debug, PartialEq)]
pub enum OnFail {
    /// A guest command.
    Run(Command),
    /// Files fetched.
    Fetch { paths: Vec<Text>, dest: Text },
    /// Back to a snapshot.
    Revert(Text),
}

/// A type, as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `string`
    String,
    /// `int`
    Int,
    /// `bool`
    Bool,
    /// `ip`
    Ip,
    /// `cidr`
    Cidr,
    /// `duration`
    Duration,
    /// `size`
    Size,
    /// `json`
    Json,
    /// `secret`
    Secret,
    /// `list<T>`
    List(Box<Type>),
}

/// An expression of `${{ … }}`, an ARG's default or a KEY's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: ExprKind,
}

/// See [`Expr`].
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `7`
    Int(i64),
    /// `"text"`, escapes undone.
    Str(String),
    /// `true`, `false`
    Bool(bool),
    /// `1h30m`
    Duration(std::time::Duration),
    /// `512MiB`, in bytes.
    Size(u64),
    /// `["a", "b"]`
    List(Vec<Expr>),
    /// A name: ARG, SECRET, loop variable, KEY, stage, `self`, `build`.
    Name(String),
    /// `value.field`
    Field(Box<Expr>, Spanned<String>),
    /// `value[index]`
    Index(Box<Expr>, Box<Expr>),
    /// `-x`, `not x`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(Box<Expr>, Spanned<BinaryOp>, Box<Expr>),
    /// `x if c else y`
    If { then: Box<Expr>, cond: Box<Expr>, other: Box<Expr> },
    /// `value | name(args)`
    Filter { value: Box<Expr>, name: Spanned<String>, args: Vec<Expr> },
    /// `(x)`
    Paren(Box<Expr>),
    /// Could not be read; an error is already reported. Whoever meets it stays silent.
    Bad,
}

/// See [`ExprKind::Unary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `not`
    Not,
}

/// See [`ExprKind::Binary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
}
