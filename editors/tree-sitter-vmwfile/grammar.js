/**
 * VMWfiles for tree-sitter: what grammar/vmwfile.pest accepts, as far as one pass can tell.
 *
 * Blanks are tokens: whether two pieces are one word is decided by what stands between them. Everything that
 * depends on what came before (the escape character, heredocs, a shell's quotes) is the scanner's, src/scanner.c.
 */

/// <reference types="tree-sitter-cli/dsl" />

// A keyword in any case, shown in upper case.
const kw = (word) =>
  alias(token(new RegExp([...word].map((c) => `[${c}${c.toLowerCase()}]`).join(''))), word);

const flags = ($) => repeat(seq($._flag_gap, $._flag));
const some_flags = ($) => repeat1(seq($._flag_gap, $._flag));
// An argument, after flags; flags may stand after the last one too.
const arg = ($, ...rule) => seq(flags($), $._gap, ...rule);
const line = ($, ...rule) => seq(...rule, flags($), $._eol);
const one = ($, name) => line($, kw(name), arg($, $.word));
const account = ($, name) =>
  line($, kw(name), arg($, $.word), optional(seq(arg($, kw('PASSWORD')), arg($, $.word))));

// The pieces of a word. A guest's shell reads some of them: there `$NAME` is right.
const pieces = ($, string, ...more) => {
  const piece = choice(
    $._bare, $.interpolation, $.escaped_interpolation, alias(string, $.string), $.raw_string, ...more,
  );
  return seq(piece, repeat(choice(piece, $._join)));
};
const string = ($, ...more) =>
  seq(
    $._quote,
    repeat(choice($._quoted, $.escape_sequence, $.interpolation, $.escaped_interpolation, ...more)),
    '"',
  );

const declaration = ($) => [
  field('name', $.identifier),
  optional(seq(optional($._gap), ':', optional($._gap), field('type', $.type))),
];
const value = ($) =>
  seq(flags($), optional($._gap), alias($._value_open, '='), field('value', $._expression), $._eol);

const binary = ($, left, operator, right) =>
  seq(field('left', left), field('operator', operator), field('right', right));
const level = ($, own, ...operators) =>
  choice(alias(own, $.binary_expression), ...operators);

module.exports = grammar({
  name: 'vmwfile',

  externals: ($) => [
    $._gap, // blanks and continued lines between two words
    $._flag_gap, // the same before a flag
    $._eol,
    $._indent,
    $._blank_line,
    $._blank, // blanks in an expression
    $._join, // a line continued within a word
    $.comment,
    $.continued_comment,
    $.directive,
    $._bare,
    $._flag_open,
    $.end_of_flags,
    $._pair_key,
    $._quote,
    $._quoted,
    $.escape_sequence,
    $.raw_string,
    $.variable,
    $._template, // Go's `{{`, where it means nothing to us
    $._hole_open,
    $._hole_close,
    $._value_open, // the `=` before an expression
    $._expression_string,
    $._array_open,
    $._shell,
    $._prose,
    $.heredoc_marker,
    $._body,
    $.heredoc_end,
    $._as,
    $._gateway,
    $._dns,
    $._search,
    $._device,
    $._error, // never in the grammar: valid while the parser recovers only
  ],

  extras: ($) => [$._blank, $.continued_comment],

  word: ($) => $.identifier,

  conflicts: () => [],

  rules: {
    source_file: ($) => seq(repeat($._item), repeat($.stage)),

    // A machine: from FROM or ON to the next.
    stage: ($) => seq(choice($.from_instruction, $.on_instruction), repeat($._item)),

    _item: ($) => choice($._blank_line, $._indent, $.directive, $.comment, $._instruction),

    _instruction: ($) =>
      choice(
        $.arg_instruction, $.secret_instruction, $.include_instruction, $.output_instruction,
        $.placement_instruction, $.cpu_instruction, $.memory_instruction, $.hardware_instruction,
        $.pairs_instruction, $.env_instruction, $.prose_instruction, $.address_instruction,
        $.hostname_instruction, $.login_instruction, $.user_instruction, $.workdir_instruction,
        $.shell_instruction, $.run_instruction, $.key_instruction, $.copy_instruction,
        $.fetch_instruction, $.reboot_instruction, $.wait_instruction, $.checkpoint_instruction,
        $.snapshot_instruction, $.seal_instruction, $.onfail_instruction, $.hook_instruction,
        $.serial_instruction,
      ),

    arg_instruction: ($) =>
      seq(kw('ARG'), arg($, ...declaration($)), choice(seq(flags($), $._eol), value($))),
    secret_instruction: ($) =>
      line($, kw('SECRET'), arg($, field('name', $.identifier)),
        optional(seq(arg($, kw('GENERATE')), arg($, field('length', $.word))))),
    include_instruction: ($) => one($, 'INCLUDE'),
    from_instruction: ($) =>
      line($, kw('FROM'), arg($, field('source', $.word)), optional($._alias), optional($.for_clause)),
    on_instruction: ($) => line($, kw('ON'), repeat1(arg($, $.word)), optional($._alias)),
    _alias: ($) => seq(arg($, alias($._as, 'AS')), arg($, field('name', $.identifier))),
    for_clause: ($) =>
      seq(arg($, kw('FOR')), arg($, field('variable', $.identifier)), arg($, kw('IN')),
        choice(
          seq(arg($, kw('FILE')), arg($, $.word)),
          arg($, $.range),
          arg($, $.interpolation),
        )),
    range: ($) => seq($._range_end, '..', $._range_end),
    _range_end: ($) => choice($.interpolation, alias($.signed_integer, $.integer)),
    signed_integer: () => /-?[0-9]+/,
    output_instruction: ($) =>
      line($, kw('OUTPUT'),
        choice(
          arg($, kw('NONE')),
          seq(arg($, choice(kw('TEMPLATE'), kw('VM'), kw('LIBRARY'), kw('OVA'))), arg($, field('name', $.word))),
        )),
    placement_instruction: ($) =>
      choice(
        ...['DATACENTER', 'CLUSTER', 'HOST', 'POOL', 'FOLDER', 'NETWORK'].map((name) => one($, name)),
        // A policy says as much as a name.
        seq(kw('DATASTORE'), choice(seq(arg($, $.word), flags($)), some_flags($)), $._eol),
      ),
    cpu_instruction: ($) =>
      line($, kw('CPU'), arg($, $.word), optional(seq(arg($, kw('CORES')), arg($, $.word)))),
    memory_instruction: ($) => one($, 'MEMORY'),
    hardware_instruction: ($) =>
      line($, choice(kw('DISK'), kw('NIC'), kw('CDROM'), kw('TAG')), repeat1(arg($, $.word))),
    pairs_instruction: ($) =>
      line($, choice(kw('HARDWARE'), kw('CONFIG'), kw('LABEL')), repeat1(arg($, $.pair))),
    pair: ($) => seq(field('key', $._key), '=', optional(field('value', $.word))),
    _key: ($) => choice(alias($._pair_key, $.key), $.raw_string, $.string),
    env_instruction: ($) => line($, kw('ENV'), repeat1(arg($, alias($.guest_pair, $.pair)))),
    guest_pair: ($) => seq(field('key', $._key), '=', optional(field('value', alias($.guest_word, $.word)))),
    prose_instruction: ($) =>
      seq(choice(kw('NOTE'), kw('ANNOTATION')), flags($), $._gap, $.prose, $._eol),
    prose: ($) => repeat1(choice($._prose, $.interpolation, $.escaped_interpolation)),
    address_instruction: ($) =>
      line($, kw('ADDRESS'), arg($, $.word),
        repeat(choice(
          seq(arg($, alias($._gateway, 'GATEWAY')), arg($, $.word)),
          seq(arg($, alias($._device, 'DEVICE')), arg($, $.word)),
          prec.right(seq(arg($, alias($._dns, 'DNS')), repeat1(arg($, $.word)))),
          prec.right(seq(arg($, alias($._search, 'SEARCH')), repeat1(arg($, $.word)))),
        ))),
    hostname_instruction: ($) => one($, 'HOSTNAME'),
    login_instruction: ($) => account($, 'LOGIN'),
    user_instruction: ($) => account($, 'USER'),
    workdir_instruction: ($) => one($, 'WORKDIR'),
    shell_instruction: ($) => line($, kw('SHELL'), arg($, choice($.array, $.word))),
    run_instruction: ($) => seq(kw('RUN'), $._command),
    key_instruction: ($) =>
      seq(kw('KEY'), arg($, ...declaration($)),
        choice(
          value($),
          seq(arg($, kw('FROM')), arg($, kw('RUN')), $._command),
          line($, arg($, kw('FROM')), arg($, kw('FILE')), arg($, $.word), optional(arg($, kw('DELETE')))),
        )),
    copy_instruction: ($) =>
      seq(
        line($, kw('COPY'), arg($, choice($.word, $.heredoc_marker)), repeat1(arg($, choice($.word, $.heredoc_marker)))),
        repeat($.heredoc),
      ),
    fetch_instruction: ($) => line($, kw('FETCH'), arg($, $.word), repeat1(arg($, $.word))),
    reboot_instruction: ($) => line($, kw('REBOOT')),
    wait_instruction: ($) =>
      seq(kw('WAIT'),
        choice(
          line($, arg($, choice(kw('TOOLS'), kw('IP'), kw('LOGIN'), kw('OFF')))),
          line($, arg($, kw('FILE')), arg($, $.word)),
          seq(arg($, kw('RUN')), $._command),
        )),
    checkpoint_instruction: ($) => line($, kw('CHECKPOINT'), optional(arg($, $.word))),
    snapshot_instruction: ($) => one($, 'SNAPSHOT'),
    seal_instruction: ($) => line($, kw('SEAL')),
    onfail_instruction: ($) =>
      seq(kw('ONFAIL'),
        choice(
          seq(arg($, kw('RUN')), $._command),
          line($, arg($, kw('FETCH')), arg($, $.word), repeat1(arg($, $.word))),
          line($, arg($, kw('REVERT')), arg($, $.word)),
        )),
    hook_instruction: ($) =>
      seq(choice(kw('HEALTHCHECK'), kw('ONREMOVE')), arg($, kw('RUN')), $._command),
    serial_instruction: ($) => one($, 'SERIAL'),

    // ---- parts of instructions

    _flag: ($) => choice($.flag, $.end_of_flags),
    flag: ($) =>
      seq(alias($._flag_open, '--'),
        choice(
          seq(field('name', alias(token(prec(1, choice('env', 'unless'))), $.flag_name)), '=',
            field('value', alias($.guest_word, $.word))),
          seq(field('name', $.flag_name), optional(seq('=', field('value', $.word)))),
        )),
    flag_name: () => /[A-Za-z0-9_-]+/,

    type: ($) =>
      choice('string', 'int', 'bool', 'ip', 'cidr', 'duration', 'size', 'json', 'secret', seq('list', '<', $.type, '>')),

    word: ($) => pieces($, $._string),
    guest_word: ($) => pieces($, $._guest_string, $.variable, $._template),
    string: ($) => $._string,
    _string: ($) => string($),
    _guest_string: ($) => string($, $.variable, $._template),
    _array_string: ($) => string($, $._template),

    // ---- commands

    _command: ($) =>
      seq(flags($), $._gap, field('command', choice($.array, $.script, $.shell_command)), $._eol, repeat($.heredoc)),
    array: ($) =>
      seq(alias($._array_open, '['), optional($._gap), alias($._array_string, $.string),
        repeat(seq(optional($._gap), ',', optional($._gap), alias($._array_string, $.string))),
        optional($._gap), ']'),
    // A heredoc alone: its body is the shell's text.
    script: ($) => prec(1, $.heredoc_marker),
    shell_command: ($) =>
      repeat1(choice($._shell, $.interpolation, $.escaped_interpolation, $.heredoc_marker)),
    heredoc: ($) => seq(optional($.heredoc_body), $.heredoc_end, $._eol),
    heredoc_body: ($) => repeat1(choice($._body, $.interpolation, $.escaped_interpolation)),

    // ---- expressions

    interpolation: ($) =>
      seq(alias($._hole_open, '${{'), field('value', $._expression), alias($._hole_close, '}}')),
    escaped_interpolation: () => '$${{',

    _expression: ($) => choice($.filter_expression, $._ternary),
    filter_expression: ($) =>
      seq(field('value', $._expression), '|', field('filter', $.identifier), optional($.arguments)),
    arguments: ($) => seq('(', optional(seq($._expression, repeat(seq(',', $._expression)))), ')'),
    _ternary: ($) => choice($.conditional_expression, $._or),
    conditional_expression: ($) =>
      seq(field('consequence', $._or), 'if', field('condition', $._or), 'else', field('alternative', $._ternary)),
    _or: ($) => level($, $._or_expression, $._and),
    _or_expression: ($) => binary($, $._or, 'or', $._and),
    _and: ($) => level($, $._and_expression, $._not),
    _and_expression: ($) => binary($, $._and, 'and', $._not),
    _not: ($) => choice(alias($._not_expression, $.unary_expression), $._comparison),
    _not_expression: ($) => seq(field('operator', 'not'), field('operand', $._not)),
    _comparison: ($) => level($, $._comparison_expression, $._sum),
    _comparison_expression: ($) => binary($, $._sum, choice('==', '!=', '<', '<=', '>', '>='), $._sum),
    _sum: ($) => level($, $._sum_expression, $._product),
    _sum_expression: ($) => binary($, $._sum, choice('+', '-'), $._product),
    _product: ($) => level($, $._product_expression, $._unary),
    _product_expression: ($) => binary($, $._product, choice('*', '/', '%'), $._unary),
    _unary: ($) => choice(alias($._negation, $.unary_expression), $._postfix),
    _negation: ($) => seq(field('operator', '-'), field('operand', $._unary)),
    _postfix: ($) => choice($.field_expression, $.index_expression, $._primary),
    field_expression: ($) => seq(field('value', $._postfix), '.', field('field', alias($.identifier, $.field_identifier))),
    index_expression: ($) => seq(field('value', $._postfix), '[', field('index', $._expression), ']'),
    _primary: ($) =>
      choice(
        $.parenthesized_expression, $.list, alias($._expression_string, $.string), $.integer, $.duration, $.size,
        $.boolean, $.identifier,
      ),
    parenthesized_expression: ($) => seq('(', $._expression, ')'),
    list: ($) => seq('[', optional(seq($._expression, repeat(seq(',', $._expression)), optional(','))), ']'),
    integer: () => /[0-9]+/,
    duration: () => /([0-9]+(d|h|m|s|ms))+/,
    size: () => /[0-9]+([KMGT]i?)?B/,
    boolean: () => choice('true', 'false'),
    identifier: () => /[A-Za-z_][A-Za-z0-9_]*/,
  },
});
