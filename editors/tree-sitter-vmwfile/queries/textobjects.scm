; Neovim's names and Helix's. A stage is a class, a step a function.
(stage) @class.outer @class.around
(stage (_)+ @class.inner @class.inside)

[
  (run_instruction)
  (key_instruction)
  (copy_instruction)
  (fetch_instruction)
  (wait_instruction)
  (onfail_instruction)
  (hook_instruction)
] @function.outer @function.around
(run_instruction command: (_) @function.inner @function.inside)
(key_instruction command: (_) @function.inner @function.inside)
(heredoc (heredoc_body) @function.inner @function.inside)

(word) @parameter.inner @parameter.inside @parameter.outer @parameter.around
(pair) @parameter.outer @parameter.around

[(comment) (continued_comment)] @comment.outer @comment.around @comment.inner @comment.inside
