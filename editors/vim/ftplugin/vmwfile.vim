" Settings of a buffer with a VMWfile.
if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1

setlocal comments=:# commentstring=#\ %s
" A comment goes on in the next line, text is never broken by itself: a line is an instruction.
setlocal formatoptions-=t formatoptions+=croql
setlocal iskeyword+=-
let &l:include = '^\s*\cINCLUDE\s\+'
let &l:define = '^\s*\c\%(ARG\|SECRET\|KEY\)\s\+\|\cAS\s\+'

" :make checks the file, :cnext goes through what is found.
setlocal makeprg=vmwbuild\ lint\ --format\ concise\ %:S
setlocal errorformat=%f:%l:%c:\ %trror%m,%f:%l:%c:\ %tarning%m,%f:%l:%c:\ %tdvice%m,%-G%.%#
" gq, and = with the whole file, are `vmwbuild fmt`.
setlocal equalprg=vmwbuild\ fmt\ -

let b:undo_ftplugin = 'setlocal comments< commentstring< formatoptions< iskeyword< include< define< makeprg< errorformat< equalprg<'
