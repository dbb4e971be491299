//! The second reading, by a parser crate behind a trait of ours: it only says in which context each hole stands.

use std::ops::Range;

use shuck_ast::{
    ArithmeticExprNode, ArrayElem, Assignment, AssignmentValue, BuiltinCommand, Command, CommandSubstitutionSyntax,
    Comment, CompoundCommand, ConditionalExpr, DeclOperand, HeredocBodyMode, HeredocBodyPart, Pattern, PatternPart,
    Redirect, RedirectTarget, Span, Stmt, StmtSeq, Subscript, VarRef, Word, WordPart, WordPartNode,
};
use shuck_parser::parser::Parser;

use super::{Context, Hole};

/// Reads shell text.
pub(super) trait SecondReading {
    /// The context of every hole, none for one that it didn't meet or where nothing may stand; None for text that it
    /// can't read. Holes are letters in the text.
    fn contexts(&self, masked: &str, holes: &[Hole]) -> Option<Vec<Option<Context>>>;
}

/// The one that is used.
pub(super) const DEFAULT: &dyn SecondReading = &Shuck;

/// Asks a second reading.
pub(super) fn read(by: &dyn SecondReading, masked: &str, holes: &[Hole]) -> Option<Vec<Option<Context>>> {
    by.contexts(masked, holes)
}

/// `shuck-parser`.
struct Shuck;

impl SecondReading for Shuck {
    fn contexts(&self, masked: &str, holes: &[Hole]) -> Option<Vec<Option<Context>>> {
        let parsed = Parser::new(masked).parse();
        if parsed.is_err() {
            return None;
        }
        let mut painter = Painter { holes, contexts: vec![None; holes.len()] };
        painter.sequence(&parsed.file.body);
        Some(painter.contexts)
    }
}

/// Goes through the tree from the outside to the inside; the last paint holds.
struct Painter<'a> {
    holes: &'a [Hole],
    contexts: Vec<Option<Context>>,
}

impl Painter<'_> {
    fn paint(&mut self, range: Range<usize>, context: Option<Context>) {
        let from = self.holes.partition_point(|h| h.start < range.start);
        for (hole, slot) in self.holes.iter().zip(&mut self.contexts).skip(from) {
            if hole.end > range.end {
                break;
            }
            *slot = context;
        }
    }

    fn span(&mut self, span: Span, context: Option<Context>) {
        self.paint(span.start.offset()..span.end.offset(), context);
    }

    fn sequence(&mut self, sequence: &StmtSeq) {
        for statement in &sequence.stmts {
            self.statement(statement);
        }
        for comment in sequence.leading_comments.iter().chain(&sequence.trailing_comments) {
            self.comment(comment);
        }
    }

    fn comment(&mut self, comment: &Comment) {
        let (from, to) = (usize::from(comment.range.start()), usize::from(comment.range.end()));
        self.paint(from..to, Some(Context::Comment));
    }

    fn statement(&mut self, statement: &Stmt) {
        self.command(&statement.command);
        self.redirects(&statement.redirects);
        for comment in statement.leading_comments.iter().chain(&statement.inline_comment) {
            self.comment(comment);
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Simple(simple) => {
                self.assignments(&simple.assignments);
                self.word(&simple.name);
                self.words(&simple.args);
            }
            Command::Builtin(builtin) => {
                let (assignments, first, rest) = match builtin {
                    BuiltinCommand::Break(c) => (&c.assignments, &c.depth, &c.extra_args),
                    BuiltinCommand::Continue(c) => (&c.assignments, &c.depth, &c.extra_args),
                    BuiltinCommand::Return(c) => (&c.assignments, &c.code, &c.extra_args),
                    BuiltinCommand::Exit(c) => (&c.assignments, &c.code, &c.extra_args),
                };
                self.assignments(assignments);
                first.iter().for_each(|w| self.word(w));
                self.words(rest);
            }
            Command::Decl(declaration) => {
                self.assignments(&declaration.assignments);
                for operand in &declaration.operands {
                    match operand {
                        DeclOperand::Flag(word) | DeclOperand::Dynamic(word) => self.word(word),
                        DeclOperand::Name(name) => self.reference(name),
                        DeclOperand::Assignment(assignment) => self.assignment(assignment),
                    }
                }
            }
            Command::Binary(binary) => {
                self.statement(&binary.left);
                self.statement(&binary.right);
            }
            Command::Compound(compound) => self.compound(compound),
            Command::Function(function) => {
                for entry in &function.header.entries {
                    self.word(&entry.word);
                }
                self.statement(&function.body);
            }
            Command::AnonymousFunction(function) => {
                self.statement(&function.body);
                self.words(&function.args);
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::If(c) => {
                self.sequence(&c.condition);
                self.sequence(&c.then_branch);
                for (condition, branch) in &c.elif_branches {
                    self.sequence(condition);
                    self.sequence(branch);
                }
                c.else_branch.iter().for_each(|b| self.sequence(b));
            }
            CompoundCommand::For(c) => {
                c.targets.iter().for_each(|t| self.word(&t.word));
                c.words.iter().for_each(|w| self.words(w));
                self.sequence(&c.body);
            }
            CompoundCommand::Repeat(c) => {
                self.word(&c.count);
                self.sequence(&c.body);
            }
            CompoundCommand::Foreach(c) => {
                self.words(&c.words);
                self.sequence(&c.body);
            }
            CompoundCommand::ArithmeticFor(c) => {
                for (span, tree) in
                    [(c.init_span, &c.init_ast), (c.condition_span, &c.condition_ast), (c.step_span, &c.step_ast)]
                {
                    if let Some(span) = span {
                        self.span(span, Some(Context::Arithmetic));
                    }
                    tree.iter().for_each(|t| self.arithmetic(t));
                }
                self.sequence(&c.body);
            }
            CompoundCommand::While(c) => {
                self.sequence(&c.condition);
                self.sequence(&c.body);
            }
            CompoundCommand::Until(c) => {
                self.sequence(&c.condition);
                self.sequence(&c.body);
            }
            CompoundCommand::Case(c) => {
                self.word(&c.word);
                for item in &c.cases {
                    item.patterns.iter().for_each(|p| self.pattern(p));
                    self.sequence(&item.body);
                }
            }
            CompoundCommand::Select(c) => {
                self.words(&c.words);
                self.sequence(&c.body);
            }
            CompoundCommand::Subshell(body) | CompoundCommand::BraceGroup(body) => self.sequence(body),
            CompoundCommand::Arithmetic(c) => {
                self.paint(
                    c.left_paren_span.start.offset()..c.right_paren_span.end.offset(),
                    Some(Context::Arithmetic),
                );
                c.expr_ast.iter().for_each(|t| self.arithmetic(t));
            }
            CompoundCommand::Time(c) => c.command.iter().for_each(|s| self.statement(s)),
            CompoundCommand::Conditional(c) => self.condition(&c.expression),
            CompoundCommand::Coproc(c) => self.statement(&c.body),
            CompoundCommand::Always(c) => {
                self.sequence(&c.body);
                self.sequence(&c.always_body);
            }
        }
    }

    fn condition(&mut self, expression: &ConditionalExpr) {
        match expression {
            ConditionalExpr::Binary(e) => {
                self.condition(&e.left);
                self.condition(&e.right);
            }
            ConditionalExpr::Unary(e) => self.condition(&e.expr),
            ConditionalExpr::Parenthesized(e) => self.condition(&e.expr),
            ConditionalExpr::Word(word) | ConditionalExpr::Regex(word) => self.word(word),
            ConditionalExpr::Pattern(pattern) => self.pattern(pattern),
            ConditionalExpr::VarRef(reference) => self.reference(reference),
        }
    }

    fn words(&mut self, words: &[Word]) {
        words.iter().for_each(|w| self.word(w));
    }

    fn word(&mut self, word: &Word) {
        self.span(word.span, Some(Context::Bare));
        self.parts(&word.parts);
    }

    fn parts(&mut self, parts: &[WordPartNode]) {
        parts.iter().for_each(|p| self.part(p));
    }

    fn part(&mut self, node: &WordPartNode) {
        match &node.kind {
            WordPart::Literal(_) | WordPart::Variable(_) => {}
            WordPart::SingleQuoted { dollar, .. } => {
                self.span(node.span, if *dollar { None } else { Some(Context::SingleQuoted) });
            }
            WordPart::DoubleQuoted { parts, .. } => {
                self.span(node.span, Some(Context::DoubleQuoted));
                self.parts(parts);
            }
            WordPart::CommandSubstitution { body, syntax } => self.substitution(node.span, body, *syntax),
            WordPart::ProcessSubstitution { body, .. } => {
                self.span(node.span, None);
                self.sequence(body);
            }
            WordPart::ArithmeticExpansion { expression_word_ast, .. } => {
                self.arithmetic_word(node.span, expression_word_ast);
            }
            // No value stands in any `${…}`.
            WordPart::Parameter(_)
            | WordPart::ParameterExpansion { .. }
            | WordPart::Length(_)
            | WordPart::ArrayAccess(_)
            | WordPart::ArrayLength(_)
            | WordPart::ArrayIndices(_)
            | WordPart::Substring { .. }
            | WordPart::ArraySlice { .. }
            | WordPart::IndirectExpansion { .. }
            | WordPart::PrefixMatch { .. }
            | WordPart::Transformation { .. }
            | WordPart::ZshQualifiedGlob(_) => self.span(node.span, None),
        }
    }

    fn substitution(&mut self, span: Span, body: &StmtSeq, syntax: CommandSubstitutionSyntax) {
        self.span(span, None);
        match syntax {
            CommandSubstitutionSyntax::DollarParen => self.sequence(body),
            CommandSubstitutionSyntax::Backtick => {}
        }
    }

    /// Arithmetic, and the commands that are substituted in it.
    fn arithmetic_word(&mut self, span: Span, word: &Word) {
        self.span(span, Some(Context::Arithmetic));
        self.nested(&word.parts);
    }

    fn nested(&mut self, parts: &[WordPartNode]) {
        for node in parts {
            match &node.kind {
                WordPart::Literal(_) | WordPart::Variable(_) => {}
                WordPart::DoubleQuoted { parts, .. } => self.nested(parts),
                WordPart::SingleQuoted { .. } => self.span(node.span, None),
                _ => self.part(node),
            }
        }
    }

    fn arithmetic(&mut self, root: &ArithmeticExprNode) {
        use shuck_ast::{ArithmeticExpr as E, ArithmeticLvalue as L};
        match &root.kind {
            E::Number(_) | E::Variable(_) => {}
            E::Indexed { index, .. } => self.arithmetic(index),
            E::ShellWord(word) => self.nested(&word.parts),
            E::Parenthesized { expression } => self.arithmetic(expression),
            E::Unary { expr, .. } | E::Postfix { expr, .. } => self.arithmetic(expr),
            E::Binary { left, right, .. } => {
                self.arithmetic(left);
                self.arithmetic(right);
            }
            E::Conditional { condition, then_expr, else_expr } => {
                self.arithmetic(condition);
                self.arithmetic(then_expr);
                self.arithmetic(else_expr);
            }
            E::Assignment { target, value, .. } => {
                match target {
                    L::Variable(_) => {}
                    L::Indexed { index, .. } => self.arithmetic(index),
                }
                self.arithmetic(value);
            }
        }
    }

    fn pattern(&mut self, pattern: &Pattern) {
        self.span(pattern.span, Some(Context::Bare));
        for node in &pattern.parts {
            match &node.kind {
                PatternPart::Literal(_) | PatternPart::AnyString | PatternPart::AnyChar | PatternPart::CharClass(_) => {
                }
                PatternPart::Group { patterns, .. } => patterns.iter().for_each(|p| self.pattern(p)),
                PatternPart::Word(word) => self.word(word),
            }
        }
    }

    fn assignments(&mut self, assignments: &[Assignment]) {
        assignments.iter().for_each(|a| self.assignment(a));
    }

    fn assignment(&mut self, assignment: &Assignment) {
        self.span(assignment.span, Some(Context::Bare));
        self.reference(&assignment.target);
        match &assignment.value {
            AssignmentValue::Scalar(word) => self.word(word),
            AssignmentValue::Compound(array) => {
                for element in &array.elements {
                    match element {
                        ArrayElem::Sequential(word) => self.word(&word.word),
                        ArrayElem::Keyed { key, value } | ArrayElem::KeyedAppend { key, value } => {
                            self.subscript(key);
                            self.word(&value.word);
                        }
                    }
                }
            }
        }
    }

    fn reference(&mut self, reference: &VarRef) {
        self.span(reference.span, Some(Context::Bare));
        reference.subscript.iter().for_each(|s| self.subscript(s));
    }

    fn subscript(&mut self, subscript: &Subscript) {
        self.span(subscript.span(), Some(Context::Bare));
        subscript.word_ast.iter().for_each(|w| self.parts(&w.parts));
    }

    fn redirects(&mut self, redirects: &[Redirect]) {
        for redirect in redirects {
            match &redirect.target {
                RedirectTarget::Word(word) => self.word(word),
                RedirectTarget::Heredoc(heredoc) => {
                    let context = match heredoc.body.mode {
                        HeredocBodyMode::Literal => Context::Literal,
                        HeredocBodyMode::Expanding => Context::HereDoc,
                    };
                    self.span(heredoc.body.span, Some(context));
                    for node in &heredoc.body.parts {
                        match &node.kind {
                            HeredocBodyPart::Literal(_) | HeredocBodyPart::Variable(_) => {}
                            HeredocBodyPart::CommandSubstitution { body, syntax } => {
                                self.substitution(node.span, body, *syntax);
                            }
                            HeredocBodyPart::ArithmeticExpansion { expression_word_ast, .. } => {
                                self.arithmetic_word(node.span, expression_word_ast);
                            }
                            HeredocBodyPart::Parameter(_) => self.span(node.span, None),
                        }
                    }
                }
            }
        }
    }
}
