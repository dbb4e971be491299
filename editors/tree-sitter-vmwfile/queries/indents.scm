; Neovim's names, then Helix's. Lines that an instruction goes on with are indented; bodies of heredocs are left as
; they are: their blanks are a part of them.
[
  (shell_command)
  (array)
  (list)
] @indent.begin @indent

"]" @indent.end @outdent

(heredoc_body) @indent.ignore
(heredoc_end) @indent.zero
