; Commands are a shell's. What is put in by ${{ }} is left out of them: a value there is one word.
((shell_command) @injection.content
  (#set! injection.language "bash")
  (#set! injection.combined))

; A heredoc that is the whole command, with what is put in left out too.
((run_instruction command: (script) (heredoc (heredoc_body) @injection.content))
  (#set! injection.language "bash"))
((key_instruction command: (script) (heredoc (heredoc_body) @injection.content))
  (#set! injection.language "bash"))
((wait_instruction command: (script) (heredoc (heredoc_body) @injection.content))
  (#set! injection.language "bash"))
((onfail_instruction command: (script) (heredoc (heredoc_body) @injection.content))
  (#set! injection.language "bash"))
((hook_instruction command: (script) (heredoc (heredoc_body) @injection.content))
  (#set! injection.language "bash"))

((flag name: (flag_name) @_name value: (word) @injection.content)
  (#eq? @_name "unless")
  (#set! injection.language "bash"))

((comment) @injection.content
  (#set! injection.language "comment"))
