; Of two names for one thing the first is Helix's, the second Neovim's.

; Instructions, and the words with a meaning of their own.
[
  "ARG" "SECRET" "INCLUDE" "FROM" "ON" "OUTPUT" "DATACENTER" "CLUSTER" "HOST" "POOL" "DATASTORE" "FOLDER" "NETWORK"
  "CPU" "MEMORY" "DISK" "NIC" "CDROM" "HARDWARE" "CONFIG" "ANNOTATION" "LABEL" "TAG" "ADDRESS" "HOSTNAME" "LOGIN"
  "USER" "WORKDIR" "ENV" "SHELL" "RUN" "KEY" "COPY" "FETCH" "REBOOT" "WAIT" "NOTE" "CHECKPOINT" "SNAPSHOT" "SEAL"
  "ONFAIL" "HEALTHCHECK" "ONREMOVE" "SERIAL"
  "GENERATE" "AS" "FOR" "IN" "FILE" "TEMPLATE" "VM" "LIBRARY" "OVA" "NONE" "CORES" "GATEWAY" "DNS" "SEARCH" "DEVICE"
  "PASSWORD" "DELETE" "TOOLS" "IP" "OFF" "REVERT"
] @keyword

; Those that stand among plain words.
((hardware_instruction (word) @keyword)
  (#any-of? @keyword "SIZE" "ADD" "THIN" "THICK" "NETWORK" "REMOVE" "NONE"))
((on_instruction (word) @keyword)
  (#any-of? @keyword "TAG" "FOLDER"))
((address_instruction (word) @keyword)
  (#any-of? @keyword "DHCP" "dhcp"))

; ---- the rest

(comment) @comment
(continued_comment) @comment
((comment) @keyword.directive
  (#match? @keyword.directive "^#[ \t]*vmw[ \t]*:"))
(directive) @keyword.directive

(arg_instruction name: (identifier) @variable.parameter)
(secret_instruction name: (identifier) @variable.parameter)
(for_clause variable: (identifier) @variable.parameter)
(key_instruction name: (identifier) @variable)
(from_instruction name: (identifier) @label)
(on_instruction name: (identifier) @label)
(type) @type.builtin

(flag_name) @attribute
"--" @attribute
(end_of_flags) @operator
(key) @variable.other.member @property

(prose) @string.special
(string) @string
(raw_string) @string
(escape_sequence) @string.escape
(escaped_interpolation) @string.escape
(array "[" @punctuation.bracket "]" @punctuation.bracket)

(heredoc_marker) @label
(heredoc_end) @label

(interpolation ["${{" "}}"] @punctuation.special)
(interpolation value: (identifier) @variable)
(field_identifier) @variable.other.member @property
(filter_expression filter: (identifier) @function)
(integer) @constant.numeric.integer @number
(duration) @constant.numeric @number
(size) @constant.numeric @number
(boolean) @constant.builtin.boolean @boolean
["and" "or" "not" "if" "else"] @keyword.operator
["==" "!=" "<" "<=" ">" ">=" "+" "-" "*" "/" "%" "|" "=" ".."] @operator
["," ":" "."] @punctuation.delimiter
["(" ")" "[" "]"] @punctuation.bracket
