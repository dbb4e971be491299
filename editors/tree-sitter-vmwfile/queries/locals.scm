; Names of a file hold everywhere in it, keys and loop variables in their stage.
(source_file) @local.scope
(stage) @local.scope

(arg_instruction name: (identifier) @local.definition.parameter)
(secret_instruction name: (identifier) @local.definition.parameter)
(for_clause variable: (identifier) @local.definition.parameter)
(key_instruction name: (identifier) @local.definition.var)
((from_instruction name: (identifier) @local.definition.namespace)
  (#set! definition.namespace.scope "parent"))
((on_instruction name: (identifier) @local.definition.namespace)
  (#set! definition.namespace.scope "parent"))

(interpolation value: (identifier) @local.reference)
(field_expression value: (identifier) @local.reference)
(index_expression value: (identifier) @local.reference)
(binary_expression (identifier) @local.reference)
(unary_expression (identifier) @local.reference)
(conditional_expression (identifier) @local.reference)
(filter_expression value: (identifier) @local.reference)
(arguments (identifier) @local.reference)
(list (identifier) @local.reference)
(index_expression index: (identifier) @local.reference)
(parenthesized_expression (identifier) @local.reference)
(arg_instruction value: (identifier) @local.reference)
(key_instruction value: (identifier) @local.reference)
