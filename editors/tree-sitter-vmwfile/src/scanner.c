// What one token can't tell: the escape character, how lines go on, a shell's quotes, and heredocs, whose bodies
// follow the line in the order of their markers. It follows level 1 of grammar/vmwfile.pest.

#include "tree_sitter/parser.h"
#include <string.h>

// In the order of `externals` in grammar.js.
enum Token {
    GAP, FLAG_GAP, EOL, INDENT, BLANK_LINE, BLANK, JOIN, COMMENT, CONTINUED_COMMENT, DIRECTIVE, BARE, FLAG_OPEN,
    END_OF_FLAGS, PAIR_KEY, QUOTE, QUOTED, ESCAPE_SEQUENCE, RAW_STRING, VARIABLE, TEMPLATE, HOLE_OPEN, HOLE_CLOSE,
    VALUE_OPEN, EXPRESSION_STRING, ARRAY_OPEN, SHELL, PROSE, MARKER, BODY, HEREDOC_END, KW_AS, KW_GATEWAY, KW_DNS,
    KW_SEARCH, KW_DEVICE, RECOVERING
};

// A line that begins with one of these is never what the line before it goes on with.
static const char *const KEYWORDS[] = {
    "ARG", "SECRET", "INCLUDE", "FROM", "ON", "OUTPUT", "DATACENTER", "CLUSTER", "HOST", "POOL", "DATASTORE", "FOLDER",
    "NETWORK", "CPU", "MEMORY", "DISK", "NIC", "CDROM", "HARDWARE", "CONFIG", "ANNOTATION", "LABEL", "TAG", "ADDRESS",
    "HOSTNAME", "LOGIN", "USER", "WORKDIR", "ENV", "SHELL", "RUN", "KEY", "COPY", "FETCH", "REBOOT", "WAIT", "NOTE",
    "CHECKPOINT", "SNAPSHOT", "SEAL", "ONFAIL", "HEALTHCHECK", "ONREMOVE", "SERIAL",
};

enum { NOT, HERE, AFTER };
enum { MAX_DOCS = 8, MAX_NAME = 96, MAX_QUOTES = 8 };

typedef struct {
    uint8_t strip, quoted, length;
    char name[MAX_NAME];
} Doc;

typedef struct {
    uint8_t backtick;  // the escape character is "`"
    uint8_t top;       // only directives came so far
    uint8_t continued; // whether comments stand between this line and the one that it goes on with
    uint8_t dashes;    // a lone `--` has ended the flags
    uint8_t hole;      // in ${{ }}
    uint8_t value;     // in the expression after ARG's or KEY's `=`
    uint8_t in_bodies; // the line is over, its heredocs follow
    uint8_t line_start; // in a body
    uint8_t script;    // the body is a shell's, and may have heredocs of its own
    uint8_t quotes[MAX_QUOTES], depth; // what is open in shell text
    uint8_t docs;
    Doc doc[MAX_DOCS];
    Doc inner; // of a script: a quoted heredoc, in which nothing is put in; no length: none
} Scanner;

void *tree_sitter_vmwfile_external_scanner_create(void);
void tree_sitter_vmwfile_external_scanner_destroy(void *payload);
unsigned tree_sitter_vmwfile_external_scanner_serialize(void *payload, char *buffer);
void tree_sitter_vmwfile_external_scanner_deserialize(void *payload, const char *buffer, unsigned length);
bool tree_sitter_vmwfile_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid);

#include <stdlib.h>

static void reset(Scanner *s) {
    memset(s, 0, sizeof *s);
    s->top = 1;
}

void *tree_sitter_vmwfile_external_scanner_create(void) {
    Scanner *s = calloc(1, sizeof *s);
    if (s) reset(s);
    return s;
}

void tree_sitter_vmwfile_external_scanner_destroy(void *payload) { free(payload); }

static unsigned write_doc(const Doc *doc, char *out) {
    out[0] = (char)doc->strip;
    out[1] = (char)doc->quoted;
    out[2] = (char)doc->length;
    memcpy(out + 3, doc->name, doc->length);
    return 3u + doc->length;
}

static unsigned read_doc(Doc *doc, const char *in) {
    doc->strip = (uint8_t)in[0];
    doc->quoted = (uint8_t)in[1];
    doc->length = (uint8_t)in[2];
    memcpy(doc->name, in + 3, doc->length);
    return 3u + doc->length;
}

enum { HEAD = 9 + MAX_QUOTES + 2 };
_Static_assert(HEAD + (MAX_DOCS + 1) * (3 + MAX_NAME) <= TREE_SITTER_SERIALIZATION_BUFFER_SIZE, "state fits");

unsigned tree_sitter_vmwfile_external_scanner_serialize(void *payload, char *buffer) {
    Scanner *s = payload;
    unsigned n = 0;
    const uint8_t flags[9] = {s->backtick, s->top,   s->continued, s->dashes, s->hole,
                              s->value,    s->in_bodies, s->line_start, s->script};
    memcpy(buffer, flags, 9);
    memcpy(buffer + 9, s->quotes, MAX_QUOTES);
    buffer[9 + MAX_QUOTES] = (char)s->depth;
    buffer[10 + MAX_QUOTES] = (char)s->docs;
    n = HEAD;
    for (unsigned i = 0; i < s->docs; i++) n += write_doc(&s->doc[i], buffer + n);
    n += write_doc(&s->inner, buffer + n);
    return n;
}

void tree_sitter_vmwfile_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
    Scanner *s = payload;
    reset(s);
    if (length < HEAD) return;
    uint8_t *const flags[9] = {&s->backtick, &s->top,   &s->continued, &s->dashes, &s->hole,
                               &s->value,    &s->in_bodies, &s->line_start, &s->script};
    for (unsigned i = 0; i < 9; i++) *flags[i] = (uint8_t)buffer[i];
    memcpy(s->quotes, buffer + 9, MAX_QUOTES);
    s->depth = (uint8_t)buffer[9 + MAX_QUOTES];
    s->docs = (uint8_t)buffer[10 + MAX_QUOTES];
    unsigned n = HEAD;
    for (unsigned i = 0; i < s->docs; i++) n += read_doc(&s->doc[i], buffer + n);
    read_doc(&s->inner, buffer + n);
}

// ---- characters

static inline void next(TSLexer *lexer) { lexer->advance(lexer, false); }
static inline bool is_blank(int32_t c) { return c == ' ' || c == '\t'; }
static inline bool is_alpha(int32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static inline bool is_digit(int32_t c) { return c >= '0' && c <= '9'; }
static inline bool is_word(int32_t c) { return is_alpha(c) || is_digit(c); }
static inline bool at_end(TSLexer *lexer) { return lexer->lookahead == '\n' || lexer->eof(lexer); }
static inline int32_t escape(const Scanner *s) { return s->backtick ? '`' : '\\'; }
static inline int32_t upper(int32_t c) { return c >= 'a' && c <= 'z' ? c - 32 : c; }

static void blanks(TSLexer *lexer) {
    while (is_blank(lexer->lookahead)) next(lexer);
}

// To the line's end; true if one is here.
static bool line_end(TSLexer *lexer) {
    if (lexer->lookahead == '\r') next(lexer);
    return at_end(lexer);
}

// Whether an instruction begins here. It reads on.
static bool keyword_here(TSLexer *lexer) {
    char word[16];
    unsigned n = 0;
    while (n < sizeof word && lexer->lookahead >= 'A' && lexer->lookahead <= 'Z') {
        word[n++] = (char)lexer->lookahead;
        next(lexer);
    }
    if (n == 0 || !is_blank(lexer->lookahead)) return false;
    for (unsigned i = 0; i < sizeof KEYWORDS / sizeof *KEYWORDS; i++) {
        if (strlen(KEYWORDS[i]) == n && memcmp(KEYWORDS[i], word, n) == 0) return true;
    }
    return false;
}

// ---- lines that go on

enum Continuation {
    NOT_CONTINUED, // the escape character is one of the text
    DANGLING,      // nothing follows, or an instruction
    GOES_ON,       // at the beginning of the next line with something in it
    TO_COMMENT,    // the same, and that is a comment
};

// Where a line goes on.
typedef struct {
    bool indented; // blanks stand before what follows
    bool looked;   // some of what follows is read already
} Next;

// After the escape character. With `mark` the token's end is set where the line goes on, or before a comment between.
static enum Continuation continuation(TSLexer *lexer, bool in_quotes, bool mark, Next *out) {
    Next here = {false, false};
    enum Continuation found = GOES_ON;
    blanks(lexer);
    if (lexer->lookahead == '\r') next(lexer);
    if (lexer->eof(lexer)) return DANGLING;
    if (lexer->lookahead != '\n') return NOT_CONTINUED;
    for (;;) {
        next(lexer);
        here.indented = is_blank(lexer->lookahead);
        blanks(lexer);
        if (mark) lexer->mark_end(lexer);
        if (lexer->lookahead == '\r') next(lexer);
        if (lexer->eof(lexer)) return DANGLING;
        if (lexer->lookahead == '#') {
            if (mark) found = TO_COMMENT;
            mark = false;
            while (!at_end(lexer)) next(lexer);
        }
        if (lexer->eof(lexer)) return DANGLING;
        if (lexer->lookahead != '\n') break;
    }
    if (!here.indented && !in_quotes) {
        here.looked = is_alpha(lexer->lookahead);
        if (keyword_here(lexer)) return DANGLING;
    }
    if (out) *out = here;
    return found;
}

// ---- heredocs

// After `<<`; fills in what the marker says and marks the end after it.
static bool marker(Scanner *s, TSLexer *lexer) {
    Doc doc = {0};
    if (lexer->lookahead == '-') {
        doc.strip = 1;
        next(lexer);
    }
    blanks(lexer);
    int32_t close = 0;
    if (lexer->lookahead == '\'' || lexer->lookahead == '"') {
        close = lexer->lookahead;
        next(lexer);
    } else if (lexer->lookahead == escape(s)) {
        return false; // quoted as shells also can, which is an error here
    } else if (!is_alpha(lexer->lookahead)) {
        return false;
    }
    doc.quoted = close != 0;
    for (;;) {
        int32_t c = lexer->lookahead;
        if (close ? c == close : !(is_word(c) || c == '.' || c == '-')) break;
        // As it is compared: bytes that are no ASCII are folded to one each.
        if (lexer->eof(lexer) || c == '\n' || doc.length == MAX_NAME) return false;
        doc.name[doc.length++] = (char)(c < 128 ? c : 128 + (c & 127));
        next(lexer);
    }
    if (close) {
        if (doc.length == 0) return false;
        next(lexer);
    }
    if (s->docs == MAX_DOCS) return false;
    lexer->mark_end(lexer);
    s->doc[s->docs++] = doc;
    return true;
}

// Whether the line is the terminator; it reads on. `rest` is where in the name the line is already.
static bool terminator(TSLexer *lexer, const Doc *doc) {
    if (doc->strip && !(doc->length && is_blank(doc->name[0]))) blanks(lexer);
    for (unsigned i = 0; i < doc->length; i++) {
        int32_t c = lexer->lookahead;
        if (lexer->eof(lexer) || (char)(c < 128 ? c : 128 + (c & 127)) != doc->name[i]) return false;
        next(lexer);
    }
    return true;
}

// In a script: `<<'NAME'`. Nothing is put into what follows.
static void inner_marker(Scanner *s, TSLexer *lexer) {
    Doc doc = {0};
    if (lexer->lookahead == '-') {
        doc.strip = 1;
        next(lexer);
    }
    blanks(lexer);
    int32_t close = lexer->lookahead;
    if (close != '\'' && close != '"' && close != '\\') return;
    next(lexer);
    while (!at_end(lexer) && doc.length < MAX_NAME) {
        int32_t c = lexer->lookahead;
        if (close == '\\' ? !is_word(c) : c == close) break;
        doc.name[doc.length++] = (char)(c < 128 ? c : 128 + (c & 127));
        next(lexer);
    }
    if (doc.length && s->inner.length == 0) s->inner = doc;
}

static bool body(Scanner *s, TSLexer *lexer) {
    const Doc *doc = &s->doc[0];
    bool any = false;
    for (;;) {
        lexer->mark_end(lexer);
        if (s->line_start) {
            if (terminator(lexer, doc)) {
                if (!any) lexer->mark_end(lexer);
                if (line_end(lexer)) {
                    lexer->result_symbol = any ? BODY : HEREDOC_END;
                    if (!any) {
                        s->docs--;
                        memmove(&s->doc[0], &s->doc[1], s->docs * sizeof s->doc[0]);
                        s->script = 0;
                        s->inner.length = 0;
                    }
                    return true;
                }
            }
            // Nothing in that could have been a value's beginning: names have no `$`, or are quoted.
            s->line_start = 0;
            any = true;
        }
        if (lexer->eof(lexer)) {
            lexer->mark_end(lexer);
            lexer->result_symbol = BODY;
            return any;
        }
        int32_t c = lexer->lookahead;
        if (c == '\n') {
            next(lexer);
            s->line_start = 1;
            any = true;
            if (s->script && s->inner.length) {
                // Lines up to the inner terminator, or ours.
                lexer->mark_end(lexer);
                lexer->result_symbol = BODY;
                return true;
            }
        } else if (c == '$' && !doc->quoted) {
            lexer->mark_end(lexer);
            next(lexer);
            if (lexer->lookahead == '$') {
                // `$${{`, or dollars.
                next(lexer);
                if (lexer->lookahead == '{') {
                    next(lexer);
                    if (lexer->lookahead == '{') {
                        lexer->result_symbol = BODY;
                        return any;
                    }
                }
            } else if (lexer->lookahead == '{') {
                next(lexer);
                if (lexer->lookahead == '{') {
                    if (any) {
                        lexer->result_symbol = BODY;
                        return true;
                    }
                    next(lexer);
                    lexer->mark_end(lexer);
                    s->hole = 1;
                    lexer->result_symbol = HOLE_OPEN;
                    return true;
                }
            }
            any = true;
        } else if (c == '<' && s->script && !doc->quoted) {
            next(lexer);
            any = true;
            if (lexer->lookahead == '<') {
                next(lexer);
                if (lexer->lookahead != '<') inner_marker(s, lexer);
            }
        } else {
            next(lexer);
            any = true;
        }
    }
}

// The body of a quoted heredoc within a script, up to and with its terminator.
static bool inner_body(Scanner *s, TSLexer *lexer) {
    bool any = false;
    for (;;) {
        lexer->mark_end(lexer);
        if (lexer->eof(lexer)) break;
        Doc ours = s->doc[0];
        // The outer terminator ends both. Both begin the line: the longer common part is read once.
        char line[MAX_NAME + 1];
        unsigned n = 0, indent = 0;
        while (is_blank(lexer->lookahead)) {
            indent++;
            next(lexer);
        }
        while (!at_end(lexer) && lexer->lookahead != '\r' && n <= MAX_NAME) {
            int32_t c = lexer->lookahead;
            line[n++] = (char)(c < 128 ? c : 128 + (c & 127));
            next(lexer);
        }
        bool whole = line_end(lexer);
        if (whole && n == ours.length && memcmp(line, ours.name, n) == 0 && (indent == 0 || ours.strip)) break;
        bool ends = whole && n == s->inner.length && memcmp(line, s->inner.name, n) == 0 && (indent == 0 || s->inner.strip);
        while (!at_end(lexer)) next(lexer);
        if (lexer->lookahead == '\n') next(lexer);
        any = true;
        if (ends) {
            lexer->mark_end(lexer);
            break;
        }
    }
    s->inner.length = 0;
    s->line_start = 1;
    lexer->result_symbol = BODY;
    return any;
}

// ---- shell text

static void push(Scanner *s, uint8_t what) {
    if (s->depth < MAX_QUOTES) s->quotes[s->depth++] = what;
}
static void pop(Scanner *s) {
    if (s->depth) s->depth--;
}

// A shell's words, as far as they say where heredocs and comments are; also prose, which has neither.
static bool text(Scanner *s, TSLexer *lexer, const bool *valid, bool prose) {
    bool any = false;
    int32_t before = valid[ARRAY_OPEN] ? ' ' : 'x';
    enum Token token = prose ? PROSE : SHELL;
    lexer->mark_end(lexer);
    for (;;) {
        uint8_t state = s->depth ? s->quotes[s->depth - 1] : 0;
        int32_t c = lexer->lookahead;
        if (is_blank(c) || c == '\r') {
            // Blanks at the line's end aren't a part of it.
            while (is_blank(lexer->lookahead) || lexer->lookahead == '\r') next(lexer);
            if (at_end(lexer)) continue;
            before = ' ';
            any = true;
            lexer->mark_end(lexer);
            continue;
        }
        if (at_end(lexer)) {
            if (any) {
                lexer->result_symbol = token;
                return true;
            }
            if (!valid[EOL]) return false;
            return lexer->result_symbol = EOL, true;
        }
        if (c == escape(s)) {
            next(lexer);
            if (is_blank(lexer->lookahead) || lexer->lookahead == '\n' || lexer->lookahead == '\r' || lexer->eof(lexer)) {
                // A line's end has a token of its own.
                if (any) {
                    lexer->result_symbol = token;
                    return true;
                }
                enum Continuation found = continuation(lexer, state != 0, true, NULL);
                // Nor may it go on within a comment.
                if (found == DANGLING || (found != NOT_CONTINUED && state == 'c')) return false;
                if (found == NOT_CONTINUED) lexer->mark_end(lexer);
                else s->continued = found == TO_COMMENT ? HERE : NOT;
                lexer->result_symbol = token;
                return true;
            }
            if (state != 's' && state != 'c' && !prose && !at_end(lexer) && lexer->lookahead != '$') next(lexer);
            else if (state != 's' && lexer->lookahead == escape(s)) next(lexer);
            lexer->mark_end(lexer);
            any = true;
            before = 'x';
            continue;
        }
        if (c == '$') {
            next(lexer);
            bool twice = lexer->lookahead == '$';
            if (twice) next(lexer);
            if (lexer->lookahead == '{') {
                next(lexer);
                if (lexer->lookahead == '{') {
                    lexer->result_symbol = token;
                    if (any) return true;
                    if (twice) return false; // a token of the grammar
                    next(lexer);
                    lexer->mark_end(lexer);
                    s->hole = 1;
                    lexer->result_symbol = HOLE_OPEN;
                    return true;
                }
                if (prose && !twice && is_alpha(lexer->lookahead)) return false;
            } else if (prose && !twice && is_alpha(lexer->lookahead)) {
                return false;
            } else if (!prose && state == 0 && lexer->lookahead == '\'') {
                next(lexer);
                push(s, 'a');
            } else if (!prose && lexer->lookahead == '(') {
                next(lexer);
                if (state == 'd') {
                    push(s, 'p');
                } else if (state == 0 && lexer->lookahead == '(') {
                    next(lexer);
                    push(s, 'r');
                }
            }
            lexer->mark_end(lexer);
            any = true;
            before = 'x';
            continue;
        }
        if (prose) {
            next(lexer);
            if (c == '{' && lexer->lookahead == '{') return false;
            lexer->mark_end(lexer);
            any = true;
            continue;
        }
        if (state == 0 && c == '<') {
            next(lexer);
            if (lexer->lookahead == '<') {
                next(lexer);
                if (lexer->lookahead == '<') {
                    next(lexer);
                } else {
                    // Blanks before the marker belong to the text before it.
                    if (any) {
                        int32_t after = lexer->lookahead;
                        if (after == '-' || is_blank(after) || after == '\'' || after == '"' || is_alpha(after) ||
                            after == '$' || after == escape(s)) {
                            // It may be one; the next token tells. What is none is read there as text.
                            lexer->result_symbol = token;
                            return true;
                        }
                    } else {
                        bool script = valid[ARRAY_OPEN];
                        if (valid[MARKER] && marker(s, lexer)) {
                            s->script = script;
                            lexer->result_symbol = MARKER;
                            return true;
                        }
                        // A name that only a value would tell, or too many.
                        if (lexer->lookahead == '$' || lexer->lookahead == escape(s) || s->docs == MAX_DOCS) return false;
                    }
                }
            }
            lexer->mark_end(lexer);
            any = true;
            before = 'x';
            continue;
        }
        next(lexer);
        switch (state) {
        case 0:
            if (c == '\'') push(s, 's');
            else if (c == '"') push(s, 'd');
            else if (c == '(' && lexer->lookahead == '(') {
                next(lexer);
                push(s, 'r');
            } else if (c == '#' && (before == ' ' || before == ';')) push(s, 'c');
            break;
        case 's':
        case 'a':
            if (c == '\'') pop(s);
            break;
        case 'd':
        case 'f':
            if (c == '"') pop(s);
            break;
        case 'r':
            if (c == ')' && lexer->lookahead == ')') {
                next(lexer);
                pop(s);
            }
            break;
        case 'p':
            if (c == '(') push(s, 'p');
            else if (c == ')') pop(s);
            else if (c == '\'') push(s, 's');
            else if (c == '"') push(s, 'f');
            break;
        default:
            break;
        }
        before = c;
        lexer->mark_end(lexer);
        any = true;
    }
}

// Whether `[…]` to the line's end is an array of strings, or was meant as one: then it is read as one, and what is
// wrong in it is an error. Otherwise it is a shell's own `[`.
static bool array_here(Scanner *s, TSLexer *lexer) {
    next(lexer);
    lexer->mark_end(lexer);
    if (lexer->lookahead == '"' || lexer->lookahead == '\'') return true;
    bool item = false, comma = true;
    for (;;) {
        int32_t c = lexer->lookahead;
        if (is_blank(c)) {
            next(lexer);
        } else if (c == escape(s)) {
            next(lexer);
            enum Continuation found = continuation(lexer, true, false, NULL);
            if (found == NOT_CONTINUED || found == DANGLING) return false;
        } else if ((c == '"' || c == '\'') && comma) {
            next(lexer);
            while (!at_end(lexer) && lexer->lookahead != c) {
                if (lexer->lookahead == escape(s)) next(lexer);
                if (!at_end(lexer)) next(lexer);
            }
            if (at_end(lexer)) return false;
            next(lexer);
            item = true;
            comma = false;
        } else if (c == ',' && item) {
            return true;
        } else if (c == ']' && !(item && comma)) {
            next(lexer);
            blanks(lexer);
            return line_end(lexer);
        } else {
            return false;
        }
    }
}

// ---- words

static bool keyword_token(const char *word, unsigned n, const bool *valid, enum Token *token) {
    static const struct {
        const char *name;
        enum Token token;
    } words[] = {{"AS", KW_AS}, {"GATEWAY", KW_GATEWAY}, {"DNS", KW_DNS}, {"SEARCH", KW_SEARCH}, {"DEVICE", KW_DEVICE}};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (valid[words[i].token] && strlen(words[i].name) == n && memcmp(words[i].name, word, n) == 0) {
            *token = words[i].token;
            return true;
        }
    }
    return false;
}

static bool gap(Scanner *s, TSLexer *lexer, const bool *valid, bool escaped);

static bool bare(Scanner *s, TSLexer *lexer, const bool *valid) {
    char word[10];
    unsigned n = 0;
    bool any = false, ascii = true;
    lexer->mark_end(lexer);
    for (;;) {
        int32_t c = lexer->lookahead;
        if (lexer->eof(lexer) || is_blank(c) || c == '\n' || c == '\r' || c == '"' || c == '\'') break;
        if (c == '=' && valid[PAIR_KEY]) {
            lexer->result_symbol = PAIR_KEY;
            return any;
        }
        if (c == escape(s)) {
            next(lexer);
            // Not at a line's end it is a character like others.
            blanks(lexer);
            if (lexer->lookahead == '\r') next(lexer);
            if (at_end(lexer)) {
                if (any) break;
                return gap(s, lexer, valid, true);
            }
            if (valid[PAIR_KEY] && !valid[BARE]) return false;
            if (lexer->lookahead == escape(s)) next(lexer);
            ascii = false;
        } else if (c == '$') {
            next(lexer);
            bool twice = lexer->lookahead == '$';
            if (twice) next(lexer);
            bool brace = lexer->lookahead == '{';
            if (brace) next(lexer);
            if (brace && lexer->lookahead == '{') {
                if (any) break;
                if (twice || !valid[HOLE_OPEN]) return false;
                next(lexer);
                lexer->mark_end(lexer);
                s->hole = 1;
                lexer->result_symbol = HOLE_OPEN;
                return true;
            }
            if (brace || is_alpha(lexer->lookahead)) {
                if (any && !twice) break;
                if (!valid[VARIABLE] || twice) return false;
                while (is_word(lexer->lookahead)) next(lexer);
                if (brace) {
                    while (!at_end(lexer) && lexer->lookahead != '}' && lexer->lookahead != '"' && !is_blank(lexer->lookahead))
                        next(lexer);
                    if (lexer->lookahead == '}') next(lexer);
                }
                lexer->mark_end(lexer);
                lexer->result_symbol = VARIABLE;
                return true;
            }
            ascii = false;
        } else if (c == '{' || c == '<') {
            next(lexer);
            if (lexer->lookahead == c) {
                if (c == '{') {
                    if (any) break;
                    if (!valid[TEMPLATE]) return false;
                    while (lexer->lookahead == c) next(lexer);
                    lexer->mark_end(lexer);
                    lexer->result_symbol = TEMPLATE;
                    return true;
                }
                next(lexer);
                int32_t after = lexer->lookahead;
                if (after == '<') {
                    next(lexer);
                } else if (after == '-' || is_blank(after) || is_alpha(after) || after == '\'' || after == '"' || after == '$' || after == escape(s)) {
                    if (any) break;
                    if (valid[MARKER] && marker(s, lexer)) {
                        lexer->result_symbol = MARKER;
                        return true;
                    }
                    return false;
                }
            }
            ascii = false;
        } else {
            next(lexer);
            if (n < sizeof word && c < 128) word[n] = (char)upper(c);
            n++;
        }
        any = true;
        lexer->mark_end(lexer);
    }
    if (!any) return false;
    enum Token token = BARE;
    int32_t after = lexer->lookahead;
    if (ascii && n <= sizeof word && after != '"' && after != '\'' && after != '$' && keyword_token(word, n, valid, &token)) {
        lexer->result_symbol = token;
        return true;
    }
    if (!valid[BARE]) return false;
    lexer->result_symbol = BARE;
    return true;
}

static bool raw_string(Scanner *s, TSLexer *lexer) {
    next(lexer);
    for (;;) {
        if (at_end(lexer)) return false;
        int32_t c = lexer->lookahead;
        next(lexer);
        if (c == '\'') break;
        if (c == escape(s) && continuation(lexer, true, false, NULL) == DANGLING) return false;
    }
    lexer->mark_end(lexer);
    lexer->result_symbol = RAW_STRING;
    return true;
}

// What stands in `"…"`.
static bool quoted(Scanner *s, TSLexer *lexer, const bool *valid) {
    bool any = false;
    lexer->mark_end(lexer);
    for (;;) {
        if (at_end(lexer) || lexer->lookahead == '"') break;
        int32_t c = lexer->lookahead;
        if (c == escape(s)) {
            next(lexer);
            int32_t e = lexer->lookahead;
            if (e == '"' || e == 'n' || e == 't' || e == escape(s)) {
                if (any) break;
                next(lexer);
                lexer->mark_end(lexer);
                lexer->result_symbol = ESCAPE_SEQUENCE;
                return true;
            }
            enum Continuation found = continuation(lexer, true, false, NULL);
            if (found == NOT_CONTINUED || found == DANGLING) return false;
        } else if (c == '$') {
            next(lexer);
            bool twice = lexer->lookahead == '$';
            if (twice) next(lexer);
            bool brace = lexer->lookahead == '{';
            if (brace) next(lexer);
            if (brace && lexer->lookahead == '{') {
                if (any) break;
                if (twice) return false;
                next(lexer);
                lexer->mark_end(lexer);
                s->hole = 1;
                lexer->result_symbol = HOLE_OPEN;
                return true;
            }
            if ((brace || is_alpha(lexer->lookahead)) && !twice) {
                if (any) break;
                if (!valid[VARIABLE]) return false;
                while (is_word(lexer->lookahead)) next(lexer);
                if (brace) {
                    while (!at_end(lexer) && lexer->lookahead != '}' && lexer->lookahead != '"' && !is_blank(lexer->lookahead))
                        next(lexer);
                    if (lexer->lookahead == '}') next(lexer);
                }
                lexer->mark_end(lexer);
                lexer->result_symbol = VARIABLE;
                return true;
            }
        } else if (c == '{') {
            next(lexer);
            if (lexer->lookahead == '{' && !valid[TEMPLATE]) {
                if (any) break;
                return false;
            }
        } else {
            next(lexer);
        }
        any = true;
        lexer->mark_end(lexer);
    }
    lexer->result_symbol = QUOTED;
    return any;
}

static bool expression_string(Scanner *s, TSLexer *lexer) {
    next(lexer);
    for (;;) {
        if (at_end(lexer)) return false;
        int32_t c = lexer->lookahead;
        next(lexer);
        if (c == '"') break;
        if (c == escape(s)) {
            int32_t e = lexer->lookahead;
            if (e != '"' && e != 'n' && e != 't' && e != escape(s)) return false;
            next(lexer);
        }
    }
    lexer->mark_end(lexer);
    lexer->result_symbol = EXPRESSION_STRING;
    return true;
}

// ---- lines

static bool comment(Scanner *s, TSLexer *lexer) {
    char name[8];
    unsigned n = 0;
    bool directive = false, backtick = false, value = false;
    next(lexer);
    blanks(lexer);
    while (is_word(lexer->lookahead) || lexer->lookahead == '-') {
        if (n < sizeof name) name[n] = (char)upper(lexer->lookahead);
        n++;
        next(lexer);
    }
    blanks(lexer);
    if (s->top && lexer->lookahead == '=') {
        next(lexer);
        blanks(lexer);
        if (n == 6 && memcmp(name, "ESCAPE", 6) == 0) {
            backtick = lexer->lookahead == '`';
            directive = backtick || lexer->lookahead == '\\';
        } else if (n == 7 && memcmp(name, "VMWFILE", 7) == 0) {
            directive = lexer->lookahead == '1';
        }
        if (directive) {
            next(lexer);
            blanks(lexer);
            if (lexer->lookahead == '\r') next(lexer);
            value = at_end(lexer);
        }
    }
    while (!at_end(lexer) && lexer->lookahead != '\r') next(lexer);
    lexer->mark_end(lexer);
    if (directive && value) {
        if (backtick) s->backtick = 1;
        lexer->result_symbol = DIRECTIVE;
    } else {
        s->top = 0;
        lexer->result_symbol = COMMENT;
    }
    return true;
}

static bool finish_line(Scanner *s, TSLexer *lexer) {
    if (lexer->lookahead == '\n') next(lexer);
    lexer->mark_end(lexer);
    s->top = s->continued = s->dashes = s->hole = s->value = s->depth = 0;
    s->in_bodies = s->docs > 0;
    s->line_start = 1;
    if (!s->in_bodies) s->script = 0;
    lexer->result_symbol = EOL;
    return true;
}

// A gap of blanks and continued lines; what it stands before is looked at. `escaped`: the escape character is read.
static bool gap(Scanner *s, TSLexer *lexer, const bool *valid, bool escaped) {
    bool blank = false, joined = false, looked = false, comments = false;
    if (!escaped) {
        blank = is_blank(lexer->lookahead);
        blanks(lexer);
        lexer->mark_end(lexer);
        if (lexer->lookahead == '\r' || at_end(lexer)) return valid[EOL] && line_end(lexer) && finish_line(s, lexer);
    }
    while (escaped || lexer->lookahead == escape(s)) {
        Next here = {false, false};
        if (!escaped) next(lexer);
        escaped = false;
        enum Continuation found = continuation(lexer, false, true, &here);
        if (found == DANGLING) return false;
        if (found == NOT_CONTINUED) {
            looked = true;
            break;
        }
        joined = true;
        blank = blank || here.indented;
        looked = here.looked;
        comments = found == TO_COMMENT;
        if (comments || looked) break;
    }
    if (!blank && !joined) return false;
    s->continued = comments ? HERE : NOT;
    s->top = 0;
    if (s->value) return lexer->result_symbol = BLANK, true;
    if (!blank) return lexer->result_symbol = JOIN, valid[JOIN];
    lexer->result_symbol = GAP;
    if (!looked && !s->dashes && valid[FLAG_GAP] && lexer->lookahead == '-') {
        next(lexer);
        if (lexer->lookahead == '-') return lexer->result_symbol = FLAG_GAP, true;
    }
    return valid[GAP];
}

static bool scan(Scanner *s, TSLexer *lexer, const bool *valid) {
    bool recovering = valid[RECOVERING];
    if (s->in_bodies && !s->hole) {
        if (s->docs == 0) {
            // After the last terminator.
            if (!line_end(lexer)) return false;
            return finish_line(s, lexer);
        }
        if (valid[EOL] && !valid[BODY] && line_end(lexer)) {
            return finish_line(s, lexer);
        }
        if (!valid[BODY] && !valid[HEREDOC_END]) return false;
        return s->inner.length && s->line_start ? inner_body(s, lexer) : body(s, lexer);
    }
    int32_t c = lexer->lookahead;
    if (s->hole) {
        if (is_blank(c)) {
            blanks(lexer);
            lexer->mark_end(lexer);
            lexer->result_symbol = BLANK;
            return true;
        }
        if (c == '}') {
            next(lexer);
            if (lexer->lookahead != '}') return false;
            next(lexer);
            lexer->mark_end(lexer);
            s->hole = 0;
            lexer->result_symbol = HOLE_CLOSE;
            return true;
        }
        if (c == '"' && valid[EXPRESSION_STRING]) return expression_string(s, lexer);
        if (at_end(lexer) && recovering) return finish_line(s, lexer);
        return false;
    }
    // Comments within a line that goes on, and the blanks after them.
    if (s->continued == HERE || (s->continued == AFTER && lexer->get_column(lexer) == 0)) {
        bool here = s->continued == HERE, any = false;
        while (!here && (is_blank(lexer->lookahead) || (at_end(lexer) && !lexer->eof(lexer)) || lexer->lookahead == '\r')) {
            next(lexer);
            any = true;
        }
        if (lexer->lookahead == '#') {
            while (!at_end(lexer)) next(lexer);
            if (lexer->lookahead == '\n') next(lexer);
            lexer->mark_end(lexer);
            s->continued = AFTER;
            lexer->result_symbol = CONTINUED_COMMENT;
            return true;
        }
        s->continued = NOT;
        if (any) {
            lexer->mark_end(lexer);
            lexer->result_symbol = BLANK;
            return true;
        }
    }
    if (valid[BLANK_LINE] && !recovering) {
        // The beginning of a line.
        bool indented = is_blank(c);
        lexer->mark_end(lexer);
        blanks(lexer);
        if (lexer->lookahead == '#') return comment(s, lexer);
        if (lexer->lookahead == '\n' || lexer->lookahead == '\r') {
            if (!line_end(lexer)) return false;
            next(lexer);
            lexer->mark_end(lexer);
            lexer->result_symbol = BLANK_LINE;
            return true;
        }
        if (lexer->eof(lexer)) {
            lexer->mark_end(lexer);
            lexer->result_symbol = BLANK_LINE;
            return indented;
        }
        s->top = 0;
        if (!indented || !valid[INDENT]) return false;
        lexer->mark_end(lexer);
        lexer->result_symbol = INDENT;
        return true;
    }
    if (recovering) {
        if (c == '\n' || c == '\r') return line_end(lexer) && !lexer->eof(lexer) && finish_line(s, lexer);
        if (is_blank(c)) return gap(s, lexer, valid, false);
        return false;
    }
    if (valid[QUOTED] && c != '"') {
        if (quoted(s, lexer, valid)) return true;
        return false;
    }
    if (valid[SHELL] || valid[PROSE]) {
        // Flags may stand before, and the array of a program instead.
        if (valid[ARRAY_OPEN] && c == '[' && array_here(s, lexer)) {
            lexer->result_symbol = ARRAY_OPEN;
            return true;
        }
        if (valid[ARRAY_OPEN] && c == '[') {
            // Only looked at: nothing of the text has quotes open yet.
            lexer->result_symbol = SHELL;
            return true;
        }
        if (!text(s, lexer, valid, valid[PROSE])) return false;
        if (lexer->result_symbol == EOL) return finish_line(s, lexer);
        return true;
    }
    bool words = valid[BARE] || valid[PAIR_KEY] || valid[HOLE_OPEN] || valid[MARKER] || valid[KW_AS] || valid[KW_DNS];
    if (is_blank(c) || c == '\r' || at_end(lexer) || (c == escape(s) && !words)) return gap(s, lexer, valid, false);
    if (s->value) {
        if (c == '"' && valid[EXPRESSION_STRING]) return expression_string(s, lexer);
        return false;
    }
    if (c == '=' && valid[VALUE_OPEN]) {
        next(lexer);
        lexer->mark_end(lexer);
        s->value = 1;
        lexer->result_symbol = VALUE_OPEN;
        return true;
    }
    if ((valid[FLAG_OPEN] || valid[END_OF_FLAGS]) && c == '-' && !s->dashes) {
        next(lexer);
        if (lexer->lookahead == '-') {
            next(lexer);
            lexer->mark_end(lexer);
            c = lexer->lookahead;
            if (is_blank(c) || c == escape(s) || c == '\r' || at_end(lexer)) {
                s->dashes = 1;
                lexer->result_symbol = END_OF_FLAGS;
            } else {
                lexer->result_symbol = FLAG_OPEN;
            }
            return true;
        }
        return false;
    }
    if (c == '"' && valid[QUOTE]) {
        next(lexer);
        lexer->mark_end(lexer);
        lexer->result_symbol = QUOTE;
        return true;
    }
    if (c == '\'' && valid[RAW_STRING]) return raw_string(s, lexer);
    if (c == '[' && valid[ARRAY_OPEN] && array_here(s, lexer)) {
        lexer->result_symbol = ARRAY_OPEN;
        return true;
    }
    return words && bare(s, lexer, valid);
}

bool tree_sitter_vmwfile_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
    return scan(payload, lexer, valid);
}
