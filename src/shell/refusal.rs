//! Why a value may not stand where it stands.

use std::ops::Range;

/// One hole at which no value may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The hole's index.
    pub hole: usize,
    /// Why.
    pub kind: RefusalKind,
    /// The bytes of the shell text that cause it: the backtick, the `${`, the command's name. May be the hole itself.
    pub at: Range<usize>,
}

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Between backticks.
    Backtick,
    /// Inside `${…}`.
    ParameterExpansion,
    /// Inside `$'…'`.
    DollarSingle,
    /// As, or in, a here-document's delimiter.
    HeredocDelimiter,
    /// Right after a backslash (a backtick in PowerShell), which would escape the constant.
    AfterBackslash,
    /// Right after a `$`, which would change the constant's meaning.
    AfterDollar,
    /// The place evaluates arithmetic and the value isn't an int.
    NotAnInt(Place),
    /// Beside a letter or digit in arithmetic, where a number in parentheses can't stand.
    GluedInArithmetic,
    /// As a variable's name, for this command.
    Name(String),
    /// A list.
    List,
    /// This command reads the text again, as code.
    Reread(String),
    /// `| quote`, but inside quotes or an expansion of text that this command reads again.
    QuotedTwice(String),
    /// `| raw` in quotes, a here-document or arithmetic.
    RawNotBare,
    /// The two readings differ, or one of them can't read the text.
    Disagreement,
    /// The text can't be read; what is wrong with it.
    Unreadable(String),
    /// More than [`MAX_TEXT`](super::MAX_TEXT) bytes.
    TooLong,
    /// An interpreter that isn't known, by its name.
    UnknownShell(String),
    /// Neither a whole argument of PowerShell nor in `"…"` or `@"`.
    PsPlace,
    /// Text for `cmd`, in which nothing quotes it.
    CmdText,
    /// A number or an address where `cmd` takes it for something else.
    CmdPlace(CmdTrap),
}

/// What `cmd` takes a number or an address for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmdTrap {
    /// The number of a stream: `echo 2>file`.
    Stream,
    /// The name of an argument or a loop's variable: `%5`, `%%a`.
    Name,
    /// A label: `::1`.
    Label,
}

impl CmdTrap {
    /// Why that is so.
    pub fn why(self) -> &'static str {
        match self {
            CmdTrap::Stream => "right before `<` or `>` a number says which stream to redirect",
            CmdTrap::Name => "right after a `%` it is the name of an argument or of a loop's variable",
            CmdTrap::Label => "a command that begins with `:`, as addresses may, is a label and doesn't run",
        }
    }
}

/// A place that evaluates arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `$((…))`, `((…))`, `$[…]`.
    Arithmetic,
    /// `a[…]`.
    Subscript,
    /// `[[ … -eq … ]]` and its kin.
    Comparison,
    /// `let`.
    Let,
    /// A variable declared with `-i`, or one that the shell itself keeps as a number.
    IntegerVariable,
    /// An argument that ksh evaluates (`exit`, `shift`, `printf %d`).
    KshArgument,
}

impl Place {
    /// What it is called in a message.
    pub fn name(self) -> &'static str {
        match self {
            Place::Arithmetic => "arithmetic",
            Place::Subscript => "a subscript",
            Place::Comparison => "a comparison of numbers",
            Place::Let => "`let`",
            Place::IntegerVariable => "an integer variable",
            Place::KshArgument => "a place that ksh evaluates",
        }
    }
}
