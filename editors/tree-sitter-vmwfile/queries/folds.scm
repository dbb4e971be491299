[
  (stage)
  (run_instruction)
  (copy_instruction)
  (key_instruction)
  (heredoc)
] @fold
