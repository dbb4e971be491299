-- Neovim: the language server of `vmwbuild`, where that is on PATH.
if vim.fn.executable('vmwbuild') == 0 or vim.g.vmwbuild_no_lsp then
  return
end
local name = vim.api.nvim_buf_get_name(0)
local root = vim.fn.fnamemodify(name, ':p:h')
local config = { name = 'vmwbuild', cmd = { 'vmwbuild', 'lsp' }, root_dir = root }
if vim.lsp.start then
  vim.lsp.start(config)
else
  -- Neovim before 0.8: one server for all buffers.
  _G.vmwbuild_client = _G.vmwbuild_client or vim.lsp.start_client(config)
  if _G.vmwbuild_client then
    vim.lsp.buf_attach_client(0, _G.vmwbuild_client)
  end
end
